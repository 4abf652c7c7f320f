/* SPDX-License-Identifier: Apache-2.0 */
/* ref_distance: nanoseconds that a cache line needs from one core to another. usage: ref_distance
 *
 * Two threads on the first two cpus pass a number to and fro; the shortest batch
 * counts, since in the others one of them was not running. In a virtual machine this changes while it runs:
 * its cpus may share a cache in one minute and not in the next.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "ref.h"

enum { BATCHES = 100, TRIPS = 500 };

static _Alignas(128) _Atomic int there;
static _Alignas(128) _Atomic int back;

static void *answer(void *arg)
{
	pin(1);
	for (int i = 1; i <= BATCHES * TRIPS; i++) {
		while (atomic_load_explicit(&there, memory_order_acquire) != i)
			;
		atomic_store_explicit(&back, i, memory_order_release);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;
	double best = 1;
	int i = 0;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || pthread_create(&thread, NULL, answer, NULL)) {
		fprintf(stderr, "ref_distance needs two cpus\n");
		return 1;
	}
	pin(0);
	for (int b = 0; b < BATCHES; b++) {
		double begin = now_s();

		for (int t = 0; t < TRIPS; t++) {
			atomic_store_explicit(&there, ++i, memory_order_release);
			while (atomic_load_explicit(&back, memory_order_acquire) != i)
				;
		}
		begin = (now_s() - begin) / TRIPS / 2;
		best = begin < best ? begin : best;
	}
	pthread_join(thread, NULL);
	printf("%.0f\n", best * 1e9);
	return 0;
}
