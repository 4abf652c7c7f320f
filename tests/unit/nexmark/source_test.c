/* SPDX-License-Identifier: Apache-2.0 */
/* source_test: the events themselves, how subtasks share them, and replay. The published events are in
 * first_200.ndjson: the first of the stream at 100,000 a second of event time. */
#include "unit/connect/stand.h"
#include "base/rand.h"
#include "nexmark/rows.h"

static int64_t watermarks, last_watermark;

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	(void)s;
	assert_true(wm > last_watermark || watermarks == 0);
	last_watermark = wm;
	watermarks++;
	return WR_OK;
}

/* Runs subtask k of n to the end; its rows stay in the buffer, and so do their places. */
static struct stand *run(uint32_t k, uint32_t n, double first, double count, const char *from)
{
	struct stand *st = stand_new("nexmark", k, n);
	int rc;

	watermarks = 0;
	stand_options(st, "n:rate", 1e5, "n:first", first, "n:count", count, "s:from", from, NULL);
	assert_int_equal(stand_open(st), WR_OK);
	while ((rc = st->stage.ops->poll(&st->stage)) == WR_OK)
		;
	assert_int_equal(rc, WR_END);
	return st;
}

/* ---- the published events ---- */

static void put_field(struct wr_bytes *out, const struct wr_elem *row, const char *name)
{
	struct wr_cell c = wr_row_lookup(row, name, (uint32_t)strlen(name));

	assert_true(c.type == WR_T_F64 || c.type == WR_T_STR);
	wr_bytes_printf(out, ",\"%s\":", name);
	if (c.type == WR_T_F64)
		wr_bytes_printf(out, "%lld", (long long)c.f64);
	else
		wr_bytes_put_json(out, c.str.p, c.str.len);
}

/* As the published file has it. */
static void put_event(struct wr_bytes *out, const struct wr_elem *row)
{
	static const char *const bid[] = {"auction", "bidder",	 "price", "channel",
					  "url",     "dateTime", "extra", NULL};
	static const char *const auction[] = {"id",	  "itemName", "description", "initialBid",
					      "reserve",  "dateTime", "expires",     "seller",
					      "category", "extra",    NULL};
	static const char *const person[] = {"id",    "name",	  "emailAddress", "creditCard", "city",
					     "state", "dateTime", "extra",	  NULL};
	const char *kind = wr_row_lookup(row, "bidder", 6).type	  ? "bid"
			   : wr_row_lookup(row, "seller", 6).type ? "auction"
								  : "person";
	const char *const *names = *kind == 'b' ? bid : *kind == 'a' ? auction : person;

	wr_bytes_printf(out, "{\"type\":\"%s\"", kind);
	for (; *names; names++)
		put_field(out, row, *names);
	wr_bytes_printf(out, "}\n");
}

static void test_the_first_events_are_the_published_ones_byte_for_byte(void **state)
{
	struct stand *st = run(0, 1, 0, 200, "generator");
	struct wr_bytes got = WR_BYTES_EMPTY;
	static char want[1 << 17];
	FILE *f = fopen("tests/unit/nexmark/first_200.ndjson", "r");
	size_t len;

	(void)state;
	assert_non_null(f);
	len = fread(want, 1, sizeof want, f);
	fclose(f);
	for (uint8_t *p = st->buffer; p < st->out.p; p += ((struct wr_elem *)p)->len)
		put_event(&got, (struct wr_elem *)p);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.data, want, len);
	wr_bytes_deinit(&got);
	stand_free(st);
}

/* ---- the shortcuts ---- */

static void test_a_bid_made_without_branches_is_the_bid_made_draw_by_draw(void **state)
{
	struct wr_nexmark x = {wr_nexmark_pool_take(), 10};
	struct wr_rand rand = {1};

	(void)state;
	for (int i = 0; i < 2000000; i++) {
		uint64_t below = UINT64_C(1) << (17 + i % 24), n = wr_rand_next(&rand) % below;
		struct wr_nexmark_bid a, b;

		n = n / 50 * 50 + 4 + n % 46;
		memset(&a, 0, sizeof a);
		memset(&b, 0, sizeof b);
		wr_nexmark_bid(&x, n, wr_nexmark_last_person(n), wr_nexmark_last_auction(n), &a);
		wr_nexmark_bid_exact(&x, n, &b);
		assert_memory_equal(&a, &b, sizeof a);
	}
	wr_nexmark_pool_give();
}

