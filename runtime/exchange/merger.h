/* SPDX-License-Identifier: Apache-2.0 */
/* merger: rows that wait in a writer's buffer take in later ones of their key, where the reader does no more
 * than add rows up: a window of declared aggregates.
 *
 * Half of a stream's rows may be of one key. As one row they cost one copy to another core, one look for
 * their key and one addition there. What is merged has not left the writer, and the writer keeps nothing
 * else: so no row waits longer than without, none passes an event, and no checkpoint has to know.
 *
 *   row ─▶ one of its key, in the same grain of time, in the lane's buffer? ─yes─▶ added to that one
 *            └no─▶ written, with a weight if rows are counted, and remembered by its hash
 *
 * Results stay what they were. Sums are merged while they are whole numbers that a number holds exactly;
 * rows that are not ahead of the watermark are left alone, since a late row is counted, and may be wanted as
 * it came; so are all of a sender that was idle, for the reader's watermark may have gone past its own. Where
 * few rows find another one of their key, it rests for a while. One thread.
 */
#pragma once
#include "record/row.h"

enum wr_merge_fn { WR_MERGE_SUM, WR_MERGE_MIN, WR_MERGE_MAX };
enum { WR_MERGE_FIELDS_MAX = 16 };

/* The field of a row that says how many it stands for; without it, one. It is the first of its shape. */
#define WR_WEIGHT_NAME "\x01#"
enum { WR_WEIGHT_LEN = sizeof WR_WEIGHT_NAME - 1 };

struct wr_merge {
	struct wr_merge_field {
		struct wr_str name; /* none of the key's */
		enum wr_merge_fn fn;
	} fields[WR_MERGE_FIELDS_MAX];
	uint32_t count;
	bool weighs; /* the reader counts rows */
	/* Event time: rows whose times lie in the same [offset + n * grain, offset + (n + 1) * grain) may be
	 * merged. 0: times do not matter. */
	int64_t grain, offset;
};

struct wr_merger;
/* For rows with this key. Copies; names are borrowed. NULL with the error set when the heap refuses. */
struct wr_merger *wr_merger_new(const struct wr_merge *merge, const struct wr_str *keys, uint32_t key_count);
void wr_merger_free(struct wr_merger *m);

/* True if the next `rows` are to be looked at, one by one; they are counted. `watermark`: the last that was
 * said to those who get them. */
bool wr_merger_awake(struct wr_merger *m, uint32_t rows, int64_t watermark);

/* The sender says that it is idle. */
void wr_merger_idle(struct wr_merger *m);

/* Adds the row to one of its key and grain that lies in `data`. 0: that is done. Else the bytes that it takes
 * there: the caller makes room, in another buffer if need be, and has it written. `serial`: of the buffer
 * that has `data`, never 0 and no other's. */
uint32_t wr_merger_row(struct wr_merger *m, const struct wr_elem *row, uint64_t hash, uint8_t *data,
		       uint64_t serial);
/* Writes that row at data + at. */
void wr_merger_write(struct wr_merger *m, const struct wr_elem *row, uint64_t hash, uint8_t *data,
		     uint32_t at, uint64_t serial);
