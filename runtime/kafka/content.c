/* SPDX-License-Identifier: Apache-2.0 */
/* content: see content.h. Formats take whole rows, so a field becomes one first. */
#include "kafka/content.h"

#include <string.h>
#include "base/error.h"
#include "format/csv_writer.h"
#include "module/codec.h"

struct wr_kafka_content {
	struct wr_csv_writer *csv;    /* or */
	const struct wr_codec *codec; /* a format that is a module, and its writer; or JSON */
	void *writer;
	struct wr_bytes row; /* of a field */
};

static struct wr_mem mem = WR_MEM_INIT("kafka.content");

static int set_format(struct wr_kafka_content *c, const char *format, const struct wr_value *options)
{
	if (!strcmp(format, "json"))
		return WR_OK;
	if (!strcmp(format, "csv")) {
		c->csv = wr_csv_writer_new(options);
		return c->csv ? WR_OK : wr_error_code();
	}
	c->codec = wr_codec_load(format);
	c->writer = c->codec ? c->codec->writer_new(wr_value_get(options, format)) : NULL;
	return c->writer ? WR_OK : wr_error_code();
}

struct wr_kafka_content *wr_kafka_content_new(const char *format, const struct wr_value *options)
{
	struct wr_kafka_content *c = wr_zalloc(&mem, sizeof *c);

	if (!c || set_format(c, format, options) == WR_OK)
		return c;
	wr_kafka_content_free(c);
	return NULL;
}

void wr_kafka_content_free(struct wr_kafka_content *c)
{
	if (!c)
		return;
	if (c->writer)
		c->codec->writer_free(c->writer);
	wr_csv_writer_free(c->csv);
	wr_bytes_deinit(&c->row);
	wr_free(&mem, c);
}

/* One line, without its end. */
static int put_csv(struct wr_kafka_content *c, const struct wr_elem *row, struct wr_bytes *out)
{
	int rc = wr_csv_writer_row(c->csv, row, out);

	out->len -= out->len > 0;
	return rc;
}

int wr_kafka_content_row(struct wr_kafka_content *c, const struct wr_elem *row, struct wr_bytes *out)
{
	int rc = WR_OK;

	out->len = 0;
	if (!wr_bytes_room(out, 1)) /* what has no bytes is there nevertheless */
		return wr_bytes_status(out);
	if (c->csv)
		rc = put_csv(c, row, out);
	else if (c->codec)
		rc = c->codec->write(c->writer, row, out);
	else
		wr_row_json(row, out);
	return rc == WR_OK ? wr_bytes_status(out) : rc;
}

/* A nested record as a row, its body aligned. */
static int make_row(struct wr_kafka_content *c, const struct wr_cell *cell)
{
	uint32_t len = WR_ELEM_HEADER + (cell->str.len + WR_ELEM_ALIGN - 1) / WR_ELEM_ALIGN * WR_ELEM_ALIGN;
	struct wr_elem *row = (struct wr_elem *)wr_bytes_room(&c->row, len + WR_ROW_SLACK);

	if (!row)
		return wr_bytes_status(&c->row);
	memset(row, 0, len);
	*row = (struct wr_elem){.len = len, .tag = cell->child, .ts = WR_TS_NONE};
	memcpy(row + 1, cell->str.p, cell->str.len);
	c->row.len = len;
	return WR_OK;
}

/* Anything else as a record that is no table. */
static int make_scalar(struct wr_kafka_content *c, const struct wr_cell *cell)
{
	struct wr_field_spec spec = {"", 0, cell->type, 0};
	uint32_t shape = wr_shape_intern(&spec, 1, 0, 1);

	if (!shape)
		return wr_error_code();
	wr_row_put(&c->row, shape, WR_INSERT, WR_TS_NONE, cell);
	return wr_bytes_status(&c->row);
}

int wr_kafka_content_cell(struct wr_kafka_content *c, const struct wr_cell *cell, struct wr_bytes *out)
{
	int rc;

	c->row.len = 0;
	rc = cell->type == WR_T_ROW ? make_row(c, cell) : make_scalar(c, cell);
	return rc == WR_OK ? wr_kafka_content_row(c, (const struct wr_elem *)c->row.data, out) : rc;
}
