/* SPDX-License-Identifier: Apache-2.0 */
/* pending: rows J9, J11, J12, J13 and J14 on the queue itself, and random operations against a naive model.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "record/shape.h"
#include "script/pending.h"

static struct wr_mem mem = WR_MEM_INIT("test.pending");

static struct wr_pending *queue(bool ordered, uint32_t capacity, uint64_t timeout_ns)
{
	struct wr_pending_options o = {
	    .ordered = ordered, .capacity = capacity, .timeout_ns = timeout_ns, .mem = &mem};
	struct wr_pending *p = wr_pending_new(&o);

	assert_non_null(p);
	return p;
}

static void put(struct wr_pending *p, int64_t id, uint64_t now)
{
	struct wr_elem row = {.len = sizeof row, .tag = 1, .ts = id};

	assert_int_equal(wr_pending_put(p, &row, now), WR_OK);
}

static uint32_t begin(struct wr_pending *p, uint64_t now)
{
	uint32_t slot, asked;

	assert_int_equal(wr_pending_due(p, now, &slot, &asked), WR_DUE_BEGIN);
	return slot;
}

static void nothing_due(struct wr_pending *p, uint64_t now)
{
	uint32_t slot, asked;

	assert_int_equal(wr_pending_due(p, now, &slot, &asked), WR_DUE_NOTHING);
}

/* One result that says which row it is of. */
static void finish(struct wr_pending *p, uint32_t slot)
{
	assert_non_null(wr_pending_result(p, slot, 1, 0));
	wr_pending_done(p, slot);
}

static void row_goes_out(struct wr_pending *p, int64_t id)
{
	struct wr_pending_out out;

	assert_true(wr_pending_next(p, &out));
	assert_int_equal(out.event, 0);
	assert_int_equal(out.end - out.rows, sizeof(struct wr_elem));
	assert_int_equal(((const struct wr_elem *)out.rows)->ts, id);
	wr_pending_passed(p);
}

static void event_goes_out(struct wr_pending *p, enum wr_event_type type, int64_t ts)
{
	struct wr_pending_out out;

	assert_true(wr_pending_next(p, &out));
	assert_int_equal(out.event, type);
	assert_int_equal(out.ts, ts);
	wr_pending_passed(p);
}

static void nothing_goes_out(struct wr_pending *p)
{
	struct wr_pending_out out;

	assert_false(wr_pending_next(p, &out));
}

static void J9_ordered_results_leave_in_the_order_of_the_rows(void **state)
{
	struct wr_pending *p = queue(true, 10, 0);
	uint32_t a, b;

	(void)state;
	put(p, 1, 0);
	put(p, 2, 0);
	a = begin(p, 0);
	b = begin(p, 0);
	finish(p, b);
	nothing_goes_out(p);
	finish(p, a);
	row_goes_out(p, 1);
	row_goes_out(p, 2);
	assert_true(wr_pending_empty(p));
	wr_pending_free(p);
}

static void J9_unordered_results_stay_between_two_watermarks(void **state)
{
	struct wr_pending *p = queue(false, 10, 0);
	uint32_t a, b, c;

	(void)state;
	put(p, 1, 0);
	put(p, 2, 0);
	wr_pending_put_event(p, WR_EV_WATERMARK, 20);
	put(p, 3, 0);
	a = begin(p, 0);
	b = begin(p, 0);
	c = begin(p, 0);
	finish(p, c);
	nothing_goes_out(p);
	finish(p, b);
	row_goes_out(p, 2);
	nothing_goes_out(p);
	finish(p, a);
	row_goes_out(p, 1);
	event_goes_out(p, WR_EV_WATERMARK, 20);
	row_goes_out(p, 3);
	wr_pending_free(p);
}

