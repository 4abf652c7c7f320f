/* SPDX-License-Identifier: Apache-2.0 */
/* api: the border between C and Lua, in one declaration.
 *
 * This file is compiled by C and, preprocessed with WR_CDEF, handed to ffi.cdef when a
 * Lua state starts; both sides compare WR_API_HASH. Functions here are called by compiled
 * Lua code: they never call back into Lua and never raise a Lua error.
 */
#ifndef WR_SCRIPT_API_H
#define WR_SCRIPT_API_H
#include "record/element.h"
#include "record/shape.h"
#include "record/words.h"
#include "state/store.h"
#include "state/timers.h"
#include "task/stage.h"

/* What a Lua stage and its loops share; one per stage, lives in C. */
struct wr_async; /* script/async_stage.c */
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
	uint32_t may_rest;	   /* an emit may let the thread rest; not in timers of processing time */
	uint32_t resting;	   /* set by Lua: it does */
};

/* The key of `row` becomes the store's current key. 0, or an error code (wr_lua_error). */
int wr_lua_set_key(struct wr_lua *l, const uint8_t *row, uint32_t input);
/* Text of this thread's last error. */
const char *wr_lua_error(void);
/* Nonzero when the step's time is up or an output needs a pause; else sets `left`, by how long rows take. */
int wr_lua_spent(struct wr_lua *l);
/* An output asks for room once more: nonzero when it has had its share, and the thread is to rest. */
int wr_lua_full(struct wr_lua *l);
/* Reads the clock anew: milliseconds of processing time. */
int64_t wr_lua_now(struct wr_lua *l);
/* A random number in [0, 1) from the subtask's seed. */
double wr_lua_random(struct wr_lua *l);
/* Policy for a row that failed in operator `op` (index in the stage). 0 = go on, else stop with it. */
int wr_lua_bad_row(struct wr_lua *l, uint32_t op, const uint8_t *record, uint32_t record_len,
		   const char *error, uint32_t error_len);
/* A record came too late for operator `op`; `dropped`: nobody reads it. */
void wr_lua_late(struct wr_lua *l, uint32_t op, uint32_t dropped);
/* One line in the log, with the operator's task. */
void wr_lua_note(struct wr_lua *l, const char *text);
/* Watermark strategies: takes the time of the row at hand; 0 with `ts` set, 1: the row was refused and that
 * is dealt with, or an error code. */
int wr_lua_stamp(struct wr_lua *l);
/* The row at hand goes on, with `ts`. 0, or an error code. */
int wr_lua_pass(struct wr_lua *l);
/* A watermark of the split goes behind it. 0, or an error code. */
int wr_lua_mark(struct wr_lua *l, double watermark);
/* Async stages (script/async_stage.c): what is to be done next, with the row of a slot. */
struct wr_async_due {
	uint32_t what; /* enum wr_due of script/pending.h */
	uint32_t slot;
	const uint8_t *row;    /* as it came in; valid until the slot waits or is done */
	const uint8_t *answer; /* WR_DUE_ANSWER: a tagged value, as long */
};
struct wr_async_get {
	const char *url, *headers; /* "Name: value" lines */
	double timeout_ms, redirects_max, body_max;
};
/* 1 with *due set, or 0. */
int wr_async_next(struct wr_lua *l, struct wr_async_due *due);
/* Room for the body of a result row; NULL: no memory. */
uint8_t *wr_async_result(struct wr_lua *l, uint32_t slot, uint32_t shape, uint32_t body_len);
/* Drops the results of the slot so far. */
void wr_async_drop(struct wr_lua *l, uint32_t slot);
void wr_async_done(struct wr_lua *l, uint32_t slot);
/* The slot's row goes on, or with `again` is begun anew, in `ms`. */
void wr_async_sleep(struct wr_lua *l, uint32_t slot, double ms, uint32_t again);
/* The slot's row waits for the answer to a request. 0, or an error code; WR_EFATAL fails the stage. */
int wr_async_get(struct wr_lua *l, uint32_t slot, const struct wr_async_get *get);
/* Nonzero when all input was there: nothing is tried again any more (J14). */
int wr_async_ending(const struct wr_lua *l);
/* A processing-time timer was added. */
void wr_lua_timer_added(struct wr_lua *l, int64_t time_ms);
#endif
