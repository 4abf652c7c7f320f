/* SPDX-License-Identifier: Apache-2.0 */
/* checksum: how many rows came and the sum of their hashes, which does not depend on their order. Each
 * subtask sums and gives one row {rows, sum} at the end of the input; checksum_total adds those up and
 * gives the text "rows=N sum=HEX". On the task's thread.
 *
 * Options: query, from which a row's hash begins; fields, the columns that go into it in order, "#name" for
 * the length of a string, "name*1000" for a number times 1000, rounded; weight, a field by which a row's hash
 * is multiplied; last_of, a field of whose every value only the last row counts in the sum (a query that
 * corrects its results).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "nexmark/nexmark.h"
#include "record/row.h"

enum { FIELDS_MAX = 32 };

static struct wr_mem mem = WR_MEM_INIT("nexmark.checksum");

struct column {
	const char *name;
	uint32_t name_len;
	bool length;  /* of the string, instead of the string */
	double times; /* what the number is multiplied by before it is rounded; 0: it is whole */
	uint32_t at;  /* in rows of the last shape */
};

/* Hash of the last row of each value of the field `last_of`; linear, since such results are few. */
struct last {
	uint64_t value, hash;
};

struct checksum {
	uint64_t query;
	struct column fields[FIELDS_MAX], weight, last_of; /* name NULL: none */
	uint32_t count, shape;
	struct last *lasts;
	uint32_t last_count, last_cap;
	uint64_t rows, sum;
};

static struct column column(const char *name)
{
	struct column c = {.name = name, .length = name && name[0] == '#'};
	const char *times = name ? strchr(name, '*') : NULL;

	c.name += c.length;
	c.name_len = name ? (uint32_t)(times ? times - c.name : (ptrdiff_t)strlen(c.name)) : 0;
	c.times = times ? strtod(times + 1, NULL) : 0;
	return c;
}

static int checksum_open(struct wr_stage *s)
{
	struct checksum *c = s->state = wr_zalloc(&mem, sizeof *c);
	const struct wr_value *fields;

	if (!c)
		return WR_EFATAL;
	c->query = (uint64_t)wr_value_int(s->options, "query", 0);
	fields = wr_value_list(s->options, "fields", &c->count);
	if (c->count > FIELDS_MAX)
		return wr_error_set(WR_EUSER, "a checksum of %u fields; at most %d", c->count, FIELDS_MAX);
	for (uint32_t i = 0; i < c->count; i++)
		c->fields[i] = column(fields[i].str.p);
	c->weight = column(wr_value_str(s->options, "weight", NULL));
	c->last_of = column(wr_value_str(s->options, "last_of", NULL));
	return WR_OK;
}

static int find(struct column *c, const struct wr_shape *shape)
{
	int32_t at = c->name ? wr_shape_find(shape, c->name, c->name_len) : 0;

	if (at < 0)
		return wr_error_set(WR_EUSER, "a row without the field '%s' that its checksum needs",
				    c->name);
	c->at = (uint32_t)at;
	return WR_OK;
}

/* Where the columns are in rows of `shape`. */
static int learn(struct checksum *c, const struct wr_shape *shape)
{
	int rc = find(&c->weight, shape);

	if (rc == WR_OK)
		rc = find(&c->last_of, shape);
	for (uint32_t i = 0; i < c->count && rc == WR_OK; i++)
		rc = find(&c->fields[i], shape);
	c->shape = rc == WR_OK ? shape->id : 0;
	return rc;
}

/* Java's hashCode of an ASCII string. */
static int32_t string_hash(struct wr_str s)
{
	uint32_t h = 0;

	for (uint32_t i = 0; i < s.len; i++)
		h = 31 * h + (uint8_t)s.p[i];
	return (int32_t)h;
}

