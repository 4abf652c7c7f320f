/* SPDX-License-Identifier: Apache-2.0 */
/* blobs_memory: blobs that live as long as the process: for tests, where nothing has to outlive it. A list
 * under a lock. */
#include <pthread.h>
#include <string.h>
#include "base/bytes.h"
#include "base/error.h"
#include "checkpoint/blobs.h"

struct memory_entry {
	struct memory_entry *next;
	struct wr_bytes bytes;
	char id[];
};
struct memory_blobs {
	struct wr_blobs base;
	pthread_mutex_t mutex; /* of the list */
	struct memory_entry *entries;
};
struct memory_blob { /* being written; nobody else sees it */
	struct wr_blob base;
	struct memory_blobs *blobs;
	struct memory_entry *entry;
};

static struct wr_mem mem = WR_MEM_INIT("checkpoint.memory");

static struct memory_blobs *memory_of(struct wr_blobs *b)
{
	return (struct memory_blobs *)b;
}

static struct memory_entry *entry_new(const char *id)
{
	struct memory_entry *e = wr_zalloc(&mem, sizeof *e + strlen(id) + 1);

	if (e)
		memcpy(e->id, id, strlen(id) + 1);
	return e;
}

static void entry_free(struct memory_entry *e)
{
	wr_bytes_deinit(&e->bytes);
	wr_free(&mem, e);
}

/* Under the lock: where the entry of `id` hangs, or the end of the list. */
static struct memory_entry **find(struct memory_blobs *m, const char *id)
{
	struct memory_entry **at = &m->entries;

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

/* ---- writing ---- */

static struct wr_blob *memory_begin(struct wr_blobs *b, const char *id)
{
	struct memory_blob *blob = wr_zalloc(&mem, sizeof *blob);

	if (!blob)
		return NULL;
	blob->base.ops = b->ops;
	blob->blobs = memory_of(b);
	blob->entry = entry_new(id);
	if (blob->entry)
		return &blob->base;
	wr_free(&mem, blob);
	return NULL;
}

static int memory_append(struct wr_blob *base, const void *p, size_t len)
{
	struct memory_blob *blob = (struct memory_blob *)base;

	wr_bytes_put(&blob->entry->bytes, p, len);
	base->bytes += len;
	return wr_bytes_status(&blob->entry->bytes);
}

static void memory_discard(struct wr_blob *base)
{
	struct memory_blob *blob = (struct memory_blob *)base;

	if (blob->entry)
		entry_free(blob->entry);
	wr_free(&mem, blob);
}

static int memory_commit(struct wr_blob *base)
{
	struct memory_blob *blob = (struct memory_blob *)base;
	struct memory_entry **at, *former;
	int rc = wr_bytes_status(&blob->entry->bytes);

	if (rc == WR_OK) {
		pthread_mutex_lock(&blob->blobs->mutex);
		at = find(blob->blobs, blob->entry->id);
		former = *at;
		blob->entry->next = former ? former->next : NULL;
		*at = blob->entry;
		pthread_mutex_unlock(&blob->blobs->mutex);
		blob->entry = former;
	}
	memory_discard(base);
	return rc;
}

static int memory_publish(struct wr_blobs *b, const char *id, const void *p, size_t len)
{
	struct memory_blobs *m = memory_of(b);
	struct memory_entry *e = entry_new(id), **at;
	int rc = WR_OK;

	if (!e)
		return WR_EFATAL;
	wr_bytes_put(&e->bytes, p, len);
	rc = wr_bytes_status(&e->bytes);
	pthread_mutex_lock(&m->mutex);
	at = find(m, id);
	if (rc == WR_OK && *at)
		rc = wr_error_set(WR_EUSER, "%s is there already", id);
	if (rc == WR_OK)
		*at = e;
	pthread_mutex_unlock(&m->mutex);
	if (rc != WR_OK)
		entry_free(e);
	return rc;
}

static int memory_keep(struct wr_blobs *b, const char *id)
{
	(void)b, (void)id;
	return WR_OK;
}

/* ---- reading ---- */

static int memory_open(struct wr_blobs *b, const char *id, struct wr_blob_view *out)
{
	struct memory_blobs *m = memory_of(b);
	struct memory_entry *e;

	pthread_mutex_lock(&m->mutex);
	e = *find(m, id);
	pthread_mutex_unlock(&m->mutex);
	*out = e ? (struct wr_blob_view){e->bytes.data, e->bytes.len} : (struct wr_blob_view){NULL, 0};
	return e ? WR_OK : WR_END;
}

static void memory_close(struct wr_blobs *b, struct wr_blob_view *view)
{
	(void)b;
	*view = (struct wr_blob_view){NULL, 0};
}

/* The name in `folder` ("" = the top) under which `id` is found, cut off behind its first part, in `name`. */
static bool name_in(const char *folder, const char *id, char *name, size_t size)
{
	size_t len = strlen(folder), part;

	if (len && (strncmp(id, folder, len) != 0 || id[len] != '/'))
		return false;
	id += len ? len + 1 : 0;
	part = strcspn(id, "/");
	if (part >= size)
		return false;
	memcpy(name, id, part);
	name[part] = 0;
	return true;
}

static bool has_name(const struct wr_bytes *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen((const char *)names->data + at) + 1)
		if (!strcmp((const char *)names->data + at, name))
			return true;
	return false;
}

/* `each` may remove what it is told of, so the names are gathered first. */
static int memory_list(struct wr_blobs *b, const char *folder, int (*each)(void *arg, const char *name),
		       void *arg)
{
	struct memory_blobs *m = memory_of(b);
	struct wr_bytes names = WR_BYTES_EMPTY;
	char name[256];
	int rc;

	pthread_mutex_lock(&m->mutex);
	for (struct memory_entry *e = m->entries; e; e = e->next)
		if (name_in(folder, e->id, name, sizeof name) && !has_name(&names, name))
			wr_bytes_put(&names, name, strlen(name) + 1);
	pthread_mutex_unlock(&m->mutex);
	rc = wr_bytes_status(&names);
	for (size_t at = 0; at < names.len && rc == WR_OK; at += strlen((const char *)names.data + at) + 1)
		rc = each(arg, (const char *)names.data + at);
	wr_bytes_deinit(&names);
	return rc;
}

static int memory_remove(struct wr_blobs *b, const char *id)
{
	struct memory_blobs *m = memory_of(b);
	struct memory_entry **at, *e;

	pthread_mutex_lock(&m->mutex);
	at = find(m, id);
	e = *at;
	if (e)
		*at = e->next;
	pthread_mutex_unlock(&m->mutex);
	if (e)
		entry_free(e);
	return WR_OK;
}

static void memory_free(struct wr_blobs *b)
{
	struct memory_blobs *m = memory_of(b);

	while (m->entries) {
		struct memory_entry *e = m->entries;

		m->entries = e->next;
		entry_free(e);
	}
	pthread_mutex_destroy(&m->mutex);
	wr_free(&mem, m);
}

static const struct wr_blobs_ops memory_ops = {.begin = memory_begin,
					       .append = memory_append,
					       .commit = memory_commit,
					       .discard = memory_discard,
					       .publish = memory_publish,
					       .keep = memory_keep,
					       .open = memory_open,
					       .close = memory_close,
					       .list = memory_list,
					       .remove = memory_remove,
					       .free = memory_free};

struct wr_blobs *wr_blobs_memory(void)
{
	struct memory_blobs *m = wr_zalloc(&mem, sizeof *m);

	if (!m)
		return NULL;
	m->base.ops = &memory_ops;
	pthread_mutex_init(&m->mutex, NULL);
	return &m->base;
}
