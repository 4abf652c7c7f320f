/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: see cluster.h. */
#include "sim/machine/cluster.h"

#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"

enum { IDS = 256, GROUPS = 1024, OFFSETS = 4, LANDING = 64, STRAYS = 32, TRIES = 12 };
enum { SETTLES_ONE_IN = 3, STRAY_COMES_ONE_IN = 6, STRAY_LOST_ONE_IN = 4 };
#define MS (UINT64_C(1000000) / c.times_faster)
#define S (UINT64_C(1000000000) / c.times_faster)
enum { WAY_MS = 3, PAUSE_MS = 20, CALL_S = 10, OUTAGE_S = 150, REST_S = 200 };

enum code { FINE, UNKNOWN, BUSY, REFUSED, GONE };
enum state { EMPTY, ONGOING, COMMITTING, ABORTING };

struct group {
	char name[CLUSTER_GROUP];
	int64_t offset; /* below zero: there is none */
	char note[WR_KAFKA_NOTE];
	uint64_t put_ns;
};
struct id {
	char name[CLUSTER_GROUP];
	uint32_t epoch;		 /* of the producer that has it */
	uint32_t sequence;	 /* of its last batch */
	uint32_t process, owner; /* who writes; who claimed it last */
	enum state state;
	bool committed; /* the last transaction of this epoch was */
	uint64_t began_ns;
	struct wr_bytes lines;
	struct cluster_request offsets[OFFSETS];
	uint32_t offset_count;
};

static struct {
	struct id ids[IDS];
	struct group groups[GROUPS];
	struct cluster_request strays[STRAYS]; /* of clients that are gone */
	struct { /* offsets of transactions that are over, in their order: the groups hear of them later */
		struct cluster_request offset;
		bool committed;
	} landing[LANDING];
	uint32_t id_count, group_count, stray_count, landing_count;
	struct cluster_roughness rough;
	uint32_t txn_s, times_faster, forgets_s;
	uint64_t down_until_ns;
	struct wr_bytes visible;
} c;

static uint64_t now_ns(void)
{
	return machine_clock()->manual_ns;
}

void cluster_init(uint32_t txn_s, uint32_t times_faster)
{
	for (uint32_t i = 0; i < c.id_count; i++)
		wr_bytes_deinit(&c.ids[i].lines);
	for (uint32_t i = 0; i < c.stray_count; i++)
		wr_bytes_deinit(&c.strays[i].lines);
	wr_bytes_deinit(&c.visible);
	memset(&c, 0, sizeof c);
	c.txn_s = txn_s;
	c.times_faster = times_faster;
}

void cluster_forgets(uint32_t after_s)
{
	c.forgets_s = after_s;
}

void cluster_rough(const struct cluster_roughness *r)
{
	c.rough = *r;
	if (!r->outage)
		c.down_until_ns = 0;
}

const struct wr_bytes *cluster_lines(void)
{
	return &c.visible;
}

/* ---- what brokers keep ---- */

static uint32_t id_of(const char *name)
{
	uint32_t i = 0;

	while (i < c.id_count && strcmp(c.ids[i].name, name) != 0)
		i++;
	if (i == IDS)
		machine_failed("more than %d transactional ids", IDS);
	if (i == c.id_count)
		snprintf(c.ids[c.id_count++].name, CLUSTER_GROUP, "%s", name);
	return i;
}

static uint32_t find_group(const char *name)
{
	uint32_t i = 0;

	while (i < c.group_count && strcmp(c.groups[i].name, name) != 0)
		i++;
	return i;
}

static struct group *group_of(const char *name)
{
	uint32_t i = find_group(name);

	if (i == GROUPS)
		machine_failed("more than %d groups", GROUPS);
	if (i == c.group_count)
		snprintf(c.groups[c.group_count++].name, CLUSTER_GROUP, "%s", name);
	return &c.groups[i];
}

static bool is_pending(const char *group)
{
	for (uint32_t i = 0; i < c.id_count; i++)
		for (uint32_t k = 0; k < c.ids[i].offset_count; k++)
			if (!strcmp(c.ids[i].offsets[k].group, group))
				return true;
	for (uint32_t i = 0; i < c.landing_count; i++)
		if (!strcmp(c.landing[i].offset.group, group))
			return true;
	return false;
}

/* The group of the oldest hears of it. */
static void land_offset(void)
{
	const struct cluster_request *o = &c.landing[0].offset;

	if (c.landing[0].committed) {
		struct group *g = group_of(o->group);

		g->offset = o->offset;
		g->put_ns = o->put_ns;
		memcpy(g->note, o->note, sizeof g->note);
	}
	memmove(&c.landing[0], &c.landing[1], --c.landing_count * sizeof c.landing[0]);
}

