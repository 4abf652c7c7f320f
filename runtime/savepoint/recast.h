/* SPDX-License-Identifier: Apache-2.0 */
/* recast: a savepoint that a tool writes, blob after blob, from what it saw in another one (savepoint/look.h)
 * and what it makes up.
 *
 *   new ──blob──▶ block… store (item | value | fresh | timer)… store_end … ──blob_end──▶ blob … ──publish──▶
 * there
 *
 * Freed before it was published it leaves nothing behind. Declarations outside `#ifndef WR_CDEF` are called
 * by the Lua of the tool (lua/weir/internal/recast.lua). One thread. Functions that give an int: 0, or an
 * error code whose text is wr_lua_error().
 */
#ifndef WR_SAVEPOINT_RECAST_H
#define WR_SAVEPOINT_RECAST_H
#include "savepoint/look.h"

struct wr_recast;
struct wr_recast *wr_recast_new(const char *path);
void wr_recast_free(struct wr_recast *r);
int wr_recast_blob(struct wr_recast *r, const char *id);
/* The blobs that those of a subtask in `from` name; before that of the subtask. */
int wr_recast_named(struct wr_recast *r, struct wr_look *from, uint32_t vertex, uint32_t subtask);
/* The write-ahead log of the source `uid` in `from`, if it has one, as that of `to_uid`. */
int wr_recast_log(struct wr_recast *r, struct wr_look *from, const char *uid, const char *to_uid);
/* What a subtask (kind 1) or a stage (2) says of itself, one tagged value; or which blobs a stage names (10):
 * behind the first of kind 1, before all others. */
int wr_recast_block(struct wr_recast *r, uint32_t kind, uint32_t stage, const uint8_t *value, uint32_t len);
/* State of `stage`, of the key groups first..last, which may come in any order, elements of a list in theirs.
 */
int wr_recast_store(struct wr_recast *r, uint32_t stage, uint32_t first, uint32_t last);
/* A value as it is, as that of state number `state`; or another one in its place; or a timer at `time`. */
int wr_recast_item(struct wr_recast *r, const struct wr_look_item *item, uint32_t state);
int wr_recast_value(struct wr_recast *r, const struct wr_look_item *item, uint32_t state, uint32_t version,
		    uint32_t shape, const uint8_t *body, uint32_t len);
int wr_recast_timer(struct wr_recast *r, const struct wr_look_item *item, int64_t time);
/* A value that was nowhere, as if it were accessed at wr_recast_new(): key, state, version, map_key and group
 * of `item` say whose it is. */
int wr_recast_fresh(struct wr_recast *r, const struct wr_look_item *item, uint32_t shape, const uint8_t *body,
		    uint32_t len);
int wr_recast_store_end(struct wr_recast *r);
/* Rows on their way to the first stage of a subtask in `from`, as they are. */
int wr_recast_under_way(struct wr_recast *r, struct wr_look *from, uint32_t vertex, uint32_t subtask);
int wr_recast_blob_end(struct wr_recast *r, uint64_t *bytes);
/* The manifest, as a tagged value, whose lineage becomes a new one. */
int wr_recast_publish(struct wr_recast *r, const uint8_t *manifest, uint32_t len);
/* Range of the key groups of a subtask. */
void wr_recast_groups(uint32_t max_parallelism, uint32_t parallelism, uint32_t subtask, uint32_t *first,
		      uint32_t *last);
#endif
