/* SPDX-License-Identifier: Apache-2.0 */
/* publisher: see publisher.h. */
#include "publish/publisher.h"

#include <inttypes.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#define PATIENCE_NS UINT64_C(60000000000)
#define LEAVING_NS UINT64_C(3000000000)
#define LOOK_NS UINT64_C(10000000000)

struct wait {
	uint64_t until_ns;
	bool leaving; /* and shortened by that */
};

static struct wait patience(const struct wr_kafka_publisher *p)
{
	return (struct wait){.until_ns = wr_clock_ns(p->clock) + PATIENCE_NS};
}

/* Shall the same call be tried once more? */
static bool again(const struct wr_kafka_publisher *p, int *rc, struct wait *w)
{
	uint64_t now_ns = wr_clock_ns(p->clock);

	if (*rc != WR_AGAIN)
		return false;
	if (!w->leaving && p->ops->is_leaving && p->ops->is_leaving(p->arg)) {
		w->leaving = true;
		if (w->until_ns > now_ns + LEAVING_NS)
			w->until_ns = now_ns + LEAVING_NS;
	}
	if (now_ns < w->until_ns)
		return true;
	*rc = wr_error_code();
	return false;
}

static int init(struct wr_kafka_publisher *p)
{
	struct wait wait = patience(p);
	int rc;

	do
		rc = p->ops->init(p->arg);
	while (again(p, &rc, &wait));
	return rc;
}

static int read_group_for(struct wr_kafka_publisher *p, const char *group, struct wr_kafka_found *found,
			  struct wait wait)
{
	int rc;

	do
		rc = p->ops->read(p->arg, group, found);
	while (again(p, &rc, &wait));
	return rc == WR_OK ? rc : wr_error_wrap(rc, "%s", p->name);
}

static int read_group(struct wr_kafka_publisher *p, const char *group, struct wr_kafka_found *found)
{
	return read_group_for(p, group, found, patience(p));
}

static int put(struct wr_kafka_publisher *p, const char *group, int64_t offset, const char *note)
{
	struct wait wait = patience(p);
	int rc;

	do
		rc = p->ops->put(p->arg, group, offset, note);
	while (again(p, &rc, &wait));
	return rc;
}

static int commit(struct wr_kafka_publisher *p)
{
	struct wait wait = patience(p);
	int rc;

	do
		rc = p->ops->commit(p->arg);
	while (again(p, &rc, &wait));
	return rc;
}

/* ---- a client of a log ---- */

static const char *prefix_of(const struct wr_kafka_publisher *p, const struct wr_mark *mark)
{
	return mark->scope ? mark->scope : p->prefix;
}

static int write_claim(struct wr_kafka_publisher *p, const char *id, uint64_t own)
{
	char note[WR_KAFKA_NOTE];
	int rc = p->ops->begin(p->arg);

	wr_kafka_note(WR_KAFKA_CLAIM, own, note);
	if (rc == WR_OK)
		rc = put(p, id, 0, note);
	WR_CRASH_STEP("kafka.claim");
	if (rc == WR_OK)
		rc = commit(p);
	return rc == WR_OK ? wr_kafka_claims_add(p->claims, id) : rc;
}

static int claim(struct wr_kafka_publisher *p, const char *id)
{
	struct wr_kafka_found found;
	enum wr_kafka_claimed is;
	uint64_t own;
	int rc = wr_kafka_claims_own(p->claims, &own);

	if (rc == WR_OK)
		rc = read_group(p, id, &found);
	if (rc != WR_OK)
		return rc;
	rc = wr_kafka_judge_claim(&found, own, wr_kafka_claims_has(p->claims, id), &is);
	if (rc != WR_OK)
		return wr_error_wrap(rc, "%s: group %s", p->name, id);
	if (is == WR_KAFKA_THEIRS)
		return wr_error_set(
		    WR_ESUPERSEDED,
		    "%s: another process of this job began after this one and has taken the "
		    "transactional id %s: this one writes nothing more. Two jobs that shall run "
		    "at the same time need different values of transactional_id_prefix",
		    p->name, id);
	return is == WR_KAFKA_FREE ? write_claim(p, id, own) : WR_OK;
}

int wr_kafka_publisher_open(struct wr_kafka_publisher *p, const struct wr_mark *mark)
{
	int rc;

	wr_kafka_publisher_close(p);
	wr_kafka_id(prefix_of(p, mark), mark, p->id);
	rc = p->ops->open(p->arg, p->id);
	if (rc == WR_OK && wr_kafka_claims_has(p->claims, p->id)) /* who was overtaken takes it from nobody */
		rc = claim(p, p->id);
	if (rc == WR_OK)
		rc = init(p);
	if (rc == WR_OK)
		rc = claim(p, p->id);
	p->is_open = rc == WR_OK;
	if (rc != WR_OK)
		p->ops->close(p->arg);
	return rc;
}

void wr_kafka_publisher_close(struct wr_kafka_publisher *p)
{
	p->is_open = false;
	p->ops->close(p->arg);
}

static bool is_of(const struct wr_kafka_publisher *p, const struct wr_mark *mark)
{
	char id[WR_KAFKA_GROUP];

	wr_kafka_id(prefix_of(p, mark), mark, id);
	return p->is_open && !strcmp(p->id, id);
}

