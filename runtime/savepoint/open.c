/* SPDX-License-Identifier: Apache-2.0 */
/* open: a savepoint that is there, as a table of blobs; and a folder of checkpoints in its place. Bytes come
 * from anywhere: every number is looked at before it is believed. The file is mapped, not read, so its size
 * does not matter. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/block.h"
#include "checkpoint/history.h"
#include "savepoint/file.h"
#include "savepoint/layout.h"

struct opened {
	struct wr_blobs base;
	const uint8_t *data;
	size_t len;
	struct wr_arena arena; /* of the index */
	const struct wr_value *index;
	_Atomic uint32_t next; /* behind the blob that was opened last: mostly they are asked for in order */
};

static struct wr_mem mem = WR_MEM_INIT("savepoint.open");

static struct opened *opened_of(struct wr_blobs *b)
{
	return (struct opened *)b;
}

/* ---- blobs ---- */

static int refuse(const char *id)
{
	return wr_error_set(WR_EBUG, "%s: a savepoint is not changed", id);
}

static struct wr_blob *opened_begin(struct wr_blobs *b, const char *id)
{
	(void)b;
	refuse(id);
	return NULL;
}

static int opened_append(struct wr_blob *blob, const void *p, size_t len)
{
	(void)blob, (void)p, (void)len;
	return refuse("a blob");
}

static int opened_commit(struct wr_blob *blob)
{
	(void)blob;
	return refuse("a blob");
}

static void opened_discard(struct wr_blob *blob)
{
	(void)blob;
}

static int opened_publish(struct wr_blobs *b, const char *id, const void *p, size_t len)
{
	(void)b, (void)p, (void)len;
	return refuse(id);
}

static int opened_remove(struct wr_blobs *b, const char *id)
{
	(void)b;
	return refuse(id);
}

static int opened_open(struct wr_blobs *b, const char *id, struct wr_blob_view *out)
{
	struct opened *o = opened_of(b);
	uint32_t count = o->index->count, from = atomic_load_explicit(&o->next, memory_order_relaxed);

	*out = (struct wr_blob_view){NULL, 0};
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (from + i) % count;
		const struct wr_value *item = &o->index->items[at];

		if (!strcmp(wr_value_str(item, "id", ""), id)) {
			atomic_store_explicit(&o->next, at + 1, memory_order_relaxed);
			*out = (struct wr_blob_view){o->data + wr_value_int(item, "offset", 0),
						     (size_t)wr_value_int(item, "bytes", 0)};
			return WR_OK;
		}
	}
	return WR_END;
}

static void opened_close(struct wr_blobs *b, struct wr_blob_view *view)
{
	(void)b;
	*view = (struct wr_blob_view){NULL, 0};
}

/* Ids are paths; names in `folder` are what is left behind it, up to the next slash. */
static int opened_list(struct wr_blobs *b, const char *folder, int (*each)(void *arg, const char *name),
		       void *arg)
{
	struct opened *o = opened_of(b);
	size_t len = strlen(folder);
	char name[128], last[128] = "";
	int rc = WR_OK;

	for (uint32_t i = 0; i < o->index->count && rc == WR_OK; i++) {
		const char *id = wr_value_str(&o->index->items[i], "id", "");

		if (len && (strncmp(id, folder, len) != 0 || id[len] != '/'))
			continue;
		id += len ? len + 1 : 0;
		snprintf(name, sizeof name, "%.*s", (int)strcspn(id, "/"), id);
		if (strcmp(name, last) != 0)
			rc = each(arg, name);
		memcpy(last, name, sizeof last);
	}
	return rc;
}

static void opened_free(struct wr_blobs *b)
{
	struct opened *o = opened_of(b);

	if (o->data)
		munmap((void *)(uintptr_t)o->data, o->len);
	wr_arena_deinit(&o->arena);
	wr_free(&mem, o);
}

static const struct wr_blobs_ops opened_ops = {.begin = opened_begin,
					       .append = opened_append,
					       .commit = opened_commit,
					       .discard = opened_discard,
					       .publish = opened_publish,
					       .open = opened_open,
					       .close = opened_close,
					       .list = opened_list,
					       .remove = opened_remove,
					       .free = opened_free};

/* ---- header, end, index ---- */

