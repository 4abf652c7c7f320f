/* SPDX-License-Identifier: Apache-2.0 */
/* align: bounds of sources that are kept together; see align.h. */
#include "time/align.h"

#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/element.h"
#include "record/value.h"

struct member {
	char *group;
	int64_t drift, watermark, allowed;
};
struct wr_align {
	struct member *members;
	uint32_t count, cap;
};

static struct wr_mem mem = WR_MEM_INIT("time.align");

struct wr_align *wr_align_new(void)
{
	return wr_zalloc(&mem, sizeof(struct wr_align));
}

void wr_align_free(struct wr_align *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->count; i++)
		wr_free(&mem, a->members[i].group);
	wr_free(&mem, a->members);
	wr_free(&mem, a);
}

bool wr_align_add(struct wr_align *a, const char *group, int64_t drift_ms)
{
	char *copy;

	WR_ASSERT(drift_ms >= 0);
	if (a->count == a->cap && WR_GROW(&mem, a->members, a->cap, 8) != WR_OK)
		return false;
	copy = wr_strdup(&mem, group);
	if (!copy)
		return false;
	a->members[a->count++] = (struct member){copy, drift_ms, WR_TS_NONE, WR_TS_NONE};
	return true;
}

static int64_t lowest(const struct wr_align *a, const char *group)
{
	int64_t min = WR_TS_MAX;

	for (uint32_t i = 0; i < a->count; i++)
		if (a->members[i].watermark < min && !strcmp(a->members[i].group, group))
			min = a->members[i].watermark;
	return min;
}

static int64_t bound(int64_t min, int64_t drift)
{
	if (min == WR_TS_NONE)
		return WR_TS_NONE;
	return min > WR_TS_MAX - drift ? WR_TS_MAX : min + drift;
}

void wr_align_report(struct wr_align *a, uint32_t member, int64_t watermark,
		     void (*tell)(void *arg, uint32_t member, int64_t allowed), void *arg)
{
	const char *group;
	int64_t min;

	WR_ASSERT(member < a->count);
	a->members[member].watermark = watermark;
	group = a->members[member].group;
	min = lowest(a, group);
	for (uint32_t i = 0; i < a->count; i++) {
		struct member *m = &a->members[i];
		int64_t allowed = bound(min, m->drift);

		if (strcmp(m->group, group) != 0 || allowed == m->allowed)
			continue;
		m->allowed = allowed;
		tell(arg, i, allowed);
	}
}

void wr_time_put(struct wr_bytes *out, int64_t ms)
{
	wr_value_put_i64(out, ms);
}

int wr_time_parse(const uint8_t *payload, uint32_t len, int64_t *ms)
{
	struct wr_reader r = wr_reader_of(payload, len);
	uint8_t tag = wr_read_u8(&r);

	*ms = (int64_t)wr_read_u64(&r);
	if (tag != WR_V_I64 || r.bad || r.p != r.end)
		return wr_error_set(WR_EUSER, "a letter about time is malformed");
	return WR_OK;
}
