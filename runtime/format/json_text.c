/* SPDX-License-Identifier: Apache-2.0 */
/* json_text: JSON texts, one after the other, as nodes; see json_text.h. */
#include "format/json_text.h"
#include "base/error.h"
#include "base/mem.h"
#include "format/json_reader.h"

struct wr_json_text {
	struct wr_json *reader;
	struct wr_node *nodes;
	size_t nodes_size;
	size_t charged; /* of the reader's own memory */
};

static struct wr_mem json_mem = WR_MEM_INIT("format.json");
static struct wr_mem reader_mem = WR_MEM_INIT("format.simdjson");

static void charge(struct wr_json_text *t, size_t bytes)
{
	if (bytes == t->charged)
		return;
	wr_mem_charge(&reader_mem, (int64_t)bytes - (int64_t)t->charged);
	t->charged = bytes;
}

struct wr_json_text *wr_json_text_new(void)
{
	struct wr_json_text *t = wr_zalloc(&json_mem, sizeof *t);

	if (!t)
		return NULL;
	t->reader = wr_json_new();
	if (t->reader)
		return t;
	wr_error_nomem(0, "a JSON parser");
	wr_json_text_free(t);
	return NULL;
}

void wr_json_text_free(struct wr_json_text *t)
{
	if (!t)
		return;
	if (t->reader)
		wr_json_free(t->reader);
	charge(t, 0);
	wr_free(&json_mem, t->nodes);
	wr_free(&json_mem, t);
}

int wr_json_text_nodes(struct wr_json_text *t, const uint8_t *p, size_t len, const struct wr_node **nodes,
		       size_t *count, const char **wrong)
{
	*wrong = wr_json_parse(t->reader, p, len);
	charge(t, wr_json_bytes(t->reader));
	if (*wrong)
		return WR_EUSER;
	*count = wr_json_nodes(t->reader, t->nodes, t->nodes_size);
	if (*count > t->nodes_size) {
		wr_free(&json_mem, t->nodes);
		t->nodes_size = 0;
		t->nodes = wr_alloc(&json_mem, 2 * *count * sizeof *t->nodes);
		if (!t->nodes)
			return WR_EFATAL;
		t->nodes_size = 2 * *count;
		wr_json_nodes(t->reader, t->nodes, t->nodes_size);
	}
	*nodes = t->nodes;
	if (*count)
		return WR_OK;
	*wrong = "JSON is nested too deep";
	return WR_EUSER;
}
