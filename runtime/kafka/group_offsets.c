/* SPDX-License-Identifier: Apache-2.0 */
/* group_offsets: positions that a consumer group is told of; see group_offsets.h. */
#include "kafka/group_offsets.h"

#include <librdkafka/rdkafka.h>
#include "base/error.h"
#include "base/mem.h"
#include "kafka/part.h"

static struct wr_mem mem = WR_MEM_INIT("kafka.group_offsets");

static struct wr_kafka_positions *newest(struct wr_kafka_group_offsets *g, uint64_t checkpoint)
{
	if (g->count && g->waiting[g->count - 1].checkpoint == checkpoint)
		return &g->waiting[g->count - 1];
	if (g->count == g->size && WR_GROW(&mem, g->waiting, g->size, 4) != WR_OK)
		return NULL;
	g->waiting[g->count] = (struct wr_kafka_positions){checkpoint, rd_kafka_topic_partition_list_new(8)};
	return &g->waiting[g->count++];
}

void wr_kafka_group_offsets_add(struct wr_kafka_group_offsets *g, uint64_t checkpoint,
				const struct wr_kafka_part *part)
{
	struct wr_kafka_positions *to = newest(g, checkpoint);

	if (to)
		rd_kafka_topic_partition_list_add(to->list, part->topic, part->partition)->offset =
		    part->from;
}

static void drop_first(struct wr_kafka_group_offsets *g)
{
	rd_kafka_topic_partition_list_destroy(g->waiting[0].list);
	memmove(g->waiting, g->waiting + 1, --g->count * sizeof *g->waiting);
}

void wr_kafka_group_offsets_complete(struct wr_kafka_group_offsets *g, struct rd_kafka_s *rk,
				     uint64_t checkpoint)
{
	while (g->count && g->waiting[0].checkpoint <= checkpoint) {
		if (g->waiting[0].checkpoint == checkpoint)
			g->unheard +=
			    rd_kafka_commit(rk, g->waiting[0].list, 1) == RD_KAFKA_RESP_ERR_NO_ERROR;
		drop_first(g);
	}
	g->last_told |= g->last && checkpoint >= g->last;
}

void wr_kafka_group_offsets_last(struct wr_kafka_group_offsets *g, uint64_t checkpoint)
{
	if (!g->last)
		g->last = checkpoint;
}

void wr_kafka_group_offsets_answered(struct wr_kafka_group_offsets *g)
{
	g->unheard -= g->unheard > 0;
}

bool wr_kafka_group_offsets_over(const struct wr_kafka_group_offsets *g)
{
	return g->last_told && !g->unheard;
}

void wr_kafka_group_offsets_deinit(struct wr_kafka_group_offsets *g)
{
	while (g->count)
		drop_first(g);
	wr_free(&mem, g->waiting);
	*g = (struct wr_kafka_group_offsets){0};
}
