/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate: running count, sum, min, max, min_by and max_by per key, on the rows' bytes.
 *
 * State 0 of the store holds, per key, the accumulator as the body of a row: for count and
 * sum a number, for the others the whole record that won. With `emit = "update"` every input
 * row gives an output row with the running value; with "final" one row a key leaves at the
 * end of the input, in a walk over the store.
 *
 * A batch is handled in groups of rows: take the keys, fetch index and entries, then update, so
 * that cache misses overlap.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/number.h"
#include "operator/operators.h"

static struct wr_mem mem = WR_MEM_INIT("operator.aggregate");

enum fn { COUNT, SUM, MIN, MAX, MIN_BY, MAX_BY };
enum { NAME_MAX_LEN = 256, QUICK_ROW_MAX = 176 };

/* Where things are in rows of one shape, and what the output looks like for it. */
struct layout {
	uint32_t shape;
	int32_t field;
	uint32_t out_shape;
	uint32_t out_count;
	uint32_t quick;			      /* type of a key that is one string or one number; else 0 */
	int32_t source[WR_KEY_PARTS_MAX + 1]; /* output field → key part, or −1: the result */
};

struct aggregate {
	enum fn fn;
	bool final;
	char as[NAME_MAX_LEN];
	char field[NAME_MAX_LEN];
	uint32_t number_shape, integer_shape; /* scalar shapes of the accumulator */
	uint32_t type;			      /* of the numbers so far */
	bool mixed; /* both types were met, or an integer sum grew beyond its type */
	struct wr_str names[WR_KEY_PARTS_MAX]; /* of the key fields in the output */
	char name_room[WR_KEY_PARTS_MAX][NAME_MAX_LEN];
	uint32_t key_count;
	struct layout out[2]; /* by type of the result: number, integer */
	uint32_t field_shape; /* shape of the last row, and where the field is in it */
	int32_t field_at;
	uint32_t number_at; /* bytes behind the body's start, if it is a number and always there; else 0 */
	uint64_t walked;    /* cursor of the last emission */
	struct wr_short_key keys[WR_KEYS_MAX];
};

static uint32_t scalar_shape(uint32_t type)
{
	struct wr_field_spec f = {"", 0, type, 0};

	return wr_shape_intern(&f, 1, 0, 1);
}

/* What the parts of the key are called in results: the planner says it. */
static void name_keys(struct wr_stage *s, struct aggregate *a)
{
	const struct wr_value *names = wr_value_list(s->options, "key_as", &a->key_count);

	WR_ASSERT(a->key_count > 0 && a->key_count <= WR_KEY_PARTS_MAX);
	for (uint32_t i = 0; i < a->key_count; i++) {
		snprintf(a->name_room[i], NAME_MAX_LEN, "%s", names[i].str.p);
		a->names[i] = (struct wr_str){a->name_room[i], (uint32_t)strlen(a->name_room[i])};
	}
}

static int open_(struct wr_stage *s)
{
	static const char *const fns[] = {"count", "sum", "min", "max", "min_by", "max_by"};
	struct aggregate *a = wr_zalloc(&mem, sizeof *a);
	const char *fn = wr_value_str(s->options, "fn", "count");

	if (!a)
		return WR_EFATAL;
	s->state = a;
	while (a->fn <= MAX_BY && strcmp(fns[a->fn], fn))
		a->fn++;
	WR_ASSERT(a->fn <= MAX_BY && s->store && s->keyer);
	a->final = !strcmp(wr_value_str(s->options, "emit", "update"), "final");
	snprintf(a->field, sizeof a->field, "%s", wr_value_str(s->options, "field", ""));
	snprintf(a->as, sizeof a->as, "%s",
		 wr_value_str(s->options, "as",
			      a->fn == COUNT ? "count"
			      : a->field[0]  ? a->field
					     : fn));
	name_keys(s, a);
	a->number_shape = scalar_shape(WR_T_F64);
	a->integer_shape = scalar_shape(WR_T_I64);
	return a->number_shape && a->integer_shape ? WR_OK : WR_EFATAL;
}

