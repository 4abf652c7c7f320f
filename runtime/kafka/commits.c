/* SPDX-License-Identifier: Apache-2.0 */
/* commits: positions that a consumer group is told of; see commits.h. */
#include "kafka/commits.h"

#include <librdkafka/rdkafka.h>
#include "base/error.h"
#include "base/mem.h"
#include "kafka/part.h"

static struct wr_mem mem = WR_MEM_INIT("kafka.commits");

static struct wr_kafka_commit *newest(struct wr_kafka_commits *c, uint64_t checkpoint)
{
	if (c->count && c->waiting[c->count - 1].checkpoint == checkpoint)
		return &c->waiting[c->count - 1];
	if (c->count == c->size && WR_GROW(&mem, c->waiting, c->size, 4) != WR_OK)
		return NULL;
	c->waiting[c->count] = (struct wr_kafka_commit){checkpoint, rd_kafka_topic_partition_list_new(8)};
	return &c->waiting[c->count++];
}

void wr_kafka_commits_add(struct wr_kafka_commits *c, uint64_t checkpoint, const struct wr_kafka_part *part)
{
	struct wr_kafka_commit *to = newest(c, checkpoint);

	if (to)
		rd_kafka_topic_partition_list_add(to->positions, part->topic, part->partition)->offset =
		    part->from;
}

static void drop_first(struct wr_kafka_commits *c)
{
	rd_kafka_topic_partition_list_destroy(c->waiting[0].positions);
	memmove(c->waiting, c->waiting + 1, --c->count * sizeof *c->waiting);
}

void wr_kafka_commits_complete(struct wr_kafka_commits *c, struct rd_kafka_s *rk, uint64_t checkpoint)
{
	while (c->count && c->waiting[0].checkpoint <= checkpoint) {
		if (c->waiting[0].checkpoint == checkpoint)
			c->unheard +=
			    rd_kafka_commit(rk, c->waiting[0].positions, 1) == RD_KAFKA_RESP_ERR_NO_ERROR;
		drop_first(c);
	}
	c->last_told |= c->last && checkpoint >= c->last;
}

void wr_kafka_commits_last(struct wr_kafka_commits *c, uint64_t checkpoint)
{
	if (!c->last)
		c->last = checkpoint;
}

void wr_kafka_commits_answered(struct wr_kafka_commits *c)
{
	c->unheard -= c->unheard > 0;
}

bool wr_kafka_commits_over(const struct wr_kafka_commits *c)
{
	return c->last_told && !c->unheard;
}

void wr_kafka_commits_deinit(struct wr_kafka_commits *c)
{
	while (c->count)
		drop_first(c);
	wr_free(&mem, c->waiting);
	*c = (struct wr_kafka_commits){0};
}
