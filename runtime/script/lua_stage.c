/* SPDX-License-Identifier: Apache-2.0 */
/* lua_stage: a fused chain of Lua operators as a stage of a task.
 *
 * Holds one Lua state, in which the script was run again to fetch its functions, and
 * enters it once per batch. They run in a thread of that state, so that a record can rest
 * in the middle of what it emits (wr_lua_full), and so that the stack is still there when
 * an error is described. Everything else is generated Lua (lua/weir/internal/chain.lua),
 * which reaches back through the functions of api.h.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "script/api.h"
#include "script/lua_stage.h"
#include "script/vm.h"

/* Stack slots of the entry functions, and of the thread that runs them. */
enum { ROWS = 1, TIMERS, OPEN, CLOSE, READY, PERIODIC, MIGRATE, DESCRIBE, THREAD, LAST = THREAD };
enum { BROADCAST_MAX = 32 /* states; lua/weir/functions.lua refuses more */ };

static struct wr_mem mem = WR_MEM_INIT("script.stage");
static const char *const entry_names[] = {NULL,	   "rows",     "timers",  "open",    "close",
					  "ready", "periodic", "migrate", "describe"};

enum { OPS_MAX = sizeof((struct wr_lua *)NULL)->counts / sizeof(double) };
enum { LEARNED_MAX = 48 }; /* what is learned later is learned again by those who come after */

/* A shape that a place of the generated code has met, as wr_lua_learned was told. */
struct learned {
	double place, shape;
};

struct lua_stage {
	struct wr_lua shared; /* read and written by the generated code */
	struct wr_vm *vm;
	lua_State *thread; /* runs the entry functions: it can rest in the middle of a record (wr_lua_full) */
	bool out_of_memory;
	bool broken;		 /* the thread ended in an error, which nothing goes on from */
	uint32_t mores;		 /* times that an output asked for room since the thread was resumed */
	struct wr_keyer *keyer2; /* key of input 1 where it differs */
	struct wr_rand rand;
	uint32_t keyed_inputs; /* bit i: rows of input i have a key */
	double counted[OPS_MAX];
	int8_t emitter[OPS_MAX]; /* the operator whose output is counted by what enters this one, or -1 */
	int32_t group;		 /* rows between two looks at the clock */
	bool ending;		 /* the input has ended: timers up to last_ms fire */
	int64_t last_ms;
	/* keys of the rows from key_row on, taken together; key_at of key_count are used up */
	const uint8_t *key_row;
	uint32_t key_at, key_count;
	struct wr_short_key keys[WR_KEYS_MAX];
	/* read by the thread that makes other functions for the stage */
	struct learned learned[LEARNED_MAX];
	_Atomic uint32_t learned_count;
};

static struct lua_stage *of(struct wr_stage *s)
{
	return s->state;
}

/* Builds the chain: weir.internal.boot.stage(shared, plan bytes, what was learned) → table of entry
 * functions. */
static int stage_boot(struct lua_stage *ls, const struct wr_value *plan, struct lua_stage *before)
{
	uint32_t learned = before ? atomic_load_explicit(&before->learned_count, memory_order_acquire) : 0;
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	lua_State *L;
	int rc;

	wr_value_put(&bytes, plan);
	rc = wr_bytes_status(&bytes);
	if (rc == WR_OK)
		rc = wr_vm_function(ls->vm, "weir.internal.boot", "stage");
	if (rc != WR_OK) {
		wr_bytes_deinit(&bytes);
		return rc;
	}
	L = ls->vm->L;
	lua_pushlightuserdata(L, &ls->shared);
	lua_pushlstring(L, (const char *)bytes.data, bytes.len);
	wr_bytes_deinit(&bytes);
	lua_pushlstring(L, before ? (const char *)before->learned : "", learned * sizeof *before->learned);
	rc = wr_vm_call(ls->vm, 3, 1, 0);
	if (rc != WR_OK)
		return rc;
	wr_vm_trim(ls->vm);
	for (int i = ROWS; i <= DESCRIBE; i++)
		lua_getfield(L, 1, entry_names[i]);
	lua_remove(L, 1);
	ls->thread = lua_newthread(L);
	WR_ASSERT(lua_gettop(L) == LAST);
	return WR_OK;
}

