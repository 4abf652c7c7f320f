/* SPDX-License-Identifier: Apache-2.0 */
/* client: the life of one handle of librdkafka, and what it says: its logs and errors are lines of our log,
 * with the name of the operator that it is of; "partitions" for the one that looks these up.
 *
 * Threads of the library write logs. Everything else happens on whichever thread of the owner polls, one at a
 * time: errors of the connection become known there.
 */
#pragma once
#include "base/notify.h"
#include "module/kafka.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;

struct wr_kafka_client {
	struct rd_kafka_s *rk; /* NULL: closed */
	enum wr_kafka_role role;
	void *owner;		  /* whom callbacks are for: rd_kafka_opaque gives the client */
	char name[128];		  /* "orders[0]" */
	bool down;		  /* no broker was reached since wr_kafka_client_up */
	uint64_t down_ns;	  /* monotonic: since when */
	struct wr_remote *remote; /* is told, or NULL */
	char error[256];	  /* what was wrong last, "" = nothing yet */
};

/* `name` for messages, copied. `conf` is taken, also when this fails; callbacks of the stage's own may be set
 * in it. `c` stays where it is until it is closed. WR_OK; WR_EUSER: properties that do not go together, or a
 * file they name cannot be read. */
int wr_kafka_client_open(struct wr_kafka_client *c, enum wr_kafka_role role, struct rd_kafka_conf_s *conf,
			 const char *name, void *owner);
/* Waits for the library's threads. Whoever made topics, queues, messages or lists of the handle has freed
 * them: the library would wait for them for ever. Nothing if it is closed. */
void wr_kafka_client_close(struct wr_kafka_client *c);

/* Where it is said, from now on, whether a broker is reached; behind open. What was said of a handle before
 * this one holds on. */
void wr_kafka_client_tell(struct wr_kafka_client *c, struct wr_remote *remote);
/* Something came from a broker: it is reached. */
void wr_kafka_client_up(struct wr_kafka_client *c);
/* Of one that is down: asks whether a broker is reached again. Does not wait. */
void wr_kafka_client_look(struct wr_kafka_client *c);

/* Sets this thread's error to "<formatted>: the library's words", by a code (rd_kafka_resp_err_t).
 * WR_ETRANSIENT where trying again may help, else WR_EUSER. */
int wr_kafka_failed(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
