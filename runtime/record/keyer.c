/* SPDX-License-Identifier: Apache-2.0 */
/* keyer: keys of rows by field name, a few ns each; see key.h.
 *
 * Where the fields of a key lie is remembered for 64 shapes, direct-mapped by shape id
 * (ids are dense, so neighbours do not collide; a job sees a handful). What a memory of
 * slots cannot say (a field that is missing, of any type, inside a map) is looked up.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/canon.h"
#include "record/key.h"

enum { NUMBER_LEN = 9 };
_Static_assert(WR_KEYS_MAX == 64, "a bit for each key");
enum { KEYER_LINES = 64, ROUTE_STEPS_MAX = 4, QUICK_LEN_MAX = 127 /* a varint of one byte */ };
enum {
	CACHE_LINE = 64,
	FETCH_AHEAD =
	    2048 /* bytes: rows of another core come late, and each says where the next one begins */
};
enum { SCRATCH_MIN = 2 + WR_KEY_PARTS_MAX * (2 + QUICK_LEN_MAX) /* all parts quick: no check of room */ };
#define NEVER_MISSING UINT32_MAX

/* The way to one field: through `depth` nested rows. */
struct route {
	uint32_t type;	/* of the field at the end; 0: look it up */
	uint32_t quick; /* type, if the field lies in the row itself and is never missing; else 0 */
	uint32_t depth;
	struct step {
		uint32_t slot_at; /* from the start of the body */
		uint32_t bit;	  /* in the bitmap, or NEVER_MISSING */
	} steps[ROUTE_STEPS_MAX];
};

struct wr_keyer {
	uint32_t count;
	uint32_t shapes[KEYER_LINES]; /* shape whose routes the line holds, 0 = none */
	struct wr_bytes scratch;      /* canonical bytes of the last key */
	struct wr_str *names;
	struct route *routes; /* KEYER_LINES times count */
};

static struct wr_mem keyer_mem = WR_MEM_INIT("record.keyers");

struct wr_keyer *wr_keyer_new(const struct wr_str *names, uint32_t count)
{
	size_t text = 0, fixed = sizeof(struct wr_keyer) +
				 count * (sizeof(struct wr_str) + KEYER_LINES * sizeof(struct route));
	struct wr_keyer *k;
	char *copy;

	WR_ASSERT(count >= 1 && count <= WR_KEY_PARTS_MAX);
	for (uint32_t i = 0; i < count; i++)
		text += names[i].len;
	k = wr_zalloc(&keyer_mem, fixed + text);
	if (!k)
		return NULL;
	k->count = count;
	k->names = (struct wr_str *)(k + 1);
	k->routes = (struct route *)(k->names + count);
	copy = (char *)(k->routes + (size_t)KEYER_LINES * count);
	for (uint32_t i = 0; i < count; i++) {
		if (names[i].len > 0)
			memcpy(copy, names[i].p, names[i].len);
		k->names[i] = (struct wr_str){copy, names[i].len};
		copy += names[i].len;
	}
	if (!wr_bytes_room(&k->scratch, SCRATCH_MIN)) {
		wr_keyer_free(k);
		return NULL;
	}
	return k;
}

void wr_keyer_free(struct wr_keyer *k)
{
	if (!k)
		return;
	wr_bytes_deinit(&k->scratch);
	wr_free(&keyer_mem, k);
}

/* ---- remembering ---- */

static void route_step(struct route *route, const struct wr_shape *s, uint32_t i)
{
	route->steps[route->depth++] = (struct step){s->slots_at + 8 * i, s->nullable ? i : NEVER_MISSING};
}

/* Finds the way as wr_row_lookup would for a row with nothing missing. False where only the row can tell.
 * A name that leads nowhere in this shape leaves type 0. */