static void watermarks_without_rows_between_take_one_place(void **state)
{
	struct wr_pending *p = queue(false, 1, 0);
	uint32_t a;

	(void)state;
	put(p, 1, 0);
	for (int64_t ts = 0; ts < 100; ts++)
		wr_pending_put_event(p, WR_EV_WATERMARK, ts);
	wr_pending_put_event(p, WR_EV_IDLE, 0);
	wr_pending_put_event(p, WR_EV_ACTIVE, 0);
	a = begin(p, 0);
	finish(p, a);
	row_goes_out(p, 1);
	event_goes_out(p, WR_EV_WATERMARK, 99);
	wr_pending_put_event(p, WR_EV_WATERMARK, 100);
	event_goes_out(p, WR_EV_WATERMARK, 100);
	wr_pending_free(p);
}

static void J10_a_full_queue_takes_no_row_until_one_went_out(void **state)
{
	struct wr_pending *p = queue(true, 2, 0);
	uint32_t a, b;

	(void)state;
	put(p, 1, 0);
	put(p, 2, 0);
	assert_true(wr_pending_full(p));
	a = begin(p, 0);
	b = begin(p, 0);
	finish(p, b);
	assert_true(wr_pending_full(p));
	finish(p, a);
	row_goes_out(p, 1);
	assert_false(wr_pending_full(p));
	wr_pending_free(p);
}

static void put_again(void *arg, const struct wr_elem *row, enum wr_event_type event, int64_t ts)
{
	if (row)
		assert_int_equal(wr_pending_put(arg, row, 0), WR_OK);
	else
		assert_int_equal(wr_pending_put_event(arg, event, ts), WR_OK);
}

static void J11_what_is_pending_can_be_put_into_another_queue_and_begins_anew(void **state)
{
	struct wr_pending *p = queue(true, 10, 0), *q = queue(true, 10, 0);
	uint32_t a, b;

	(void)state;
	put(p, 1, 0);
	wr_pending_put_event(p, WR_EV_WATERMARK, 15);
	put(p, 2, 0);
	begin(p, 0);
	b = begin(p, 0);
	finish(p, b);
	wr_pending_each(p, put_again, q);
	a = begin(q, 0);
	b = begin(q, 0);
	assert_int_equal(wr_pending_row(q, a)->ts, 1);
	finish(q, a);
	finish(q, b);
	row_goes_out(q, 1);
	event_goes_out(q, WR_EV_WATERMARK, 15);
	row_goes_out(q, 2);
	wr_pending_free(p);
	wr_pending_free(q);
}

static void J11_what_is_saved_is_restored_in_its_order_with_its_bytes(void **state)
{
	struct wr_pending *p = queue(false, 2, 0), *q = queue(false, 2, 0);
	struct wr_field_spec field = {.name = "n", .name_len = 1, .type = WR_T_F64};
	struct {
		struct wr_elem head;
		double n;
	} row = {.head = {.len = sizeof row, .ts = 7}, .n = 42};
	struct wr_bytes saved = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_arena arena;
	struct wr_reader r;
	struct wr_value v;
	uint32_t a;

	(void)state;
	row.head.tag = wr_shape_intern(&field, 1, 0, 0) | (uint32_t)WR_DELETE << 24;
	for (int i = 0; i < 3; i++)
		assert_int_equal(wr_pending_put(p, &row.head, 0), WR_OK);
	wr_pending_put_event(p, WR_EV_WATERMARK, 15);
	assert_int_equal(wr_pending_save(p, &saved), WR_OK);
	wr_arena_init(&arena, &mem);
	r = wr_reader_of(saved.data, saved.len);
	assert_int_equal(wr_value_parse(&r, &arena, &v), WR_OK);
	assert_int_equal(wr_pending_restore(q, &v, true, 0), WR_OK);
	assert_int_equal(wr_pending_save(q, &again), WR_OK);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	a = begin(q, 0);
	assert_memory_equal(wr_pending_row(q, a), &row, sizeof row);
	assert_int_equal(wr_pending_restore(q, &v.items[0], true, 0), WR_EUSER);
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&saved);
	wr_bytes_deinit(&again);
	wr_pending_free(p);
	wr_pending_free(q);
}

