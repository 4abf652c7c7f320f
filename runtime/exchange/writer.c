/* SPDX-License-Identifier: Apache-2.0 */
/* writer: rows into the buffers of channels.
 *
 * A lane is a place where rows gather: one for each channel, or one for all when rows are
 * broadcast. The way of a row: choose its lane, make room, copy. There is one loop for each
 * partitioning, made from the same text (rows_by), so that the choice costs no branch.
 */
#include "exchange/writer.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/rand.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.writers");

struct lane {			  /* that of its number in `channels` */
	struct wr_buffer *buffer; /* partly filled, or NULL */
	uint64_t since_ns;	  /* when a flush first saw it partly filled; 0 = not yet */
	uint64_t serial;	  /* of the buffer, where rows are written; else 0 */
	bool full;		  /* a buffer was pushed because it was full: others may follow */
	bool owes;		  /* the last watermark; it has no buffer then */
};

struct wr_writer {
	enum wr_partitioning partitioning;
	struct wr_pool *pool;
	struct lane *lanes; /* broadcast has one lane and many channels */
	uint32_t lane_count;
	struct wr_channel **channels;
	uint32_t channel_count;
	uint32_t consumer;
	bool ahead;	   /* a lane is full */
	bool owing;	   /* a lane owes the watermark */
	int64_t watermark; /* the last one; WR_TS_NONE before the first */
	uint32_t want;	   /* buffers that must be free before a batch */
	int64_t timeout_us;
	int (*on_bad_row)(void *arg, const struct wr_elem *row, int code);
	void *arg;
	/* hash */
	struct wr_keyer *keyer;
	uint32_t max_parallelism;
	uint32_t group_mask;	  /* max_parallelism - 1 if that is a power of two, else 0 */
	uint16_t *group_lanes;	  /* by key group */
	struct wr_merger *merger; /* or NULL */
	uint64_t serial;	  /* of the buffer that was taken last */
	/* round robin, random */
	uint32_t next;
	struct wr_rand rand;
	/* custom: where the last shape has the field */
	uint32_t custom_shape;
	int32_t custom_field;

	uint32_t marker_lane; /* where the next latency marker goes */
	bool lost;	      /* a channel refused a buffer */
	const char *name;
	wr_metric rows, bytes, buffers; /* read by any thread */
};

/* ---- life ---- */

static int hash_init(struct wr_writer *w, const struct wr_writer_options *o)
{
	uint32_t groups = o->max_parallelism;

	WR_ASSERT(groups >= o->channel_count && groups <= WR_PARALLELISM_MAX);
	w->max_parallelism = groups;
	w->group_mask = (groups & (groups - 1)) == 0 ? groups - 1 : 0;
	w->keyer = wr_keyer_new(o->key_names, o->key_count);
	w->group_lanes = wr_alloc(&mem, groups * sizeof *w->group_lanes);
	if (!w->keyer || !w->group_lanes)
		return WR_EFATAL;
	for (uint32_t g = 0; g < groups; g++)
		w->group_lanes[g] = (uint16_t)wr_key_group_subtask(g, groups, o->channel_count);
	if (o->merge)
		w->merger = wr_merger_new(o->merge, o->key_names, o->key_count);
	return o->merge && !w->merger ? WR_EFATAL : WR_OK;
}

static void writer_release(struct wr_writer *w)
{
	wr_keyer_free(w->keyer);
	wr_merger_free(w->merger);
	wr_free(&mem, w->group_lanes);
	wr_free(&mem, w->channels);
	wr_free(&mem, w->lanes);
	wr_free(&mem, w);
}

/* One buffer; none where the pool has just one for rows and that may be the page being written. */
static uint32_t buffers_wanted(const struct wr_writer *w)
{
	struct wr_pool_stats pool;

	wr_pool_stats(w->pool, &pool);
	return wr_writer_single(w) && pool.limit - pool.reserve == 1 ? 0 : 1;
}

