/* SPDX-License-Identifier: Apache-2.0 */
/* api: the border between C and Lua, in one declaration.
 *
 * This file is compiled by C and, preprocessed with WR_CDEF, handed to ffi.cdef when a
 * Lua state starts. What only some stages call is declared apart (api_state.h, api_async.h, record/words.h):
 * a declaration takes 100 bytes or more of each Lua state that reads it. Functions here are called by
 * compiled Lua code: they never call back into Lua and never raise a Lua error.
 */
#ifndef WR_SCRIPT_API_H
#define WR_SCRIPT_API_H
#include "record/element.h"
#include "record/shape.h"
#include "task/stage.h"

/* What a Lua stage and its loops share; one per stage, lives in C. */
struct wr_store; /* script/api_state.h */
struct wr_async; /* script/api_async.h */
struct wr_lua {
	struct wr_stage *stage;
	struct wr_async *async;	    /* of an async stage, or NULL */
	struct wr_store *store;	    /* keyed state, or NULL */
	struct wr_store *broadcast; /* broadcast state, or NULL */
	struct wr_out **outs;
	const uint8_t *row; /* the input row being handled, or the next one; NULL between batches */
	const uint8_t *end; /* of the batch */
	uint32_t input;	    /* of the batch: 0 or 1 */
	int32_t left;	    /* rows until the step's time is looked at again */
	int64_t ts;	    /* timestamp of the element or timer being handled */
	int64_t watermark;
	int64_t now_ms; /* processing time, read once a batch */
	uint32_t kind;	/* change kind of the current row, << 24 */
	uint32_t subtask, parallelism;
	uint32_t split;		   /* of the rows, for watermark strategies */
	double counts[64];	   /* rows that entered operator i of this stage in this call */
	double fallbacks;	   /* rows that had to take the tagged encoding */
	double lua_ns, collect_ns; /* time in Lua and in its collector; only with `doctor` */
	uint32_t doctor;	   /* set by Lua: measure them */
	uint32_t walks_at_end;	   /* set by Lua: each key has something to say at the end of event time */
	uint32_t migrating; /* set by Lua: there may be values of older versions; `migrate` brings them up */
	uint32_t may_rest;  /* an emit may let the thread rest; not in timers of processing time */
	uint32_t resting;   /* set by Lua: it does */
};

/* The key of `row` becomes the store's current key. 0, or an error code (wr_lua_error). */
int wr_lua_set_key(struct wr_lua *l, const uint8_t *row, uint32_t input);
/* Text of this thread's last error. */
const char *wr_lua_error(void);
/* Nonzero when the step's time is up or an output needs a pause; else sets `left`, by how long rows take. */
int wr_lua_spent(struct wr_lua *l);
/* An output asks for room once more: nonzero when it has had its share, and the thread is to rest. */
int wr_lua_full(struct wr_lua *l);
/* A random number in [0, 1) from the subtask's seed. */
double wr_lua_random(struct wr_lua *l);
/* Policy for a row that failed in operator `op` (index in the stage). 0 = go on, else stop with it. */
int wr_lua_bad_row(struct wr_lua *l, uint32_t op, const uint8_t *record, uint32_t record_len,
		   const char *error, uint32_t error_len);
/* A record came too late for operator `op`; `dropped`: nobody reads it. */
void wr_lua_late(struct wr_lua *l, uint32_t op, uint32_t dropped);
/* No window takes a record of operator `op`, though it is not late. */
void wr_lua_no_window(struct wr_lua *l, uint32_t op);
/* One line in the log, with the operator's task. */
void wr_lua_note(struct wr_lua *l, const char *text);
/* Watermark strategies: takes the time of the row at hand; 0 with `ts` set, 1: the row was refused and that
 * is dealt with, or an error code. */
int wr_lua_stamp(struct wr_lua *l);
/* The row at hand goes on, with `ts`. 0, or an error code. */
int wr_lua_pass(struct wr_lua *l);
/* A watermark of the split goes behind it. 0, or an error code. */
int wr_lua_mark(struct wr_lua *l, double watermark);
/* A place of the generated code meets values of a shape (lua/weir/internal/rows.lua): for those who may come
 * after it. */
void wr_lua_learned(struct wr_lua *l, double place, double shape);
/* A processing-time timer was added. */
void wr_lua_timer_added(struct wr_lua *l, int64_t time_ms);
#endif