/* Shape of {key fields, result}: found once for each tuple of the key parts' types. */
static int layout_find(struct aggregate *a, struct layout *l, const struct wr_cell *parts,
		       uint32_t result_type)
{
	struct wr_field_spec f[WR_KEY_PARTS_MAX + 1];
	const struct wr_shape *s;

	if (l->out_shape) {
		bool same = true;

		s = wr_shape(l->out_shape);
		for (uint32_t i = 0; i < l->out_count; i++)
			same &= l->source[i] < 0 || s->fields[i].type == parts[l->source[i]].type;
		if (same)
			return WR_OK;
	}
	for (uint32_t i = 0; i < a->key_count; i++)
		f[i] = (struct wr_field_spec){a->names[i].p, a->names[i].len, parts[i].type, 0};
	f[a->key_count] = (struct wr_field_spec){a->as, (uint32_t)strlen(a->as), result_type, 0};
	l->out_shape = wr_shape_intern(f, a->key_count + 1, 0, 0);
	if (!l->out_shape)
		return wr_error_wrap(WR_EUSER, "result of '%s'", a->as);
	s = wr_shape(l->out_shape);
	l->out_count = s->count;
	l->quick =
	    a->key_count == 1 && (parts[0].type == WR_T_STR || parts[0].type == WR_T_F64) ? parts[0].type : 0;
	for (uint32_t i = 0; i < s->count; i++) {
		l->source[i] = -1;
		for (uint32_t k = 0; k < a->key_count; k++)
			if (a->names[k].len == s->fields[i].name_len &&
			    !memcmp(a->names[k].p, s->fields[i].name, a->names[k].len))
				l->source[i] = (int32_t)k;
	}
	return WR_OK;
}

/* Integers in keys are numbers in records where a number can hold them. */
static void parts_for_output(struct wr_cell *parts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (parts[i].type == WR_T_I64 && parts[i].i64 >= -(INT64_C(1) << 53) &&
		    parts[i].i64 <= INT64_C(1) << 53) {
			parts[i].f64 = (double)parts[i].i64;
			parts[i].type = WR_T_F64;
		}
}

/* The common cases, a key of one string or one number: the row is written as a whole. */
static uint8_t *quick_number(uint8_t *to, const struct layout *l, const uint8_t *key, uint64_t result,
			     int64_t ts)
{
	int64_t number;
	double as_f64;
	uint32_t key_slot = l->source[0] < 0;

	memcpy(&number, key + 1, 8);
	as_f64 = (double)number;
	*(struct wr_elem *)to = (struct wr_elem){WR_ELEM_HEADER + 16, l->out_shape, ts};
	memcpy(to + WR_ELEM_HEADER + 8 * key_slot, &as_f64, 8);
	memcpy(to + WR_ELEM_HEADER + 8 * !key_slot, &result, 8);
	return to + WR_ELEM_HEADER + 16;
}

static uint8_t *quick_string(uint8_t *to, const struct layout *l, const uint8_t *key, uint32_t at, uint32_t n,
			     uint64_t result, int64_t ts)
{
	struct wr_elem *e = (struct wr_elem *)to;
	uint32_t len = (WR_ELEM_HEADER + 16 + n + 7) & ~7u;
	uint64_t slots[2];
	uint32_t key_slot = l->source[0] < 0;

	slots[key_slot] = 16 | (uint64_t)n << 32;
	slots[!key_slot] = result;
	*e = (struct wr_elem){len, l->out_shape, ts};
	memcpy(e + 1, slots, sizeof slots);
	memset(to + len - 8, 0, 8);
	memcpy(to + WR_ELEM_HEADER + 16, key + at, n);
	return to + len;
}

/* Integers beyond 2^53 stay integers in records (parts_for_output). */
static bool number_is_quick(const uint8_t *key)
{
	int64_t number;

	memcpy(&number, key + 1, 8);
	return key[0] == 'i' && number >= -(INT64_C(1) << 53) && number <= INT64_C(1) << 53;
}

