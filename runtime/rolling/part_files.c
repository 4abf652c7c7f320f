/* SPDX-License-Identifier: Apache-2.0 */
/* part_files: see part_files.h. What the task and the I/O threads both touch is under `mutex`, held for a few
 * instructions; `executing` is held while a command is executed, by whichever thread does. Files themselves
 * are part_disk.c's. */
#include "rolling/part_files.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "checkpoint/manifest.h"
#include "rolling/part_disk.h"
#include "task/restore.h"

enum {
	BLOCK_PLAIN = 64 << 10,
	BLOCK_PACKED = 256 << 10, /* a member each: larger ones hardly pack better */
	WAITING_MAX = 4 << 20,	  /* bytes handed over and not written */
};

enum command_kind { BEGIN, WRITE, END, BARRIER, COMPLETE };
struct command {
	struct command *next;
	enum command_kind kind;
	struct wr_part *part;
	uint64_t checkpoint;
	struct wr_bytes block;
};

struct wr_part {
	struct wr_parts *all;
	struct wr_bytes block; /* the task's */
	uint64_t handed_over;
	_Atomic uint64_t packed; /* bytes of the file */
	/* the executor's */
	struct wr_part *next;
	struct wr_disk_part disk;
	bool ended;
	uint64_t covered; /* by the checkpoint of this number, 0 = none yet; behind its end */
};

struct wr_parts {
	struct wr_iojob io; /* first */
	const struct wr_stage_env *env;
	struct wr_ioqueue *queue;
	struct wr_disk disk;
	bool packs;
	uint64_t number; /* of the next part */
	pthread_mutex_t mutex, executing;
	pthread_cond_t idle;
	/* under mutex */
	struct command *first, **last;
	size_t waiting; /* bytes */
	uint32_t unfinished;
	bool running, paused;
	int state; /* WR_OK, or the code of the failure */
	char text[512];
	/* the executor's */
	struct wr_part *parts;
	struct wr_bytes saved; /* at barrier `saved_at` */
	uint64_t saved_at;
};

static struct wr_mem mem = WR_MEM_INIT("rolling.part_files");

static int answer(struct wr_parts *p, int state)
{
	return state < 0 ? wr_error_set(state, "%s", p->text) : state;
}

/* ---- executing ---- */

static void part_free(struct wr_part *part)
{
	wr_disk_forget(&part->disk);
	wr_bytes_deinit(&part->block);
	wr_free(&mem, part);
}

static void finished(struct wr_parts *p, struct wr_part **at)
{
	struct wr_part *part = *at;

	*at = part->next;
	part_free(part);
	pthread_mutex_lock(&p->mutex);
	p->unfinished--;
	pthread_mutex_unlock(&p->mutex);
}

static bool is_due(const struct wr_parts *p, const struct wr_part *part, uint64_t checkpoint)
{
	return part->ended && (!p->env->folder_id || (part->covered && part->covered <= checkpoint));
}

/* The newest checkpoint that is needed to cover what is due. */
static uint64_t newest_due(const struct wr_parts *p, uint64_t checkpoint)
{
	uint64_t newest = 0;

	for (const struct wr_part *part = p->parts; part; part = part->next)
		if (is_due(p, part, checkpoint) && part->covered > newest)
			newest = part->covered;
	return newest;
}

static bool is_in(const struct wr_part *part, const char *bucket)
{
	return !strcmp(part->disk.bucket, bucket);
}

/* Who asks whether all are finished must not hear so before their names are on the disk. */
static int finish_bucket(struct wr_parts *p, uint64_t checkpoint, const char *bucket)
{
	int rc = wr_disk_make_bucket(&p->disk, bucket);

	for (struct wr_part *part = p->parts; part && rc == WR_OK; part = part->next)
		if (is_due(p, part, checkpoint) && is_in(part, bucket))
			rc = wr_disk_finish(&p->disk, &part->disk);
	if (rc == WR_OK)
		rc = wr_disk_sync_bucket(&p->disk, bucket);
	for (struct wr_part **at = &p->parts; *at && rc == WR_OK;)
		if (is_due(p, *at, checkpoint) && is_in(*at, bucket))
			finished(p, at);
		else
			at = &(*at)->next;
	return rc;
}

/* Bucket by bucket, so that each folder is synced once. An error is that of the sink: nothing is tried again.
 */
