/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: the tables of a task's metrics, and reading them. On the reader's thread: everything that is
 * touched here is atomic or never changes. */
#include "task/metrics.h"

#include "task/latency.h"
#include "stream/remote.h"
#include "task/task_priv.h"

enum { CHANNELS_TOLD = 64 }; /* of a subtask with more only the sum is told */

enum task_metric {
	STEPS,
	BUSY,
	BLOCKED,
	IDLE,
	WAITING,
	BUFFERS_IN,
	QUEUED,
	WATERMARK,
	WATERMARK_LAG,
	TASK_METRICS
};
static const struct wr_metric_def task_metrics[TASK_METRICS] = {
    [STEPS] = {"steps", WR_COUNTER, "steps", "Turns that the subtask had on its worker."},
    [BUSY] = {"busy_ns", WR_COUNTER, "ns", "Time spent in steps."},
    [BLOCKED] = {"back_pressured_ns", WR_COUNTER, "ns",
		 "Time without a step because an output had no buffer or a sink was full."},
    [IDLE] = {"idle_ns", WR_COUNTER, "ns", "Time without a step because there was nothing to do."},
    [WAITING] = {"waiting_ns", WR_COUNTER, "ns",
		 "Time without a step although there was work, since its worker was with other subtasks."},
    [BUFFERS_IN] = {"buffers_in", WR_COUNTER, "buffers", "Buffers taken from all input channels."},
    [QUEUED] = {"queued_buffers", WR_GAUGE, "buffers", "Buffers that wait in all input channels."},
    [WATERMARK] = {"watermark", WR_GAUGE, "ms", "Event time of the subtask, as milliseconds since 1970."},
    [WATERMARK_LAG] = {"watermark_lag_ms", WR_GAUGE, "ms", "How far the watermark is behind the clock."},
};
const struct wr_metric_def *const wr_task_blocked = &task_metrics[BLOCKED];
const struct wr_metric_def *const wr_task_watermark = &task_metrics[WATERMARK];

const struct wr_metric_def wr_op_metrics[WR_OP_METRICS] = {
    [WR_OP_ROWS_IN] = {"rows_in", WR_COUNTER, "rows", "Rows that entered the operator."},
    [WR_OP_ROWS_OUT] = {"rows_out", WR_COUNTER, "rows", "Rows that left it."},
    [WR_OP_BYTES_IN] = {"bytes_in", WR_COUNTER, "bytes", "Bytes of rows that entered it."},
    [WR_OP_BYTES_OUT] = {"bytes_out", WR_COUNTER, "bytes", "Bytes of rows that left it."},
    [WR_OP_SKIPPED] = {"skipped", WR_COUNTER, "rows", "Rows that failed and were skipped or put aside."},
    [WR_OP_LATE] = {"late", WR_COUNTER, "rows", "Rows that came too late for their window."},
    [WR_OP_LATE_DROPPED] = {"late_dropped", WR_COUNTER, "rows", "Late rows that nobody reads."},
    [WR_OP_NO_WINDOW] = {"no_window", WR_COUNTER, "rows",
			 "Rows that no window takes, though they are not late."},
    [WR_OP_IN_FLIGHT] =
	{"in_flight", WR_GAUGE, "rows",
	 "Rows that an async operator is with, those included whose results wait for their turn."},
    [WR_OP_IN_FLIGHT_MAX] = {"in_flight_max", WR_GAUGE, "rows", "The most that there were at once."},
    [WR_OP_LOGGED] = {"logged_bytes", WR_GAUGE, "bytes",
		      "Logged for an exactly-once sink and not committed yet."},
    [WR_OP_COMMIT_LAG] = {"commit_lag_bytes", WR_GAUGE, "bytes",
			  "Those of them that a complete checkpoint covers: how far commits lag."},
    [WR_OP_COMMITS] = {"commits", WR_COUNTER, "epochs", "Epochs that an exactly-once sink has committed."},
};

