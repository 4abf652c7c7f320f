/* SPDX-License-Identifier: Apache-2.0 */
/* joined: see joined.h. */
#include "window/joined.h"
#include "base/assert.h"
#include "base/error.h"

int wr_joined_check(const struct wr_accums *a, uint32_t id)
{
	const struct wr_shape *s = wr_shape(id);

	if (s->scalar)
		return wr_error_set(WR_EUSER, "the record has no fields that a result could have");
	if (s->count + a->count > WR_JOINED_FIELDS_MAX)
		return wr_error_set(WR_EUSER, "the record has more than %u fields",
				    WR_JOINED_FIELDS_MAX - a->count);
	for (uint32_t i = 0; i < a->count; i++)
		if (wr_shape_find(s, a->list[i].as.p, a->list[i].as.len) >= 0)
			return wr_error_set(WR_EUSER,
					    "\"%.*s\" is a field of the record and the name of an aggregate: "
					    "call the aggregate otherwise",
					    (int)a->list[i].as.len, a->list[i].as.p);
	return WR_OK;
}

static int find_shape(struct wr_joined *j, uint32_t left, const struct wr_cell *results)
{
	const struct wr_shape *s = wr_shape(left);
	struct wr_field_spec f[WR_JOINED_FIELDS_MAX];
	uint32_t count = 0, id;
	bool nullable = s->nullable;

	j->left = 0;
	j->numbers = true;
	for (uint32_t i = s->hidden; i < s->count; i++) {
		const struct wr_field *field = &s->fields[i];

		f[count++] = (struct wr_field_spec){field->name, field->name_len, field->type, field->child};
		j->numbers &= field->type <= WR_T_U64;
	}
	for (uint32_t i = 0; i < j->accums->count; i++) {
		const struct wr_str *as = &j->accums->list[i].as;
		uint32_t type = results[i].type;

		nullable |= !type;
		f[count++] = (struct wr_field_spec){as->p, as->len, type ? type : WR_T_F64, 0};
		j->types[i] = type;
	}
	id = wr_shape_intern(f, count, nullable, 0);
	if (!id)
		return wr_error_wrap(WR_EUSER, "result of an interval");
	j->shape = wr_shape(id);
	j->numbers &= !nullable;
	for (uint32_t i = s->hidden; i < s->count; i++)
		j->left_at[i] = (uint16_t)wr_shape_find(j->shape, s->fields[i].name, s->fields[i].name_len);
	for (uint32_t i = 0; i < j->accums->count; i++)
		j->acc_at[i] =
		    (uint16_t)wr_shape_find(j->shape, j->accums->list[i].as.p, j->accums->list[i].as.len);
	j->left = left;
	return WR_OK;
}

static bool same_types(const struct wr_joined *j, const struct wr_cell *results)
{
	for (uint32_t i = 0; i < j->accums->count; i++)
		if (results[i].type != j->types[i])
			return false;
	return true;
}

static int put_numbers(const struct wr_joined *j, struct wr_out *out, const uint8_t *left,
		       const struct wr_cell *results, int64_t ts)
{
	const struct wr_shape *s = wr_shape(j->left);
	uint32_t len = WR_ELEM_HEADER + j->shape->fixed_len;

	if (!wr_out_room(out, len))
		return WR_EFATAL;
	*(struct wr_elem *)out->p = (struct wr_elem){len, j->shape->id, ts};
	for (uint32_t i = s->hidden; i < s->count; i++)
		memcpy(out->p + WR_ELEM_HEADER + 8 * j->left_at[i], left + 8 * i, 8);
	for (uint32_t i = 0; i < j->accums->count; i++)
		memcpy(out->p + WR_ELEM_HEADER + 8 * j->acc_at[i], &results[i].u64, 8);
	out->p += len;
	out->rows++;
	return WR_OK;
}

static int put_cells(const struct wr_joined *j, struct wr_out *out, const uint8_t *left,
		     const struct wr_cell *results, int64_t ts)
{
	struct wr_cell cells[WR_JOINED_FIELDS_MAX];
	const struct wr_shape *s = wr_shape(j->left);
	uint32_t len;

	for (uint32_t i = s->hidden; i < s->count; i++)
		cells[j->left_at[i]] = wr_row_get(s, left, i);
	for (uint32_t i = 0; i < j->accums->count; i++)
		cells[j->acc_at[i]] = results[i];
	len = wr_row_len(j->shape, cells);
	if (!len)
		return WR_EUSER;
	if (!wr_out_room(out, len))
		return WR_EFATAL;
	wr_row_write(out->p, len, j->shape, WR_INSERT, ts, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

int wr_joined_emit(struct wr_joined *j, struct wr_out *out, uint32_t shape, const uint8_t *left,
		   const uint64_t *acc, uint64_t rows, int64_t ts)
{
	struct wr_cell results[WR_ACCUMS_MAX];
	int rc = WR_OK;

	wr_accums_results(j->accums, acc, results);
	for (uint32_t i = 0; i < j->accums->count && !rows; i++)
		if (j->accums->list[i].fn != WR_ACC_COUNT)
			results[i] = (struct wr_cell){0};
	if (WR_UNLIKELY(j->left != shape || !same_types(j, results)))
		rc = find_shape(j, shape, results);
	if (rc != WR_OK)
		return rc;
	return j->numbers ? put_numbers(j, out, left, results, ts) : put_cells(j, out, left, results, ts);
}
