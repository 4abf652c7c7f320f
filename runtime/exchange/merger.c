/* SPDX-License-Identifier: Apache-2.0 */
/* merger: see merger.h. */
#include "exchange/merger.h"

#include "base/assert.h"
#include "base/error.h"
#include "record/key.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.mergers");

enum {
	NOTES_LOG2 = 9, /* rows that are remembered: about as many as a buffer has */
	NOTES = 1 << NOTES_LOG2,
	SHAPES = 8,	     /* direct-mapped by shape id */
	FIELDS_MAX = 64,     /* of a row */
	LOOK_ROWS = 4096,    /* after so many it is decided whether merging pays: */
	LOOK_SHARE = 8,	     /* every so manieth row must have been merged, */
	REST_ROWS = 1 << 16, /* else it rests for so many */
};
#define NO_BUFFER UINT64_MAX
#define EXACT_MAX 0x1p53
#define TIME_MAX (INT64_C(1) << 53) /* times beyond are refused by readers, each by itself */

struct plan {
	uint32_t shape; /* of the rows; 0: not looked at yet */
	bool merges;
	uint32_t tag;	 /* of the rows as they are written */
	uint32_t more;	 /* bytes of their weight, or 0 */
	uint64_t texts;	 /* bit i: slot i is an offset and a length */
	bool one_number; /* is the key */
	uint32_t field_count;
	struct {
		uint32_t at; /* of the slot, in the row as it comes */
		bool text;
	} keys[WR_KEY_PARTS_MAX];
	struct {
		uint32_t at;
		enum wr_merge_fn fn;
	} fields[WR_MERGE_FIELDS_MAX];
};

struct note {
	uint64_t hash;
	uint64_t serial; /* of its buffer */
	uint32_t at;
};

struct wr_merger {
	struct wr_merge merge;
	const struct wr_str *keys;
	uint32_t key_count;
	int64_t from, until; /* times of rows that may be merged, in this group */
	int64_t begin, end;  /* the grain of time that was looked at last */
	uint32_t looked, joined, resting;
	bool was_idle;
	const struct plan *plan; /* of the last row, NULL: it goes as it is */
	uint32_t tag;		 /* that was looked for last */
	const struct plan *found;
	struct plan plans[SHAPES];
	struct note notes[NOTES];
};

struct wr_merger *wr_merger_new(const struct wr_merge *merge, const struct wr_str *keys, uint32_t key_count)
{
	struct wr_merger *m = wr_zalloc(&mem, sizeof *m);

	WR_ASSERT(merge->count <= WR_MERGE_FIELDS_MAX && key_count <= WR_KEY_PARTS_MAX);
	if (!m)
		return NULL;
	m->merge = *merge;
	m->keys = keys;
	m->key_count = key_count;
	for (uint32_t i = 0; i < NOTES; i++)
		m->notes[i].serial = NO_BUFFER;
	return m;
}

void wr_merger_free(struct wr_merger *m)
{
	wr_free(&mem, m);
}

static bool decide(struct wr_merger *m, uint32_t rows)
{
	if (WR_UNLIKELY(m->resting)) {
		m->resting -= rows < m->resting ? rows : m->resting;
		return false;
	}
	m->looked += rows;
	if (WR_UNLIKELY(m->looked >= LOOK_ROWS)) {
		if (m->joined < m->looked / LOOK_SHARE)
			m->resting = REST_ROWS;
		m->looked = m->joined = 0;
	}
	return true;
}

bool wr_merger_awake(struct wr_merger *m, uint32_t rows, int64_t watermark)
{
	if (!decide(m, rows))
		return false;
	m->from = INT64_MIN;
	m->until = INT64_MAX;
	if (m->merge.grain) {
		bool none = m->was_idle || watermark == WR_TS_NONE || watermark >= TIME_MAX;

		m->from = none ? TIME_MAX : watermark + 1;
		m->until = TIME_MAX;
	}
	return true;
}

void wr_merger_idle(struct wr_merger *m)
{
	m->was_idle = true;
}

/* ---- shapes ---- */

static uint32_t slot_of(const struct wr_shape *s, uint32_t i)
{
	return (uint32_t)sizeof(struct wr_elem) + s->slots_at + 8 * i;
}

static bool plan_keys(const struct wr_merger *m, struct plan *plan, const struct wr_shape *s)
{
	for (uint32_t i = 0; i < m->key_count; i++) {
		int32_t at = wr_shape_find(s, m->keys[i].p, m->keys[i].len);

		if (at < 0 || (s->fields[at].type != WR_T_F64 && s->fields[at].type != WR_T_STR))
			return false;
		plan->keys[i].at = slot_of(s, (uint32_t)at);
		plan->keys[i].text = s->fields[at].type == WR_T_STR;
	}
	return true;
}

