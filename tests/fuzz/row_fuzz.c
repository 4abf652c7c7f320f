/* SPDX-License-Identifier: Apache-2.0 */
/* row_fuzz: input is a shape (as in a dictionary) and then a body. What the checks let in must be in
 * bounds when every cell is read, looked up, printed and used as a key, and must be written again as the
 * same bytes.
 */
#include <stdlib.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/key.h"
#include "record/row.h"

static struct wr_mem fuzz_mem = WR_MEM_INIT("fuzz");

static void read_everything(const struct wr_shape *s, const struct wr_elem *e, struct wr_bytes *text)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct wr_field *f = &s->fields[i];
		struct wr_cell cell = wr_row_lookup(e, f->name, f->name_len);
		struct wr_str name = {f->name, f->name_len};
		struct wr_keyer *keyer = i < 4 ? wr_keyer_new(&name, 1) : NULL;
		struct wr_key key;

		wr_cell_text(&cell, text);
		if (keyer && wr_keyer_key(keyer, e, &key) == WR_OK)
			wr_key_json(key.p, key.len, text);
		wr_keyer_free(keyer);
	}
	wr_row_json_short(e, 50, text);
	wr_row_json(e, text);
}

static void check_row(const struct wr_shape *s, const uint8_t *body, size_t len)
{
	struct wr_cell *cells = wr_alloc(&fuzz_mem, (s->count + 1) * sizeof *cells);
	struct wr_bytes row = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;

	for (uint32_t i = 0; i < s->count; i++)
		cells[i] = wr_row_get(s, body, i);
	wr_row_put(&row, s->id, WR_INSERT, 0, cells);
	WR_ASSERT(row.len == WR_ELEM_HEADER + len);
	WR_ASSERT(len == 0 || memcmp(row.data + WR_ELEM_HEADER, body, len) == 0);
	read_everything(s, (const struct wr_elem *)row.data, &text);
	wr_bytes_deinit(&row);
	wr_bytes_deinit(&text);
	wr_free(&fuzz_mem, cells);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_reader r = wr_reader_of(data, len);
	uint32_t id = wr_shape_decode(&r);
	struct wr_bytes again = WR_BYTES_EMPTY;
	size_t left = (size_t)(r.end - r.p);
	uint8_t *body;

	if (id == 0)
		return 0;
	wr_shape_encode(id, &again);
	WR_ASSERT(again.len == (size_t)(r.p - data) && memcmp(again.data, data, again.len) == 0);
	wr_shape_describe(id, &again);
	wr_bytes_deinit(&again);
	body = wr_alloc(&fuzz_mem, left + 1); /* exactly as long, so that a step too far is seen */
	memcpy(body, r.p, left);
	if (wr_row_verify(wr_shape(id), body, left) == WR_OK)
		check_row(wr_shape(id), body, left);
	wr_free(&fuzz_mem, body);
	return 0;
}
