/* SPDX-License-Identifier: Apache-2.0 */
/* message: see message.h. The place of a field is remembered for the last shape of rows; paths into nested
 * records are looked up each time. */
#include "kafka/message.h"

#include <math.h>
#include <string.h>
#include <zlib.h>
#include "base/error.h"
#include "format/csv_writer.h"
#include "format/row_text.h"
#include "module/codec.h"

enum { TOPIC_MAX = 249, RECORD_OVERHEAD = 128, HEADER_OVERHEAD = 16, NOT_AT_THE_TOP = -1 };
/* A byte of text has this many in JSON at most; a number, with what stands around it. */
enum { JSON_BYTE_MAX = 6, JSON_FIELD_MAX = 40 };

struct field {
	struct wr_str name; /* no pointer: the option is not given */
	uint32_t shape;	    /* that `at` is of; 0 = none yet */
	int32_t at;
};

/* What makes bytes of a row, or a part of one, by a format whose text is not at hand in it. */
struct content {
	struct wr_csv_writer *csv;    /* or */
	const struct wr_codec *codec; /* a format that is a module, and its writer; or JSON */
	void *writer;
	struct wr_bytes row; /* of a field */
};

struct wr_kafka_maker {
	struct wr_str topic, constant_headers;
	struct field topic_field, key, value, headers, timestamp, number;
	enum wr_text_format format;
	struct content *content;     /* of the value in another format; else NULL */
	struct content *key_content; /* of keys; NULL: they are text */
	bool upsert, stamp_now;
	bool strings;	      /* values are strings, and nothing else */
	bool checks;	      /* not every row can be a message */
	uint32_t names_shape; /* that names_len is of; 0 = none yet */
	size_t names_len; /* of the names of its fields; SIZE_MAX: that is not all, or the key may be none */
	struct wr_bytes topic_text, key_text, value_text; /* room */
};

static struct wr_mem mem = WR_MEM_INIT("kafka.message");

/* ---- formats of whole rows, which a field becomes first ---- */

static int content_format(struct content *c, const char *format, const struct wr_value *options)
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

static void content_free(struct content *c)
{
	if (!c)
		return;
	if (c->writer)
		c->codec->writer_free(c->writer);
	wr_csv_writer_free(c->csv);
	wr_bytes_deinit(&c->row);
	wr_free(&mem, c);
}

static struct content *content_new(const char *format, const struct wr_value *options)
{
	struct content *c = wr_zalloc(&mem, sizeof *c);

	if (!c || content_format(c, format, options) == WR_OK)
		return c;
	content_free(c);
	return NULL;
}

/* One line, without its end. */
static int put_csv(struct content *c, const struct wr_elem *row, struct wr_bytes *out)
{
	int rc = wr_csv_writer_row(c->csv, row, out);

	out->len -= out->len > 0;
	return rc;
}

static int content_row(struct content *c, const struct wr_elem *row, struct wr_bytes *out)
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
static int make_row(struct content *c, const struct wr_cell *cell)
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
static int make_scalar(struct content *c, const struct wr_cell *cell)
{
	struct wr_field_spec spec = {"", 0, cell->type, 0};
	uint32_t shape = wr_shape_intern(&spec, 1, 0, 1);

	if (!shape)
		return wr_error_code();
	wr_row_put(&c->row, shape, WR_INSERT, WR_TS_NONE, cell);
	return wr_bytes_status(&c->row);
}

static int content_cell(struct content *c, const struct wr_cell *cell, struct wr_bytes *out)
{
	int rc;

	c->row.len = 0;
	rc = cell->type == WR_T_ROW ? make_row(c, cell) : make_scalar(c, cell);
	return rc == WR_OK ? content_row(c, (const struct wr_elem *)c->row.data, out) : rc;
}

/* ---- life ---- */

static struct wr_str str_option(const struct wr_value *options, const char *name)
{
	const struct wr_value *v = wr_value_get(options, name);

