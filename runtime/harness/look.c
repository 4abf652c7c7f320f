/* SPDX-License-Identifier: Apache-2.0 */
/* look: what a test may see of the inside of a stage: keyed state and timers, through frozen
 * versions, so that looking changes nothing (no time to live is renewed, nothing expired is removed). */
#include <string.h>
#include "base/error.h"
#include "harness/priv.h"

enum { ITEMS_MIN = 16 };

struct look {
	struct wr_arena *arena;
	const uint8_t *key; /* or NULL: all */
	uint32_t key_len;
	const struct wr_plan_stage *stage; /* NULL: broadcast state */
	int64_t now_ms;			   /* what has expired by then is not there */
	struct wr_harness_item *items;
	uint32_t count, cap;
};

static const uint8_t *copy(struct look *l, const uint8_t *bytes, uint32_t len)
{
	uint8_t *to = wr_arena_alloc(l->arena, len + WR_ROW_SLACK);

	return to && len ? memcpy(to, bytes, len) : to;
}

/* An item with copies of its address; NULL without memory. */
static struct wr_harness_item *add(struct look *l, const uint8_t *key, uint32_t key_len, const uint8_t *ns,
				   uint32_t ns_len)
{
	struct wr_harness_item *to;

	if (l->count == l->cap && WR_ARENA_GROW(l->arena, l->items, l->cap, ITEMS_MIN) != WR_OK)
		return NULL;
	to = &l->items[l->count++];
	*to = (struct wr_harness_item){
	    .key = copy(l, key, key_len), .key_len = key_len, .ns = copy(l, ns, ns_len), .ns_len = ns_len};
	return to->key && to->ns ? to : NULL;
}

static bool wanted(const struct look *l, const uint8_t *key, uint32_t len)
{
	return !l->key || (len == l->key_len && !memcmp(key, l->key, len));
}

static bool expired(const struct look *l, const struct wr_state_item *item)
{
	int64_t ttl = l->stage ? l->stage->states[item->state].ttl_ms : 0;

	return ttl && item->stamp_ms + ttl <= l->now_ms;
}

static int on_value(const struct wr_state_item *from, void *arg)
{
	struct look *l = arg;
	struct wr_harness_item *to;

	if (!wanted(l, from->key, from->key_len) || expired(l, from))
		return WR_OK;
	to = add(l, from->key, from->key_len, from->ns, from->ns_len);
	if (!to)
		return WR_EFATAL;
	to->map_key = from->map_key ? copy(l, from->map_key, from->map_key_len) : NULL;
	to->map_key_len = from->map_key_len;
	to->state = from->state;
	to->shape = from->value->shape & WR_SVAL_SHAPE;
	to->body = copy(l, from->value->body, from->value->len);
	to->timer = -1;
	to->position = from->position;
	return to->body && (to->map_key || !from->map_key) ? WR_OK : WR_EFATAL;
}

static int on_timer(const struct wr_timer_item *from, void *arg)
{
	struct look *l = arg;
	struct wr_harness_item *to;

	if (!wanted(l, from->key, from->key_len))
		return WR_OK;
	to = add(l, from->key, from->key_len, from->ns, from->ns_len);
	if (!to)
		return WR_EFATAL;
	to->timer = (int32_t)from->kind;
	to->time = from->time_ms;
	return WR_OK;
}

static int look_into(struct look *l, struct wr_store *store, uint32_t first, uint32_t last)
{
	struct wr_frozen *f = wr_store_freeze_to_read(store);
	int rc = f ? WR_OK : WR_EFATAL;

	for (uint32_t g = first; g <= last && rc == WR_OK; g++) {
		rc = wr_frozen_each(f, g, on_value, l);
		if (rc == WR_OK)
			rc = wr_frozen_timers(f, g, on_timer, l);
	}
	if (f)
		wr_frozen_unref(f);
	return rc;
}

const struct wr_harness_item *wr_harness_look(struct wr_harness *h, uint32_t vertex, uint32_t stage,
					      const uint8_t *key, uint32_t key_len, int broadcast,
					      uint32_t *count)
{
	const struct wr_plan_vertex *v = &h->plan->vertices[vertex];
	struct look l = {.arena = &h->looked,
			 .key = key,
			 .key_len = key_len,
			 .stage = broadcast ? NULL : &v->stages[stage],
			 .now_ms = h->clock.manual_ms};
	uint32_t group = key ? wr_key_group(wr_key_hash(key, key_len), v->max_parallelism) : 0;
	int rc = WR_OK;

	if (!h->job) {
		wr_error_set(WR_EUSER, "%s", h->failure ? h->failure : "out of memory");
		return NULL;
	}
	wr_arena_reset(&h->looked);
	for (uint32_t i = 0; i < v->parallelism && rc == WR_OK; i++) {
		const struct wr_stage *s = wr_task_stage(h->job->runners[vertex][i].task, stage);
		uint32_t first, last;

		if (broadcast) {
			if (i == 0 && s->broadcast)
				rc = look_into(&l, s->broadcast, 0, 0);
			continue;
		}
		wr_key_group_range(v->max_parallelism, v->parallelism, i, &first, &last);
		if (key)
			first = group >= first && group <= last ? (last = group) : last + 1;
		if (s->store)
			rc = look_into(&l, s->store, first, last);
	}
	*count = l.count;
	if (rc == WR_OK && !l.items)
		return wr_arena_alloc(&h->looked, sizeof *l.items);
	return rc == WR_OK ? l.items : NULL;
}

int64_t wr_harness_watermark(const struct wr_harness *h, uint32_t vertex, uint32_t stage)
{
	int64_t lowest = h->job ? INT64_MAX : WR_TS_NONE;

	for (uint32_t i = 0; h->job && i < h->plan->vertices[vertex].parallelism; i++) {
		const struct wr_stage *s = wr_task_stage(h->job->runners[vertex][i].task, stage);

		if (s->watermark < lowest)
			lowest = s->watermark;
	}
	return lowest;
}

void wr_harness_late(const struct wr_harness *h, uint32_t vertex, uint32_t stage, int64_t *late,
		     int64_t *dropped)
{
	*late = *dropped = 0;
	for (uint32_t i = 0; h->job && i < h->plan->vertices[vertex].parallelism; i++) {
		const struct wr_stage *s = wr_task_stage(h->job->runners[vertex][i].task, stage);

		for (uint32_t k = 0; k < s->ops_count; k++) {
			*late += wr_metric_get(&s->ops_stats[k].late);
			*dropped += wr_metric_get(&s->ops_stats[k].late_dropped);
		}
	}
}
