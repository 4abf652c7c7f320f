/* SPDX-License-Identifier: Apache-2.0 */
/* reader: Avro's binary encoding to nodes; see reader.h. */
#include "avro/reader.h"

#include "avro/binary.h"
#include "avro/decimal.h"
#include "record/field_path.h"
#include "record/number.h"

enum { VALUES_MAX = 1 << 22 }; /* of one message: values of null take no bytes, so bytes do not bound them */
#define EXACT_MAX ((int64_t)1 << 53)

struct wr_avro_reader {
	struct wr_reader in;
	const uint8_t *start;
	struct wr_node *nodes;
	uint32_t nodes_size, count;
	uint32_t values_left;
	struct wr_field_path at;
	struct wr_arena arena;
	struct wr_bytes text;
};

static struct wr_mem mem = WR_MEM_INIT("avro.reader");

struct wr_avro_reader *wr_avro_reader_new(void)
{
	struct wr_avro_reader *d = wr_zalloc(&mem, sizeof *d);

	if (d)
		wr_arena_init(&d->arena, &mem);
	return d;
}

void wr_avro_reader_free(struct wr_avro_reader *d)
{
	if (!d)
		return;
	wr_arena_deinit(&d->arena);
	wr_bytes_deinit(&d->text);
	wr_free(&mem, d->nodes);
	wr_free(&mem, d);
}

/* ---- errors ---- */

static int wrong(struct wr_avro_reader *d, const char *why)
{
	size_t byte = (size_t)(d->in.p - d->start) + 1;
	char path[WR_FIELD_PATH_TEXT];

	if (!wr_field_path_text(&d->at, path)[0])
		return wr_error_set(WR_EUSER, "at byte %zu: %s", byte, why);
	return wr_error_set(WR_EUSER, "field '%s', at byte %zu: %s", path, byte, why);
}

/* ---- values ---- */

static int read_value(struct wr_avro_reader *d, const struct wr_avro_step *s);

/* A node behind the last. */
static int put(struct wr_avro_reader *d, struct wr_node node)
{
	if (d->values_left == 0)
		return wrong(d, "the message has too many values");
	d->values_left--;
	if (d->count == d->nodes_size && WR_GROW(&mem, d->nodes, d->nodes_size, d->count + 1) != WR_OK)
		return WR_EFATAL;
	d->nodes[d->count++] = node;
	return WR_OK;
}

static int put_double(struct wr_avro_reader *d, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return put(d, (struct wr_node){.type = WR_T_F64, .u64 = wr_number_bits(bits)});
}

static int put_str(struct wr_avro_reader *d, const void *p, size_t len)
{
	return put(d, (struct wr_node){.type = WR_T_STR, .len = (uint32_t)len, .str = p});
}

static int get_long(struct wr_avro_reader *d, int64_t *v)
{
	int rc = wr_avro_get_long(&d->in, v);

	return rc == WR_OK    ? WR_OK
	       : rc == WR_END ? wrong(d, "the message ends inside a number")
			      : wrong(d, "a number has more than 64 bits");
}

static int get_bytes(struct wr_avro_reader *d, int64_t len, const uint8_t **p)
{
	if (len < 0)
		return wrong(d, "a length is below zero");
	if (len > d->in.end - d->in.p)
		return wrong(d, "the message ends inside a string");
	*p = d->in.p;
	d->in.p += len;
	return len > WR_ROW_MAX / 2 ? wrong(d, "a string is too large for a record") : WR_OK;
}

static int read_whole(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	int64_t v;
	int rc = get_long(d, &v);

	if (rc != WR_OK)
		return rc;
	if (s->kind == WR_AVRO_INT && (v < INT32_MIN || v > INT32_MAX))
		return wrong(d, "an int has more than 32 bits");
	if (s->as_float)
		return put_double(d, (float)v);
	if (s->as_double || (v >= -EXACT_MAX && v <= EXACT_MAX))
		return put_double(d, (double)v);
	return put(d, (struct wr_node){.type = WR_T_I64, .i64 = v});
}

static int read_float(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	uint32_t bits;
	float v;

	if (d->in.end - d->in.p < (s->kind == WR_AVRO_FLOAT ? 4 : 8))
		return wrong(d, "the message ends inside a number");
	if (s->kind == WR_AVRO_DOUBLE)
		return put(d, (struct wr_node){.type = WR_T_F64, .u64 = wr_number_bits(wr_read_u64(&d->in))});
	bits = wr_read_u32(&d->in);
	memcpy(&v, &bits, sizeof v);
	return put_double(d, v);
}

