/* SPDX-License-Identifier: Apache-2.0 */
/* timers: timers of entries on the disk fire in their turn: those that are due next come into memory
 * with their entries, a batch at a time. Task's thread; see tiered.h. */
#include "base/error.h"
#include "tiered/tiered.h"

enum { ROWS_A_BATCH = 512 };

struct due { /* rows of one kind, in the order of time */
	struct tiered *t;
	uint32_t kind, rows;
	int64_t upto_ms;
	int64_t next_ms; /* of the first row that was left */
};

static int take_row(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct due *d = arg;
	struct wr_bytes *rows = &d->t->rooms[1];
	uint32_t kind;
	int64_t time_ms;
	int rc = wr_packed_read_time(key, &kind, &time_ms);

	(void)value;
	if (rc != WR_OK)
		return rc;
	if (kind != d->kind)
		return WR_END;
	if (time_ms > d->upto_ms || d->rows == ROWS_A_BATCH) {
		d->next_ms = time_ms;
		return WR_END;
	}
	wr_bytes_put_u32(rows, key.len - PACKED_TIME);
	wr_bytes_put(rows, key.p + PACKED_TIME, key.len - PACKED_TIME);
	d->rows++;
	return wr_bytes_status(rows);
}

static void lost(void *arg, uint32_t i)
{
	(void)i;
	*(int *)arg = wr_error_set(WR_EBUG, "a timer on the disk has no entry there");
}

/* Entries of the rows come into memory. An entry with several of them comes with the first. */
static int bring_rows(struct tiered *t)
{
	const struct wr_bytes *rows = &t->rooms[1];
	struct wr_disk_bytes keys[WR_DISK_GET_MAX];
	uint32_t count = 0;
	int rc = WR_OK, gone = WR_OK;

	for (size_t at = 0; at < rows->len && rc == WR_OK;) {
		memcpy(&keys[count].len, rows->data + at, sizeof keys[count].len);
		keys[count].p = rows->data + at + sizeof keys[count].len;
		at += sizeof keys[count].len + keys[count].len;
		count++;
		if (count == WR_DISK_GET_MAX || at == rows->len) {
			rc = wr_tiered_bring(t, keys, count, lost, &gone);
			rc = rc == WR_OK ? gone : rc;
			count = 0;
		}
	}
	return rc;
}

static int bring_due(struct tiered *t, uint32_t kind, int64_t upto_ms)
{
	struct due d = {.t = t, .kind = kind, .upto_ms = upto_ms, .next_ms = INT64_MAX};
	struct wr_bytes *from = &t->rooms[0];
	int rc = wr_tiered_write(t);

	from->len = t->rooms[1].len = 0;
	wr_packed_put_time(from, kind, t->first_out[kind]);
	if (rc == WR_OK)
		rc = wr_bytes_status(from);
	if (rc == WR_OK)
		rc = t->fn->scan(t->disk, NULL, WR_DISK_TIMERS,
				 (struct wr_disk_bytes){from->data, (uint32_t)from->len}, 0, take_row, &d);
	t->first_out[kind] = d.next_ms;
	if (rc == WR_OK || rc == WR_END)
		rc = bring_rows(t);
	return rc == WR_OK ? WR_OK : wr_tiered_fail(t);
}

int wr_tiered_timer_next(struct wr_store *store, uint32_t kind, int64_t upto_ms, int64_t *time_ms)
{
	struct tiered *t = tiered_of(store);
	struct memory *s = &t->m;

	/* the entry of the timer before this one, which its callback may have left empty */
	if (s->has_key && s->current)
		wr_entry_release(s, s->current);
	s->current = NONE;
	s->looked_up = false;
	if (++t->calls >= ROWS_A_BATCH)
		wr_tiered_edge(t);
	for (;;) {
		bool out = t->timers_out[kind] && t->first_out[kind] <= upto_ms;
		int rc = 0;

		if (!out || t->first_out[kind] >= wr_memory_timer_earliest(store, kind))
			rc = wr_memory_timer_next(store, kind, upto_ms, time_ms);
		if (rc || !out)
			return rc;
		wr_tiered_edge(t);
		if (s->failed || bring_due(t, kind, upto_ms) != WR_OK)
			return store->backend->status(store);
	}
}

int64_t wr_tiered_timer_earliest(const struct wr_store *store, enum wr_timer_kind kind)
{
	const struct tiered *t = tiered_of(store);
	int64_t here = wr_memory_timer_earliest(store, kind);

	return here < t->first_out[kind] ? here : t->first_out[kind];
}

static int take_time(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value)
{
	struct due *d = arg;
	uint32_t kind;
	int64_t time_ms;
	int rc = wr_packed_read_time(key, &kind, &time_ms);

	(void)value;
	if (rc == WR_OK && kind == d->kind)
		d->next_ms = time_ms;
	return rc;
}

int64_t wr_tiered_timer_latest(const struct wr_store *store, enum wr_timer_kind kind)
{
	struct tiered *t = tiered_of(store);
	int64_t here = wr_memory_timer_latest(store, kind);
	struct due d = {.kind = kind, .next_ms = INT64_MIN};
	struct wr_bytes *end = &t->rooms[0];

	if (!t->timers_out[kind])
		return here;
	end->len = 0;
	wr_packed_put_time(end, kind + 1, INT64_MIN);
	if (wr_tiered_write(t) != WR_OK || wr_bytes_status(end) != WR_OK ||
	    t->fn->last(t->disk, WR_DISK_TIMERS, (struct wr_disk_bytes){end->data, (uint32_t)end->len},
			take_time, &d) != WR_OK)
		wr_tiered_fail(t);
	return here > d.next_ms ? here : d.next_ms;
}
