/* SPDX-License-Identifier: Apache-2.0 */
/* json_fuzz: input is one byte (size of the pieces) and JSON lines. */
#include "fuzz/format_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wr_value key = {.tag = WR_V_STR, .str = {"format", 6}};
	static struct wr_value json = {.tag = WR_V_STR, .str = {"json", 4}};
	static const struct wr_value options = {.tag = WR_V_RECORD, .count = 1, .keys = &key, .items = &json};

	if (size > 0)
		fuzz_format(&options, data + 1, size - 1, 1 + data[0]);
	return 0;
}
