/* SPDX-License-Identifier: Apache-2.0 */
/* key: canonical bytes of keys, and where the key fields of a shape are. */
#include "record/key.h"

#include <math.h>
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/value.h"

static struct wr_mem mem = WR_MEM_INIT("record.keys");

enum { STEPS_MAX = 8, CACHE = 16 };

/* Where one part of the key is in a shape: a walk through nested rows to a field. */
struct place {
	uint32_t steps; /* 0: not there, or only in a tagged value */
	uint16_t field[STEPS_MAX];
};
struct plan {
	uint32_t shape; /* 0 = empty */
	struct place places[];
};
struct wr_keyer {
	struct wr_str *names;
	uint32_t count;
	struct plan *last;
	struct plan *cache[CACHE]; /* by shape id, direct mapped */
	struct wr_bytes scratch;
	struct wr_arena arena; /* tagged records only */
	uint8_t small[264];
};

struct wr_keyer *wr_keyer_new(const struct wr_str *names, uint32_t count)
{
	struct wr_keyer *k = wr_zalloc(&mem, sizeof *k);

	WR_ASSERT(count > 0 && count <= WR_KEY_PARTS_MAX);
	if (!k)
		return NULL;
	wr_arena_init(&k->arena, &mem);
	k->names = wr_zalloc(&mem, count * sizeof *k->names);
	if (!k->names)
		goto fail;
	k->count = count;
	for (uint32_t i = 0; i < count; i++) {
		k->names[i].p = wr_strndup(&mem, names[i].p, names[i].len);
		k->names[i].len = names[i].len;
		if (!k->names[i].p)
			goto fail;
	}
	return k;
fail:
	wr_keyer_free(k);
	return NULL;
}

void wr_keyer_free(struct wr_keyer *k)
{
	if (!k)
		return;
	for (uint32_t i = 0; i < k->count; i++)
		wr_free(&mem, (void *)k->names[i].p);
	for (int i = 0; i < CACHE; i++)
		wr_free(&mem, k->cache[i]);
	wr_free(&mem, k->names);
	wr_bytes_deinit(&k->scratch);
	wr_arena_deinit(&k->arena);
	wr_free(&mem, k);
}

/* A field of the whole name wins over a path into nested rows. */
static void place_find(const struct wr_shape *s, struct wr_str name, struct place *out)
{
	int32_t i = wr_shape_find(s, name.p, name.len);

	if (i >= 0) {
		out->field[out->steps++] = (uint16_t)i;
		return;
	}
	for (uint32_t dot = 0; dot < name.len; dot++) {
		struct wr_str rest = {name.p + dot + 1, name.len - dot - 1};

		if (name.p[dot] != '.' || out->steps + 1 >= STEPS_MAX)
			continue;
		i = wr_shape_find(s, name.p, dot);
		if (i < 0 || s->fields[i].type != WR_T_ROW)
			continue;
		out->field[out->steps++] = (uint16_t)i;
		place_find(wr_shape(s->fields[i].child), rest, out);
		return;
	}
	out->steps = 0;
}

static struct plan *plan_for(struct wr_keyer *k, uint32_t shape)
{
	struct plan **slot = &k->cache[shape % CACHE], *p = *slot;

	if (p && p->shape == shape)
		return p;
	if (!p)
		p = wr_zalloc(&mem, sizeof *p + k->count * sizeof *p->places);
	if (!p)
		return NULL;
	*slot = p;
	p->shape = shape;
	memset(p->places, 0, k->count * sizeof *p->places);
	for (uint32_t i = 0; i < k->count; i++)
		place_find(wr_shape(shape), k->names[i], &p->places[i]);
	return p;
}

