/* SPDX-License-Identifier: Apache-2.0 */
/* kafka: the module "kafka": what it offers to the program (module/kafka.h). */
#include "kafka/lookup.h"
#include "kafka/properties.h"
#include "kafka/sink.h"
#include "kafka/source.h"
#include "module/module.h"

static const struct wr_kafka_functions functions = {
    .property_check = wr_kafka_property_check,
    .property_names = wr_kafka_property_names,
    .pattern_check = wr_kafka_names_check,
    .source = &wr_kafka_source_ops,
    .enumerator = &wr_kafka_enumerator_ops,
    .sink = &wr_kafka_sink_ops,
    .once = &wr_kafka_once_ops,
};

const struct wr_module wr_module = {.version = WR_KAFKA_VERSION, .functions = &functions};