static void J12_an_answer_that_nobody_waits_for_is_passed_over(void **state)
{
	struct wr_pending *p = queue(true, 10, 50);
	uint32_t a, ask, slot, asked;
	bool known;

	(void)state;
	put(p, 1, 0);
	a = begin(p, 0);
	ask = wr_pending_ask(p, a);
	assert_int_equal(wr_pending_answer(p, a, ask + 1, "no", 2, &known), WR_OK);
	assert_false(known);
	assert_int_equal(wr_pending_answer(p, a, ask, "yes", 3, &known), WR_OK);
	assert_true(known);
	assert_int_equal(wr_pending_answer(p, a, ask, "no", 2, &known), WR_OK);
	assert_false(known);
	assert_int_equal(wr_pending_due(p, 0, &slot, &asked), WR_DUE_ANSWER);
	assert_memory_equal(wr_pending_answered(p, slot), "yes", 3);
	ask = wr_pending_ask(p, a);
	assert_int_equal(wr_pending_due(p, 50, &slot, &asked), WR_DUE_TIMEOUT);
	assert_int_equal(asked, ask);
	finish(p, slot);
	assert_int_equal(wr_pending_answer(p, a, ask, "no", 2, &known), WR_OK);
	assert_false(known);
	row_goes_out(p, 1);
	put(p, 2, 60);
	assert_int_equal(wr_pending_answer(p, a, ask, "no", 2, &known), WR_OK);
	assert_false(known);
	wr_pending_free(p);
}

static void J13_one_timeout_covers_all_attempts(void **state)
{
	struct wr_pending *p = queue(true, 10, 50);
	uint32_t a, asked;

	(void)state;
	put(p, 1, 0);
	for (uint64_t now = 0; now < 50; now += 20) {
		a = begin(p, now);
		wr_pending_sleep(p, a, now + 20, true);
	}
	assert_int_equal(wr_pending_deadline(p), 50);
	assert_int_equal(wr_pending_due(p, 50, &a, &asked), WR_DUE_TIMEOUT);
	assert_int_equal(asked, 0);
	finish(p, a);
	nothing_due(p, 1000);
	row_goes_out(p, 1);
	wr_pending_free(p);
}

static void J14_attempts_that_are_delayed_are_due_at_once_at_the_end(void **state)
{
	struct wr_pending *p = queue(true, 10, 0);
	uint32_t a, b;

	(void)state;
	put(p, 1, 0);
	put(p, 2, 0);
	a = begin(p, 0);
	b = begin(p, 0);
	wr_pending_sleep(p, a, 1000, false);
	wr_pending_sleep(p, b, 2000, true);
	nothing_due(p, 10);
	wr_pending_hurry(p);
	assert_int_equal(begin(p, 10), b);
	nothing_due(p, 10);
	wr_pending_free(p);
}

static void J11_other_functions_begin_anew_with_all_that_did_not_go_out(void **state)
{
	struct wr_pending *p = queue(true, 10, 50);
	uint32_t a, b, c, ask;
	bool known;

	(void)state;
	for (int64_t ts = 1; ts <= 4; ts++)
		put(p, ts, 0);
	wr_pending_put_event(p, WR_EV_WATERMARK, 15);
	a = begin(p, 0);
	b = begin(p, 0);
	c = begin(p, 0);
	ask = wr_pending_ask(p, a);
	finish(p, b);
	wr_pending_sleep(p, c, 1000, true);
	wr_pending_anew(p, 100);
	assert_int_equal(wr_pending_answer(p, a, ask, "\1", 1, &known), WR_OK);
	assert_false(known);
	for (int64_t ts = 1; ts <= 4; ts++) {
		uint32_t slot = begin(p, 120);

		assert_int_equal(wr_pending_row(p, slot)->ts, ts);
		finish(p, slot);
		row_goes_out(p, ts);
	}
	event_goes_out(p, WR_EV_WATERMARK, 15);
	assert_true(wr_pending_empty(p));
	wr_pending_free(p);
}

/* ---- random operations against a model ---- */

enum { ITEMS = 4000 };
struct item {
	bool event, done, out, begun;
	int64_t id;
	uint32_t slot;
};