struct wr_writer *wr_writer_new(const struct wr_writer_options *o)
{
	struct wr_writer *w = wr_zalloc(&mem, sizeof *w);

	WR_ASSERT(o->channel_count > 0);
	if (!w)
		return NULL;
	w->name = o->name;
	w->partitioning = o->partitioning;
	w->pool = o->pool;
	w->consumer = o->consumer;
	w->channel_count = o->channel_count;
	w->lane_count = o->partitioning == WR_BROADCAST ? 1 : o->channel_count;
	w->want = buffers_wanted(w);
	w->watermark = WR_TS_NONE;
	w->timeout_us = o->timeout_us;
	w->rand.s = o->seed;
	w->on_bad_row = o->on_bad_row;
	w->arg = o->arg;
	w->channels = wr_alloc(&mem, o->channel_count * sizeof *w->channels);
	w->lanes = wr_zalloc(&mem, w->lane_count * sizeof *w->lanes);
	if (!w->channels || !w->lanes ||
	    (o->partitioning == WR_HASH && w->lane_count > 1 && hash_init(w, o) != WR_OK)) {
		writer_release(w);
		return NULL;
	}
	memcpy(w->channels, o->channels, o->channel_count * sizeof *w->channels);
	if (o->partitioning == WR_REBALANCE) /* P9; rescale starts at 0 (P10) */
		w->next = wr_rand_below(&w->rand, o->channel_count);
	return w;
}

void wr_writer_free(struct wr_writer *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->lane_count; i++)
		if (w->lanes[i].buffer)
			wr_buffer_unref(w->lanes[i].buffer);
	wr_pool_free(w->pool);
	writer_release(w);
}

/* ---- lanes ---- */

static void lane_push(struct wr_writer *w, struct lane *l)
{
	struct wr_buffer *b = l->buffer;

	l->buffer = NULL;
	l->serial = 0;
	l->since_ns = 0;
	wr_metric_add(&w->buffers, 1);
	wr_metric_add(&w->bytes, b->len);
	wr_metric_add(&w->rows, b->row_count);
	if (w->partitioning != WR_BROADCAST) {
		w->lost |= wr_channel_push(w->channels[l - w->lanes], b) != WR_OK;
		return;
	}
	if (w->channel_count > 1)
		wr_buffer_ref(b, w->channel_count - 1);
	for (uint32_t i = 0; i < w->channel_count; i++)
		w->lost |= wr_channel_push(w->channels[i], b) != WR_OK;
}

/* A buffer of rows without an event. That its length is that of its rows is said here, since a row that
 * comes would wait for what the one before stored. */
static void lane_push_rows(struct wr_writer *w, struct lane *l)
{
	l->buffer->rows_len = l->buffer->len;
	lane_push(w, l);
}

int wr_writer_status(const struct wr_writer *w)
{
	return WR_LIKELY(!w->lost) ? WR_OK
				   : wr_error_set(WR_EFATAL, "out of memory for the queue of a channel");
}

static bool lane_partial(const struct lane *l)
{
	return l->buffer && l->buffer->len > 0;
}

static int settle(struct wr_writer *w, struct lane *only);

/* The lane's buffer with `need` bytes left; a fresh one may have less. */
static struct wr_buffer *lane_buffer(struct wr_writer *w, struct lane *l, uint32_t need, bool event)
{
	struct wr_buffer *b = l->buffer;

	if (WR_UNLIKELY(l->owes) && settle(w, l) != WR_OK)
		return NULL;
	if (WR_LIKELY(b && (b->size - b->len >= need || b->len == 0)))
		return b;
	if (b) {
		lane_push_rows(w, l);
		l->full = w->ahead = true;
	}
	l->serial = ++w->serial;
	return l->buffer = wr_pool_take(w->pool, event);
}