static int read_boolean(struct wr_avro_reader *d)
{
	if (d->in.p == d->in.end)
		return wrong(d, "the message ends before a boolean");
	if (*d->in.p > 1)
		return wrong(d, "a boolean is neither 0 nor 1");
	return put(d, (struct wr_node){.type = WR_T_BOOL, .u64 = *d->in.p++});
}

static int put_decimal(struct wr_avro_reader *d, const struct wr_avro_step *s, const uint8_t *p, size_t len)
{
	char *copy;
	int rc;

	d->text.len = 0;
	rc = wr_decimal_text(p, len, s->scale, &d->text);
	if (rc == WR_EUSER)
		return wrong(d, "a decimal has too many bytes");
	if (wr_bytes_status(&d->text) != WR_OK)
		return WR_EFATAL;
	copy = wr_arena_strndup(&d->arena, (const char *)d->text.data, d->text.len);
	return copy ? put_str(d, copy, d->text.len) : WR_EFATAL;
}

static int read_bytes(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	int64_t len = s->size;
	const uint8_t *p = NULL;
	int rc = s->kind == WR_AVRO_FIXED ? WR_OK : get_long(d, &len);

	if (rc == WR_OK)
		rc = get_bytes(d, len, &p);
	if (rc != WR_OK)
		return rc;
	return s->decimal ? put_decimal(d, s, p, (size_t)len) : put_str(d, p, (size_t)len);
}

/* An index of `count`. */
static int get_index(struct wr_avro_reader *d, uint32_t count, const char *why, int64_t *i)
{
	int rc = get_long(d, i);

	return rc == WR_OK && (*i < 0 || *i >= count) ? wrong(d, why) : rc;
}

static int read_enum(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	int64_t i;
	int rc = get_index(d, s->count, "an enum has no such symbol", &i);

	if (rc != WR_OK)
		return rc;
	if (!s->symbols[i].p)
		return wrong(d, "the reader's enum has no such symbol, and no default");
	return put_str(d, s->symbols[i].p, s->symbols[i].len);
}

static int read_union(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	int64_t i;
	int rc = get_index(d, s->count, "a union has no such type", &i);

	return rc == WR_OK ? read_value(d, s->items[i]) : rc;
}

/* ---- containers ---- */

static int enter(struct wr_avro_reader *d)
{
	return wr_field_path_enter(&d->at) ? WR_OK : wrong(d, "the message is nested too deep");
}

static int read_key(struct wr_avro_reader *d, struct wr_node *key)
{
	const uint8_t *p = NULL;
	int64_t len;
	int rc = get_long(d, &len);

	if (rc == WR_OK)
		rc = get_bytes(d, len, &p);
	key->key = (const char *)p;
	key->key_len = (uint32_t)len;
	return rc;
}

/* The items of one block, whose number has been read. */
static int read_block(struct wr_avro_reader *d, const struct wr_avro_step *s, int64_t count)
{
	int64_t bytes;
	int rc = WR_OK;

	if (count < 0) {
		rc = get_long(d, &bytes); /* for those who pass over the block */
		count = count == INT64_MIN ? INT64_MAX : -count;
	}
	for (; count > 0 && rc == WR_OK; count--) {
		struct wr_node key = {.key = NULL};
		uint32_t at = d->count;

		if (s->kind == WR_AVRO_MAP)
			rc = read_key(d, &key);
		if (rc == WR_OK)
			rc = read_value(d, s->items[0]);
		if (rc != WR_OK)
			return rc;
		d->nodes[at].key = key.key;
		d->nodes[at].key_len = key.key_len;
		wr_field_path_last(&d->at)->item++;
	}
	return rc;
}

/* The members behind node `at` are a map's: they become one tagged value. */
static int seal_map(struct wr_avro_reader *d, uint32_t at)
{
	char *copy;

	d->text.len = 0;
	if (wr_node_put(&d->nodes[at], &d->arena, &d->text) != WR_OK || wr_bytes_status(&d->text) != WR_OK)
		return WR_EFATAL;
	if (d->text.len > WR_ROW_MAX / 2)
		return wrong(d, "a map is too large for a record");
	copy = wr_arena_strndup(&d->arena, (const char *)d->text.data, d->text.len);
	if (!copy)
		return WR_EFATAL;
	d->nodes[at] = (struct wr_node){.type = WR_T_MAP, .len = (uint32_t)d->text.len, .str = copy};
	d->count = at + 1;
	return WR_OK;
}

