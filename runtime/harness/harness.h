/* SPDX-License-Identifier: Apache-2.0 */
/* harness: a job under the hands of a test: the real plan and the real tasks, stepped in one thread under a
 * clock that stands still until it is told otherwise.
 *
 * The planner's plan is handed out first, so that the test can put "feed" in the place of sources and
 * "collect" in that of sinks (lua/weir/internal/harness.lua); then tasks are built as for a run. Nothing
 * moves by itself: what was fed is handled by wr_harness_settle or, in random order, by wr_harness_stir.
 *
 *   drawn ──build──▶ ready ──settle, stir, time──▶ ready ──all tasks ended──▶ ended
 *                    ready ──a task failed──▶ failed: every call gives its error from then on
 *
 * Declarations outside `#ifndef WR_CDEF` are called by the Lua of the test, whose own state is none of the
 * tasks'. Functions that give an int: 0, or an error code whose text is wr_harness_error().
 */
#ifndef WR_CLUSTER_HARNESS_H
#define WR_CLUSTER_HARNESS_H
#include <stdint.h>

struct wr_harness;

/* What is drawn: a file, or functions of the spec as weir.internal.carry packs them. */
struct wr_harness_script {
	const char *path; /* of the file; for packed functions a name for messages */
	const uint8_t *carried;
	uint32_t carried_len; /* 0: the file is read */
	uint32_t arg_count;
	const char *const *args;    /* "key=value" for job.args */
	const char *const *options; /* the program's, as "name", "value", … */
	uint32_t option_count;	    /* of pairs */
	uint32_t pad;
};
/* A value of keyed state, or (`timer` ≥ 0) a timer of this kind; all borrowed until the next look. */
struct wr_harness_item {
	const uint8_t *key, *ns, *map_key;
	uint32_t key_len, ns_len, map_key_len;
	uint32_t state;
	uint32_t shape;
	int32_t timer;
	const uint8_t *body;
	int64_t time;	   /* of a timer */
	uint64_t position; /* of an element in its list */
};

const char *wr_harness_error(void);
/* Draws the script; NULL: an error. Nothing is borrowed afterwards. */
struct wr_harness *wr_harness_new(const struct wr_harness_script *script);
void wr_harness_free(struct wr_harness *h);
/* The plan's bytes as the planner made them; as long as the harness. */
const uint8_t *wr_harness_plan(const struct wr_harness *h, uint32_t *len);
/* Makes the tasks of `plan`. Once. `wall_ms` is the first processing time, `seed` that of wr_harness_stir. */
int wr_harness_build(struct wr_harness *h, const uint8_t *plan, uint32_t len, int64_t wall_ms, uint64_t seed);
/* A letter to a source of kind "feed": one tagged value (connect/feed.c). */
int wr_harness_feed(struct wr_harness *h, uint32_t vertex, uint32_t subtask, const uint8_t *payload,
		    uint32_t len);
/* Steps all tasks until nothing is left to do at this time, strategies have said their watermarks, and
 * nothing is left again. */
int wr_harness_settle(struct wr_harness *h);
/* Some steps, at most `steps`, of tasks drawn at random. */
int wr_harness_stir(struct wr_harness *h, uint32_t steps);
/* Processing time becomes `wall_ms`: forward through all that is due on the way, or back at once. */
int wr_harness_time(struct wr_harness *h, int64_t wall_ms);
int64_t wr_harness_now(const struct wr_harness *h);
/* Who cannot go on goes on: rows that wait for an answer from outside are given time of the machine, and
 * where there are none, time passes until the next that is due. 1, 0: nobody waits, or an error. */
int wr_harness_pass(struct wr_harness *h);
/* A number below `n` from the seed. */
uint32_t wr_harness_random(struct wr_harness *h, uint32_t n);
/* From here on random steps and numbers follow from `seed`. */
void wr_harness_reseed(struct wr_harness *h, uint64_t seed);
/* 1 when all tasks have ended. */
int wr_harness_ended(const struct wr_harness *h);
/* Takes the row elements that the collect sink `name` has kept; borrowed until the next call. */
const uint8_t *wr_harness_take(struct wr_harness *h, const char *name, uint32_t *len);
/* Everything that a stage keeps under a key (canonical bytes, record/key.h), or under all (`key` NULL), or
 * its broadcast state; all subtasks, in no order. NULL: an error. */
const struct wr_harness_item *wr_harness_look(struct wr_harness *h, uint32_t vertex, uint32_t stage,
					      const uint8_t *key, uint32_t key_len, int broadcast,
					      uint32_t *count);
/* The lowest watermark of a stage over its subtasks, INT64_MIN before the first. */
int64_t wr_harness_watermark(const struct wr_harness *h, uint32_t vertex, uint32_t stage);
/* Rows that came too late for a stage, over its subtasks, and those of them that nobody read. */
void wr_harness_late(const struct wr_harness *h, uint32_t vertex, uint32_t stage, int64_t *late,
		     int64_t *dropped);
/* All tasks with their Lua states are taken down and built anew; what they kept goes through the row format
 * (restart.c). Settles first. */
int wr_harness_restart(struct wr_harness *h);
/* The tasks get the functions of another version of the script, which draws the same graph, at a barrier
 * (reload.c). What was fed before and not settled may be handled on either side of it. An error: it
 * cannot be drawn or loaded, or its graph is another; the job is as it was. */
int wr_harness_reload(struct wr_harness *h, const struct wr_harness_script *script);
#endif