/* A row larger than a buffer: pieces, each in a buffer of its own. */
static int lane_fragments(struct wr_writer *w, struct lane *l, const uint8_t *p, uint32_t len)
{
	while (len) {
		struct wr_buffer *b = lane_buffer(w, l, UINT32_MAX, false);
		uint32_t n;

		if (!b)
			return WR_EFATAL;
		n = len < b->size ? len : b->size;
		memcpy(b->data, p, n);
		b->len = n;
		p += n;
		len -= n;
		b->fragment = len ? WR_FRAGMENT : WR_FRAGMENT_LAST;
		b->row_count = len ? 0 : 1;
		lane_push_rows(w, l);
	}
	return WR_OK;
}

static __attribute__((noinline)) int lane_row_new(struct wr_writer *w, struct lane *l,
						  const struct wr_elem *row)
{
	struct wr_buffer *b = lane_buffer(w, l, row->len, false);

	if (!b)
		return WR_EFATAL;
	if (row->len > b->size)
		return lane_fragments(w, l, (const uint8_t *)row, row->len);
	wr_elem_copy(b->data + b->len, (const uint8_t *)row, row->len);
	b->len += row->len;
	b->row_count++;
	return WR_OK;
}

static inline int lane_row(struct wr_writer *w, struct lane *l, const struct wr_elem *row)
{
	struct wr_buffer *b = l->buffer;

	if (WR_UNLIKELY(!b || b->size - b->len < row->len))
		return lane_row_new(w, l, row);
	__builtin_prefetch(b->data + b->len + 512, 1);
	wr_elem_copy(b->data + b->len, (const uint8_t *)row, row->len);
	b->len += row->len;
	b->row_count++;
	return WR_OK;
}

/* ---- choosing a lane ---- */

static inline int first_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	(void)w;
	(void)row;
	*lane = 0;
	return WR_OK;
}

static inline uint32_t lane_of_key(const struct wr_writer *w, uint64_t hash)
{
	return w->group_lanes[w->group_mask ? hash & w->group_mask : wr_key_group(hash, w->max_parallelism)];
}

static inline int next_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	(void)row;
	*lane = w->next;
	if (++w->next == w->lane_count)
		w->next = 0;
	return WR_OK;
}

static inline int random_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	(void)row;
	*lane = wr_rand_below(&w->rand, w->lane_count);
	return WR_OK;
}

/* P11: anything but a channel's number is the user's error. */
static inline int custom_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	double v = -1;

	if (w->custom_shape != wr_elem_shape(row)) {
		w->custom_shape = wr_elem_shape(row);
		w->custom_field = wr_shape_find(s, "\x01p", 2);
		if (w->custom_field >= 0 && s->fields[w->custom_field].type != WR_T_F64)
			w->custom_field = -1;
	}
	if (w->custom_field >= 0 && !wr_row_missing(s, wr_elem_body(row), (uint32_t)w->custom_field))
		v = wr_row_f64(s, wr_elem_body(row), (uint32_t)w->custom_field);
	if (!(v >= 0 && v < w->lane_count) || v != (uint32_t)v)
		return wr_error_set(WR_EUSER, "the partition function gave no whole number from 0 to %u",
				    w->lane_count - 1);
	*lane = (uint32_t)v;
	return WR_OK;
}

/* ---- rows ---- */

/* Copies a row to its lane, or lets the job decide on one that has none. */
static inline int row_put(struct wr_writer *w, const struct wr_elem *row, uint32_t lane, int rc)
{
	if (WR_LIKELY(rc == WR_OK))
		return lane_row(w, &w->lanes[lane], row);
	return w->on_bad_row ? w->on_bad_row(w->arg, row, rc) : rc;
}

static inline __attribute__((always_inline)) int
rows_by(struct wr_writer *w, const uint8_t *p, const uint8_t *end,
	int (*choose)(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane))
{
	while (p < end) {
		const struct wr_elem *row = (const struct wr_elem *)p;
		uint32_t lane = 0;
		int rc = choose(w, row, &lane);

		rc = row_put(w, row, lane, rc);
		if (WR_UNLIKELY(rc != WR_OK))
			return rc;
		p += row->len;
	}
	return WR_OK;
}