	return v ? (struct wr_str){v->str.p, v->str.len} : (struct wr_str){NULL, 0};
}

static struct field field_option(const struct wr_value *options, const char *name)
{
	return (struct field){.name = str_option(options, name)};
}

static int set_format(struct wr_kafka_maker *m, const char *name, const struct wr_value *options)
{
	if (!strcmp(name, "avro") || !strcmp(name, "msgpack") || !strcmp(name, "csv")) {
		m->checks = true;
		m->content = content_new(name, options);
		return m->content ? WR_OK : wr_error_code();
	}
	m->strings = !strcmp(name, "text") || !strcmp(name, "bytes");
	if (m->strings) {
		m->checks = true;
		m->format = WR_TEXT_RAW;
		return WR_OK;
	}
	if (wr_text_format(name, &m->format) == WR_OK &&
	    (m->format == WR_TEXT_JSON || m->format == WR_TEXT_RAW))
		return WR_OK;
	return wr_error_set(WR_EUSER, "messages are json, csv, text, bytes, lines, avro or msgpack, not %s",
			    name);
}

static int set_key_format(struct wr_kafka_maker *m, const struct wr_value *options)
{
	if (!options)
		return WR_OK;
	m->checks = true;
	m->key_content = content_new(wr_value_str(options, "format", ""), options);
	return m->key_content ? WR_OK : wr_error_wrap(wr_error_code(), "key_format");
}

struct wr_kafka_maker *wr_kafka_maker_new(const struct wr_value *options)
{
	struct wr_kafka_maker *m = wr_zalloc(&mem, sizeof *m);

	if (!m)
		return NULL;
	m->topic = str_option(options, "topic");
	m->topic_field = field_option(options, "topic_field");
	m->key = field_option(options, "key_field");
	m->value = field_option(options, "value_field");
	m->constant_headers = str_option(options, "headers");
	m->headers = field_option(options, "headers_field");
	m->timestamp = field_option(options, "timestamp_field");
	m->number = field_option(options, "number_field");
	m->stamp_now = wr_value_get(options, "timestamp") != NULL;
	m->upsert = wr_value_bool(options, "upsert", false);
	m->checks = m->topic_field.name.p || m->headers.name.p || m->timestamp.name.p || m->number.name.p ||
		    m->upsert;
	if (set_format(m, wr_value_str(options, "format", "json"), options) == WR_OK &&
	    set_key_format(m, wr_value_get(options, "key")) == WR_OK)
		return m;
	wr_kafka_maker_free(m);
	return NULL;
}

void wr_kafka_maker_free(struct wr_kafka_maker *m)
{
	if (!m)
		return;
	content_free(m->content);
	content_free(m->key_content);
	wr_bytes_deinit(&m->topic_text);
	wr_bytes_deinit(&m->key_text);
	wr_bytes_deinit(&m->value_text);
	wr_free(&mem, m);
}

/* ---- fields ---- */

/* Was it made for the sink, by a function of the script? */
static bool is_hidden(const struct field *f)
{
	return f->name.len && *f->name.p == '\1';
}

static int bad(const char *what, const struct field *f, const char *why)
{
	if (is_hidden(f))
		return wr_error_set(WR_EUSER, "what the function of %s gives %s", what, why);
	return wr_error_set(WR_EUSER, "the field '%.*s', of %s, %s", (int)f->name.len, f->name.p, what, why);
}

/* Type 0: the row has none, or it is null. What a function gave as nil is false in its hidden field; a row
 * without that was logged by a script that had no such function, and nobody knows what it would have given.
 */
