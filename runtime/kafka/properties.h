/* SPDX-License-Identifier: Apache-2.0 */
/* properties: what a script says of its client, as a configuration of librdkafka. Any thread. */
#pragma once
#include "module/kafka.h"
#include "record/value.h"

struct rd_kafka_conf_s;

/* As in module/kafka.h. Properties that are ours, and those of the other role, are refused with the reason.
 */
int wr_kafka_property_check(enum wr_kafka_role role, const char *name, const char *value);
int wr_kafka_property_names(enum wr_kafka_role role, struct wr_bytes *out);

/* The configuration of a client by the options of its stage: `brokers`, a string, and `properties`, a record
 * of strings, over our own defaults. `client_id`: how brokers and their logs call it, unless a property says
 * so. The caller's, until a client takes it. NULL with the error set. */
struct rd_kafka_conf_s *wr_kafka_conf_new(enum wr_kafka_role role, const struct wr_value *options,
					  const char *client_id);
void wr_kafka_conf_free(struct rd_kafka_conf_s *conf);
/* Sets what a stage decides itself, also where scripts must not. WR_OK, or WR_EUSER: librdkafka's words. */
int wr_kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value);
/* Sets as whom a source reads, and what of transactions: its options `group` and `isolation`. */
int wr_kafka_conf_reads(struct rd_kafka_conf_s *conf, const struct wr_value *options);
/* Sets what a script may set otherwise: nothing if `options` have it among their properties. */
int wr_kafka_conf_default(struct rd_kafka_conf_s *conf, const struct wr_value *options, const char *name,
			  const char *value);
