/* SPDX-License-Identifier: Apache-2.0 */
/* late: see late.h. */
#include "window/late.h"
#include <inttypes.h>
#include "base/error.h"
#include "base/log.h"
#include "exchange/merger.h"

void wr_late_init(struct wr_late *l, struct wr_stage *s)
{
	const char *tag = wr_value_str(s->options, "late", NULL);
	uint32_t count = 0;
	const struct wr_value *outs = s->plan ? wr_value_list(s->plan, "outs", &count) : NULL;

	*l = (struct wr_late){0};
	for (uint32_t i = 0; tag && i < count && i < s->out_count; i++)
		if (!strcmp(wr_value_str(&outs[i], "tag", ""), tag))
			l->out = s->outs[i];
}

static void say(struct wr_late *l, struct wr_stage *s, const struct wr_elem *row)
{
	struct wr_bytes text = WR_BYTES_EMPTY;

	l->said = true;
	wr_row_json_short(row, 400, &text);
	wr_bytes_put_u8(&text, 0);
	if (wr_bytes_status(&text) == WR_OK)
		wr_warn(s->env->task,
			"operator \"%s\" drops late records, this is the first: time %" PRId64
			", watermark %" PRId64 "; record: %s",
			s->ops_stats[0].name, row->ts, s->watermark, (const char *)text.data);
	wr_bytes_deinit(&text);
}

/* How many rows it stands for. */
static int64_t weight_of(const struct wr_elem *row)
{
	struct wr_cell weight = wr_row_lookup(row, WR_WEIGHT_NAME, WR_WEIGHT_LEN);

	return weight.type == WR_T_F64 ? (int64_t)weight.f64 : 1;
}

int wr_late_row(struct wr_late *l, struct wr_stage *s, const struct wr_elem *row)
{
	struct wr_out *out = l->out;
	int64_t rows = weight_of(row);

	wr_metric_add(&s->ops_stats[0].late, rows);
	if (!out) {
		wr_metric_add(&s->ops_stats[0].late_dropped, rows);
		if (!l->said)
			say(l, s, row);
		return WR_OK;
	}
	if (!wr_out_room(out, row->len))
		return WR_EFATAL;
	memcpy(out->p, row, row->len);
	out->p += row->len;
	out->rows++;
	return WR_OK;
}

void wr_late_between(struct wr_stage *s, const struct wr_elem *row)
{
	wr_metric_add(&s->ops_stats[0].no_window, weight_of(row));
}
