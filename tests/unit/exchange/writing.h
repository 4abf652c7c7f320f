/* SPDX-License-Identifier: Apache-2.0 */
/* writing: a writer into a few channels, rows for it, and what came out of each channel. */
#pragma once
#include "unit/exchange/kit.h"

enum { CHANNELS = 5, SIZE = 256, MAXP = 128 };

static struct wr_pools *pools;
static struct wr_channel *channels[CHANNELS];
static struct wr_writer *w;
static struct wr_bytes rows;
static struct bell ready;
static int bad_rows, bad_answer;

static inline int on_bad_row(void *arg, const struct wr_elem *row, int code)
{
	(void)arg;
	(void)row;
	assert_int_equal(code, WR_EUSER);
	bad_rows++;
	return bad_answer;
}

static inline struct wr_writer_options options(enum wr_partitioning p, uint32_t count)
{
	static const struct wr_str key = {"k", 1};

	return (struct wr_writer_options){.name = "test",
					  .partitioning = p,
					  .channels = channels,
					  .channel_count = count,
					  .key_names = &key,
					  .key_count = 1,
					  .max_parallelism = MAXP,
					  .timeout_us = -1,
					  .seed = 42,
					  .on_bad_row = on_bad_row};
}

static inline void open_with(struct wr_writer_options o, uint32_t limit)
{
	static const struct wr_notify nobody;

	bell_init(&ready);
	bad_rows = 0;
	bad_answer = WR_OK;
	pools = wr_pools_new(SIZE, 1 << 30);
	for (uint32_t i = 0; i < o.channel_count; i++)
		channels[i] = wr_ring_new(&nobody);
	o.pool = wr_pool_new(pools, "test", limit, o.channel_count, &ready.notify);
	w = wr_writer_new(&o);
	assert_non_null(w);
}
static inline void open_plain(enum wr_partitioning p, uint32_t count)
{
	open_with(options(p, count), 1000);
}

static inline void close_all(uint32_t count)
{
	wr_writer_free(w);
	for (uint32_t i = 0; i < count; i++)
		channels[i]->ops->free(channels[i]);
	wr_pools_free(pools);
	wr_bytes_deinit(&rows);
	assert_int_equal(kit_blocks(), 0);
}

static inline void add(double key, double n)
{
	kit_put(&rows, (struct kit_row){key, n, 0});
}
static inline void send(void)
{
	assert_int_equal(kit_send(w, &rows), WR_OK);
	rows.len = 0;
}

/* Numbers n of all rows in channel c, in order; frees them. */
static inline uint32_t received(uint32_t c, double *n, uint32_t max)
{
	struct wr_buffer *b;
	uint32_t count = 0;

	while ((b = wr_ring_pop(channels[c]))) {
		uint32_t in_buffer = 0;

		for (uint32_t at = 0; at < b->rows_len; in_buffer++) {
			const struct wr_elem *row = (const struct wr_elem *)(b->data + at);

			assert_true(count < max);
			n[count++] = kit_n(row);
			at += row->len;
		}
		assert_int_equal(in_buffer, b->row_count);
		wr_buffer_unref(b);
	}
	return count;
}