static struct wr_cell cell_at(const struct wr_elem *row, const struct place *at)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	const uint8_t *body = wr_elem_body(row);
	struct wr_cell c = {.type = 0};

	for (uint32_t i = 0; i < at->steps; i++) {
		c = wr_row_get(s, body, at->field[i]);
		if (c.type != WR_T_ROW || i + 1 == at->steps)
			break;
		s = wr_shape(c.child);
		body = (const uint8_t *)c.str.p;
	}
	return c;
}

static struct wr_cell cell_of_value(const struct wr_value *v)
{
	struct wr_cell c = {.type = 0};

	switch (v->tag) {
	case WR_V_F64:
		c.type = WR_T_F64;
		c.f64 = v->f64;
		break;
	case WR_V_I64:
	case WR_V_U64:
		c.type = v->tag == WR_V_I64 ? WR_T_I64 : WR_T_U64;
		c.u64 = v->u64;
		break;
	case WR_V_STR:
	case WR_V_BYTES:
		c.type = WR_T_STR;
		c.str = (struct wr_str){v->str.p, v->str.len};
		break;
	case WR_V_FALSE:
	case WR_V_TRUE:
		c.type = WR_T_BOOL;
		c.u64 = v->tag == WR_V_TRUE;
		break;
	case WR_V_NULL:
		c.type = WR_T_NULL;
		break;
	case WR_V_NIL:
		break;
	default:
		c.type = WR_T_LIST;
	}
	return c;
}

/* Records in the tagged encoding: parsed, then looked up by name or path. */
static int tagged_cell(struct wr_keyer *k, struct wr_str text, struct wr_str name, struct wr_cell *out)
{
	struct wr_reader r = wr_reader_of(text.p, text.len);
	struct wr_value v;
	const struct wr_value *f;
	int rc = wr_value_parse(&r, &k->arena, &v);

	if (rc != WR_OK)
		return rc;
	if (name.len == 0) {
		*out = cell_of_value(&v);
		return WR_OK;
	}
	f = wr_value_get(&v, name.p);
	if (!f) {
		const char *dot = memchr(name.p, '.', name.len);
		char *head = dot ? wr_arena_strndup(&k->arena, name.p, (size_t)(dot - name.p)) : NULL;

		f = head ? wr_value_get(wr_value_get(&v, head), dot + 1) : NULL;
	}
	*out = f ? cell_of_value(f) : (struct wr_cell){.type = 0};
	return WR_OK;
}

int wr_key_put_cell(struct wr_bytes *out, const struct wr_cell *c)
{
	uint8_t *to;

	switch (c->type) {
	case WR_T_STR:
	case WR_T_BYTES:
		wr_bytes_put_u8(out, 's');
		wr_bytes_put_str(out, c->str.p, c->str.len);
		return WR_OK;
	case WR_T_BOOL:
		wr_bytes_put_u8(out, 'b');
		wr_bytes_put_u8(out, c->u64 != 0);
		return WR_OK;
	case WR_T_F64:
		if (isnan(c->f64))
			return wr_error_set(WR_EUSER, "NaN");
		to = wr_bytes_room(out, 9);
		if (!to)
			return WR_EFATAL;
		if (c->f64 >= -0x1p63 && c->f64 < 0x1p63 && c->f64 == (double)(int64_t)c->f64) {
			int64_t i = (int64_t)c->f64;

			to[0] = 'i';
			memcpy(to + 1, &i, 8);
		} else {
			to[0] = 'd';
			memcpy(to + 1, &c->f64, 8);
		}
		out->len += 9;
		return WR_OK;
	case WR_T_I64:
	case WR_T_U64:
		wr_bytes_put_u8(out, c->type == WR_T_U64 && c->u64 > INT64_MAX ? 'u' : 'i');
		wr_bytes_put_u64(out, c->u64);
		return WR_OK;
	case 0:
		return wr_error_set(WR_EUSER, "missing");
	case WR_T_NULL:
		return wr_error_set(WR_EUSER, "null");
	default:
		return wr_error_set(WR_EUSER, "a table");
	}
}

