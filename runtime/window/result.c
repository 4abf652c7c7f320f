/* SPDX-License-Identifier: Apache-2.0 */
/* result: see result.h. */
#include "window/result.h"
#include "base/assert.h"
#include "base/error.h"

void wr_result_init(struct wr_result *r, const struct wr_value *key_as, uint32_t key_count,
		    const struct wr_accums *accums, bool bounds)
{
	WR_ASSERT(key_count <= WR_KEY_PARTS_MAX);
	memset(r, 0, sizeof *r);
	r->key_count = key_count;
	r->accums = accums;
	r->bounds = bounds;
	for (uint32_t i = 0; i < key_count; i++)
		r->keys[i] = (struct wr_str){key_as[i].str.p, key_as[i].str.len};
}

static int find_shape(struct wr_result *r, const struct wr_cell *cells, uint32_t count)
{
	static const char *const bounds[] = {"window_end", "window_start"};
	struct wr_field_spec f[WR_RESULT_FIELDS_MAX];
	struct wr_str names[WR_RESULT_FIELDS_MAX];
	const struct wr_shape *s;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t left = count - 1 - i;

		if (i < r->key_count)
			names[i] = r->keys[i];
		else if (i < r->key_count + r->accums->count)
			names[i] = r->accums->list[i - r->key_count].as;
		else
			names[i] = (struct wr_str){bounds[left], (uint32_t)strlen(bounds[left])};
		f[i] = (struct wr_field_spec){names[i].p, names[i].len, cells[i].type, 0};
		r->types[i] = cells[i].type;
	}
	r->count = r->fixed_len = 0;
	r->shape = wr_shape_intern(f, count, 0, 0);
	if (!r->shape)
		return wr_error_wrap(WR_EUSER, "result of a window");
	s = wr_shape(r->shape);
	for (uint32_t i = 0; i < count; i++)
		r->place_of[i] = (uint32_t)wr_shape_find(s, names[i].p, names[i].len);
	r->count = count;
	r->fixed_len = WR_ELEM_HEADER + s->fixed_len;
	for (uint32_t i = 0; i < count; i++)
		if (cells[i].type > WR_T_U64)
			r->fixed_len = 0;
	return WR_OK;
}

/* Integers in keys are numbers in records where a number can hold them. */
static void as_number(struct wr_cell *c)
{
	if (c->type == WR_T_I64 && c->i64 >= -(INT64_C(1) << 53) && c->i64 <= INT64_C(1) << 53) {
		c->f64 = (double)c->i64;
		c->type = WR_T_F64;
	}
}

/* The cells in our order: key parts, aggregates, bounds. */
static int gather(struct wr_result *r, const uint8_t *key, uint32_t key_len, const uint64_t *slots,
		  int64_t start, int64_t end, struct wr_cell *cells)
{
	uint32_t n = 0;
	int rc = WR_OK;

	if (r->key_count == 1 && key[0] == 'i') { /* what wr_key_parts would give */
		cells[n++].type = WR_T_I64;
		memcpy(&cells[0].i64, key + 1, 8);
	} else if (r->key_count) {
		rc = wr_key_parts(key, key_len, cells, &n);
	}
	WR_ASSERT(rc != WR_OK || n == r->key_count);
	for (uint32_t i = 0; i < n; i++)
		as_number(&cells[i]);
	wr_accums_results(r->accums, slots, cells + n);
	n += r->accums->count;
	if (r->bounds) {
		cells[n++] = (struct wr_cell){.type = WR_T_F64, .f64 = (double)start};
		cells[n] = (struct wr_cell){.type = WR_T_F64, .f64 = (double)end};
	}
	return rc;
}

/* A row of numbers alone. */
static int put_numbers(const struct wr_result *r, struct wr_out *out, const struct wr_cell *cells, int64_t ts)
{
	if (!wr_out_room(out, r->fixed_len))
		return WR_EFATAL;
	*(struct wr_elem *)out->p = (struct wr_elem){r->fixed_len, r->shape, ts};
	for (uint32_t i = 0; i < r->count; i++)
		memcpy(out->p + WR_ELEM_HEADER + 8 * r->place_of[i], &cells[i].u64, 8);
	out->p += r->fixed_len;
	out->rows++;
	return WR_OK;
}

static int put_cells(const struct wr_result *r, struct wr_out *out, const struct wr_cell *cells, int64_t ts)
{
	struct wr_cell placed[WR_RESULT_FIELDS_MAX];
	const struct wr_shape *s = wr_shape(r->shape);
	uint32_t len;

	for (uint32_t i = 0; i < r->count; i++)
		placed[r->place_of[i]] = cells[i];
	len = wr_row_len(s, placed);
	if (!len)
		return WR_EUSER;
	if (!wr_out_room(out, len))
		return WR_EFATAL;
	wr_row_write(out->p, len, s, WR_INSERT, ts, placed);
	out->p += len;
	out->rows++;
	return WR_OK;
}

int wr_result_emit(struct wr_result *r, struct wr_out *out, const uint8_t *key, uint32_t key_len,
		   const uint64_t *slots, int64_t start, int64_t end, int64_t ts)
{
	struct wr_cell cells[WR_RESULT_FIELDS_MAX];
	uint32_t count = r->key_count + r->accums->count + (r->bounds ? 2 : 0);
	bool same = r->count == count;
	int rc = gather(r, key, key_len, slots, start, end, cells);

	for (uint32_t i = 0; i < count && same && rc == WR_OK; i++)
		same = cells[i].type == r->types[i];
	if (rc == WR_OK && WR_UNLIKELY(!same))
		rc = find_shape(r, cells, count);
	if (rc != WR_OK)
		return rc;
	return r->fixed_len ? put_numbers(r, out, cells, ts) : put_cells(r, out, cells, ts);
}
