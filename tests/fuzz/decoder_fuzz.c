/* SPDX-License-Identifier: Apache-2.0 */
/* decoder_fuzz: input is one byte (the format) and messages, a zero between two. One decoder reads them all,
 * as in a job: what is let in is a row that holds the check for rows from outside, and the same as a decoder
 * says that has read nothing before.
 */
#include "format/decoder.h"
#include "fuzz/messages_in.h"

#define TEXT(s)                                                                                              \
	{                                                                                                    \
		.tag = WR_V_STR, .str = { s, sizeof s - 1 }                                                  \
	}

/* The row, "" where there is none. */
static void read_one(struct wr_decoder *d, const uint8_t *p, size_t len, struct wr_bytes *out)
{
	const struct wr_node *nodes;
	const struct wr_elem *row;
	size_t count;

	out->len = 0;
	if (wr_decoder_nodes(d, p, len, &nodes, &count) != WR_OK)
		return;
	WR_ASSERT(count > 0 && wr_node_skip(nodes) == nodes + count);
	row = fuzz_row(nodes);
	if (row)
		wr_row_json(row, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct wr_value formats[] = {TEXT("json"), TEXT("csv"), TEXT("text"), TEXT("bytes")};
	static struct wr_value names[] = {TEXT("a"), TEXT("b"), TEXT("c")};
	static struct wr_value types[] = {TEXT("number"), TEXT("integer"), TEXT("boolean")};
	static struct wr_value csv_keys[] = {TEXT("columns"), TEXT("types")};
	static struct wr_value csv_items[] = {
	    {.tag = WR_V_LIST, .count = 3, .items = names},
	    {.tag = WR_V_RECORD, .count = 3, .keys = names, .items = types}};
	static struct wr_value keys[] = {TEXT("csv"), TEXT("format")};
	struct wr_value items[] = {{.tag = WR_V_RECORD, .count = 2, .keys = csv_keys, .items = csv_items},
				   {.tag = WR_V_STR}};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};
	struct wr_bytes one = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_decoder *d;

	if (!len)
		return 0;
	items[1] = formats[data[0] % 4];
	items[0].count = data[0] & 4 ? 2 : 1;
	d = wr_decoder_new(&options, NULL);
	WR_ASSERT(d);
	for (const uint8_t *p = data + 1, *end = data + len; p <= end;) {
		const uint8_t *zero = p < end ? memchr(p, 0, (size_t)(end - p)) : NULL;
		size_t n = (size_t)((zero ? zero : end) - p);
		struct wr_decoder *fresh = wr_decoder_new(&options, NULL);

		read_one(d, p, n, &one);
		read_one(fresh, p, n, &again);
		WR_ASSERT(one.len == again.len && (!one.len || !memcmp(one.data, again.data, one.len)));
		wr_decoder_free(fresh);
		p += n + 1;
	}
	wr_decoder_free(d);
	wr_bytes_deinit(&one);
	wr_bytes_deinit(&again);
	return 0;
}
