/* SPDX-License-Identifier: Apache-2.0 */
/* merger: rows of a key that become one on their way, against their sums; what must never be merged. */
#include "unit/exchange/kit.h"
#include <stdio.h>
#include <stdlib.h>

enum { CHANNELS = 3, SIZE = 4096, MAXP = 128, KEYS = 40, TIMES = 200, MARKS = 64 };

static struct wr_pools *pools;
static struct wr_channel *channels[CHANNELS];
static struct wr_writer *w;
static int64_t watermark;

/* ---- rows { hi, k, lo, n }, k a number or a text ---- */

struct row {
	int key;
	double n, lo, hi;
	int64_t ts;
	enum wr_kind kind;
};

static void key_text(int key, char out[32])
{
	snprintf(out, 32, "key number %d", key);
}

static int key_of(struct wr_str text)
{
	char name[32] = "";

	assert_true(text.len < sizeof name);
	memcpy(name, text.p, text.len);
	return atoi(name + strlen("key number "));
}

static void put(const struct row *r, bool text)
{
	struct wr_field_spec f[] = {{"hi", 2, WR_T_F64, 0},
				    {"k", 1, text ? WR_T_STR : WR_T_F64, 0},
				    {"lo", 2, WR_T_F64, 0},
				    {"n", 1, WR_T_F64, 0}};
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	char name[32];
	struct wr_cell cells[] = {{.type = WR_T_F64, .f64 = r->hi},
				  {.type = WR_T_F64, .f64 = r->key},
				  {.type = WR_T_F64, .f64 = r->lo},
				  {.type = WR_T_F64, .f64 = r->n}};

	key_text(r->key, name);
	if (text)
		cells[1] = (struct wr_cell){.type = WR_T_STR, .str = {name, (uint32_t)strlen(name)}};
	wr_row_put(&bytes, wr_shape_intern(f, 4, 0, 0), r->kind, r->ts, cells);
	assert_int_equal(kit_send(w, &bytes), WR_OK);
	wr_bytes_deinit(&bytes);
}

static struct wr_merge merging(int64_t grain, int64_t offset)
{
	return (struct wr_merge){
	    .fields = {{{"n", 1}, WR_MERGE_SUM}, {{"lo", 2}, WR_MERGE_MIN}, {{"hi", 2}, WR_MERGE_MAX}},
	    .count = 3,
	    .weighs = true,
	    .grain = grain,
	    .offset = offset};
}

static void open_with(const struct wr_merge *merge)
{
	static const struct wr_notify nobody;
	static const struct wr_str key = {"k", 1};
	struct wr_writer_options o = {.name = "test",
				      .partitioning = WR_HASH,
				      .channels = channels,
				      .channel_count = CHANNELS,
				      .key_names = &key,
				      .key_count = 1,
				      .max_parallelism = MAXP,
				      .merge = merge,
				      .timeout_us = -1};

	pools = wr_pools_new(SIZE, 1 << 30);
	for (uint32_t i = 0; i < CHANNELS; i++)
		channels[i] = wr_ring_new(&nobody);
	o.pool = wr_pool_new(pools, "test", 100000, CHANNELS, NULL);
	w = wr_writer_new(&o);
	assert_non_null(w);
	watermark = WR_TS_NONE;
}

static void mark(int64_t ts)
{
	watermark = ts;
	assert_int_equal(wr_writer_event(w, WR_EV_WATERMARK, ts, NULL, 0), WR_OK);
}

static void close_all(void)
{
	wr_writer_free(w);
	for (uint32_t i = 0; i < CHANNELS; i++)
		channels[i]->ops->free(channels[i]);
	wr_pools_free(pools);
	assert_int_equal(kit_blocks(), 0);
}

/* ---- what rows add up to, by the watermark in front of them, key and grain ---- */

struct sum {
	double n, lo, hi, rows;
};
static struct sum sent[MARKS][KEYS][TIMES], came[MARKS][KEYS][TIMES];
static uint32_t alone_sent, alone_came, rows_came;

static void sum_add(struct sum *s, const struct row *r, double rows)
{
	s->lo = s->rows == 0 || r->lo < s->lo ? r->lo : s->lo;
	s->hi = s->rows == 0 || r->hi > s->hi ? r->hi : s->hi;
	s->n += r->n;
	s->rows += rows;
}

static int64_t cell(const struct wr_merge *m, int64_t ts)
{
	return m->grain ? (ts - m->offset) / m->grain : 0;
}

static void forget(void)
{
	memset(sent, 0, sizeof sent);
	memset(came, 0, sizeof came);
	alone_sent = alone_came = rows_came = 0;
}

