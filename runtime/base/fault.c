/* SPDX-License-Identifier: Apache-2.0 */
/* fault: the list of named places, sorted, and which of them are switched on. */
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"

_Atomic int wr_fault_armed;

static struct point {
	const char *name;
	int64_t nth; /* hits left until it fails; 0 = off */
	int err;
} points[] = {
    {"blob.open", 0, 0},
    {"blob.remove", 0, 0},
    {"blob.rename", 0, 0},
    {"blob.sync", 0, 0},
    {"blob.sync_folder", 0, 0},
    {"blob.write", 0, 0},
    {"checkpoint.ack", 0, 0},
    {"checkpoint.complete", 0, 0},
    {"checkpoint.published", 0, 0},
    {"checkpoint.removed", 0, 0},
    {"checkpoint.trigger", 0, 0},
    {"commit.begin", 0, 0},
    {"commit.done", 0, 0},
    {"commit.mark", 0, 0},
    {"file.fsync", 0, 0},
    {"file.open", 0, 0},
    {"file.read", 0, 0},
    {"file.write", 0, 0},
    {"kafka.begin", 0, 0},
    {"kafka.claim", 0, 0},
    {"kafka.commit", 0, 0},
    {"kafka.marker", 0, 0},
    {"kafka.send", 0, 0},
    {"log.append", 0, 0},
    {"log.cut", 0, 0},
    {"log.sealed", 0, 0},
    {"mcode.map", 0, 0},
    {"mem.alloc", 0, 0},
    {"rolling.adopted", 0, 0},
    {"rolling.barrier", 0, 0},
    {"rolling.finished", 0, 0},
    {"rolling.folder", 0, 0},
    {"rolling.marked", 0, 0},
    {"rolling.open", 0, 0},
    {"rolling.recovered", 0, 0},
    {"rolling.remove", 0, 0},
    {"rolling.rename", 0, 0},
    {"rolling.sync", 0, 0},
    {"rolling.sync_folder", 0, 0},
    {"rolling.truncate", 0, 0},
    {"rolling.write", 0, 0},
    {"savepoint.rename", 0, 0},
    {"savepoint.sync", 0, 0},
    {"savepoint.write", 0, 0},
    {"wal.folder", 0, 0},
    {"wal.import", 0, 0},
    {"wal.imported", 0, 0},
    {"wal.logged", 0, 0},
    {"wal.open", 0, 0},
    {"wal.received", 0, 0},
    {"wal.remove", 0, 0},
    {"wal.sync", 0, 0},
    {"wal.sync_folder", 0, 0},
    {"wal.write", 0, 0},
};
enum { POINTS = sizeof points / sizeof *points };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct wr_fault_step *steps; /* what is shown, or NULL */
static struct timespec stay;

static struct point *find(const char *name, size_t len)
{
	for (int i = 0; i < POINTS; i++)
		if (strlen(points[i].name) == len && !memcmp(points[i].name, name, len))
			return &points[i];
	return NULL;
}

/* ---- showing ---- */

static void show(const struct point *p)
{
	struct wr_fault_step *s = &steps[p - points];

	if (!strncmp(p->name, "mem.", 4) || !strncmp(p->name, "file.", 5))
		return;
	atomic_fetch_add_explicit(&s->passed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->at, 1, memory_order_relaxed);
	if (stay.tv_sec || stay.tv_nsec)
		ppoll(NULL, 0, &stay, NULL);
	atomic_fetch_sub_explicit(&s->at, 1, memory_order_relaxed);
}

static int not_shown(const char *path, int err)
{
	return wr_error_set(WR_EUSER, "cannot show steps in %s: %s", path, strerror(err));
}

static int map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), err;
	size_t size = (POINTS + 1) * sizeof *steps;
	void *p = MAP_FAILED;

	if (fd < 0)
		return not_shown(path, errno);
	if (ftruncate(fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = errno;
	close(fd);
	if (p == MAP_FAILED)
		return not_shown(path, err);
	steps = p;
	for (int i = 0; i < POINTS; i++)
		snprintf(steps[i].name, sizeof steps[i].name, "%s", points[i].name);
	atomic_fetch_add(&wr_fault_armed, 1);
	return WR_OK;
}

int wr_fault_show(const char *spec)
{
	const char *colon = strrchr(spec, ':');
	size_t len = colon ? (size_t)(colon - spec) : strlen(spec);
	char path[4096], *end = NULL;
	unsigned long us = colon ? strtoul(colon + 1, &end, 10) : 0;

	if (!len || len >= sizeof path || (colon && (end == colon + 1 || *end)))
		return wr_error_set(WR_EUSER, "cannot read the steps '%s': FILE[:MICROSECONDS]", spec);
	snprintf(path, sizeof path, "%.*s", (int)len, spec);
	stay = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	return map_file(path);
}

/* ---- failing ---- */

bool wr_fault_hit(const char *name, int *err)
{
	struct point *p = find(name, strlen(name));
	bool due = false;

	WR_ASSERT(p);
	if (steps)
		show(p);
	pthread_mutex_lock(&mutex);
	if (p->nth && --p->nth == 0) {
		due = true;
		atomic_fetch_sub(&wr_fault_armed, 1);
		if (err)
			*err = p->err;
	}
	if (due && p->err == WR_FAULT_KILL)
		kill(getpid(), SIGKILL);
	pthread_mutex_unlock(&mutex);
	return due;
}

static int arm(struct point *p, int64_t nth, int err)
{
	pthread_mutex_lock(&mutex);
	atomic_fetch_add(&wr_fault_armed, (nth != 0) - (p->nth != 0));
	p->nth = nth;
	p->err = err;
	pthread_mutex_unlock(&mutex);
	return WR_OK;
}

static int unknown(const char *name, size_t len)
{
	char known[1024];
	size_t at = 0;

	for (int i = 0; i < POINTS && at < sizeof known; i++)
		at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", points[i].name);
	return wr_error_set(WR_EUSER, "unknown fault point '%.*s'; there are %s", (int)len, name, known);
}

int wr_fault_set(const char *name, int64_t nth, int err)
{
	struct point *p = find(name, strlen(name));

	if (!p)
		return unknown(name, strlen(name));
	return arm(p, nth, err);
}

const char *wr_fault_name(int i)
{
	return i >= 0 && i < POINTS ? points[i].name : NULL;
}

/* Reads the number behind *s, or the word kill, if `mark` is there; false when it is neither. */
static bool number_behind(const char **s, char mark, int64_t *v)
{
	char *end;

	if (**s != mark)
		return true;
	if (!strncmp(*s, "=kill", 5)) {
		*v = WR_FAULT_KILL;
		*s += 5;
		return true;
	}
	errno = 0;
	*v = strtoll(*s + 1, &end, 10);
	if (end == *s + 1 || errno || *v < 0)
		return false;
	*s = end;
	return true;
}

int wr_fault_parse(const char *spec)
{
	const char *s = spec;

	while (*s) {
		size_t len = strcspn(s, ":=,");
		struct point *p = find(s, len);
		int64_t nth = 1, err = EIO;

		if (!p)
			return unknown(s, len);
		s += len;
		if (!number_behind(&s, ':', &nth) || !number_behind(&s, '=', &err) || (*s && *s != ','))
			return wr_error_set(WR_EUSER,
					    "cannot read the faults '%s' at '%s': name[:nth][=errno|=kill],…",
					    spec, s);
		s += *s == ',';
		arm(p, nth, (int)err);
	}
	return WR_OK;
}