enum remote_metric { SPLITS, SPLITS_HELD, LAG, LAG_MAX, DOWN, ERRORS, REMOTE_METRICS };
static const struct wr_metric_def remote_metrics[REMOTE_METRICS] = {
    [SPLITS] = {"splits", WR_GAUGE, "splits", "Partitions that the source reads."},
    [SPLITS_HELD] = {"splits_held", WR_GAUGE, "splits",
		     "Those of them that wait for others of their alignment group."},
    [LAG] = {"lag", WR_GAUGE, "offsets",
	     "Offsets of all partitions that are there and were not read yet, as the brokers said last."},
    [LAG_MAX] = {"lag_max", WR_GAUGE, "offsets", "Those of the partition that has most of them."},
    [DOWN] = {"unreachable_ms", WR_GAUGE, "ms", "For how long no broker has been reached; 0: one is."},
    [ERRORS] = {"connection_errors", WR_COUNTER, "errors", "Errors of connections, which are tried again."},
};

enum output_metric {
	OUT_ROWS,
	OUT_BYTES,
	OUT_BUFFERS,
	OUT_QUEUED,
	OUT_POOL,
	OUT_POOL_USED,
	OUT_OVERDRAFTS,
	OUTPUT_METRICS
};
static const struct wr_metric_def output_metrics[OUTPUT_METRICS] = {
    [OUT_ROWS] = {"rows", WR_COUNTER, "rows", "Rows sent; a broadcast one counts once."},
    [OUT_BYTES] = {"bytes", WR_COUNTER, "bytes", "Bytes sent."},
    [OUT_BUFFERS] = {"buffers", WR_COUNTER, "buffers", "Buffers sent."},
    [OUT_QUEUED] = {"queued_buffers_max", WR_GAUGE, "buffers", "Buffers in the longest queue of a channel."},
    [OUT_POOL] = {"pool_buffers", WR_GAUGE, "buffers", "Buffers of the pool."},
    [OUT_POOL_USED] = {"pool_buffers_in_use", WR_GAUGE, "buffers",
		       "Buffers being filled, on their way, or not yet seen to be back."},
    [OUT_OVERDRAFTS] = {"pool_overdrafts", WR_COUNTER, "buffers", "Buffers taken beyond the pool's limit."},
};

enum input_metric { IN_QUEUED, IN_WATERMARK, IN_WATERMARK_LAG, IN_IDLE, IN_HELD, INPUT_METRICS };
static const struct wr_metric_def input_metrics[INPUT_METRICS] = {
    [IN_QUEUED] = {"queued_buffers", WR_GAUGE, "buffers", "Buffers that wait in the channel."},
    [IN_WATERMARK] = {"watermark", WR_GAUGE, "ms", "Last watermark that came through it."},
    [IN_WATERMARK_LAG] = {"watermark_lag_ms", WR_GAUGE, "ms", "How far that is behind the clock."},
    [IN_IDLE] = {"idle", WR_GAUGE, "0 or 1", "1 while the channel's sender says that it is idle."},
    [IN_HELD] = {"held_ns", WR_COUNTER, "ns",
		 "Time for which its watermark was the one that held others back."},
};

const struct wr_metric_def wr_latency_metric = {
    "latency_ns", WR_HISTOGRAM, "ns",
    "Time of a latency marker from its source to here (--latency-interval)."};

const struct wr_metric_table wr_task_tables[] = {
    {"tasks", task_metrics, TASK_METRICS},	 {"operators", wr_op_metrics, WR_OP_METRICS},
    {"remotes", remote_metrics, REMOTE_METRICS}, {"outputs", output_metrics, OUTPUT_METRICS},
    {"inputs", input_metrics, INPUT_METRICS},	 {"latencies", &wr_latency_metric, 1},
};
const unsigned wr_task_tables_count = sizeof wr_task_tables / sizeof *wr_task_tables;

/* ---- reading ---- */

/* No lag before the first watermark, and none behind the last. */
static int64_t lag(int64_t watermark, const struct wr_metric_reading *r)
{
	if (watermark == WR_TS_NONE || watermark == WR_TS_MAX)
		return WR_METRIC_NONE;
	return wr_metric_now_ms(r) - watermark;
}