static int finish_due(struct wr_parts *p, uint64_t checkpoint)
{
	char bucket[WR_BUCKET_MAX + 1];
	bool any = false;
	int rc = WR_OK;

	while (rc == WR_OK) {
		struct wr_part *part = p->parts;

		while (part && !is_due(p, part, checkpoint))
			part = part->next;
		if (!part)
			break;
		if (!any && p->env->folder_id)
			rc = wr_disk_mark(&p->disk, p->env, newest_due(p, checkpoint));
		any = true;
		snprintf(bucket, sizeof bucket, "%s", part->disk.bucket);
		if (rc == WR_OK)
			rc = finish_bucket(p, checkpoint, bucket);
	}
	WR_CRASH_STEP("rolling.finished");
	return rc;
}

/* One without rows was never made. */
static int forget(struct wr_parts *p, const struct wr_part *part)
{
	struct wr_part **at = &p->parts;

	while (*at != part)
		at = &(*at)->next;
	finished(p, at);
	return WR_OK;
}

static int execute_end(struct wr_parts *p, struct wr_part *part)
{
	int rc;

	if (!part->disk.length)
		return forget(p, part);
	rc = wr_disk_sync(&part->disk);
	wr_disk_close(&part->disk);
	part->ended = true;
	return rc == WR_OK && !p->env->folder_id ? finish_due(p, 0) : rc;
}

static void put_saved(struct wr_parts *p)
{
	struct wr_bytes *out = &p->saved;
	uint32_t count = 0;

	for (struct wr_part *part = p->parts; part; part = part->next)
		count += part->disk.length > 0;
	out->len = 0;
	wr_value_put_record(out, 4);
	wr_value_put_name(out, "at");
	wr_value_put_str(out, p->disk.at ? p->disk.at : "");
	wr_value_put_name(out, "parts");
	wr_value_put_list(out, count);
	for (struct wr_part *part = p->parts; part; part = part->next) {
		if (!part->disk.length)
			continue;
		wr_value_put_list(out, 4);
		wr_value_put_str(out, part->disk.bucket);
		wr_value_put_str(out, part->disk.name);
		wr_value_put_i64(out, (int64_t)part->disk.length);
		wr_value_put_bool(out, part->ended);
	}
	wr_value_put_name(out, "path");
	wr_value_put_str(out, p->disk.path);
	wr_value_put_name(out, "staging");
	wr_value_put_str(out, p->disk.staging);
}

static int execute_barrier(struct wr_parts *p, uint64_t checkpoint)
{
	int rc = WR_OK;

	for (struct wr_part *part = p->parts; part && rc == WR_OK; part = part->next) {
		rc = wr_disk_sync(&part->disk);
		if (part->ended && !part->covered)
			part->covered = checkpoint;
	}
	if (rc == WR_OK)
		rc = wr_disk_sync_staging(&p->disk);
	WR_CRASH_STEP("rolling.barrier");
	put_saved(p);
	p->saved_at = checkpoint;
	return rc == WR_OK ? wr_bytes_status(&p->saved) : rc;
}

static int execute_write(struct wr_parts *p, struct command *c)
{
	int rc = wr_disk_write(&p->disk, &c->part->disk, c->block.data, c->block.len);

	atomic_store_explicit(&c->part->packed, c->part->disk.length, memory_order_relaxed);
	return rc;
}

static int execute_one(struct wr_parts *p, struct command *c)
{
	switch (c->kind) {
	case BEGIN:
		return WR_OK;
	case WRITE:
		return execute_write(p, c);
	case END:
		return execute_end(p, c->part);
	case BARRIER:
		return execute_barrier(p, c->checkpoint);
	case COMPLETE:
		return finish_due(p, c->checkpoint);
	}
	return WR_OK;
}

