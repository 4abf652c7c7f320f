/* SPDX-License-Identifier: Apache-2.0 */
/* recast: see recast.h. */
#include "savepoint/recast.h"

#include <string.h>
#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/rand.h"
#include "checkpoint/history.h"
#include "savepoint/file.h"
#include "savepoint/logs.h"
#include "savepoint/saved.h"
#include "savepoint/unfinished.h"
#include "savepoint/under_way.h"

struct wr_recast {
	struct wr_blobs *blobs;
	struct wr_blob *blob; /* under way, or NULL */
	struct wr_block_writer writer;
	struct wr_saved_writer *values, *timers; /* of the store under way, or NULL */
	struct wr_bytes room;
	int64_t now_ms; /* the last access of what was nowhere: a state may have a time to live */
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.recast");

struct wr_recast *wr_recast_new(const char *path)
{
	struct wr_recast *r = wr_zalloc(&mem, sizeof *r);

	if (!r)
		return NULL;
	r->now_ms = wr_clock_ms(wr_clock_system());
	r->blobs = wr_savepoint_create(path);
	if (r->blobs)
		return r;
	wr_free(&mem, r);
	return NULL;
}

static void drop_store(struct wr_recast *r)
{
	wr_saved_writer_free(r->values);
	wr_saved_writer_free(r->timers);
	r->values = r->timers = NULL;
}

void wr_recast_free(struct wr_recast *r)
{
	if (!r)
		return;
	drop_store(r);
	if (r->blob) {
		wr_block_writer_deinit(&r->writer);
		r->blobs->ops->discard(r->blob);
	}
	r->blobs->ops->free(r->blobs);
	wr_bytes_deinit(&r->room);
	wr_free(&mem, r);
}

int wr_recast_named(struct wr_recast *r, struct wr_look *from, uint32_t vertex, uint32_t subtask)
{
	const char *id = wr_look_blob(from, vertex, subtask);
	int rc;

	WR_ASSERT(!r->blob);
	if (!id)
		return WR_OK;
	rc = wr_savepoint_copy_named(wr_look_blobs(from), r->blobs, id);
	return rc == WR_OK ? wr_savepoint_copy_unfinished(wr_look_blobs(from), r->blobs, id) : rc;
}

int wr_recast_log(struct wr_recast *r, struct wr_look *from, const char *uid, const char *to_uid)
{
	WR_ASSERT(!r->blob);
	return wr_savepoint_copy_log(wr_look_blobs(from), r->blobs, uid, to_uid);
}

int wr_recast_blob(struct wr_recast *r, const char *id)
{
	WR_ASSERT(!r->blob);
	if (strlen(id) >= WR_HISTORY_ID)
		return wr_error_set(WR_EUSER, "%s is no id of a blob", id);
	r->blob = r->blobs->ops->begin(r->blobs, id);
	if (!r->blob)
		return wr_error_code();
	wr_block_writer_init(&r->writer, r->blob);
	return WR_OK;
}

int wr_recast_block(struct wr_recast *r, uint32_t kind, uint32_t stage, const uint8_t *value, uint32_t len)
{
	WR_ASSERT(r->blob && (kind == WR_BLOCK_TASK || kind == WR_BLOCK_OPERATOR || kind == WR_BLOCK_NAMES));
	return wr_block_put(&r->writer, &(struct wr_block){(enum wr_block_kind)kind, stage, 0, value, len});
}

struct under_way {
	struct wr_block_writer *w;
	struct wr_bytes said;
};

static int copy_rows(void *arg, const struct wr_block *block, const struct wr_dict *dict)
{
	struct under_way *u = arg;

	return wr_under_way_copy(u->w, &u->said, block, dict);
}

int wr_recast_under_way(struct wr_recast *r, struct wr_look *from, uint32_t vertex, uint32_t subtask)
{
	struct under_way u = {.w = &r->writer};
	int rc;

	WR_ASSERT(r->blob && !r->values);
	rc = wr_look_under_way(from, vertex, subtask, copy_rows, &u);
	wr_bytes_deinit(&u.said);
	return rc;
}

int wr_recast_blob_end(struct wr_recast *r, uint64_t *bytes)
{
	WR_ASSERT(r->blob && !r->values);
	r->blob = NULL;
	return wr_block_commit(&r->writer, WR_OK, bytes);
}

/* ---- keyed state ---- */

int wr_recast_store(struct wr_recast *r, uint32_t stage, uint32_t first, uint32_t last)
{
	WR_ASSERT(r->blob && !r->values && first <= last);
	r->values = wr_saved_writer_new(&r->writer, stage, first, last);
	r->timers = wr_saved_writer_new(&r->writer, stage, first, last);
	if (!r->values || !r->timers) {
		drop_store(r);
		return WR_EFATAL;
	}
	return wr_saved_end_values(r->timers);
}

static int put(struct wr_recast *r, const struct wr_look_item *item, uint32_t state, uint32_t shape,
	       const uint8_t *body, uint32_t len)
{
	struct wr_state_item to = {.key = item->key,
				   .ns = item->ns,
				   .map_key = item->map_key,
				   .key_len = item->key_len,
				   .ns_len = item->ns_len,
				   .map_key_len = item->map_key_len,
				   .group = item->group,
				   .state = state,
				   .stamp_ms = item->time};
	struct wr_sval *value;

	r->room.len = 0;
	value = (struct wr_sval *)wr_bytes_room(&r->room, sizeof *value + len);
	if (!value)
		return wr_bytes_status(&r->room);
	value->len = len;
	value->shape = shape;
	if (len)
		memcpy(value->body, body, len);
	to.value = value;
	return wr_saved_put_item(&to, r->values);
}

static uint32_t tagged(uint32_t shape, uint32_t version)
{
	return shape | (version - 1) << WR_SVAL_VERSION;
}

int wr_recast_item(struct wr_recast *r, const struct wr_look_item *item, uint32_t state)
{
	return put(r, item, state, tagged(item->shape, item->version), item->body, item->body_len);
}

int wr_recast_value(struct wr_recast *r, const struct wr_look_item *item, uint32_t state, uint32_t version,
		    uint32_t shape, const uint8_t *body, uint32_t len)
{
	return put(r, item, state, tagged(shape, version), body, len);
}

int wr_recast_fresh(struct wr_recast *r, const struct wr_look_item *item, uint32_t shape, const uint8_t *body,
		    uint32_t len)
{
	struct wr_look_item fresh = *item;

	fresh.time = r->now_ms;
	return put(r, &fresh, item->state, tagged(shape, item->version), body, len);
}

int wr_recast_timer(struct wr_recast *r, const struct wr_look_item *item, int64_t time)
{
	return wr_saved_put_timer(&(struct wr_timer_item){.key = item->key,
							  .ns = item->ns,
							  .key_len = item->key_len,
							  .ns_len = item->ns_len,
							  .group = item->group,
							  .kind = (uint32_t)item->timer,
							  .time_ms = time},
				  r->timers);
}

int wr_recast_store_end(struct wr_recast *r)
{
	int rc = wr_saved_end_values(r->values);

	if (rc == WR_OK)
		rc = wr_saved_end_timers(r->timers);
	drop_store(r);
	return rc;
}

void wr_recast_groups(uint32_t max_parallelism, uint32_t parallelism, uint32_t subtask, uint32_t *first,
		      uint32_t *last)
{
	wr_key_group_range(max_parallelism, parallelism, subtask, first, last);
}

/* ---- the end ---- */

static int encode(const uint8_t *manifest, uint32_t len, struct wr_bytes *out, char id[WR_HISTORY_ID])
{
	struct wr_reader in = wr_reader_of(manifest, len);
	struct wr_clock *clock = wr_clock_system();
	struct wr_rand draw = {wr_clock_ns(clock) ^ (uint64_t)wr_clock_ms(clock) << 20};
	struct wr_manifest m;
	struct wr_value value;
	struct wr_arena arena;
	int rc;

	wr_arena_init(&arena, &mem);
	rc = wr_value_parse(&in, &arena, &value);
	if (rc == WR_OK)
		rc = wr_manifest_of(&value, &arena, &m);
	if (rc == WR_OK) {
		m.lineage = wr_rand_next(&draw) >> 1;
		wr_history_manifest_id(m.checkpoint, id);
		rc = wr_manifest_encode(&m, out);
	}
	wr_arena_deinit(&arena);
	return rc;
}

int wr_recast_publish(struct wr_recast *r, const uint8_t *manifest, uint32_t len)
{
	struct wr_bytes bytes = WR_BYTES_EMPTY;
	char id[WR_HISTORY_ID];
	int rc = encode(manifest, len, &bytes, id);

	WR_ASSERT(!r->blob);
	if (rc == WR_OK)
		rc = r->blobs->ops->publish(r->blobs, id, bytes.data, bytes.len);
	wr_bytes_deinit(&bytes);
	return rc;
}