static void test_a_price_by_table_is_the_price_by_the_library(void **state)
{
	const struct wr_nexmark_pool *pool = wr_nexmark_pool_take();
	struct wr_random r = {7};

	(void)state;
	for (int i = 0; i < 2000000; i++) {
		double u = wr_random_double(&r);

		assert_int_equal(wr_nexmark_price_of(pool, u), (int64_t)(pow(10, u * 6) * 100 + 0.5));
	}
	for (int cents = 100; cents < 1000000; cents++) { /* where it is close */
		double u = log10((cents + 0.5) / 100) / 6;

		for (int k = -2; k <= 2; k++, u = nextafter(u, 1))
			assert_int_equal(wr_nexmark_price_of(pool, u), (int64_t)(pow(10, u * 6) * 100 + 0.5));
	}
	wr_nexmark_pool_give();
}

static void test_a_draw_is_refused_where_java_overflows(void **state)
{
	struct wr_rand rand = {3};

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint32_t bound = 1 + (uint32_t)(wr_rand_next(&rand) % 0x7fffffff),
			 u = wr_rand_next(&rand) & 0x7fffffff;
		int32_t sum = (int32_t)(u + (bound - 1) - u % bound);

		assert_int_equal(wr_random_refused(u, bound, u % bound), sum < 0);
	}
}

/* ---- sharing and places ---- */

static void test_subtasks_take_blocks_in_turn(void **state)
{
	struct stand *all = run(0, 1, 0, 12345, "generator");

	(void)state;
	for (uint32_t n = 2; n <= 7; n++) {
		struct stand *parts[7];
		uint8_t *p = all->buffer, *at[7];
		uint64_t rows = 0;

		for (uint32_t k = 0; k < n; k++) {
			parts[k] = run(k, n, 0, 12345, "generator");
			at[k] = parts[k]->buffer;
			rows += parts[k]->out.rows;
		}
		assert_int_equal(rows, 12345);
		for (uint64_t e = 0; e < rows; e++, p += ((struct wr_elem *)p)->len) {
			uint8_t **from = &at[e / 1000 % n];

			assert_memory_equal(*from, p, ((struct wr_elem *)p)->len);
			*from += ((struct wr_elem *)p)->len;
		}
		for (uint32_t k = 0; k < n; k++)
			stand_free(parts[k]);
	}
	stand_free(all);
}

static void test_the_stream_goes_on_from_any_event(void **state)
{
	static const uint32_t firsts[] = {1, 49, 50, 999, 1000, 1001, 4321, 6999, 7000};
	struct stand *all = run(0, 1, 0, 7000, "generator");

	(void)state;
	for (unsigned i = 0; i < sizeof firsts / sizeof *firsts; i++) {
		struct stand *parts[2];
		uint8_t *p = all->buffer, *at[2];

		for (uint32_t k = 0; k < 2; k++) {
			parts[k] = run(k, 2, firsts[i], 7000 - firsts[i], i % 2 ? "memory" : "generator");
			at[k] = parts[k]->buffer;
		}
		assert_int_equal(parts[0]->out.rows + parts[1]->out.rows, 7000 - firsts[i]);
		for (uint32_t e = 0; e < 7000; e++, p += ((struct wr_elem *)p)->len) {
			uint8_t **from = &at[e / 1000 % 2];

			if (e < firsts[i])
				continue;
			assert_memory_equal(*from, p, ((struct wr_elem *)p)->len);
			*from += ((struct wr_elem *)p)->len;
		}
		stand_free(parts[0]);
		stand_free(parts[1]);
	}
	stand_free(all);
}

static void test_each_block_ends_with_the_watermark_that_it_allows(void **state)
{
	struct stand *st = run(1, 3, 0, 10000, "generator");
	int64_t ts = 0;

	(void)state;
	assert_int_equal(watermarks, 3);
	for (uint8_t *p = st->buffer; p < st->out.p; p += ((struct wr_elem *)p)->len) {
		struct wr_elem *row = (struct wr_elem *)p;

		assert_true(row->ts >= ts);
		ts = row->ts;
		assert_true(wr_row_lookup(row, "dateTime", 8).f64 == (double)ts);
	}
	assert_int_equal(ts, WR_NEXMARK_BASE_MS + 79);
	assert_int_equal(last_watermark, ts - 1);
	stand_free(st);
}

static void test_replayed_rows_are_the_generated_ones(void **state)
{
	struct stand *a = run(1, 2, 0, 5500, "generator"), *b = run(1, 2, 0, 5500, "memory");

	(void)state;
	assert_int_equal(a->out.p - a->buffer, b->out.p - b->buffer);
	assert_memory_equal(a->buffer, b->buffer, a->out.p - a->buffer);
	assert_int_equal(a->out.rows, b->out.rows);
	assert_int_equal(watermarks, 3);
	stand_free(a);
	stand_free(b);
}