/* Broadcast state, where the stage has some: one map a name, under a key that is always the same. */
static int open_broadcast(struct wr_stage *s)
{
	struct wr_state_desc descs[BROADCAST_MAX];
	struct wr_store_options o = {.states = descs, .max_parallelism = 1, .mem = &mem};
	const struct wr_value *list = wr_value_get(s->plan, "broadcast");

	if (!list || !list->count)
		return WR_OK;
	WR_ASSERT(list->count <= BROADCAST_MAX);
	for (uint32_t i = 0; i < list->count; i++)
		descs[i] = (struct wr_state_desc){.name = wr_value_str(&list->items[i], "name", ""),
						  .kind = WR_STATE_MAP};
	o.state_count = list->count;
	o.operator_uid = wr_value_str(s->plan, "name", "");
	s->broadcast = wr_store_new(&o);
	return s->broadcast ? wr_store_set_one_key(s->broadcast) : WR_EFATAL;
}

/* Number in the stage of the operator that a link names. */
static int8_t linked(const struct wr_stage *s, const struct wr_value *link, const char *end)
{
	const struct wr_value *list = wr_value_get(s->plan, "operators");
	int64_t id = wr_value_int(link, end, -1);

	for (uint32_t i = 0; i < s->ops_count; i++)
		if (wr_value_int(&list->items[i], "id", -1) == id)
			return (int8_t)i;
	WR_ASSERT(!"a link names an operator of its stage");
	return -1;
}

/* Is the output that `links->items[at]` carries counted elsewhere, by a port or by an earlier link? */
static bool counted_elsewhere(const struct wr_value *links, uint32_t at)
{
	const struct wr_value *link = &links->items[at];

	for (uint32_t i = 0; i < links->count; i++) {
		const struct wr_value *other = &links->items[i];

		if (i != at && wr_value_int(other, "from", -1) == wr_value_int(link, "from", -1) &&
		    !strcmp(wr_value_str(other, "tag", ""), wr_value_str(link, "tag", "")) &&
		    (i < at || wr_value_get(other, "port")))
			return true;
	}
	return false;
}

/* Rows between fused operators pass no port that could count them: what enters one is what left another. */
static void find_emitters(const struct wr_stage *s, struct lua_stage *ls)
{
	const struct wr_value *links = wr_value_get(s->options, "links");

	WR_ASSERT(s->ops_count <= OPS_MAX);
	memset(ls->emitter, -1, sizeof ls->emitter);
	for (uint32_t i = 0; links && i < links->count; i++)
		if (wr_value_get(&links->items[i], "to") && !counted_elsewhere(links, i))
			ls->emitter[linked(s, &links->items[i], "to")] = linked(s, &links->items[i], "from");
}

/* The script's code failed: its stack is still in the thread, and the thread of no more use. */
static int describe(struct lua_stage *ls, int rc)
{
	lua_State *L = ls->vm->L;
	char text[512];

	snprintf(text, sizeof text, "%s", wr_error_text());
	if (wr_vm_tell(ls->vm, DESCRIBE, THREAD, ls->out_of_memory ? text : NULL) != WR_OK)
		return wr_error_set(rc, "%s", text);
	wr_error_set(rc, "%s", lua_tostring(L, -1));
	lua_pop(L, 1);
	return rc;
}

/* Begins or goes on with the function in the thread; its `results` are left on the main stack. WR_AGAIN: it
 * rests in the middle of a record or timer, since its output is full. */
static int stage_resume(struct lua_stage *ls, int args, int results)
{
	int rc;

	ls->mores = 0;
	ls->shared.resting = 0;
	rc = wr_vm_resume(ls->vm, ls->thread, args, &ls->out_of_memory);
	if (rc == WR_AGAIN && !ls->shared.resting) {
		lua_pushliteral(ls->thread, "coroutine.yield outside of a coroutine");
		rc = wr_error_set(WR_EUSER, "%s", lua_tostring(ls->thread, -1));
	}
	if (rc == WR_AGAIN)
		return rc;
	if (rc != WR_OK) {
		ls->broken = true;
		return describe(ls, rc);
	}
	lua_settop(ls->thread, results);
	lua_xmove(ls->thread, ls->vm->L, results);
	return WR_OK;
}

