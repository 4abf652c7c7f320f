/* SPDX-License-Identifier: Apache-2.0 */
/* key_fuzz: input is the canonical bytes of a key. Those that are accepted must be made again by their
 * parts, and printing must stay in bounds for all.
 */
#include "base/assert.h"
#include "base/error.h"
#include "record/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_bytes text = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_cell parts[WR_KEY_PARTS_MAX];
	uint32_t count;
	int rc = wr_key_parts(data, (uint32_t)len, parts, &count);

	wr_key_json(data, (uint32_t)len, &text);
	if (rc == WR_OK) {
		uint8_t tuple[2] = {'t', (uint8_t)count};

		if (count > 1)
			wr_bytes_put(&again, tuple, sizeof tuple);
		for (uint32_t i = 0; i < count; i++)
			WR_ASSERT(wr_key_put_cell(&again, &parts[i]) == WR_OK);
		WR_ASSERT(again.len == len && memcmp(again.data, data, len) == 0);
	}
	wr_bytes_deinit(&text);
	wr_bytes_deinit(&again);
	return 0;
}
