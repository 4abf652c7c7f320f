/* SPDX-License-Identifier: Apache-2.0 */
/* harness: drawing and building a job for a test, and moving it: tasks, clock, letters. On the test's
 * thread. */
#include "harness/priv.h"

#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "connect/collect.h"

enum { BUFFER_SIZE = 32 << 10, NS_PER_MS = 1000000, TICK_STOPS = 256 };
enum { TIMEOUT_US = 60000000 }; /* of a checkpoint, under a clock that stands still */
#define MONO_START ((uint64_t)1000 * NS_PER_MS)

static struct wr_mem mem = WR_MEM_INIT("cluster.harness");

const char *wr_harness_error(void)
{
	return wr_error_text();
}

/* ---- drawing and building ---- */

static int configure(const struct wr_harness_script *script, struct wr_config *c)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < script->option_count && rc == WR_OK; i++)
		rc = wr_config_set(c, script->options[2 * i], script->options[2 * i + 1], script->path);
	return rc;
}

int wr_harness_draw(const struct wr_harness_script *script, struct wr_bytes *plan, struct wr_bundle **bundle,
		    int64_t *state_memory)
{
	struct wr_config *c = wr_config_new();
	struct wr_draw_options o = {.path = script->path,
				    .args = script->args,
				    .arg_count = (int)script->arg_count,
				    .config = c,
				    .carried = script->carried_len ? script->carried : NULL,
				    .carried_len = script->carried_len};
	int rc = c ? configure(script, c) : WR_EFATAL;

	if (rc == WR_OK)
		rc = wr_script_draw(&o, plan, bundle);
	if (rc == WR_OK)
		*state_memory = wr_job_state_memory(c);
	wr_config_free(c);
	return rc;
}

struct wr_harness *wr_harness_new(const struct wr_harness_script *script)
{
	struct wr_harness *h = wr_zalloc(&mem, sizeof *h);

	if (!h)
		return NULL;
	wr_arena_init(&h->looked, &mem);
	wr_arena_init(&h->saved_arena, &mem);
	wr_job_kinds(h->kinds);
	if (wr_harness_draw(script, &h->drawn, &h->bundle, &h->state_memory) == WR_OK)
		return h;
	wr_harness_free(h);
	return NULL;
}

static void forget_sinks(const struct wr_plan *p)
{
	for (uint32_t v = 0; v < p->vertex_count; v++)
		for (uint32_t i = 0; i < p->vertices[v].stage_count; i++)
			if (!strcmp(p->vertices[v].stages[i].kind, "collect"))
				wr_collect_forget(wr_value_str(p->vertices[v].stages[i].options, "name", ""));
}

void wr_harness_free(struct wr_harness *h)
{
	wr_job_free(h->job);
	if (h->blobs)
		h->blobs->ops->free(h->blobs);
	if (h->plan)
		forget_sinks(h->plan);
	wr_plan_free(h->plan);
	wr_bundle_free(h->bundle);
	wr_bundle_free(h->next);
	wr_bytes_deinit(&h->drawn);
	wr_bytes_deinit(&h->taken);
	wr_arena_deinit(&h->looked);
	wr_arena_deinit(&h->saved_arena);
	wr_free(&mem, h->done);
	wr_free(&mem, h->failure);
	wr_free(&mem, h);
}

const uint8_t *wr_harness_plan(const struct wr_harness *h, uint32_t *len)
{
	*len = (uint32_t)h->drawn.len;
	return h->drawn.data;
}

int wr_harness_make_job(struct wr_harness *h, bool anew)
{
	struct wr_job_options o = {.plan = h->plan,
				   .bundle = h->bundle,
				   .kinds = h->kinds,
				   .kind_lists = WR_JOB_KIND_LISTS,
				   .enumerators = wr_enumerators,
				   .enumerator_count = wr_enumerators_count,
				   .checkpoints = &h->checkpoints,
				   .restore = anew ? NULL : &h->restore,
				   .workers = 1,
				   .buffer_size = BUFFER_SIZE,
				   .state_memory = h->state_memory,
				   .clock = &h->clock};

	memset(h->done, 0, h->task_count * sizeof *h->done);
	h->done_count = 0;
	h->job = wr_job_new(&o);
	return h->job ? WR_OK : wr_error_code();
}