static int emit_number(struct wr_stage *s, struct wr_cell result, int64_t ts)
{
	struct aggregate *a = s->state;
	struct wr_cell parts[WR_KEY_PARTS_MAX], cells[WR_KEY_PARTS_MAX + 1];
	struct layout *l = &a->out[result.type == WR_T_I64];
	struct wr_out *out = s->outs[0];
	const struct wr_shape *shape;
	uint32_t key_len, n, len;
	const uint8_t *key = wr_store_key(s->store, &key_len);
	int rc;

	if (!out->p || (size_t)(out->end - out->p) < QUICK_ROW_MAX)
		if (!wr_out_more(out, QUICK_ROW_MAX))
			return WR_EFATAL;
	if (l->quick == WR_T_STR && key[0] == 's' && key[1] < 128) {
		out->p = quick_string(out->p, l, key, 2, key[1], result.u64, ts);
		out->rows++;
		return WR_OK;
	}
	if (l->quick == WR_T_F64 && key_len == 9 && number_is_quick(key)) {
		out->p = quick_number(out->p, l, key, result.u64, ts);
		out->rows++;
		return WR_OK;
	}
	rc = wr_key_parts(key, key_len, parts, &n);
	if (rc != WR_OK)
		return rc;
	parts_for_output(parts, n);
	rc = layout_find(a, l, parts, result.type);
	if (rc != WR_OK)
		return rc;
	shape = wr_shape(l->out_shape);
	for (uint32_t i = 0; i < l->out_count; i++)
		cells[i] = l->source[i] < 0 ? result : parts[l->source[i]];
	len = wr_row_len(shape, cells);
	if (!out->p || (size_t)(out->end - out->p) < len)
		if (!wr_out_more(out, len))
			return WR_EFATAL;
	wr_row_write(out->p, len, shape, WR_INSERT, ts, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

static int emit_record(struct wr_stage *s, const struct wr_sval *v, int64_t ts)
{
	struct wr_out *out = s->outs[0];
	uint32_t len = WR_ELEM_HEADER + v->len;
	struct wr_elem *e;

	if (!out->p || (size_t)(out->end - out->p) < len)
		if (!wr_out_more(out, len))
			return WR_EFATAL;
	e = (struct wr_elem *)out->p;
	*e = (struct wr_elem){len, v->shape, ts};
	memcpy(e + 1, v->body, v->len);
	out->p += len;
	out->rows++;
	return WR_OK;
}

static int field_cell(struct aggregate *a, const struct wr_shape *s, const uint8_t *body, struct wr_cell *c)
{
	int32_t at = a->field_at;

	if (a->field_shape != s->id) {
		at = wr_shape_find(s, a->field, (uint32_t)strlen(a->field));
		a->field_shape = s->id;
		a->field_at = at;
		a->number_at = at >= 0 && s->fields[at].type == WR_T_F64 && !s->nullable
				   ? s->slots_at + 8 * (uint32_t)at + WR_ELEM_HEADER
				   : 0;
	}
	*c = (struct wr_cell){.type = 0};
	if (at >= 0)
		*c = wr_row_get(s, body, (uint32_t)at);
	if (c->type == WR_T_F64 || c->type == WR_T_I64 || (c->type == WR_T_STR && a->fn >= MIN))
		return WR_OK;
	return wr_error_set(WR_EUSER, "field '%s' is %s", a->field,
			    c->type == 0	   ? "missing"
			    : c->type == WR_T_NULL ? "null"
						   : "no number");
}

static double as_number(const struct wr_cell *c)
{
	return c->type == WR_T_I64 ? (double)c->i64 : c->f64;
}

static bool whole(const struct wr_cell *c, int64_t *to)
{
	*to = c->i64;
	return c->type == WR_T_I64 || wr_number_whole(c->f64, to);
}

/* With an integer the sum is exact, and an integer, until it meets a number that is none or overflows. */
static void add(struct wr_cell *into, const struct wr_cell *v)
{
	int64_t x, y, sum;

	if ((into->type == WR_T_I64 || v->type == WR_T_I64) && whole(into, &x) && whole(v, &y) &&
	    !__builtin_add_overflow(x, y, &sum)) {
		into->i64 = sum;
		into->type = WR_T_I64;
		return;
	}
	into->f64 = as_number(into) + as_number(v);
	into->type = WR_T_F64;
}

/* Where numbers of both types meet, the accumulator of a key may be of either. */
static int update_mixed(struct wr_stage *s, const struct wr_cell *v, struct wr_cell *result)
{
	struct aggregate *a = s->state;
	const struct wr_sval *old = wr_state_get(s->store, 0);
	uint8_t *body;

	*result = *v;
	if (old) {
		result->type = old->shape == a->integer_shape ? WR_T_I64 : WR_T_F64;
		memcpy(&result->u64, old->body, 8);
		add(result, v);
	}
	body = wr_state_put(s->store, 0, result->type == WR_T_I64 ? a->integer_shape : a->number_shape, 8);
	if (!body)
		return WR_EFATAL;
	memcpy(body, &result->u64, 8);
	return WR_OK;
}

static int update_number(struct wr_stage *s, const struct wr_elem *row, struct wr_cell *result)
{
	struct aggregate *a = s->state;
	struct wr_cell v = {.type = WR_T_F64, .f64 = 1};
	int32_t fresh;
	uint8_t *body;

	if (a->fn == SUM && a->number_at && a->field_shape == wr_elem_shape(row)) {
		memcpy(&v.f64, (const uint8_t *)row + a->number_at, 8);
	} else if (a->fn == SUM) {
		int rc = field_cell(a, wr_shape(wr_elem_shape(row)), wr_elem_body(row), &v);

		if (rc != WR_OK)
			return rc;
	}
	if (WR_UNLIKELY(v.type != a->type)) {
		a->mixed |= a->type != 0;
		a->type = v.type;
	}
	if (WR_UNLIKELY(a->mixed))
		return update_mixed(s, &v, result);
	body =
	    wr_state_update(s->store, 0, v.type == WR_T_I64 ? a->integer_shape : a->number_shape, 8, &fresh);
	if (!body)
		return WR_EFATAL;
	*result = v;
	if (fresh != 1) {
		if (WR_UNLIKELY(fresh == WR_STATE_RESHAPED)) { /* from a checkpoint */
			a->mixed = true;
			result->type = v.type == WR_T_I64 ? WR_T_F64 : WR_T_I64;
		}
		memcpy(&result->u64, body, 8);
		add(result, &v);
		if (WR_UNLIKELY(result->type != v.type)) {
			a->mixed = true;
			body = wr_state_put(s->store, 0,
					    result->type == WR_T_I64 ? a->integer_shape : a->number_shape, 8);
			if (!body)
				return WR_EFATAL;
		}
	}
	memcpy(body, &result->u64, 8);
	return WR_OK;
}

/* Texts are above numbers. */
static int compare(const struct wr_cell *x, const struct wr_cell *y)
{
	if ((x->type == WR_T_STR) != (y->type == WR_T_STR))
		return x->type == WR_T_STR ? 1 : -1;
	if (x->type == WR_T_STR) {
		int order = memcmp(x->str.p, y->str.p, x->str.len < y->str.len ? x->str.len : y->str.len);

		return order ? order : (x->str.len > y->str.len) - (x->str.len < y->str.len);
	}
	return (as_number(x) > as_number(y)) - (as_number(x) < as_number(y));
}

static bool is_nan(const struct wr_cell *c)
{
	return c->type == WR_T_F64 && c->f64 != c->f64;
}

/* The record with the smallest or largest field; the first one of equals stays, NaN gives way to any. */
static int update_record(struct wr_stage *s, const struct wr_elem *row)
{
	struct aggregate *a = s->state;
	const struct wr_sval *old = wr_state_get(s->store, 0);
	struct wr_cell mine, best;
	uint8_t *body;
	int rc = field_cell(a, wr_shape(wr_elem_shape(row)), wr_elem_body(row), &mine);

	if (rc != WR_OK)
		return rc;
	if (old && field_cell(a, wr_shape(old->shape), old->body, &best) == WR_OK) {
		int order = compare(&mine, &best);

		if (!is_nan(&best) && (a->fn == MIN || a->fn == MIN_BY ? order >= 0 : order <= 0))
			return WR_OK;
	}
	body = wr_state_put(s->store, 0, wr_elem_shape(row), wr_elem_body_len(row));
	if (!body)
		return WR_EFATAL;
	memcpy(body, wr_elem_body(row), wr_elem_body_len(row));
	return WR_OK;
}

/* min and max give {key, field}; min_by and max_by the whole record. */
static int emit_stored(struct wr_stage *s, int64_t ts)
{
	struct aggregate *a = s->state;
	const struct wr_sval *v = wr_state_get(s->store, 0);
	struct wr_cell c = {.type = 0};
	int rc;

	if (!v)
		return WR_OK;
	if (a->fn == COUNT || a->fn == SUM) {
		c.type = v->shape == a->integer_shape ? WR_T_I64 : WR_T_F64;
		memcpy(&c.u64, v->body, 8);
		return emit_number(s, c, ts);
	}
	if (a->fn >= MIN_BY)
		return emit_record(s, v, ts);
	rc = field_cell(a, wr_shape(v->shape), v->body, &c);
	if (rc != WR_OK)
		return rc;
	if (c.type == WR_T_STR)
		return emit_record(s, v, ts);
	return emit_number(s, c, ts);
}

static int update(struct wr_stage *s, const struct wr_elem *row)
{
	struct aggregate *a = s->state;
	struct wr_cell result;
	int rc;

	if (a->fn >= MIN) {
		rc = update_record(s, row);
		return rc != WR_OK || a->final ? rc : emit_stored(s, row->ts);
	}
	rc = update_number(s, row, &result);
	return rc != WR_OK || a->final ? rc : emit_number(s, result, row->ts);
}

static int one_row(struct wr_stage *s, const struct wr_elem *row, const struct wr_short_key *key)
{
	int rc = WR_OK;

	if (WR_LIKELY(key->len > 0))
		wr_store_set_short(s->store, key);
	else
		rc = wr_store_set_row(s->store, s->keyer, row);
	if (rc == WR_OK)
		rc = update(s, row);
	return WR_LIKELY(rc == WR_OK) ? WR_OK : wr_stage_refused_row(s, row, rc);
}

/* What each of the `n` rows from p adds to its key, if they all are plain: usual keys, numbers in the same
 * place, nothing but numbers so far, and no result until the end. Gives where the rows end; NULL: they are
 * not. */
static const uint8_t *plain_group(const struct aggregate *a, const uint8_t *p, uint32_t n, double *adds)
{
	if (!a->final || a->fn > SUM || a->mixed || a->type != WR_T_F64 || (a->fn == SUM && !a->number_at))
		return NULL;
	for (uint32_t i = 0; i < n; i++, p += ((const struct wr_elem *)p)->len) {
		if (a->keys[i].len == 0)
			return NULL;
		adds[i] = 1;
		if (a->fn == COUNT)
			continue;
		if (wr_elem_shape((const struct wr_elem *)p) != a->field_shape)
			return NULL;
		memcpy(&adds[i], p + a->number_at, 8);
	}
	return p;
}

static int add_group(struct wr_stage *s, uint32_t n, const double *adds)
{
	struct aggregate *a = s->state;
	struct wr_update updates[WR_KEYS_MAX];
	int rc = wr_state_update_all(s->store, 0, a->keys, n, a->number_shape, 8, updates);

	if (rc != WR_OK)
		return rc;
	for (uint32_t i = 0; i < n; i++) {
		double sum = adds[i];

		if (WR_LIKELY(!updates[i].fresh)) {
			memcpy(&sum, updates[i].body, 8);
			sum += adds[i];
		} else if (updates[i].fresh == WR_STATE_RESHAPED) { /* an integer, from a checkpoint */
			int64_t integer;

			memcpy(&integer, updates[i].body, 8);
			sum += (double)integer;
		}
		memcpy(updates[i].body, &sum, 8);
	}
	return WR_OK;
}

static int rows_one_by_one(struct wr_stage *s, struct wr_rows *rows, uint32_t n)
{
	struct aggregate *a = s->state;

	for (uint32_t i = 0; i < n; i++) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		int rc = one_row(s, row, &a->keys[i]);

		if (WR_UNLIKELY(rc != WR_OK))
			return rc;
		rows->p += row->len;
	}
	return WR_OK;
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct aggregate *a = s->state;

	wr_store_set_now(s->store, wr_clock_ms(s->env->clock));
	while (rows->p < rows->end) {
		uint32_t n = wr_keyer_keys(s->keyer, rows->p, rows->end, a->keys);

		double adds[WR_KEYS_MAX];
		const uint8_t *end;
		int rc;

		wr_store_fetch(s->store, s->keyer, rows->p, rows->end);
		wr_store_prefetch(s->store, a->keys, n);
		end = plain_group(a, rows->p, n, adds);
		rc = end ? add_group(s, n, adds) : rows_one_by_one(s, rows, n);
		if (WR_UNLIKELY(rc != WR_OK))
			return rc;
		if (end)
			rows->p = end;
		if (wr_stage_spent(s))
			return rows->p < rows->end ? WR_AGAIN : WR_OK;
	}
	return WR_OK;
}

/* S19: with `final` all results leave when the input has ended, at the end of time. */
static int watermark(struct wr_stage *s, int64_t *wm)
{
	struct aggregate *a = s->state;

	if (!a->final || *wm != WR_TS_MAX)
		return WR_OK;
	for (uint32_t n = 1;; n++) {
		int rc = wr_store_next(s->store, &a->walked);

		if (rc <= 0)
			return rc;
		rc = emit_stored(s, WR_TS_MAX);
		if (rc != WR_OK)
			return rc;
		if (n % 256 == 0 && wr_stage_spent(s))
			return WR_AGAIN;
	}
}

static void free_(struct wr_stage *s)
{
	wr_free(&mem, s->state);
	s->state = NULL;
}

const struct wr_stage_ops wr_aggregate_ops = {
    .kind = "aggregate",
    .open = open_,
    .rows = rows,
    .watermark = watermark,
    .free = free_,
};
