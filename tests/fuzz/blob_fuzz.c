/* SPDX-License-Identifier: Apache-2.0 */
/* blob_fuzz: blocks and manifests. Looking at a block and then loading it must say what reading it says, and
 * what is no error must have a right sum. A manifest that is let in must come back the same when it is
 * written and read again. Checksums are put right first (first byte odd), or the fuzzer would never get
 * behind them.
 */
#include <stdlib.h>
#include "base/assert.h"
#include "base/error.h"
#include "checkpoint/manifest.h"
#include "fuzz/blob_in.h"

static struct wr_mem fuzz_mem = WR_MEM_INIT("fuzz");

static void read_blocks(const uint8_t *p, size_t len)
{
	struct wr_block_reader whole, twice, sums;
	struct wr_block a, b;
	int rc = WR_OK, checked = WR_OK;

	wr_block_reader_init(&whole, p, len);
	wr_block_reader_init(&twice, p, len);
	wr_block_reader_init(&sums, p, len);
	while (rc == WR_OK) {
		int other;

		rc = wr_block_next(&whole, &a);
		checked = checked == WR_OK ? wr_block_check(&sums) : checked;
		other = wr_block_peek(&twice, &b);
		if (other == WR_OK)
			other = wr_block_load(&twice, &b);
		WR_ASSERT(rc == other && (rc < 0 || rc == checked));
		if (rc == WR_OK)
			WR_ASSERT(a.kind == b.kind && a.len == b.len &&
				  (a.len == 0 || memcmp(a.payload, b.payload, a.len) == 0));
	}
	wr_block_reader_deinit(&whole);
	wr_block_reader_deinit(&twice);
	wr_block_reader_deinit(&sums);
}

static void read_manifest(const uint8_t *p, size_t len)
{
	struct wr_bytes once = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_manifest m;
	struct wr_arena arena;

	wr_arena_init(&arena, &fuzz_mem);
	if (wr_manifest_decode(p, len, &arena, &m) == WR_OK) {
		WR_ASSERT(wr_manifest_encode(&m, &once) == WR_OK);
		WR_ASSERT(wr_manifest_decode(once.data, once.len, &arena, &m) == WR_OK);
		WR_ASSERT(wr_manifest_encode(&m, &again) == WR_OK);
		WR_ASSERT(once.len == again.len && memcmp(once.data, again.data, once.len) == 0);
	}
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&once);
	wr_bytes_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t blob_len;
	uint8_t *blob;

	if (len < 1)
		return 0;
	blob = blob_of_input(data, len, &blob_len);
	read_blocks(blob, blob_len);
	read_manifest(blob, blob_len);
	free(blob);
	return 0;
}
