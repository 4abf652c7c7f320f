/* SPDX-License-Identifier: Apache-2.0 */
/* topics: see topics.h. */
#include "sim/machine/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/error.h"
#include "record/row.h"
#include "sim/machine/cluster.h"

enum { TXN_S = 60, TIMES_FASTER = 1000 };

struct topics {
	struct wr_target base; /* first */
	struct cluster_client client;
	struct wr_kafka_publisher publisher;
	const struct wr_stage *stage;
};

static struct cluster_process process;
static struct wr_kafka_claims claims = WR_KAFKA_CLAIMS_INIT;
static struct wr_clock clock_of_brokers;

static uint64_t faster_ns(struct wr_clock *c)
{
	(void)c;
	return wr_clock_ns(machine_clock()) * TIMES_FASTER;
}

void topics_init(void)
{
	cluster_init(TXN_S, TIMES_FASTER);
	process = (struct cluster_process){0};
	clock_of_brokers.mono_ns = faster_ns;
}

void topics_rough(bool faults)
{
	struct cluster_roughness rough = {0};

	if (faults)
		rough = (struct cluster_roughness){.lost = 10 + machine_below(100),
						   .late = 10 + machine_below(100),
						   .unanswered = 10 + machine_below(100),
						   .outage = 100 + machine_below(400)};
	cluster_rough(&rough);
}

void topics_cut_off(void)
{
	process.dead = true;
}

void topics_go_on(void)
{
	process = (struct cluster_process){.number = process.number + 1};
	wr_kafka_claims_deinit(&claims);
	claims = (struct wr_kafka_claims)WR_KAFKA_CLAIMS_INIT;
}

void topics_rows(struct wr_bytes *out)
{
	const struct wr_bytes *lines;

	cluster_settle();
	lines = cluster_lines();
	if (lines->len)
		wr_bytes_put(out, lines->data, lines->len);
}

static int lines_of(struct wr_epoch_rows *rows, struct wr_bytes *out)
{
	const uint8_t *p, *end;
	int rc;

	while ((rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK)
		for (; p < end; p += ((const struct wr_elem *)p)->len) {
			wr_row_json((const struct wr_elem *)p, out);
			wr_bytes_put_u8(out, '\n');
		}
	return rc == WR_END ? wr_bytes_status(out) : rc;
}

/* ---- the contract ---- */

static int topics_open(struct wr_target *t, bool fresh)
{
	struct topics *k = (struct topics *)t;
	struct wr_mark mark = {.uid = k->stage->ops_stats[0].uid, .log = k->stage->env->subtask};

	if (fresh && cluster_lines()->len && !process.dead)
		machine_failed("the job begins anew, and rows of it are committed");
	return wr_kafka_publisher_open(&k->publisher, &mark);
}

static int topics_last(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch)
{
	return wr_kafka_publisher_last(&((struct topics *)t)->publisher, mark, epoch);
}

static int topics_commit(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
			 struct wr_epoch_rows *rows)
{
	int rc = wr_kafka_publisher_commit(&((struct topics *)t)->publisher, mark, epoch, rows);

	if (rc == WR_OK) {
		machine_counts[COMMITS]++;
		machine_committed();
	}
	return rc;
}

static void topics_free(struct wr_target *t)
{
	wr_kafka_publisher_close(&((struct topics *)t)->publisher);
	free(t);
}

static const struct wr_target_ops ops = {
    .open = topics_open, .last = topics_last, .commit = topics_commit, .free = topics_free};

static int stage_open(struct wr_stage *s)
{
	struct topics *k = calloc(1, sizeof *k);

	*k = (struct topics){.base.ops = &ops,
			     .client = {.process = &process, .lines = lines_of},
			     .publisher = {.ops = &cluster_ops,
					   .clock = &clock_of_brokers,
					   .claims = &claims,
					   .name = "topics",
					   .prefix = "sim"},
			     .stage = s};
	k->publisher.arg = &k->client;
	return wr_sink_open(s, &k->base);
}

const struct wr_stage_ops topics_stage_ops = {.kind = "topics", .open = stage_open, WR_SINK_OPS};