static int read_items(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	bool map = s->kind == WR_AVRO_MAP;
	uint32_t at = d->count;
	int64_t count = 0;
	int rc = put(d, (struct wr_node){.type = map ? WR_T_ROW : WR_T_LIST});

	if (rc == WR_OK)
		rc = enter(d);
	if (rc != WR_OK)
		return rc;
	while ((rc = get_long(d, &count)) == WR_OK && count != 0) {
		rc = read_block(d, s, count);
		if (rc != WR_OK)
			return rc;
	}
	d->nodes[at].len = (uint32_t)wr_field_path_last(&d->at)->item;
	if (rc == WR_OK && map)
		rc = seal_map(d, at);
	d->at.depth -= rc == WR_OK;
	return rc;
}

/* One field, from the message or from its default. */
static int read_member(struct wr_avro_reader *d, const struct wr_avro_member *m, uint32_t record)
{
	uint32_t at = d->count;
	int rc;

	wr_field_path_last(&d->at)->name = m->name.p ? m->name : (struct wr_str){"(dropped)", 9};
	rc = read_value(d, m->step);
	if (rc != WR_OK)
		return rc;
	if (!m->name.p || d->nodes[at].type == WR_T_NULL) {
		d->count = at;
		return WR_OK;
	}
	d->nodes[at].key = m->name.p;
	d->nodes[at].key_len = m->name.len;
	d->nodes[record].len++;
	return WR_OK;
}

static int read_fallback(struct wr_avro_reader *d, const struct wr_avro_member *m, uint32_t record)
{
	struct wr_reader in = d->in;
	const uint8_t *start = d->start;
	int rc;

	d->in = wr_reader_of(m->fallback.p, m->fallback.len);
	d->start = d->in.p;
	rc = read_member(d, m, record);
	d->in = in;
	d->start = start;
	return rc;
}

static int read_record(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	uint32_t at = d->count;
	int rc = put(d, (struct wr_node){.type = WR_T_ROW});

	if (rc == WR_OK)
		rc = enter(d);
	for (uint32_t i = 0; i < s->count && rc == WR_OK; i++)
		rc = read_member(d, &s->members[i], at);
	for (uint32_t i = 0; i < s->fallback_count && rc == WR_OK; i++)
		rc = read_fallback(d, &s->members[s->count + i], at);
	d->at.depth -= rc == WR_OK;
	return rc;
}

static int read_value(struct wr_avro_reader *d, const struct wr_avro_step *s)
{
	if (s->op == WR_AVRO_WRONG)
		return wrong(d, s->why);
	switch (s->kind) {
	case WR_AVRO_NULL:
		return put(d, (struct wr_node){.type = WR_T_NULL});
	case WR_AVRO_BOOLEAN:
		return read_boolean(d);
	case WR_AVRO_INT:
	case WR_AVRO_LONG:
		return read_whole(d, s);
	case WR_AVRO_FLOAT:
	case WR_AVRO_DOUBLE:
		return read_float(d, s);
	case WR_AVRO_BYTES:
	case WR_AVRO_STRING:
	case WR_AVRO_FIXED:
		return read_bytes(d, s);
	case WR_AVRO_ENUM:
		return read_enum(d, s);
	case WR_AVRO_ARRAY:
	case WR_AVRO_MAP:
		return read_items(d, s);
	case WR_AVRO_UNION:
		return read_union(d, s);
	default:
		return read_record(d, s);
	}
}

int wr_avro_read(struct wr_avro_reader *d, const struct wr_avro_step *step, const void *p, size_t len,
		 const struct wr_node **nodes, size_t *count)
{
	int rc;

	d->in = wr_reader_of(len ? p : "", len);
	d->start = d->in.p;
	d->count = d->at.depth = 0;
	d->values_left = VALUES_MAX;
	wr_arena_reset(&d->arena);
	rc = read_value(d, step);
	if (rc == WR_OK && d->in.p < d->in.end)
		rc = wrong(d, "more bytes than the schema says");
	*nodes = d->nodes;
	*count = d->count;
	return rc;
}
