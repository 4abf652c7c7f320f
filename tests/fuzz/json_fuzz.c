/* SPDX-License-Identifier: Apache-2.0 */
/* json_fuzz: input is one byte (size of the pieces) and JSON lines. A line must be read the same whether or
 * not others were read before it. */
#include "format/json_reader.h"
#include "format/json_text.h"
#include "fuzz/format_in.h"

struct answer {
	int rc;
	const struct wr_node *nodes;
	size_t count;
	const char *wrong;
};

static void same(const struct answer *x, const struct answer *y)
{
	WR_ASSERT(x->rc == y->rc && (x->rc == WR_OK || !strcmp(x->wrong, y->wrong)));
	WR_ASSERT(x->rc != WR_OK || x->count == y->count);
	for (size_t i = 0; x->rc == WR_OK && i < x->count; i++) {
		const struct wr_node *n = &x->nodes[i], *m = &y->nodes[i];

		WR_ASSERT(n->type == m->type && n->len == m->len && n->key_len == m->key_len);
		WR_ASSERT(!n->key_len || !memcmp(n->key, m->key, n->key_len));
		if (n->type == WR_T_STR)
			WR_ASSERT(!memcmp(n->str, m->str, n->len));
		else
			WR_ASSERT(n->type == WR_T_ROW || n->type == WR_T_LIST || n->u64 == m->u64);
	}
}

static void read_alone(struct wr_json_text *used, const uint8_t *line, size_t len)
{
	struct wr_json_text *fresh = wr_json_text_new();
	uint8_t *text = calloc(1, len + WR_JSON_PADDING);
	struct answer x, y;

	memcpy(text, line, len);
	x.rc = wr_json_text_nodes(used, text, len, &x.nodes, &x.count, &x.wrong);
	y.rc = wr_json_text_nodes(fresh, text, len, &y.nodes, &y.count, &y.wrong);
	same(&x, &y);
	free(text);
	wr_json_text_free(fresh);
}

static void read_lines(const uint8_t *p, size_t len)
{
	struct wr_json_text *used = wr_json_text_new();

	while (len > 0) {
		const uint8_t *end = memchr(p, '\n', len);
		size_t n = end ? (size_t)(end - p) : len;

		read_alone(used, p, n);
		p += n + (end != NULL);
		len -= n + (end != NULL);
	}
	wr_json_text_free(used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wr_value key = {.tag = WR_V_STR, .str = {"format", 6}};
	static struct wr_value json = {.tag = WR_V_STR, .str = {"json", 4}};
	static const struct wr_value options = {.tag = WR_V_RECORD, .count = 1, .keys = &key, .items = &json};

	if (size > 0)
		fuzz_format(&options, data + 1, size - 1, 1 + data[0]);
	if (size > 0)
		read_lines(data + 1, size - 1);
	return 0;
}
