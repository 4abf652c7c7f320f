/* SPDX-License-Identifier: Apache-2.0 */
/* restore: see restore.h. Blobs of all former subtasks of a vertex are passed over once each; what concerns
 * other key groups is stepped over by its header. Where a blob goes on from older ones, those are read behind
 * it, from the newest to the oldest, for what is not out of date in them. */
#include "task/restore.h"

#include <string.h>
#include "base/error.h"
#include "checkpoint/history.h"
#include "exchange/inherit.h"
#include "savepoint/saved.h"
#include "savepoint/under_way.h"
#include "task/task_priv.h"

struct stage {				     /* of ours, and what it inherits */
	const struct wr_manifest_stage *was; /* NULL: it begins anew */
	uint32_t vertex, number;	     /* where it was */
	int32_t *keyed, *broadcast;	     /* states there → states here */
	struct wr_saved_part *parts;
	uint32_t part_count;
	int64_t watermark, passed; /* the lowest of its former subtasks */
	bool timed;
	bool alive;				      /* one of them had not ended */
	struct wr_saved_newer newer, newer_broadcast; /* of the former subtask that is read */
};

struct restoring {
	struct wr_task *task;
	const struct wr_restore *from;
	struct wr_arena arena;
	struct stage *stages;
	struct wr_inherit *channels; /* of the vertex of the first stage; NULL: not met yet */
};

/* The blobs of a former subtask, newest first. */
struct reading {
	struct restoring *all;
	uint32_t vertex, subtask;
	uint32_t blob;	     /* that is being read */
	struct wr_dict dict; /* of its shapes */
	const char *ids[WR_SAVED_BLOBS_MAX];
	uint32_t count;
};

static struct wr_mem mem = WR_MEM_INIT("task.restore");

/* ---- who was what ---- */

/* By name: states there to states of `list` here; the plan's check has made sure of the kinds. */
static int32_t *map_states(struct restoring *r, const struct wr_manifest_state *there, uint32_t count,
			   const struct wr_value *list)
{
	int32_t *map = wr_arena_alloc(&r->arena, (count + 1) * sizeof *map);

	for (uint32_t i = 0; map && i < count; i++) {
		map[i] = -1;
		for (uint32_t k = 0; list && k < list->count; k++)
			if (!strcmp(wr_value_str(&list->items[k], "name", ""), there[i].name))
				map[i] = (int32_t)k;
	}
	return map;
}

static int find_stage(struct restoring *r, uint32_t i)
{
	const struct wr_stage *s = &r->task->chain.stages[i];
	const struct wr_manifest *m = r->from->manifest;
	struct stage *to = &r->stages[i];

	to->was = wr_manifest_find(m, s->ops_stats[0].uid, &to->vertex, &to->number);
	if (!to->was)
		return WR_OK;
	to->keyed = map_states(r, to->was->states, to->was->state_count, wr_value_get(s->plan, "states"));
	to->broadcast =
	    map_states(r, to->was->broadcast, to->was->broadcast_count, wr_value_get(s->plan, "broadcast"));
	to->parts = wr_arena_alloc(&r->arena, (m->vertices[to->vertex].parallelism + 1) * sizeof *to->parts);
	return to->keyed && to->broadcast && to->parts ? WR_OK : WR_EFATAL;
}

/* Our stage that was stage `number` of `vertex`, or −1. */
static int32_t stage_of(const struct restoring *r, uint32_t vertex, uint32_t number)
{
	for (uint32_t i = 0; i < r->task->chain.stage_count; i++)
		if (r->stages[i].was && r->stages[i].vertex == vertex && r->stages[i].number == number)
			return (int32_t)i;
	return -1;
}

/* ---- blocks ---- */

