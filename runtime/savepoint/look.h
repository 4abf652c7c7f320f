/* SPDX-License-Identifier: Apache-2.0 */
/* look: a savepoint (or a checkpoint) under the eyes of a tool: its manifest, what operators keep themselves,
 * and its keyed state one key group at a time, so that a tool needs room for one group, whatever the size of
 * the whole.
 *
 * In a group, items are sorted: those of a key stand together, by namespace, state and key of a map, and
 * elements of a list are in their order. The order is the same in every savepoint, so two can be walked side
 * by side.
 *
 * Declarations outside `#ifndef WR_CDEF` are called by the Lua of the tool (lua/weir/internal/savepoint.lua).
 * One thread. Functions that give an int: 0, or an error code whose text is wr_lua_error().
 */
#ifndef WR_SAVEPOINT_LOOK_H
#define WR_SAVEPOINT_LOOK_H
#include <stdint.h>

/* Stage numbers of broadcast state are those of its stage and this. */
enum { WR_LOOK_BROADCAST = 1 << 16 };

struct wr_look;
/* A value, or (`timer` ≥ 0) a timer of this kind. Borrowed until the next group of the same wr_look. */
struct wr_look_item {
	uint64_t hash; /* of the key */
	const uint8_t *key, *ns, *map_key;
	uint32_t key_len, ns_len, map_key_len;
	uint32_t group, state;
	int32_t timer;
	uint32_t shape, version; /* of the value; version of its state's declaration */
	uint32_t body_len;
	const uint8_t *body;
	int64_t time; /* of a timer; of a value with a time to live its last access, else 0 */
	uint64_t order;
};

/* A savepoint, or a folder of checkpoints. All of it was read once, and every checksum is right. NULL: an
 * error. */
struct wr_look *wr_look_open(const char *path);
void wr_look_close(struct wr_look *l);
/* The manifest (checkpoint/FORMAT.md) as a tagged value; as long as `l`. */
const uint8_t *wr_look_manifest(struct wr_look *l, uint32_t *len);
/* The block of `kind` of a stage in a subtask: what the subtask (1, stage 0) or the stage (2) says of itself,
 * a tagged value; or the blobs that the stage names (10). *len = 0: there is none. Borrowed until the next
 * call. */
int wr_look_own(struct wr_look *l, uint32_t vertex, uint32_t kind, uint32_t stage, uint32_t subtask,
		const uint8_t **value, uint32_t *len);
/* All items of a key group. */
int wr_look_group(struct wr_look *l, uint32_t vertex, uint32_t stage, uint32_t group,
		  const struct wr_look_item **items, uint32_t *count);
/* Bytes of the blocks, as they are packed, of a stage (all key groups). */
uint64_t wr_look_packed(struct wr_look *l, uint32_t vertex, uint32_t stage);
/* Bytes of the blobs of a vertex, sinks' logs aside: what the checkpoint wrote, or (`older`) those of
 * earlier ones that it goes on from. */
uint64_t wr_look_bytes(struct wr_look *l, uint32_t vertex, int older);
/* Canonical bytes of a key: its group. */
uint32_t wr_look_group_of(const uint8_t *key, uint32_t len, uint32_t max_parallelism);
/* A value, key, or tagged value as JSON; borrowed until the next call. */
const char *wr_look_json(struct wr_look *l, const struct wr_look_item *item, uint32_t *len);
const char *wr_look_key_json(struct wr_look *l, const uint8_t *key, uint32_t key_len, uint32_t *len);
const char *wr_look_value_json(struct wr_look *l, const uint8_t *value, uint32_t value_len, uint32_t *len);
const char *wr_look_shape_text(struct wr_look *l, uint32_t shape, uint32_t *len);
#ifndef WR_CDEF
struct wr_blobs;
struct wr_blobs *wr_look_blobs(struct wr_look *l);
/* The blob of a subtask, NULL: it had ended. */
const char *wr_look_blob(const struct wr_look *l, uint32_t vertex, uint32_t subtask);
struct wr_block;
struct wr_dict;
/* Each block of rows on their way to the subtask (savepoint/under_way.h), until one gives an error. */
int wr_look_under_way(struct wr_look *l, uint32_t vertex, uint32_t subtask,
		      int (*each)(void *arg, const struct wr_block *block, const struct wr_dict *dict),
		      void *arg);
#endif
#endif
