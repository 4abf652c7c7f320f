/* SPDX-License-Identifier: Apache-2.0 */
/* commits: see commits.h. Epochs lie in one list, oldest first. */
#include "commit/commits.h"

#include <inttypes.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

struct wr_commits {
	uint64_t lineage;
	uint32_t log;
	uint64_t newest;   /* number given out last that we know of */
	uint64_t complete; /* newest checkpoint that holds */
	bool under_way;	   /* the first of the list */
	struct entry {
		struct wr_epoch e;
		bool known; /* the mark does not cover it */
	} * list;
	uint32_t count, cap;
	struct wr_committed *logs; /* of our lineage; each log of `list` has one; number 0: none is known */
	uint32_t log_count;
};

static struct wr_mem mem = WR_MEM_INIT("commit.commits");

struct wr_commits *wr_commits_new(uint64_t lineage, uint32_t log, uint64_t newest)
{
	struct wr_commits *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return NULL;
	c->lineage = lineage;
	c->log = log;
	c->newest = newest;
	return c;
}

void wr_commits_free(struct wr_commits *c)
{
	if (!c)
		return;
	wr_free(&mem, c->list);
	wr_free(&mem, c->logs);
	wr_free(&mem, c);
}

static struct wr_committed *log_of(const struct wr_commits *c, uint32_t log)
{
	for (uint32_t i = 0; i < c->log_count; i++)
		if (c->logs[i].log == log)
			return &c->logs[i];
	return NULL;
}

/* There are few: our own, and those that were inherited. */
static int add_log(struct wr_commits *c, uint32_t log)
{
	struct wr_committed *logs;

	if (log_of(c, log))
		return WR_OK;
	logs = wr_realloc(&mem, c->logs, (c->log_count + 1) * sizeof *logs);
	if (!logs)
		return WR_EFATAL;
	c->logs = logs;
	c->logs[c->log_count++] = (struct wr_committed){.log = log};
	return WR_OK;
}

static struct wr_committed *known_of(const struct wr_commits *c, uint64_t lineage, uint32_t log)
{
	return lineage == c->lineage ? log_of(c, log) : NULL;
}

/* Behind all that are as old: at the end, but for inherited ones. */
static int add(struct wr_commits *c, const struct wr_epoch *e, bool known)
{
	uint32_t at = c->count;

	if (e->lineage == c->lineage && add_log(c, e->log) != WR_OK)
		return WR_EFATAL;
	if (c->count == c->cap && WR_GROW(&mem, c->list, c->cap, 4) != WR_OK)
		return WR_EFATAL;
	for (; at > 0 && c->list[at - 1].e.number > e->number; at--)
		c->list[at] = c->list[at - 1];
	c->list[at] = (struct entry){*e, known};
	c->count++;
	return WR_OK;
}

static bool same_log(const struct wr_epoch *e, uint64_t lineage, uint32_t log)
{
	return e->lineage == lineage && e->log == log;
}

/* ---- beginning ---- */

int wr_commits_inherit(struct wr_commits *c, const struct wr_epoch *e)
{
	if (!e->number || e->number > c->newest || e->after >= e->number)
		return wr_error_set(WR_EUSER,
				    "a log of epoch %" PRIu64 " behind %" PRIu64 ", of at most %" PRIu64,
				    e->number, e->after, c->newest);
	for (uint32_t i = 0; i < c->count; i++)
		if (c->list[i].e.number == e->number && same_log(&c->list[i].e, e->lineage, e->log))
			return wr_error_set(WR_EUSER, "epoch %" PRIu64 " of log %" PRIu32 " is named twice",
					    e->number, e->log);
	wr_commits_complete(c, e->number);
	return add(c, e, false);
}

/* ---- marks ---- */

bool wr_commits_ask(const struct wr_commits *c, uint64_t *lineage, uint32_t *log)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (!c->list[i].known) {
			*lineage = c->list[i].e.lineage;
			*log = c->list[i].e.log;
			return true;
		}
	return false;
}

void wr_commits_answer(struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark)
{
	struct wr_committed *known = known_of(c, lineage, log);
	uint32_t kept = 0;

	if (known && mark > known->number)
		known->number = mark;
	for (uint32_t i = 0; i < c->count; i++) {
		struct entry *at = &c->list[i];
		bool same = same_log(&at->e, lineage, log);

		if (same && at->e.number <= mark)
			continue;
		at->known |= same;
		c->list[kept++] = *at;
	}
	c->count = kept;
}

bool wr_commits_overtaken(const struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark)
{
	const struct wr_committed *known = known_of(c, lineage, log);

	return lineage == c->lineage && mark > c->complete && !(known && mark <= known->number);
}

/* ---- what is known ---- */

int wr_commits_know(struct wr_commits *c, const struct wr_committed *known)
{
	int rc = add_log(c, known->log);
	struct wr_committed *at = log_of(c, known->log);

	if (rc == WR_OK && known->number > at->number)
		*at = *known;
	return rc;
}

