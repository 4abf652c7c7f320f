/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: the sources of a job, collected while its graph is drawn, immutable afterwards. */
#include "script/bundle.h"

#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/assert.h"
#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("script.bundle");

struct file {
	char *name, *text;
	size_t len;
};
struct wr_bundle {
	struct file *files;
	uint32_t count, cap;
	uint64_t hash;
	bool unsafe;
	int64_t lua_memory;
	char *lua_path;
};

struct wr_bundle *wr_bundle_new(bool unsafe, const char *lua_path, int64_t lua_memory)
{
	struct wr_bundle *b = wr_zalloc(&mem, sizeof *b);

	if (!b)
		return NULL;
	b->unsafe = unsafe;
	b->lua_memory = lua_memory;
	b->lua_path = lua_path ? wr_strdup(&mem, lua_path) : NULL;
	return b;
}

void wr_bundle_free(struct wr_bundle *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->count; i++) {
		wr_free(&mem, b->files[i].name);
		wr_free(&mem, b->files[i].text);
	}
	wr_free(&mem, b->files);
	wr_free(&mem, b->lua_path);
	wr_free(&mem, b);
}

int wr_bundle_add(struct wr_bundle *b, const char *name, const char *text, size_t len)
{
	struct file *f;

	if (wr_bundle_find(b, name, NULL))
		return WR_OK;
	if (b->count == b->cap && WR_GROW(&mem, b->files, b->cap, 8) != WR_OK)
		return WR_EFATAL;
	f = &b->files[b->count];
	f->name = wr_strdup(&mem, name);
	f->text = wr_strndup(&mem, text, len);
	f->len = len;
	if (!f->name || !f->text) {
		wr_free(&mem, f->name);
		wr_free(&mem, f->text);
		return WR_EFATAL;
	}
	b->count++;
	/* a chain over (name, text) in the order of loading, which the script determines */
	b->hash = XXH3_64bits_withSeed(name, strlen(name), b->hash);
	b->hash = XXH3_64bits_withSeed(text, len, b->hash);
	return WR_OK;
}

const char *wr_bundle_find(const struct wr_bundle *b, const char *name, size_t *len)
{
	for (uint32_t i = 0; i < b->count; i++) {
		if (strcmp(b->files[i].name, name))
			continue;
		if (len)
			*len = b->files[i].len;
		return b->files[i].text;
	}
	return NULL;
}

uint64_t wr_bundle_hash(const struct wr_bundle *b)
{
	return b->hash;
}

uint64_t wr_bundle_digest(const char *text, size_t len)
{
	return XXH3_64bits(text, len);
}

uint32_t wr_bundle_count(const struct wr_bundle *b)
{
	return b->count;
}

void wr_bundle_file(const struct wr_bundle *b, uint32_t i, const char **name, const char **text, size_t *len)
{
	WR_ASSERT(i < b->count);
	*name = b->files[i].name;
	*text = b->files[i].text;
	*len = b->files[i].len;
}

bool wr_bundle_unsafe(const struct wr_bundle *b)
{
	return b->unsafe;
}

const char *wr_bundle_lua_path(const struct wr_bundle *b)
{
	return b->lua_path;
}

int64_t wr_bundle_lua_memory(const struct wr_bundle *b)
{
	return b->lua_memory;
}
