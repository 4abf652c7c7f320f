/* SPDX-License-Identifier: Apache-2.0 */
/* connect: the lists of what this folder offers, by the kinds that plans name. */
#include "connect/connect.h"
#include "commit/sink.h"
#include "connect/kinds.h"
#include "module/kafka.h"

static const struct wr_stage_ops *kafka_source(void)
{
	const struct wr_kafka_functions *m = wr_kafka_module();

	return m ? m->source : NULL;
}

static const struct wr_stage_ops kafka_ops = {.kind = "kafka", .load = kafka_source};

static const struct wr_stage_ops *kafka_sink(void)
{
	const struct wr_kafka_functions *m = wr_kafka_module();

	return m ? m->sink : NULL;
}

static const struct wr_stage_ops *kafka_once(void)
{
	const struct wr_kafka_functions *m = wr_kafka_module();

	return m ? m->once : NULL;
}

static const struct wr_stage_ops kafka_sink_ops = {.kind = "kafka_sink", .load = kafka_sink};
static const struct wr_stage_ops kafka_once_ops = {.kind = "kafka_once", .load = kafka_once};

/* The enumerator that it gives is the module's own. */
static struct wr_enumerator *kafka_make(const struct wr_value *options, uint32_t parallelism,
					void (*post)(void *arg, uint32_t subtask, uint32_t type,
						     const void *payload, uint32_t len),
					void *arg)
{
	const struct wr_kafka_functions *m = wr_kafka_module();

	return m ? m->enumerator->make(options, parallelism, post, arg) : NULL;
}

static const struct wr_enumerator_ops kafka_enumerator_ops = {.kind = "kafka", .make = kafka_make};

const struct wr_stage_kind wr_connect_kinds[] = {
    {"collect", &wr_collect_ops},
    {"discard", &wr_discard_ops},
    {"feed", &wr_feed_ops},
    {"file", &wr_file_sink_ops},
    {"file_once", &wr_file_once_ops},
    {"files", &wr_files_ops},
    {"kafka", &kafka_ops},
    {"kafka_once", &kafka_once_ops},
    {"kafka_sink", &kafka_sink_ops},
    {"print", &wr_print_ops},
    {"sequence", &wr_sequence_ops},
    {"stdin", &wr_stdin_ops},
    {"stdout", &wr_print_ops},
    {"tcp", &wr_tcp_ops},
    {"tcp_sink", &wr_tcp_sink_ops},
    {"values", &wr_values_ops},
};
const unsigned wr_connect_kinds_count = sizeof wr_connect_kinds / sizeof wr_connect_kinds[0];

const struct wr_enumerator_ops *const wr_enumerators[] = {&wr_files_enumerator_ops, &kafka_enumerator_ops};
const unsigned wr_enumerators_count = sizeof wr_enumerators / sizeof wr_enumerators[0];