bool wr_commits_known(const struct wr_commits *c, uint32_t i, struct wr_committed *out)
{
	for (uint32_t at = 0; at < c->log_count; at++)
		if (c->logs[at].number && !i--) {
			*out = c->logs[at];
			return true;
		}
	return false;
}

uint64_t wr_commits_newest(const struct wr_commits *c, uint32_t log)
{
	const struct wr_committed *at = log_of(c, log);

	return at ? at->number : 0;
}

void wr_commits_lost(struct wr_commits *c, uint32_t log, uint64_t mark)
{
	struct wr_committed *at = log_of(c, log);

	if (at)
		at->number = mark;
}

void wr_commits_forget(struct wr_commits *c)
{
	WR_ASSERT(!c->count);
	c->log_count = 0;
}

/* ---- marks that are forgotten ---- */

enum { SEVENTHS = 7 };

/* Does the checkpoint name epochs of it? */
static bool has_epochs(const struct wr_commits *c, uint64_t lineage, uint32_t log)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (same_log(&c->list[i].e, lineage, log))
			return true;
	return false;
}

bool wr_mark_may_be_forgotten(const struct wr_mark_age *age, int64_t written_ms)
{
	return age->keeps_ms && age->now_ms - written_ms >= age->keeps_ms - age->keeps_ms / SEVENTHS;
}

enum wr_mark_is wr_commits_judge(const struct wr_commits *c, uint64_t lineage, uint32_t log, uint64_t mark,
				 const struct wr_mark_age *age)
{
	const struct wr_committed *known = known_of(c, lineage, log);

	if (mark == 0 && has_epochs(c, lineage, log) && wr_mark_may_be_forgotten(age, age->checkpoint_ms))
		return WR_MARK_UNCERTAIN;
	if (!known || mark >= known->number)
		return WR_MARK_HOLDS;
	return mark == 0 && wr_mark_may_be_forgotten(age, known->written_ms) ? WR_MARK_EXPIRED : WR_MARK_LOST;
}

bool wr_commits_keep(const struct wr_commits *c, int64_t keeps_ms, int64_t now_ms, uint64_t *number)
{
	const struct wr_committed *own = log_of(c, c->log);

	*number = own ? own->number : 0;
	return keeps_ms && *number &&
	       (now_ms < own->written_ms || now_ms - own->written_ms >= keeps_ms / SEVENTHS);
}

void wr_commits_kept(struct wr_commits *c, int64_t written_ms)
{
	struct wr_committed *own = log_of(c, c->log);

	if (own)
		own->written_ms = written_ms;
}

/* ---- running ---- */

uint64_t wr_commits_after(const struct wr_commits *c)
{
	return c->newest;
}

int wr_commits_barrier(struct wr_commits *c, uint64_t number, uint64_t rows, uint64_t bytes)
{
	struct wr_epoch e = {c->lineage, c->log, number, c->newest, rows, bytes};

	WR_ASSERT(number > c->newest);
	c->newest = number;
	return rows ? add(c, &e, true) : WR_OK;
}

void wr_commits_complete(struct wr_commits *c, uint64_t number)
{
	if (number > c->complete)
		c->complete = number;
}

bool wr_commits_next(struct wr_commits *c, struct wr_epoch *out)
{
	if (c->under_way || !c->count || !c->list[0].known || c->list[0].e.number > c->complete)
		return false;
	c->under_way = true;
	*out = c->list[0].e;
	return true;
}

void wr_commits_done(struct wr_commits *c, int64_t written_ms)
{
	const struct wr_epoch *e = &c->list[0].e;
	struct wr_committed *known = known_of(c, e->lineage, e->log);

	WR_ASSERT(c->under_way);
	if (known)
		*known = (struct wr_committed){e->log, e->number, written_ms};
	c->under_way = false;
	c->count--;
	memmove(&c->list[0], &c->list[1], c->count * sizeof *c->list);
}

void wr_commits_failed(struct wr_commits *c)
{
	const struct wr_epoch e = c->list[0].e;

	WR_ASSERT(c->under_way);
	c->under_way = false;
	for (uint32_t i = 0; i < c->count; i++)
		c->list[i].known &= !same_log(&c->list[i].e, e.lineage, e.log);
}

bool wr_commits_named(const struct wr_commits *c, uint32_t i, struct wr_epoch *out)
{
	if (i >= c->count)
		return false;
	*out = c->list[i].e;
	return true;
}

static uint64_t bytes_up_to(const struct wr_commits *c, uint64_t number)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < c->count && c->list[i].e.number <= number; i++)
		bytes += c->list[i].e.bytes;
	return bytes;
}

uint64_t wr_commits_lag(const struct wr_commits *c)
{
	return bytes_up_to(c, c->complete);
}

uint64_t wr_commits_bytes(const struct wr_commits *c)
{
	return bytes_up_to(c, UINT64_MAX);
}