static int read_head(const struct opened *o)
{
	struct wr_savepoint_head h;

	if (o->len >= sizeof h.magic)
		memcpy(&h.magic, o->data, sizeof h.magic);
	if (o->len < sizeof h.magic || h.magic != WR_SAVEPOINT_BEGIN)
		return wr_error_set(WR_EUSER, "this is no savepoint: it does not begin with \"WEIRSAVE\"");
	if (o->len < sizeof h)
		return wr_error_set(WR_EUSER, "the savepoint was cut off");
	memcpy(&h, o->data, sizeof h);
	if (h.sum != XXH3_64bits(&h, offsetof(struct wr_savepoint_head, sum)) || h.zero)
		return wr_error_set(WR_EUSER, "the savepoint is damaged in its header");
	if (h.version != WR_SAVEPOINT_VERSION)
		return wr_error_set(WR_EUSER,
				    "the savepoint has format version %" PRIu32 "; this program reads %d",
				    h.version, WR_SAVEPOINT_VERSION);
	return WR_OK;
}

static int read_tail(const struct opened *o, struct wr_savepoint_tail *t)
{
	uint64_t end = o->len - sizeof *t;

	if (o->len >= sizeof(struct wr_savepoint_head) + sizeof *t)
		memcpy(t, o->data + end, sizeof *t);
	if (o->len < sizeof(struct wr_savepoint_head) + sizeof *t || t->magic != WR_SAVEPOINT_END)
		return wr_error_set(WR_EUSER, "the savepoint was cut off, or its end is damaged");
	if (t->sum != XXH3_64bits(t, offsetof(struct wr_savepoint_tail, sum)) || t->index_at > end ||
	    t->index_len != end - t->index_at || t->index_len > WR_SAVEPOINT_INDEX_MAX)
		return wr_error_set(WR_EUSER, "the savepoint is damaged at its end");
	return WR_OK;
}

/* Blobs lie behind each other, from the header to the index. */
static bool is_index(const struct wr_value *blobs, uint64_t end)
{
	uint64_t at = sizeof(struct wr_savepoint_head);

	for (uint32_t i = 0; i < blobs->count; i++) {
		const struct wr_value *item = &blobs->items[i], *id, *bytes, *offset;

		if (item->tag != WR_V_RECORD)
			return false;
		id = wr_value_get(item, "id");
		bytes = wr_value_get(item, "bytes");
		offset = wr_value_get(item, "offset");
		if (!id || id->tag != WR_V_STR || memchr(id->str.p, 0, id->str.len) || !bytes ||
		    bytes->tag != WR_V_I64 || !offset || offset->tag != WR_V_I64 || offset->u64 != at ||
		    bytes->u64 > end - at)
			return false;
		at += bytes->u64;
	}
	return at == end;
}

static int read_index(struct opened *o, const struct wr_savepoint_tail *t)
{
	struct wr_value *value = wr_arena_alloc(&o->arena, sizeof *value);
	struct wr_block_reader r;
	struct wr_block block;
	int rc = value ? WR_OK : WR_EFATAL;

	wr_block_reader_init(&r, o->data + t->index_at, t->index_len);
	if (rc == WR_OK)
		rc = wr_block_next(&r, &block);
	if (rc == WR_END || (rc == WR_OK && block.kind != WR_BLOCK_INDEX))
		rc = wr_error_set(WR_EUSER, "there is another block in its place");
	if (rc == WR_OK) {
		struct wr_reader in = wr_reader_of(block.payload, block.len);

		rc = wr_value_parse(&in, &o->arena, value);
	}
	if (rc == WR_OK) {
		o->index = wr_value_get(value, "blobs");
		if (!o->index || o->index->tag != WR_V_LIST || !is_index(o->index, t->index_at))
			rc = wr_error_set(WR_EUSER, "it contradicts itself");
	}
	if (rc == WR_OK) {
		rc = wr_block_check(&r);
		rc = rc == WR_END ? WR_OK : rc == WR_OK ? wr_error_set(WR_EUSER, "more follows it") : rc;
	}
	wr_block_reader_deinit(&r);
	return rc == WR_OK ? WR_OK : wr_error_wrap(rc, "the savepoint is damaged in its index");
}

/* ---- one file ---- */

static int map_file(struct opened *o, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err = errno;
	} else if (st.st_size > 0) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED) {
			err = errno;
		} else {
			o->data = data;
			o->len = (size_t)st.st_size;
		}
	}
	if (fd >= 0)
		close(fd);
	return err ? wr_error_set(WR_EUSER, "cannot be read: %s", strerror(err)) : WR_OK;
}

struct found {
	struct opened *in;
	uint64_t number; /* of the checkpoint, 0 = none */
};

/* Others are those that it goes on from, without their manifest. */
static int take_number(void *arg, const char *name)
{
	struct found *f = arg;
	struct wr_blob_view view;
	char id[WR_HISTORY_ID];
	uint64_t number;

	if (!wr_history_number(name, &number)) /* what checkpoints share */
		return WR_OK;
	wr_history_manifest_id(number, id);
	if (opened_open(&f->in->base, id, &view) != WR_OK)
		return WR_OK;
	if (f->number && f->number != number)
		return wr_error_set(WR_EUSER, "the savepoint is no single checkpoint");
	f->number = number;
	return WR_OK;
}