int wr_harness_build(struct wr_harness *h, const uint8_t *plan, uint32_t len, int64_t wall_ms, uint64_t seed)
{
	WR_ASSERT(!h->job);
	h->plan = wr_plan_decode(plan, len);
	if (!h->plan)
		return wr_error_code();
	for (uint32_t v = 0; v < h->plan->vertex_count; v++)
		h->task_count += h->plan->vertices[v].parallelism;
	h->done = wr_zalloc(&mem, h->task_count * sizeof *h->done);
	h->blobs = wr_blobs_memory();
	if (!h->done || !h->blobs)
		return WR_EFATAL;
	wr_clock_manual_init(&h->clock, MONO_START, wall_ms);
	h->rand.s = seed;
	h->checkpoints =
	    (struct wr_checkpoint_options){.blobs = h->blobs, .retain = 1, .timeout_us = TIMEOUT_US};
	return wr_harness_make_job(h, true);
}

/* ---- stepping ---- */

/* The first failure is the answer to everything that follows. */
static int failed(struct wr_harness *h)
{
	return h->failure ? wr_error_set(WR_EUSER, "%s", h->failure) : WR_OK;
}

int wr_harness_fail(struct wr_harness *h)
{
	int rc = wr_error_code();

	if (!h->failure)
		h->failure = wr_strdup(&mem, wr_error_text());
	return rc;
}

static struct wr_task *task_at(const struct wr_harness *h, uint32_t i)
{
	uint32_t v = 0;

	for (; i >= h->plan->vertices[v].parallelism; v++)
		i -= h->plan->vertices[v].parallelism;
	return h->job->runners[v][i].task;
}

/* *moved becomes true if the task may have more to do, or others now have. */
static int step(struct wr_harness *h, uint32_t i, struct wr_task *t, bool *moved)
{
	const struct wr_stage_env *env = wr_task_env(t);

	switch (wr_task_step(t)) {
	case WR_STEP_BLOCKED:
		h->waiting = true;
		/* fall through */
	case WR_STEP_IDLE:
		*moved = false;
		return WR_OK;
	case WR_STEP_MORE:
	case WR_STEP_ENOUGH:
		*moved = true;
		return WR_OK;
	case WR_STEP_DONE:
		*moved = true;
		h->done[i] = true;
		h->done_count++;
		wr_job_post(h->job, env->vertex, env->subtask, 0, WR_LETTER_ENDED, NULL, 0);
		return WR_OK;
	case WR_STEP_FAILED:
		break;
	}
	return wr_harness_fail(h);
}

/* Upstream first, so that one round carries most of what there is to the end. */
int wr_harness_drain(struct wr_harness *h)
{
	bool again = true;

	while (again) {
		uint32_t i = 0;

		again = h->waiting = false;
		for (uint32_t v = 0; v < h->plan->vertex_count; v++)
			for (uint32_t k = 0; k < h->plan->vertices[v].parallelism; k++, i++) {
				bool moved = true;

				while (moved && !h->done[i]) {
					int rc = step(h, i, h->job->runners[v][k].task, &moved);

					if (rc != WR_OK)
						return rc;
					again |= moved;
				}
			}
		wr_job_read_mail(h->job);
		if (atomic_load(&h->job->failed)) {
			wr_error_set(h->job->code, "%s", h->job->error ? h->job->error : "out of memory");
			return wr_harness_fail(h);
		}
	}
	return WR_OK;
}

/* What looks at the clock now and then looks at it with the next step. */
static void make_ticks_due(struct wr_harness *h)
{
	for (uint32_t i = 0; i < h->task_count; i++) {
		struct wr_task *t = task_at(h, i);

		for (uint32_t k = 0; k < wr_task_stage_count(t); k++) {
			struct wr_stage *s = (struct wr_stage *)(uintptr_t)wr_task_stage(t, k);

			if (s->tick_ns != UINT64_MAX && s->tick_ns > h->clock.manual_ns)
				s->tick_ns = h->clock.manual_ns;
		}
	}
}

int wr_harness_settle(struct wr_harness *h)
{
	int rc = failed(h);

	if (rc == WR_OK)
		rc = wr_harness_drain(h);
	if (rc != WR_OK)
		return rc;
	make_ticks_due(h);
	return wr_harness_drain(h);
}

int wr_harness_stir(struct wr_harness *h, uint32_t steps)
{
	int rc = failed(h);

	for (uint32_t n = wr_rand_below(&h->rand, steps + 1); n > 0 && rc == WR_OK; n--) {
		uint32_t i = wr_rand_below(&h->rand, h->task_count);
		bool moved;

		if (!h->done[i])
			rc = step(h, i, task_at(h, i), &moved);
	}
	return rc;
}

int wr_harness_feed(struct wr_harness *h, uint32_t vertex, uint32_t subtask, const uint8_t *payload,
		    uint32_t len)
{
	struct wr_address who = {vertex, subtask, 0};
	int rc = failed(h);
	struct wr_letter *l = rc == WR_OK ? wr_letter_new(WR_LETTER_FEED, who, payload, len) : NULL;

	WR_ASSERT(vertex < h->plan->vertex_count && subtask < h->plan->vertices[vertex].parallelism);
	if (!l)
		return rc == WR_OK ? WR_EFATAL : rc;
	wr_task_post(h->job->runners[vertex][subtask].task, l);
	return WR_OK;
}