/* The column's 64 bits in `row`. */
static int value_of(const struct column *c, const struct wr_shape *shape, const uint8_t *row, uint64_t *v)
{
	uint32_t type = shape->fields[c->at].type;
	double number;

	if (wr_row_missing(shape, row, c->at))
		return wr_error_set(WR_EUSER, "a row without the field '%s' that its checksum needs",
				    c->name);
	switch (type) {
	case WR_T_F64:
		number = wr_row_f64(shape, row, c->at);
		if (c->times)
			number = nearbyint(number * c->times);
		*v = (uint64_t)(int64_t)number;
		if (!(fabs(number) < 0x1p63) || (double)(int64_t)number != number)
			return wr_error_set(WR_EUSER, "field '%s' is %g: a checksum takes whole numbers",
					    c->name, number);
		return WR_OK;
	case WR_T_I64:
	case WR_T_U64:
	case WR_T_BOOL:
		*v = wr_row_slot(shape, row, c->at);
		return WR_OK;
	case WR_T_STR:
	case WR_T_BYTES:
		*v = c->length ? wr_row_str(shape, row, c->at).len
			       : (uint64_t)(int64_t)string_hash(wr_row_str(shape, row, c->at));
		return WR_OK;
	default:
		return wr_error_set(WR_EUSER, "field '%s' is neither number nor string: it has no checksum",
				    c->name);
	}
}

static int keep_last(struct checksum *c, uint64_t value, uint64_t hash)
{
	uint32_t i = 0;

	while (i < c->last_count && c->lasts[i].value != value)
		i++;
	if (i == c->last_cap && WR_GROW(&mem, c->lasts, c->last_cap, 8) != WR_OK)
		return WR_EFATAL;
	if (i == c->last_count)
		c->lasts[c->last_count++] = (struct last){value, 0};
	c->sum += hash - c->lasts[i].hash;
	c->lasts[i].hash = hash;
	return WR_OK;
}

static int add(struct checksum *c, const struct wr_shape *shape, const uint8_t *row)
{
	uint64_t h = c->query, v, weight = 1;
	int rc = WR_OK;

	for (uint32_t i = 0; i < c->count; i++) {
		rc = value_of(&c->fields[i], shape, row, &v);
		if (rc != WR_OK)
			return rc;
		h ^= v * UINT64_C(0x9e3779b97f4a7c15);
		h = (h << 27 | h >> 37) * UINT64_C(0xbf58476d1ce4e5b9);
	}
	h ^= h >> 29;
	c->rows++;
	if (c->weight.name)
		rc = value_of(&c->weight, shape, row, &weight);
	if (rc != WR_OK || !c->last_of.name) {
		c->sum += weight * h;
		return rc;
	}
	rc = value_of(&c->last_of, shape, row, &v);
	return rc == WR_OK ? keep_last(c, v, weight * h) : rc;
}

static int checksum_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct checksum *c = s->state;
	int rc;

	for (; rows->p < rows->end; rows->p += ((const struct wr_elem *)rows->p)->len) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		const struct wr_shape *shape = wr_shape(wr_elem_shape(row));

		rc = shape->id == c->shape ? WR_OK : learn(c, shape);
		if (rc == WR_OK)
			rc = add(c, shape, wr_elem_body(row));
		if (rc != WR_OK)
			return rc;
	}
	return WR_OK;
}

