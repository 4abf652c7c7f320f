/* SPDX-License-Identifier: Apache-2.0 */
/* shapes: see job.h, enum sim_shape. A job is drawn from all there is, and then bent to its shape. */
#include "sim/machine/job.h"

enum { ONE_IN_SHAPED = 2 };

static uint32_t below(struct wr_rand *r, uint32_t n)
{
	return wr_rand_below(r, n);
}

static void draw_any(struct sim_job *j, struct wr_rand *r)
{
	static const uint32_t groups[] = {12, SIM_PARALLELISM, 5, 7, 128};

	*j = (struct sim_job){.sources = 1 + below(r, 2),
			      .rows = {50 + below(r, 250)},
			      .keys = 1 + below(r, 12),
			      .every = {1 + below(r, 5)},
			      .step = 1000,
			      .delay = 500 * below(r, 4),
			      .mark_every = 1 + below(r, 8),
			      .passes = below(r, 2),
			      .raw = below(r, 4) == 0,
			      .sink = below(r, SIM_TOPICS),
			      .keyed_count = 1 + below(r, SIM_KEYED),
			      .rate = 2000 + below(r, 20000),
			      .groups = groups[below(r, sizeof groups / sizeof *groups)]};
	for (uint32_t i = 1; i < SIM_SOURCES; i++) {
		j->rows[i] = j->rows[0];
		j->every[i] = j->every[0];
	}
	for (uint32_t i = 0; i < j->keyed_count; i++)
		j->keyed[i] = below(r, SIM_OPERATORS);
}

static enum sim_operator draw_window(struct wr_rand *r)
{
	return SIM_TUMBLING + below(r, 1 + SIM_SESSION - SIM_TUMBLING);
}

static void draw_late(struct sim_job *j, struct wr_rand *r)
{
	static const uint32_t lateness[] = {0, 8000, 1000000};

	j->sources = 1;
	j->raw = true;
	j->passes = below(r, 3) > 0;
	j->rate = 2000 + below(r, 6000);
	j->step = below(r, 2) ? 1000 : 7000;
	j->keyed[0] = draw_window(r);
	j->lateness = lateness[below(r, 3)];
	if (j->keyed_count > 1) /* results of a window that fires again are late themselves */
		j->keyed[1] = SIM_COUNT;
}

static void draw_shape(struct sim_job *j, struct wr_rand *r)
{
	switch (j->shape) {
	case SIM_LATE:
		draw_late(j, r);
		break;
	case SIM_ENDS:
		j->sources = 2;
		j->keyed_count = 0;
		j->raw = false;
		j->passes = true;
		j->rows[0] = 2 + below(r, 60);
		j->rows[1] = 60 + below(r, 150);
		break;
	case SIM_AHEAD:
		j->sources = 2;
		j->passes = false;
		j->every[0] = 1;
		j->every[1] = 6;
		j->keyed[0] = draw_window(r);
		break;
	case SIM_BURST:
		j->rows[0] = j->rows[1] = 300 + below(r, 300);
		j->rate = 10000 + below(r, 40000);
		j->every[0] = j->every[1] = 1;
		j->delay = 0;
		j->mark_every = 1;
		j->raw = false;
		j->keyed[0] = draw_window(r);
		break;
	case SIM_TRIALS:
		j->passes = true;
		j->sink = SIM_TARGET + below(r, SIM_ROLLING);
		j->rows[0] = j->rows[1] = 60 + below(r, 60);
		j->rate = 700 + below(r, 1500);
		break;
	case SIM_CUTS:
		j->sink = SIM_ROLLING;
		j->keys = 5;
		j->raw = true;
		break;
	case SIM_DELTAS:
		j->keys = 30 + below(r, 30);
		j->rows[0] = j->rows[1] = 100 + below(r, 100);
		j->rate = 2000 + below(r, 4000);
		break;
	default:
		break;
	}
}

void sim_job_draw(struct sim_job *j, struct wr_rand *r)
{
	static const enum sim_shape shapes[] = {SIM_LATE,   SIM_LATE,	SIM_ENDS, SIM_AHEAD, SIM_BURST,
						SIM_TRIALS, SIM_TRIALS, SIM_CUTS, SIM_DELTAS};

	draw_any(j, r);
	if (below(r, ONE_IN_SHAPED) == 0)
		j->shape = shapes[below(r, sizeof shapes / sizeof *shapes)];
	draw_shape(j, r);
	if (j->sink == SIM_TARGET && j->rows[0] % 2)
		j->sink = SIM_TOPICS;
	if (j->keyed_count > 1 && !sim_is_timed(j->keyed[0]) && sim_is_timed(j->keyed[1]))
		j->keyed[1] = below(r, 2) ? SIM_COUNT : SIM_COUNTED;
	j->vertex_count = j->sources + j->passes + j->keyed_count + 1 + j->raw;
}

void sim_layout_draw(struct sim_layout *l, const struct sim_job *j, struct wr_rand *r, uint32_t most)
{
	for (uint32_t i = 0; i < SIM_VERTICES; i++) {
		l->parallelism[i] = 1 + below(r, most);
		l->partition[i] = below(r, 3);
	}
	if (j->shape == SIM_LATE) {
		l->parallelism[0] = 1;
		if (j->passes)
			l->parallelism[1] = 1;
	}
	if (j->shape == SIM_AHEAD && most > 1) {
		l->parallelism[0] = 1 + below(r, SIM_PARALLELISM - 1);
		l->parallelism[1] = SIM_PARALLELISM - l->parallelism[0];
	}
}