static bool plan_fields(const struct wr_merger *m, struct plan *plan, const struct wr_shape *s)
{
	plan->field_count = m->merge.count;
	for (uint32_t i = 0; i < m->merge.count; i++) {
		const struct wr_merge_field *f = &m->merge.fields[i];
		int32_t at = wr_shape_find(s, f->name.p, f->name.len);

		if (at < 0 || s->fields[at].type != WR_T_F64)
			return false;
		plan->fields[i].at = slot_of(s, (uint32_t)at);
		plan->fields[i].fn = f->fn;
	}
	return true;
}

/* The shape of the rows with their weight in front; 0: there are too many shapes. */
static uint32_t weighted_shape(const struct wr_shape *s)
{
	struct wr_field_spec specs[FIELDS_MAX + 1] = {{WR_WEIGHT_NAME, WR_WEIGHT_LEN, WR_T_F64, 0}};

	for (uint32_t i = 0; i < s->count; i++) {
		const struct wr_field *f = &s->fields[i];

		specs[i + 1] = (struct wr_field_spec){f->name, f->name_len, f->type, f->child};
	}
	return wr_shape_intern(specs, s->count + 1, 0, 0);
}

static void plan_learn(const struct wr_merger *m, struct plan *plan, uint32_t id)
{
	const struct wr_shape *s = wr_shape(id);
	uint32_t written = id;

	*plan = (struct plan){.shape = id};
	if (s->nullable || s->scalar || s->count > FIELDS_MAX ||
	    wr_shape_find(s, WR_WEIGHT_NAME, WR_WEIGHT_LEN) >= 0 || !plan_keys(m, plan, s) ||
	    !plan_fields(m, plan, s))
		return;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->fields[i].type >= WR_T_STR)
			plan->texts |= UINT64_C(1) << i;
	if (m->merge.weighs) {
		plan->more = 8;
		written = weighted_shape(s);
	}
	plan->one_number = m->key_count == 1 && !plan->keys[0].text;
	plan->tag = written | (uint32_t)WR_INSERT << 24;
	plan->merges = written != 0;
}

/* What is known of rows with this tag; NULL: they go as they are. */
static __attribute__((noinline)) const struct plan *find_plan(struct wr_merger *m, uint32_t tag)
{
	uint32_t id = tag & WR_SHAPE_MAX;
	struct plan *plan = &m->plans[id % SHAPES];

	if (plan->shape != id)
		plan_learn(m, plan, id);
	m->tag = tag;
	m->found = plan->merges && tag >> 24 == WR_INSERT ? plan : NULL;
	return m->found;
}

static inline const struct plan *plan_of(struct wr_merger *m, const struct wr_elem *row)
{
	const struct plan *plan = WR_LIKELY(row->tag == m->tag) ? m->found : find_plan(m, row->tag);

	return row->ts >= m->from && row->ts < m->until ? plan : NULL;
}

/* ---- merging ---- */

static inline double number_at(const struct wr_elem *row, uint32_t at)
{
	double v;

	memcpy(&v, (const uint8_t *)row + at, sizeof v);
	return v;
}

static inline void number_put(struct wr_elem *row, uint32_t at, double v)
{
	memcpy((uint8_t *)row + at, &v, sizeof v);
}

/* Slots at `a` and `b` of two rows hold the same text. */
static bool same_text(const struct wr_elem *x, uint32_t a, const struct wr_elem *y, uint32_t b)
{
	uint64_t one, other;

	memcpy(&one, (const uint8_t *)x + a, sizeof one);
	memcpy(&other, (const uint8_t *)y + b, sizeof other);
	return one >> 32 == other >> 32 && !memcmp(wr_elem_body(x) + (uint32_t)one,
						   wr_elem_body(y) + (uint32_t)other, (uint32_t)(one >> 32));
}

static __attribute__((noinline)) bool same_parts(const struct wr_merger *m, const struct plan *plan,
						 const struct wr_elem *into, const struct wr_elem *row)
{
	for (uint32_t i = 0; i < m->key_count; i++) {
		uint32_t at = plan->keys[i].at;

		if (plan->keys[i].text) {
			if (!same_text(into, at + plan->more, row, at))
				return false;
		} else if (number_at(into, at + plan->more) != number_at(row, at)) {
			return false;
		}
	}
	return true;
}

static inline bool same_key(const struct wr_merger *m, const struct plan *plan, const struct wr_elem *into,
			    const struct wr_elem *row)
{
	uint64_t one, other;

	if (WR_UNLIKELY(!plan->one_number))
		return same_parts(m, plan, into, row);
	memcpy(&one, (const uint8_t *)into + plan->keys[0].at + plan->more, sizeof one);
	memcpy(&other, (const uint8_t *)row + plan->keys[0].at, sizeof other);
	return one == other;
}

