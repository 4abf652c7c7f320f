/* SPDX-License-Identifier: Apache-2.0 */
/* frame_test: frames come out whole from any split of their bytes, and never damaged. */
#include "record/frame.h"
#include "unit/record/model.h"

enum { FRAMES = 200 };

static uint32_t payload_len(uint32_t i)
{
	return i * i % 997;
}
static uint8_t payload_byte(uint32_t i, uint32_t at)
{
	return (uint8_t)(i * 31 + at * 7);
}

static void put_frame(struct wr_bytes *out, uint32_t i)
{
	uint8_t payload[1000];

	for (uint32_t at = 0; at < payload_len(i); at++)
		payload[at] = payload_byte(i, at);
	wr_frame_put(out, (uint8_t)(WR_FRAME_DATA + i % 3), i, payload, payload_len(i));
}

static void frame_is(const struct wr_frame *f, uint32_t i)
{
	assert_int_equal(f->type, WR_FRAME_DATA + i % 3);
	assert_int_equal(f->flags, 0);
	assert_int_equal(f->channel, i);
	assert_int_equal(f->len, payload_len(i));
	assert_int_equal((uintptr_t)f->payload % 8, 0);
	for (uint32_t at = 0; at < f->len; at++)
		if (f->payload[at] != payload_byte(i, at))
			fail_msg("frame %u differs at byte %u", i, at);
}

static void stream(struct wr_bytes *out)
{
	for (uint32_t i = 0; i < FRAMES; i++)
		put_frame(out, i);
}

static void feed_in_pieces(const struct wr_bytes *bytes, struct wr_rand *r, uint32_t piece_max)
{
	struct wr_deframer d;
	struct wr_frame f;
	size_t at = 0;
	uint32_t next = 0;
	int rc = WR_AGAIN;

	wr_deframer_init(&d);
	while (at < bytes->len) {
		size_t piece = wr_rand_below(r, piece_max) + 1;

		if (piece > bytes->len - at)
			piece = bytes->len - at;
		wr_deframer_feed(&d, bytes->data + at, piece);
		at += piece;
		while ((rc = wr_deframer_next(&d, &f)) == WR_OK)
			frame_is(&f, next++);
		assert_int_equal(rc, WR_AGAIN);
	}
	assert_int_equal(next, FRAMES);
	wr_deframer_deinit(&d);
}

static void test_any_split_gives_the_same_frames(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_rand r = {51};

	(void)state;
	stream(&bytes);
	feed_in_pieces(&bytes, &r, 1);
	for (uint32_t piece = 2; piece < bytes.len * 2; piece *= 2)
		feed_in_pieces(&bytes, &r, piece);
	wr_bytes_deinit(&bytes);
}

static void test_frames_may_be_taken_slower_than_they_are_fed(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_rand r = {52};
	struct wr_deframer d;
	struct wr_frame f;
	size_t at = 0;
	uint32_t next = 0;

	(void)state;
	stream(&bytes);
	wr_deframer_init(&d);
	while (next < FRAMES) {
		size_t piece = wr_rand_below(&r, 1500);

		if (piece > bytes.len - at)
			piece = bytes.len - at;
		wr_deframer_feed(&d, bytes.data + at, piece);
		at += piece;
		if (wr_deframer_next(&d, &f) == WR_OK)
			frame_is(&f, next++);
	}
	assert_int_equal(wr_deframer_next(&d, &f), WR_AGAIN);
	wr_deframer_deinit(&d);
	wr_bytes_deinit(&bytes);
}

static void test_memory_does_not_grow_with_the_stream(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_deframer d;
	struct wr_frame f;

	(void)state;
	put_frame(&bytes, 30);
	wr_deframer_init(&d);
	for (int i = 0; i < 100000; i++) {
		wr_deframer_feed(&d, bytes.data, bytes.len);
		assert_int_equal(wr_deframer_next(&d, &f), WR_OK);
	}
	assert_in_range(d.pending.cap, 1, 4 * bytes.len);
	wr_deframer_deinit(&d);
	wr_bytes_deinit(&bytes);
}

