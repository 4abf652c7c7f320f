/* SPDX-License-Identifier: Apache-2.0 */
/* result: the rows that windows give: key fields, aggregates, window_start and window_end.
 *
 * The shape depends on the types of the key's parts and of the results; the last one is
 * remembered. One thread.
 */
#pragma once
#include "record/key.h"
#include "task/stage.h"
#include "window/accums.h"

enum { WR_RESULT_FIELDS_MAX = WR_KEY_PARTS_MAX + WR_ACCUMS_MAX + 2 };

struct wr_result {
	struct wr_str keys[WR_KEY_PARTS_MAX];
	uint32_t key_count;
	const struct wr_accums *accums;
	bool bounds; /* window_start and window_end are fields */
	uint32_t shape, count;
	uint32_t fixed_len;			 /* of a row whose fields are all numbers; else 0 */
	uint32_t types[WR_RESULT_FIELDS_MAX];	 /* of the cells, in our order */
	uint32_t place_of[WR_RESULT_FIELDS_MAX]; /* our order → the shape's */
};

/* Borrows the strings of the plan's list of names and `accums`. */
void wr_result_init(struct wr_result *r, const struct wr_value *key_as, uint32_t key_count,
		    const struct wr_accums *accums, bool bounds);
/* Writes one row to `out`: `key` canonical bytes (NULL: no key), `slots` the accumulator, timestamp `ts`. */
int wr_result_emit(struct wr_result *r, struct wr_out *out, const uint8_t *key, uint32_t key_len,
		   const uint64_t *slots, int64_t start, int64_t end, int64_t ts);