static int key_slow(struct wr_keyer *k, const struct wr_elem *row, const struct plan *plan, struct wr_key *out)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	bool tagged = s->scalar && s->fields[0].type == WR_T_ANY;

	k->scratch.len = 0;
	if (k->count > 1) {
		wr_bytes_put_u8(&k->scratch, 't');
		wr_bytes_put_u8(&k->scratch, (uint8_t)k->count);
	}
	for (uint32_t i = 0; i < k->count; i++) {
		struct wr_cell c = {.type = 0};
		int rc = WR_OK;

		wr_arena_reset(&k->arena);
		if (tagged)
			rc = tagged_cell(k, wr_row_str(s, wr_elem_body(row), 0), k->names[i], &c);
		else if (plan->places[i].steps)
			c = cell_at(row, &plan->places[i]);
		if (rc == WR_OK && c.type == WR_T_ANY)
			rc = tagged_cell(k, c.str, (struct wr_str){"", 0}, &c);
		if (rc == WR_OK)
			rc = wr_key_put_cell(&k->scratch, &c);
		if (rc != WR_OK) {
			char why[64];

			snprintf(why, sizeof why, "%s", wr_error_text());
			if (k->names[i].len && k->names[i].p[0] == 1)
				return wr_error_set(rc, "the key is %s", why);
			return wr_error_set(rc, "key field '%.*s' is %s", (int)k->names[i].len, k->names[i].p, why);
		}
	}
	if (wr_bytes_status(&k->scratch) != WR_OK)
		return WR_EFATAL;
	out->p = k->scratch.data;
	out->len = (uint32_t)k->scratch.len;
	out->hash = XXH3_64bits(out->p, out->len);
	return WR_OK;
}

int wr_keyer_key(struct wr_keyer *k, const struct wr_elem *row, struct wr_key *out)
{
	uint32_t shape = wr_elem_shape(row);
	struct plan *p = k->last;
	const struct wr_shape *s;
	uint32_t i, type;

	if (WR_UNLIKELY(!p || p->shape != shape)) {
		p = plan_for(k, shape);
		if (!p)
			return WR_EFATAL;
		k->last = p;
	}
	if (WR_UNLIKELY(k->count != 1 || p->places[0].steps != 1))
		return key_slow(k, row, p, out);
	s = wr_shape(shape);
	i = p->places[0].field[0];
	type = s->fields[i].type;
	if (WR_UNLIKELY(s->nullable))
		return key_slow(k, row, p, out);
	if (type == WR_T_STR) {
		struct wr_str v = wr_row_str(s, wr_elem_body(row), i);
		uint8_t *to = k->small;

		if (v.len >= 256)
			return key_slow(k, row, p, out);
		*to++ = 's';
		if (v.len >= 128) {
			*to++ = (uint8_t)(v.len | 128);
			*to++ = (uint8_t)(v.len >> 7);
		} else {
			*to++ = (uint8_t)v.len;
		}
		memcpy(to, v.p, v.len);
		out->p = k->small;
		out->len = (uint32_t)(to - k->small) + v.len;
	} else if (type == WR_T_F64) {
		double v = wr_row_f64(s, wr_elem_body(row), i);
		int64_t n;

		if (!(v >= -0x1p63 && v < 0x1p63) || v != (double)(n = (int64_t)v))
			return key_slow(k, row, p, out);
		k->small[0] = 'i';
		memcpy(k->small + 1, &n, 8);
		out->p = k->small;
		out->len = 9;
	} else {
		return key_slow(k, row, p, out);
	}
	out->hash = XXH3_64bits(out->p, out->len);
	return WR_OK;
}

uint64_t wr_key_hash(const uint8_t *p, uint32_t len)
{
	return XXH3_64bits(p, len);
}