static void give_offsets(struct id *at)
{
	for (uint32_t i = 0; i < at->offset_count; i++) {
		if (c.landing_count == LANDING)
			land_offset();
		c.landing[c.landing_count].committed = at->state == COMMITTING;
		c.landing[c.landing_count++].offset = at->offsets[i];
		/* what says who has the id is in the group of its name */
		if (at->state == COMMITTING && !strcmp(at->offsets[i].group, at->name))
			at->owner = at->process;
	}
	at->offset_count = 0;
}

static void show(struct id *at)
{
	machine_counts[TXN_COMMITTED]++;
	machine_counts[TXN_CLAIMS] += at->lines.len == 0;
	wr_debug("cluster", "%s, epoch %u: committed, %zu bytes", at->name, at->epoch, at->lines.len);
	if (at->lines.len && at->owner != at->process)
		machine_failed("process %u writes with %s, which process %u has claimed", at->process,
			       at->name, at->owner);
	if (at->lines.len)
		wr_bytes_put(&c.visible, at->lines.data, at->lines.len);
}

static void end_txn(struct id *at)
{
	give_offsets(at);
	if (at->state == COMMITTING)
		show(at);
	at->state = EMPTY;
	at->lines.len = 0;
}

static void abort_txn(struct id *at, enum machine_count why)
{
	machine_counts[why]++;
	wr_debug("cluster", "%s, epoch %u: aborted", at->name, at->epoch);
	at->state = ABORTING;
	at->committed = false;
	at->epoch++;
}

/* ---- requests ---- */

/* The answer is the epoch. */
static enum code take_init(struct id *at, struct cluster_request *r)
{
	if (at->state == ONGOING)
		abort_txn(at, TXN_FENCED);
	if (at->state != EMPTY)
		return BUSY;
	r->epoch = ++at->epoch;
	at->sequence = 0;
	at->process = r->process;
	at->committed = false;
	return FINE;
}

static enum code take_commit(struct id *at)
{
	if (at->state == ONGOING) {
		at->state = COMMITTING;
		at->committed = true;
		return FINE;
	}
	return at->committed ? FINE : REFUSED;
}

/* Is a transaction open now? The first request of one opens it. */
static bool is_ongoing(struct id *at)
{
	if (at->state == EMPTY) {
		at->state = ONGOING;
		at->committed = false;
		at->began_ns = now_ns();
	}
	return at->state == ONGOING;
}

static enum code take_rows(struct id *at, const struct cluster_request *r)
{
	if (r->sequence <= at->sequence)
		return FINE;
	if (!is_ongoing(at))
		return BUSY;
	at->sequence = r->sequence;
	if (r->lines.len)
		wr_bytes_put(&at->lines, r->lines.data, r->lines.len);
	return FINE;
}

static enum code take_offset(struct id *at, struct cluster_request *r)
{
	if (!is_ongoing(at))
		return BUSY;
	r->put_ns = now_ns();
	for (uint32_t i = 0; i < at->offset_count; i++)
		if (!strcmp(at->offsets[i].group, r->group)) {
			at->offsets[i] = *r;
			return FINE;
		}
	if (at->offset_count == OFFSETS)
		machine_failed("more than %d groups in a transaction", OFFSETS);
	at->offsets[at->offset_count++] = *r;
	return FINE;
}

static enum code take(struct cluster_request *r)
{
	struct id *at = &c.ids[r->id];

	if (r->what == CLUSTER_INIT)
		return take_init(at, r);
	if (r->epoch != at->epoch) {
		machine_counts[REQUESTS_REFUSED]++;
		return REFUSED;
	}
	switch (r->what) {
	case CLUSTER_APPEND:
		return take_rows(at, r);
	case CLUSTER_PUT:
		return take_offset(at, r);
	default:
		return take_commit(at);
	}
}

/* ---- what happens meanwhile ---- */

static void strays_come(void)
{
	for (uint32_t i = 0; i < c.stray_count;) {
		struct cluster_request r = c.strays[i];

		if (!machine_one_in(STRAY_COMES_ONE_IN)) {
			i++;
			continue;
		}
		memmove(&c.strays[i], &c.strays[i + 1], (--c.stray_count - i) * sizeof r);
		if (!machine_one_in(STRAY_LOST_ONE_IN)) {
			machine_counts[REQUESTS_STALE]++;
			take(&r);
		}
		wr_bytes_deinit(&r.lines);
	}
}

static void forget_groups(void)
{
	for (uint32_t i = 0; c.forgets_s && i < c.group_count; i++) {
		struct group *g = &c.groups[i];

		if (g->offset >= 0 && now_ns() - g->put_ns > c.forgets_s * S && !is_pending(g->name)) {
			machine_counts[OFFSETS_FORGOTTEN]++;
			g->offset = -1;
			*g->note = 0;
		}
	}
}

