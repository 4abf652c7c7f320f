/* SPDX-License-Identifier: Apache-2.0 */
/* properties: what a script says of its client, as a configuration of librdkafka; see properties.h.
 *
 * Which properties there are, for whom and in which range, is read from the table that the library prints of
 * itself, so a newer library brings its own:
 *
 *   Property | C/P | Range | Default | Importance | Description
 *
 * C: of consumers, P: of producers, *: of both.
 */
#include "kafka/properties.h"

#include <librdkafka/rdkafka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/error.h"

enum { REASON_MAX = 512 };

/* What is ours to set, and what says it instead. */
static const struct ours {
	const char *name, *instead;
} ours[] = {
    {"auto.commit.enable", "positions are in checkpoints; the option \"commit\" tells the group of them"},
    {"auto.commit.interval.ms",
     "positions are in checkpoints; the option \"commit\" tells the group of them"},
    {"auto.offset.reset", "the options \"start\" and \"out_of_range\" say it"},
    {"bootstrap.servers", "the option \"brokers\" says it"},
    {"delivery.report.only.error", "the sink sets it"},
    {"enable.auto.commit", "positions are in checkpoints; the option \"commit\" tells the group of them"},
    {"enable.auto.offset.store",
     "positions are in checkpoints; the option \"commit\" tells the group of them"},
    {"enable.idempotence", "the option \"guarantee\" says it"},
    {"enable.partition.eof", "the source needs it as it is"},
    {"group.id", "the option \"group\" says it"},
    {"isolation.level", "the option \"isolation\" says it"},
    {"metadata.broker.list", "the option \"brokers\" says it"},
    {"offset.store.method", "positions are in checkpoints"},
    {"partition.assignment.strategy", "the job assigns partitions to its subtasks"},
    {"partitioner", "the option \"partitioner\" says it"},
    {"statistics.interval.ms", "nobody would see them"},
    {"transactional.id", "the option \"transactional_id_prefix\" says it"},
};

/* Ours, for every client of the role, unless a script says otherwise. */
static const struct preset {
	enum wr_kafka_role role;
	const char *name, *value;
} presets[] = {
    {WR_KAFKA_CONSUMER, "allow.auto.create.topics", "false"},
    {WR_KAFKA_CONSUMER, "socket.keepalive.enable", "true"},
    {WR_KAFKA_PRODUCER, "socket.keepalive.enable", "true"},
    {WR_KAFKA_PRODUCER, "transaction.timeout.ms", "300000"},
};

/* ---- the library's table ---- */

struct cell {
	const char *p;
	size_t len;
};
struct row {
	struct cell name, role, range;
};

static ssize_t append(void *cookie, const char *p, size_t len)
{
	struct wr_bytes *out = cookie;

	wr_bytes_put(out, p, len);
	return out->failed ? -1 : (ssize_t)len;
}

static int print_table(struct wr_bytes *out)
{
	FILE *f = fopencookie(out, "w", (cookie_io_functions_t){.write = append});

	if (!f)
		return wr_error_nomem(0, "the properties of librdkafka");
	rd_kafka_conf_properties_show(f);
	fclose(f);
	wr_bytes_put_u8(out, 0);
	return wr_bytes_status(out);
}

/* The next cell of the line at *at, without the blanks around it. */
static struct cell cut(const char **at)
{
	size_t n = strcspn(*at, "|\n");
	struct cell c = {*at, n};

	*at += n + ((*at)[n] == '|');
	while (c.len && *c.p == ' ') {
		c.p++;
		c.len--;
	}
	while (c.len && c.p[c.len - 1] == ' ')
		c.len--;
	return c;
}

/* The next row at *at, passing over what is none; false: there is none any more. */
static bool next_row(const char **at, struct row *r)
{
	while (**at) {
		const char *line = *at;

		*at += strcspn(line, "\n");
		*at += **at == '\n';
		r->name = cut(&line);
		r->role = cut(&line);
		r->range = cut(&line);
		if (r->role.len == 1 && strchr("CP*", *r->role.p))
			return true;
	}
	return false;
}

static bool is_of(const struct row *r, enum wr_kafka_role role)
{
	return *r->role.p == '*' || *r->role.p == (role == WR_KAFKA_CONSUMER ? 'C' : 'P');
}

static bool is_callback(const struct row *r)
{
	return r->name.len > 3 && !memcmp(r->name.p + r->name.len - 3, "_cb", 3);
}

static const struct ours *ours_of(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (strlen(ours[i].name) == len && !memcmp(ours[i].name, name, len))
			return &ours[i];
	return NULL;
}

/* ---- checking ---- */

/* A number in its range: the library takes "1x" for 1, and "" for 0. Words are its own business: acks =
 * "all". */
static int check_number(const struct row *r, const char *name, const char *value)
{
	long long min, max, v;
	char *end;

	if (sscanf(r->range.p, "%lld .. %lld", &min, &max) != 2)
		return WR_OK;
	errno = 0;
	v = strtoll(value, &end, 10);
	if (end == value && *value)
		return WR_OK;
	if (errno || end == value || *end || v < min || v > max)
		return wr_error_set(WR_EUSER, "the property \"%s\" is a number from %lld to %lld, not \"%s\"",
				    name, min, max, value);
	return WR_OK;
}