static int cell_of(const char *what, struct field *f, const struct wr_elem *row, struct wr_cell *cell)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));

	if (f->shape != s->id) {
		f->shape = s->id;
		f->at = s->id == WR_SHAPE_ANY ? NOT_AT_THE_TOP : wr_shape_find(s, f->name.p, f->name.len);
	}
	*cell = f->at >= 0 && s->fields[f->at].type != WR_T_ANY
		    ? wr_row_get(s, wr_elem_body(row), (uint32_t)f->at)
		    : wr_row_lookup(row, f->name.p, f->name.len);
	if (is_hidden(f) && !cell->type)
		return bad(what, f,
			   "is missing: the record was logged by a script without it, which sends it when "
			   "it is run once more");
	if (cell->type == WR_T_NULL || (is_hidden(f) && cell->type == WR_T_BOOL && !cell->u64))
		cell->type = 0;
	return WR_OK;
}

static bool is_text(const struct wr_cell *cell)
{
	return cell->type == WR_T_STR || cell->type == WR_T_BYTES;
}

static bool is_table(uint32_t type)
{
	return type == WR_T_LIST || type == WR_T_MAP || type == WR_T_ROW || type == WR_T_ANY;
}

/* As it is, or made in `room`. A text that is empty is there nevertheless. */
static int text_of(const struct wr_cell *cell, struct wr_bytes *room, struct wr_str *out)
{
	if (is_text(cell)) {
		*out = (struct wr_str){cell->str.p ? cell->str.p : "", cell->str.len};
		return WR_OK;
	}
	room->len = 0;
	wr_cell_text(cell, room);
	*out = (struct wr_str){(const char *)room->data, (uint32_t)room->len};
	return wr_bytes_status(room);
}

/* ---- parts of a message ---- */

/* "." and ".." */
static bool is_dots(struct wr_str name)
{
	return name.len <= 2 && name.p[0] == '.' && name.p[name.len - 1] == '.';
}

static bool is_topic(struct wr_str name)
{
	for (uint32_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return name.len > 0 && name.len <= TOPIC_MAX && !is_dots(name);
}

static int put_topic(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	struct wr_cell cell;
	int rc;

	out->topic = m->topic;
	if (m->topic.p)
		return WR_OK;
	rc = cell_of("topic", &m->topic_field, row, &cell);
	if (rc != WR_OK)
		return rc;
	if (!is_text(&cell))
		return bad("topic", &m->topic_field, "is no text");
	if (!is_topic(cell.str))
		return bad("topic", &m->topic_field,
			   "is no name of a topic: 1 to 249 letters, digits, '.', '_' and '-'");
	if (m->topic_text.len != cell.str.len + 1u ||
	    memcmp(m->topic_text.data, cell.str.p, cell.str.len) != 0) {
		m->topic_text.len = 0;
		wr_bytes_put(&m->topic_text, cell.str.p, cell.str.len);
		wr_bytes_put_u8(&m->topic_text, 0);
	}
	out->topic = (struct wr_str){(const char *)m->topic_text.data, cell.str.len};
	return wr_bytes_status(&m->topic_text);
}

static int put_coded_key(struct wr_kafka_maker *m, const struct wr_cell *cell, struct wr_kafka_message *out)
{
	struct wr_cell given = *cell;
	int rc;

	if (is_hidden(&m->key)) /* which a table cannot be in but as one tagged value */
		given = wr_cell_of_value(cell->str);
	rc = content_cell(m->key_content, &given, &m->key_text);
	if (rc != WR_OK)
		return rc == WR_EUSER ? wr_error_wrap(rc, "key") : rc;
	out->key = (struct wr_str){(const char *)m->key_text.data, (uint32_t)m->key_text.len};
	return WR_OK;
}

static int put_key(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	struct wr_cell cell;
	int rc;

	if (!m->key.name.p)
		return WR_OK;
	rc = cell_of("key", &m->key, row, &cell);
	if (rc != WR_OK || !cell.type)
		return rc;
	if (m->key_content)
		return put_coded_key(m, &cell, out);
	if (is_table(cell.type))
		return bad("key", &m->key,
			   "is a table, not a text or a number: key_format = weir.json() takes it");
	return text_of(&cell, &m->key_text, &out->key);
}

static int put_field(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	struct wr_cell cell;
	int rc = cell_of(is_hidden(&m->value) ? "format" : "value", &m->value, row, &cell);

	if (rc != WR_OK || !cell.type)
		return rc;
	if (m->format == WR_TEXT_JSON && is_text(&cell) && !is_hidden(&m->value)) {
		m->value_text.len = 0;
		wr_json_string(&m->value_text, cell.str.p, cell.str.len);
		out->value = (struct wr_str){(const char *)m->value_text.data, (uint32_t)m->value_text.len};
		return wr_bytes_status(&m->value_text);
	}
	return text_of(&cell, &m->value_text, &out->value);
}

/* Of a row that is one value, its field where that alone tells what it is; else NULL. */
static const struct wr_field *only_field(const struct wr_shape *s)
{
	return s->scalar && s->count == 1 && s->fields[0].type != WR_T_ANY ? s->fields : NULL;
}

static bool is_null(const struct wr_elem *row)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	const struct wr_field *only = only_field(s);

	if (only)
		return only->type == WR_T_NULL;
	return s->scalar && wr_row_lookup(row, "", 0).type == WR_T_NULL;
}