static bool route_find(struct route *route, const struct wr_shape *s, const char *name, uint32_t len)
{
	int32_t i = wr_shape_find(s, name, len);

	if (route->depth == ROUTE_STEPS_MAX)
		return false;
	if (i >= 0) {
		route_step(route, s, (uint32_t)i);
		route->type = s->fields[i].type;
		return route->type < WR_T_LIST;
	}
	for (uint32_t dot = 0; dot < len; dot++) {
		if (name[dot] != '.' || (i = wr_shape_find(s, name, dot)) < 0)
			continue;
		if (s->fields[i].type >= WR_T_LIST && s->fields[i].type != WR_T_ROW)
			return false;
		if (s->fields[i].type != WR_T_ROW)
			continue;
		route_step(route, s, (uint32_t)i);
		if (!route_find(route, wr_shape(s->fields[i].child), name + dot + 1, len - dot - 1))
			return false;
		if (route->type != 0)
			return true;
		route->depth--;
	}
	return true;
}

static void keyer_learn(struct wr_keyer *k, uint32_t line, uint32_t id)
{
	const struct wr_shape *s = wr_shape(id);

	WR_ASSERT(s);
	k->shapes[line] = id;
	for (uint32_t i = 0; i < k->count; i++) {
		struct route *route = &k->routes[line * k->count + i];

		*route = (struct route){0};
		if (!route_find(route, s, k->names[i].p, k->names[i].len))
			route->type = 0;
		if (route->depth == 1 && route->steps[0].bit == NEVER_MISSING)
			route->quick = route->type;
	}
}

/* ---- extracting ---- */

/* The slot at the end of the route, and the body it lies in; NULL if something on the way is missing. */
static inline const uint8_t *route_follow(const struct route *route, const uint8_t *body, uint64_t *slot)
{
	for (uint32_t d = 0;; d++) {
		const struct step *step = &route->steps[d];

		if (step->bit != NEVER_MISSING && (body[step->bit >> 3] >> (step->bit & 7) & 1))
			return NULL;
		memcpy(slot, body + step->slot_at, 8);
		if (d + 1 == route->depth)
			return body;
		body += (uint32_t)*slot;
	}
}

static struct wr_cell keyer_cell(const struct wr_keyer *k, uint32_t part, const struct route *route,
				 const struct wr_elem *row)
{
	const uint8_t *body = NULL;
	struct wr_cell cell = {.type = route->type};
	uint64_t slot;

	if (route->type != 0)
		body = route_follow(route, wr_elem_body(row), &slot);
	if (!body)
		return wr_row_lookup(row, k->names[part].p, k->names[part].len);
	if (cell.type >= WR_T_STR)
		cell.str = (struct wr_str){(const char *)body + (uint32_t)slot, (uint32_t)(slot >> 32)};
	else
		cell.u64 = slot;
	return cell;
}

static int keyer_grow(struct wr_keyer *k, size_t more)
{
	if (wr_bytes_room(&k->scratch, more))
		return WR_OK;
	k->scratch.failed = false;
	return wr_error_wrap(WR_EFATAL, "key of %zu bytes", more);
}

static int keyer_refuse(const struct wr_keyer *k, uint32_t part, const char *trouble)
{
	const struct wr_str *name = &k->names[part];

	if (name->len > 0 && name->p[0] == 1)
		return wr_error_set(WR_EUSER, "the key %s", trouble);
	return wr_error_set(WR_EUSER, "key field '%.*s' %s", (int)name->len, name->p, trouble);
}

static int keyer_put(struct wr_keyer *k, uint32_t part, const struct wr_cell *cell)
{
	size_t need = WR_CANON_HEAD_MAX + (cell->type >= WR_T_STR ? cell->str.len : 0);
	const char *trouble;
	struct wr_str str;
	uint8_t *to;

	if (WR_UNLIKELY(k->scratch.cap - k->scratch.len < need) && keyer_grow(k, need) != WR_OK)
		return WR_EFATAL;
	to = k->scratch.data + k->scratch.len;
	trouble = wr_canon_cell(&to, cell, &str);
	if (trouble)
		return keyer_refuse(k, part, trouble);
	if (str.len > 0)
		memcpy(to, str.p, str.len);
	k->scratch.len = (size_t)(to - k->scratch.data) + str.len;
	return WR_OK;
}

