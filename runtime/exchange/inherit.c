/* SPDX-License-Identifier: Apache-2.0 */
/* inherit: see inherit.h. */
#include "exchange/inherit.h"

#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/key.h"

enum { BUFFER_BYTES = 32 << 10 };

struct former { /* a channel */
	uint32_t subtask, channel, input;
	int64_t watermark; /* with which it begins */
	int64_t last;	   /* and ends */
	struct wr_bytes rows;
	/* while they are read */
	size_t at;
	int64_t now;
	struct former *next; /* that goes on in the same channel */
};
struct wr_inherit {
	struct wr_inherit_options o;
	bool same_channels;	/* every subtask had as many as the task has */
	struct former *formers; /* with rows; all of them of the subtask that was said last */
	uint32_t count, cap;
	uint32_t first;	 /* of that subtask */
	int64_t *limits; /* by channel of the task: where the former ones of this number ended, the lowest */
	int64_t limit;	 /* … and all former ones */
	struct former **going_on; /* by channel of the task */
	struct wr_keyer *keyers[2];
	uint32_t group_first, group_last;
};

static struct wr_mem mem = WR_MEM_INIT("task.inherited");

static uint32_t channel_count(const struct wr_inherit *h)
{
	return h->o.gate ? wr_gate_count(h->o.gate) : 0;
}

static int make_keyers(struct wr_inherit *h)
{
	for (uint32_t i = 0; h->o.keys && i < 2; i++) {
		if (!h->o.keys[i].count)
			continue;
		h->keyers[i] = wr_keyer_new(h->o.keys[i].names, h->o.keys[i].count);
		if (!h->keyers[i])
			return WR_EFATAL;
	}
	return WR_OK;
}

struct wr_inherit *wr_inherit_new(const struct wr_inherit_options *o)
{
	struct wr_inherit *h = wr_zalloc(&mem, sizeof *h);
	uint32_t count;