/* A text that is sent as it is need not be copied. */
static bool is_whole_text(const struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_str *out)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	const struct wr_field *only = only_field(s);
	struct wr_cell cell;

	if (m->content || m->format != WR_TEXT_RAW || !only)
		return false;
	cell = wr_row_get(s, wr_elem_body(row), 0);
	if (!is_text(&cell) || !cell.str.p)
		return false;
	*out = cell.str;
	return true;
}

static int put_content(struct wr_kafka_maker *m, const struct wr_elem *row)
{
	if (wr_elem_kind(row) != WR_INSERT && !m->upsert)
		return wr_error_set(
		    WR_EUSER, "a change is no message of this format: upsert = true sends its new value");
	return content_row(m->content, row, &m->value_text);
}

static int put_row(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	if (is_null(row) || is_whole_text(m, row, &out->value))
		return WR_OK;
	if (m->strings && !wr_shape(wr_elem_shape(row))->scalar)
		return wr_error_set(
		    WR_EUSER, "the record is a table, and the format writes strings: option \"value\" names "
			      "one of its fields, weir.json() writes them all");
	m->value_text.len = 0;
	if (m->content) {
		int rc = put_content(m, row);

		if (rc != WR_OK)
			return rc;
	} else if (m->upsert && m->format == WR_TEXT_JSON) {
		wr_row_json(row, &m->value_text);
	} else {
		wr_row_text(row, m->format, &m->value_text);
		m->value_text.len -= m->value_text.len > 0;
	}
	out->value = (struct wr_str){(const char *)m->value_text.data, (uint32_t)m->value_text.len};
	return wr_bytes_status(&m->value_text);
}

static int put_value(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	if (m->upsert && wr_elem_kind(row) == WR_DELETE)
		return WR_OK;
	return m->value.name.p ? put_field(m, row, out) : put_row(m, row, out);
}

/* Walks over all headers, which no reader has to check again. NULL, or what is wrong with them. */
static const char *headers_wrong(struct wr_str packed)
{
	struct wr_str name, value;
	uint32_t count = 0;

	for (; wr_kafka_header_next(&packed, &name, &value); count++)
		if (name.len == 0)
			return "are no headers";
	if (packed.len)
		return "are no headers";
	return count > WR_KAFKA_HEADERS_MAX ? "are too many headers: a message has 500 at most" : NULL;
}

static int put_headers(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	const char *wrong;
	struct wr_cell cell;
	int rc;

	out->headers = m->constant_headers;
	if (!m->headers.name.p)
		return WR_OK;
	rc = cell_of("headers", &m->headers, row, &cell);
	if (rc != WR_OK || !cell.type)
		return rc;
	wrong = is_text(&cell) ? headers_wrong(cell.str) : "are no headers";
	if (wrong)
		return bad("headers", &m->headers, wrong);
	out->headers = cell.str;
	return WR_OK;
}

