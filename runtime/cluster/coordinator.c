/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator: enumerators and their letters. */
#include "cluster/coordinator.h"

#include <errno.h>
#include <pthread.h>
#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "connect/connect.h"

static struct wr_mem mem = WR_MEM_INIT("cluster.coordinator");

struct letter {
	struct letter *next;
	uint32_t vertex, subtask, type, len;
	uint8_t payload[];
};
struct source {
	struct wr_coordinator *coordinator;
	struct wr_enumerator *enumerator; /* NULL: the vertex needs none */
	uint32_t vertex;
	uint64_t discover_ns; /* next discovery; UINT64_MAX = never again */
};
struct wr_coordinator {
	const struct wr_plan *plan;
	void (*deliver)(void *arg, uint32_t vertex, uint32_t subtask, uint32_t type, const void *payload,
			uint32_t len);
	void *arg;
	struct source *sources; /* by vertex */
	pthread_mutex_t mutex;
	pthread_cond_t filled;
	struct letter *first, *last;
	bool woken;
};

static void to_reader(void *arg, uint32_t subtask, uint32_t type, const void *payload, uint32_t len)
{
	struct source *s = arg;

	s->coordinator->deliver(s->coordinator->arg, s->vertex, subtask, type, payload, len);
}

static int make_sources(struct wr_coordinator *c)
{
	for (uint32_t v = 0; v < c->plan->vertex_count; v++) {
		const struct wr_plan_vertex *vertex = &c->plan->vertices[v];
		struct source *s = &c->sources[v];

		*s = (struct source){c, NULL, v, UINT64_MAX};
		for (unsigned i = 0; !vertex->inputs && i < wr_enumerators_count; i++) {
			if (strcmp(wr_enumerators[i]->kind, vertex->stages[0].kind))
				continue;
			s->enumerator = wr_enumerators[i]->make(wr_value_get(vertex->stages[0].value, "options"),
								vertex->parallelism, to_reader, s);
			if (!s->enumerator)
				return wr_error_code();
		}
	}
	return WR_OK;
}

struct wr_coordinator *wr_coordinator_new(const struct wr_plan *plan,
					  void (*deliver)(void *arg, uint32_t vertex, uint32_t subtask,
							  uint32_t type, const void *payload, uint32_t len),
					  void *arg)
{
	struct wr_coordinator *c = wr_zalloc(&mem, sizeof *c);
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	c->plan = plan;
	c->deliver = deliver;
	c->arg = arg;
	pthread_mutex_init(&c->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->filled, &attr);
	pthread_condattr_destroy(&attr);
	c->sources = wr_zalloc(&mem, plan->vertex_count * sizeof *c->sources);
	if (!c->sources || make_sources(c) != WR_OK) {
		wr_coordinator_free(c);
		return NULL;
	}
	return c;
}

void wr_coordinator_free(struct wr_coordinator *c)
{
	if (!c)
		return;
	for (uint32_t v = 0; c->sources && v < c->plan->vertex_count; v++)
		if (c->sources[v].enumerator)
			c->sources[v].enumerator->ops->free(c->sources[v].enumerator);
	while (c->first) {
		struct letter *next = c->first->next;

		wr_free(&mem, c->first);
		c->first = next;
	}
	pthread_cond_destroy(&c->filled);
	pthread_mutex_destroy(&c->mutex);
	wr_free(&mem, c->sources);
	wr_free(&mem, c);
}

void wr_coordinator_post(struct wr_coordinator *c, uint32_t vertex, uint32_t subtask, uint32_t type,
			 const void *payload, uint32_t len)
{
	struct letter *l = wr_alloc(&mem, sizeof *l + len);

	WR_ASSERT(l); /* a letter is a few bytes: there is nobody left to tell */
	*l = (struct letter){NULL, vertex, subtask, type, len};
	if (len)
		memcpy(l->payload, payload, len);
	pthread_mutex_lock(&c->mutex);
	if (c->last)
		c->last->next = l;
	else
		c->first = l;
	c->last = l;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->mutex);
}

void wr_coordinator_wake(struct wr_coordinator *c)
{
	pthread_mutex_lock(&c->mutex);
	c->woken = true;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->mutex);
}

static int discover(struct source *s)
{
	int64_t next_ms = -1;
	int rc = s->enumerator->ops->discover(s->enumerator, &next_ms);

	s->discover_ns = next_ms < 0 ? UINT64_MAX
				     : wr_clock_ns(wr_clock_system()) + (uint64_t)next_ms * 1000000;
	return rc;
}

int wr_coordinator_start(struct wr_coordinator *c)
{
	int rc = WR_OK;

	for (uint32_t v = 0; v < c->plan->vertex_count && rc == WR_OK; v++)
		if (c->sources[v].enumerator)
			rc = discover(&c->sources[v]);
	return rc;
}

/* Waits for letters; takes them all. */
static struct letter *wait_for_letters(struct wr_coordinator *c, int wait_ms)
{
	uint64_t until = wr_clock_ns(wr_clock_system()) + (uint64_t)wait_ms * 1000000;
	struct letter *l;
	struct timespec t;

	for (uint32_t v = 0; v < c->plan->vertex_count; v++)
		if (c->sources[v].discover_ns < until)
			until = c->sources[v].discover_ns;
	t.tv_sec = (time_t)(until / 1000000000u);
	t.tv_nsec = (long)(until % 1000000000u);
	pthread_mutex_lock(&c->mutex);
	while (!c->first && !c->woken)
		if (pthread_cond_timedwait(&c->filled, &c->mutex, &t) == ETIMEDOUT)
			break;
	c->woken = false;
	l = c->first;
	c->first = c->last = NULL;
	pthread_mutex_unlock(&c->mutex);
	return l;
}

int wr_coordinator_serve(struct wr_coordinator *c, int wait_ms)
{
	struct letter *l = wait_for_letters(c, wait_ms);
	uint64_t now = wr_clock_ns(wr_clock_system());
	int rc = WR_OK;

	while (l) {
		struct letter *next = l->next;
		struct wr_enumerator *e = c->sources[l->vertex].enumerator;

		if (e && rc == WR_OK)
			rc = e->ops->letter(e, l->subtask, l->type, l->payload, l->len);
		wr_free(&mem, l);
		l = next;
	}
	for (uint32_t v = 0; v < c->plan->vertex_count && rc == WR_OK; v++)
		if (c->sources[v].enumerator && c->sources[v].discover_ns <= now)
			rc = discover(&c->sources[v]);
	return rc;
}
