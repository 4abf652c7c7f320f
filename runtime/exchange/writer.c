/* SPDX-License-Identifier: Apache-2.0 */
/* writer: rows into the buffers of channels. */
#include "exchange/writer.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/rand.h"

static struct wr_mem mem = WR_MEM_INIT("exchange.writers");

struct lane {
	struct wr_channel *channel;
	struct wr_buffer *buffer; /* partly filled, or NULL */
	uint64_t since_ns;	  /* when a flush first saw it partly filled; 0 = not yet */
};

struct wr_writer {
	enum wr_partitioning partitioning;
	struct wr_pool *pool;
	struct wr_keyer *keyer;
	struct lane *lanes; /* broadcast has one lane and many channels */
	uint32_t lane_count;
	struct wr_channel **channels;
	uint32_t channel_count;
	uint32_t max_parallelism;
	uint32_t next; /* round robin */
	int64_t timeout_us;
	struct wr_rand rand;
	int (*on_bad_row)(void *arg, const struct wr_elem *row, int code);
	void *arg;
	uint32_t buffer_size;
	int64_t rows, bytes, buffers;
};

struct wr_writer *wr_writer_new(const struct wr_writer_options *o)
{
	struct wr_writer *w = wr_zalloc(&mem, sizeof *w);

	WR_ASSERT(o->channel_count > 0);
	if (!w)
		return NULL;
	w->partitioning = o->partitioning;
	w->pool = o->pool;
	w->channel_count = o->channel_count;
	w->lane_count = o->partitioning == WR_BROADCAST ? 1 : o->channel_count;
	w->channels = wr_alloc(&mem, o->channel_count * sizeof *w->channels);
	w->lanes = wr_zalloc(&mem, w->lane_count * sizeof *w->lanes);
	w->max_parallelism = o->max_parallelism;
	w->timeout_us = o->timeout_us;
	w->rand.s = o->seed;
	w->on_bad_row = o->on_bad_row;
	w->arg = o->arg;
	if (!w->channels || !w->lanes)
		goto fail;
	memcpy(w->channels, o->channels, o->channel_count * sizeof *w->channels);
	for (uint32_t i = 0; i < w->lane_count; i++)
		w->lanes[i].channel = o->channels[i];
	if (o->partitioning == WR_REBALANCE) /* P9; rescale starts at 0 (P10) */
		w->next = wr_rand_below(&w->rand, o->channel_count);
	if (o->partitioning == WR_HASH && o->channel_count > 1) {
		w->keyer = wr_keyer_new(o->key_names, o->key_count);
		if (!w->keyer)
			goto fail;
	}
	return w;
fail:
	wr_free(&mem, w->channels);
	wr_free(&mem, w->lanes);
	wr_free(&mem, w);
	return NULL;
}

void wr_writer_free(struct wr_writer *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->lane_count; i++)
		if (w->lanes[i].buffer)
			wr_buffer_unref(w->lanes[i].buffer);
	wr_keyer_free(w->keyer);
	wr_pool_free(w->pool);
	wr_free(&mem, w->channels);
	wr_free(&mem, w->lanes);
	wr_free(&mem, w);
}

bool wr_writer_ready(struct wr_writer *w)
{
	return wr_pool_has(w->pool, 1);
}

bool wr_writer_wait(struct wr_writer *w)
{
	return wr_pool_wait(w->pool, 1);
}

bool wr_writer_single(const struct wr_writer *w)
{
	return w->channel_count == 1;
}

static void lane_push(struct wr_writer *w, struct lane *l)
{
	struct wr_buffer *b = l->buffer;

	l->buffer = NULL;
	l->since_ns = 0;
	w->buffers++;
	w->bytes += b->len;
	w->rows += b->row_count;
	if (w->partitioning != WR_BROADCAST) {
		wr_channel_push(l->channel, b);
		return;
	}
	if (w->channel_count > 1)
		wr_buffer_ref(b, w->channel_count - 1);
	for (uint32_t i = 0; i < w->channel_count; i++)
		wr_channel_push(w->channels[i], b);
}

/* The lane's buffer with `need` bytes left. */
static struct wr_buffer *lane_buffer(struct wr_writer *w, struct lane *l, uint32_t need, bool event)
{
	struct wr_buffer *b = l->buffer;

	if (WR_LIKELY(b && b->size - b->len >= need))
		return b;
	if (b)
		lane_push(w, l);
	return l->buffer = wr_pool_take(w->pool, event);
}

/* A row larger than a buffer: pieces, each in a buffer of its own. */
static int lane_fragments(struct wr_writer *w, struct lane *l, const uint8_t *p, uint32_t len)
{
	if (l->buffer && l->buffer->len)
		lane_push(w, l);
	while (len) {
		struct wr_buffer *b = lane_buffer(w, l, 1, false);
		uint32_t n;

		if (!b)
			return WR_EFATAL;
		n = len < b->size ? len : b->size;
		memcpy(b->data, p, n);
		b->rows_len = b->len = n;
		p += n;
		len -= n;
		b->fragment = len ? WR_FRAGMENT : WR_FRAGMENT_LAST;
		b->row_count = len ? 0 : 1;
		lane_push(w, l);
	}
	return WR_OK;
}