/* Calls the entry function on top of the main stack, under its arguments. */
static int stage_enter(struct lua_stage *ls, int args, int results)
{
	WR_ASSERT(!ls->shared.resting && lua_gettop(ls->thread) == 0);
	lua_xmove(ls->vm->L, ls->thread, args + 1);
	return stage_resume(ls, args, results);
}

/* A Lua state with the functions that the script of `bundle` has for the stage, ready for what those `before`
 * (NULL: none) have met. Reads nothing of the stage that changes while it runs, so that any thread may make
 * another one. */
static int load(struct lua_stage *ls, struct wr_stage *s, const struct wr_value *plan,
		struct wr_bundle *bundle, struct lua_stage *before)
{
	int rc;

	ls->rand = s->env->rand;
	ls->keyed_inputs = (uint32_t)wr_value_int(s->plan, "keyed_inputs", 3);
	ls->group = 64;
	ls->shared.stage = s;
	ls->shared.store = s->store;
	ls->shared.broadcast = s->broadcast;
	ls->shared.outs = s->outs;
	ls->shared.ts = WR_TS_NONE;
	ls->shared.watermark = WR_TS_NONE;
	ls->shared.now_ms = wr_clock_ms(s->env->clock);
	ls->shared.subtask = s->env->subtask;
	ls->shared.parallelism = s->env->parallelism;
	ls->shared.may_rest = 1;
	find_emitters(s, ls);
	ls->vm = wr_vm_new(bundle, false, wr_bundle_lua_memory(bundle));
	rc = ls->vm ? stage_boot(ls, plan, before) : WR_EFATAL;
	if (rc != WR_OK)
		return rc;
	lua_pushvalue(ls->vm->L, OPEN);
	rc = stage_enter(ls, 0, 0);
	if (rc != WR_OK || !before)
		return rc;
	lua_pushvalue(ls->vm->L, READY);
	return stage_enter(ls, 0, 0);
}

static int stage_open(struct wr_stage *s)
{
	struct lua_stage *ls = wr_zalloc(&mem, sizeof *ls);
	int rc;

	if (!ls)
		return WR_EFATAL;
	s->state = ls;
	rc = wr_stage_second_keyer(s, &ls->keyer2);
	if (rc == WR_OK)
		rc = open_broadcast(s);
	if (rc == WR_OK)
		rc = load(ls, s, s->plan, s->env->bundle, NULL);
	if (rc == WR_OK && ls->shared.migrating)
		s->deadline_ms = ls->shared.now_ms;
	return rc;
}

/* Counters of the operators, from the generated code's numbers. */
static void stage_count(struct wr_stage *s, struct lua_stage *ls)
{
	for (uint32_t i = 0; i < s->ops_count; i++) {
		int64_t rows = (int64_t)(ls->shared.counts[i] - ls->counted[i]);

		if (!rows)
			continue;
		wr_metric_add(&s->ops_stats[i].rows_in, rows);
		if (ls->emitter[i] >= 0)
			wr_metric_add(&s->ops_stats[ls->emitter[i]].rows_out, rows);
		ls->counted[i] = ls->shared.counts[i];
	}
}

/* The boolean "stopped early" on top of the stack as an answer. */
static int stage_answer(struct wr_stage *s, struct lua_stage *ls, int rc)
{
	lua_State *L = ls->vm->L;
	bool more;

	stage_count(s, ls);
	if (rc != WR_OK)
		return rc;
	more = lua_tointeger(L, -1) != 0;
	lua_settop(L, LAST);
	return more ? WR_AGAIN : WR_OK;
}

enum { GO_ON = -1 }; /* as a number of arguments: what rests goes on */

/* One call of an entry function with its arguments on the stack; how far the heap may grow in it is said
 * before, for the cycles that end in it. */
static int stage_call(struct wr_stage *s, struct lua_stage *ls, int args)
{
	bool measured = ls->shared.doctor;
	uint64_t before = measured ? wr_clock_ns(s->env->clock) : 0, begin;
	int rc;

	wr_vm_collect(ls->vm);
	begin = measured ? wr_clock_ns(s->env->clock) : 0;
	rc = stage_answer(s, ls, args == GO_ON ? stage_resume(ls, 0, 1) : stage_enter(ls, args, 1));
	if (measured) {
		ls->shared.collect_ns += (double)(begin - before);
		ls->shared.lua_ns += (double)(wr_clock_ns(s->env->clock) - begin);
	}
	return rc;
}