static void test_lite_auctions_are_the_same_without_their_texts(void **state)
{
	static const char *const kept[] = {"category", "dateTime", "expires", "id", "initialBid", "seller"};
	static const char *const left_out[] = {"description", "extra", "itemName", "reserve"};
	static _Alignas(8) uint8_t a[WR_NEXMARK_ROW_MAX], b[WR_NEXMARK_ROW_MAX];
	struct wr_nexmark_rows full = {.stream = {wr_nexmark_pool_take(), 10}}, lite = full;

	(void)state;
	lite.lite = true;
	assert_int_equal(wr_nexmark_rows_init(&full), WR_OK);
	assert_int_equal(wr_nexmark_rows_init(&lite), WR_OK);
	for (uint64_t n = 0; n < 100000; n++) {
		uint32_t len = wr_nexmark_row(&full, n, a), lite_len = wr_nexmark_row(&lite, n, b);

		assert_int_equal(wr_elem_verify(a, len, NULL), WR_OK);
		assert_int_equal(wr_elem_verify(b, lite_len, NULL), WR_OK);
		if (n % 50 < 1 || n % 50 > 3) {
			assert_int_equal(len, lite_len);
			assert_memory_equal(a, b, len);
			continue;
		}
		for (int i = 0; i < 6; i++)
			assert_true(wr_row_lookup((void *)a, kept[i], (uint32_t)strlen(kept[i])).f64 ==
				    wr_row_lookup((void *)b, kept[i], (uint32_t)strlen(kept[i])).f64);
		for (int i = 0; i < 4; i++)
			assert_int_equal(
			    wr_row_lookup((void *)b, left_out[i], (uint32_t)strlen(left_out[i])).type, 0);
	}
	wr_nexmark_pool_give();
}

static void test_rows_have_the_fields_that_are_read_as_they_are_in_whole_rows(void **state)
{
	static const char *const names[] = {"auction",	"bidder",      "category", "channel", "city",
					    "dateTime", "description", "extra",	   "id",      "itemName",
					    "name",	"price",       "reserve",  "state",   "url"};
	enum { NAMES = sizeof names / sizeof names[0] };
	static _Alignas(8) uint8_t a[WR_NEXMARK_ROW_MAX], b[WR_NEXMARK_ROW_MAX];
	struct wr_nexmark_rows whole = {.stream = {wr_nexmark_pool_take(), 10}};

	(void)state;
	assert_int_equal(wr_nexmark_rows_init(&whole), WR_OK);
	for (uint32_t set = 0; set < 1 << NAMES; set += 1 + set % 61) {
		struct wr_str read[NAMES];
		struct wr_nexmark_rows some = {.stream = whole.stream, .read = read};

		for (uint32_t i = 0; i < NAMES; i++)
			if (set >> i & 1)
				read[some.read_count++] =
				    (struct wr_str){names[i], (uint32_t)strlen(names[i])};
		assert_int_equal(wr_nexmark_rows_init(&some), WR_OK);
		for (uint64_t n = set % 1000; n < set % 1000 + 60; n++) {
			wr_nexmark_row(&whole, n, a);
			assert_int_equal(wr_elem_verify(b, wr_nexmark_row(&some, n, b), NULL), WR_OK);
			for (uint32_t i = 0; i < NAMES; i++) {
				struct wr_cell x =
				    wr_row_lookup((void *)a, names[i], (uint32_t)strlen(names[i]));
				struct wr_cell y =
				    wr_row_lookup((void *)b, names[i], (uint32_t)strlen(names[i]));

				assert_int_equal(y.type, set >> i & 1 ? x.type : 0);
				if (y.type == WR_T_F64)
					assert_true(x.f64 == y.f64);
				if (y.type != WR_T_STR)
					continue;
				assert_int_equal(x.str.len, y.str.len);
				assert_memory_equal(x.str.p, y.str.p, x.str.len);
			}
		}
	}
	wr_nexmark_pool_give();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_first_events_are_the_published_ones_byte_for_byte),
	    cmocka_unit_test(test_a_bid_made_without_branches_is_the_bid_made_draw_by_draw),
	    cmocka_unit_test(test_a_price_by_table_is_the_price_by_the_library),
	    cmocka_unit_test(test_a_draw_is_refused_where_java_overflows),
	    cmocka_unit_test(test_subtasks_take_blocks_in_turn),
	    cmocka_unit_test(test_the_stream_goes_on_from_any_event),
	    cmocka_unit_test(test_each_block_ends_with_the_watermark_that_it_allows),
	    cmocka_unit_test(test_replayed_rows_are_the_generated_ones),
	    cmocka_unit_test(test_lite_auctions_are_the_same_without_their_texts),
	    cmocka_unit_test(test_rows_have_the_fields_that_are_read_as_they_are_in_whole_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
