/* SPDX-License-Identifier: Apache-2.0 */
/* sink_stage: a sink written in Lua (weir.sink) as a target of the epoch log (commit/sink.h).
 *
 * Holds a Lua state of its own, in which the script was run again to fetch the sink's functions. It is made,
 * used and closed by the committer's thread, so it may block; only when that thread is gone does another one
 * free it.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "commit/sink.h"
#include "script/lua_stage.h"
#include "script/vm.h"

/* Stack slots of the functions. */
enum { ERROR = 1, OPEN, LAST, COMMIT, CLOSE, TOP = CLOSE };
static const char *const names[] = {NULL, NULL, "open", "last", "commit", "close"};

struct lua_sink {
	struct wr_target base; /* first */
	struct wr_stage *stage;
	struct wr_vm *vm;
	bool opened;
	struct wr_epoch_rows *rows; /* during a commit */
	int rc;			    /* of reading them */
	char text[512];
};

static struct wr_mem mem = WR_MEM_INIT("script.sink");

static struct lua_sink *of(struct wr_target *t)
{
	return (struct lua_sink *)t;
}

static int put_about(const struct wr_stage *s, struct wr_bytes *out)
{
	wr_value_put_record(out, 4);
	wr_value_put_name(out, "job");
	wr_value_put_str(out, s->env->job);
	wr_value_put_name(out, "parallelism");
	wr_value_put_num(out, s->env->parallelism);
	wr_value_put_name(out, "subtask");
	wr_value_put_num(out, s->env->subtask);
	wr_value_put_name(out, "uid");
	wr_value_put_str(out, s->ops_stats[0].uid);
	return wr_bytes_status(out);
}

/* weir.internal.boot.sink(plan bytes, about) → table of functions, which go into their slots. */
static int boot(struct lua_sink *k)
{
	struct wr_bytes plan = WR_BYTES_EMPTY, about = WR_BYTES_EMPTY;
	lua_State *L = k->vm->L;
	int rc;

	wr_value_put(&plan, k->stage->plan);
	rc = wr_bytes_status(&plan);
	if (rc == WR_OK)
		rc = put_about(k->stage, &about);
	if (rc == WR_OK)
		rc = wr_vm_function(k->vm, "weir.internal.boot", "script_error");
	if (rc == WR_OK)
		rc = wr_vm_function(k->vm, "weir.internal.boot", "sink");
	if (rc == WR_OK) {
		lua_pushlstring(L, (const char *)plan.data, plan.len);
		lua_pushlstring(L, (const char *)about.data, about.len);
		rc = wr_vm_call(k->vm, 2, 1, ERROR);
	}
	wr_bytes_deinit(&plan);
	wr_bytes_deinit(&about);
	if (rc != WR_OK)
		return rc;
	for (int i = OPEN; i <= TOP; i++)
		lua_getfield(L, ERROR + 1, names[i]);
	lua_remove(L, ERROR + 1);
	k->vm->bundle = NULL; /* a job with other functions may have another; all of ours is loaded */
	WR_ASSERT(lua_gettop(L) == TOP);
	return WR_OK;
}

static int sink_open(struct wr_target *t, bool fresh)
{
	struct lua_sink *k = of(t);
	struct wr_bundle *bundle = k->stage->env->bundle;
	int rc;

	k->vm = wr_vm_new(bundle, false, wr_bundle_lua_memory(bundle));
	if (!k->vm)
		return WR_EFATAL;
	rc = wr_vm_disk_loaders(k->vm);
	if (rc == WR_OK)
		rc = boot(k);
	if (rc != WR_OK)
		return rc;
	k->opened = true;
	lua_pushvalue(k->vm->L, OPEN);
	lua_pushboolean(k->vm->L, fresh);
	return wr_vm_call(k->vm, 1, 0, ERROR);
}

static int sink_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	lua_State *L = of(t)->vm->L;
	char text[WR_MARK_TEXT];
	int rc;

	wr_mark_text(mark, text);
	lua_pushvalue(L, LAST);
	lua_pushstring(L, text);
	rc = wr_vm_call(of(t)->vm, 1, 1, ERROR);
	if (rc == WR_OK)
		*epoch = (uint64_t)lua_tonumber(L, -1);
	lua_settop(L, TOP);
	return rc;
}

/* The next batch: where it begins and ends, or nil. */
static int next_batch(lua_State *L)
{
	struct lua_sink *k = lua_touserdata(L, lua_upvalueindex(1));
	const uint8_t *rows, *end;
	int rc = k->rows ? wr_epoch_rows_next(k->rows, &rows, &end) : WR_END;

	if (rc == WR_OK) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)rows);
		lua_pushlightuserdata(L, (void *)(uintptr_t)end);
		return 2;
	}
	if (rc == WR_END)
		return 0;
	k->rc = rc;
	snprintf(k->text, sizeof k->text, "%s", wr_error_text());
	return luaL_error(L, "%s", k->text);
}

/* A log that cannot be read is no error of the script's, whatever it makes of it. */
static int sink_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
		       struct wr_epoch_rows *rows)
{
	struct lua_sink *k = of(t);
	lua_State *L = k->vm->L;
	char text[WR_MARK_TEXT];
	int rc;

	k->rows = rows;
	k->rc = WR_OK;
	wr_mark_text(mark, text);
	wr_vm_collect(k->vm);
	lua_pushvalue(L, COMMIT);
	lua_pushstring(L, text);
	lua_pushnumber(L, (lua_Number)epoch);
	lua_pushlightuserdata(L, k);
	lua_pushcclosure(L, next_batch, 1);
	rc = wr_vm_call(k->vm, 3, 1, ERROR);
	k->rows = NULL;
	if (k->rc != WR_OK)
		rc = wr_error_set(k->rc, "%s", k->text);
	else if (rc == WR_OK && lua_isstring(L, -1))
		rc = wr_error_set(WR_ETRANSIENT, "%s", lua_tostring(L, -1));
	lua_settop(L, TOP);
	return rc;
}

static void sink_free(struct wr_target *t)
{
	struct lua_sink *k = of(t);

	if (k->opened) {
		lua_settop(k->vm->L, TOP);
		lua_pushvalue(k->vm->L, CLOSE);
		if (wr_vm_call(k->vm, 0, 0, ERROR) != WR_OK)
			wr_warn(k->stage->env->task, "close: %s", wr_error_text());
	}
	wr_vm_free(k->vm);
	wr_free(&mem, k);
}

static const struct wr_target_ops lua_target = {
    .open = sink_open, .last = sink_last, .commit = sink_commit, .free = sink_free};

static int stage_open(struct wr_stage *s)
{
	struct lua_sink *k = wr_zalloc(&mem, sizeof *k);

	if (!k)
		return WR_EFATAL;
	k->base.ops = &lua_target;
	k->stage = s;
	return wr_sink_open(s, &k->base);
}

const struct wr_stage_ops wr_lua_sink_ops = {.kind = "lua_sink", .open = stage_open, WR_SINK_OPS};
