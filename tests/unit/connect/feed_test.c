/* SPDX-License-Identifier: Apache-2.0 */
/* feed_test: what letters bring is emitted in their order; what is no list of threes is an error. */
#include "connect/feed.h"
#include "unit/connect/stand.h"

int wr_stage_emit_watermark(struct wr_stage *s, int64_t wm)
{
	struct stand *st = s->env->post_arg;

	stand_take(st);
	wr_bytes_printf(&st->text, "watermark %lld\n", (long long)wm);
	return WR_OK;
}
int wr_stage_emit_idle(struct wr_stage *s, bool idle)
{
	struct stand *st = s->env->post_arg;

	stand_take(st);
	wr_bytes_printf(&st->text, "%s\n", idle ? "idle" : "active");
	return WR_OK;
}

/* Appends [word, time, n]. */
static void put(struct wr_bytes *b, enum wr_feed_word word, double time, double n)
{
	wr_value_put_num(b, word);
	if (time < 0)
		wr_value_put_nil(b);
	else
		wr_value_put_num(b, time);
	wr_value_put_num(b, n);
}

static int send(struct stand *st, struct wr_bytes *b)
{
	int rc = st->stage.ops->letter(&st->stage, WR_LETTER_FEED, b->data, (uint32_t)b->len);

	b->len = 0;
	return rc;
}

static void letters_are_emitted_in_their_order(void **state)
{
	struct stand *st = stand_new("feed", 0, 1);
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	wr_value_put_list(&b, 9);
	put(&b, WR_FEED_ROW, 5, 1);
	put(&b, WR_FEED_WATERMARK, 4, 0);
	put(&b, WR_FEED_ROW, -1, 2);
	assert_int_equal(send(st, &b), WR_OK);
	wr_value_put_list(&b, 6);
	put(&b, WR_FEED_IDLE, -1, 0);
	put(&b, WR_FEED_ACTIVE, -1, 0);
	assert_int_equal(send(st, &b), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	assert_string_equal(stand_text(st), "1\nwatermark 4\n2\nidle\nactive\n");
	wr_value_put_list(&b, 6);
	put(&b, WR_FEED_ROW, 5, 3);
	put(&b, WR_FEED_END, -1, 0);
	assert_int_equal(send(st, &b), WR_OK);
	assert_int_equal(stand_run(st), WR_END);
	assert_string_equal(stand_text(st), "1\nwatermark 4\n2\nidle\nactive\n3\n");
	wr_bytes_deinit(&b);
	stand_free(st);
}

static void a_row_has_the_time_that_it_was_given(void **state)
{
	struct stand *st = stand_new("feed", 0, 1);
	struct wr_bytes b = WR_BYTES_EMPTY;
	const struct wr_elem *e = (const struct wr_elem *)st->buffer;

	(void)state;
	assert_int_equal(stand_open(st), WR_OK);
	wr_value_put_list(&b, 6);
	put(&b, WR_FEED_ROW, 1700000000000, 1);
	put(&b, WR_FEED_ROW, -1, 2);
	assert_int_equal(send(st, &b), WR_OK);
	assert_int_equal(st->stage.ops->poll(&st->stage), WR_OK);
	assert_int_equal(e->ts, 1700000000000);
	assert_int_equal(wr_elem_next(e)->ts, WR_TS_NONE);
	wr_bytes_deinit(&b);
	stand_free(st);
}

static void what_is_no_list_of_threes_is_refused(void **state)
{
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct stand *st = stand_new("feed", 0, 1);

		assert_int_equal(stand_open(st), WR_OK);
		if (i == 0) {
			wr_value_put_str(&b, "text");
		} else if (i == 1) {
			wr_value_put_list(&b, 1);
			wr_value_put_num(&b, 0);
		} else {
			wr_value_put_list(&b, 3);
			put(&b, (enum wr_feed_word)99, 0, 0);
		}
		assert_int_equal(send(st, &b), WR_OK);
		assert_int_equal(stand_run(st), WR_EUSER);
		assert_non_null(strstr(wr_error_text(), "what is fed is no"));
		stand_free(st);
	}
	wr_bytes_deinit(&b);
}

static void other_letters_are_not_for_it(void **state)
{
	struct stand *st = stand_new("feed", 0, 1);

	(void)state;
	assert_int_equal(stand_open(st), WR_OK);
	assert_int_equal(st->stage.ops->letter(&st->stage, WR_LETTER_NO_MORE, NULL, 0), WR_OK);
	assert_int_equal(stand_run(st), WR_AGAIN);
	stand_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(letters_are_emitted_in_their_order),
	    cmocka_unit_test(a_row_has_the_time_that_it_was_given),
	    cmocka_unit_test(what_is_no_list_of_threes_is_refused),
	    cmocka_unit_test(other_letters_are_not_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