static bool in_grain(const struct wr_merger *m, int64_t ts)
{
	return ts >= m->begin && ts < m->end;
}

static __attribute__((noinline)) bool both_in_grain(struct wr_merger *m, int64_t a, int64_t b)
{
	int64_t rest;

	if (!in_grain(m, b)) {
		rest = (b - m->merge.offset) % m->merge.grain;
		m->begin = b - (rest < 0 ? rest + m->merge.grain : rest);
		m->end = m->begin + m->merge.grain;
	}
	return in_grain(m, a);
}

static inline bool same_grain(struct wr_merger *m, int64_t a, int64_t b)
{
	return a == b || m->merge.grain == 0 || (m->merge.grain > 1 && both_in_grain(m, a, b));
}

/* A number that stays exact when others of its kind are added. */
static inline bool is_exact(double v)
{
	return v > -EXACT_MAX && v < EXACT_MAX && (double)(int64_t)v == v;
}

static inline bool merged(enum wr_merge_fn fn, double x, double y, double *z)
{
	switch (fn) {
	case WR_MERGE_SUM:
		*z = x + y;
		return is_exact(x) && is_exact(y) && is_exact(*z);
	case WR_MERGE_MIN:
		*z = y < x ? y : x;
		break;
	case WR_MERGE_MAX:
		*z = y > x ? y : x;
		break;
	}
	return x == x && y == y;
}

static __attribute__((noinline)) bool add_fields(const struct plan *plan, struct wr_elem *into,
						 const struct wr_elem *row)
{
	double sums[WR_MERGE_FIELDS_MAX];

	for (uint32_t i = 0; i < plan->field_count; i++) {
		uint32_t at = plan->fields[i].at;

		if (!merged(plan->fields[i].fn, number_at(into, at + plan->more), number_at(row, at),
			    &sums[i]))
			return false;
	}
	for (uint32_t i = 0; i < plan->field_count; i++)
		number_put(into, plan->fields[i].at + plan->more, sums[i]);
	return true;
}

static inline bool add(const struct plan *plan, struct wr_elem *into, const struct wr_elem *row)
{
	if (plan->field_count && !add_fields(plan, into, row))
		return false;
	if (plan->more)
		number_put(into, sizeof *into, number_at(into, sizeof *into) + 1);
	return true;
}

static inline struct note *note_of(struct wr_merger *m, uint64_t hash)
{
	return &m->notes[hash >> (64 - NOTES_LOG2)];
}

uint32_t wr_merger_row(struct wr_merger *m, const struct wr_elem *row, uint64_t hash, uint8_t *data,
		       uint64_t serial)
{
	const struct plan *plan = m->plan = plan_of(m, row);
	const struct note *note = note_of(m, hash);
	struct wr_elem *into;

	if (!plan)
		return row->len;
	if (note->hash != hash || note->serial != serial)
		return row->len + plan->more;
	into = (struct wr_elem *)(data + note->at);
	if (into->tag != plan->tag || !same_key(m, plan, into, row) || !same_grain(m, into->ts, row->ts) ||
	    !add(plan, into, row))
		return row->len + plan->more;
	m->joined++;
	return 0;
}

/* The row with a weight of 1 in front of its fields: slots move by one, and so does what they point to. */
static void write_weighted(uint8_t *to, const struct plan *plan, const struct wr_elem *row)
{
	struct wr_elem *out = (struct wr_elem *)to;

	wr_elem_copy(to + sizeof *out, (const uint8_t *)row + offsetof(struct wr_elem, ts),
		     row->len -
			 (uint32_t)offsetof(struct wr_elem, ts)); /* the weight takes the place of the time */
	*out = (struct wr_elem){row->len + plan->more, plan->tag, row->ts};
	number_put(out, sizeof *out, 1);
	for (uint64_t texts = plan->texts; texts; texts &= texts - 1) {
		uint8_t *slot = to + sizeof *out + plan->more + 8 * (size_t)__builtin_ctzll(texts);
		uint32_t offset;

		memcpy(&offset, slot, sizeof offset);
		offset += plan->more;
		memcpy(slot, &offset, sizeof offset);
	}
}

void wr_merger_write(struct wr_merger *m, const struct wr_elem *row, uint64_t hash, uint8_t *data,
		     uint32_t at, uint64_t serial)
{
	if (m->plan)
		*note_of(m, hash) = (struct note){hash, serial, at};
	if (m->plan && m->plan->more)
		write_weighted(data + at, m->plan, row);
	else
		wr_elem_copy(data + at, (const uint8_t *)row, row->len);
}
