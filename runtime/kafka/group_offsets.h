/* SPDX-License-Identifier: Apache-2.0 */
/* group_offsets: positions that a consumer group is told of when the checkpoint that has them holds: a
 * courtesy to those who look at the group, which nothing here reads. On the task's thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rd_kafka_s;
struct rd_kafka_topic_partition_list_s;
struct wr_kafka_part;

struct wr_kafka_group_offsets { /* zeroed: empty */
	struct wr_kafka_positions {
		uint64_t checkpoint;
		struct rd_kafka_topic_partition_list_s *list;
	} * waiting; /* in the order of checkpoints */
	uint32_t count, size;
	uint64_t last;	  /* the first checkpoint that has the last positions, 0 = none yet */
	bool last_told;	  /* to the group */
	uint32_t unheard; /* answers of the group that have not come yet */
};
/* One more position of a checkpoint, the newest. Where the heap refuses the group is told less. */
void wr_kafka_group_offsets_add(struct wr_kafka_group_offsets *g, uint64_t checkpoint,
				const struct wr_kafka_part *part);
/* The checkpoint holds: tells the group, and waits for nothing. Older ones are forgotten. */
void wr_kafka_group_offsets_complete(struct wr_kafka_group_offsets *g, struct rd_kafka_s *rk,
				     uint64_t checkpoint);
/* The positions of this checkpoint do not change any more. */
void wr_kafka_group_offsets_last(struct wr_kafka_group_offsets *g, uint64_t checkpoint);
/* The group has answered. */
void wr_kafka_group_offsets_answered(struct wr_kafka_group_offsets *g);
/* It has answered to the last positions. */
bool wr_kafka_group_offsets_over(const struct wr_kafka_group_offsets *g);
/* Before the handle is closed. */
void wr_kafka_group_offsets_deinit(struct wr_kafka_group_offsets *g);