static void time_goes_on(void)
{
	strays_come();
	forget_groups();
	while (c.landing_count && machine_one_in(SETTLES_ONE_IN))
		land_offset();
	for (uint32_t i = 0; i < c.id_count; i++) {
		struct id *at = &c.ids[i];

		if (at->state == ONGOING && now_ns() - at->began_ns > c.txn_s * S)
			abort_txn(at, TXN_TIMED_OUT);
		else if (at->state > ONGOING && machine_one_in(SETTLES_ONE_IN))
			end_txn(at);
	}
	if (machine_one_in(c.rough.outage)) {
		machine_counts[OUTAGES]++;
		c.down_until_ns = now_ns() + machine_below(OUTAGE_S * 1000) * MS;
	}
}

void cluster_settle(void)
{
	for (uint32_t i = 0; i < c.stray_count; i++) {
		machine_counts[REQUESTS_STALE]++;
		take(&c.strays[i]);
		wr_bytes_deinit(&c.strays[i].lines);
	}
	c.stray_count = 0;
	for (uint32_t i = 0; i < c.id_count; i++) {
		if (c.ids[i].state == ONGOING)
			abort_txn(&c.ids[i], TXN_TIMED_OUT);
		end_txn(&c.ids[i]);
	}
	while (c.landing_count)
		land_offset();
	wr_bytes_put_u8(&c.visible, 0);
	c.visible.len--;
}

bool cluster_goes_on(struct cluster_process *p)
{
	while (!p->dead && p->rests_until_ns > now_ns())
		machine_sleep(p->rests_until_ns - now_ns());
	return !p->dead;
}

/* Between any two steps of a process: it may rest, or die. */
static bool lives(struct cluster_process *p)
{
	if (++p->requests == p->dies_at && !p->dead) {
		machine_counts[PROCESSES_KILLED]++;
		p->dead = true;
	}
	if (!p->dead && machine_one_in(c.rough.rest)) {
		machine_counts[RESTS]++;
		p->rests_until_ns = now_ns() + machine_below(REST_S * 1000) * MS;
	}
	return cluster_goes_on(p);
}

/* ---- the client's side ---- */

static void copy(struct cluster_request *to, const struct cluster_request *r)
{
	*to = *r;
	to->lines = (struct wr_bytes)WR_BYTES_EMPTY;
	if (r->lines.len)
		wr_bytes_put(&to->lines, r->lines.data, r->lines.len);
}

/* Brokers take the requests of a client in their order: what lies somewhere comes before the next, or not. */
static void settle_late(struct cluster_client *k)
{
	if (!k->waits)
		return;
	k->waits = false;
	if (machine_one_in(2))
		take(&k->late);
	wr_bytes_deinit(&k->late.lines);
}

static void stray(const struct cluster_request *r)
{
	if (c.stray_count < STRAYS)
		copy(&c.strays[c.stray_count++], r);
}

static bool is_down(void)
{
	return c.down_until_ns > now_ns();
}

static enum code give_up(enum machine_count why)
{
	machine_counts[why]++;
	machine_sleep(CALL_S * S);
	return UNKNOWN;
}

static enum code on_its_way(struct cluster_client *k, struct cluster_request *r)
{
	enum code code;

	settle_late(k);
	time_goes_on();
	if (is_down() || machine_one_in(c.rough.lost))
		return give_up(REQUESTS_LOST);
	if (machine_one_in(c.rough.late)) {
		copy(&k->late, r);
		k->waits = true;
		return give_up(REQUESTS_LATE);
	}
	code = take(r);
	return machine_one_in(c.rough.unanswered) ? give_up(ANSWERS_LOST) : code;
}

static enum code ask(struct cluster_client *k, struct cluster_request *r)
{
	enum code code;

	r->id = k->id;
	r->epoch = k->epoch;
	r->process = k->process->number;
	if (!lives(k->process))
		return GONE;
	machine_sleep(machine_below(WAY_MS * 1000) * MS / 1000);
	if (!lives(k->process)) {
		if (machine_one_in(2))
			stray(r);
		return GONE;
	}
	code = on_its_way(k, r);
	machine_sleep(machine_below(WAY_MS * 1000) * MS / 1000);
	if (code == BUSY)
		machine_sleep(PAUSE_MS * MS);
	return lives(k->process) ? code : GONE;
}

