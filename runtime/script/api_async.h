/* SPDX-License-Identifier: Apache-2.0 */
/* api_async: the border of async stages (script/async_stage.c); see api.h. */
#ifndef WR_SCRIPT_API_ASYNC_H
#define WR_SCRIPT_API_ASYNC_H
#include <stdint.h>

struct wr_lua;
/* What is to be done next, with the row of a slot. */
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
#endif
