/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: see jobs.h. */
#include "control/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("control.jobs");

static int take(void *arg, const struct wr_control_entry *e)
{
	struct wr_jobs *jobs = arg;
	struct wr_running *list = wr_realloc(&mem, jobs->list, (jobs->count + 1) * sizeof *list);

	if (!list)
		return WR_EFATAL;
	jobs->list = list;
	snprintf(list[jobs->count].id, sizeof list->id, "%s", e->id);
	list[jobs->count++].pid = e->pid;
	return WR_OK;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct wr_running *)a)->id, ((const struct wr_running *)b)->id);
}

int wr_jobs_init(struct wr_jobs *jobs, const char *folder)
{
	int rc;

	*jobs = (struct wr_jobs){.count = 0};
	rc = wr_control_folder(folder, false, jobs->folder);
	if (rc == WR_OK)
		rc = wr_control_each(jobs->folder, take, jobs);
	if (jobs->count)
		qsort(jobs->list, jobs->count, sizeof *jobs->list, by_id);
	return rc == WR_END ? WR_OK : rc;
}

void wr_jobs_deinit(struct wr_jobs *jobs)
{
	wr_free(&mem, jobs->list);
}

static bool has_id(const struct wr_running *r, const char *what)
{
	return !strcmp(r->id, what);
}

static bool has_pid(const struct wr_running *r, const char *what)
{
	char pid[24];

	snprintf(pid, sizeof pid, "%lld", (long long)r->pid);
	return !strcmp(pid, what);
}

static bool has_name(const struct wr_running *r, const char *what)
{
	char id[WR_SOCKET_ID];

	wr_control_id_of(what, r->pid, id);
	return !strcmp(r->id, id);
}

static bool begins(const struct wr_running *r, const char *what)
{
	return *what && !strncmp(r->id, what, strlen(what));
}

static bool any(const struct wr_running *r, const char *what)
{
	(void)r, (void)what;
	return true;
}

typedef bool (*means)(const struct wr_running *r, const char *what);

static uint32_t count_of(const struct wr_jobs *jobs, const char *what, means fits,
			 const struct wr_running **last)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < jobs->count; i++)
		if (fits(&jobs->list[i], what)) {
			*last = &jobs->list[i];
			n++;
		}
	return n;
}

/* Sets the error: `text`, and those that fit. */
static void complain(const struct wr_jobs *jobs, const char *what, means fits, const char *text)
{
	struct wr_bytes list = WR_BYTES_EMPTY;

	for (uint32_t i = 0; i < jobs->count; i++)
		if (fits(&jobs->list[i], what))
			wr_bytes_printf(&list, "%s%s", list.len ? ", " : "", jobs->list[i].id);
	if (!list.failed)
		wr_error_set(WR_EUSER, "%s %.*s", text, (int)list.len, (const char *)list.data);
	wr_bytes_deinit(&list);
}

const struct wr_running *wr_jobs_find(const struct wr_jobs *jobs, const char *what)
{
	static const means ways[] = {has_id, has_pid, has_name, begins};
	const struct wr_running *found = NULL;
	char text[256];

	if (!*what || strchr(what, '/')) {
		wr_error_set(WR_EUSER,
			     *what ? "'%s' is a path; a job is meant by its id, its process or its "
				     "name: `weir list` shows them"
				   : "the name of the job is empty",
			     what);
		return NULL;
	}
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		uint32_t n = count_of(jobs, what, ways[i], &found);

		if (n == 1)
			return found;
		if (n > 1) {
			snprintf(text, sizeof text, "'%.100s' may mean several jobs:", what);
			complain(jobs, what, ways[i], text);
			return NULL;
		}
	}
	snprintf(text, sizeof text, "no job '%.100s' is running%s", what, jobs->count ? "; these are:" : "");
	if (jobs->count)
		complain(jobs, what, any, text);
	else
		wr_error_set(WR_EUSER, "%s", text);
	return NULL;
}
