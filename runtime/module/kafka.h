/* SPDX-License-Identifier: Apache-2.0 */
/* kafka: what the module "kafka" (runtime/kafka/, librdkafka) offers. It is loaded when a job first names a
 * topic. Any thread. */
#ifndef WR_MODULE_KAFKA_H
#define WR_MODULE_KAFKA_H
#include <stdint.h>

enum wr_kafka_role { WR_KAFKA_CONSUMER, WR_KAFKA_PRODUCER };

/* NULL: a property of such a client may have this value; else why not, borrowed until this thread's next
 * error. */
const char *wr_kafka_property_wrong(uint32_t role, const char *name, const char *value);
/* Writes the names of all properties of such a client to `to`, each with '\n' behind it. Gives their length,
 * at most `size`; 0: this thread's error says why. */
uint32_t wr_kafka_property_list(uint32_t role, char *to, uint32_t size);
/* NULL: a pattern of topics; else why it is none, borrowed likewise. */
const char *wr_kafka_pattern_wrong(const char *pattern);

#ifndef WR_CDEF
#include "base/bytes.h"

enum { WR_KAFKA_VERSION = 3 }; /* raised whenever a declaration of this file changes */

struct wr_stage_ops;
struct wr_enumerator_ops;

struct wr_kafka_functions {
	/* Is this a property of librdkafka for such a client, and the value one that it takes? WR_OK, or
	 * WR_EUSER with the error set. */
	int (*property_check)(enum wr_kafka_role role, const char *name, const char *value);
	/* Appends the names of those that a script may set, each with '\n' behind it. */
	int (*property_names)(enum wr_kafka_role role, struct wr_bytes *out);
	/* Is this a pattern of topics? WR_OK, or WR_EUSER with the error set. */
	int (*pattern_check)(const char *pattern);

	const struct wr_stage_ops *source;	    /* the reader of a subtask */
	const struct wr_enumerator_ops *enumerator; /* of the source */
	/* The stages of the sinks (kafka/sink.h). */
	const struct wr_stage_ops *sink, *once;
};

/* NULL with the error set, as of wr_module_load. */
const struct wr_kafka_functions *wr_kafka_module(void);
#endif
#endif