/* A number, rounded down to a whole one within WR_KAFKA_NUMBER_MAX; false: it is none. */
static bool whole(const struct wr_cell *cell, int64_t *out)
{
	if (cell->type == WR_T_I64 || (cell->type == WR_T_U64 && cell->u64 <= INT64_MAX))
		*out = cell->i64;
	else if (cell->type == WR_T_F64 && fabs(cell->f64) <= (double)WR_KAFKA_NUMBER_MAX)
		*out = (int64_t)floor(cell->f64);
	else
		return false;
	return *out <= WR_KAFKA_NUMBER_MAX && *out >= -WR_KAFKA_NUMBER_MAX;
}

/* The first millisecond of 1970 is sent as the next: 0 is none to the library. */
static int64_t sent_time(int64_t ms)
{
	return ms ? ms : 1;
}

/* What is emitted at the end of time has none that would mean anything to Kafka. */
static bool has_time(const struct wr_elem *row)
{
	return row->ts >= 0 && row->ts != WR_TS_MAX;
}

static int put_timestamp(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	struct wr_cell cell;
	int64_t ms;
	int rc;

	if (!m->timestamp.name.p) {
		out->timestamp = !m->stamp_now && has_time(row) ? sent_time(row->ts) : 0;
		return WR_OK;
	}
	rc = cell_of("timestamp", &m->timestamp, row, &cell);
	if (rc != WR_OK || !cell.type)
		return rc;
	if (!whole(&cell, &ms) || ms < 0)
		return bad("timestamp", &m->timestamp, "is no time: milliseconds since 1970");
	out->timestamp = sent_time(ms);
	return WR_OK;
}

static int put_number(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	struct wr_cell cell;
	int rc;

	if (!m->number.name.p)
		return WR_OK;
	rc = cell_of("partitioner", &m->number, row, &cell);
	if (rc != WR_OK)
		return rc;
	if (!whole(&cell, &out->number))
		return bad("partitioner", &m->number, "is no number within 2^53");
	return WR_OK;
}

int wr_kafka_message_of(struct wr_kafka_maker *m, const struct wr_elem *row, struct wr_kafka_message *out)
{
	int rc;

	*out = (struct wr_kafka_message){.number = 0};
	if (m->upsert && wr_elem_kind(row) == WR_UPDATE_BEFORE)
		return WR_END;
	rc = put_topic(m, row, out);
	if (rc == WR_OK)
		rc = put_key(m, row, out);
	if (rc == WR_OK && m->upsert && !out->key.p)
		rc = bad("key", &m->key, "is missing, and a change needs one");
	if (rc == WR_OK)
		rc = put_value(m, row, out);
	if (rc == WR_OK)
		rc = put_headers(m, row, out);
	if (rc == WR_OK)
		rc = put_timestamp(m, row, out);
	return rc == WR_OK ? put_number(m, row, out) : rc;
}

/* ---- sizes ---- */

/* Rows of this shape have a key that is text, or none. */
static bool has_plain_key(const struct wr_kafka_maker *m, const struct wr_shape *s)
{
	int32_t at = m->key.name.p ? wr_shape_find(s, m->key.name.p, m->key.name.len) : -1;
	bool tables = false;

	if (at >= 0)
		return !is_table(s->fields[at].type);
	for (uint32_t i = 0; i < s->count && m->key.name.p; i++) /* which it may be a part of */
		tables |= is_table(s->fields[i].type);
	return !tables;
}

static size_t names_of(const struct wr_kafka_maker *m, const struct wr_shape *s)
{
	size_t len = 0;

	if (s->depth > 1 || !has_plain_key(m, s))
		return SIZE_MAX;
	for (uint32_t i = 0; i < s->count; i++)
		len += (size_t)JSON_BYTE_MAX * s->fields[i].name_len + JSON_FIELD_MAX;
	return len;
}

