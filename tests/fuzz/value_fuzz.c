/* SPDX-License-Identifier: Apache-2.0 */
/* value_fuzz: input is one tagged value. What the check lets in must be in bounds when it is parsed,
 * printed and looked into, and must be written again as the same bytes.
 */
#include "base/assert.h"
#include "base/error.h"
#include "record/row.h"
#include "record/value.h"

static struct wr_mem fuzz_mem = WR_MEM_INIT("fuzz");

static void check_value(const uint8_t *data, size_t len)
{
	struct wr_reader parse = wr_reader_of(data, len), print = parse;
	struct wr_bytes again = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;
	struct wr_cell cell = wr_cell_of_value((struct wr_str){(const char *)data, (uint32_t)len});
	struct wr_arena arena;
	struct wr_value value;

	wr_arena_init(&arena, &fuzz_mem);
	WR_ASSERT(wr_value_parse(&parse, &arena, &value) == WR_OK && parse.p == parse.end);
	wr_value_json(&print, &text);
	WR_ASSERT(print.p == print.end && !print.bad);
	wr_cell_text(&cell, &text);
	wr_value_get(&value, "a");
	wr_value_put(&again, &value);
	WR_ASSERT(again.len == len && memcmp(again.data, data, len) == 0);
	wr_bytes_deinit(&again);
	wr_bytes_deinit(&text);
	wr_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_reader r = wr_reader_of(data, len);

	if (wr_value_verify(&r) == WR_OK)
		check_value(data, (size_t)(r.p - data));
	return 0;
}
