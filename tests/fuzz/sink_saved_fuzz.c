/* SPDX-License-Identifier: Apache-2.0 */
/* sink_saved_fuzz: what a sink says of itself in a checkpoint, a tagged value. What is let in can be
 * inherited by the sinks of any parallelism, each epoch by one of them; what they say of themselves then is
 * let in again, and comes back the same.
 */
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "commit/sink_saved.h"

enum { LINEAGE = 7, SUBTASKS = 3 };

static struct wr_mem mem = WR_MEM_INIT("fuzz");

/* What subtask `i` of `parallelism` takes of it; false: it is refused. */
static bool inherit(const struct wr_sink_saved *saved, struct wr_commits *c, uint32_t i, uint32_t parallelism,
		    uint32_t *taken)
{
	for (uint32_t k = 0; k < saved->known_count; k++) {
		struct wr_committed known = wr_sink_saved_known(saved, k);

		WR_ASSERT(known.number <= INT64_MAX && known.written_ms >= 0);
		WR_ASSERT(wr_commits_know(c, &known) == WR_OK);
		WR_ASSERT(wr_commits_newest(c, known.log) >= known.number);
	}
	for (uint32_t k = 0; k < saved->epoch_count; k++) {
		struct wr_epoch e = wr_sink_saved_epoch(saved, k);

		if (wr_commits_owner(e.log, parallelism) != i)
			continue;
		if (wr_commits_inherit(c, &e) != WR_OK)
			return false;
		++*taken;
	}
	return true;
}

static void put_twice(const struct wr_commits *c, const char *scope, uint64_t skip)
{
	struct wr_bytes once = WR_BYTES_EMPTY;
	struct wr_sink_saved again;
	struct wr_value value;
	struct wr_arena arena;
	struct wr_reader r;
	struct wr_epoch e;

	wr_arena_init(&arena, &mem);
	wr_sink_saved_put(c, scope, skip, &once);
	r = wr_reader_of(once.data, once.len);
	WR_ASSERT(wr_value_parse(&r, &arena, &value) == WR_OK && wr_sink_saved_read(&value, &again) == WR_OK);
	WR_ASSERT(again.skip == skip && !again.scope == !scope && (!scope || !strcmp(again.scope, scope)));
	for (uint32_t i = 0; i < again.epoch_count; i++) {
		struct wr_epoch is = wr_sink_saved_epoch(&again, i);

		WR_ASSERT(wr_commits_named(c, i, &e) && e.number == is.number && e.log == is.log &&
			  e.lineage == is.lineage && e.after == is.after && e.rows == is.rows &&
			  e.bytes == is.bytes);
	}
	WR_ASSERT(!wr_commits_named(c, again.epoch_count, &e));
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_reader r = wr_reader_of(data, len);
	struct wr_sink_saved saved;
	struct wr_value value;
	struct wr_arena arena;
	uint32_t taken = 0;
	bool all = true;

	wr_arena_init(&arena, &mem);
	if (wr_value_parse(&r, &arena, &value) == WR_OK && wr_sink_saved_read(&value, &saved) == WR_OK) {
		for (uint32_t i = 0; i < SUBTASKS; i++) {
			struct wr_commits *c = wr_commits_new(LINEAGE, i, UINT64_C(1) << 40);

			all &= inherit(&saved, c, i, SUBTASKS, &taken);
			put_twice(c, saved.scope, saved.skip);
			wr_commits_free(c);
		}
		WR_ASSERT(!all || taken == saved.epoch_count);
	}
	wr_arena_deinit(&arena);
	return 0;
}