static int stage_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct lua_stage *ls = of(s);
	int rc;

	ls->shared.now_ms = wr_clock_ms(s->env->clock);
	if (ls->shared.resting) {
		WR_ASSERT(rows->p == ls->shared.row);
		rc = stage_call(s, ls, GO_ON);
	} else {
		ls->shared.watermark = s->watermark;
		if (s->store)
			wr_store_set_now(s->store, ls->shared.now_ms);
		if (rows->p != ls->key_row)
			ls->key_at = ls->key_count = 0;
		ls->shared.row = rows->p;
		ls->shared.end = rows->end;
		ls->shared.input = rows->input;
		lua_pushvalue(ls->vm->L, ROWS);
		rc = stage_call(s, ls, 0);
	}
	rows->p = ls->shared.row;
	if (!ls->shared.resting)
		ls->shared.row = NULL;
	return rc;
}

bool wr_lua_stage_is_resting(const struct wr_stage *s)
{
	return ((const struct lua_stage *)s->state)->shared.resting;
}

static int stage_fire(struct wr_stage *s, enum wr_timer_kind kind, int64_t upto_ms)
{
	struct lua_stage *ls = of(s);
	lua_State *L = ls->vm->L;
	int rc;

	ls->shared.now_ms = wr_clock_ms(s->env->clock);
	ls->shared.watermark = s->watermark;
	ls->shared.may_rest = kind == WR_TIMER_EVENT;
	wr_store_set_now(s->store, ls->shared.now_ms);
	lua_pushvalue(L, TIMERS);
	lua_pushinteger(L, kind);
	lua_pushlightuserdata(L, &upto_ms);
	rc = stage_call(s, ls, 2);
	ls->shared.may_rest = 1;
	return rc;
}

static int stage_watermark(struct wr_stage *s, int64_t *wm)
{
	if (of(s)->shared.resting) {
		int rc = stage_call(s, of(s), GO_ON);

		if (rc != WR_OK)
			return rc;
	}
	if (of(s)->shared.walks_at_end && *wm == WR_TS_MAX)
		return stage_fire(s, WR_TIMER_EVENT, *wm);
	if (!s->store || wr_timer_earliest(s->store, WR_TIMER_EVENT) > *wm)
		return WR_OK;
	return stage_fire(s, WR_TIMER_EVENT, *wm);
}

/* A timer for time T fires at T + 1 ms, so that all records of millisecond T precede it (I7). */
static void stage_deadline(struct wr_stage *s)
{
	int64_t at = wr_timer_earliest(s->store, WR_TIMER_PROCESSING);

	s->deadline_ms = at == INT64_MAX ? at : at + 1;
	if (of(s)->shared.migrating && s->deadline_ms > of(s)->shared.now_ms)
		s->deadline_ms = of(s)->shared.now_ms + 1;
}

/* Some values of older versions are brought up, beside what else there is to do. */
static int stage_migrate(struct wr_stage *s, int64_t now_ms)
{
	struct lua_stage *ls = of(s);

	ls->shared.now_ms = now_ms;
	if (ls->shared.resting)
		return WR_OK;
	wr_store_set_now(s->store, now_ms);
	lua_pushvalue(ls->vm->L, MIGRATE);
	return stage_enter(ls, 0, 0);
}

/* The time of the last timer that was pending when the input ended. What these set for later does not fire:
 * a timer that sets itself again would never come to an end. */
static int64_t last_time(struct wr_stage *s)
{
	struct lua_stage *ls = of(s);

	if (!ls->ending)
		ls->last_ms = wr_timer_latest(s->store, WR_TIMER_PROCESSING);
	ls->ending = true;
	return ls->last_ms;
}

static int stage_time(struct wr_stage *s, int64_t now_ms)
{
	int rc = WR_OK;

	if (!s->store)
		return WR_OK;
	/* at the end of input now_ms is INT64_MAX: what is pending fires (I13), or is dropped */
	if (now_ms == INT64_MAX && !strcmp(wr_value_str(s->options, "on_end", "fire"), "drop")) {
		s->deadline_ms = INT64_MAX;
		return WR_OK;
	}
	if (of(s)->shared.migrating && now_ms != INT64_MAX)
		rc = stage_migrate(s, now_ms);
	if (rc != WR_OK)
		return rc;
	now_ms = now_ms == INT64_MAX ? last_time(s) : now_ms - 1;
	if (wr_timer_earliest(s->store, WR_TIMER_PROCESSING) <= now_ms)
		rc = stage_fire(s, WR_TIMER_PROCESSING, now_ms);
	stage_deadline(s);
	return rc;
}