static inline uint8_t *keyer_begin(struct wr_keyer *k)
{
	uint8_t *to = k->scratch.data;

	if (k->count == 1)
		return to;
	to[0] = 't';
	to[1] = (uint8_t)k->count;
	return to + 2;
}

static inline void keyer_end(const struct wr_keyer *k, const uint8_t *end, struct wr_key *out)
{
	out->p = k->scratch.data;
	out->len = (uint32_t)(end - out->p);
	out->hash = XXH3_64bits(out->p, out->len);
}

static int key_any(struct wr_keyer *k, const struct route *routes, const struct wr_elem *row,
		   struct wr_key *out)
{
	int rc = WR_OK;

	k->scratch.len = (size_t)(keyer_begin(k) - k->scratch.data);
	for (uint32_t i = 0; i < k->count && rc == WR_OK; i++) {
		struct wr_cell cell = keyer_cell(k, i, &routes[i], row);

		rc = keyer_put(k, i, &cell);
	}
	if (rc == WR_OK)
		keyer_end(k, k->scratch.data + k->scratch.len, out);
	return rc;
}

/* A part as nearly all keys have it: a string below 128 bytes or an integral number, where nothing can go
 * wrong. Gives the end of its canonical bytes, NULL if it is another. */
static inline uint8_t *put_quick(uint8_t *to, const struct route *route, const uint8_t *body)
{
	uint64_t slot;
	double number;

	memcpy(&slot, body + route->steps[0].slot_at, 8);
	if (route->quick == WR_T_STR && slot >> 32 <= QUICK_LEN_MAX) {
		uint32_t len = (uint32_t)(slot >> 32);

		to[0] = 's';
		to[1] = (uint8_t)len;
		memcpy(to + 2, body + (uint32_t)slot, len);
		return to + 2 + len;
	}
	if (route->quick != WR_T_F64)
		return NULL;
	memcpy(&number, &slot, 8);
	if (!(number >= -0x1p63 && number < 0x1p63) || (double)(int64_t)number != number)
		return NULL;
	return wr_canon_u64_raw(to, 'i', (uint64_t)(int64_t)number);
}

int wr_keyer_key(struct wr_keyer *k, const struct wr_elem *row, struct wr_key *out)
{
	uint32_t id = wr_elem_shape(row), line = id % KEYER_LINES;
	const struct route *routes = &k->routes[line * k->count];
	uint8_t *to;

	if (WR_UNLIKELY(k->shapes[line] != id))
		keyer_learn(k, line, id);
	to = keyer_begin(k);
	for (uint32_t i = 0; i < k->count; i++) {
		to = put_quick(to, &routes[i], wr_elem_body(row));
		if (WR_UNLIKELY(!to))
			return key_any(k, routes, row, out);
	}
	keyer_end(k, to, out);
	return WR_OK;
}

/* Says no to some that are: they are rare, and wr_keyer_key knows all. */
static inline bool is_whole(uint64_t slot, int64_t *whole)
{
	double number;

	memcpy(&number, &slot, 8);
	if (WR_UNLIKELY(!(__builtin_fabs(number) < 0x1p63)))
		return false;
	*whole = (int64_t)number;
	return (double)*whole == number;
}

/* The canonical bytes of an integral number; 0 if it is another. */
static inline uint32_t short_number(uint8_t *to, uint64_t slot)
{
	int64_t whole;

	if (!is_whole(slot, &whole))
		return 0;
	to[0] = 'i';
	memcpy(to + 1, &whole, 8);
	return NUMBER_LEN;
}

/* XXH3-64 of the nine bytes of an integral number, out of registers: their words overlap, and a load of what
 * was just stored in other pieces waits for it. */