/* May the item go out? Looks at all before it. */
static bool may_go(const struct item *items, int at, bool ordered)
{
	if (items[at].out || (!items[at].event && !items[at].done))
		return false;
	for (int i = 0; i < at; i++)
		if (!items[i].out && (ordered || items[at].event || items[i].event))
			return false;
	return true;
}

static int find(const struct item *items, int count, int64_t id)
{
	for (int i = 0; i < count; i++)
		if (items[i].id == id)
			return i;
	return -1;
}

static int random_pending(const struct item *items, int count, struct wr_rand *r)
{
	int from = count ? (int)wr_rand_below(r, (uint32_t)count) : 0;

	for (int i = 0; i < count; i++) {
		int at = (from + i) % count;

		if (!items[at].event && items[at].begun && !items[at].done)
			return at;
	}
	return -1;
}

static void deliver_one(struct wr_pending *p, struct item *items, int count, bool ordered, int *outs)
{
	struct wr_pending_out out;
	int at, may = 0;

	for (int i = 0; i < count; i++)
		may += may_go(items, i, ordered);
	assert_int_equal(wr_pending_next(p, &out), may > 0);
	if (!may)
		return;
	at = find(items, count, out.event ? out.ts : ((const struct wr_elem *)out.rows)->ts);
	assert_true(at >= 0 && may_go(items, at, ordered));
	assert_int_equal(items[at].event, out.event != 0);
	items[at].out = true;
	++*outs;
	wr_pending_passed(p);
}

static void run_model(bool ordered, uint64_t seed)
{
	static struct item items[ITEMS];
	struct wr_pending *p = queue(ordered, 20, 0);
	struct wr_rand r = {seed};
	int count = 0, outs = 0;

	memset(items, 0, sizeof items);
	while (outs < ITEMS / 10) {
		uint32_t what = wr_rand_below(&r, 10), slot, asked;
		int at;

		if (what < 3 && !wr_pending_full(p) && count < ITEMS) {
			items[count] = (struct item){.id = count};
			put(p, count++, 0);
		} else if (what == 3 && count && !items[count - 1].event && count < ITEMS) {
			items[count] = (struct item){.id = count, .event = true};
			wr_pending_put_event(p, WR_EV_WATERMARK, count++);
		} else if (what < 6 && wr_pending_due(p, 0, &slot, &asked) == WR_DUE_BEGIN) {
			at = (int)wr_pending_row(p, slot)->ts;
			assert_false(items[at].begun);
			items[at].begun = true;
			items[at].slot = slot;
		} else if (what < 8 && (at = random_pending(items, count, &r)) >= 0) {
			items[at].done = true;
			finish(p, items[at].slot);
		} else {
			deliver_one(p, items, count, ordered, &outs);
		}
	}
	wr_pending_free(p);
}

static void random_rows_and_watermarks_leave_as_a_model_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		run_model(false, seed);
		run_model(true, seed);
	}
	assert_int_equal(mem.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(J9_ordered_results_leave_in_the_order_of_the_rows),
	    cmocka_unit_test(J9_unordered_results_stay_between_two_watermarks),
	    cmocka_unit_test(watermarks_without_rows_between_take_one_place),
	    cmocka_unit_test(J10_a_full_queue_takes_no_row_until_one_went_out),
	    cmocka_unit_test(J11_what_is_pending_can_be_put_into_another_queue_and_begins_anew),
	    cmocka_unit_test(J11_what_is_saved_is_restored_in_its_order_with_its_bytes),
	    cmocka_unit_test(J12_an_answer_that_nobody_waits_for_is_passed_over),
	    cmocka_unit_test(J13_one_timeout_covers_all_attempts),
	    cmocka_unit_test(J11_other_functions_begin_anew_with_all_that_did_not_go_out),
	    cmocka_unit_test(J14_attempts_that_are_delayed_are_due_at_once_at_the_end),
	    cmocka_unit_test(random_rows_and_watermarks_leave_as_a_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
