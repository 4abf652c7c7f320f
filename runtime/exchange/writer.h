/* SPDX-License-Identifier: Apache-2.0 */
/* writer: the output of one subtask on one edge: N channels behind one partitioning.
 *
 * Rows are copied into the current buffer of the chosen channel; a full buffer is pushed.
 * When all rows go the same way, the caller may write into the buffer itself
 * (wr_writer_page); to broadcast is to share one buffer. Emitting never waits: beyond its
 * pool a writer takes overdraft buffers, and wr_writer_ready() stays false until they are
 * back. Rows and events of one writer reach each channel in the order of the calls. One thread.
 */
#pragma once
#include "base/clock.h"
#include "exchange/channel.h"
#include "exchange/merger.h"
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
	WR_CUSTOM,    /* by the number in the hidden field "\x01p", which must be a channel's (P11) */
};

struct wr_writer_options {
	const char *name; /* borrowed: "word_count.flat_map -> count" */
	enum wr_partitioning partitioning;
	struct wr_channel **channels; /* copied; the channels are borrowed */
	uint32_t channel_count;
	struct wr_pool *pool;		/* taken, if the writer comes to be */
	const struct wr_str *key_names; /* WR_HASH */
	uint32_t key_count;
	uint32_t max_parallelism;     /* WR_HASH: at least channel_count */
	const struct wr_merge *merge; /* WR_HASH: how rows of a key may become one; NULL: not. Copied */
	uint32_t consumer; /* writers of one task with the same number, but 0, lead into inputs of one task */
	int64_t timeout_us; /* buffer timeout: 0 = after every batch, -1 = only when full */
	uint64_t seed;
	/* A row that cannot be partitioned (bad key, channel out of range): WR_OK = was dealt with (skipped,
	 * dead letter), else the error to stop with. */
	int (*on_bad_row)(void *arg, const struct wr_elem *row, int code);
	void *arg;
};
struct wr_writer;
/* NULL with the error set when the heap refuses. */
struct wr_writer *wr_writer_new(const struct wr_writer_options *o);
/* What was not flushed is dropped. */
void wr_writer_free(struct wr_writer *w);

/* The reserve for a batch is there. When not, `ready` of the pool fires later. */
bool wr_writer_ready(struct wr_writer *w);
/* True if the reserve is there by now; else asks for the pool's `ready`. Where the writer itself holds what
 * it waits for (many channels, a small pool) its partly filled buffers are pushed; a page never is. */
bool wr_writer_wait(struct wr_writer *w);
/* Copies the rows [p, end) to their channels. An error (a bad row, as on_bad_row says, or memory) leaves
 * those before it written: the job cannot go on with this writer. */
int wr_writer_rows(struct wr_writer *w, const uint8_t *p, const uint8_t *end);
/* All rows go the same way (whatever the partitioning calls it): wr_writer_page may be used. */
bool wr_writer_single(const struct wr_writer *w);
/* Single writers: the free room of the current buffer, at least `need` bytes (NULL: `need` is more than a
 * buffer: use wr_writer_rows, which fragments; or the heap refused, error set). wr_writer_commit says what
 * was written, `rows` whole rows; no other call but these two may lie between. */
uint8_t *wr_writer_page(struct wr_writer *w, uint32_t need, uint8_t **end);
void wr_writer_commit(struct wr_writer *w, uint8_t *upto, uint32_t rows);
/* An event to all channels behind everything written before; pushes. The payload is padded with zeros to a
 * multiple of 8 and must fit a buffer. A watermark for a channel for which no rows wait is held back until
 * the next flush, event or row: of many the last one goes. A barrier has the readers look, since it may be
 * wanted before its turn. WR_EFATAL when the heap refuses. */
int wr_writer_event(struct wr_writer *w, enum wr_event_type type, int64_t ts, const void *payload,
		    uint32_t payload_len);
/* A latency marker, to one channel after the other: all would be as many as there are ways through the job.
 */
int wr_writer_marker(struct wr_writer *w, int64_t ts, const void *payload, uint32_t payload_len);
/* Pushes watermarks that are held back, and partly filled buffers whose time is up (timeout 0, or `all`:
 * every one). The time of a buffer begins at the first flush that sees it; `now_ns` is monotonic. Gives the
 * time of the next flush that will be due, UINT64_MAX if none. */
uint64_t wr_writer_flush(struct wr_writer *w, uint64_t now_ns, bool all);

/* Of two writers into inputs of one task, which joins them: where `ahead` pushed a full buffer since the last
 * call, the partly filled one of `w` for the same channel follows, so that rows that belong together come
 * soon after each other. Single writers: no page of `w` is being written. */
void wr_writer_follow(struct wr_writer *w, const struct wr_writer *ahead);
/* True when a full buffer was pushed since the last wr_writer_followed. */
bool wr_writer_ahead(const struct wr_writer *w);
void wr_writer_followed(struct wr_writer *w);
uint32_t wr_writer_consumer(const struct wr_writer *w);

/* WR_EFATAL with the error set when the heap refused to queue a buffer, which is lost: the job cannot go on.
 * To be asked after calls that push. */
int wr_writer_status(const struct wr_writer *w);

const char *wr_writer_name(const struct wr_writer *w);

struct wr_writer_stats {
	int64_t rows, bytes, buffers; /* pushed; a broadcast row counts once */
	struct wr_pool_stats pool;
	uint32_t queued_max; /* longest channel queue now, in buffers */
};
/* Any thread: numbers may be a moment old. */
void wr_writer_stats(const struct wr_writer *w, struct wr_writer_stats *out);
