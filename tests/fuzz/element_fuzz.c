/* SPDX-License-Identifier: Apache-2.0 */
/* element_fuzz: input is u8 number of dictionary entries, the entries, padding to 8, and then elements one
 * after the other. Whatever passes must translate into an element of this process that passes again.
 */
#include "base/assert.h"
#include "base/error.h"
#include "record/dict.h"
#include "record/row.h"

static struct wr_mem fuzz_mem = WR_MEM_INIT("fuzz");

static void check_elements(uint8_t *p, size_t len, const struct wr_dict *dict)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	while (len > 0 && wr_elem_verify(p, len, dict) == WR_OK) {
		struct wr_elem *e = (struct wr_elem *)p;

		wr_dict_translate(dict, e);
		WR_ASSERT(wr_elem_verify(p, len, NULL) == WR_OK);
		if (!wr_elem_is_event(e))
			wr_row_json(e, &text);
		len -= e->len;
		p = (uint8_t *)wr_elem_next(e);
	}
	wr_bytes_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_reader r = wr_reader_of(data, len);
	unsigned entries = wr_read_u8(&r);
	struct wr_dict dict;
	int rc = WR_OK;

	wr_dict_init(&dict);
	while (entries-- > 0 && rc == WR_OK)
		rc = wr_dict_read(&dict, &r);
	if (rc == WR_OK) {
		size_t at = ((size_t)(r.p - data) + 7) & ~(size_t)7, left = at < len ? len - at : 0;
		uint8_t *elements = wr_alloc(&fuzz_mem, left + 1);

		if (left > 0)
			memcpy(elements, data + at, left);
		check_elements(elements, left, &dict);
		wr_free(&fuzz_mem, elements);
	}
	wr_dict_deinit(&dict);
	return 0;
}