static int part(struct wr_reader *r, struct wr_cell *c)
{
	uint8_t tag = wr_read_u8(r);
	size_t len;

	memset(c, 0, sizeof *c);
	switch (tag) {
	case 's':
		c->type = WR_T_STR;
		c->str.p = wr_read_str(r, &len);
		c->str.len = (uint32_t)len;
		break;
	case 'i':
		c->type = WR_T_I64;
		c->u64 = wr_read_u64(r);
		break;
	case 'u':
		c->type = WR_T_U64;
		c->u64 = wr_read_u64(r);
		break;
	case 'd':
		c->type = WR_T_F64;
		c->f64 = wr_read_f64(r);
		break;
	case 'b':
		c->type = WR_T_BOOL;
		c->u64 = wr_read_u8(r) != 0;
		break;
	default:
		r->bad = true;
	}
	return r->bad ? wr_error_set(WR_EUSER, "malformed key") : WR_OK;
}

int wr_key_parts(const uint8_t *p, uint32_t len, struct wr_cell *parts, uint32_t *count)
{
	struct wr_reader r = wr_reader_of(p, len);
	uint32_t n = 1;

	if (len && p[0] == 't') {
		wr_read_u8(&r);
		n = wr_read_u8(&r);
		if (r.bad || n < 2 || n > WR_KEY_PARTS_MAX)
			return wr_error_set(WR_EUSER, "malformed key");
	}
	for (uint32_t i = 0; i < n; i++)
		if (part(&r, &parts[i]) != WR_OK)
			return WR_EUSER;
	if (r.p != r.end)
		return wr_error_set(WR_EUSER, "malformed key: bytes behind it");
	*count = n;
	return WR_OK;
}

void wr_key_json(const uint8_t *p, uint32_t len, struct wr_bytes *out)
{
	struct wr_cell parts[WR_KEY_PARTS_MAX];
	uint32_t n;

	if (wr_key_parts(p, len, parts, &n) != WR_OK) {
		wr_bytes_put(out, "?", 1);
		return;
	}
	if (n > 1)
		wr_bytes_put_u8(out, '[');
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			wr_bytes_put_u8(out, ',');
		if (parts[i].type == WR_T_STR)
			wr_json_string(out, parts[i].str.p, parts[i].str.len);
		else
			wr_cell_text(&parts[i], out);
	}
	if (n > 1)
		wr_bytes_put_u8(out, ']');
}

/* P3 */
void wr_key_group_range(uint32_t max_parallelism, uint32_t parallelism, uint32_t subtask, uint32_t *first,
			uint32_t *last)
{
	uint64_t max = max_parallelism;

	*first = (uint32_t)((subtask * max + parallelism - 1) / parallelism);
	*last = (uint32_t)(((subtask + 1) * max - 1) / parallelism);
}

/* P4: 1.5 times the parallelism, rounded up to a power of two, within [128, 32768]. */
uint32_t wr_max_parallelism_default(uint32_t parallelism)
{
	uint32_t want = parallelism + parallelism / 2, p = 1;

	while (p < want)
		p *= 2;
	return p < 128 ? 128 : p > WR_PARALLELISM_MAX ? WR_PARALLELISM_MAX : p;
}

/* P5 */
int wr_parallelism_check(int64_t parallelism, int64_t max_parallelism)
{
	if (parallelism < 1 || parallelism > WR_PARALLELISM_MAX)
		return wr_error_set(WR_EUSER, "parallelism %lld; it must be 1 to %d", (long long)parallelism,
				    WR_PARALLELISM_MAX);
	if (max_parallelism < 1 || max_parallelism > WR_PARALLELISM_MAX)
		return wr_error_set(WR_EUSER, "max parallelism %lld; it must be 1 to %d",
				    (long long)max_parallelism, WR_PARALLELISM_MAX);
	if (parallelism > max_parallelism)
		return wr_error_set(WR_EUSER, "parallelism %lld is above the max parallelism %lld",
				    (long long)parallelism, (long long)max_parallelism);
	return WR_OK;
}