/* Under `executing`: the next command. Behind a failure nothing is done any more. False: there is none. */
static bool execute(struct wr_parts *p)
{
	struct command *c;
	int rc = WR_OK, state;

	pthread_mutex_lock(&p->mutex);
	c = p->first;
	if (c) {
		p->first = c->next;
		if (!p->first)
			p->last = &p->first;
	}
	state = p->state;
	pthread_mutex_unlock(&p->mutex);
	if (!c)
		return false;
	if (c->kind == BEGIN) {
		c->part->next = p->parts;
		p->parts = c->part;
	}
	if (state == WR_OK)
		rc = execute_one(p, c);
	pthread_mutex_lock(&p->mutex);
	p->waiting -= c->block.len;
	if (rc < 0) {
		snprintf(p->text, sizeof p->text, "%s", wr_error_text());
		p->state = rc;
	}
	pthread_mutex_unlock(&p->mutex);
	wr_bytes_deinit(&c->block);
	wr_free(&mem, c);
	return true;
}

static void parts_work(struct wr_iojob *job)
{
	struct wr_parts *p = (struct wr_parts *)job;
	bool more = true;

	while (more) {
		pthread_mutex_lock(&p->executing);
		more = execute(p);
		pthread_mutex_unlock(&p->executing);
	}
}

static void parts_done(struct wr_iojob *job)
{
	struct wr_parts *p = (struct wr_parts *)job;

	pthread_mutex_lock(&p->mutex);
	if (p->first) {
		wr_ioqueue_post(p->queue, &p->io);
	} else {
		p->running = false;
		pthread_cond_signal(&p->idle);
	}
	if (p->paused)
		wr_notify_fire(&p->env->wake);
	p->paused = false;
	pthread_mutex_unlock(&p->mutex);
}

int wr_parts_settle(struct wr_parts *p, uint64_t checkpoint, struct wr_bytes *out)
{
	int rc;

	pthread_mutex_lock(&p->executing);
	while (p->saved_at < checkpoint && execute(p))
		;
	pthread_mutex_lock(&p->mutex);
	rc = answer(p, p->state);
	pthread_mutex_unlock(&p->mutex);
	if (rc == WR_OK && p->saved_at != checkpoint)
		rc = wr_error_set(WR_ETRANSIENT, "checkpoint %" PRIu64 " was given up", checkpoint);
	if (rc == WR_OK)
		wr_bytes_put(out, p->saved.data, p->saved.len);
	pthread_mutex_unlock(&p->executing);
	return rc;
}

/* ---- the task's side ---- */

struct wr_parts *wr_parts_new(const struct wr_parts_options *o)
{
	struct wr_parts *p = wr_zalloc(&mem, sizeof *p);

	if (!p)
		return NULL;
	p->env = o->env;
	p->io = (struct wr_iojob){.work = parts_work, .done = parts_done};
	p->last = &p->first;
	p->packs = o->packing != WR_PACKING_NONE;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_mutex_init(&p->executing, NULL);
	pthread_cond_init(&p->idle, NULL);
	if (wr_disk_open(&p->disk, o) == WR_OK) {
		p->queue = wr_ioqueue_new(o->env->io);
		if (p->queue)
			return p;
	}
	wr_parts_free(p);
	return NULL;
}

void wr_parts_free(struct wr_parts *p)
{
	bool staged = false;

	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	while (p->running)
		pthread_cond_wait(&p->idle, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
	if (p->queue)
		wr_ioqueue_free(p->queue);
	for (struct wr_part *part = p->parts; part; part = part->next)
		staged |= part->disk.length > 0;
	if (staged && !p->env->folder_id)
		wr_warn("rolling_files", "files that were not finished stay in %s/%s", p->disk.path,
			p->disk.staging);
	while (p->parts) {
		struct wr_part *part = p->parts;

		p->parts = part->next;
		part_free(part);
	}
	wr_disk_deinit(&p->disk);
	wr_bytes_deinit(&p->saved);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->mutex);
	pthread_mutex_destroy(&p->executing);
	wr_free(&mem, p);
}

static int recover_part(struct wr_parts *p, const struct wr_unfinished *u, uint32_t i, bool another)
{
	struct wr_unfinished_part part = wr_unfinished_part(u, i);

	if (another)
		return wr_disk_adopt(&p->disk, p->env, u, &part);
	return wr_disk_recover(u->path ? u->path : p->disk.path, u->staging ? u->staging : p->disk.staging,
			       &part);
}

