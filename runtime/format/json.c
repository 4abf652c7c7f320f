/* SPDX-License-Identifier: Apache-2.0 */
/* json: JSON lines: each line one value; an object becomes a row with a learned shape
 * (format/learn.h), anything else a plain value. Empty lines are passed over. On the task's
 * thread. */
#include "base/assert.h"
#include "format/json_reader.h"
#include "format/learn.h"
#include "format/format.h"

struct json {
	struct wr_json *reader;
	struct wr_learner *learner;
	struct wr_node *nodes;
	size_t nodes_size;
	size_t charged; /* of the reader's own memory */
};
_Static_assert((int)WR_SCAN_PADDING >= (int)WR_JSON_PADDING, "a window's padding is enough for the parser");

static struct wr_mem json_mem = WR_MEM_INIT("format.json");
static struct wr_mem reader_mem = WR_MEM_INIT("format.simdjson");

static void charge(struct json *f, size_t bytes)
{
	if (bytes == f->charged)
		return;
	wr_mem_charge(&reader_mem, (int64_t)bytes - (int64_t)f->charged);
	f->charged = bytes;
}

static void json_free(void *format)
{
	struct json *f = format;

	if (f->reader)
		wr_json_free(f->reader);
	charge(f, 0);
	wr_learner_free(f->learner);
	wr_free(&json_mem, f->nodes);
	wr_free(&json_mem, f);
}

static void *json_make(const struct wr_value *options, bool with_path)
{
	struct json *f = wr_zalloc(&json_mem, sizeof *f);

	(void)options;
	(void)with_path;
	if (!f)
		return NULL;
	f->reader = wr_json_new();
	f->learner = wr_learner_new();
	if (f->reader && f->learner)
		return f;
	wr_error_nomem(0, "a JSON parser");
	json_free(f);
	return NULL;
}

static void json_begin(void *format)
{
	(void)format;
}

static int flatten(struct json *f)
{
	size_t count = wr_json_nodes(f->reader, f->nodes, f->nodes_size);

	if (count == 0)
		return wr_error_set(WR_EUSER, "JSON is nested too deep");
	if (count <= f->nodes_size)
		return WR_OK;
	wr_free(&json_mem, f->nodes);
	f->nodes_size = 0;
	f->nodes = wr_alloc(&json_mem, 2 * count * sizeof *f->nodes);
	if (!f->nodes)
		return WR_EFATAL;
	f->nodes_size = 2 * count;
	wr_json_nodes(f->reader, f->nodes, f->nodes_size);
	return WR_OK;
}

static bool is_blank(const uint8_t *p, size_t len)
{
	while (len > 0 && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++, len--;
	return len == 0;
}

static int emit_value(struct json *f, struct wr_scan *in, size_t len)
{
	struct wr_out *out = in->stage->outs[0];
	const char *wrong = wr_json_parse(f->reader, in->p, len);
	uint8_t *before;
	uint64_t rows = out->rows;
	int rc;

	charge(f, wr_json_bytes(f->reader));
	if (wrong)
		return wr_scan_bad(in, len, wrong);
	before = out->p;
	rc = flatten(f);
	if (rc == WR_OK)
		rc = wr_learner_row(f->learner, f->nodes, in->ts, out);
	in->budget -= (int64_t)(out->p > before ? (size_t)(out->p - before) : len);
	if (rc == WR_EUSER && out->rows == rows)
		return wr_scan_bad(in, len, wr_error_text());
	return rc;
}

static int json_line(void *format, struct wr_scan *in, size_t len)
{
	if (wr_scan_offset(in) == 0 && len >= 3 && memcmp(in->p, "\xef\xbb\xbf", 3) == 0) {
		in->p += 3; /* a byte order mark */
		len -= 3;
	}
	return is_blank(in->p, len) ? WR_OK : emit_value(format, in, len);
}

static int json_rows(void *format, struct wr_scan *in)
{
	return wr_scan_lines(in, json_line, format);
}

const struct wr_format wr_json_format = {
    .name = "json", .make = json_make, .begin = json_begin, .rows = json_rows, .free = json_free};
