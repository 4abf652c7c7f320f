/* SPDX-License-Identifier: Apache-2.0 */
/* topics: a sink of the simulation that writes as that of Kafka does (publish/publisher.h), into the model of
 * a cluster (cluster.h). What takes seconds there takes milliseconds here, as all in these jobs. */
#pragma once
#include "task/stage.h"

/* An empty cluster. */
void topics_init(void);
/* Requests and answers are lost, and brokers are away, now and then. */
void topics_rough(bool faults);
/* From now on nothing that the process does reaches brokers, but for what is under way. */
void topics_cut_off(void);
/* Another process begins. */
void topics_go_on(void);
/* All rows that are visible, as JSON, a line each. */
void topics_rows(struct wr_bytes *out);
extern const struct wr_stage_ops topics_stage_ops;
