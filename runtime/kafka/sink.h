/* SPDX-License-Identifier: Apache-2.0 */
/* sink: the stages that write to topics. Options: those of message.h; partitioner; brokers and properties. */
#pragma once
#include "task/stage.h"

/* guarantee = "none" or "at_least_once" (the default). */
extern const struct wr_stage_ops wr_kafka_sink_ops;
/* Exactly once (once.c). transactional_id_prefix, else "weir-JOB"; marker_topic where `topic` is not one for
 * all; marker_retention in ms, else what the broker says. */
extern const struct wr_stage_ops wr_kafka_once_ops;
