/* SPDX-License-Identifier: Apache-2.0 */
/* under_way: see under_way.h. */
#include "savepoint/under_way.h"

#include "base/error.h"
#include "record/element.h"

enum { BLOCK_BYTES = 256 << 10 };

static void say_shapes(const uint8_t *p, const uint8_t *end, struct wr_bytes *said, struct wr_bytes *out)
{
	for (; p < end; p += ((const struct wr_elem *)p)->len) {
		uint32_t shape = wr_elem_shape((const struct wr_elem *)p);

		while (said->len <= shape && !said->failed)
			wr_bytes_put_u8(said, 0);
		if (!shape || said->failed || said->data[shape])
			continue;
		said->data[shape] = 1;
		wr_dict_put(out, shape);
	}
}

static int put_shapes(struct wr_block_writer *w, struct wr_bytes *said, const uint8_t *p, const uint8_t *end)
{
	struct wr_bytes shapes = WR_BYTES_EMPTY;
	int rc;

	say_shapes(p, end, said, &shapes);
	rc = wr_bytes_status(said);
	if (rc == WR_OK)
		rc = wr_bytes_status(&shapes);
	if (rc == WR_OK && shapes.len)
		rc = wr_block_put(
		    w, &(struct wr_block){WR_BLOCK_SHAPES, 0, 0, shapes.data, (uint32_t)shapes.len});
	wr_bytes_deinit(&shapes);
	return rc;
}

int wr_under_way_put(struct wr_block_writer *w, struct wr_bytes *said, uint32_t channel, uint64_t input,
		     const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	struct wr_bytes rows = WR_BYTES_EMPTY;
	int rc = len ? put_shapes(w, said, p, end) : WR_OK;

	while (rc == WR_OK && p < end) {
		const uint8_t *from = p;

		while (p < end && (p == from || p - from < BLOCK_BYTES))
			p += ((const struct wr_elem *)p)->len;
		rows.len = 0;
		wr_bytes_put_u64(&rows, input);
		wr_bytes_put(&rows, from, (size_t)(p - from));
		rc = wr_bytes_status(&rows);
		if (rc == WR_OK)
			rc = wr_block_put(w, &(struct wr_block){WR_BLOCK_IN_FLIGHT, 0, channel, rows.data,
								(uint32_t)rows.len});
	}
	wr_bytes_deinit(&rows);
	return rc;
}

const uint8_t *wr_under_way_rows(const struct wr_block *block, uint64_t *input, size_t *len)
{
	struct wr_reader r = wr_reader_of(block->payload, block->len);

	*input = wr_read_u64(&r);
	*len = (size_t)(r.end - r.p);
	if (!r.bad)
		return r.p;
	wr_error_set(WR_EUSER, "rows that were under way are malformed");
	return NULL;
}

int wr_under_way_copy(struct wr_block_writer *w, struct wr_bytes *said, const struct wr_block *block,
		      const struct wr_dict *dict)
{
	struct wr_bytes rows = WR_BYTES_EMPTY;
	uint64_t input;
	size_t len;
	const uint8_t *p = wr_under_way_rows(block, &input, &len);
	int rc = p ? WR_OK : WR_EUSER;

	if (p)
		wr_bytes_put(&rows, p, len);
	if (rc == WR_OK)
		rc = wr_bytes_status(&rows);
	for (size_t at = 0; rc == WR_OK && at < rows.len; at += ((struct wr_elem *)(rows.data + at))->len) {
		rc = wr_elem_verify(rows.data + at, rows.len - at, dict);
		if (rc == WR_OK)
			wr_dict_translate(dict, (struct wr_elem *)(rows.data + at));
	}
	if (rc == WR_OK)
		rc = wr_under_way_put(w, said, block->group, input, rows.data, rows.len);
	wr_bytes_deinit(&rows);
	return rc;
}
