/* SPDX-License-Identifier: Apache-2.0 */
/* latency: a list that only grows, so that readers need no lock. */
#include "task/latency.h"

#include "task/task_priv.h"

static struct wr_mem mem = WR_MEM_INIT("task.latencies");

const struct wr_latency *wr_latency_first(const struct wr_task *t)
{
	return atomic_load_explicit((_Atomic(struct wr_latency *) *)&t->latencies, memory_order_acquire);
}

static struct wr_latency *add(struct wr_task *t, uint32_t stage, uint64_t source)
{
	struct wr_latency *l = wr_alloc(&mem, sizeof *l);
	struct wr_histogram *h = l ? wr_histogram_new() : NULL;

	if (!h) {
		wr_free(&mem, l);
		return NULL;
	}
	*l = (struct wr_latency){atomic_load(&t->latencies), source, stage, h};
	atomic_store_explicit(&t->latencies, l, memory_order_release);
	return l;
}

int wr_latency_add(struct wr_task *t, uint32_t stage, uint64_t source, uint64_t ns)
{
	struct wr_latency *l = atomic_load_explicit(&t->latencies, memory_order_relaxed);

	while (l && (l->source != source || l->stage != stage))
		l = l->next;
	if (!l)
		l = add(t, stage, source);
	if (!l)
		return WR_EFATAL;
	wr_histogram_add(l->histogram, ns);
	return WR_OK;
}

void wr_latency_deinit(struct wr_task *t)
{
	struct wr_latency *l = atomic_load(&t->latencies);

	while (l) {
		struct wr_latency *next = l->next;

		wr_histogram_free(l->histogram);
		wr_free(&mem, l);
		l = next;
	}
}
