/* SPDX-License-Identifier: Apache-2.0 */
/* pattern: see the header. A row's fixed part is written slot by slot, its strings behind it;
 * repeated rows lie encoded in one block, and only what is due is written anew. */
#include "base/assert.h"
#include "base/error.h"
#include "connect/pattern.h"
#include "record/row.h"

enum { FIELDS_MAX = 64, PREFIX_MAX = 64, DIGITS_MAX = 20, DISTINCT_MAX = 1 << 24 };
enum rule { RANDOM, CYCLE, DUE };

struct field {
	enum rule rule;
	uint64_t stream; /* of random: its number among the random fields, from 1 */
	uint64_t below, every;
	uint32_t prefix_len;
	bool text;
	char prefix[PREFIX_MAX];
};
struct wr_pattern {
	uint32_t shape, slots_at, fixed_len, len_max, count;
	struct field fields[FIELDS_MAX];
	bool alike;    /* no strings: all rows are len_max long */
	uint8_t *made; /* `distinct` rows, back to back; NULL: each row is made when it is asked for */
	uint64_t distinct;
	size_t *starts; /* of them, and the end of the last */
};

static struct wr_mem mem = WR_MEM_INIT("connect.pattern");

/* The i-th number of a stream, without state (splitmix64). */
static uint64_t random_at(uint64_t stream, uint64_t i)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u + stream * 0xd1b54a32d192ed03u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t number(const struct field *f, uint64_t i)
{
	uint64_t v;

	if (f->rule == RANDOM)
		return (uint64_t)((__uint128_t)random_at(f->stream, i) * f->below >> 64);
	v = f->every > 1 ? i / f->every : i;
	return v < f->below ? v : v % f->below;
}

static uint32_t put_text(uint8_t *to, const struct field *f, uint64_t v)
{
	char digits[2 * DIGITS_MAX]; /* the second half is room for a copy of fixed length */
	uint32_t at = DIGITS_MAX;

	memcpy(to, f->prefix, f->prefix_len);
	while (v > UINT32_MAX) {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	}
	for (uint32_t w = (uint32_t)v;; w /= 10) { /* dividing 32 bits is several times cheaper */
		digits[--at] = (char)('0' + w % 10);
		if (w < 10)
			break;
	}
	memcpy(to + f->prefix_len, digits + at, DIGITS_MAX);
	return f->prefix_len + DIGITS_MAX - at;
}

void wr_pattern_due(const struct wr_pattern *p, uint8_t *row, uint64_t due_ns)
{
	double ns = (double)due_ns;

	for (uint32_t k = 0; k < p->count; k++)
		if (p->fields[k].rule == DUE)
			memcpy(row + WR_ELEM_HEADER + p->slots_at + 8 * k, &ns, 8);
}

static uint32_t make_row(const struct wr_pattern *p, uint8_t *to, uint64_t i)
{
	uint8_t *body = to + WR_ELEM_HEADER, *slot = body + p->slots_at;
	uint32_t at = p->fixed_len, len;

	for (uint32_t k = 0; k < p->count; k++, slot += 8) {
		const struct field *f = &p->fields[k];

		if (f->text) {
			uint32_t n = put_text(body + at, f, number(f, i));
			uint64_t v = at | (uint64_t)n << 32;

			memcpy(slot, &v, 8);
			at += n;
		} else {
			double v = f->rule == DUE ? 0 : (double)number(f, i);

			memcpy(slot, &v, 8);
		}
	}
	len = (at + 7) & ~7u;
	if (len != at)
		memset(body + at, 0, len - at);
	*(struct wr_elem *)to = (struct wr_elem){WR_ELEM_HEADER + len, p->shape, WR_TS_NONE};
	return WR_ELEM_HEADER + len;
}

/* Slots of one field in `n` rows of numbers, `stride` bytes apart. */
static void make_column(const struct field *f, uint8_t *slot, size_t stride, uint64_t i, uint32_t n)
{
	uint64_t v = f->rule == DUE ? 0 : number(f, i), until = f->every - i % f->every;

	for (uint32_t k = 0; k < n; k++, slot += stride) {
		double value = f->rule == RANDOM ? (double)number(f, i + k) : (double)v;

		memcpy(slot, &value, 8);
		if (f->rule == CYCLE && --until == 0) {
			until = f->every;
			v = v + 1 == f->below ? 0 : v + 1;
		}
	}
}

/* Rows without strings are alike: a field at a time, as many as fit. */
static uint32_t make_alike(const struct wr_pattern *p, uint64_t i, uint32_t most, uint8_t *to, size_t room)
{
	uint32_t n = room / p->len_max < most ? (uint32_t)(room / p->len_max) : most;

	for (uint32_t k = 0; k < n; k++)
		*(struct wr_elem *)(to + (size_t)k * p->len_max) =
		    (struct wr_elem){p->len_max, p->shape, WR_TS_NONE};
	for (uint32_t k = 0; k < p->count; k++)
		make_column(&p->fields[k], to + WR_ELEM_HEADER + p->slots_at + 8 * (size_t)k, p->len_max, i,
			    n);
	return n;
}