static int check_value(const struct row *r, const char *name, const char *value)
{
	rd_kafka_conf_t *conf;
	int rc = check_number(r, name, value);

	if (rc != WR_OK)
		return rc;
	conf = rd_kafka_conf_new();
	rc = wr_kafka_conf_set(conf, name, value);
	rd_kafka_conf_destroy(conf);
	return rc;
}

static int check_row(const struct row *r, enum wr_kafka_role role, const char *name, const char *value)
{
	if (is_callback(r))
		return wr_error_set(
		    WR_EUSER, "\"%s\" is a function of librdkafka's, and no property that has a value", name);
	if (!is_of(r, role))
		return wr_error_set(WR_EUSER, "the property \"%s\" is one of %s only", name,
				    role == WR_KAFKA_CONSUMER ? "producers (sinks)" : "consumers (sources)");
	return check_value(r, name, value);
}

/* A name may have two rows, one for each role. */
static bool find(const char *table, enum wr_kafka_role role, const char *name, struct row *found)
{
	size_t len = strlen(name);
	bool any = false;
	struct row r;

	while (next_row(&table, &r)) {
		if (r.name.len != len || memcmp(r.name.p, name, len) || (any && !is_of(&r, role)))
			continue;
		*found = r;
		any = true;
	}
	return any;
}

int wr_kafka_property_check(enum wr_kafka_role role, const char *name, const char *value)
{
	const struct ours *o = ours_of(name, strlen(name));
	struct wr_bytes table = WR_BYTES_EMPTY;
	struct row r;
	int rc;

	if (o)
		return wr_error_set(WR_EUSER, "the property \"%s\" cannot be set: %s", name, o->instead);
	rc = print_table(&table);
	if (rc == WR_OK)
		rc = find((const char *)table.data, role, name, &r)
			 ? check_row(&r, role, name, value)
			 : wr_error_set(WR_EUSER, "librdkafka has no property \"%s\"", name);
	wr_bytes_deinit(&table);
	return rc;
}

int wr_kafka_property_names(enum wr_kafka_role role, struct wr_bytes *out)
{
	struct wr_bytes table = WR_BYTES_EMPTY;
	int rc = print_table(&table);
	const char *at = (const char *)table.data;
	struct row r;

	while (rc == WR_OK && next_row(&at, &r)) {
		if (!is_of(&r, role) || is_callback(&r) || ours_of(r.name.p, r.name.len))
			continue;
		wr_bytes_put(out, r.name.p, r.name.len);
		wr_bytes_put_u8(out, '\n');
	}
	wr_bytes_deinit(&table);
	return rc == WR_OK ? wr_bytes_status(out) : rc;
}

/* ---- configurations ---- */

int wr_kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value)
{
	char reason[REASON_MAX];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
		return WR_OK;
	return wr_error_set(WR_EUSER, "%s", reason);
}

static int set_presets(rd_kafka_conf_t *conf, enum wr_kafka_role role)
{
	int rc = WR_OK;

	for (size_t i = 0; i < sizeof presets / sizeof presets[0] && rc == WR_OK; i++)
		if (presets[i].role == role)
			rc = wr_kafka_conf_set(conf, presets[i].name, presets[i].value);
	return rc;
}

static int set_options(rd_kafka_conf_t *conf, const struct wr_value *options)
{
	const struct wr_value *properties = wr_value_get(options, "properties");
	int rc = wr_kafka_conf_set(conf, "bootstrap.servers", wr_value_str(options, "brokers", ""));

	if (!properties || properties->tag != WR_V_RECORD)
		return rc;
	for (uint32_t i = 0; i < properties->count && rc == WR_OK; i++)
		rc = wr_kafka_conf_set(conf, properties->keys[i].str.p, properties->items[i].str.p);
	return rc;
}

struct rd_kafka_conf_s *wr_kafka_conf_new(enum wr_kafka_role role, const struct wr_value *options,
					  const char *client_id)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	int rc = wr_kafka_conf_set(conf, "client.id", client_id);

	if (rc == WR_OK)
		rc = set_presets(conf, role);
	if (rc == WR_OK)
		rc = set_options(conf, options);
	if (rc == WR_OK)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

void wr_kafka_conf_free(struct rd_kafka_conf_s *conf)
{
	if (conf)
		rd_kafka_conf_destroy(conf);
}

int wr_kafka_conf_reads(rd_kafka_conf_t *conf, const struct wr_value *options)
{
	int rc = wr_kafka_conf_set(conf, "group.id", wr_value_str(options, "group", "weir"));

	return rc == WR_OK ? wr_kafka_conf_set(conf, "isolation.level",
					       wr_value_str(options, "isolation", "read_committed"))
			   : rc;
}

int wr_kafka_conf_default(struct rd_kafka_conf_s *conf, const struct wr_value *options, const char *name,
			  const char *value)
{
	return wr_value_get(wr_value_get(options, "properties"), name) ? WR_OK
								       : wr_kafka_conf_set(conf, name, value);
}
