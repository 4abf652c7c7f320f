/* SPDX-License-Identifier: Apache-2.0 */
/* key: canonical bytes to and fro, and the rules of key groups and parallelism; see key.h. */
#include <inttypes.h>
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/canon.h"
#include "record/key.h"
#include "record/varint.h"

const char *wr_canon_cell(uint8_t **to, const struct wr_cell *cell, struct wr_str *str)
{
	struct wr_cell inner;

	*str = (struct wr_str){NULL, 0};
	switch (cell->type) {
	case 0:
		return "is missing";
	case WR_T_NULL:
		return "is null";
	case WR_T_BOOL:
		*(*to)++ = 'b';
		*(*to)++ = cell->u64 != 0;
		return NULL;
	case WR_T_F64:
		if (isnan(cell->f64))
			return "is NaN";
		*to = wr_canon_f64(*to, cell->f64);
		return NULL;
	case WR_T_I64:
	case WR_T_U64:
		*to = wr_canon_u64_raw(*to, cell->type == WR_T_U64 && cell->u64 > INT64_MAX ? 'u' : 'i',
				       cell->u64);
		return NULL;
	case WR_T_STR:
	case WR_T_BYTES:
		*to = wr_canon_str(*to, cell->str.len);
		*str = cell->str;
		return NULL;
	case WR_T_ANY:
		inner = wr_cell_of_value(cell->str);
		return wr_canon_cell(to, &inner, str);
	default:
		return "is a table";
	}
}

int wr_key_put_cell(struct wr_bytes *out, const struct wr_cell *cell)
{
	uint8_t head[WR_CANON_HEAD_MAX], *to = head;
	struct wr_str str;
	const char *trouble = wr_canon_cell(&to, cell, &str);

	if (trouble)
		return wr_error_set(WR_EUSER, "a key %s", trouble);
	wr_bytes_put(out, head, (size_t)(to - head));
	wr_bytes_put(out, str.p, str.len);
	return wr_bytes_status(out);
}

uint64_t wr_key_hash(const uint8_t *p, uint32_t len)
{
	return XXH3_64bits(p, len);
}

/* ---- back to cells ---- */

static bool read_double(struct wr_reader *r, struct wr_cell *part)
{
	uint8_t canonical[9];

	part->type = WR_T_F64;
	part->f64 = wr_read_f64(r);
	if (isnan(part->f64))
		return false;
	wr_canon_f64(canonical, part->f64);
	return canonical[0] == 'd';
}

static bool read_part(struct wr_reader *r, struct wr_cell *part)
{
	uint64_t len;

	*part = (struct wr_cell){0};
	switch (wr_read_u8(r)) {
	case 'b':
		part->type = WR_T_BOOL;
		part->u64 = wr_read_u8(r);
		return part->u64 <= 1;
	case 'i':
		part->type = WR_T_I64;
		part->u64 = wr_read_u64(r);
		return true;
	case 'u':
		part->type = WR_T_U64;
		part->u64 = wr_read_u64(r);
		return part->u64 > INT64_MAX;
	case 'd':
		return read_double(r, part);
	case 's':
		part->type = WR_T_STR;
		len = wr_read_varint_strict(r);
		part->str.p = (const char *)wr_read_bytes(r, len);
		part->str.len = (uint32_t)len;
		return true;
	default:
		return false;
	}
}

int wr_key_parts(const uint8_t *p, uint32_t len, struct wr_cell *parts, uint32_t *count)
{
	struct wr_reader r = wr_reader_of(p, len);
	bool good = true;

	*count = 1;
	if (len > 0 && p[0] == 't') {
		wr_read_u8(&r);
		*count = wr_read_u8(&r);
		good = *count >= 2 && *count <= WR_KEY_PARTS_MAX;
	}
	for (uint32_t i = 0; i < *count && good; i++)
		good = read_part(&r, &parts[i]) && !r.bad;
	if (good && r.p == r.end)
		return WR_OK;
	*count = 0;
	return wr_error_set(WR_EUSER, "the bytes of a key are malformed");
}

void wr_key_json(const uint8_t *p, uint32_t len, struct wr_bytes *out)
{
	struct wr_cell parts[WR_KEY_PARTS_MAX];
	uint32_t count;

	if (wr_key_parts(p, len, parts, &count) != WR_OK) {
		wr_bytes_put(out, "null", 4);
		return;
	}
	if (count > 1)
		wr_bytes_put_u8(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			wr_bytes_put_u8(out, ',');
		if (parts[i].type == WR_T_STR)
			wr_json_string(out, parts[i].str.p, parts[i].str.len);
		else
			wr_cell_text(&parts[i], out);
	}
	if (count > 1)
		wr_bytes_put_u8(out, ']');
}

/* ---- key groups ---- */

void wr_key_group_range(uint32_t max_parallelism, uint32_t parallelism, uint32_t subtask, uint32_t *first,
			uint32_t *last)
{
	WR_ASSERT(subtask < parallelism && parallelism <= max_parallelism);
	*first = (uint32_t)(((uint64_t)subtask * max_parallelism + parallelism - 1) / parallelism);
	*last = (uint32_t)((((uint64_t)subtask + 1) * max_parallelism - 1) / parallelism);
}

uint32_t wr_max_parallelism_default(uint32_t parallelism)
{
	uint64_t wanted = (uint64_t)parallelism + parallelism / 2;
	uint32_t max = 128;

	while (max < wanted && max < WR_PARALLELISM_MAX)
		max *= 2;
	return max;
}

int wr_parallelism_check(int64_t parallelism, int64_t max_parallelism)
{
	if (max_parallelism < 1 || max_parallelism > WR_PARALLELISM_MAX)
		return wr_error_set(WR_EUSER, "max parallelism is %" PRId64 ", must be from 1 to %d",
				    max_parallelism, WR_PARALLELISM_MAX);
	if (parallelism < 1 || parallelism > max_parallelism)
		return wr_error_set(WR_EUSER,
				    "parallelism is %" PRId64
				    ", must be from 1 to max parallelism, which is %" PRId64,
				    parallelism, max_parallelism);
	return WR_OK;
}