static int64_t lower(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool is_list_of(const struct wr_value *v, enum wr_tag tag, uint32_t count)
{
	if (!v || v->tag != WR_V_LIST || v->count != count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (v->items[i].tag != tag)
			return false;
	return true;
}

static bool is_true(const struct wr_value *list, uint32_t i)
{
	return list && list->items[i].tag == WR_V_TRUE;
}

static bool are_channels(const struct wr_value *v)
{
	for (uint32_t i = 0; v && v->tag == WR_V_LIST && i < v->count; i++)
		if (v->items[i].tag != WR_V_LIST || v->items[i].count != 2 ||
		    v->items[i].items[0].tag != WR_V_I64)
			return false;
	return v && v->tag == WR_V_LIST;
}

struct times { /* what a block of kind TASK says: of its stages, and of the channels of the first */
	const struct wr_value *passed, *watermarks, *ended, *channels;
};

static int read_times(struct restoring *r, uint32_t vertex, struct wr_block_reader *in,
		      struct wr_block *block, struct times *t)
{
	uint32_t stages = r->from->manifest->vertices[vertex].stage_count;
	int rc = wr_block_load(in, block);
	struct wr_value value;
	struct wr_reader said;

	if (rc == WR_OK) {
		said = wr_reader_of(block->payload, block->len);
		rc = wr_value_parse(&said, &r->arena, &value);
	}
	if (rc != WR_OK)
		return rc;
	*t = (struct times){wr_value_get(&value, "passed"), wr_value_get(&value, "watermarks"),
			    wr_value_get(&value, "ended"), wr_value_get(&value, "channels")};
	if (!is_list_of(t->passed, WR_V_I64, stages) || !is_list_of(t->watermarks, WR_V_I64, stages) ||
	    !are_channels(t->channels) ||
	    (t->ended && (t->ended->tag != WR_V_LIST || t->ended->count != stages)))
		return wr_error_set(WR_EUSER, "what it says of the task is malformed");
	return WR_OK;
}

/* Watermarks: those of the former subtasks that we inherit from, the lowest of each (K24). */
static int take_times(struct restoring *r, uint32_t vertex, uint32_t subtask, struct wr_block_reader *in,
		      struct wr_block *block)
{
	const struct wr_manifest_vertex *v = &r->from->manifest->vertices[vertex];
	struct times t;
	int rc = read_times(r, vertex, in, block, &t);

	if (rc != WR_OK)
		return rc;
	for (uint32_t n = 0; n < v->stage_count; n++) {
		int32_t i = stage_of(r, vertex, n);
		struct stage *s = i < 0 ? NULL : &r->stages[i];

		if (!s || is_true(t.ended, n))
			continue;
		s->alive = true;
		s->passed = lower(s->timed ? s->passed : WR_TS_MAX, t.passed->items[n].i64);
		s->watermark = lower(s->timed ? s->watermark : WR_TS_MAX, t.watermarks->items[n].i64);
		s->timed = true;
	}
	return stage_of(r, vertex, 0) == 0 ? wr_inherit_subtask(r->channels, subtask, t.channels) : WR_OK;
}

/* Rows that were on their way to the first stage of the vertex. */
static int take_in_flight(const struct reading *b, struct wr_block_reader *in, struct wr_block *block)
{
	struct restoring *r = b->all;
	int32_t i = stage_of(r, b->vertex, 0);
	const uint8_t *rows;
	uint64_t input;
	size_t len;
	int rc;

	if (i < 0)
		return WR_OK;
	if (i > 0)
		return wr_error_set(
		    WR_EUSER,
		    "rows were under way to \"%s\", which is no longer reached by a channel: let "
		    "the job as it was take a savepoint, and go on from that",
		    r->stages[i].was->name);
	rc = wr_block_load(in, block);
	if (rc != WR_OK)
		return rc;
	rows = wr_under_way_rows(block, &input, &len);
	return rows ? wr_inherit_rows(r->channels, block->group, input, rows, len, &b->dict) : WR_EUSER;
}

static int open_channels(struct restoring *r, bool same_parallelism)
{
	const struct wr_task *t = r->task;

	r->channels = wr_inherit_new(&(struct wr_inherit_options){.gate = t->gate,
								  .valve = t->valve,
								  .keys = t->keys,
								  .subtask = t->env.subtask,
								  .parallelism = t->env.parallelism,
								  .max_parallelism = t->env.max_parallelism,
								  .same_parallelism = same_parallelism,
								  .same_senders = t->same_senders});
	return r->channels ? WR_OK : WR_EFATAL;
}

static int take_operator(struct restoring *r, struct stage *s, uint32_t subtask, const struct wr_block *block)
{
	struct wr_reader in = wr_reader_of(block->payload, block->len);
	struct wr_value *value = wr_arena_alloc(&r->arena, sizeof *value);
	int rc = value ? wr_value_parse(&in, &r->arena, value) : WR_EFATAL;

	if (rc == WR_OK && s->part_count && s->parts[s->part_count - 1].subtask == subtask)
		rc = wr_error_set(WR_EUSER, "a stage has two states of its own");
	if (rc == WR_OK)
		s->parts[s->part_count++] = (struct wr_saved_part){subtask, value};
	return rc;
}

/* State of one of our stages, if the group is ours. */
static int take_state(const struct reading *b, uint32_t i, bool broadcast, struct wr_block_reader *in,
		      struct wr_block *block)
{
	const struct wr_stage *s = &b->all->task->chain.stages[i];
	const struct stage *was = &b->all->stages[i];
	struct wr_saved_target to = {
	    .store = broadcast ? s->broadcast : s->store,
	    .states = broadcast ? was->broadcast : was->keyed,
	    .state_count = broadcast ? was->was->broadcast_count : was->was->state_count,
	    .max_parallelism = broadcast ? 1 : s->env->max_parallelism,
	    .newer = b->blob ? broadcast ? &was->newer_broadcast : &was->newer : NULL,
	    .blob = b->blob};
	int rc;

	if (!broadcast)
		wr_key_group_range(s->env->max_parallelism, s->env->parallelism, s->env->subtask,
				   &to.group_first, &to.group_last);
	if (!to.store || block->group < to.group_first || block->group > to.group_last)
		return WR_OK;
	rc = wr_block_load(in, block);
	return rc == WR_OK ? wr_saved_load(block, &b->dict, &to) : rc;
}

static int add_base(void *arg, const char *id)
{
	struct reading *b = arg;

	if (b->count == WR_SAVED_BLOBS_MAX)
		return wr_error_set(WR_EUSER, "it goes on from more than %d blobs", WR_SAVED_BLOBS_MAX - 1);
	b->ids[b->count] = wr_arena_strndup(&b->all->arena, id, strlen(id));
	return b->ids[b->count++] ? WR_OK : WR_EFATAL;
}

static int take_block(void *arg, struct wr_block_reader *in, struct wr_block *block)
{
	struct reading *b = arg;
	struct restoring *r = b->all;
	bool broadcast = block->stage >= WR_SNAPSHOT_BROADCAST;
	uint32_t vertex = b->vertex, formerly = r->from->manifest->vertices[vertex].parallelism;
	int32_t i = stage_of(r, vertex, block->stage - (broadcast ? WR_SNAPSHOT_BROADCAST : 0));
	bool keyed = block->kind == WR_BLOCK_VALUES || block->kind == WR_BLOCK_TIMERS ||
		     block->kind == WR_BLOCK_SHAPES || block->kind == WR_BLOCK_CHANGED;
	int rc = WR_OK;

	if (b->blob && !keyed) /* the newest says it */
		return WR_OK;
	switch (block->kind) {
	case WR_BLOCK_TASK:
		return take_times(r, vertex, b->subtask, in, block);
	case WR_BLOCK_SHAPES:
		rc = wr_block_load(in, block);
		return rc == WR_OK ? wr_saved_shapes(block, &b->dict) : rc;
	case WR_BLOCK_OPERATOR:
		if (i < 0)
			return WR_OK;
		rc = wr_block_load(in, block);
		return rc == WR_OK ? take_operator(r, &r->stages[i], b->subtask, block) : rc;
	case WR_BLOCK_IN_FLIGHT:
		return take_in_flight(b, in, block);
	case WR_BLOCK_NAMES: /* the stage knows them by its own state */
		return WR_OK;
	case WR_BLOCK_BASES:
		rc = wr_block_load(in, block);
		return rc == WR_OK ? wr_history_names_of(block, add_base, b) : rc;
	case WR_BLOCK_CHANGED:
		if (i < 0)
			return WR_OK;
		rc = wr_block_load(in, block);
		if (rc == WR_OK)
			rc = wr_saved_newer_add(
			    broadcast ? &r->stages[i].newer_broadcast : &r->stages[i].newer, b->blob, block);
		return rc;
	case WR_BLOCK_VALUES:
	case WR_BLOCK_TIMERS:
		/* S15: broadcast state is the same in all; new subtasks take it in turn */
		if (i < 0 || (broadcast && b->subtask != r->task->env.subtask % formerly))
			return WR_OK;
		return take_state(b, (uint32_t)i, broadcast, in, block);
	default:
		return wr_error_set(WR_EUSER, "a block of kind %d in a subtask's state", block->kind);
	}
}

static int take_subtask(struct restoring *r, uint32_t vertex, uint32_t subtask)
{
	struct reading b = {.all = r,
			    .vertex = vertex,
			    .subtask = subtask,
			    .ids = {r->from->manifest->vertices[vertex].tasks[subtask].blob},
			    .count = 1};
	int rc = WR_OK;

	for (; b.blob < b.count && rc == WR_OK; b.blob++) {
		wr_dict_init(&b.dict);
		rc = wr_block_each(r->from->blobs, b.ids[b.blob], take_block, &b);
		wr_dict_deinit(&b.dict);
	}
	for (uint32_t i = 0; i < r->task->chain.stage_count; i++) {
		wr_saved_newer_deinit(&r->stages[i].newer);
		wr_saved_newer_deinit(&r->stages[i].newer_broadcast);
	}
	return rc;
}

/* ---- the task ---- */

/* Stage `i` had ended: it says so to those behind it, and nothing else (C30). */
static int end_stage(struct wr_task *t, uint32_t i)
{
	struct wr_stage *s = &t->chain.stages[i];
	int rc = WR_OK;

	if (s->ops->had_ended)
		s->ops->had_ended(s);
	for (uint32_t k = 0; k < s->out_count && rc == WR_OK; k++) {
		rc = wr_port_event((struct wr_port *)s->outs[k], WR_EV_WATERMARK, WR_TS_MAX, 0, NULL);
		if (rc == WR_OK)
			rc = wr_port_event((struct wr_port *)s->outs[k], WR_EV_END, 0, 0, NULL);
	}
	t->past_end[i] = true;
	t->ended++;
	return rc;
}

/* The first stage had ended, and so had those of the others that are not alive; the first had them all where
 * nothing of the task is alive. */
static int restore_ended(struct restoring *r)
{
	struct wr_task *t = r->task;
	struct wr_chain *c = &t->chain;
	int rc = WR_OK;

	t->input_ended = true;
	for (uint32_t i = 0; i < c->stage_count && rc == WR_OK; i++)
		if (!r->stages[i].alive)
			rc = end_stage(t, i);
	for (uint32_t i = 0; i < c->stage_count; i++)
		while (!r->stages[i].alive && c->inboxes[i].first)
			wr_inbox_drop(c, i);
	return rc;
}

struct looking { /* at a subtask whose state is another's */
	struct restoring *all;
	uint32_t vertex;
};

/* Does it show that our vertex had not ended? Its stages are not restored as ended here either then, for it
 * is not known who feeds us now. */
static int look_alive(void *arg, struct wr_block_reader *in, struct wr_block *block)
{
	const struct looking *l = arg;
	struct restoring *r = l->all;
	struct times t;
	int rc;

	if (block->kind != WR_BLOCK_TASK)
		return WR_OK;
	rc = read_times(r, l->vertex, in, block, &t);
	for (uint32_t n = 0; rc == WR_OK && n < t.passed->count; n++) {
		int32_t i = stage_of(r, l->vertex, n);

		if (i >= 0 && !is_true(t.ended, n))
			r->stages[i].alive = true;
	}
	return rc;
}

static int take_vertex(struct restoring *r, uint32_t vertex)
{
	const struct wr_manifest_vertex *v = &r->from->manifest->vertices[vertex];
	const struct wr_stage_env *env = &r->task->env;
	bool ours = false, same = v->parallelism == env->parallelism;
	struct looking l = {r, vertex};
	int rc = WR_OK;

	for (uint32_t n = 0; n < v->stage_count; n++)
		ours |= stage_of(r, vertex, n) >= 0;
	if (!ours)
		return WR_OK;
	if (stage_of(r, vertex, 0) == 0)
		rc = open_channels(r, same);
	for (uint32_t i = 0; i < v->parallelism && rc == WR_OK; i++)
		if (v->tasks[i].blob && (!same || i == env->subtask))
			rc = take_subtask(r, vertex, i);
		else if (v->tasks[i].blob && !r->task->fed_by_ended)
			rc = wr_block_each(r->from->blobs, v->tasks[i].blob, look_alive, &l);
	return rc;
}

/* I11: timers of processing time ring again, those that are due by now at once. A timer for T rings at T + 1.
 */
static void ring_again(struct wr_stage *s)
{
	int64_t at = wr_timer_earliest(s->store, WR_TIMER_PROCESSING);

	if (at != INT64_MAX && at + 1 < s->deadline_ms)
		s->deadline_ms = at + 1;
}

static int restore_stage(struct restoring *r, uint32_t i)
{
	struct wr_stage *s = &r->task->chain.stages[i];
	const struct stage *from = &r->stages[i];
	struct wr_saved_state saved = {.count = from->part_count, .parts = from->parts};

	if (!from->was)
		return WR_OK;
	if (from->timed) {
		s->watermark = from->watermark;
		r->task->passed[i] = from->passed;
		if (i == 0)
			wr_metric_set(&r->task->stats.watermark, from->passed);
	}
	if (s->store) {
		if (s->keyer)
			wr_store_unset_key(s->store);
		else if (wr_store_set_one_key(s->store) != WR_OK)
			return WR_EFATAL;
		ring_again(s);
	}
	saved.parallelism = r->from->manifest->vertices[from->vertex].parallelism;
	return s->ops->restore && saved.count ? s->ops->restore(s, &saved) : WR_OK;
}

static int restore_all(struct restoring *r)
{
	struct wr_task *t = r->task;
	const struct stage *first;
	bool ended;
	int rc = WR_OK;

	r->stages = wr_arena_alloc(&r->arena, t->chain.stage_count * sizeof *r->stages);
	if (!r->stages)
		return WR_EFATAL;
	memset(r->stages, 0, t->chain.stage_count * sizeof *r->stages);
	first = &r->stages[0];
	for (uint32_t i = 0; i < t->chain.stage_count && rc == WR_OK; i++)
		rc = find_stage(r, i);
	for (uint32_t v = 0; v < r->from->manifest->vertex_count && rc == WR_OK; v++)
		rc = take_vertex(r, v);
	if (rc == WR_OK && !r->channels)
		rc = open_channels(r, true);
	ended = first->was && first->number == 0 && !first->alive;
	if (rc == WR_OK && ended)
		rc = restore_ended(r);
	else if (rc == WR_OK)
		rc = wr_inherit_begin(r->channels, first->timed && first->watermark != WR_TS_MAX
						       ? first->watermark
						       : WR_TS_NONE);
	if (t->barriers)
		wr_barriers_restore(t->barriers, r->from->manifest->checkpoint);
	for (uint32_t i = 0; i < t->chain.stage_count && rc == WR_OK; i++)
		if (!ended || r->stages[i].alive)
			rc = restore_stage(r, i);
	return rc;
}

int wr_task_restore(struct wr_task *t)
{
	struct restoring r = {.task = t, .from = t->restore};
	int rc;

	wr_arena_init(&r.arena, &mem);
	rc = restore_all(&r);
	wr_inherit_free(r.channels);
	wr_arena_deinit(&r.arena);
	return rc;
}