static int stage_end(struct wr_stage *s)
{
	struct lua_stage *ls = of(s);

	lua_pushvalue(ls->vm->L, CLOSE);
	return stage_enter(ls, 0, 0);
}

struct wr_lua *wr_lua_stage_shared(struct wr_stage *s)
{
	return &of(s)->shared;
}

int wr_lua_stage_periodic(struct wr_stage *s, uint32_t split, bool gone, double *watermark, bool *any)
{
	lua_State *L = of(s)->vm->L;
	int rc;

	lua_pushvalue(L, PERIODIC);
	lua_pushinteger(L, (lua_Integer)split);
	lua_pushboolean(L, gone);
	rc = stage_enter(of(s), 2, 1);
	*any = rc == WR_OK && lua_isnumber(L, -1);
	*watermark = *any ? lua_tonumber(L, -1) : 0;
	lua_settop(L, LAST);
	return rc;
}

static void stage_free(struct wr_stage *s)
{
	struct lua_stage *ls = of(s);

	if (!ls)
		return;
	wr_vm_free(ls->vm);
	wr_keyer_free(ls->keyer2);
	if (s->broadcast)
		wr_store_free(s->broadcast);
	wr_free(&mem, ls);
	s->state = NULL;
}

/* ---- other functions for a running stage ---- */

void *wr_lua_stage_prepare(struct wr_stage *s, const struct wr_value *plan, void *bundle)
{
	struct lua_stage *ls = wr_zalloc(&mem, sizeof *ls);

	if (ls && load(ls, s, plan, bundle, of(s)) == WR_OK)
		return ls;
	wr_lua_stage_discard(ls);
	return NULL;
}

/* What is the stage's goes over; what is of a record or a batch, of which none is under way, stays. */
void *wr_lua_stage_swap(struct wr_stage *s, void *functions)
{
	struct lua_stage *old = of(s), *ls = functions;

	WR_ASSERT(!old->shared.resting && !ls->shared.resting);
	ls->keyer2 = old->keyer2;
	old->keyer2 = NULL;
	ls->rand = old->rand;
	ls->group = old->group;
	ls->ending = old->ending;
	ls->last_ms = old->last_ms;
	ls->shared.async = old->shared.async;
	old->shared.async = NULL;
	ls->key_at = ls->key_count = 0;
	ls->shared.row = NULL;
	s->state = ls;
	return old;
}

void wr_lua_stage_discard(void *functions)
{
	struct lua_stage *ls = functions;

	if (!ls)
		return;
	if (ls->thread && !ls->broken) {
		lua_pushvalue(ls->vm->L, CLOSE);
		if (stage_enter(ls, 0, 0) != WR_OK)
			wr_warn("script", "functions that were replaced: %s", wr_error_text());
	}
	wr_vm_free(ls->vm);
	wr_free(&mem, ls);
}

const struct wr_stage_ops wr_lua_stage_ops = {
    .kind = "lua",
    .counts = true,
    .open = stage_open,
    .rows = stage_rows,
    .is_resting = wr_lua_stage_is_resting,
    .watermark = stage_watermark,
    .time = stage_time,
    .end = stage_end,
    .prepare = wr_lua_stage_prepare,
    .swap = wr_lua_stage_swap,
    .discard = wr_lua_stage_discard,
    .free = stage_free,
};

const struct wr_stage_kind wr_script_kinds[] = {
    {"lua", &wr_lua_stage_ops},
    {"lua_async", &wr_lua_async_ops},
    {"lua_sink", &wr_lua_sink_ops},
    {"lua_watermarks", &wr_lua_watermarks_ops},
};
const unsigned wr_script_kinds_count = sizeof wr_script_kinds / sizeof *wr_script_kinds;

/* ---- called by generated code ---- */

/* Functions that are still prepared call, too, while the stage has others. */
static struct lua_stage *mine(struct wr_lua *l)
{
	return (struct lua_stage *)l;
}

