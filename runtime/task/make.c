/* SPDX-License-Identifier: Apache-2.0 */
/* make: a task from its definition, and back to nothing; and what others may ask of it. */
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "task/latency.h"
#include "task/task_priv.h"

static struct wr_mem mem = WR_MEM_INIT("task.tasks");

static int stage_ports(struct wr_task *t, const struct wr_task_def *def, uint32_t i, struct wr_port *ports)
{
	const struct wr_stage_def *d = &def->stages[i];
	struct wr_stage *s = &t->chain.stages[i];

	s->outs = wr_arena_alloc(&t->arena, (d->port_count + 1) * sizeof(struct wr_out *));
	if (!s->outs)
		return WR_EFATAL;
	s->out_count = d->port_count;
	s->dead_letter = -1;
	for (uint32_t k = 0; k < d->port_count; k++) {
		struct wr_port *p = &ports[k];
		const struct wr_port_def *pd = &d->ports[k];

		p->chain = &t->chain;
		p->stage = s;
		p->targets = pd->targets;
		p->target_count = pd->count;
		p->op = pd->op;
		if (pd->count == 1 && pd->targets[0].writer && wr_writer_single(pd->targets[0].writer)) {
			p->direct = pd->targets[0].writer;
			p->direct_max = pd->targets[0].row_max;
		}
		for (uint32_t j = 0; j < pd->count; j++)
			WR_ASSERT(pd->targets[j].writer || pd->targets[j].stage > i);
		if (pd->dead_letter)
			s->dead_letter = (int32_t)k;
		s->outs[k] = &p->out;
	}
	return WR_OK;
}

static int stage_init(struct wr_task *t, const struct wr_task_def *def, uint32_t i)
{
	const struct wr_stage_def *d = &def->stages[i];
	struct wr_stage *s = &t->chain.stages[i];

	s->ops = d->ops;
	s->env = &t->env;
	s->index = i;
	s->plan = d->plan;
	s->options = d->options;
	s->chain = &t->chain;
	s->store = d->store;
	s->keyer = d->keyer;
	s->on_error = d->on_error;
	s->watermark = WR_TS_NONE;
	s->deadline_ms = INT64_MAX;
	s->wake_ns = UINT64_MAX;
	s->tick_ns = UINT64_MAX;
	t->passed[i] = WR_TS_NONE;
	s->ops_count = d->operator_count;
	s->ops_stats = wr_arena_alloc(&t->arena, (d->operator_count + 1) * sizeof *s->ops_stats);
	if (!s->ops_stats)
		return WR_EFATAL;
	memset(s->ops_stats, 0, (d->operator_count + 1) * sizeof *s->ops_stats);
	for (uint32_t k = 0; k < d->operator_count; k++) {
		s->ops_stats[k].name = d->operators[k].name;
		s->ops_stats[k].uid = d->operators[k].uid;
		s->ops_stats[k].where = d->operators[k].where;
	}
	return WR_OK;
}

