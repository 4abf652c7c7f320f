/* SPDX-License-Identifier: Apache-2.0 */
/* harness_restart: a job is built a second time and gets what the first one kept: keyed state, timers and
 * broadcast state, value by value as bytes in the row format. Nothing else survives: no Lua state, no
 * variable of a stage, no watermark. Between records, when nothing is under way. */
#include <string.h>
#include "base/error.h"
#include "cluster/harness_priv.h"

struct moving {
	struct wr_store *to;
	const struct wr_plan_stage *stage; /* NULL: broadcast state, which is all maps */
};

static int enter(struct wr_store *to, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
		 uint32_t ns_len)
{
	int rc = wr_store_set_key(to, key, key_len, wr_key_hash(key, key_len));

	return rc == WR_OK && ns_len ? wr_store_set_namespace(to, ns, ns_len) : rc;
}

static int on_value(const struct wr_state_item *item, void *arg)
{
	struct moving *m = arg;
	enum wr_state_kind kind = m->stage ? m->stage->states[item->state].kind : WR_STATE_MAP;
	const struct wr_sval *v = item->value;
	int rc = enter(m->to, item->key, item->key_len, item->ns, item->ns_len);
	uint8_t *body;

	if (rc != WR_OK)
		return rc;
	if (kind == WR_STATE_MAP)
		body = wr_map_put(m->to, item->state, item->map_key, item->map_key_len, v->shape, v->len);
	else if (kind == WR_STATE_LIST)
		body = wr_list_add(m->to, item->state, v->shape, v->len);
	else
		body = wr_state_put(m->to, item->state, v->shape, v->len);
	if (!body)
		return wr_error_code();
	memcpy(body, v->body, v->len);
	return WR_OK;
}

static int on_timer(const struct wr_timer_item *item, void *arg)
{
	struct moving *m = arg;
	int rc = enter(m->to, item->key, item->key_len, item->ns, item->ns_len);

	return rc == WR_OK ? wr_timer_add(m->to, item->kind, item->time_ms) : rc;
}

static int move_store(struct wr_store *from, struct moving *m, uint32_t first, uint32_t last)
{
	struct wr_frozen *f = wr_store_freeze(from);
	int rc = f ? WR_OK : WR_EFATAL;

	for (uint32_t g = first; g <= last && rc == WR_OK; g++) {
		rc = wr_frozen_each(f, g, on_value, m);
		if (rc == WR_OK)
			rc = wr_frozen_timers(f, g, on_timer, m);
	}
	if (f)
		wr_frozen_unref(f);
	if (m->stage) /* broadcast state has one key for ever */
		wr_store_unset_key(m->to);
	return rc;
}

typedef int (*move_stage)(struct wr_harness *h, const struct wr_plan_vertex *v, uint32_t subtask, uint32_t i,
			  const struct wr_stage *from, struct wr_stage *to);

static int each_stage(struct wr_harness *h, struct wr_job *old, move_stage move)
{
	int rc = WR_OK;

	for (uint32_t v = 0; v < h->plan->vertex_count; v++)
		for (uint32_t k = 0; k < h->plan->vertices[v].parallelism; k++)
			for (uint32_t i = 0; i < h->plan->vertices[v].stage_count && rc == WR_OK; i++)
				rc = move(h, &h->plan->vertices[v], k, i,
					  wr_task_stage(old->runners[v][k].task, i),
					  (struct wr_stage *)(uintptr_t)wr_task_stage(
					      h->job->runners[v][k].task, i));
	return rc;
}

/* Before stages are opened, so that they find what they had. */
static int move_keyed(struct wr_harness *h, const struct wr_plan_vertex *v, uint32_t subtask, uint32_t i,
		      const struct wr_stage *from, struct wr_stage *to)
{
	struct moving m = {to->store, &v->stages[i]};
	uint32_t first, last;

	(void)h;
	if (!from->store)
		return WR_OK;
	wr_key_group_range(v->max_parallelism, v->parallelism, subtask, &first, &last);
	return move_store(from->store, &m, first, last);
}

/* Stages make their broadcast state when they are opened. Timers of processing time ring again. */
static int move_rest(struct wr_harness *h, const struct wr_plan_vertex *v, uint32_t subtask, uint32_t i,
		     const struct wr_stage *from, struct wr_stage *to)
{
	struct moving m = {wr_harness_broadcast(to), NULL};
	struct wr_store *kept = wr_harness_broadcast(from);
	int64_t at = to->store ? wr_timer_earliest(to->store, WR_TIMER_PROCESSING) : INT64_MAX;

	(void)h, (void)v, (void)subtask, (void)i;
	if (at != INT64_MAX)
		to->deadline_ms = at + 1;
	return kept ? move_store(kept, &m, 0, 0) : WR_OK;
}

int wr_harness_restart(struct wr_harness *h)
{
	struct wr_job *old = h->job, *fresh;
	int rc = wr_harness_settle(h);

	if (rc == WR_OK)
		rc = wr_harness_make_job(h, &fresh);
	if (rc != WR_OK)
		return rc;
	h->job = fresh;
	memset(h->done, 0, h->task_count * sizeof *h->done);
	h->done_count = 0;
	rc = each_stage(h, old, move_keyed);
	if (rc == WR_OK)
		rc = wr_harness_settle(h);
	if (rc == WR_OK)
		rc = each_stage(h, old, move_rest);
	wr_job_free(old);
	return rc == WR_OK ? wr_harness_settle(h) : rc;
}
