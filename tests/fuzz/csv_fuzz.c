/* SPDX-License-Identifier: Apache-2.0 */
/* csv_fuzz: input is one byte (bits: no header, typed columns; the rest: size of the pieces) and a CSV text.
 */
#include "fuzz/format_in.h"

#define TEXT(s)                                                                                              \
	{                                                                                                    \
		.tag = WR_V_STR, .str = { s, sizeof s - 1 }                                                  \
	}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wr_value names[] = {TEXT("a"), TEXT("b"), TEXT("c")};
	static struct wr_value types[] = {TEXT("number"), TEXT("integer"), TEXT("boolean")};
	static struct wr_value csv_keys[] = {TEXT("header"), TEXT("types")};
	static struct wr_value keys[] = {TEXT("csv"), TEXT("format"), TEXT("max_line")};
	struct wr_value typed = {.tag = WR_V_RECORD, .count = 3, .keys = names, .items = types};
	struct wr_value csv_items[] = {{.tag = WR_V_TRUE}, typed};
	struct wr_value csv = {.tag = WR_V_RECORD, .count = 2, .keys = csv_keys, .items = csv_items};
	struct wr_value items[] = {csv, TEXT("csv"), {.tag = WR_V_F64, .f64 = 200}};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 3, .keys = keys, .items = items};

	if (size == 0)
		return 0;
	csv_items[0].tag = data[0] & 1 ? WR_V_FALSE : WR_V_TRUE;
	items[0].count = data[0] & 2 ? 2 : 1;
	fuzz_format(&options, data + 1, size - 1, 1 + (data[0] >> 2));
	return 0;
}