/* Adds a row to one of its key that waits in the lane, or writes it there. */
static int merge_row(struct wr_writer *w, struct lane *l, const struct wr_elem *row, uint64_t hash)
{
	struct wr_buffer *b = l->buffer;
	uint32_t need = wr_merger_row(w->merger, row, hash, b ? b->data : NULL, l->serial);

	if (!need)
		return WR_OK;
	if (WR_UNLIKELY(!b || b->size - b->len < need)) {
		b = lane_buffer(w, l, need, false);
		if (!b)
			return WR_EFATAL;
		if (need > b->size)
			return lane_row(w, l, row);
	}
	wr_merger_write(w->merger, row, hash, b->data, b->len, l->serial);
	b->len += need;
	b->row_count++;
	return WR_OK;
}

/* The keys of a group of rows first, then their copies: a copy waits for a line that another core has, and a
 * hash would wait for the copy behind which its bytes were stored. */
static int rows_by_hash(struct wr_writer *w, const uint8_t *p, const uint8_t *end)
{
	uint64_t hashes[WR_KEYS_MAX], unknown;

	while (p < end) {
		uint32_t n = wr_keyer_hashes(w->keyer, p, end, hashes, &unknown);
		bool merges = w->merger && wr_merger_awake(w->merger, n, w->watermark);

		for (uint32_t i = 0; i < n; i++) {
			const struct wr_elem *row = (const struct wr_elem *)p;
			struct wr_key key = {.hash = hashes[i]};
			int rc = WR_LIKELY(!(unknown >> i & 1)) ? WR_OK : wr_keyer_key(w->keyer, row, &key);

			if (merges && rc == WR_OK)
				rc = merge_row(w, &w->lanes[lane_of_key(w, key.hash)], row, key.hash);
			else
				rc = row_put(w, row, rc == WR_OK ? lane_of_key(w, key.hash) : 0, rc);
			if (WR_UNLIKELY(rc != WR_OK))
				return rc;
			p += row->len;
		}
	}
	return WR_OK;
}

int wr_writer_rows(struct wr_writer *w, const uint8_t *p, const uint8_t *end)
{
	if (wr_writer_single(w))
		return rows_by(w, p, end, first_lane);
	switch (w->partitioning) {
	case WR_HASH:
		return rows_by_hash(w, p, end);
	case WR_SHUFFLE:
		return rows_by(w, p, end, random_lane);
	case WR_CUSTOM:
		return rows_by(w, p, end, custom_lane);
	default:
		return rows_by(w, p, end, next_lane);
	}
}

bool wr_writer_single(const struct wr_writer *w)
{
	if (w->partitioning == WR_CUSTOM)
		return false;
	return w->lane_count == 1 || w->partitioning == WR_FORWARD || w->partitioning == WR_GLOBAL;
}

uint8_t *wr_writer_page(struct wr_writer *w, uint32_t need, uint8_t **end)
{
	struct wr_buffer *b;

	WR_ASSERT(wr_writer_single(w));
	b = lane_buffer(w, &w->lanes[0], need, false);
	if (!b || b->size - b->len < need)
		return NULL;
	*end = b->data + b->size;
	return b->data + b->len;
}

void wr_writer_commit(struct wr_writer *w, uint8_t *upto, uint32_t rows)
{
	struct wr_buffer *b = w->lanes[0].buffer;

	WR_ASSERT(b && upto >= b->data + b->len && upto <= b->data + b->size);
	b->len = (uint32_t)(upto - b->data);
	b->row_count += rows;
}

/* ---- events and time ---- */

struct event {
	enum wr_event_type type;
	int64_t ts;
	const void *payload;
	uint32_t payload_len, len;
};

