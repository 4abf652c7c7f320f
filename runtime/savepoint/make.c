/* SPDX-License-Identifier: Apache-2.0 */
/* make: from a checkpoint to a savepoint. Blobs go over byte by byte: a savepoint of a large job costs what
 * reading and writing it costs. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "checkpoint/history.h"
#include "savepoint/file.h"
#include "savepoint/logs.h"
#include "savepoint/unfinished.h"

enum {
	COPY_BYTES = 1 << 20,
	NAME_MAX_BYTES = 200, /* of the job in the name of a file, which may have 255 with all that follows */
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.make");

static int copy_blob(struct wr_blobs *from, struct wr_blobs *to, const char *id)
{
	struct wr_blob_view view;
	struct wr_blob *blob;
	int rc = from->ops->open(from, id, &view);

	if (rc == WR_END)
		return wr_error_set(WR_EUSER, "%s of the checkpoint is missing", id);
	if (rc != WR_OK)
		return rc;
	blob = to->ops->begin(to, id);
	rc = blob ? WR_OK : WR_EFATAL;
	for (size_t at = 0; at < view.len && rc == WR_OK; at += COPY_BYTES)
		rc = to->ops->append(blob, view.data + at,
				     view.len - at < COPY_BYTES ? view.len - at : COPY_BYTES);
	from->ops->close(from, &view);
	if (rc == WR_OK)
		rc = to->ops->commit(blob);
	else if (blob)
		to->ops->discard(blob);
	return rc;
}

struct copying {
	struct wr_blobs *from, *to;
};

static int copy_named(void *arg, const char *id)
{
	const struct copying *c = arg;

	return copy_blob(c->from, c->to, id);
}

int wr_savepoint_copy_named(struct wr_blobs *from, struct wr_blobs *to, const char *id)
{
	struct copying c = {from, to};

	return wr_history_each_name(from, id, WR_HISTORY_NAMED, copy_named, &c);
}

static int copy_task(struct wr_blobs *from, struct wr_blobs *to, const char *id)
{
	struct copying c = {from, to};
	int rc = copy_blob(from, to, id);

	if (rc == WR_OK)
		rc = wr_savepoint_copy_unfinished(from, to, id);
	return rc == WR_OK
		   ? wr_history_each_name(from, id, WR_HISTORY_NAMED | WR_HISTORY_BASES, copy_named, &c)
		   : rc;
}

static int publish(struct wr_blobs *to, const struct wr_manifest *m)
{
	struct wr_bytes encoded = WR_BYTES_EMPTY;
	char id[WR_HISTORY_ID];
	int rc = wr_manifest_encode(m, &encoded);

	wr_history_manifest_id(m->checkpoint, id);
	if (rc == WR_OK)
		rc = to->ops->publish(to, id, encoded.data, encoded.len);
	wr_bytes_deinit(&encoded);
	return rc;
}

int wr_savepoint_make(struct wr_blobs *from, const struct wr_manifest *m, const char *path, uint64_t *bytes)
{
	struct wr_blobs *to;
	struct stat st;
	int rc = WR_OK;

	*bytes = 0;
	to = wr_savepoint_create(path);
	if (!to)
		return wr_error_code();
	/* first: while the checkpoint is there, its logs are */
	for (uint32_t v = 0; v < m->vertex_count && rc == WR_OK && !m->finished; v++)
		if (m->vertices[v].stage_count)
			rc = wr_savepoint_copy_log(from, to, m->vertices[v].stages[0].uid,
						   m->vertices[v].stages[0].uid);
	for (uint32_t v = 0; v < m->vertex_count; v++)
		for (uint32_t i = 0; i < m->vertices[v].parallelism && rc == WR_OK; i++)
			if (m->vertices[v].tasks[i].blob)
				rc = copy_task(from, to, m->vertices[v].tasks[i].blob);
	if (rc == WR_OK)
		rc = publish(to, m);
	to->ops->free(to);
	if (rc == WR_OK && stat(path, &st) == 0)
		*bytes = (uint64_t)st.st_size;
	return rc;
}

void wr_savepoint_name(const struct wr_manifest *m, char out[WR_SAVEPOINT_PATH])
{
	const char *p = m->job;
	size_t len = 0;

	for (; *p && len < NAME_MAX_BYTES; p++)
		out[len++] = isalnum((unsigned char)*p) || strchr("._-", *p) || (*p & 0x80) ? *p : '-';
	/* no part of a character of UTF-8 at the end */
	while (len && (*p & 0xc0) == 0x80) {
		p--;
		len--;
	}
	snprintf(out + len, WR_SAVEPOINT_PATH - len, "-%" PRIu64 ".weir", m->checkpoint);
	/* nor an option, nor hidden */
	if (*out == '.' || *out == '-')
		*out = '_';
}

static int make_from(struct wr_blobs *blobs, const struct wr_manifest *m, const char *path,
		     struct wr_savepoint_made *out)
{
	snprintf(out->job, sizeof out->job, "%s", m->job);
	out->checkpoint = m->checkpoint;
	out->time_ms = m->time_ms;
	if (path && strlen(path) >= sizeof out->path)
		return wr_error_set(WR_EUSER, "the path %s is longer than %d bytes", path, WR_SAVEPOINT_PATH);
	if (path)
		snprintf(out->path, sizeof out->path, "%s", path);
	else
		wr_savepoint_name(m, out->path);
	return wr_savepoint_make(blobs, m, out->path, &out->bytes);
}

/* A job that runs removes the checkpoint while it is copied when newer ones are complete: then one of those
 * does. */
int wr_savepoint_make_newest(const char *folder, const char *path, struct wr_savepoint_made *out)
{
	struct wr_arena arena;
	struct wr_manifest m;
	uint64_t tried = 0;
	bool newer = true;
	int rc = WR_EUSER;

	wr_arena_init(&arena, &mem);
	while (rc == WR_EUSER && newer) { /* a blob is missing */
		struct wr_blobs *blobs = wr_savepoint_open(folder, &arena, &m);

		if (!blobs) {
			rc = wr_error_code();
			break;
		}
		newer = m.checkpoint > tried && !m.finished;
		tried = m.checkpoint;
		rc = make_from(blobs, &m, path, out);
		blobs->ops->free(blobs);
	}
	wr_arena_deinit(&arena);
	return rc;
}