/* How many of the rows from `first` on fit into `room`, `most` at most. */
static uint32_t fitting(const struct wr_pattern *p, uint64_t first, uint32_t most, size_t room)
{
	uint32_t low = 0, high = most;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (p->starts[first + middle] - p->starts[first] <= room)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

uint32_t wr_pattern_run(const struct wr_pattern *p, uint64_t i, uint32_t most, uint8_t *to, size_t room,
			size_t *len)
{
	uint64_t first = p->made ? i % p->distinct : 0, left = p->distinct - first;
	uint32_t n;

	if (!p->made && p->alike) {
		n = make_alike(p, i, most, to, room);
		*len = (size_t)n * p->len_max;
		return n;
	}
	if (!p->made) {
		*len = room >= p->len_max ? make_row(p, to, i) : 0;
		return *len > 0;
	}
	n = fitting(p, first, most < left ? most : (uint32_t)left, room);
	*len = p->starts[first + n] - p->starts[first];
	memcpy(to, p->made + p->starts[first], *len);
	return n;
}

/* Reads one field's rule; the fields come sorted by name. */
static int read_field(struct wr_pattern *p, const struct wr_value *v, uint64_t *streams)
{
	struct field *f = &p->fields[p->count];
	const char *kind = wr_value_str(v, "kind", "random"), *prefix = wr_value_str(v, "prefix", NULL);

	f->rule = !strcmp(kind, "due") ? DUE : !strcmp(kind, "cycle") ? CYCLE : RANDOM;
	f->below = (uint64_t)wr_value_int(v, "below", INT64_C(1) << 53);
	f->every = (uint64_t)wr_value_int(v, "every", 1);
	f->text = prefix != NULL;
	if (f->rule == RANDOM)
		f->stream = ++*streams;
	if (prefix && strlen(prefix) >= PREFIX_MAX)
		return wr_error_set(WR_EUSER, "field '%s': a prefix has at most %d bytes",
				    wr_value_str(v, "name", ""), PREFIX_MAX - 1);
	if (prefix) {
		f->prefix_len = (uint32_t)strlen(prefix);
		memcpy(f->prefix, prefix, f->prefix_len);
	}
	WR_ASSERT(f->below > 0 && f->every > 0); /* the Lua side validated them */
	p->count++;
	p->len_max += f->text ? f->prefix_len + DIGITS_MAX : 0;
	return WR_OK;
}

static int read_fields(struct wr_pattern *p, const struct wr_value *options)
{
	struct wr_field_spec specs[FIELDS_MAX];
	const struct wr_shape *shape;
	uint64_t streams = 0;
	uint32_t count;
	const struct wr_value *list = wr_value_list(options, "fields", &count);

	if (count > FIELDS_MAX)
		return wr_error_set(WR_EUSER, "a pattern has at most %d fields", FIELDS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = wr_value_str(&list[i], "name", "");

		if (read_field(p, &list[i], &streams) != WR_OK)
			return wr_error_code();
		specs[i] = (struct wr_field_spec){.name = name,
						  .name_len = (uint32_t)strlen(name),
						  .type = p->fields[i].text ? WR_T_STR : WR_T_F64};
	}
	p->shape = wr_shape_intern(specs, count, 0, 0);
	if (!p->shape)
		return wr_error_code();
	shape = wr_shape(p->shape);
	p->alike = p->len_max == 0 && shape->slots_at == 0;
	p->slots_at = shape->slots_at;
	p->fixed_len = shape->fixed_len;
	p->len_max = (p->len_max + WR_ELEM_HEADER + p->fixed_len + 7) & ~7u;
	return WR_OK;
}

static int make_distinct(struct wr_pattern *p, uint64_t distinct)
{
	if (distinct > DISTINCT_MAX)
		return wr_error_set(WR_EUSER, "a pattern repeats at most %d rows", DISTINCT_MAX);
	p->made = wr_alloc(&mem, distinct * p->len_max);
	p->starts = wr_alloc(&mem, (distinct + 1) * sizeof *p->starts);
	if (!p->made || !p->starts)
		return WR_EFATAL;
	p->distinct = distinct;
	p->starts[0] = 0;
	for (uint64_t i = 0; i < distinct; i++)
		p->starts[i + 1] = p->starts[i] + make_row(p, p->made + p->starts[i], i);
	return WR_OK;
}

struct wr_pattern *wr_pattern_new(const struct wr_value *options)
{
	struct wr_pattern *p = wr_zalloc(&mem, sizeof *p);
	uint64_t distinct = (uint64_t)wr_value_int(options, "distinct", 0);

	if (!p)
		return NULL;
	if (read_fields(p, options) != WR_OK || (distinct && make_distinct(p, distinct) != WR_OK)) {
		wr_pattern_free(p);
		return NULL;
	}
	return p;
}

void wr_pattern_free(struct wr_pattern *p)
{
	if (!p)
		return;
	wr_free(&mem, p->made);
	wr_free(&mem, p->starts);
	wr_free(&mem, p);
}

uint32_t wr_pattern_len_max(const struct wr_pattern *p)
{
	return p->len_max;
}