	if (!h)
		return NULL;
	h->o = *o;
	h->same_channels = o->same_senders;
	h->limit = WR_TS_MAX;
	count = channel_count(h);
	h->limits = wr_alloc(&mem, (count + 1) * sizeof *h->limits);
	h->going_on = wr_zalloc(&mem, (count + 1) * sizeof *h->going_on);
	if (!h->limits || !h->going_on || (!o->same_parallelism && make_keyers(h) != WR_OK)) {
		wr_inherit_free(h);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		h->limits[i] = WR_TS_MAX;
	wr_key_group_range(o->max_parallelism, o->parallelism, o->subtask, &h->group_first, &h->group_last);
	return h;
}

void wr_inherit_free(struct wr_inherit *h)
{
	if (!h)
		return;
	for (uint32_t i = 0; i < h->count; i++)
		wr_bytes_deinit(&h->formers[i].rows);
	wr_free(&mem, h->formers);
	wr_free(&mem, h->limits);
	wr_free(&mem, h->going_on);
	wr_keyer_free(h->keyers[0]);
	wr_keyer_free(h->keyers[1]);
	wr_free(&mem, h);
}

static int64_t lower(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- reading ---- */

/* The last subtask is through: of its channels without rows there is nothing to be kept. */
static void end_subtask(struct wr_inherit *h)
{
	uint32_t kept = h->first;

	for (uint32_t i = h->first; i < h->count; i++) {
		const struct former *f = &h->formers[i];

		h->limit = lower(h->limit, f->last);
		if (f->channel < channel_count(h))
			h->limits[f->channel] = lower(h->limits[f->channel], f->last);
		if (f->rows.len)
			h->formers[kept++] = *f;
		else
			wr_bytes_deinit(&h->formers[i].rows);
	}
	h->count = h->first = kept;
}

int wr_inherit_subtask(struct wr_inherit *h, uint32_t subtask, const struct wr_value *channels)
{
	end_subtask(h);
	h->same_channels &= channels->count == channel_count(h);
	if (h->count + channels->count > h->cap &&
	    WR_GROW(&mem, h->formers, h->cap, h->count + channels->count) != WR_OK)
		return WR_EFATAL;
	for (uint32_t i = 0; i < channels->count; i++) {
		int64_t watermark = channels->items[i].items[0].i64;

		h->formers[h->count++] = (struct former){
		    .subtask = subtask, .channel = i, .watermark = watermark, .last = watermark};
	}
	return WR_OK;
}

/* Does a row of a former channel come to this subtask now? */
static int is_ours(const struct wr_inherit *h, const struct former *f, const struct wr_elem *row, bool *ours)
{
	struct wr_key key;
	uint32_t group;
	int rc;

	*ours = true;
	if (h->o.same_parallelism)
		return WR_OK;
	if (!h->keyers[f->input]) {
		*ours = (f->subtask + f->channel) % h->o.parallelism == h->o.subtask;
		return WR_OK;
	}
	rc = wr_keyer_key(h->keyers[f->input], row, &key);
	if (rc != WR_OK)
		return rc;
	group = wr_key_group(key.hash, h->o.max_parallelism);
	*ours = group >= h->group_first && group <= h->group_last;
	return WR_OK;
}

/* One element, which lies at the end of f->rows: stays if it concerns the task. */
static int take_element(const struct wr_inherit *h, struct former *f, size_t at, const struct wr_dict *dict)
{
	struct wr_elem *e = (struct wr_elem *)(f->rows.data + at);
	bool ours = true;
	int rc = WR_OK;

	if (!wr_elem_is_event(e)) {
		wr_dict_translate(dict, e);
		rc = is_ours(h, f, e, &ours);
	} else if (wr_event_type(e) == WR_EV_WATERMARK) {
		f->last = e->ts > f->last ? e->ts : f->last;
	} else {
		rc = wr_error_set(WR_EUSER, "an event of type %u among the rows under way", wr_event_type(e));
	}
	if (!ours)
		f->rows.len = at;
	return rc;
}

static bool has_input(const struct wr_inherit *h, uint64_t input)
{
	for (uint32_t i = 0; i < channel_count(h); i++)
		if (wr_gate_input(h->o.gate, i) == input)
			return true;
	return false;
}

int wr_inherit_rows(struct wr_inherit *h, uint32_t channel, uint64_t input, const uint8_t *p, size_t len,
		    const struct wr_dict *dict)
{
	struct former *f = &h->formers[h->first + channel];
	const uint8_t *end = p + len;
	int rc = WR_OK;

	if (channel >= h->count - h->first || input > 1)
		return wr_error_set(WR_EUSER, "rows that were under way are malformed");
	if (!has_input(h, input))
		return wr_error_set(
		    WR_EUSER,
		    "rows were under way to input %u, which there is none of now: let the job as it "
		    "was take a savepoint, and go on from that",
		    (unsigned)input);
	f->input = (uint32_t)input;
	while (p < end && rc == WR_OK) {
		size_t at = f->rows.len;

		rc = wr_elem_verify(p, (size_t)(end - p), dict);
		if (rc != WR_OK)
			break;
		wr_bytes_put(&f->rows, p, ((const struct wr_elem *)p)->len);
		p += ((const struct wr_elem *)p)->len;
		rc = wr_bytes_status(&f->rows);
		if (rc == WR_OK)
			rc = take_element(h, f, at, dict);
	}
	return rc;
}

/* ---- filling channels ---- */

struct filling { /* of a channel */
	struct wr_channel *ring;
	struct wr_buffer *buffer;
	int64_t watermark, limit; /* said last; not to be passed */
};

static int push(struct filling *f)
{
	int rc = f->buffer ? wr_channel_push(f->ring, f->buffer) : WR_OK;

	f->buffer = NULL;
	return rc;
}

static int put(struct filling *f, const void *element, uint32_t len, bool row)
{
	struct wr_buffer *b = f->buffer;
	int rc = WR_OK;

	if (b && b->size - b->len < len)
		rc = push(f);
	if (rc == WR_OK && !f->buffer)
		f->buffer = wr_buffer_alone(!row || len > BUFFER_BYTES ? len : BUFFER_BYTES);
	b = f->buffer;
	if (rc != WR_OK || !b)
		return WR_EFATAL;
	memcpy(b->data + b->len, element, len);
	b->len += len;
	if (row) {
		b->rows_len = b->len;
		b->row_count++;
	}
	return row ? WR_OK : push(f);
}

static int put_watermark(struct filling *f, int64_t watermark)
{
	uint8_t event[WR_ELEM_HEADER];

	watermark = watermark < f->limit ? watermark : f->limit;
	if (watermark <= f->watermark)
		return WR_OK;
	f->watermark = watermark;
	return put(f, event, wr_event_put(event, WR_EV_WATERMARK, watermark), false);
}

/* Rows of the former channel up to its next watermark. */
static int put_rows(struct filling *to, struct former *f)
{
	int rc = WR_OK;

	while (f->at < f->rows.len && rc == WR_OK) {
		const struct wr_elem *e = (const struct wr_elem *)(f->rows.data + f->at);

		f->at += e->len;
		if (wr_elem_is_event(e)) {
			f->now = e->ts > f->now ? e->ts : f->now;
			return WR_OK;
		}
		rc = put(to, e, e->len, true);
	}
	return rc;
}

/* The channel of the task in which a former one goes on. */
static uint32_t channel_for(const struct wr_inherit *h, const struct former *f)
{
	uint32_t count = channel_count(h), of_input = 0, number;

	if (h->same_channels && wr_gate_input(h->o.gate, f->channel) == f->input)
		return f->channel;
	for (uint32_t i = 0; i < count; i++)
		of_input += wr_gate_input(h->o.gate, i) == f->input;
	number = f->channel % of_input;
	for (uint32_t i = 0; i < count; i++)
		if (wr_gate_input(h->o.gate, i) == f->input && number-- == 0)
			return i;
	WR_ASSERT(!"a channel of each input that has rows");
	return 0;
}

/* The lowest watermark of those that go on in the channel; WR_TS_MAX: there are none. */
static int64_t lowest(const struct former *first)
{
	int64_t low = WR_TS_MAX;

	for (const struct former *f = first; f; f = f->next)
		low = lower(low, f->now);
	return low;
}

/* The one that is furthest behind and has something left, NULL: none has. */
static struct former *behind(struct former *first)
{
	struct former *found = NULL;

	for (struct former *f = first; f; f = f->next)
		if (f->at < f->rows.len && (!found || f->now < found->now))
			found = f;
	return found;
}

static int fill(struct former *first, struct filling *to)
{
	struct former *f;
	int rc = WR_OK;

	while (rc == WR_OK && (f = behind(first))) {
		rc = put_rows(to, f);
		if (rc == WR_OK)
			rc = put_watermark(to, lowest(first));
	}
	if (rc == WR_OK)
		rc = put_watermark(to, to->limit);
	if (rc == WR_OK)
		rc = push(to);
	if (to->buffer)
		wr_buffer_unref(to->buffer);
	return rc;
}

/* A channel whose event time had ended comes again, and is at least where the task was. */
static int begin_channel(struct wr_inherit *h, uint32_t channel, int64_t watermark)
{
	static const struct wr_notify nobody;
	struct former *first = h->going_on[channel];
	int64_t limit = h->same_channels ? h->limits[channel] : h->limit;
	struct filling to = {.limit = limit == WR_TS_MAX ? watermark : limit};
	int rc;

	to.watermark = lower(lowest(first), to.limit);
	if (to.watermark != WR_TS_NONE)
		wr_valve_on_watermark(h->o.valve, channel, to.watermark);
	if (!first)
		return WR_OK;
	to.ring = wr_ring_new(&nobody);
	if (!to.ring)
		return WR_EFATAL;
	rc = fill(first, &to);
	if (rc != WR_OK) {
		to.ring->ops->free(to.ring);
		return rc;
	}
	return wr_gate_begin_with(h->o.gate, channel, to.ring);
}

int wr_inherit_begin(struct wr_inherit *h, int64_t watermark)
{
	int rc = WR_OK;

	end_subtask(h);
	for (uint32_t i = h->count; i-- > 0;) {
		struct former *f = &h->formers[i], **first = &h->going_on[channel_for(h, f)];

		f->now = f->watermark;
		f->next = *first;
		*first = f;
	}
	for (uint32_t i = 0; i < channel_count(h) && rc == WR_OK; i++)
		rc = begin_channel(h, i, watermark);
	return rc;
}