static const struct wr_short_key *next_key(struct wr_lua *l, struct wr_keyer *k, const uint8_t *row)
{
	struct lua_stage *ls = mine(l);

	if (ls->key_at == ls->key_count) {
		wr_store_fetch(l->store, k, row, l->end);
		ls->key_count = wr_keyer_keys(k, row, l->end, ls->keys);
		ls->key_at = 0;
		wr_store_prefetch(l->store, ls->keys, ls->key_count);
	}
	ls->key_row = row + ((const struct wr_elem *)row)->len;
	return &ls->keys[ls->key_at++];
}

int wr_lua_set_key(struct wr_lua *l, const uint8_t *row, uint32_t input)
{
	struct wr_stage *s = l->stage;
	struct wr_keyer *k = WR_UNLIKELY(input == 1) && mine(l)->keyer2 ? mine(l)->keyer2 : s->keyer;
	const struct wr_short_key *key = next_key(l, k, row);

	if (WR_UNLIKELY(key->len == 0))
		return wr_store_set_row(l->store, k, (const struct wr_elem *)row);
	wr_store_set_short(l->store, key);
	return WR_OK;
}

/* A look at the clock costs as much as a few rows: cheap rows are looked at in larger groups, so that about
 * GROUP_NS pass between two looks. Groups shrink faster than they grow: rows may get dear at once. */
int wr_lua_spent(struct wr_lua *l)
{
	enum { GROUP_NS = 20000, ROWS_MIN = 4, ROWS_MAX = 256, SHRINK = 8 };
	struct lua_stage *ls = mine(l);
	uint64_t before = l->stage->looked_ns, began = l->stage->step_until_ns - WR_STEP_NS;
	int spent = wr_stage_spent(l->stage);

	if (l->stage->looked_ns - (before > began ? before : began) < GROUP_NS)
		ls->group = ls->group < ROWS_MAX ? ls->group * 2 : ROWS_MAX;
	else
		ls->group = ls->group > ROWS_MIN * SHRINK ? ls->group / SHRINK : ROWS_MIN;
	l->left = ls->group;
	return spent;
}

int wr_lua_full(struct wr_lua *l)
{
	enum { MORES_MAX = 64 };

	return ++mine(l)->mores >= MORES_MAX && l->may_rest && wr_stage_spent(l->stage);
}

const char *wr_lua_error(void)
{
	return wr_error_text();
}

double wr_lua_random(struct wr_lua *l)
{
	return (double)(wr_rand_next(&mine(l)->rand) >> 11) * 0x1p-53;
}

int wr_lua_bad_row(struct wr_lua *l, uint32_t op, const uint8_t *record, uint32_t record_len,
		   const char *error, uint32_t error_len)
{
	char text[1024];
	const struct wr_elem *row = record_len ? (const struct wr_elem *)record : NULL;

	if (error_len >= sizeof text)
		error_len = sizeof text - 1;
	memcpy(text, error, error_len);
	text[error_len] = 0;
	return wr_stage_bad_row(l->stage, op, row, NULL, 0, NULL, text, WR_EUSER);
}

void wr_lua_late(struct wr_lua *l, uint32_t op, uint32_t dropped)
{
	wr_metric_add(&l->stage->ops_stats[op].late, 1);
	wr_metric_add(&l->stage->ops_stats[op].late_dropped, dropped);
}

void wr_lua_no_window(struct wr_lua *l, uint32_t op)
{
	wr_metric_add(&l->stage->ops_stats[op].no_window, 1);
}

void wr_lua_note(struct wr_lua *l, const char *text)
{
	wr_warn(l->stage->env->task, "%s", text);
}

void wr_lua_learned(struct wr_lua *l, double place, double shape)
{
	struct lua_stage *ls = mine(l);
	uint32_t n = atomic_load_explicit(&ls->learned_count, memory_order_relaxed);

	if (n == LEARNED_MAX)
		return;
	ls->learned[n] = (struct learned){place, shape};
	atomic_store_explicit(&ls->learned_count, n + 1, memory_order_release);
}

void wr_lua_timer_added(struct wr_lua *l, int64_t time_ms)
{
	int64_t at = time_ms == INT64_MAX ? time_ms : time_ms + 1;

	if (at < l->stage->deadline_ms)
		l->stage->deadline_ms = at;
}