static int64_t told_watermark(int64_t watermark)
{
	return watermark == WR_TS_MAX ? WR_METRIC_NONE : watermark;
}

/* A sum of rests of one kind, with the one that is under way. */
static int64_t rests(const struct wr_task_stats *s, const wr_metric *sum, enum wr_step kind,
		     const struct wr_metric_reading *r)
{
	int64_t since = wr_metric_get(&s->rest_since_ns), now = (int64_t)wr_metric_now_ns(r);
	bool under_way = wr_metric_get(&s->rest) == (int64_t)kind && since > 0 && since < now;

	return wr_metric_get(sum) + (under_way ? now - since : 0);
}

static void tell_task(const struct wr_task *t, struct wr_metric_reading *r)
{
	const struct wr_task_stats *s = &t->stats;
	int64_t watermark = wr_metric_get(&s->watermark), queued = 0;

	for (uint32_t i = 0; t->gate && i < wr_gate_count(t->gate); i++)
		queued += wr_gate_queued(t->gate, i);
	wr_metric_tell(r, &task_metrics[STEPS], wr_metric_get(&s->steps));
	wr_metric_tell(r, &task_metrics[BUSY], wr_metric_get(&s->busy_ns));
	wr_metric_tell(r, &task_metrics[BLOCKED], rests(s, &s->blocked_ns, WR_STEP_BLOCKED, r));
	wr_metric_tell(r, &task_metrics[IDLE], rests(s, &s->idle_ns, WR_STEP_IDLE, r));
	wr_metric_tell(r, &task_metrics[WAITING], wr_metric_get(&s->waiting_ns));
	wr_metric_tell(r, &task_metrics[WATERMARK], told_watermark(watermark));
	wr_metric_tell(r, &task_metrics[WATERMARK_LAG], lag(watermark, r));
	if (!t->gate)
		return;
	wr_metric_tell(r, &task_metrics[BUFFERS_IN], wr_metric_get(&s->buffers_in));
	wr_metric_tell(r, &task_metrics[QUEUED], queued);
}

/* What only some kinds of operators have is told of those. */
static bool is_told(const struct wr_op_stats *o, unsigned metric)
{
	if (metric == WR_OP_IN_FLIGHT || metric == WR_OP_IN_FLIGHT_MAX)
		return wr_metric_get(&o->in_flight_max) > 0;
	if (metric == WR_OP_LOGGED || metric == WR_OP_COMMIT_LAG || metric == WR_OP_COMMITS)
		return wr_metric_get(&o->logged) > 0 || wr_metric_get(&o->commits) > 0;
	return true;
}

static void tell_operator(const struct wr_op_stats *o, uint64_t id, struct wr_metric_reading *r)
{
	const wr_metric *const values[WR_OP_METRICS] = {
	    [WR_OP_ROWS_IN] = &o->rows_in,
	    [WR_OP_ROWS_OUT] = &o->rows_out,
	    [WR_OP_BYTES_IN] = &o->bytes_in,
	    [WR_OP_BYTES_OUT] = &o->bytes_out,
	    [WR_OP_SKIPPED] = &o->skipped,
	    [WR_OP_LATE] = &o->late,
	    [WR_OP_LATE_DROPPED] = &o->late_dropped,
	    [WR_OP_NO_WINDOW] = &o->no_window,
	    [WR_OP_IN_FLIGHT] = &o->in_flight,
	    [WR_OP_IN_FLIGHT_MAX] = &o->in_flight_max,
	    [WR_OP_LOGGED] = &o->logged,
	    [WR_OP_COMMIT_LAG] = &o->commit_lag,
	    [WR_OP_COMMITS] = &o->commits,
	};
	wr_metric_part(r, "operators", o->name, id);
	for (unsigned i = 0; i < WR_OP_METRICS; i++)
		if (is_told(o, i))
			wr_metric_tell(r, &wr_op_metrics[i], wr_metric_get(values[i]));
}

