/* SPDX-License-Identifier: Apache-2.0 */
/* packer: what is packed block by block is what the reader of packed files unpacks, behind any block. */
#include "stream/packer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/rand.h"
#include "stream/feed.h"

/* What the first `len` packed bytes unpack to. */
static void unpack(const struct wr_bytes *packed, size_t len, struct wr_bytes *out)
{
	FILE *f = tmpfile();
	struct wr_feed *feed;
	size_t got;
	int rc;

	assert_int_equal(fwrite(packed->data, 1, len, f), len);
	fflush(f);
	rewind(f);
	feed = wr_file_feed_new(dup(fileno(f)), true);
	assert_non_null(feed);
	out->len = 0;
	do {
		rc = feed->ops->read(feed, wr_bytes_room(out, 4096), 4096, &got);
		out->len += rc == WR_OK ? got : 0;
	} while (rc == WR_OK);
	assert_int_equal(rc, WR_END);
	wr_feed_free(feed);
	fclose(f);
}

static void check(enum wr_packing packing, int level)
{
	struct wr_bytes plain = WR_BYTES_EMPTY, packed = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_packer *p = wr_packer_new(packing, level);
	struct wr_rand r = {7};

	assert_non_null(p);
	for (int i = 0; i < 30; i++) {
		size_t before = plain.len, len = 1 + wr_rand_next(&r) % (i % 5 ? 3000 : 300000);

		while (plain.len - before < len)
			wr_bytes_printf(&plain, "{\"user\":%u}\n", (unsigned)(wr_rand_next(&r) % 50000));
		assert_int_equal(wr_packer_put(p, plain.data + before, plain.len - before, &packed), WR_OK);
		unpack(&packed, packed.len, &again);
		assert_int_equal(again.len, plain.len);
		assert_memory_equal(again.data, plain.data, plain.len);
	}
	assert_true(packed.len < plain.len / 2);
	wr_packer_free(p);
	wr_bytes_deinit(&plain);
	wr_bytes_deinit(&packed);
	wr_bytes_deinit(&again);
}

static void gzip_can_be_read_behind_each_block(void **state)
{
	(void)state;
	check(WR_PACKING_GZIP, 0);
	check(WR_PACKING_GZIP, 9);
}

static void zstd_can_be_read_behind_each_block(void **state)
{
	(void)state;
	check(WR_PACKING_ZSTD, 0);
	check(WR_PACKING_ZSTD, 12);
}

/* Such blocks grow by the whole of a member's header and trailer. */
static void a_small_block_that_cannot_be_packed_fits_behind_another(enum wr_packing packing)
{
	struct wr_bytes plain = WR_BYTES_EMPTY, packed = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_packer *p = wr_packer_new(packing, 0);
	struct wr_rand r = {7};

	assert_non_null(p);
	for (size_t len = 1; len < 200; len++) {
		size_t before = plain.len;

		while (plain.len - before < len)
			wr_bytes_put_u8(&plain, (uint8_t)wr_rand_next(&r));
		assert_int_equal(wr_packer_put(p, plain.data + before, len, &packed), WR_OK);
	}
	unpack(&packed, packed.len, &again);
	assert_int_equal(again.len, plain.len);
	assert_memory_equal(again.data, plain.data, plain.len);
	wr_packer_free(p);
	wr_bytes_deinit(&plain);
	wr_bytes_deinit(&packed);
	wr_bytes_deinit(&again);
}

static void small_blocks_that_cannot_be_packed_fit(void **state)
{
	(void)state;
	a_small_block_that_cannot_be_packed_fits_behind_another(WR_PACKING_GZIP);
	a_small_block_that_cannot_be_packed_fits_behind_another(WR_PACKING_ZSTD);
}

static void a_compression_that_is_none_is_refused(void **state)
{
	enum wr_packing packing;

	(void)state;
	assert_int_equal(wr_packing_of("gzip", &packing), WR_OK);
	assert_int_equal(packing, WR_PACKING_GZIP);
	assert_int_equal(wr_packing_of("lz4", &packing), WR_EUSER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gzip_can_be_read_behind_each_block),
	    cmocka_unit_test(zstd_can_be_read_behind_each_block),
	    cmocka_unit_test(small_blocks_that_cannot_be_packed_fit),
	    cmocka_unit_test(a_compression_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