/* Writes one row of `fields` and `cells`, which ascend by name. */
static int put(struct wr_stage *s, struct wr_field_spec *fields, const struct wr_cell *cells, uint32_t count,
	       bool scalar)
{
	uint32_t shape = wr_shape_intern(fields, count, 0, scalar), len;
	struct wr_out *out = s->outs[0];

	if (!shape)
		return wr_error_code();
	len = wr_row_len(wr_shape(shape), cells);
	if ((!out->p || out->end - out->p < len) && !wr_out_more(out, len))
		return wr_error_code();
	wr_row_write(out->p, len, wr_shape(shape), WR_INSERT, WR_TS_NONE, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

static int checksum_end(struct wr_stage *s)
{
	const struct checksum *c = s->state;
	struct wr_field_spec fields[] = {{.name = "rows", .name_len = 4, .type = WR_T_U64},
					 {.name = "sum", .name_len = 3, .type = WR_T_U64}};
	struct wr_cell cells[] = {{.type = WR_T_U64, .u64 = c->rows}, {.type = WR_T_U64, .u64 = c->sum}};

	return put(s, fields, cells, 2, false);
}

/* [rows, sum, value, hash, value, hash, …] */
static int checksum_save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct checksum *c = s->state;

	wr_value_put_list(out, 2 + 2 * c->last_count);
	wr_value_put_i64(out, (int64_t)c->rows);
	wr_value_put_i64(out, (int64_t)c->sum);
	for (uint32_t i = 0; i < c->last_count; i++) {
		wr_value_put_i64(out, (int64_t)c->lasts[i].value);
		wr_value_put_i64(out, (int64_t)c->lasts[i].hash);
	}
	return wr_bytes_status(out);
}

static int add_saved(struct checksum *c, const struct wr_value *v)
{
	uint64_t sum;
	int rc = WR_OK;

	if (v->tag != WR_V_LIST || v->count < 2 || v->count % 2)
		return wr_error_set(WR_EUSER, "the saved checksum is malformed");
	for (uint32_t i = 0; i < v->count; i++)
		if (v->items[i].tag != WR_V_I64)
			return wr_error_set(WR_EUSER, "the saved checksum is malformed");
	c->rows += v->items[0].u64;
	sum = c->sum + v->items[1].u64;
	for (uint32_t i = 2; i < v->count && rc == WR_OK; i += 2)
		rc = keep_last(c, v->items[i].u64, v->items[i + 1].u64);
	c->sum = sum; /* in which the last ones are counted already */
	return rc;
}

static int checksum_restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < saved->count && rc == WR_OK; i++)
		if (wr_saved_mine(saved, i, s->env->subtask, s->env->parallelism))
			rc = add_saved(s->state, saved->parts[i].value);
	return rc;
}

static void checksum_free(struct wr_stage *s)
{
	struct checksum *c = s->state;

	if (!c)
		return;
	wr_free(&mem, c->lasts);
	wr_free(&mem, c);
	s->state = NULL;
}

const struct wr_stage_ops wr_checksum_ops = {.kind = "checksum",
					     .open = checksum_open,
					     .rows = checksum_rows,
					     .end = checksum_end,
					     .save = checksum_save,
					     .restore = checksum_restore,
					     .free = checksum_free};

/* ---- the total ---- */

static int total_open(struct wr_stage *s)
{
	s->state = wr_zalloc(&mem, sizeof(struct checksum));
	return s->state ? WR_OK : WR_EFATAL;
}

static int total_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct checksum *c = s->state;

	for (; rows->p < rows->end; rows->p += ((const struct wr_elem *)rows->p)->len) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		const struct wr_shape *shape = wr_shape(wr_elem_shape(row));

		c->rows += wr_row_slot(shape, wr_elem_body(row), 0);
		c->sum += wr_row_slot(shape, wr_elem_body(row), 1);
	}
	return WR_OK;
}

static int total_end(struct wr_stage *s)
{
	const struct checksum *c = s->state;
	char text[64];
	int len = snprintf(text, sizeof text, "rows=%" PRIu64 " sum=%016" PRIx64, c->rows, c->sum);
	struct wr_field_spec field = {.name = "", .type = WR_T_STR};
	struct wr_cell cell = {.type = WR_T_STR, .str = {text, (uint32_t)len}};

	return put(s, &field, &cell, 1, true);
}

const struct wr_stage_ops wr_checksum_total_ops = {.kind = "checksum_total",
						   .open = total_open,
						   .rows = total_rows,
						   .end = total_end,
						   .save = checksum_save,
						   .restore = checksum_restore,
						   .free = checksum_free};
