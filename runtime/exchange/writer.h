/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the output of one subtask on one edge: N channels behind one partitioning.
 *
 * Rows are copied into the current buffer of the chosen channel; a full buffer is pushed.
 * When the edge leads to one channel only, the caller may write into the buffer itself
 * (wr_writer_page). Emitting never waits: beyond its pool a writer takes overdraft
 * buffers, and wr_writer_ready() stays false until they are back. One thread.
 */
#pragma once
#include "base/clock.h"
#include "exchange/channel.h"
#include "exchange/pool.h"
#include "record/key.h"

enum wr_partitioning {
	WR_FORWARD,   /* channel 0: the consumer of the same index */
	WR_HASH,      /* by key group */
	WR_REBALANCE, /* round robin over all, from a random start (P9) */
	WR_RESCALE,   /* round robin over the given (local) channels, from 0 (P10) */
	WR_SHUFFLE,   /* at random */
	WR_BROADCAST, /* to all */
	WR_GLOBAL,    /* to channel 0 */
	WR_CUSTOM,    /* by the number in the hidden field "\x01p" */
};

struct wr_writer_options {
	const char *name; /* for messages: "word_count.flat_map -> count" */
	enum wr_partitioning partitioning;
	struct wr_channel **channels; /* taken (freed with the writer's job, not by the writer) */
	uint32_t channel_count;
	struct wr_pool *pool;		/* taken */
	const struct wr_str *key_names; /* WR_HASH */
	uint32_t key_count;
	uint32_t max_parallelism;
	int64_t timeout_us; /* buffer timeout: 0 = after every batch, -1 = only when full */
	uint64_t seed;
	/* A row that cannot be partitioned (bad key, channel out of range): WR_OK = was dealt with (skipped,
	 * dead letter), else the error to stop with. */
	int (*on_bad_row)(void *arg, const struct wr_elem *row, int code);
	void *arg;
};
struct wr_writer;
struct wr_writer *wr_writer_new(const struct wr_writer_options *o);
void wr_writer_free(struct wr_writer *w);

/* The reserve for a batch is there. When not, `ready` of the pool fires later. */
bool wr_writer_ready(struct wr_writer *w);
/* Asks for the pool's `ready`; true if the reserve is there by now. */
bool wr_writer_wait(struct wr_writer *w);
/* Copies the rows [p, end) to their channels. *taken = end unless a bad row or memory stopped it. */
int wr_writer_rows(struct wr_writer *w, const uint8_t *p, const uint8_t *end);
/* One channel only: free room of the current buffer, at least `need` bytes (NULL: rows do not fit a
 * buffer: use wr_writer_rows, which fragments; or error set). wr_writer_commit says what was written. */
uint8_t *wr_writer_page(struct wr_writer *w, uint32_t need, uint8_t **end);
void wr_writer_commit(struct wr_writer *w, uint8_t *upto, uint32_t rows);
bool wr_writer_single(const struct wr_writer *w); /* wr_writer_page may be used */
/* An event to all channels behind everything written before; pushes. */
int wr_writer_event(struct wr_writer *w, enum wr_event_type type, int64_t ts, const void *payload,
		    uint32_t payload_len);
/* Pushes partly filled buffers whose time is up (timeout 0: all). Gives the monotonic time of the next
 * flush that will be due, UINT64_MAX if none. */
uint64_t wr_writer_flush(struct wr_writer *w, uint64_t now_ns, bool all);

struct wr_writer_stats {
	int64_t rows, bytes, buffers;
	struct wr_pool_stats pool;
	uint32_t queued_max; /* longest channel queue now, in buffers */
};
void wr_writer_stats(const struct wr_writer *w, struct wr_writer_stats *out);