int wr_harness_ended(const struct wr_harness *h)
{
	return h->done_count == h->task_count;
}

void wr_harness_reseed(struct wr_harness *h, uint64_t seed)
{
	h->rand.s = seed;
}

uint32_t wr_harness_random(struct wr_harness *h, uint32_t n)
{
	return wr_rand_below(&h->rand, n);
}

/* ---- time ---- */

static uint64_t after_ms(const struct wr_harness *h, int64_t wall_ms)
{
	return wall_ms <= h->clock.manual_ms
		   ? h->clock.manual_ns
		   : h->clock.manual_ns + (uint64_t)(wall_ms - h->clock.manual_ms) * NS_PER_MS - h->part_ns;
}

/* When something is due next: a timer exactly, ticks no more often than every `pause_ns`. */
static uint64_t next_stop(const struct wr_harness *h, uint64_t pause_ns)
{
	uint64_t next = UINT64_MAX, tick = UINT64_MAX;

	for (uint32_t i = 0; i < h->task_count; i++) {
		const struct wr_task *t = task_at(h, i);

		for (uint32_t k = 0; k < wr_task_stage_count(t) && !h->done[i]; k++) {
			const struct wr_stage *s = wr_task_stage(t, k);
			uint64_t at = s->deadline_ms == INT64_MAX ? UINT64_MAX : after_ms(h, s->deadline_ms);

			next = at < next ? at : next;
			next = s->wake_ns < next ? s->wake_ns : next;
			tick = s->tick_ns < tick ? s->tick_ns : tick;
		}
	}
	if (tick < h->clock.manual_ns + pause_ns)
		tick = h->clock.manual_ns + pause_ns;
	return tick < next ? tick : next;
}

/* Both clocks, to `next` or the least that is later than now. */
static void move_clock(struct wr_harness *h, uint64_t next)
{
	uint64_t now = h->clock.manual_ns, part = h->part_ns;

	next = next > now ? next : now + 1;
	h->clock.manual_ns = next;
	h->clock.manual_ms += (int64_t)((part + (next - now)) / NS_PER_MS);
	h->part_ns = (part + (next - now)) % NS_PER_MS;
}

int wr_harness_time(struct wr_harness *h, int64_t wall_ms)
{
	uint64_t start_ns = h->clock.manual_ns, end_ns = after_ms(h, wall_ms);
	int64_t start_ms = h->clock.manual_ms;
	uint64_t pause_ns = (end_ns - start_ns) / TICK_STOPS + 1;
	int rc = wr_harness_settle(h);

	if (wall_ms < start_ms) {
		h->clock.manual_ms = wall_ms;
		h->part_ns = 0;
	}
	while (rc == WR_OK && h->clock.manual_ns < end_ns) {
		uint64_t next = next_stop(h, pause_ns);

		move_clock(h, next > end_ns ? end_ns : next);
		rc = wr_harness_drain(h);
	}
	return rc == WR_OK ? wr_harness_settle(h) : rc;
}

/* Does a record wait for an answer from outside? Then time stands: it would be over before the answer can
 * come. */
static bool asks(const struct wr_harness *h)
{
	for (uint32_t i = 0; i < h->task_count; i++) {
		const struct wr_task *t = task_at(h, i);

		for (uint32_t k = 0; k < wr_task_stage_count(t) && !h->done[i]; k++)
			if (wr_script_asks(wr_task_stage(t, k)))
				return true;
	}
	return false;
}

int wr_harness_pass(struct wr_harness *h)
{
	uint64_t next = !h->waiting || asks(h) ? UINT64_MAX : next_stop(h, 0);
	int rc;

	if (!h->waiting)
		return 0;
	if (next ==
	    UINT64_MAX) /* looks once; the loop's timer goes by the machine's clock and is always late */
		wr_loop_wait(h->job->loop, h->clock.manual_ns + 1);
	else
		move_clock(h, next);
	rc = wr_harness_drain(h);
	return rc == WR_OK ? 1 : rc;
}

int64_t wr_harness_now(const struct wr_harness *h)
{
	return h->clock.manual_ms;
}

/* ---- results ---- */

const uint8_t *wr_harness_take(struct wr_harness *h, const char *name, uint32_t *len)
{
	h->taken.len = 0;
	wr_collect_take(name, &h->taken);
	wr_bytes_room(&h->taken, WR_ROW_SLACK);
	*len = (uint32_t)h->taken.len;
	return h->taken.data;
}
