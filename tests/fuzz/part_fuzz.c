/* SPDX-License-Identifier: Apache-2.0 */
/* part_fuzz: what a rolling sink says of itself in a checkpoint, a tagged value. What is let in stays below
 * the sink's folder, whatever its names are put together with.
 */
#include "base/assert.h"
#include "base/error.h"
#include "savepoint/unfinished.h"

/* No level of it goes up, and none is empty. */
static void stays(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		WR_ASSERT(len && strncmp(path, "../", len + 1) != 0 &&
			  !(len == 2 && !strncmp(path, "..", 2)) && !(len == 1 && *path == '.'));
		path += len;
		path += strspn(path, "/");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct wr_mem mem = WR_MEM_INIT("fuzz");
	struct wr_reader r = wr_reader_of(data, len);
	struct wr_unfinished said;
	struct wr_value value;
	struct wr_arena arena;

	wr_arena_init(&arena, &mem);
	if (wr_value_parse(&r, &arena, &value) == WR_OK && wr_unfinished_read(&value, &said) == WR_OK) {
		WR_ASSERT(!said.staging || (!strchr(said.staging, '/') && said.staging[1] == 'w'));
		for (uint32_t i = 0; i < said.count; i++) {
			struct wr_unfinished_part part = wr_unfinished_part(&said, i);

			WR_ASSERT(strlen(part.bucket) <= WR_BUCKET_MAX && strlen(part.name) < WR_PART_NAME);
			WR_ASSERT(!strchr(part.name, '/') && part.name[0] != '.' && part.length <= INT64_MAX);
			stays(part.bucket);
		}
	}
	wr_arena_deinit(&arena);
	return 0;
}