int wr_parts_recover(struct wr_parts *p, const struct wr_saved_state *saved)
{
	const struct wr_durable *d = p->env->durable;
	const struct wr_manifest *m = d && d->restore ? d->restore->manifest : NULL;
	bool any = false, another = m && m->lineage != d->lineage;
	int rc = wr_disk_read_marks(&p->disk, p->env, m ? m->checkpoint : 0);

	for (uint32_t i = 0; saved && i < saved->count && rc == WR_OK; i++) {
		struct wr_unfinished u;

		if (!wr_saved_mine(saved, i, p->env->subtask, p->env->parallelism))
			continue;
		rc = wr_unfinished_read(saved->parts[i].value, &u);
		any |= rc == WR_OK && u.count > 0;
		for (uint32_t k = 0; rc == WR_OK && k < u.count; k++)
			rc = recover_part(p, &u, k, another);
	}
	if (rc == WR_OK && any && p->env->folder_id && !another)
		rc = wr_disk_mark(&p->disk, p->env, m->checkpoint);
	WR_CRASH_STEP("rolling.recovered");
	return rc == WR_OK ? wr_disk_sweep(&p->disk, p->env->subtask, p->env->parallelism) : rc;
}

int wr_parts_room(struct wr_parts *p)
{
	int rc;

	pthread_mutex_lock(&p->mutex);
	rc = p->state;
	if (rc == WR_OK && p->waiting > WAITING_MAX) {
		p->paused = true;
		rc = WR_AGAIN;
	}
	pthread_mutex_unlock(&p->mutex);
	return answer(p, rc);
}

/* Takes what is in `block`, if anything. */
static int post(struct wr_parts *p, enum command_kind kind, struct wr_part *part, uint64_t checkpoint)
{
	struct command *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return WR_EFATAL;
	c->kind = kind;
	c->part = part;
	c->checkpoint = checkpoint;
	if (kind == WRITE) {
		c->block = part->block;
		part->block = (struct wr_bytes)WR_BYTES_EMPTY;
		part->handed_over += c->block.len;
	}
	pthread_mutex_lock(&p->mutex);
	*p->last = c;
	p->last = &c->next;
	p->waiting += c->block.len;
	if (!p->running)
		wr_ioqueue_post(p->queue, &p->io);
	p->running = true;
	pthread_mutex_unlock(&p->mutex);
	return WR_OK;
}

struct wr_part *wr_parts_begin(struct wr_parts *p, struct wr_str bucket)
{
	struct wr_part *part = wr_zalloc(&mem, sizeof *part);
	int rc = WR_EFATAL;

	if (!part)
		return NULL;
	part->all = p;
	part->disk.fd = -1;
	rc = wr_disk_name(&p->disk, &part->disk, p->env, p->number++, bucket);
	if (rc == WR_OK)
		rc = post(p, BEGIN, part, 0);
	if (rc != WR_OK) {
		part_free(part);
		return NULL;
	}
	pthread_mutex_lock(&p->mutex);
	p->unfinished++;
	pthread_mutex_unlock(&p->mutex);
	return part;
}

struct wr_bytes *wr_part_block(struct wr_part *part)
{
	return &part->block;
}

uint64_t wr_part_size(const struct wr_part *part)
{
	return part->all->packs ? atomic_load_explicit(&part->packed, memory_order_relaxed)
				: part->handed_over + part->block.len;
}

int wr_part_added(struct wr_part *part, bool all)
{
	if (part->block.failed)
		return wr_bytes_status(&part->block);
	if (!part->block.len || (!all && part->block.len < (part->all->packs ? BLOCK_PACKED : BLOCK_PLAIN)))
		return WR_OK;
	return post(part->all, WRITE, part, 0);
}

int wr_part_end(struct wr_part *part)
{
	int rc = wr_part_added(part, true);

	return rc == WR_OK ? post(part->all, END, part, 0) : rc;
}

int wr_parts_barrier(struct wr_parts *p, uint64_t checkpoint)
{
	return post(p, BARRIER, NULL, checkpoint);
}

int wr_parts_complete(struct wr_parts *p, uint64_t checkpoint)
{
	return post(p, COMPLETE, NULL, checkpoint);
}

int wr_parts_finished(struct wr_parts *p)
{
	int rc;

	pthread_mutex_lock(&p->mutex);
	rc = p->state != WR_OK ? p->state : p->unfinished ? WR_AGAIN : WR_OK;
	p->paused |= rc == WR_AGAIN;
	pthread_mutex_unlock(&p->mutex);
	return answer(p, rc);
}