static inline int lane_row(struct wr_writer *w, struct lane *l, const struct wr_elem *row)
{
	struct wr_buffer *b = l->buffer;

	if (WR_UNLIKELY(!b || b->size - b->len < row->len)) {
		if (!b)
			b = l->buffer = wr_pool_take(w->pool, false);
		if (!b)
			return WR_EFATAL;
		if (row->len > b->size)
			return lane_fragments(w, l, (const uint8_t *)row, row->len);
		b = lane_buffer(w, l, row->len, false);
		if (!b)
			return WR_EFATAL;
	}
	memcpy(b->data + b->len, row, row->len);
	b->len += row->len;
	b->rows_len = b->len;
	b->row_count++;
	return WR_OK;
}

/* Channel named by the hidden field of a custom partitioning. */
static int custom_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	int32_t i = wr_shape_find(s, "\x01p", 2);
	double v =
	    i < 0 || s->fields[i].type != WR_T_F64 ? -1 : wr_row_f64(s, wr_elem_body(row), (uint32_t)i);

	if (!(v >= 0 && v < w->lane_count))
		return wr_error_set(WR_EUSER, "the partition function gave no channel below %u",
				    w->lane_count);
	*lane = (uint32_t)v;
	return WR_OK;
}

static int hash_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	struct wr_key key;
	int rc = wr_keyer_key(w->keyer, row, &key);

	if (rc == WR_OK)
		*lane = wr_key_group_subtask(wr_key_group(key.hash, w->max_parallelism), w->max_parallelism,
					     w->lane_count);
	return rc;
}

static int choose_lane(struct wr_writer *w, const struct wr_elem *row, uint32_t *lane)
{
	*lane = 0;
	if (w->lane_count == 1)
		return WR_OK;
	switch (w->partitioning) {
	case WR_HASH:
		return hash_lane(w, row, lane);
	case WR_REBALANCE:
	case WR_RESCALE:
		*lane = w->next;
		if (++w->next == w->lane_count)
			w->next = 0;
		return WR_OK;
	case WR_SHUFFLE:
		*lane = wr_rand_below(&w->rand, w->lane_count);
		return WR_OK;
	case WR_CUSTOM:
		return custom_lane(w, row, lane);
	default:
		return WR_OK;
	}
}

int wr_writer_rows(struct wr_writer *w, const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		const struct wr_elem *row = (const struct wr_elem *)p;
		uint32_t lane;
		int rc = choose_lane(w, row, &lane);

		if (WR_LIKELY(rc == WR_OK))
			rc = lane_row(w, &w->lanes[lane], row);
		else
			rc = w->on_bad_row ? w->on_bad_row(w->arg, row, rc) : rc;
		if (WR_UNLIKELY(rc != WR_OK))
			return rc;
		p += row->len;
	}
	return WR_OK;
}

uint8_t *wr_writer_page(struct wr_writer *w, uint32_t need, uint8_t **end)
{
	struct wr_buffer *b;

	WR_ASSERT(w->lane_count == 1);
	b = lane_buffer(w, &w->lanes[0], need, false);
	if (!b || b->size - b->len < need)
		return NULL;
	*end = b->data + b->size;
	return b->data + b->len;
}

void wr_writer_commit(struct wr_writer *w, uint8_t *upto, uint32_t rows)
{
	struct wr_buffer *b = w->lanes[0].buffer;

	b->len = b->rows_len = (uint32_t)(upto - b->data);
	b->row_count += rows;
}

int wr_writer_event(struct wr_writer *w, enum wr_event_type type, int64_t ts, const void *payload,
		    uint32_t payload_len)
{
	uint32_t need = WR_ELEM_HEADER + ((payload_len + 7) & ~7u);

	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct wr_buffer *b = lane_buffer(w, &w->lanes[i], need, true);

		if (!b)
			return WR_EFATAL;
		wr_event_put(b->data + b->len, type, ts);
		if (payload_len) {
			((struct wr_elem *)(b->data + b->len))->len = need;
			memset(b->data + b->len + need - 8, 0, 8);
			memcpy(b->data + b->len + WR_ELEM_HEADER, payload, payload_len);
		}
		b->len += need;
		lane_push(w, &w->lanes[i]);
	}
	return WR_OK;
}

uint64_t wr_writer_flush(struct wr_writer *w, uint64_t now_ns, bool all)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct lane *l = &w->lanes[i];
		uint64_t due;

		if (!l->buffer || !l->buffer->len)
			continue;
		if (!l->since_ns)
			l->since_ns = now_ns ? now_ns : 1;
		due = w->timeout_us < 0 ? UINT64_MAX : l->since_ns + (uint64_t)w->timeout_us * 1000;
		if (all || due <= now_ns)
			lane_push(w, l);
		else if (due < next)
			next = due;
	}
	return next;
}

void wr_writer_stats(const struct wr_writer *w, struct wr_writer_stats *out)
{
	memset(out, 0, sizeof *out);
	out->rows = w->rows;
	out->bytes = w->bytes;
	out->buffers = w->buffers;
	wr_pool_stats(w->pool, &out->pool);
	for (uint32_t i = 0; i < w->channel_count; i++) {
		uint32_t n = w->channels[i]->ops->queued(w->channels[i]);

		if (n > out->queued_max)
			out->queued_max = n;
	}
}