static void *zeroed(struct wr_task *t, size_t bytes)
{
	void *p = wr_arena_alloc(&t->arena, bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

static int hold_init(struct wr_task *t, uint32_t channels)
{
	struct wr_hold_part *parts = wr_arena_alloc(&t->arena, channels * sizeof *parts);

	if (!parts)
		return WR_EFATAL;
	wr_hold_init(&t->hold, parts, channels);
	return WR_OK;
}

static int task_init(struct wr_task *t, const struct wr_task_def *def)
{
	uint32_t n = def->stage_count, at = 0;
	int rc = WR_OK;

	for (uint32_t i = 0; i < n; i++)
		t->port_count += def->stages[i].port_count;
	t->chain.stages = zeroed(t, n * sizeof *t->chain.stages);
	t->chain.inboxes = zeroed(t, n * sizeof *t->chain.inboxes);
	t->passed = zeroed(t, n * sizeof *t->passed);
	t->closed = zeroed(t, n * sizeof *t->closed);
	t->past_end = zeroed(t, n * sizeof *t->past_end);
	t->rests = zeroed(t, n * sizeof *t->rests);
	t->before_end = zeroed(t, n * sizeof *t->before_end);
	t->kept_last = &t->kept;
	t->ports = zeroed(t, (t->port_count + 1) * sizeof *t->ports);
	if (!t->chain.stages || !t->chain.inboxes || !t->passed || !t->closed || !t->past_end || !t->rests ||
	    !t->before_end || !t->ports)
		return WR_EFATAL;
	t->chain.stage_count = n;
	for (uint32_t i = 0; i < n && rc == WR_OK; i++) {
		rc = stage_init(t, def, i);
		if (rc == WR_OK)
			rc = stage_ports(t, def, i, t->ports + at);
		at += def->stages[i].port_count;
	}
	if (rc == WR_OK && t->gate) {
		t->valve = wr_valve_new(wr_gate_count(t->gate));
		rc = t->valve ? WR_OK : WR_EFATAL;
		for (uint32_t i = 0; t->valve && i < wr_gate_count(t->gate); i++)
			wr_valve_input(t->valve, i, wr_gate_input(t->gate, i));
		t->barriers = wr_barriers_new(wr_gate_count(t->gate), !def->at_least_once);
		if (rc == WR_OK)
			rc = t->barriers ? hold_init(t, wr_gate_count(t->gate)) : WR_EFATAL;
		for (uint32_t i = 0; def->second_first && i < wr_gate_count(t->gate); i++)
			t->second_left += wr_gate_input(t->gate, i) == 1;
		wr_task_hold_input(t);
	}
	if (rc == WR_OK && def->blobs) {
		t->snapshots = wr_snapshots_new(t, def->blobs);
		rc = t->snapshots ? WR_OK : WR_EFATAL;
	}
	return rc;
}

/* Frees what a definition hands over when no task came of it. */
static void def_drop(const struct wr_task_def *def)
{
	for (uint32_t i = 0; i < def->stage_count; i++) {
		if (def->stages[i].store)
			wr_store_free(def->stages[i].store);
		wr_keyer_free(def->stages[i].keyer);
	}
	for (uint32_t i = 0; i < def->writer_count; i++)
		wr_writer_free(def->writers[i]);
	wr_gate_free(def->gate);
}

struct wr_task *wr_task_new(const struct wr_task_def *def)
{
	struct wr_task *t = wr_zalloc(&mem, sizeof *t);

	WR_ASSERT(def->stage_count > 0);
	if (!t) {
		def_drop(def);
		return NULL;
	}
	wr_arena_init(&t->arena, &mem);
	t->env = def->env;
	t->world = def->world;
	if (t->world)
		t->env.clock = t->world->clock;
	else if (!t->env.clock)
		t->env.clock = wr_clock_system();
	t->chain.clock = t->env.clock;
	t->gate = def->gate;
	t->restore = def->restore;
	t->fed_by_ended = def->fed_by_ended;
	t->same_senders = def->same_senders;
	t->keys = def->keys;
	t->may_overtake = def->gate && def->may_overtake && !def->second_first && !def->at_least_once;
	t->timeout_us_min = def->timeout_us_min;
	t->marker_every_ns = def->gate ? 0 : def->marker_every_ns;
	t->source_id = def->source_id;
	t->marker_ns = t->marker_every_ns ? 0 : UINT64_MAX;
	t->flush_ns = t->deadline_ns = UINT64_MAX;
	wr_metric_set(&t->stats.watermark, WR_TS_NONE);
	t->writers = wr_arena_alloc(&t->arena, (def->writer_count + 1) * sizeof *t->writers);
	if (!t->writers) {
		def_drop(def);
		wr_arena_deinit(&t->arena);
		wr_free(&mem, t);
		return NULL;
	}
	t->writer_count = def->writer_count;
	for (uint32_t i = 0; i < def->writer_count; i++) {
		t->writers[i] = def->writers[i];
		t->joined |= wr_writer_consumer(t->writers[i]) != 0;
	}
	if (task_init(t, def) != WR_OK) {
		t->chain.stage_count = 0;
		def_drop(def);
		t->gate = NULL;
		t->writer_count = 0;
		wr_task_free(t);
		return NULL;
	}
	return t;
}

void wr_task_free(struct wr_task *t)
{
	struct wr_chain *c = &t->chain;

	if (t->world && t->world->close)
		t->world->close(t->world);
	for (uint32_t i = 0; i < t->opened; i++)
		if (c->stages[i].ops->abandon)
			c->stages[i].ops->abandon(&c->stages[i]);
	wr_snapshots_free(t->snapshots);
	wr_in_flight_free(t->in_flight);
	for (uint32_t i = 0; i < c->stage_count; i++) {
		struct wr_stage *s = &c->stages[i];

		wr_task_discard(t, i);
		if (i < t->opened && s->ops->free)
			s->ops->free(s);
		while (c->inboxes[i].first)
			wr_inbox_drop(c, i);
		if (s->store)
			wr_store_free(s->store);
		wr_keyer_free(s->keyer);
	}
	for (uint32_t i = 0; i < t->port_count; i++)
		wr_port_discard(&t->ports[i]);
	for (uint32_t i = 0; i < t->writer_count; i++)
		wr_writer_free(t->writers[i]);
	wr_gate_free(t->gate);
	wr_valve_free(t->valve);
	wr_barriers_free(t->barriers);
	wr_latency_deinit(t);
	wr_stock_deinit(&c->stock);
	wr_mailbox_deinit(&t->mailbox);
	for (struct wr_letter *l; (l = t->kept);) {
		t->kept = l->next;
		wr_letter_free(l);
	}
	wr_arena_deinit(&t->arena);
	wr_free(&mem, t);
}

/* ---- asking ---- */

bool wr_task_is_open(const struct wr_task *t)
{
	return atomic_load(&t->is_open);
}

bool wr_task_holds_input(const struct wr_task *t)
{
	return atomic_load(&t->second_left) > 0;
}

const struct wr_stage_env *wr_task_env(const struct wr_task *t)
{
	return &t->env;
}

const struct wr_task_stats *wr_task_stats(const struct wr_task *t)
{
	return &t->stats;
}

const struct wr_hold *wr_task_hold(const struct wr_task *t)
{
	return t->gate ? &t->hold : NULL;
}

uint32_t wr_task_stage_count(const struct wr_task *t)
{
	return t->chain.stage_count;
}

const struct wr_stage *wr_task_stage(const struct wr_task *t, uint32_t i)
{
	return &t->chain.stages[i];
}

int wr_stage_second_keyer(const struct wr_stage *s, struct wr_keyer **keyer)
{
	uint32_t count = 0;
	const struct wr_value *list = wr_value_list(s->plan, "key2", &count);
	struct wr_str names[WR_KEY_PARTS_MAX];

	*keyer = NULL;
	if (!count)
		return WR_OK;
	WR_ASSERT(count <= WR_KEY_PARTS_MAX);
	for (uint32_t i = 0; i < count; i++)
		names[i] = (struct wr_str){list[i].str.p, list[i].str.len};
	*keyer = wr_keyer_new(names, count);
	return *keyer ? WR_OK : WR_EFATAL;
}