/* ---- the marker ---- */

/* Has any process ever had the id of this log? Whoever had it has claimed it; brokers may have forgotten that
 * while they still know the marker, which is written again and again. Yes, also where there is no answer at
 * once: a process that died as it claimed the id leaves a transaction, which brokers end after a minute, and
 * who opens the id, now. */
static int was_used(struct wr_kafka_publisher *p, const struct wr_mark *mark, bool *used)
{
	const struct wait at_once = {0};
	struct wr_kafka_found found;
	char group[WR_KAFKA_GROUP];
	int rc;

	*used = true;
	if (!p->is_open)
		return WR_OK;
	wr_kafka_id(prefix_of(p, mark), mark, group);
	rc = read_group_for(p, group, &found, at_once);
	if (rc == WR_OK && found.offset < 0) {
		wr_kafka_marker(prefix_of(p, mark), mark, group);
		rc = read_group_for(p, group, &found, at_once);
	}
	*used = rc != WR_OK || found.offset >= 0;
	return rc == WR_ETRANSIENT ? WR_OK : rc;
}

static int read_marker(struct wr_kafka_publisher *p, const struct wr_mark *mark, struct wait wait,
		       uint64_t *epoch)
{
	struct wr_kafka_found found;
	char group[WR_KAFKA_GROUP];
	int rc;

	wr_kafka_marker(prefix_of(p, mark), mark, group);
	rc = read_group_for(p, group, &found, wait);
	if (rc != WR_OK)
		return rc;
	rc = wr_kafka_judge_marker(&found, mark->lineage, epoch);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "%s: group %s", p->name, group);
}

int wr_kafka_publisher_last(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t *epoch)
{
	bool used = true;
	int rc = WR_OK;

	*epoch = 0;
	if (!is_of(p, mark)) {
		rc = was_used(p, mark, &used);
		if (rc == WR_OK && used)
			rc = wr_kafka_publisher_open(p, mark);
	}
	return rc == WR_OK && used ? read_marker(p, mark, patience(p), epoch) : rc;
}

int wr_kafka_publisher_look(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t *epoch)
{
	int rc;

	WR_ASSERT(p->is_open);
	*epoch = 0;
	rc = read_marker(p, mark, (struct wait){.until_ns = wr_clock_ns(p->clock) + LOOK_NS}, epoch);
	return rc == WR_ETRANSIENT ? WR_OK : rc;
}

/* ---- epochs ---- */

static int put_marker(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch)
{
	char group[WR_KAFKA_GROUP], note[WR_KAFKA_NOTE];

	wr_kafka_marker(prefix_of(p, mark), mark, group);
	wr_kafka_note(WR_KAFKA_MARKER, mark->lineage, note);
	return put(p, group, (int64_t)epoch, note);
}

static int publish(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch,
		   struct wr_epoch_rows *rows)
{
	int rc = p->ops->begin(p->arg);

	WR_CRASH_STEP("kafka.begin");
	if (rc == WR_OK)
		rc = p->ops->send(p->arg, rows);
	WR_CRASH_STEP("kafka.send");
	if (rc == WR_OK)
		rc = put_marker(p, mark, epoch);
	WR_CRASH_STEP("kafka.marker");
	if (rc == WR_OK)
		rc = commit(p);
	WR_CRASH_STEP("kafka.commit");
	return rc;
}

/* A client for this log. Behind a new one the marker is read, *last, else 0: whoever was at rest for so long
 * that claims are forgotten may have been overtaken without a trace, also since the marker was asked for. */
static int open_for(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t *last)
{
	int rc;

	*last = 0;
	if (is_of(p, mark))
		return WR_OK;
	rc = wr_kafka_publisher_open(p, mark);
	return rc == WR_OK ? read_marker(p, mark, patience(p), last) : rc;
}

static int is_behind(const struct wr_kafka_publisher *p, int code, uint64_t last, uint64_t epoch)
{
	return wr_error_set(code,
			    "%s: another process of this job has committed epoch %" PRIu64
			    ", and this one is at %" PRIu64,
			    p->name, last, epoch);
}

int wr_kafka_publisher_commit(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch,
			      struct wr_epoch_rows *rows)
{
	uint64_t last;
	int rc = open_for(p, mark, &last);

	if (rc == WR_OK && last > epoch)
		rc = is_behind(p, WR_ETRANSIENT, last, epoch);
	if (rc == WR_OK && last != epoch)
		rc = publish(p, mark, epoch, rows);
	if (rc != WR_OK)
		wr_kafka_publisher_close(p);
	return rc;
}

static int write_again(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch)
{
	int rc = p->ops->begin(p->arg);

	if (rc == WR_OK)
		rc = put_marker(p, mark, epoch);
	return rc == WR_OK ? commit(p) : rc;
}

int wr_kafka_publisher_keep(struct wr_kafka_publisher *p, const struct wr_mark *mark, uint64_t epoch)
{
	uint64_t last;
	int rc = open_for(p, mark, &last);

	if (rc == WR_OK && last > epoch)
		rc = is_behind(p, WR_ESUPERSEDED, last, epoch);
	if (rc == WR_OK)
		rc = write_again(p, mark, epoch);
	if (rc != WR_OK)
		wr_kafka_publisher_close(p);
	return rc;
}
