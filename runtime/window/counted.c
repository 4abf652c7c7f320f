/* SPDX-License-Identifier: Apache-2.0 */
/* counted: windows that know no time: a result after every n rows of a key, of those since the last one
 * (count windows) or of all so far, and one of what is there when the input ends.
 *
 * A key has one value: how many rows came since the last result, and the accumulator. What is there at the
 * end is found by going through the store. Rejected: an event timer a key for the end of time, which stays
 * with each key that ever came.
 */
#include "base/assert.h"
#include "base/error.h"
#include "window/engine.h"

static struct wr_mem mem = WR_MEM_INIT("window.counted");

enum { STATE = 0, END_GROUP = 64 /* keys between two looks at the clock */ };

struct counter {
	uint64_t bytes; /* the row's slot: where the bytes begin, and how many they are */
	uint64_t rows;
	uint64_t acc[];
};

struct counted {
	uint64_t every; /* rows; 0: only at the end */
	bool purge;	/* a result begins anew */
	bool at_end;	/* what is there when the input ends is a result */
	uint32_t shape, len;
	uint64_t cursor; /* at the end: keys that were gone through */
};

static int counted_open(struct wr_window *w)
{
	struct wr_field_spec f = {"", 0, WR_T_BYTES, 0};
	const struct wr_value *options = w->stage->options;
	struct counted *t = wr_zalloc(&mem, sizeof *t);

	if (!t)
		return WR_EFATAL;
	w->state = t;
	t->every = (uint64_t)wr_value_int(options, "every", 0);
	t->purge = wr_value_bool(options, "purge", false);
	t->at_end = wr_value_bool(options, "at_end", false);
	WR_ASSERT(t->every || t->at_end);
	t->len = (uint32_t)sizeof(struct counter) + 8 * w->accums.slots;
	t->shape = wr_shape_intern(&f, 1, 0, 1);
	return t->shape ? WR_OK : WR_EFATAL;
}

/* The result has neither bounds nor a time of its own: it is of the window without end (L12). */
static int emit(struct wr_window *w, const struct counter *c)
{
	uint32_t len;
	const uint8_t *key = wr_store_key(w->stage->store, &len);

	return wr_result_emit(&w->result, w->stage->outs[0], key, len, c->acc, 0, 0, WR_TS_MAX);
}

static int counted_take(struct wr_window *w, const struct wr_elem *row, const struct wr_short_key *key,
			int64_t ts)
{
	struct counted *t = w->state;
	struct counter *c;
	int32_t fresh;
	int rc = wr_accums_load(&w->accums, row);

	(void)ts;
	if (rc == WR_OK)
		rc = wr_window_key(w, row, key);
	if (rc != WR_OK)
		return rc;
	c = (struct counter *)wr_state_update(w->stage->store, STATE, t->shape, t->len, &fresh);
	if (!c)
		return WR_EFATAL;
	if (fresh) {
		memset(c, 0, t->len);
		c->bytes = sizeof c->bytes | (uint64_t)(t->len - sizeof c->bytes) << 32;
	}
	wr_accums_add(&w->accums, c->acc);
	if (++c->rows != t->every)
		return WR_OK;
	c->rows = 0;
	rc = emit(w, c);
	if (t->purge)
		wr_state_clear(w->stage->store, STATE);
	return rc;
}

static int counted_end(struct wr_window *w)
{
	struct counted *t = w->state;
	struct wr_store *store = w->stage->store;
	int rc = 0;

	for (uint32_t n = 1; t->at_end && (rc = wr_store_next(store, &t->cursor)) > 0; n++) {
		const struct wr_sval *v = wr_state_get(store, STATE);
		const struct counter *c = v ? (const struct counter *)v->body : NULL;

		rc = c && c->rows ? emit(w, c) : WR_OK;
		if (rc != WR_OK)
			return rc;
		if (n % END_GROUP == 0 && wr_stage_spent(w->stage))
			return WR_AGAIN;
	}
	return rc;
}

static void counted_free(struct wr_window *w)
{
	wr_free(&mem, w->state);
}

const struct wr_window_ops wr_counted_ops = {
    .open = counted_open, .take = counted_take, .end = counted_end, .free = counted_free};
