/* SPDX-License-Identifier: Apache-2.0 */
/* ref_ring: hands buffers of 32-byte rows from one thread to another. usage: ref_ring [records] [buffer
 * bytes]
 *
 * One producer, one consumer, a ring of 16 buffer pointers; each side keeps a copy of the
 * other's position and reads the shared one only when the copy says stop.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "ref.h"

enum { SLOTS = 16, ROW = 32, DISTINCT = 4096 };

static struct {
	_Alignas(64) _Atomic uint64_t head; /* taken by the consumer */
	uint64_t tail_seen;
	_Alignas(64) _Atomic uint64_t tail; /* given by the producer */
	uint64_t head_seen;
	_Alignas(64) uint8_t *slots[SLOTS];
} ring;
static uint64_t buffers, rows_per_buffer;
static double sum;

static void wait_a_little(unsigned *spins)
{
	if (++*spins % 1024)
		__builtin_ia32_pause();
	else
		sched_yield();
}

static void *consume(void *arg)
{
	unsigned spins = 0;

	pin(1);
	for (uint64_t n = 0; n < buffers; n++) {
		while (ring.tail_seen == n) {
			ring.tail_seen = atomic_load_explicit(&ring.tail, memory_order_acquire);
			if (ring.tail_seen == n)
				wait_a_little(&spins);
		}
		const uint8_t *p = ring.slots[n % SLOTS];
		for (uint64_t i = 0; i < rows_per_buffer; i++)
			sum += get_f64(p + i * ROW + 24);
		atomic_store_explicit(&ring.head, n + 1, memory_order_release);
	}
	return arg;
}

static void produce(void)
{
	unsigned spins = 0;
	uint64_t record = 0;

	pin(0);
	for (uint64_t n = 0; n < buffers; n++) {
		while (n - ring.head_seen == SLOTS) {
			ring.head_seen = atomic_load_explicit(&ring.head, memory_order_acquire);
			if (n - ring.head_seen == SLOTS)
				wait_a_little(&spins);
		}
		uint8_t *p = ring.slots[n % SLOTS];
		for (uint64_t i = 0; i < rows_per_buffer; i++, p += ROW, record++) {
			*(struct elem *)p = (struct elem){ROW, 2, INT64_MIN};
			put_f64(p + 16, (double)(record % DISTINCT));
			put_f64(p + 24, (double)(record % DISTINCT % 1000));
		}
		atomic_store_explicit(&ring.tail, n + 1, memory_order_release);
	}
}

int main(int argc, char **argv)
{
	uint64_t records = argument(argc, argv, 1, 200e6), bytes = argument(argc, argv, 2, BUFFER);
	char figure[32];
	pthread_t consumer;
	double start;

	rows_per_buffer = bytes / ROW;
	buffers = records / rows_per_buffer;
	for (int i = 0; i < SLOTS; i++)
		ring.slots[i] = need(bytes);
	start = now_s();
	pthread_create(&consumer, NULL, consume, NULL);
	produce();
	pthread_join(consumer, NULL);
	snprintf(figure, sizeof figure, "ring_%" PRIu64 "k", bytes / 1024);
	result(figure, now_s() - start, buffers * rows_per_buffer, sum);
	return 0;
}
