/* SPDX-License-Identifier: Apache-2.0 */
/* target: see target.h. */
#include "sim/machine/target.h"

#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "commit/sink.h"
#include "record/row.h"
#include "sim/machine/machine.h"

enum { MARKS = 256, FAILS_ONE_IN = 12 };

static struct {
	struct {
		char name[WR_MARK_TEXT];
		uint64_t epoch;
	} marks[MARKS];
	uint32_t mark_count;
	struct wr_bytes rows; /* as lines */
	bool faults, cut_off;
} t;

void target_init(void)
{
	t.mark_count = 0;
	t.rows.len = 0;
	t.cut_off = t.faults = false;
}

void target_rough(bool faults)
{
	t.faults = faults;
}

void target_cut_off(void)
{
	t.cut_off = true;
}

void target_go_on(void)
{
	t.cut_off = false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void sort_lines(struct wr_bytes *text)
{
	struct wr_bytes sorted = WR_BYTES_EMPTY;
	uint32_t count = 0;
	char **lines;

	for (size_t i = 0; i < text->len; i++)
		count += text->data[i] == '\n';
	lines = malloc((count + 1) * sizeof *lines);
	count = 0;
	for (size_t i = 0, from = 0; i < text->len; i++)
		if (text->data[i] == '\n') {
			text->data[i] = 0;
			lines[count++] = (char *)text->data + from;
			from = i + 1;
		}
	qsort(lines, count, sizeof *lines, by_text);
	for (uint32_t i = 0; i < count; i++)
		wr_bytes_printf(&sorted, "%s\n", lines[i]);
	free(lines);
	wr_bytes_deinit(text);
	*text = sorted;
}

void target_rows(struct wr_bytes *out)
{
	if (t.rows.len)
		wr_bytes_put(out, t.rows.data, t.rows.len);
	sort_lines(out);
}

/* ---- the contract ---- */

static uint64_t *mark_of(const struct wr_mark *m)
{
	char name[WR_MARK_TEXT];

	wr_mark_text(m, name);
	for (uint32_t i = 0; i < t.mark_count; i++)
		if (!strcmp(t.marks[i].name, name))
			return &t.marks[i].epoch;
	if (t.mark_count == MARKS)
		machine_failed("more than %d marks", MARKS);
	memcpy(t.marks[t.mark_count].name, name, sizeof name);
	t.marks[t.mark_count].epoch = 0;
	return &t.marks[t.mark_count++].epoch;
}

static int target_open(struct wr_target *target, bool fresh)
{
	(void)target;
	machine_point();
	if (fresh && t.rows.len && !t.cut_off)
		machine_failed("the job begins anew, and rows of it are committed");
	return WR_OK;
}

static int target_last(struct wr_target *target, const struct wr_mark *mark, uint64_t *epoch)
{
	(void)target;
	machine_point();
	*epoch = *mark_of(mark);
	return WR_OK;
}

static bool fails(void)
{
	return t.faults && !t.cut_off && machine_one_in(FAILS_ONE_IN);
}

static int store(const struct wr_mark *mark, uint64_t epoch, const struct wr_bytes *rows)
{
	uint64_t *at = mark_of(mark);

	wr_debug("target", "epoch %llu of %s/%u of lineage %llx: %zu bytes", (unsigned long long)epoch,
		 mark->uid, mark->log, (unsigned long long)mark->lineage, rows->len);
	if (epoch <= *at)
		machine_failed("epoch %llu of %s/%u is committed behind epoch %llu",
			       (unsigned long long)epoch, mark->uid, mark->log, (unsigned long long)*at);
	*at = epoch;
	wr_bytes_put(&t.rows, rows->data, rows->len);
	machine_counts[COMMITS]++;
	machine_committed();
	return WR_OK;
}

static int refuse(enum machine_count which)
{
	machine_counts[which]++;
	return wr_error_set(machine_one_in(4) ? WR_EFATAL : WR_ETRANSIENT, "the target is away");
}

static int target_commit(struct wr_target *target, const struct wr_mark *mark, uint64_t epoch,
			 struct wr_epoch_rows *rows)
{
	struct wr_bytes lines = WR_BYTES_EMPTY;
	const uint8_t *p, *end;
	int rc;

	(void)target;
	while ((rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK)
		for (; p < end; p += ((const struct wr_elem *)p)->len) {
			wr_row_json((const struct wr_elem *)p, &lines);
			wr_bytes_put_u8(&lines, '\n');
		}
	rc = rc == WR_END ? WR_OK : rc;
	for (int i = 0; i < 4; i++)
		machine_point();
	if (rc == WR_OK && fails())
		rc = refuse(COMMITS_REFUSED);
	if (rc == WR_OK && !t.cut_off)
		rc = store(mark, epoch, &lines);
	machine_point();
	if (rc == WR_OK && fails())
		rc = refuse(COMMITS_DOUBTFUL);
	wr_bytes_deinit(&lines);
	return rc;
}

static void target_free(struct wr_target *target)
{
	(void)target;
}

static const struct wr_target_ops ops = {
    .open = target_open, .last = target_last, .commit = target_commit, .free = target_free};

static int stage_open(struct wr_stage *s)
{
	static struct wr_target target = {.ops = &ops};

	return wr_sink_open(s, &target);
}

const struct wr_stage_ops target_stage_ops = {.kind = "target", .open = stage_open, WR_SINK_OPS};