/* A flipped length may ask for more bytes; no flipped bit may give a frame. */
static void test_no_flipped_bit_passes_and_a_bad_frame_stays_bad(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;

	(void)state;
	put_frame(&bytes, 7);
	put_frame(&bytes, 9);
	for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
		struct wr_deframer d;
		struct wr_frame f;
		uint32_t frames = 0;
		int rc;

		wr_deframer_init(&d);
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		wr_deframer_feed(&d, bytes.data, bytes.len);
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		while ((rc = wr_deframer_next(&d, &f)) == WR_OK)
			frame_is(&f, frames++ ? 9 : 7);
		assert_true(frames < 2);
		assert_true(rc == WR_EUSER || rc == WR_AGAIN);
		if (rc == WR_EUSER) {
			wr_deframer_feed(&d, bytes.data, bytes.len);
			assert_int_equal(wr_deframer_next(&d, &f), WR_EUSER);
		}
		wr_deframer_deinit(&d);
	}
	wr_bytes_deinit(&bytes);
}

static void header_is_refused(uint32_t at, uint8_t value, const char *words)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_deframer d;
	struct wr_frame f;

	wr_frame_put(&bytes, WR_FRAME_LETTER, 1, "x", 1);
	bytes.data[at] = value;
	wr_deframer_init(&d);
	wr_deframer_feed(&d, bytes.data, WR_FRAME_HEADER);
	assert_int_equal(wr_deframer_next(&d, &f), WR_EUSER);
	if (!strstr(wr_error_text(), words))
		fail_msg("'%s' does not say '%s'", wr_error_text(), words);
	wr_deframer_deinit(&d);
	wr_bytes_deinit(&bytes);
}

static void test_a_header_is_refused_before_its_payload_is_waited_for(void **state)
{
	(void)state;
	header_is_refused(0, 'w', "does not start with \"WEIR\"");
	header_is_refused(4, 2, "version 2; this is version 1");
	header_is_refused(5, 0, "type 0");
	header_is_refused(5, 4, "type 4");
	header_is_refused(6, 1, "flags 1");
	header_is_refused(15, 0x80, "the limit is");
}

static void test_the_largest_payload_passes_and_no_larger_one(void **state)
{
	uint8_t *payload = wr_zalloc(&model_mem, WR_FRAME_MAX);
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_deframer d;
	struct wr_frame f;
	uint32_t len = WR_FRAME_MAX + 1;

	(void)state;
	wr_frame_put(&bytes, WR_FRAME_DATA, 1, payload, WR_FRAME_MAX);
	wr_deframer_init(&d);
	wr_deframer_feed(&d, bytes.data, bytes.len);
	assert_int_equal(wr_deframer_next(&d, &f), WR_OK);
	assert_int_equal(f.len, WR_FRAME_MAX);
	memcpy(bytes.data + 12, &len, 4);
	wr_deframer_feed(&d, bytes.data, WR_FRAME_HEADER);
	assert_int_equal(wr_deframer_next(&d, &f), WR_EUSER);
	wr_deframer_deinit(&d);
	wr_bytes_deinit(&bytes);
	wr_free(&model_mem, payload);
}

static void test_no_memory_is_said_and_nothing_is_handed_out(void **state)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	struct wr_deframer d;
	struct wr_frame f;

	(void)state;
	put_frame(&bytes, 5);
	wr_deframer_init(&d);
	wr_mem_fail_at(1);
	wr_deframer_feed(&d, bytes.data, bytes.len);
	wr_mem_fail_at(0);
	assert_int_equal(wr_deframer_next(&d, &f), WR_EFATAL);
	wr_deframer_feed(&d, bytes.data, bytes.len);
	assert_int_equal(wr_deframer_next(&d, &f), WR_EFATAL);
	wr_deframer_deinit(&d);
	wr_bytes_deinit(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_split_gives_the_same_frames),
	    cmocka_unit_test(test_frames_may_be_taken_slower_than_they_are_fed),
	    cmocka_unit_test(test_memory_does_not_grow_with_the_stream),
	    cmocka_unit_test(test_no_flipped_bit_passes_and_a_bad_frame_stays_bad),
	    cmocka_unit_test(test_a_header_is_refused_before_its_payload_is_waited_for),
	    cmocka_unit_test(test_the_largest_payload_passes_and_no_larger_one),
	    cmocka_unit_test(test_no_memory_is_said_and_nothing_is_handed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
