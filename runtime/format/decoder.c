/* SPDX-License-Identifier: Apache-2.0 */
/* decoder: a whole record's bytes as nodes; see decoder.h. */
#include "format/decoder.h"

#include "base/error.h"
#include "base/utf8.h"
#include "format/csv.h"
#include "format/format.h"
#include "format/json_reader.h"
#include "format/json_text.h"
#include "module/codec.h"

struct wr_decoder {
	int (*decode)(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
		      size_t *count);
	struct wr_json_text *json;
	void *csv;
	const struct wr_codec *codec; /* of a format that is a module, and its reader */
	void *reader;
	struct wr_bytes text;  /* a copy with padding */
	struct wr_node *nodes; /* of csv: the record and its fields */
	uint32_t nodes_size;
	struct wr_node one; /* of text and bytes */
};

static struct wr_mem decoder_mem = WR_MEM_INIT("format.decoder");

static int decode_json(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
		       size_t *count)
{
	const char *wrong;
	int rc;

	d->text.len = 0;
	if (!wr_bytes_room(&d->text, len + WR_JSON_PADDING))
		return wr_bytes_status(&d->text);
	memcpy(d->text.data, p, len);
	memset(d->text.data + len, 0, WR_JSON_PADDING);
	rc = wr_json_text_nodes(d->json, d->text.data, len, nodes, count, &wrong);
	return rc == WR_EUSER ? wr_error_set(WR_EUSER, "%s", wrong) : rc;
}

static struct wr_node node_of(const struct wr_field *field, const struct wr_cell *cell)
{
	struct wr_node n = {.type = cell->type, .key = field->name, .key_len = field->name_len};

	n.u64 = cell->u64;
	if (cell->type == WR_T_STR) {
		n.str = cell->str.p;
		n.len = cell->str.len;
	}
	return n;
}

static int decode_csv(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
		      size_t *count)
{
	const struct wr_shape *shape;
	const struct wr_cell *cells;
	const char *wrong = NULL;
	uint32_t n = 1;
	int rc = wr_csv_record(d->csv, p, len, &shape, &cells, &wrong);

	if (rc == WR_EUSER && wrong)
		return wr_error_set(WR_EUSER, "%s", wrong);
	if (rc != WR_OK)
		return rc;
	if (d->nodes_size <= shape->count &&
	    WR_GROW(&decoder_mem, d->nodes, d->nodes_size, shape->count + 1) != WR_OK)
		return WR_EFATAL;
	for (uint32_t i = 0; i < shape->count; i++)
		if (cells[i].type)
			d->nodes[n++] = node_of(&shape->fields[i], &cells[i]);
	d->nodes[0] = (struct wr_node){.type = WR_T_ROW, .len = n - 1};
	*nodes = d->nodes;
	*count = n;
	return WR_OK;
}

static int decode_bytes(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
			size_t *count)
{
	if (len > WR_ROW_MAX / 2)
		return wr_error_set(WR_EUSER, "a value of %zu bytes is too large for a record", len);
	d->one = (struct wr_node){.type = WR_T_STR, .len = (uint32_t)len, .str = p};
	*nodes = &d->one;
	*count = 1;
	return WR_OK;
}

static int decode_text(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
		       size_t *count)
{
	const uint8_t *text = p;

	for (size_t at = 0, n; at < len; at += n) {
		n = wr_utf8_len(text + at, len - at);
		if (!n)
			return wr_error_set(WR_EUSER, "byte %zu is not UTF-8", at + 1);
	}
	return decode_bytes(d, p, len, nodes, count);
}

static int decode_by_codec(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
			   size_t *count)
{
	return d->codec->nodes(d->reader, p, len, nodes, count);
}

static int make_codec(struct wr_decoder *d, const char *name, const struct wr_value *options,
		      const struct wr_notify *wake)
{
	d->decode = decode_by_codec;
	d->codec = wr_codec_load(name);
	d->reader = d->codec ? d->codec->reader_new(wr_value_get(options, name), wake) : NULL;
	return d->reader ? WR_OK : WR_EFATAL;
}

static int make(struct wr_decoder *d, const char *name, const struct wr_value *options,
		const struct wr_notify *wake)
{
	if (!strcmp(name, "avro") || !strcmp(name, "msgpack"))
		return make_codec(d, name, options, wake);
	if (!strcmp(name, "json")) {
		d->decode = decode_json;
		d->json = wr_json_text_new();
		return d->json ? WR_OK : WR_EFATAL;
	}
	if (!strcmp(name, "csv")) {
		d->decode = decode_csv;
		d->csv = wr_csv_format.make(options, false);
		return d->csv ? WR_OK : WR_EFATAL;
	}
	d->decode = !strcmp(name, "text") ? decode_text : !strcmp(name, "bytes") ? decode_bytes : NULL;
	return d->decode ? WR_OK : wr_error_set(WR_EUSER, "there is no format '%s' of whole records", name);
}

struct wr_decoder *wr_decoder_new(const struct wr_value *options, const struct wr_notify *wake)
{
	struct wr_decoder *d = wr_zalloc(&decoder_mem, sizeof *d);

	if (!d)
		return NULL;
	if (make(d, wr_value_str(options, "format", "json"), options, wake) == WR_OK)
		return d;
	wr_decoder_free(d);
	return NULL;
}

void wr_decoder_free(struct wr_decoder *d)
{
	if (!d)
		return;
	wr_json_text_free(d->json);
	if (d->csv)
		wr_csv_format.free(d->csv);
	if (d->reader)
		d->codec->reader_free(d->reader);
	wr_bytes_deinit(&d->text);
	wr_free(&decoder_mem, d->nodes);
	wr_free(&decoder_mem, d);
}

int wr_decoder_nodes(struct wr_decoder *d, const void *p, size_t len, const struct wr_node **nodes,
		     size_t *count)
{
	return d->decode(d, p, len, nodes, count);
}
