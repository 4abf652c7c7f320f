/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint_fuzz: the file of a savepoint, as the tools see it: what is let in must be looked through without
 * a step too far, and keys of a group must stand in their order. Checksums are put right first (first byte
 * odd), or the fuzzer would never get behind them.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "fuzz/blob_in.h"
#include "savepoint/file.h"
#include "savepoint/layout.h"
#include "savepoint/look.h"

enum { GROUPS_MAX = 16 };

static struct wr_mem fuzz_mem = WR_MEM_INIT("fuzz");

static void mend(uint8_t *p, size_t len)
{
	struct wr_savepoint_head head;
	struct wr_savepoint_tail tail;

	if (len < sizeof head + sizeof tail)
		return;
	memcpy(&head, p, sizeof head);
	memcpy(&tail, p + len - sizeof tail, sizeof tail);
	head.sum = XXH3_64bits(&head, offsetof(struct wr_savepoint_head, sum));
	tail.sum = XXH3_64bits(&tail, offsetof(struct wr_savepoint_tail, sum));
	memcpy(p, &head, sizeof head);
	memcpy(p + len - sizeof tail, &tail, sizeof tail);
	mend_sums(p + sizeof head, len - sizeof head - sizeof tail);
}

static void look_at_item(struct wr_look *l, const struct wr_look_item *item,
			 const struct wr_look_item *before)
{
	uint32_t len;

	WR_ASSERT(!before || before->hash <= item->hash);
	wr_look_key_json(l, item->key, item->key_len, &len);
	if (item->timer < 0)
		wr_look_json(l, item, &len);
}

static void look_at_stage(struct wr_look *l, const struct wr_manifest_vertex *v, uint32_t vertex,
			  uint32_t stage)
{
	for (uint32_t group = 0; group < v->max_parallelism && group < GROUPS_MAX; group++) {
		const struct wr_look_item *items;
		uint32_t count;

		if (wr_look_group(l, vertex, stage, group, &items, &count) != WR_OK)
			return;
		for (uint32_t i = 0; i < count; i++)
			look_at_item(l, &items[i], i ? &items[i - 1] : NULL);
	}
}

static void look_at_all(struct wr_look *l, const struct wr_manifest *m)
{
	const uint8_t *value;
	uint32_t len;

	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t s = 0; s < m->vertices[v].stage_count; s++) {
			look_at_stage(l, &m->vertices[v], v, s);
			look_at_stage(l, &m->vertices[v], v, s + WR_LOOK_BROADCAST);
			if (wr_look_own(l, v, 2, s, 0, &value, &len) == WR_OK && len)
				wr_look_value_json(l, value, len, &len);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char path[64];
	struct wr_manifest manifest;
	struct wr_arena arena;
	struct wr_blobs *blobs;
	struct wr_look *l;
	uint8_t *copy;
	int fd;

	if (len < 1)
		return 0;
	wr_log_setup(WR_LOG_ERROR, false);
	copy = malloc(len);
	memcpy(copy, data + 1, len - 1);
	if (data[0] & 1)
		mend(copy, len - 1);
	fd = memfd_create("savepoint", 0);
	WR_ASSERT(fd >= 0 && write(fd, copy, len - 1) == (ssize_t)(len - 1));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	wr_arena_init(&arena, &fuzz_mem);
	blobs = wr_savepoint_open(path, &arena, &manifest);
	l = wr_look_open(path);
	WR_ASSERT(!blobs == !l);
	if (l)
		look_at_all(l, &manifest);
	wr_look_close(l);
	if (blobs)
		blobs->ops->free(blobs);
	wr_arena_deinit(&arena);
	close(fd);
	free(copy);
	return 0;
}
