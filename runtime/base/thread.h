/* SPDX-License-Identifier: Apache-2.0 */
/* thread: named threads, pinned where asked; and a small set of I/O threads for work that
 * blocks (fsync, close, writes to slow files). */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct wr_thread {
	pthread_t id;
	char name[16];
	bool running;
};
/* Starts `run(arg)` on a thread called `name` (15 characters), on cpu (−1 = any; a cpu that the system
 * refuses is as −1). SIGINT, SIGTERM and SIGHUP stay with the threads that had them. */
int wr_thread_start(struct wr_thread *t, const char *name, int cpu, void *(*run)(void *), void *arg);
void wr_thread_join(struct wr_thread *t);
/* The calling thread gives way to all others from now on: what it does may take its time. It does not have
 * the real-time priority of who started it. */
void wr_thread_yield_to_others(void);
/* To be called every some 10 us by a thread that yields to others: once a millisecond those run that wait for
 * its core, which the system would let in at the next beat of its clock only, up to 4 ms later. More often it
 * takes the thread's share away where all cores are busy. On other threads it does nothing. */
void wr_thread_give_turn(void);
/* The calling thread runs often and never long: where others want its core, too, it asks the system for turns
 * that are shorter than theirs, so that it gets one as it wakes, and not when theirs is over. */
void wr_thread_take_turns_soon(void);
/* How many cpus this thread may run on, by its affinity mask (taskset, cpusets): at least 1. */
uint32_t wr_thread_cpus(void);
/* The n-th of them, beginning again behind the last; -1 when the system does not say. */
int wr_thread_cpu(uint32_t n);

/* Work for the I/O threads: jobs of one queue run one after another in order, different queues side
 * by side. `done` runs on the I/O thread; it fires a notify or posts a letter, nothing else. */
struct wr_iopool;
struct wr_ioqueue;
struct wr_iojob {
	void (*work)(struct wr_iojob *job);
	void (*done)(struct wr_iojob *job);
	struct wr_iojob *next;
};
/* The first thread starts with the first queue, others when jobs would wait for one. */
enum wr_iopool_kind {
	WR_IOPOOL_PROMPT,  /* rows wait for it */
	WR_IOPOOL_PATIENT, /* rows flow meanwhile, and come first */
};
struct wr_iopool *wr_iopool_new(int threads_max, enum wr_iopool_kind kind);
void wr_iopool_free(struct wr_iopool *p); /* waits for all jobs; queues may be freed before or after */
struct wr_ioqueue *wr_ioqueue_new(struct wr_iopool *p); /* NULL with the error set: memory, no thread */
void wr_ioqueue_free(struct wr_ioqueue *q);		/* all its jobs must be done */
/* Borrows job until `done` is called, which may post it again. */
void wr_ioqueue_post(struct wr_ioqueue *q, struct wr_iojob *job);
