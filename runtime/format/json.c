/* SPDX-License-Identifier: Apache-2.0 */
/* json: JSON lines: each line one value; an object becomes a row with a learned shape
 * (format/learn.h), anything else a plain value. Empty lines are passed over. On the task's
 * thread. */
#include "base/assert.h"
#include "format/json_reader.h"
#include "format/json_text.h"
#include "format/learn.h"
#include "format/format.h"

struct json {
	struct wr_json_text *text;
	struct wr_learner *learner;
};
_Static_assert((int)WR_SCAN_PADDING >= (int)WR_JSON_PADDING, "a window's padding is enough for the parser");

static struct wr_mem json_mem = WR_MEM_INIT("format.json");

static void json_free(void *format)
{
	struct json *f = format;

	wr_json_text_free(f->text);
	wr_learner_free(f->learner);
	wr_free(&json_mem, f);
}

static void *json_make(const struct wr_value *options, bool with_path)
{
	struct json *f = wr_zalloc(&json_mem, sizeof *f);

	(void)options;
	(void)with_path;
	if (!f)
		return NULL;
	f->text = wr_json_text_new();
	f->learner = f->text ? wr_learner_new() : NULL;
	if (f->learner)
		return f;
	json_free(f);
	return NULL;
}

static void json_begin(void *format)
{
	(void)format;
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
	const struct wr_node *nodes;
	const char *wrong;
	size_t count;
	uint8_t *before;
	uint64_t rows = out->rows;
	int rc = wr_json_text_nodes(f->text, in->p, len, &nodes, &count, &wrong);

	if (rc == WR_EUSER)
		return wr_scan_bad(in, len, wrong);
	before = out->p;
	if (rc == WR_OK)
		rc = wr_learner_row(f->learner, nodes, in->ts, out);
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
