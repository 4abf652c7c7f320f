/* SPDX-License-Identifier: Apache-2.0 */
/* source: the two halves of a source of Kafka, each in a file of its own: the reader of a subtask (source.c),
 * and the enumerator, which knows which partitions there are (enumerator.c). */
#pragma once

struct wr_stage_ops;
struct wr_enumerator_ops;

extern const struct wr_stage_ops wr_kafka_source_ops;
extern const struct wr_enumerator_ops wr_kafka_enumerator_ops;