static void tell_remote(const struct wr_op_stats *o, uint64_t id, struct wr_metric_reading *r)
{
	struct wr_remote_view v;
	int64_t now = (int64_t)wr_metric_now_ns(r);

	if (!wr_remote_of(&o->remote, &v))
		return;
	wr_metric_part(r, "remotes", o->name, id);
	wr_metric_tell(r, &remote_metrics[SPLITS], v.splits);
	wr_metric_tell(r, &remote_metrics[SPLITS_HELD], v.held);
	wr_metric_tell(r, &remote_metrics[LAG], (int64_t)v.lag);
	wr_metric_tell(r, &remote_metrics[LAG_MAX], (int64_t)v.lag_max);
	wr_metric_tell(r, &remote_metrics[DOWN], v.down_ns ? (now - (int64_t)v.down_ns) / 1000000 : 0);
	wr_metric_tell(r, &remote_metrics[ERRORS], (int64_t)v.errors);
}

static void tell_output(const struct wr_writer *w, uint64_t id, struct wr_metric_reading *r)
{
	struct wr_writer_stats s;

	wr_writer_stats(w, &s);
	wr_metric_part(r, "outputs", wr_writer_name(w), id);
	wr_metric_tell(r, &output_metrics[OUT_ROWS], s.rows);
	wr_metric_tell(r, &output_metrics[OUT_BYTES], s.bytes);
	wr_metric_tell(r, &output_metrics[OUT_BUFFERS], s.buffers);
	wr_metric_tell(r, &output_metrics[OUT_QUEUED], s.queued_max);
	wr_metric_tell(r, &output_metrics[OUT_POOL], s.pool.limit);
	wr_metric_tell(r, &output_metrics[OUT_POOL_USED], s.pool.in_use);
	wr_metric_tell(r, &output_metrics[OUT_OVERDRAFTS], s.pool.overdrafts);
}

static void tell_input(const struct wr_task *t, uint32_t channel, struct wr_metric_reading *r)
{
	const struct wr_hold_part *c = &t->hold.parts[channel];
	int64_t watermark = wr_metric_get(&c->watermark);

	wr_metric_part(r, "inputs", wr_gate_input(t->gate, channel) ? "second" : "first", channel);
	wr_metric_tell(r, &input_metrics[IN_QUEUED], wr_gate_queued(t->gate, channel));
	wr_metric_tell(r, &input_metrics[IN_WATERMARK], told_watermark(watermark));
	wr_metric_tell(r, &input_metrics[IN_WATERMARK_LAG], lag(watermark, r));
	wr_metric_tell(r, &input_metrics[IN_IDLE], wr_metric_get(&c->idle));
	wr_metric_tell(r, &input_metrics[IN_HELD], wr_hold_ns(&t->hold, channel, wr_metric_now_ns(r)));
}

void wr_task_tell(void *task, struct wr_metric_reading *r)
{
	const struct wr_task *t = task;
	uint64_t id = 0;

	tell_task(t, r);
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		for (uint32_t k = 0; k < t->chain.stages[i].ops_count; k++)
			tell_operator(&t->chain.stages[i].ops_stats[k], id++, r);
	for (uint32_t i = 0; i < t->chain.stage_count; i++)
		tell_remote(&t->chain.stages[i].ops_stats[0], i, r);
	for (uint32_t i = 0; i < t->writer_count; i++)
		tell_output(t->writers[i], i, r);
	for (uint32_t i = 0; t->gate && wr_gate_count(t->gate) <= CHANNELS_TOLD && i < wr_gate_count(t->gate);
	     i++)
		tell_input(t, i, r);
	for (const struct wr_latency *l = wr_latency_first(t); l; l = l->next) {
		wr_metric_part(r, "latencies", t->chain.stages[l->stage].ops_stats[0].name, l->source);
		wr_metric_tell_histogram(r, &wr_latency_metric, l->histogram);
	}
}