bool wr_kafka_message_surely(struct wr_kafka_maker *m, const struct wr_elem *row, size_t max)
{
	uint32_t shape = wr_elem_shape(row);

	if (m->checks)
		return false;
	if (m->names_shape != shape) {
		m->names_shape = shape;
		m->names_len = names_of(m, wr_shape(shape));
	}
	return m->names_len < max && /* once as the value, once as the key */
	       RECORD_OVERHEAD + m->constant_headers.len + m->names_len +
		       2 * (size_t)JSON_BYTE_MAX * row->len <=
		   max;
}

/* ---- headers ---- */

bool wr_kafka_header_next(struct wr_str *at, struct wr_str *name, struct wr_str *value)
{
	const char *end = at->p + at->len, *p, *digits;
	uint64_t len = 0;

	p = at->len ? memchr(at->p, 0, at->len) : NULL;
	if (!p)
		return false;
	*name = (struct wr_str){at->p, (uint32_t)(p - at->p)};
	for (digits = ++p; p < end && *p >= '0' && *p <= '9' && len < UINT32_MAX; p++)
		len = len * 10 + (uint64_t)(*p - '0');
	if (p == digits || p == end || *p != 0 || len > (uint64_t)(end - p - 1))
		return false;
	*value = (struct wr_str){p + 1, (uint32_t)len};
	p += 1 + len;
	*at = (struct wr_str){p, (uint32_t)(end - p)};
	return true;
}

size_t wr_kafka_message_size(const struct wr_kafka_message *m)
{
	struct wr_str at = m->headers, name, value;
	size_t size = RECORD_OVERHEAD + (size_t)m->key.len + m->value.len;

	while (wr_kafka_header_next(&at, &name, &value))
		size += HEADER_OVERHEAD + (size_t)name.len + value.len;
	return size;
}

/* ---- partitions ---- */

int wr_kafka_partitioner(const char *name, enum wr_kafka_partitioner *out)
{
	static const char *const names[] = {
	    [WR_KAFKA_MURMUR2] = "murmur2",
	    [WR_KAFKA_CRC32] = "crc32",
	    [WR_KAFKA_RANDOM] = "random",
	    [WR_KAFKA_NUMBER] = "number",
	};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = (enum wr_kafka_partitioner)i;
			return WR_OK;
		}
	}
	return wr_error_set(WR_EUSER, "there is no partitioner '%s'", name);
}

int32_t wr_kafka_murmur2(const void *key, size_t len)
{
	const uint32_t m = 0x5bd1e995;
	const uint8_t *p = key;
	uint32_t h = 0x9747b28cu ^ (uint32_t)len, k;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&k, p, 4);
		k *= m;
		k ^= k >> 24;
		k *= m;
		h = h * m ^ k;
	}
	if (len == 3)
		h ^= (uint32_t)p[2] << 16;
	if (len >= 2)
		h ^= (uint32_t)p[1] << 8;
	if (len >= 1)
		h = (h ^ p[0]) * m;
	h ^= h >> 13;
	h *= m;
	h ^= h >> 15;
	return (int32_t)h;
}

static int32_t at_random(struct wr_rand *rand, int32_t count)
{
	return (int32_t)wr_rand_below(rand, (uint32_t)count);
}

int32_t wr_kafka_partition(enum wr_kafka_partitioner how, struct wr_str key, int64_t number, int32_t count,
			   struct wr_rand *rand)
{
	if (how == WR_KAFKA_NUMBER)
		return (int32_t)((number % count + count) % count);
	if (how == WR_KAFKA_RANDOM || !key.p)
		return at_random(rand, count);
	if (how == WR_KAFKA_CRC32)
		return (int32_t)(crc32(0, (const uint8_t *)key.p, key.len) % (uint32_t)count);
	return (wr_kafka_murmur2(key.p, key.len) & 0x7fffffff) % count;
}