static double field(const struct wr_elem *e, const char *name, uint32_t len)
{
	struct wr_cell c = wr_row_lookup(e, name, len);

	return c.type == WR_T_F64 ? c.f64 : -1;
}

static void read_row(const struct wr_merge *m, const struct wr_elem *e, int64_t mark_number)
{
	struct row r = {.n = field(e, "n", 1),
			.lo = field(e, "lo", 2),
			.hi = field(e, "hi", 2),
			.key = (int)field(e, "k", 1),
			.ts = e->ts};
	double rows = field(e, WR_WEIGHT_NAME, WR_WEIGHT_LEN);
	struct wr_cell key = wr_row_lookup(e, "k", 1);

	assert_int_equal(wr_row_verify(wr_shape(wr_elem_shape(e)), wr_elem_body(e), wr_elem_body_len(e)), 0);
	if (key.type == WR_T_STR)
		r.key = key_of(key.str);
	alone_came += rows < 0;
	rows_came++;
	sum_add(&came[mark_number][r.key][cell(m, r.ts)], &r, rows < 0 ? 1 : rows);
}

static void read_all(const struct wr_merge *m)
{
	wr_writer_flush(w, 0, true);
	for (uint32_t c = 0; c < CHANNELS; c++) {
		struct wr_buffer *b;
		int64_t at_mark = 0;

		while ((b = wr_ring_pop(channels[c]))) {
			uint32_t in_buffer = 0;

			for (uint32_t at = 0; at < b->len;) {
				const struct wr_elem *e = (const struct wr_elem *)(b->data + at);

				if (wr_elem_is_event(e))
					at_mark = e->ts + 1;
				else
					read_row(m, e, at_mark);
				in_buffer += !wr_elem_is_event(e);
				at += e->len;
			}
			assert_int_equal(in_buffer, b->row_count);
			wr_buffer_unref(b);
		}
	}
}

/* Watermarks are 0, 1, 2 …: number i + 1 is in front of what follows. */
static void send_some(const struct wr_merge *m, struct wr_rand *rand, uint32_t count, bool text)
{
	for (uint32_t i = 0; i < count; i++) {
		struct row r = {.key = (int)wr_rand_below(rand, 8),
				.n = wr_rand_below(rand, 10) ? wr_rand_below(rand, 1000) : 0.5,
				.lo = wr_rand_below(rand, 1000),
				.hi = -(double)wr_rand_below(rand, 1000),
				.ts = wr_rand_below(rand, TIMES / 2),
				.kind = wr_rand_below(rand, 50) ? WR_INSERT : WR_UPDATE_AFTER};

		if (wr_rand_below(rand, 4) == 0)
			r.key = (int)wr_rand_below(rand, KEYS);
		if (wr_rand_below(rand, 100) == 0 && watermark < MARKS - 2)
			mark(watermark == WR_TS_NONE ? 0 : watermark + 1);
		alone_sent +=
		    r.kind != WR_INSERT || (m->grain && (watermark == WR_TS_NONE || r.ts <= watermark));
		put(&r, text);
		sum_add(&sent[watermark == WR_TS_NONE ? 0 : watermark + 1][r.key][cell(m, r.ts)], &r, 1);
	}
}

static void rows_add_up_to_what_was_sent_between_two_watermarks(void **state)
{
	static const int64_t grains[] = {0, 1, 7, 50};

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct wr_rand rand = {seed};
		struct wr_merge m = merging(grains[seed % NUMBER_OF(grains)], -(int64_t)(seed % 5));

		forget();
		open_with(&m);
		send_some(&m, &rand, 4000, seed & 4);
		read_all(&m);
		assert_memory_equal(sent, came, sizeof sent);
		assert_int_equal(alone_sent, alone_came);
		assert_true(rows_came < (m.grain ? 4000 : 2000));
		close_all();
	}
}

static bool was_idle;

/* How many rows of two come through. */
static uint32_t left_of(struct wr_merge m, struct row a, struct row b)
{
	forget();
	open_with(&m);
	mark(0);
	if (was_idle) {
		assert_int_equal(wr_writer_event(w, WR_EV_IDLE, 0, NULL, 0), WR_OK);
		assert_int_equal(wr_writer_event(w, WR_EV_ACTIVE, 0, NULL, 0), WR_OK);
	}
	put(&a, false);
	put(&b, false);
	read_all(&m);
	close_all();
	return rows_came;
}

