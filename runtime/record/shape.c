/* SPDX-License-Identifier: Apache-2.0 */
/* shape: the intern table. Ids lead to shapes through chunks that are published once and
 * never move, so readers need no lock. */
#include "record/shape.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"

enum { CHUNK = 256, CHUNKS = WR_SHAPES_MAX / CHUNK + 1, SLOTS = WR_SHAPES_MAX * 4 };

static struct wr_mem mem = WR_MEM_INIT("record.shapes");
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic(const struct wr_shape **) chunks[CHUNKS];
static _Atomic uint32_t count;
static uint32_t *slots; /* open addressing: ids by hash; guarded by mutex */

static const struct wr_shape *shape_at(uint32_t id)
{
	const struct wr_shape **chunk =
		atomic_load_explicit(&chunks[id / CHUNK], memory_order_acquire);

	return chunk ? chunk[id % CHUNK] : NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct wr_field_spec *x = a, *y = b;
	uint32_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = n ? memcmp(x->name, y->name, n) : 0;

	if (order)
		return order;
	return (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static uint64_t spec_hash(const struct wr_field_spec *f, uint32_t n, uint32_t nullable, uint32_t scalar)
{
	uint64_t h = nullable * 2 + scalar + 1;

	for (uint32_t i = 0; i < n; i++) {
		h = XXH3_64bits_withSeed(f[i].name, f[i].name_len, h);
		h = (h ^ f[i].type ^ (uint64_t)f[i].child << 8) * 0x9e3779b97f4a7c15ULL;
	}
	return h;
}

static bool spec_equal(const struct wr_shape *s, const struct wr_field_spec *f, uint32_t n,
		       uint32_t nullable, uint32_t scalar)
{
	if (s->count != n || s->nullable != nullable || s->scalar != scalar)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (s->fields[i].type != f[i].type || s->fields[i].child != f[i].child ||
		    s->fields[i].name_len != f[i].name_len ||
		    memcmp(s->fields[i].name, f[i].name, f[i].name_len))
			return false;
	return true;
}

static struct wr_shape *shape_make(const struct wr_field_spec *f, uint32_t n, uint32_t nullable,
				   uint32_t scalar)
{
	size_t names = 0;
	struct wr_shape *s;
	char *p;

	for (uint32_t i = 0; i < n; i++)
		names += f[i].name_len + 1;
	s = wr_zalloc(&mem, sizeof *s + n * sizeof *s->fields + names);
	if (!s)
		return NULL;
	s->fields = (struct wr_field *)(s + 1);
	p = (char *)(s->fields + n);
	s->count = n;
	s->nullable = nullable;
	s->scalar = scalar;
	s->slots_at = nullable ? (n + 63) / 64 * 8 : 0;
	s->fixed_len = s->slots_at + n * 8;
	s->depth = 1;
	for (uint32_t i = 0; i < n; i++) {
		struct wr_field *to = &s->fields[i];

		memcpy(p, f[i].name, f[i].name_len);
		to->name = p;
		to->name_len = f[i].name_len;
		to->type = f[i].type;
		to->child = f[i].child;
		to->name_hash = (uint32_t)XXH3_64bits(f[i].name, f[i].name_len);
		p += f[i].name_len + 1;
		if (f[i].name_len && f[i].name[0] == 1)
			s->hidden = i + 1;
		if (f[i].child) {
			const struct wr_shape *child = shape_at(f[i].child);

			if (child->depth + 1 > s->depth)
				s->depth = child->depth + 1;
		}
	}
	return s;
}

/* With the mutex held. */
static uint32_t shape_add(struct wr_shape *s, uint64_t hash)
{
	uint32_t id = atomic_load_explicit(&count, memory_order_relaxed) + 1, at;
	const struct wr_shape **chunk =
		atomic_load_explicit(&chunks[id / CHUNK], memory_order_relaxed);

	if (!chunk) {
		chunk = wr_zalloc(&mem, CHUNK * sizeof *chunk);
		if (!chunk)
			return 0;
	}
	s->id = id;
	chunk[id % CHUNK] = s;
	/* release: whoever sees the id (through this load or a later message) sees the shape */
	atomic_store_explicit(&chunks[id / CHUNK], chunk, memory_order_release);
	atomic_store_explicit(&count, id, memory_order_release);
	for (at = (uint32_t)hash % SLOTS; slots[at]; at = (at + 1) % SLOTS)
		;
	slots[at] = id;
	return id;
}

static void init(void)
{
	struct wr_field_spec any = {"", 0, WR_T_ANY, 0};
	struct wr_shape *s;

	slots = wr_zalloc(&mem, SLOTS * sizeof *slots);
	s = slots ? shape_make(&any, 1, 0, 1) : NULL;
	if (!s || shape_add(s, spec_hash(&any, 1, 0, 1)) != WR_SHAPE_ANY)
		abort(); /* nothing can run without it, and nobody could be told */
}

const struct wr_shape *wr_shape(uint32_t id)
{
	pthread_once(&once, init);
	WR_ASSERT(id > 0 && id < WR_SHAPES_MAX + CHUNK);
	return shape_at(id);
}

uint32_t wr_shape_count(void)
{
	pthread_once(&once, init);
	return atomic_load_explicit(&count, memory_order_acquire);
}

static int spec_check(const struct wr_field_spec *f, uint32_t n, uint32_t scalar)
{
	if (n > WR_FIELDS_MAX)
		return wr_error_set(WR_EUSER, "a record of %u fields; the limit is %d", n, WR_FIELDS_MAX);
	if (scalar && (n != 1 || f[0].name_len))
		return wr_error_set(WR_EUSER, "a scalar shape has one field without a name");
	for (uint32_t i = 0; i < n; i++) {
		if (i && by_name(&f[i - 1], &f[i]) == 0)
			return wr_error_set(WR_EUSER, "field '%.*s' twice in a record", (int)f[i].name_len,
					    f[i].name);
		if (f[i].type < WR_T_NULL || f[i].type > WR_T_ANY)
			return wr_error_set(WR_EUSER, "unknown field type %u", f[i].type);
		if ((f[i].type == WR_T_ROW) != (f[i].child != 0) || f[i].child > wr_shape_count())
			return wr_error_set(WR_EUSER, "field '%.*s' names no nested shape",
					    (int)f[i].name_len, f[i].name);
		if (f[i].child && wr_shape(f[i].child)->depth >= WR_DEPTH_MAX)
			return wr_error_set(WR_EUSER, "records nest deeper than %d levels", WR_DEPTH_MAX);
	}
	return WR_OK;
}

uint32_t wr_shape_intern(struct wr_field_spec *fields, uint32_t n, uint32_t nullable, uint32_t scalar)
{
	uint64_t hash;
	uint32_t id = 0, at;
	struct wr_shape *s;

	pthread_once(&once, init);
	qsort(fields, n, sizeof *fields, by_name);
	if (spec_check(fields, n, scalar) != WR_OK)
		return 0;
	hash = spec_hash(fields, n, nullable, scalar);
	pthread_mutex_lock(&mutex);
	for (at = (uint32_t)hash % SLOTS; slots[at]; at = (at + 1) % SLOTS)
		if (spec_equal(shape_at(slots[at]), fields, n, nullable, scalar)) {
			id = slots[at];
			goto out;
		}
	if (count >= WR_SHAPES_MAX) {
		wr_error_set(WR_EUSER, "more than %d different record shapes", WR_SHAPES_MAX);
		goto out;
	}
	s = shape_make(fields, n, nullable, scalar);
	if (s)
		id = shape_add(s, hash);
	if (s && !id)
		wr_free(&mem, s);
out:
	pthread_mutex_unlock(&mutex);
	return id;
}

int32_t wr_shape_find(const struct wr_shape *s, const char *name, uint32_t name_len)
{
	struct wr_field_spec want = {name, name_len, 0, 0};
	int32_t low = 0, high = (int32_t)s->count - 1;

	while (low <= high) {
		int32_t mid = (low + high) / 2;
		struct wr_field_spec at = {s->fields[mid].name, s->fields[mid].name_len, 0, 0};
		int order = by_name(&want, &at);

		if (order == 0)
			return mid;
		if (order < 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return -1;
}

void wr_shape_describe(uint32_t id, struct wr_bytes *out)
{
	static const char *const names[] = {"?",      "null",  "boolean", "number", "integer", "unsigned",
					    "string", "bytes", "list",	  "map",    "row",     "any"};
	const struct wr_shape *s = wr_shape(id);

	if (s->scalar) {
		wr_bytes_printf(out, "%s", names[s->fields[0].type]);
		return;
	}
	wr_bytes_put_u8(out, '{');
	for (uint32_t i = s->hidden; i < s->count; i++) {
		wr_bytes_printf(out, "%s%.*s%s: ", i > s->hidden ? ", " : "", (int)s->fields[i].name_len,
				s->fields[i].name, s->nullable ? "?" : "");
		if (s->fields[i].child)
			wr_shape_describe(s->fields[i].child, out);
		else
			wr_bytes_printf(out, "%s", names[s->fields[i].type]);
	}
	wr_bytes_put_u8(out, '}');
}

void wr_shape_encode(uint32_t id, struct wr_bytes *out)
{
	const struct wr_shape *s = wr_shape(id);

	wr_bytes_put_u8(out, (uint8_t)(s->nullable | s->scalar << 1));
	wr_bytes_put_varint(out, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		wr_bytes_put_u8(out, (uint8_t)s->fields[i].type);
		wr_bytes_put_str(out, s->fields[i].name, s->fields[i].name_len);
		if (s->fields[i].child)
			wr_shape_encode(s->fields[i].child, out);
	}
}

static uint32_t decode(struct wr_reader *r, int depth)
{
	uint8_t flags = wr_read_u8(r);
	uint64_t n = wr_read_varint(r);
	struct wr_field_spec *f;
	uint32_t id = 0;

	/* every field takes two bytes at least: a count beyond that is no count */
	if (r->bad || flags > 2 || depth > WR_DEPTH_MAX || n > WR_FIELDS_MAX ||
	    n > (uint64_t)(r->end - r->p) / 2) {
		wr_error_set(WR_EUSER, "malformed shape");
		return 0;
	}
	f = wr_zalloc(&mem, (n + 1) * sizeof *f);
	if (!f)
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		size_t len;

		f[i].type = wr_read_u8(r);
		f[i].name = wr_read_str(r, &len);
		f[i].name_len = (uint32_t)len;
		if (r->bad) {
			wr_error_set(WR_EUSER, "shape ends early");
			goto out;
		}
		if (f[i].type == WR_T_ROW && !(f[i].child = decode(r, depth + 1)))
			goto out;
	}
	id = wr_shape_intern(f, (uint32_t)n, flags & 1, flags >> 1 & 1);
out:
	wr_free(&mem, f);
	return id;
}

uint32_t wr_shape_decode(struct wr_reader *r)
{
	return decode(r, 1);
}
