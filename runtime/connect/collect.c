/* SPDX-License-Identifier: Apache-2.0 */
/* collect: rows kept in memory by the name of the sink (option `name`, "" if none). One list
 * for the process, under a lock that is taken once a batch: tests ask for it from outside of
 * any job, and after the job has ended. */
#include <pthread.h>
#include "base/error.h"
#include "connect/collect.h"
#include "connect/kinds.h"

struct collection {
	struct collection *next;
	struct wr_bytes rows;
	bool until_barrier;
	char name[];
};

struct collect { /* of a stage */
	struct collection *to;
	bool closed; /* a barrier has passed; what follows it is made anew */
};

static struct wr_mem collect_mem = WR_MEM_INIT("connect.collect");
static pthread_mutex_t collect_lock = PTHREAD_MUTEX_INITIALIZER;
static struct collection *collections;

/* Under the lock. */
static struct collection *find(const char *name)
{
	struct collection *c = collections;

	while (c && strcmp(c->name, name) != 0)
		c = c->next;
	return c;
}

static struct collection *find_or_make(const char *name)
{
	struct collection *c = find(name);

	if (c)
		return c;
	c = wr_zalloc(&collect_mem, sizeof *c + strlen(name) + 1);
	if (!c)
		return NULL;
	memcpy(c->name, name, strlen(name) + 1);
	c->next = collections;
	collections = c;
	return c;
}

int wr_collect_take(const char *name, struct wr_bytes *out)
{
	struct collection *c;
	int rc = WR_END;

	pthread_mutex_lock(&collect_lock);
	c = find(name);
	if (c) {
		wr_bytes_put(out, c->rows.data, c->rows.len);
		wr_bytes_deinit(&c->rows);
		rc = wr_bytes_status(out);
	}
	pthread_mutex_unlock(&collect_lock);
	return rc;
}

void wr_collect_forget(const char *name)
{
	struct collection **at = &collections, *c;

	pthread_mutex_lock(&collect_lock);
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	c = *at;
	if (c) {
		*at = c->next;
		wr_bytes_deinit(&c->rows);
		wr_free(&collect_mem, c);
	}
	pthread_mutex_unlock(&collect_lock);
}

void wr_collect_until_barrier(const char *name, bool until_barrier)
{
	struct collection *c;

	pthread_mutex_lock(&collect_lock);
	c = find(name);
	if (c)
		c->until_barrier = until_barrier;
	pthread_mutex_unlock(&collect_lock);
}

static int collect_open(struct wr_stage *s)
{
	struct collect *c = s->state = wr_zalloc(&collect_mem, sizeof *c);

	if (!c)
		return WR_EFATAL;
	pthread_mutex_lock(&collect_lock);
	c->to = find_or_make(wr_value_str(s->options, "name", ""));
	pthread_mutex_unlock(&collect_lock);
	return c->to ? WR_OK : WR_EFATAL;
}

static int collect_rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct collect *c = s->state;
	int rc = WR_OK;

	pthread_mutex_lock(&collect_lock);
	if (!c->closed) {
		wr_bytes_put(&c->to->rows, rows->p, (size_t)(rows->end - rows->p));
		rc = wr_bytes_status(&c->to->rows);
	}
	pthread_mutex_unlock(&collect_lock);
	rows->p = rows->end;
	return rc;
}

static int collect_save(struct wr_stage *s, struct wr_bytes *out)
{
	struct collect *c = s->state;

	(void)out;
	pthread_mutex_lock(&collect_lock);
	c->closed = c->to->until_barrier;
	pthread_mutex_unlock(&collect_lock);
	return WR_OK;
}

/* The rows stay until somebody takes them. */
static void collect_free(struct wr_stage *s)
{
	wr_free(&collect_mem, s->state);
	s->state = NULL;
}

const struct wr_stage_ops wr_collect_ops = {.kind = "collect",
					    .open = collect_open,
					    .rows = collect_rows,
					    .save = collect_save,
					    .free = collect_free};