static struct event event_of(enum wr_event_type type, int64_t ts, const void *payload, uint32_t payload_len)
{
	return (struct event){type, ts, payload, payload_len, WR_ELEM_HEADER + ((payload_len + 7) & ~7u)};
}

static void event_append(struct wr_buffer *b, const struct event *e)
{
	uint8_t *at = b->data + b->len;

	WR_ASSERT(e->len <= b->size - b->len);
	b->rows_len = b->len;
	wr_event_put(at, e->type, e->ts);
	if (e->payload_len) {
		((struct wr_elem *)at)->len = e->len;
		memset(at + e->len - 8, 0, 8);
		memcpy(at + WR_ELEM_HEADER, e->payload, e->payload_len);
	}
	b->len += e->len;
}

static int lane_event(struct wr_writer *w, struct lane *l, const struct event *e)
{
	struct wr_buffer *b = lane_buffer(w, l, e->len, true);

	if (!b)
		return WR_EFATAL;
	event_append(b, e);
	lane_push(w, l);
	return WR_OK;
}

/* What the lanes that owe the watermark, or one of them, have to say goes out; they share a buffer. */
static int settle(struct wr_writer *w, struct lane *only)
{
	struct event e = event_of(WR_EV_WATERMARK, w->watermark, NULL, 0);
	uint32_t count = 0, left = 0;
	struct wr_buffer *b;

	for (uint32_t i = 0; i < w->lane_count; i++)
		if (w->lanes[i].owes)
			(!only || only == &w->lanes[i] ? count++ : left++);
	w->owing = left > 0;
	if (!count)
		return WR_OK;
	b = wr_pool_take(w->pool, true);
	if (!b)
		return WR_EFATAL;
	event_append(b, &e);
	if (count > 1)
		wr_buffer_ref(b, count - 1);
	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct lane *l = &w->lanes[i];

		if (!l->owes || (only && only != l))
			continue;
		l->owes = false;
		l->buffer = b;
		lane_push(w, l);
	}
	return WR_OK;
}

/* The `count` lanes without a buffer share one. */
static int bare_lanes_event(struct wr_writer *w, uint32_t count, const struct event *e)
{
	struct wr_buffer *b = wr_pool_take(w->pool, true);

	if (!b)
		return WR_EFATAL;
	event_append(b, e);
	if (count > 1)
		wr_buffer_ref(b, count - 1);
	for (uint32_t i = 0; i < w->lane_count; i++) {
		if (w->lanes[i].buffer)
			continue;
		w->lanes[i].buffer = b;
		lane_push(w, &w->lanes[i]);
	}
	return WR_OK;
}

/* Where rows wait it closes their buffer. A lane without rows need not say each one: the last will do. */
static int watermark(struct wr_writer *w, int64_t ts)
{
	struct event e = event_of(WR_EV_WATERMARK, ts, NULL, 0);
	int rc = WR_OK;

	w->watermark = ts;
	for (uint32_t i = 0; i < w->lane_count && rc == WR_OK; i++) {
		struct lane *l = &w->lanes[i];

		if (l->buffer)
			rc = lane_event(w, l, &e);
		else
			l->owes = w->owing = true;
	}
	return rc == WR_OK ? wr_writer_status(w) : rc;
}

int wr_writer_event(struct wr_writer *w, enum wr_event_type type, int64_t ts, const void *payload,
		    uint32_t payload_len)
{
	struct event e = event_of(type, ts, payload, payload_len);
	uint32_t bare = 0;
	int rc;

	if (type == WR_EV_WATERMARK)
		return watermark(w, ts);
	if (type == WR_EV_IDLE && w->merger)
		wr_merger_idle(w->merger);
	rc = w->owing ? settle(w, NULL) : WR_OK;
	for (uint32_t i = 0; i < w->lane_count; i++)
		bare += !w->lanes[i].buffer;
	if (bare && rc == WR_OK)
		rc = bare_lanes_event(w, bare, &e);
	for (uint32_t i = 0; i < w->lane_count && rc == WR_OK; i++)
		if (w->lanes[i].buffer)
			rc = lane_event(w, &w->lanes[i], &e);
	for (uint32_t i = 0; i < w->channel_count && type == WR_EV_BARRIER; i++)
		w->channels[i]->ops->nudge(w->channels[i]);
	return rc == WR_OK ? wr_writer_status(w) : rc;
}

