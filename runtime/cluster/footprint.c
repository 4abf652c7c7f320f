/* SPDX-License-Identifier: Apache-2.0 */
/* footprint: accounts from base/mem.h; mappings from /proc/self/smaps; what malloc keeps for later from
 * malloc itself. The last line makes up for the rest: stacks, the heads of small blocks and memory that
 * libraries take are not counted; memory that was allocated and never written to is, but not resident. */
#include "cluster/footprint.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"

enum { LINES_MAX = 64 };

struct line {
	const char *name;
	int64_t bytes, bytes_max;
};
struct footprint {
	struct line lines[LINES_MAX]; /* largest first */
	uint32_t count;
	int64_t resident, resident_max;
};

static void add_line(struct footprint *f, const char *name, int64_t bytes, int64_t bytes_max)
{
	uint32_t at = f->count;

	if (at == LINES_MAX)
		return;
	for (; at > 0 && f->lines[at - 1].bytes_max < bytes_max; at--)
		f->lines[at] = f->lines[at - 1];
	f->lines[at] = (struct line){name, bytes, bytes_max};
	f->count++;
}

static void add_account(const struct wr_mem *mem, void *footprint)
{
	add_line(footprint, mem->name, atomic_load(&mem->bytes), atomic_load(&mem->bytes_max));
}

/* Resident bytes of mapped files and of memory that holds machine code. */
static void mappings(int64_t *files, int64_t *code)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	int64_t *kind = NULL;
	char text[512], flags[5], path[256];
	long long kilobytes;

	*files = *code = 0;
	while (f && fgets(text, sizeof text, f)) {
		int fields = sscanf(text, "%*x-%*x %4s %*s %*s %*s %255s", flags, path);

		if (fields >= 1 && strlen(flags) == 4)
			kind = fields == 2 && path[0] == '/' ? files : flags[2] == 'x' ? code : NULL;
		else if (kind && sscanf(text, "Rss: %lld kB", &kilobytes) == 1)
			*kind += kilobytes * 1024;
	}
	if (f)
		fclose(f);
}

static void footprint(struct footprint *f)
{
	struct mallinfo2 heap = mallinfo2();
	int64_t files, code, sum = 0;

	f->count = 0;
	f->resident = wr_mem_resident();
	f->resident_max = wr_mem_resident_max();
	mappings(&files, &code);
	wr_mem_each(add_account, f);
	add_line(f, "program and libraries", files, files);
	add_line(f, "compiled Lua", code, code);
	add_line(f, "free in malloc", (int64_t)heap.fordblks, (int64_t)heap.fordblks);
	for (uint32_t i = 0; i < f->count; i++)
		sum += f->lines[i].bytes;
	add_line(f, "others, less what is untouched", f->resident - sum, f->resident - sum);
}

void wr_footprint_text(void)
{
	struct footprint f;

	footprint(&f);
	fprintf(stderr, "  %-32s %12s %12s KB\n", "memory", "now", "peak");
	for (uint32_t i = 0; i < f.count; i++)
		fprintf(stderr, "  %-32s %12.0f %12.0f\n", f.lines[i].name, (double)f.lines[i].bytes / 1024,
			(double)f.lines[i].bytes_max / 1024);
	fprintf(stderr, "  %-32s %12.0f %12.0f\n", "resident", (double)f.resident / 1024,
		(double)f.resident_max / 1024);
}

void wr_footprint_json(struct wr_bytes *out)
{
	struct footprint f;

	footprint(&f);
	wr_bytes_printf(out, "\"memory\":{\"resident_bytes\":%lld,\"holders\":[", (long long)f.resident);
	for (uint32_t i = 0; i < f.count; i++)
		wr_bytes_printf(out, "%s{\"name\":\"%s\",\"bytes\":%lld,\"bytes_max\":%lld}", i ? "," : "",
				f.lines[i].name, (long long)f.lines[i].bytes,
				(long long)f.lines[i].bytes_max);
	wr_bytes_printf(out, "]}");
}
