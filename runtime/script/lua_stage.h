/* SPDX-License-Identifier: Apache-2.0 */
/* lua_stage: the stage kind "lua", and what the kinds "lua_watermarks" (watermark_stage.c) and
 * "lua_async" (async_stage.c) have of it. Task's thread. */
#pragma once
#include "script/script.h"

extern const struct wr_stage_ops wr_lua_stage_ops;
extern const struct wr_stage_ops wr_lua_watermarks_ops; /* watermark_stage.c */
extern const struct wr_stage_ops wr_lua_async_ops;	/* async_stage.c */
extern const struct wr_stage_ops wr_lua_sink_ops;	/* sink_stage.c */

/* What generated code shares with the stage. */
struct wr_lua *wr_lua_stage_shared(struct wr_stage *s);
/* The user's object of a split at a tick: *watermark and *any say what it gave. `gone`: the split has ended,
 * the object is dropped. */
int wr_lua_stage_periodic(struct wr_stage *s, uint32_t split, bool gone, double *watermark, bool *any);

/* Of every kind of stage that runs Lua: see wr_stage_ops. */
bool wr_lua_stage_is_resting(const struct wr_stage *s);
void *wr_lua_stage_prepare(struct wr_stage *s, const struct wr_value *plan, void *bundle);
void *wr_lua_stage_swap(struct wr_stage *s, void *functions);
void wr_lua_stage_discard(void *functions);