int wr_writer_marker(struct wr_writer *w, int64_t ts, const void *payload, uint32_t payload_len)
{
	struct event e = event_of(WR_EV_LATENCY, ts, payload, payload_len);
	int rc = lane_event(w, &w->lanes[w->marker_lane], &e);

	if (++w->marker_lane == w->lane_count)
		w->marker_lane = 0;
	return rc == WR_OK ? wr_writer_status(w) : rc;
}

uint64_t wr_writer_flush(struct wr_writer *w, uint64_t now_ns, bool all)
{
	bool every = all || w->timeout_us == 0;
	uint64_t next = UINT64_MAX;

	if (w->owing && settle(w, NULL) != WR_OK)
		w->lost = true;
	if (w->timeout_us < 0 && !all)
		return next;
	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct lane *l = &w->lanes[i];
		uint64_t due;

		if (!lane_partial(l))
			continue;
		if (every) {
			lane_push_rows(w, l);
			continue;
		}
		if (!l->since_ns)
			l->since_ns = now_ns ? now_ns : 1;
		due = l->since_ns + (uint64_t)w->timeout_us * 1000;
		if (due <= now_ns)
			lane_push_rows(w, l);
		else if (due < next)
			next = due;
	}
	return next;
}

void wr_writer_follow(struct wr_writer *w, const struct wr_writer *ahead)
{
	for (uint32_t i = 0; i < w->lane_count; i++)
		if (lane_partial(&w->lanes[i]) &&
		    (ahead->lane_count != w->lane_count || ahead->lanes[i].full))
			lane_push_rows(w, &w->lanes[i]);
}

bool wr_writer_ahead(const struct wr_writer *w)
{
	return w->ahead;
}

void wr_writer_followed(struct wr_writer *w)
{
	for (uint32_t i = 0; i < w->lane_count; i++)
		w->lanes[i].full = false;
	w->ahead = false;
}

uint32_t wr_writer_consumer(const struct wr_writer *w)
{
	return w->consumer;
}

bool wr_writer_ready(struct wr_writer *w)
{
	return wr_pool_has(w->pool, w->want);
}

/* The writer itself holds so many partly filled buffers that the others would not do. */
static bool holds_too_many(const struct wr_writer *w)
{
	struct wr_pool_stats pool;
	uint32_t held = 0;

	for (uint32_t i = 0; i < w->lane_count; i++)
		held += w->lanes[i].buffer != NULL;
	wr_pool_stats(w->pool, &pool);
	return (uint64_t)held + w->want + pool.reserve > pool.limit;
}

bool wr_writer_wait(struct wr_writer *w)
{
	if (wr_writer_ready(w))
		return true;
	if (!wr_writer_single(w) && holds_too_many(w))
		wr_writer_flush(w, 0, true);
	return wr_pool_wait(w->pool, w->want);
}

const char *wr_writer_name(const struct wr_writer *w)
{
	return w->name;
}

void wr_writer_stats(const struct wr_writer *w, struct wr_writer_stats *out)
{
	memset(out, 0, sizeof *out);
	out->rows = wr_metric_get(&w->rows);
	out->bytes = wr_metric_get(&w->bytes);
	out->buffers = wr_metric_get(&w->buffers);
	wr_pool_stats(w->pool, &out->pool);
	for (uint32_t i = 0; i < w->channel_count; i++) {
		uint32_t n = w->channels[i]->ops->queued(w->channels[i]);

		if (n > out->queued_max)
			out->queued_max = n;
	}
}
