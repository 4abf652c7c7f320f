/* SPDX-License-Identifier: Apache-2.0 */
/* part: a partition as a split of a source; see part.h. */
#include "kafka/part.h"

#include <string.h>
#include <xxhash.h>
#include "base/error.h"

void wr_kafka_part_put(struct wr_bytes *out, const struct wr_kafka_part *part)
{
	wr_value_put_record(out, 4);
	wr_value_put_name(out, "from");
	wr_value_put_i64(out, part->from);
	wr_value_put_name(out, "partition");
	wr_value_put_i64(out, part->partition);
	wr_value_put_name(out, "to");
	wr_value_put_i64(out, part->to);
	wr_value_put_name(out, "topic");
	wr_value_put_str(out, part->topic);
}

/* A whole number: an edited savepoint may have Lua's. */
static bool whole(const struct wr_value *v, const char *name, int64_t *out)
{
	const struct wr_value *n = wr_value_get(v, name);

	if (n && n->tag == WR_V_F64 && n->f64 >= -2 && n->f64 <= 0x1p53 && n->f64 == (double)(int64_t)n->f64)
		*out = (int64_t)n->f64;
	else if (n && n->tag == WR_V_I64)
		*out = n->i64;
	else
		return false;
	return true;
}

int wr_kafka_part_of(const struct wr_value *v, struct wr_kafka_part *out)
{
	const struct wr_value *topic = v->tag == WR_V_RECORD ? wr_value_get(v, "topic") : NULL;
	int64_t partition;

	if (!topic || topic->tag != WR_V_STR || !whole(v, "partition", &partition) ||
	    !whole(v, "from", &out->from) || !whole(v, "to", &out->to) || partition < 0 ||
	    partition > INT32_MAX || out->from < WR_KAFKA_BEGINNING)
		return wr_error_set(WR_EUSER, "a saved position of a partition is malformed");
	out->topic = topic->str.p;
	out->partition = (int32_t)partition;
	return WR_OK;
}

int wr_kafka_part_order(const struct wr_kafka_part *a, const struct wr_kafka_part *b)
{
	int order = strcmp(a->topic, b->topic);

	return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

int wr_kafka_part_compare(const void *a, const void *b)
{
	return wr_kafka_part_order(a, b);
}

uint32_t wr_kafka_part_owner(const struct wr_kafka_part *part, uint32_t parallelism)
{
	uint64_t first = XXH3_64bits(part->topic, strlen(part->topic)) % parallelism;

	return (uint32_t)((first + (uint32_t)part->partition) % parallelism);
}
