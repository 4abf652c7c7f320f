/* SPDX-License-Identifier: Apache-2.0 */
/* frozen: versions of a store that other threads read while the owner goes on.
 *
 * Freezing shares all chunks (a pointer and a count each) and begins a new epoch. A version
 * is closed by its readers' last unref; the owner notices at its next batch and gives back
 * what it held, so chunk counts and retired blocks are touched by the owner alone.
 */
#include <stdatomic.h>
#include "base/assert.h"
#include "base/error.h"
#include "state/store_priv.h"

struct wr_frozen {
	_Atomic uint32_t refs;	      /* readers */
	const struct wr_store *store; /* constant parts only: sizes, mem */
	struct wr_mem *mem;
	uint32_t entry_size, state_count, max_parallelism, used, chunk_count, epoch;
	struct chunk **chunks;
	struct timer_pair *timers[2];
	uint64_t timer_count[2];
};

struct wr_frozen *wr_store_freeze(struct wr_store *s)
{
	struct wr_frozen *f;

	wr_store_sweep(s);
	if (s->frozen_count == WR_FROZEN_MAX) {
		wr_error_set(WR_ETRANSIENT, "%d frozen versions are open", WR_FROZEN_MAX);
		return NULL;
	}
	f = wr_zalloc(s->mem, sizeof *f);
	if (!f)
		return NULL;
	f->mem = s->mem;
	f->chunks = wr_alloc(s->mem, (s->chunk_count + 1) * sizeof *f->chunks);
	for (int i = 0; i < 2; i++)
		f->timers[i] = wr_timers_copy(s, i, &f->timer_count[i]);
	if (!f->chunks || !f->timers[0] || !f->timers[1]) {
		wr_free(s->mem, f->chunks);
		wr_free(s->mem, f->timers[0]);
		wr_free(s->mem, f->timers[1]);
		wr_free(s->mem, f);
		return NULL;
	}
	f->refs = 1;
	f->store = s;
	f->entry_size = s->entry_size;
	f->state_count = s->state_count;
	f->max_parallelism = s->max_parallelism;
	f->used = s->used;
	f->chunk_count = s->chunk_count;
	f->epoch = s->epoch++;
	for (uint32_t i = 0; i < s->chunk_count; i++) {
		f->chunks[i] = s->chunks[i].chunk;
		atomic_fetch_add_explicit(&s->chunks[i].chunk->refs, 1, memory_order_relaxed);
	}
	s->frozen[s->frozen_count++] = f;
	return f;
}

void wr_frozen_unref(struct wr_frozen *f)
{
	atomic_fetch_sub_explicit(&f->refs, 1, memory_order_release);
}

void wr_store_sweep(struct wr_store *s)
{
	uint32_t kept = 0, oldest = UINT32_MAX;
	struct block **at = &s->retired;

	for (uint32_t i = 0; i < s->frozen_count; i++) {
		struct wr_frozen *f = s->frozen[i];

		if (atomic_load_explicit(&f->refs, memory_order_acquire)) {
			s->frozen[kept++] = f;
			if (f->epoch < oldest)
				oldest = f->epoch;
			continue;
		}
		for (uint32_t c = 0; c < f->chunk_count; c++)
			if (atomic_fetch_sub_explicit(&f->chunks[c]->refs, 1, memory_order_acq_rel) == 1)
				wr_free(s->mem, f->chunks[c]);
		wr_free(s->mem, f->chunks);
		wr_free(s->mem, f->timers[0]);
		wr_free(s->mem, f->timers[1]);
		wr_free(s->mem, f);
	}
	s->frozen_count = kept;
	/* a block that was retired in epoch e is seen by versions older than e */
	while (*at) {
		struct block *b = *at;

		if (b->retired_epoch <= oldest || !kept) {
			*at = b->retired;
			wr_free(s->mem, b);
		} else {
			at = &b->retired;
		}
	}
}