static inline uint64_t number_hash(uint64_t first, uint64_t last)
{
	uint64_t low = first ^ UINT64_C(0x6782737bea4239b9), high = last ^ UINT64_C(0xaf56bc3b0996523a), hash;
	__uint128_t product = (__uint128_t)low * high;

	hash = NUMBER_LEN + __builtin_bswap64(low) + high + ((uint64_t)product ^ (uint64_t)(product >> 64));
	hash ^= hash >> 37;
	hash *= UINT64_C(0x165667919e3779f9);
	return hash ^ hash >> 32;
}

static inline void put_word(uint8_t *to, uint64_t word)
{
	memcpy(to, &word, sizeof word);
}

/* The key of a row that is one number, with its hash. */
static inline void number_key(struct wr_short_key *key, uint64_t slot)
{
	int64_t whole;
	uint64_t first;

	if (WR_UNLIKELY(!is_whole(slot, &whole))) {
		key->len = 0;
		return;
	}
	first = (uint64_t)whole << 8 | 'i';
	put_word(key->bytes, first);
	put_word(key->bytes + 8, (uint64_t)whole >> 56);
	put_word(key->bytes + 16, 0);
	key->len = NUMBER_LEN;
	key->hash = number_hash(first, (uint64_t)whole);
}

static inline uint32_t short_string(uint8_t *to, uint32_t room, uint64_t slot, const uint8_t *body)
{
	uint32_t len = (uint32_t)(slot >> 32);

	if (len > QUICK_LEN_MAX || len + 2 > room)
		return 0;
	to[0] = 's';
	to[1] = (uint8_t)len;
	memcpy(to + 2, body + (uint32_t)slot, len);
	return len + 2;
}

/* Bytes of the key of one row; 0 if it is none of the usual. */
static inline uint32_t short_key(const struct route *routes, uint32_t count, uint8_t *to, const uint8_t *body)
{
	uint32_t len = 0;

	if (count > 1) {
		to[0] = 't';
		to[1] = (uint8_t)count;
		len = 2;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t part = 0;
		uint64_t slot;

		memcpy(&slot, body + routes[i].steps[0].slot_at, 8);
		if (routes[i].quick == WR_T_F64 && len + 9 <= WR_KEY_SHORT)
			part = short_number(to + len, slot);
		else if (routes[i].quick == WR_T_STR)
			part = short_string(to + len, WR_KEY_SHORT - len, slot, body);
		if (part == 0)
			return 0;
		len += part;
	}
	return len;
}

/* What will be asked of a row that lies this far ahead. */
static inline void fetch_ahead(const struct wr_elem *row)
{
	for (uint32_t at = 0; at < row->len; at += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)row + FETCH_AHEAD + at);
}

/* Keys of rows from *p on whose key is one number, up to `end` and `max`; how many. */
static uint32_t number_keys(const struct wr_keyer *k, const uint8_t **p, const uint8_t *end,
			    struct wr_short_key *keys, uint32_t max)
{
	const struct wr_elem *row = (const struct wr_elem *)*p;
	uint32_t id = wr_elem_shape(row), n = 0;
	uint32_t slot_at = k->routes[id % KEYER_LINES].steps[0].slot_at;

	do {
		uint64_t slot;

		memcpy(&slot, wr_elem_body(row) + slot_at, 8);
		number_key(&keys[n], slot);
		fetch_ahead(row);
		row = wr_elem_next(row);
	} while (++n < max && (const uint8_t *)row < end && wr_elem_shape(row) == id);
	*p = (const uint8_t *)row;
	return n;
}

/* The same of rows with other keys, whose shape has these routes. */
static inline __attribute__((always_inline)) uint32_t other_keys(const struct route *routes, uint32_t count,
								 const uint8_t **p, const uint8_t *end,
								 struct wr_short_key *keys, uint32_t max)
{
	const struct wr_elem *row = (const struct wr_elem *)*p;
	uint32_t id = wr_elem_shape(row), n = 0;

