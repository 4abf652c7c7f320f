/* SPDX-License-Identifier: Apache-2.0 */
/* namespaces: what concerns more than one namespace of a key: looking into another one, clearing one
 * with all its states, and moving what one holds into another (session windows that grow together). */
#include "base/assert.h"
#include "base/error.h"
#include "state/memory.h"

const struct wr_sval *wr_memory_peek(struct wr_store *store, uint32_t state, const uint8_t *ns, uint32_t len)
{
	struct memory *s = memory_of(store);
	uint32_t id = wr_entry_at(s, ns, len);

	return id ? wr_entry_get(s, id, state, state) : NULL;
}

void wr_memory_clear_all(struct wr_store *store)
{
	struct memory *s = memory_of(store);
	uint32_t id = wr_entry_current(s, false);
	struct entry *e = id ? wr_entry_own(s, id) : NULL;

	if (!e)
		return;
	for (uint32_t i = 0; i < s->state_count; i++)
		wr_cell_clear(s, &e->cells[i]);
	wr_entry_release(s, id);
}

static int append_list(struct memory *s, struct cell *to, struct cell *from)
{
	uint32_t need = from->block->used;
	struct block *b = to->block;

	if (wr_shared(s, b->epoch) || b->cap - b->used < need) {
		uint64_t cap = (uint64_t)b->used + need;
		struct block *more;

		if (cap > UINT32_MAX / 2)
			return wr_error_set(WR_EUSER, "a list state of more than 2 GB");
		more = wr_block_new(s, (uint32_t)cap * 2);
		if (!more)
			return WR_EFATAL;
		memcpy(more->data, b->data, b->used);
		more->used = b->used;
		wr_block_drop(s, b);
		to->block = b = more;
	}
	memcpy(b->data + b->used, from->block->data, need);
	b->used += need;
	to->count += from->count;
	return WR_OK;
}

/* Entries of a map name their owner: they are put anew, one by one. */
static int move_map(struct memory *s, uint32_t state, uint32_t from)
{
	uint32_t id = entry_at(s, from)->cells[state].map.first;

	while (id) {
		const struct entry *e = entry_at(s, id);
		const struct wr_sval *v = wr_entry_get(s, id, 0, state);
		uint32_t next = e->next, len = v ? v->len : 0;
		uint8_t *body =
		    v ? wr_memory_map_put(&s->base, state, entry_key(e), e->key_len, v->shape, len) : NULL;

		if (v && !body)
			return WR_EFATAL;
		if (v)
			memcpy(body, wr_cell_value(&entry_at(s, id)->cells[0])->body, len);
		wr_map_unlink(s, from, state, id);
		id = next;
	}
	return WR_OK;
}

static int move_cell(struct memory *s, uint32_t state, struct cell *to, struct cell *from)
{
	int rc = WR_OK;

	if (to->kind == CELL_EMPTY) {
		*to = *from;
		from->kind = CELL_EMPTY;
		from->count = 0;
		return WR_OK;
	}
	if (s->states[state].kind != WR_STATE_LIST)
		return WR_AGAIN;
	rc = append_list(s, to, from);
	if (rc == WR_OK)
		wr_cell_clear(s, from);
	return rc;
}

int wr_memory_merge(struct wr_store *store, uint32_t state, const uint8_t *ns, uint32_t len)
{
	struct memory *s = memory_of(store);
	uint32_t from = wr_entry_at(s, ns, len), to;
	struct entry *e, *o;
	int rc;

	if (!from || entry_at(s, from)->cells[state].kind == CELL_EMPTY)
		return WR_OK;
	to = wr_entry_current(s, true);
	e = to ? wr_entry_own(s, to) : NULL;
	o = e ? wr_entry_own(s, from) : NULL;
	if (!o)
		return WR_EFATAL;
	if (from == to)
		return WR_OK;
	if (s->states[state].kind == WR_STATE_MAP)
		rc = move_map(s, state, from);
	else
		rc = move_cell(s, state, &entry_at(s, to)->cells[state], &o->cells[state]);
	wr_entry_release(s, from);
	wr_entry_release(s, to);
	return rc;
}