static void rows_of_a_sender_that_was_idle_stay_apart_in_event_time(void **state)
{
	struct row a = {.key = 1, .n = 1, .ts = 5};

	(void)state;
	was_idle = true;
	assert_int_equal(left_of(merging(10, 0), a, a), 2);
	assert_int_equal(left_of(merging(0, 0), a, a), 1);
	was_idle = false;
}

static void what_would_not_be_the_same_stays_apart(void **state)
{
	struct wr_merge m = merging(10, 0);
	struct row a = {.key = 1, .n = 1, .ts = 5}, b = a;

	(void)state;
	assert_int_equal(left_of(m, a, b), 1);
	b.key = 2;
	assert_int_equal(left_of(m, a, b), 2);
	b = a, b.ts = 9;
	assert_int_equal(left_of(m, a, b), 1);
	b.ts = 10;
	assert_int_equal(left_of(m, a, b), 2);
	b = a, b.n = 0.5; /* order of additions would matter */
	assert_int_equal(left_of(m, a, b), 2);
	b.n = 0x1p53; /* a number has not the digits of the sum */
	assert_int_equal(left_of(m, a, b), 2);
	b.n = NAN;
	assert_int_equal(left_of(m, a, b), 2);
	b.n = INFINITY;
	assert_int_equal(left_of(m, a, b), 2);
	b = a, b.hi = NAN;
	assert_int_equal(left_of(m, a, b), 2);
	b = a, b.kind = WR_DELETE;
	assert_int_equal(left_of(m, a, b), 2);
	a.ts = b.ts = 0, b.kind = WR_INSERT; /* late, if the reader has heard of the watermark */
	assert_int_equal(left_of(m, a, b), 2);
	m.grain = 0;
	assert_int_equal(left_of(m, a, b), 1);
	m.fields[0].name = (struct wr_str){"missing", 7}; /* each is refused by the reader */
	assert_int_equal(left_of(m, a, b), 2);
}

static void rows_that_are_not_counted_have_no_weight(void **state)
{
	struct wr_merge m = merging(10, 0);
	struct row a = {.key = 1, .n = 1, .ts = 5};

	(void)state;
	m.weighs = false;
	assert_int_equal(left_of(m, a, a), 1);
	assert_int_equal(alone_came, 1);
	assert_true(came[1][1][0].n == 2);
}

static void where_few_rows_find_another_it_rests_and_looks_again(void **state)
{
	struct wr_merge m = merging(0, 0);
	struct row r = {.n = 1};
	uint32_t before;

	(void)state;
	forget();
	open_with(&m);
	for (int i = 0; i < 4096 + 65536; i++) {
		r.key = i;
		put(&r, false);
		if (i == 5000) { /* it rests */
			put(&r, false);
			put(&r, false);
		}
	}
	r.key = 1;
	for (int i = 0; i < 1000; i++)
		put(&r, false);
	wr_writer_flush(w, 0, true);
	for (uint32_t c = 0; c < CHANNELS; c++)
		for (struct wr_buffer *b; (b = wr_ring_pop(channels[c])); wr_buffer_unref(b))
			rows_came += b->row_count;
	before = 4096 + 65536 + 2;
	assert_true(rows_came >= before && rows_came < before + 100);
	close_all();
}

static void a_row_larger_than_a_buffer_goes_as_it_is(void **state)
{
	struct wr_merge m = {.weighs = true};
	struct wr_bytes rows = WR_BYTES_EMPTY;

	(void)state;
	open_with(&m);
	for (int i = 0; i < 3; i++)
		kit_put(&rows, (struct kit_row){1, 1, SIZE});
	assert_int_equal(kit_send(w, &rows), WR_OK);
	wr_writer_flush(w, 0, true);
	rows_came = 0;
	for (uint32_t c = 0; c < CHANNELS; c++)
		for (struct wr_buffer *b; (b = wr_ring_pop(channels[c])); wr_buffer_unref(b))
			rows_came += b->row_count;
	assert_int_equal(rows_came, 3);
	wr_bytes_deinit(&rows);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_add_up_to_what_was_sent_between_two_watermarks),
	    cmocka_unit_test(rows_of_a_sender_that_was_idle_stay_apart_in_event_time),
	    cmocka_unit_test(what_would_not_be_the_same_stays_apart),
	    cmocka_unit_test(rows_that_are_not_counted_have_no_weight),
	    cmocka_unit_test(where_few_rows_find_another_it_rests_and_looks_again),
	    cmocka_unit_test(a_row_larger_than_a_buffer_goes_as_it_is),
	};

	return cmocka_run_group_tests(tests, kit_no_leak, kit_no_leak);
}
