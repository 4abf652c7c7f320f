/* SPDX-License-Identifier: Apache-2.0 */
/* measure: swallows rows and says at the end of the input what they were, in one row a subtask:
 * {rows, checksum?, sum?, p50_us … max_us?}. For benchmarks and for tests of whole jobs.
 *
 * Options: checksum = true: the sum of XXH3-64 over the rows' bodies, in hexadecimal, so it does
 * not depend on the order; sum = a numeric field; latency_from = a field with a time in ns of the
 * monotonic clock (`due` of a pattern), from which each row's way is measured to here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include "base/error.h"
#include "operator/operators.h"

static struct wr_mem mem = WR_MEM_INIT("operator.measure");

/* A field by name, and where it is in rows of the last shape. */
struct place {
	const char *name; /* NULL: not asked for */
	uint32_t shape;
	int32_t at; /* bytes behind the start of the body */
};
struct measure {
	bool check;
	struct place sum_of, from;
	uint64_t rows, checksum;
	double sum;
	struct wr_histogram *latency;
	int64_t latency_skip; /* rows at the start whose latency does not count: the job is warming up */
};

static int open_(struct wr_stage *s)
{
	struct measure *m = s->state = wr_zalloc(&mem, sizeof *m);

	if (!m)
		return WR_EFATAL;
	m->check = wr_value_bool(s->options, "checksum", false);
	m->sum_of.name = wr_value_str(s->options, "sum", NULL);
	m->from.name = wr_value_str(s->options, "latency_from", NULL);
	m->latency_skip = wr_value_int(s->options, "latency_skip", 0);
	if (!m->from.name)
		return WR_OK;
	m->latency = wr_histogram_new();
	return m->latency ? WR_OK : WR_EFATAL;
}

/* Where the field is in rows of the shape of `row`; negative where there is no such number. */
static int32_t place_in(struct place *p, const struct wr_elem *row)
{
	const struct wr_shape *s;

	if (p->shape == wr_elem_shape(row))
		return p->at;
	s = wr_shape(wr_elem_shape(row));
	p->shape = s->id;
	p->at = wr_shape_find(s, p->name, (uint32_t)strlen(p->name));
	if (p->at >= 0)
		p->at = s->fields[p->at].type == WR_T_F64 ? (int32_t)(s->slots_at + 8 * (uint32_t)p->at) : -1;
	return p->at;
}

static bool number_at(struct place *p, const struct wr_elem *row, double *v)
{
	int32_t at = place_in(p, row);

	if (at < 0)
		return false;
	memcpy(v, wr_elem_body(row) + at, 8);
	return true;
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct measure *m = s->state;
	uint64_t now = m->latency ? wr_clock_ns(s->env->clock) : 0;
	const uint8_t *p = rows->p;
	double v, sum = m->sum;

	for (; p < rows->end; p += ((const struct wr_elem *)p)->len) {
		const struct wr_elem *row = (const struct wr_elem *)p;

		m->rows++;
		if (m->check)
			m->checksum += XXH3_64bits(wr_elem_body(row), wr_elem_body_len(row));
		if (m->sum_of.name && number_at(&m->sum_of, row, &v))
			sum += v;
		if (m->latency && m->latency_skip-- <= 0 && number_at(&m->from, row, &v))
			wr_histogram_add(m->latency, now > (uint64_t)v ? now - (uint64_t)v : 0);
	}
	m->sum = sum;
	rows->p = p;
	return WR_OK;
}

static void put(struct wr_field_spec *f, struct wr_cell *c, const char *name, double v)
{
	*f = (struct wr_field_spec){.name = name, .name_len = (uint32_t)strlen(name), .type = WR_T_F64};
	*c = (struct wr_cell){.type = WR_T_F64, .f64 = v};
}

/* Fields ascend by name: checksum, max_us, p50_us, p9999_us, p999_us, p99_us, rows, sum. */
static int end(struct wr_stage *s)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50_us", 0.5}, {"p9999_us", 0.9999}, {"p999_us", 0.999}, {"p99_us", 0.99}};
	struct measure *m = s->state;
	struct wr_field_spec fields[8];
	struct wr_cell cells[8];
	char hex[17];
	uint32_t n = 0, shape, len;
	struct wr_out *out = s->outs[0];

	if (m->check) {
		snprintf(hex, sizeof hex, "%016" PRIx64, m->checksum);
		fields[n] = (struct wr_field_spec){.name = "checksum", .name_len = 8, .type = WR_T_STR};
		cells[n++] = (struct wr_cell){.type = WR_T_STR, .str = {hex, 16}};
	}
	if (m->latency) {
		put(&fields[n], &cells[n], "max_us", (double)wr_histogram_max(m->latency) / 1e3);
		n++;
		for (unsigned i = 0; i < sizeof quantiles / sizeof *quantiles; i++, n++)
			put(&fields[n], &cells[n], quantiles[i].name,
			    (double)wr_histogram_at(m->latency, quantiles[i].q) / 1e3);
	}
	put(&fields[n], &cells[n], "rows", (double)m->rows);
	n++;
	if (m->sum_of.name) {
		put(&fields[n], &cells[n], "sum", m->sum);
		n++;
	}
	shape = wr_shape_intern(fields, n, 0, 0);
	if (!shape)
		return wr_error_code();
	len = wr_row_len(wr_shape(shape), cells);
	if (out->end - out->p < len && !wr_out_more(out, len))
		return wr_error_code();
	wr_row_write(out->p, len, wr_shape(shape), WR_INSERT, WR_TS_NONE, cells);
	out->p += len;
	out->rows++;
	return WR_OK;
}

/* [rows, checksum, sum]; latencies are of one run and begin anew. */
static int save(struct wr_stage *s, struct wr_bytes *out)
{
	const struct measure *m = s->state;

	wr_value_put_list(out, 3);
	wr_value_put_i64(out, (int64_t)m->rows);
	wr_value_put_i64(out, (int64_t)m->checksum);
	wr_value_put_num(out, m->sum);
	return wr_bytes_status(out);
}

static int restore(struct wr_stage *s, const struct wr_saved_state *saved)
{
	struct measure *m = s->state;

	for (uint32_t i = 0; i < saved->count; i++) {
		const struct wr_value *v = saved->parts[i].value;

		if (v->tag != WR_V_LIST || v->count != 3 || v->items[0].tag != WR_V_I64 ||
		    v->items[1].tag != WR_V_I64 || v->items[2].tag != WR_V_F64)
			return wr_error_set(WR_EUSER, "the saved measures are malformed");
		if (!wr_saved_mine(saved, i, s->env->subtask, s->env->parallelism))
			continue;
		m->rows += v->items[0].u64;
		m->checksum += v->items[1].u64;
		m->sum += v->items[2].f64;
	}
	return WR_OK;
}

static void free_(struct wr_stage *s)
{
	struct measure *m = s->state;

	if (!m)
		return;
	wr_histogram_free(m->latency);
	wr_free(&mem, m);
	s->state = NULL;
}

const struct wr_stage_ops wr_measure_ops = {.kind = "measure",
					    .open = open_,
					    .rows = rows,
					    .end = end,
					    .save = save,
					    .restore = restore,
					    .free = free_};