static int answer(struct cluster_client *k, enum code code, const char *what)
{
	static const char *const words[] = {"", "no answer", "another transaction is not over", "fenced",
					    "the process is gone"};

	if (k->fatal)
		code = REFUSED;
	if (code == FINE)
		return WR_OK;
	k->fatal |= code == REFUSED;
	wr_error_set(WR_ETRANSIENT, "%s: %s", what, words[code]);
	return code == UNKNOWN || code == BUSY ? WR_AGAIN : WR_ETRANSIENT;
}

static int client_open(void *arg, const char *id)
{
	struct cluster_client *k = arg;

	if (k->open)
		machine_failed("a client is opened in the place of one that is open");
	*k = (struct cluster_client){.process = k->process, .lines = k->lines, .open = true, .id = id_of(id)};
	return WR_OK;
}

static void client_close(void *arg)
{
	struct cluster_client *k = arg;

	if (k->waits) {
		stray(&k->late);
		wr_bytes_deinit(&k->late.lines);
	}
	if (k->in_doubt) {
		machine_counts[COMMITS_UNKNOWN]++;
		machine_counts[COMMITS_UNKNOWN_DONE] +=
		    c.ids[k->id].epoch == k->epoch && c.ids[k->id].committed;
	}
	k->waits = k->open = k->in_doubt = false;
}

static int client_init(void *arg)
{
	struct cluster_client *k = arg;
	struct cluster_request r = {.what = CLUSTER_INIT};
	enum code code = ask(k, &r);

	if (code == FINE)
		k->epoch = r.epoch;
	return answer(k, code, "init");
}

static int client_read(void *arg, const char *group, struct wr_kafka_found *out)
{
	struct cluster_client *k = arg;
	enum code code = FINE;
	uint32_t at;

	*out = (struct wr_kafka_found){.offset = -1};
	if (!lives(k->process))
		return answer(k, GONE, "read");
	machine_sleep(machine_below(WAY_MS * 1000) * MS / 1000);
	time_goes_on();
	if (is_down() || machine_one_in(c.rough.lost))
		return answer(k, give_up(REQUESTS_LOST), "read");
	at = find_group(group);
	if (at < c.group_count) {
		out->offset = c.groups[at].offset;
		memcpy(out->note, c.groups[at].note, sizeof out->note);
	}
	if (is_pending(group)) {
		machine_counts[GROUPS_PENDING]++;
		machine_sleep(PAUSE_MS * MS);
		code = BUSY;
	}
	return lives(k->process) ? answer(k, code, "read") : answer(k, GONE, "read");
}

static int client_begin(void *arg)
{
	struct cluster_client *k = arg;

	if (!k->epoch)
		machine_failed("a transaction is begun without an init");
	return answer(k, FINE, "begin");
}

static int send_batch(struct cluster_client *k, const uint8_t *lines, size_t len)
{
	struct cluster_request r = {.what = CLUSTER_APPEND, .sequence = ++k->sequence};
	int rc = WR_AGAIN;

	if (len)
		wr_bytes_put(&r.lines, lines, len);
	for (int i = 0; i < TRIES && rc == WR_AGAIN; i++)
		rc = answer(k, ask(k, &r), "rows");
	wr_bytes_deinit(&r.lines);
	return rc == WR_AGAIN ? WR_ETRANSIENT : rc;
}

static int client_send(void *arg, struct wr_epoch_rows *rows)
{
	struct cluster_client *k = arg;
	struct wr_bytes lines = WR_BYTES_EMPTY;
	int rc = k->lines(rows, &lines);
	size_t half = 0;

	while (half < lines.len / 2 || (half && half < lines.len && lines.data[half - 1] != '\n'))
		half++;
	if (rc == WR_OK && half)
		rc = send_batch(k, lines.data, half);
	if (rc == WR_OK)
		rc = send_batch(k, lines.data + half, lines.len - half);
	wr_bytes_deinit(&lines);
	return rc;
}

static int client_put(void *arg, const char *group, int64_t offset, const char *note)
{
	struct cluster_client *k = arg;
	struct cluster_request r = {.what = CLUSTER_PUT, .offset = offset};

	snprintf(r.group, sizeof r.group, "%s", group);
	snprintf(r.note, sizeof r.note, "%s", note);
	return answer(k, ask(k, &r), "put");
}

static int client_commit(void *arg)
{
	struct cluster_client *k = arg;
	enum code code = ask(k, &(struct cluster_request){.what = CLUSTER_COMMIT});

	k->in_doubt = code != FINE && code != REFUSED;
	return answer(k, code, "commit");
}

const struct wr_kafka_txn_ops cluster_ops = {.open = client_open,
					     .close = client_close,
					     .init = client_init,
					     .read = client_read,
					     .begin = client_begin,
					     .send = client_send,
					     .put = client_put,
					     .commit = client_commit};
