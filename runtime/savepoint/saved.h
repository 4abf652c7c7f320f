/* SPDX-License-Identifier: Apache-2.0 */
/* saved: keyed state and timers as blocks, and back (checkpoint/FORMAT.md).
 *
 * Writing walks a frozen version and may happen on any thread; blocks of a key group are cut at about the
 * same size whatever the number of groups, so a store of any size is written with a few MB. Reading puts
 * what concerns a store's key groups into it, on its owner's thread.
 */
#pragma once
#include "checkpoint/block.h"
#include "record/dict.h"
#include "state/store.h"
#include "state/timers.h"

/* Writes all values and timers of a version that has the key groups first..last. */
int wr_saved_put_store(struct wr_block_writer *w, uint32_t stage, struct wr_frozen *f, uint32_t first,
		       uint32_t last);
/* The same of the entries `ids` (wr_frozen_changes), and behind them that older blobs are out of date as to
 * these. */
int wr_saved_put_changes(struct wr_block_writer *w, uint32_t stage, struct wr_frozen *f, uint32_t since,
			 uint32_t first, uint32_t last, const uint32_t *ids, uint32_t count);

/* The same one by one: values of the key groups first..last, then timers. NULL with the error set. */
struct wr_saved_writer;
struct wr_saved_writer *wr_saved_writer_new(struct wr_block_writer *w, uint32_t stage, uint32_t first,
					    uint32_t last);
void wr_saved_writer_free(struct wr_saved_writer *s);
/* An item is borrowed. Elements of a list in their order. */
int wr_saved_put_item(const struct wr_state_item *item, void *writer);
int wr_saved_put_timer(const struct wr_timer_item *item, void *writer);
/* Behind the last value, and behind the last timer. */
int wr_saved_end_values(struct wr_saved_writer *s);
int wr_saved_end_timers(struct wr_saved_writer *s);

/* Which entries of a stage's state in older blobs of a subtask are out of date. Blobs are numbered from the
 * newest on, which is 0. Zeroed it is empty. */
enum { WR_SAVED_BLOBS_MAX = 200 };
struct wr_saved_newer {
	uint8_t **pages; /* by number of the entry: 1 + the newest blob that has it, 0 = none so far */
	uint32_t page_count;
	uint32_t whole_at; /* the first blob behind which nothing is left of the stage */
};
void wr_saved_newer_deinit(struct wr_saved_newer *n);
/* A block of WR_BLOCK_CHANGED in blob `blob`; those of a newer one were read before. WR_EUSER: malformed. */
int wr_saved_newer_add(struct wr_saved_newer *n, uint32_t blob, const struct wr_block *block);
/* What `blob` has of entry `id` is out of date. */
bool wr_saved_is_old(const struct wr_saved_newer *n, uint32_t blob, uint32_t id);

/* Where the states of a block go. */
struct wr_saved_target {
	struct wr_store *store;
	const int32_t *states; /* by number there: number here, −1 = dropped */
	uint32_t state_count;
	uint32_t group_first, group_last;
	uint32_t max_parallelism; /* of the store */
	const struct wr_saved_newer *newer;
	uint32_t blob; /* in which the block is, for `newer` */
};
/* A block of WR_BLOCK_SHAPES. WR_EUSER: malformed. */
int wr_saved_shapes(const struct wr_block *block, struct wr_dict *dict);
/* A block of WR_BLOCK_VALUES or WR_BLOCK_TIMERS whose group is one of the target's. WR_EUSER: malformed. */
int wr_saved_load(const struct wr_block *block, const struct wr_dict *dict, const struct wr_saved_target *to);

/* As wr_saved_load, for those who only look: calls `each` for every value. Borrowed; `value` is in `room`,
 * with the shape's number here; of a block of timers, for every timer. */
int wr_saved_each_timer(const struct wr_block *block,
			int (*each)(void *arg, const struct wr_timer_item *item), void *arg);
int wr_saved_each(const struct wr_block *block, const struct wr_dict *dict, struct wr_bytes *room,
		  int (*each)(void *arg, const struct wr_state_item *item), void *arg);