int64_t wr_frozen_copied(const struct wr_frozen *f)
{
	int64_t bytes = 0;

	for (uint32_t i = 0; i < f->chunk_count; i++)
		if (atomic_load_explicit(&f->chunks[i]->refs, memory_order_relaxed) == 1)
			bytes += (int64_t)CHUNK_ENTRIES * f->entry_size;
	return bytes;
}

static const struct entry *frozen_entry(const struct wr_frozen *f, uint32_t id)
{
	return entry_in(f->chunks[id / CHUNK_ENTRIES], id, f->entry_size);
}

static int each_list(const struct cell *c, struct wr_state_item *item,
		     int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	int rc = WR_OK;

	item->position = 0;
	for (uint32_t at = 0; rc == WR_OK && item->position < c->count; item->position++) {
		item->value = (const struct wr_sval *)(c->block->data + at + 8);
		memcpy(&item->stamp_ms, c->block->data + at, 8);
		rc = each(item, arg);
		at += 8 + (uint32_t)sizeof *item->value + item->value->len;
	}
	item->position = 0;
	return rc;
}

static int each_map(const struct wr_frozen *f, const struct cell *c, struct wr_state_item *item,
		    int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	int rc = WR_OK;

	for (uint32_t id = c->map.first; id && rc == WR_OK;) {
		const struct entry *e = frozen_entry(f, id);
		const struct cell *value = &e->cells[0];

		item->map_key = entry_key(e);
		item->map_key_len = e->key_len;
		item->stamp_ms = value->stamp_ms;
		item->value = value->kind == CELL_BLOCK ? (const struct wr_sval *)value->block->data
							: (const struct wr_sval *)&value->len;
		rc = each(item, arg);
		id = e->next;
	}
	item->map_key = NULL;
	item->map_key_len = 0;
	return rc;
}

int wr_frozen_each(struct wr_frozen *f, uint32_t group,
		   int (*each)(const struct wr_state_item *item, void *arg), void *arg)
{
	for (uint32_t id = 1; id <= f->used; id++) {
		const struct entry *e = frozen_entry(f, id);
		struct wr_state_item item = {0};

		if (e->kind != ENTRY_KEY || wr_key_group(e->hash, f->max_parallelism) != group)
			continue;
		item.key = entry_key(e);
		item.key_len = e->key_len;
		item.ns = item.key + e->key_len;
		item.ns_len = e->ns_len;
		for (uint32_t i = 0; i < f->state_count; i++) {
			const struct cell *c = &e->cells[i];
			int rc = WR_OK;

			item.state = i;
			item.stamp_ms = c->stamp_ms;
			if (c->kind == CELL_LIST) {
				rc = each_list(c, &item, each, arg);
			} else if (c->kind == CELL_MAP) {
				rc = each_map(f, c, &item, each, arg);
			} else if (c->kind != CELL_EMPTY) {
				item.value = c->kind == CELL_BLOCK ? (const struct wr_sval *)c->block->data
								   : (const struct wr_sval *)&c->len;
				rc = each(&item, arg);
			}
			if (rc != WR_OK)
				return rc;
		}
	}
	return WR_OK;
}

int wr_frozen_timers(struct wr_frozen *f, uint32_t group,
		     int (*each)(const struct wr_timer_item *item, void *arg), void *arg)
{
	for (uint32_t kind = 0; kind < 2; kind++)
		for (uint64_t i = 0; i < f->timer_count[kind]; i++) {
			const struct entry *e = frozen_entry(f, f->timers[kind][i].id);
			struct wr_timer_item item = {entry_key(e), entry_key(e) + e->key_len,
						     e->key_len,   e->ns_len,
						     kind,	   f->timers[kind][i].time_ms};
			int rc;

			if (wr_key_group(e->hash, f->max_parallelism) != group)
				continue;
			rc = each(&item, arg);
			if (rc != WR_OK)
				return rc;
		}
	return WR_OK;
}
