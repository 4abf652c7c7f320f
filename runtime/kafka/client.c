/* SPDX-License-Identifier: Apache-2.0 */
/* client: the life of one handle of librdkafka, and what it says; see client.h. */
#include "kafka/client.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <syslog.h>
#include "base/error.h"
#include "base/clock.h"
#include "base/log.h"
#include "stream/remote.h"

enum { REASON_MAX = 512 };

/* ---- what the library calls ---- */

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct wr_kafka_client *c = rd_kafka_opaque(rk);

	if (!strcmp(facility, "FAIL")) /* on_error is told it, too */
		level = LOG_DEBUG;
	if (level <= LOG_CRIT)
		wr_err("kafka", "%s: %s: %s", c->name, facility, text);
	else if (level <= LOG_WARNING)
		wr_warn("kafka", "%s: %s: %s", c->name, facility, text);
	else if (level <= LOG_INFO)
		wr_info("kafka", "%s: %s: %s", c->name, facility, text);
	else
		wr_debug("kafka", "%s: %s: %s", c->name, facility, text);
}

/* Is it the trouble that was told last? The library adds how long it took, and how often it was met. */
static bool is_told(const struct wr_kafka_client *c, const char *reason)
{
	const char *rest = strstr(reason, " (after ");
	size_t len = rest ? (size_t)(rest - reason) : strlen(reason);

	return c->error[0] && !strncmp(c->error, reason, len < sizeof c->error ? len : sizeof c->error - 1);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct wr_kafka_client *c = opaque;
	char fatal[sizeof c->error];

	if (code == RD_KAFKA_RESP_ERR__FATAL && rd_kafka_fatal_error(rk, fatal, sizeof fatal))
		reason = fatal;
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		if (c->down)
			return;
		wr_warn("kafka", "%s: no broker can be reached; trying again", c->name);
		c->down = true;
		c->down_ns = wr_clock_ns(wr_clock_system());
		if (c->remote)
			wr_remote_say_down(c->remote, c->down_ns);
		return;
	}
	if (c->remote)
		wr_remote_say_error(c->remote, reason);
	if (is_told(c, reason))
		return;
	wr_warn("kafka", "%s: %s", c->name, reason);
	snprintf(c->error, sizeof c->error, "%s", reason);
}

/* ---- life ---- */

int wr_kafka_client_open(struct wr_kafka_client *c, enum wr_kafka_role role, struct rd_kafka_conf_s *conf,
			 const char *name, void *owner)
{
	char reason[REASON_MAX] = "";

	*c = (struct wr_kafka_client){.role = role, .owner = owner};
	snprintf(c->name, sizeof c->name, "%s", name);
	rd_kafka_conf_set_opaque(conf, c);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	c->rk = rd_kafka_new(role == WR_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, reason,
			     sizeof reason);
	if (c->rk)
		return WR_OK;
	rd_kafka_conf_destroy(conf);
	return wr_error_set(WR_EUSER, "no client of Kafka can be made: %s", reason);
}

void wr_kafka_client_close(struct wr_kafka_client *c)
{
	if (c->rk) /* a consumer is a member of no group: there is nothing to leave */
		rd_kafka_destroy_flags(
		    c->rk, c->role == WR_KAFKA_CONSUMER ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0);
	c->rk = NULL;
}

void wr_kafka_client_tell(struct wr_kafka_client *c, struct wr_remote *remote)
{
	struct wr_remote_view v;

	wr_remote_look(remote, &v);
	c->remote = remote;
	c->down = v.down_ns != 0;
	c->down_ns = v.down_ns;
}

void wr_kafka_client_up(struct wr_kafka_client *c)
{
	if (!c->down)
		return;
	c->down = false;
	c->error[0] = 0;
	if (c->remote)
		wr_remote_say_down(c->remote, 0);
	wr_info("kafka", "%s: a broker is reached again, after %.1f s", c->name,
		(double)(wr_clock_ns(wr_clock_system()) - c->down_ns) / 1e9);
}

/* The library looks for a broker that is up before it asks: none, and that is its answer. */
void wr_kafka_client_look(struct wr_kafka_client *c)
{
	const struct rd_kafka_metadata *m = NULL;
	rd_kafka_resp_err_t error = rd_kafka_metadata(c->rk, 0, NULL, &m, 0);

	if (m)
		rd_kafka_metadata_destroy(m);
	if (error != RD_KAFKA_RESP_ERR__TRANSPORT)
		wr_kafka_client_up(c);
}

/* ---- errors ---- */

static bool is_transient(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__WAIT_COORD:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
	case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS:
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
	case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
		return true;
	default:
		return false;
	}
}

int wr_kafka_failed(int code, const char *fmt, ...)
{
	char what[REASON_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return wr_error_set(is_transient(code) ? WR_ETRANSIENT : WR_EUSER, "%s: %s", what,
			    rd_kafka_err2str(code));
}
