/* SPDX-License-Identifier: Apache-2.0 */
/* create: a new savepoint, written from front to back. What makes it durable is told in FORMAT.md. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "checkpoint/block.h"
#include "record/value.h"
#include "savepoint/file.h"
#include "savepoint/layout.h"

enum { WRITE_BLOCK = 256 << 10, ID_MAX = 192 };

struct entry {
	char id[ID_MAX];
	uint64_t at, len;
};
struct creating {
	struct wr_blobs base;
	struct wr_blob blob; /* the one that is being written */
	bool writing;
	char *path, *part;
	int fd; /* −1 once it has its name */
	uint64_t at;
	struct wr_bytes pending; /* not written yet */
	struct entry *entries;
	uint32_t count, cap;
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.create");

static struct creating *creating_of(struct wr_blobs *b)
{
	return (struct creating *)b;
}

static struct creating *creating_of_blob(struct wr_blob *blob)
{
	return (struct creating *)((char *)blob - offsetof(struct creating, blob));
}

static int failed(const struct creating *c, const char *what, int err)
{
	return wr_error_set(WR_EFATAL, "cannot %s %s: %s", what, c->part, strerror(err));
}

/* ---- bytes ---- */

static int flush(struct creating *c)
{
	const uint8_t *p = c->pending.data;
	size_t left = c->pending.len;
	int err = 0;

	if (c->pending.failed)
		return wr_bytes_status(&c->pending);
	if (WR_FAULT("savepoint.write", &err))
		return failed(c, "write", err);
	while (left > 0) {
		ssize_t n = write(c->fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(c, "write", errno);
		p += n;
		left -= (size_t)n;
	}
	c->pending.len = 0;
	return WR_OK;
}

static int put(struct creating *c, const void *p, size_t len)
{
	wr_bytes_put(&c->pending, p, len);
	c->at += len;
	return c->pending.len >= WRITE_BLOCK ? flush(c) : wr_bytes_status(&c->pending);
}

/* ---- blobs ---- */

static struct wr_blob *create_begin(struct wr_blobs *b, const char *id)
{
	struct creating *c = creating_of(b);

	WR_ASSERT(!c->writing && strlen(id) < ID_MAX);
	if (c->count == c->cap && WR_GROW(&mem, c->entries, c->cap, 64) != WR_OK)
		return NULL;
	c->writing = true;
	c->blob = (struct wr_blob){.ops = b->ops};
	c->entries[c->count].at = c->at;
	snprintf(c->entries[c->count].id, ID_MAX, "%s", id);
	return &c->blob;
}

static int create_append(struct wr_blob *blob, const void *p, size_t len)
{
	blob->bytes += len;
	return put(creating_of_blob(blob), p, len);
}

/* The bytes become durable with the whole. */
static int create_commit(struct wr_blob *blob)
{
	struct creating *c = creating_of_blob(blob);

	c->entries[c->count++].len = blob->bytes;
	c->writing = false;
	return wr_bytes_status(&c->pending);
}

/* Half a blob stays in the file, which is not going to be completed. */
static void create_discard(struct wr_blob *blob)
{
	creating_of_blob(blob)->writing = false;
}

/* ---- the end ---- */

static int put_index(struct creating *c, struct wr_blob *blob)
{
	struct wr_bytes value = WR_BYTES_EMPTY;
	struct wr_block_writer w;
	int rc;

	wr_value_put_record(&value, 1);
	wr_value_put_name(&value, "blobs");
	wr_value_put_list(&value, c->count);
	for (uint32_t i = 0; i < c->count; i++) {
		wr_value_put_record(&value, 3);
		wr_value_put_name(&value, "bytes");
		wr_value_put_i64(&value, (int64_t)c->entries[i].len);
		wr_value_put_name(&value, "id");
		wr_value_put_str(&value, c->entries[i].id);
		wr_value_put_name(&value, "offset");
		wr_value_put_i64(&value, (int64_t)c->entries[i].at);
	}
	wr_block_writer_init(&w, blob);
	rc = wr_bytes_status(&value);
	if (rc == WR_OK)
		rc = wr_block_put(&w,
				  &(struct wr_block){WR_BLOCK_INDEX, 0, 0, value.data, (uint32_t)value.len});
	if (rc == WR_OK)
		rc = wr_block_finish(&w);
	wr_block_writer_deinit(&w);
	wr_bytes_deinit(&value);
	return rc;
}

static int put_end(struct creating *c)
{
	struct wr_savepoint_tail tail = {.index_at = c->at, .magic = WR_SAVEPOINT_END};
	struct wr_blob *blob = create_begin(&c->base, "index");
	int rc = blob ? put_index(c, blob) : WR_EFATAL;

	c->writing = false;
	tail.index_len = c->at - tail.index_at;
	tail.sum = XXH3_64bits(&tail, offsetof(struct wr_savepoint_tail, sum));
	if (rc == WR_OK)
		rc = put(c, &tail, sizeof tail);
	return rc == WR_OK ? flush(c) : rc;
}

/* That of a file; the caller's. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return wr_strndup(&mem, slash ? path : ".", !slash || slash == path ? 1 : (size_t)(slash - path));
}

static int sync_folder(const struct creating *c)
{
	char *folder = folder_of(c->path);
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int err = fd < 0 || fsync(fd) != 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	wr_free(&mem, folder);
	return err ? failed(c, "sync the folder of", err) : WR_OK;
}

static int name_it(struct creating *c)
{
	int err = 0;

	if (WR_FAULT("savepoint.sync", &err) || (fsync(c->fd) != 0 && (err = errno)))
		return failed(c, "sync", err);
	if (WR_FAULT("savepoint.rename", &err) || (rename(c->part, c->path) != 0 && (err = errno)))
		return failed(c, "rename", err);
	close(c->fd);
	c->fd = -1;
	return sync_folder(c);
}

static int create_publish(struct wr_blobs *b, const char *id, const void *p, size_t len)
{
	struct creating *c = creating_of(b);
	struct wr_blob *blob = create_begin(b, id);
	int rc = blob ? create_append(blob, p, len) : WR_EFATAL;

	if (rc == WR_OK)
		rc = create_commit(blob);
	if (rc == WR_OK)
		rc = put_end(c);
	return rc == WR_OK ? name_it(c) : rc;
}

/* ---- nothing can be read from it yet ---- */

static int create_open(struct wr_blobs *b, const char *id, struct wr_blob_view *out)
{
	(void)b, (void)id;
	*out = (struct wr_blob_view){NULL, 0};
	return WR_END;
}

static void create_close(struct wr_blobs *b, struct wr_blob_view *view)
{
	(void)b, (void)view;
}

static int create_list(struct wr_blobs *b, const char *folder, int (*each)(void *arg, const char *name),
		       void *arg)
{
	(void)b, (void)folder, (void)each, (void)arg;
	return WR_OK;
}

static int create_remove(struct wr_blobs *b, const char *id)
{
	(void)b;
	return wr_error_set(WR_EBUG, "%s cannot be removed from a savepoint", id);
}

/* ---- life ---- */

static void create_free(struct wr_blobs *b)
{
	struct creating *c = creating_of(b);

	if (c->fd >= 0) {
		close(c->fd);
		unlink(c->part);
	}
	wr_bytes_deinit(&c->pending);
	wr_free(&mem, c->entries);
	wr_free(&mem, c->path);
	wr_free(&mem, c->part);
	wr_free(&mem, c);
}

static const struct wr_blobs_ops create_ops = {.begin = create_begin,
					       .append = create_append,
					       .commit = create_commit,
					       .discard = create_discard,
					       .publish = create_publish,
					       .open = create_open,
					       .close = create_close,
					       .list = create_list,
					       .remove = create_remove,
					       .free = create_free};

static int check_folder(const char *path)
{
	char *folder = folder_of(path);
	int err = folder && access(folder, W_OK | X_OK) != 0 ? errno : 0;

	if (!folder)
		return WR_EFATAL;
	wr_free(&mem, folder);
	return err ? wr_error_set(WR_EUSER, "cannot write %s.part: %s", path, strerror(err)) : WR_OK;
}

int wr_savepoint_check_path(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct stat st;

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return wr_error_set(WR_EUSER, "'%s' names no file", path);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return wr_error_set(WR_EUSER, "%s is no file that a savepoint could take the place of", path);
	return check_folder(path);
}

static int begin_file(struct creating *c, const char *path)
{
	struct wr_savepoint_head head = {.magic = WR_SAVEPOINT_BEGIN, .version = WR_SAVEPOINT_VERSION};
	struct wr_bytes part = WR_BYTES_EMPTY;
	int rc = wr_savepoint_check_path(path);

	if (rc != WR_OK)
		return rc;
	wr_bytes_printf(&part, "%s.part", path);
	wr_bytes_put_u8(&part, 0);
	c->path = wr_strdup(&mem, path);
	c->part = part.failed ? NULL : wr_strdup(&mem, (const char *)part.data);
	wr_bytes_deinit(&part);
	if (!c->path || !c->part)
		return WR_EFATAL;
	c->fd = open(c->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (c->fd < 0)
		return wr_error_set(WR_EUSER, "cannot write %s: %s", c->part, strerror(errno));
	head.sum = XXH3_64bits(&head, offsetof(struct wr_savepoint_head, sum));
	return put(c, &head, sizeof head);
}

struct wr_blobs *wr_savepoint_create(const char *path)
{
	struct creating *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return NULL;
	c->base.ops = &create_ops;
	c->fd = -1;
	if (begin_file(c, path) == WR_OK)
		return &c->base;
	create_free(&c->base);
	return NULL;
}