	do {
		memset(keys[n].bytes, 0, 24);
		keys[n].len = short_key(routes, count, keys[n].bytes, wr_elem_body(row));
		fetch_ahead(row);
		row = wr_elem_next(row);
	} while (++n < max && (const uint8_t *)row < end && wr_elem_shape(row) == id);
	/* in a loop of its own: a load across bytes that were just stored in parts waits for them */
	for (uint32_t i = 0; i < n; i++)
		keys[i].hash = keys[i].len > 0 ? XXH3_64bits(keys[i].bytes, keys[i].len) : 0;
	*p = (const uint8_t *)row;
	return n;
}

/* Where the fields of the key lie in rows of this one's shape. */
static inline const struct route *routes_of(struct wr_keyer *k, const uint8_t *p)
{
	uint32_t id = wr_elem_shape((const struct wr_elem *)p), line = id % KEYER_LINES;

	if (WR_UNLIKELY(k->shapes[line] != id))
		keyer_learn(k, line, id);
	return &k->routes[line * k->count];
}

uint32_t wr_keyer_keys(struct wr_keyer *k, const uint8_t *p, const uint8_t *end, struct wr_short_key *keys)
{
	uint32_t n = 0;

	while (p < end && n < WR_KEYS_MAX) {
		const struct route *routes = routes_of(k, p);

		if (k->count == 1 && routes->quick == WR_T_F64)
			n += number_keys(k, &p, end, keys + n, WR_KEYS_MAX - n);
		else
			n += other_keys(routes, k->count, &p, end, keys + n, WR_KEYS_MAX - n);
	}
	return n;
}

/* ---- hashes alone ---- */

struct hashes {
	uint64_t *at;
	uint64_t unknown;
	uint32_t n;
};

static void number_hashes(const struct route *route, const uint8_t **p, const uint8_t *end, struct hashes *to)
{
	const struct wr_elem *row = (const struct wr_elem *)*p;
	uint32_t id = wr_elem_shape(row), slot_at = route->steps[0].slot_at, n = to->n;

	do {
		int64_t whole = 0;
		uint64_t slot;

		memcpy(&slot, wr_elem_body(row) + slot_at, 8);
		if (WR_UNLIKELY(!is_whole(slot, &whole)))
			to->unknown |= UINT64_C(1) << n;
		to->at[n++] = number_hash((uint64_t)whole << 8 | 'i', (uint64_t)whole);
		fetch_ahead(row);
		row = wr_elem_next(row);
	} while (n < WR_KEYS_MAX && (const uint8_t *)row < end && wr_elem_shape(row) == id);
	to->n = n;
	*p = (const uint8_t *)row;
}

static void other_hashes(const struct wr_keyer *k, const struct route *routes, const uint8_t **p,
			 const uint8_t *end, struct hashes *to)
{
	struct wr_short_key keys[WR_KEYS_MAX];
	uint32_t n = other_keys(routes, k->count, p, end, keys, WR_KEYS_MAX - to->n);

	for (uint32_t i = 0; i < n; i++, to->n++) {
		to->at[to->n] = keys[i].hash;
		if (WR_UNLIKELY(keys[i].len == 0))
			to->unknown |= UINT64_C(1) << to->n;
	}
}

uint32_t wr_keyer_hashes(struct wr_keyer *k, const uint8_t *p, const uint8_t *end,
			 uint64_t hashes[WR_KEYS_MAX], uint64_t *unknown)
{
	struct hashes to = {.at = hashes};

	while (p < end && to.n < WR_KEYS_MAX) {
		const struct route *routes = routes_of(k, p);

		if (k->count == 1 && routes->quick == WR_T_F64)
			number_hashes(routes, &p, end, &to);
		else
			other_hashes(k, routes, &p, end, &to);
	}
	*unknown = to.unknown;
	return to.n;
}