/* What lies beside the blobs of the checkpoint: logs of sources, files of sinks. */
static int check_rest(const struct opened *o)
{
	int rc = WR_OK;

	for (uint32_t i = 0; i < o->index->count && rc == WR_OK; i++) {
		const struct wr_value *item = &o->index->items[i];
		const char *id = wr_value_str(item, "id", "");

		if (!strncmp(id, "part/", 5) || !strncmp(id, "wal-", 4))
			rc = wr_block_verify(o->data + wr_value_get(item, "offset")->u64,
					     wr_value_get(item, "bytes")->u64, id);
	}
	return rc;
}

static struct wr_blobs *open_file(const char *path, struct wr_arena *arena, struct wr_manifest *manifest)
{
	struct opened *o = wr_zalloc(&mem, sizeof *o);
	struct wr_savepoint_tail tail;
	struct found found = {.in = o};
	int rc;

	if (!o)
		return NULL;
	o->base.ops = &opened_ops;
	wr_arena_init(&o->arena, &mem);
	rc = map_file(o, path);
	if (rc == WR_OK)
		rc = read_head(o);
	if (rc == WR_OK)
		rc = read_tail(o, &tail);
	if (rc == WR_OK)
		rc = read_index(o, &tail);
	if (rc == WR_OK)
		rc = opened_list(&o->base, "", take_number, &found);
	if (rc == WR_OK)
		rc = wr_history_open(&o->base, found.number, arena, manifest);
	if (rc == WR_END)
		rc = wr_error_set(WR_EUSER, "the savepoint has no manifest");
	if (rc == WR_OK)
		rc = check_rest(o);
	if (rc == WR_OK)
		return &o->base;
	opened_free(&o->base);
	return NULL;
}

/* ---- a folder ---- */

/* chk-12 in a job's folder: the folder around it, and the number. */
static struct wr_blobs *open_checkpoint(const char *path, uint64_t number, struct wr_arena *arena,
					struct wr_manifest *manifest)
{
	struct wr_bytes parent = WR_BYTES_EMPTY;
	struct wr_blobs *blobs;
	int rc;

	wr_bytes_printf(&parent, "%s/..", path);
	wr_bytes_put_u8(&parent, 0);
	blobs = parent.failed ? NULL : wr_blobs_folder((const char *)parent.data, false);
	wr_bytes_deinit(&parent);
	rc = blobs ? wr_history_open(blobs, number, arena, manifest) : WR_EFATAL;
	if (rc == WR_END)
		rc = wr_error_set(WR_EUSER, "the checkpoint was not completed: it has no manifest");
	if (rc == WR_OK || !blobs)
		return blobs;
	blobs->ops->free(blobs);
	return NULL;
}

static struct wr_blobs *open_folder(const char *path, struct wr_arena *arena, struct wr_manifest *manifest)
{
	struct wr_blobs *blobs = wr_blobs_folder(path, false);
	uint64_t newest;
	int rc = blobs ? wr_history_latest(blobs, arena, manifest, &newest) : WR_EFATAL;

	if (rc == WR_END)
		rc = wr_error_set(WR_EUSER, "there is no checkpoint");
	if (rc == WR_OK && manifest->checkpoint < newest)
		wr_warn("savepoint",
			"checkpoint %" PRIu64 " is not the last of %s: what sinks were given behind it, they "
			"are given again by a job that begins elsewhere with it",
			manifest->checkpoint, path);
	if (rc == WR_OK || !blobs)
		return blobs;
	blobs->ops->free(blobs);
	return NULL;
}

/* The last name of a path that may end in slashes. */
static void last_name(const char *path, char name[64])
{
	size_t end = strlen(path), from;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (from = end; from > 0 && path[from - 1] != '/'; from--)
		;
	snprintf(name, 64, "%.*s", (int)(end - from), path + from);
}

struct wr_blobs *wr_savepoint_open(const char *path, struct wr_arena *arena, struct wr_manifest *manifest)
{
	struct wr_blobs *blobs;
	struct stat st;
	uint64_t number;
	char name[64];

	last_name(path, name);
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		blobs = open_file(path, arena, manifest);
	else if (wr_history_number(name, &number))
		blobs = open_checkpoint(path, number, arena, manifest);
	else
		blobs = open_folder(path, arena, manifest);
	if (!blobs)
		wr_error_wrap(wr_error_code(), "%s", path);
	return blobs;
}
