/* SPDX-License-Identifier: Apache-2.0 */
/* messages_in: messages through the reader of a format that is a module: a row that must hold the check for
 * rows from outside, and through its writer and its reader again, which must give the same row. */
#pragma once
#include "base/assert.h"
#include "base/error.h"
#include "format/learn.h"
#include "module/codec.h"
#include "record/row.h"

static uint8_t fuzz_room[1 << 24] __attribute__((aligned(64)));

/* What a task gives its stages; linked in front of the task's own. */
uint8_t *wr_out_more(struct wr_out *o, uint32_t need)
{
	(void)o;
	(void)need;
	wr_error_set(WR_EUSER, "the fuzzer's room is full");
	return NULL;
}

/* The row in fuzz_room; NULL: the nodes are none. */
static inline const struct wr_elem *fuzz_row(const struct wr_node *nodes)
{
	struct wr_out out = {fuzz_room, fuzz_room + sizeof fuzz_room, 0};
	struct wr_learner *learner = wr_learner_new();
	int rc = wr_learner_row(learner, nodes, WR_TS_NONE, &out);

	wr_learner_free(learner);
	if (rc != WR_OK)
		return NULL;
	WR_ASSERT(wr_elem_verify(fuzz_room, (size_t)(out.p - fuzz_room), NULL) == WR_OK);
	return (const struct wr_elem *)fuzz_room;
}

/* `again` reads what `writer` writes; NULL: it is not tried. */
static inline void fuzz_message(const struct wr_codec *codec, void *reader, void *writer, void *again,
				const uint8_t *p, size_t len)
{
	struct wr_bytes first = WR_BYTES_EMPTY, second = WR_BYTES_EMPTY, message = WR_BYTES_EMPTY;
	const struct wr_elem *row;
	const struct wr_node *nodes;
	size_t count;

	if (codec->nodes(reader, p, len, &nodes, &count) != WR_OK)
		return;
	WR_ASSERT(count > 0 && wr_node_skip(nodes) == nodes + count);
	row = fuzz_row(nodes);
	if (!row)
		return;
	wr_row_json(row, &first);
	if (writer && codec->write(writer, row, &message) == WR_OK && again) {
		WR_ASSERT(codec->nodes(again, message.data, message.len, &nodes, &count) == WR_OK);
		row = fuzz_row(nodes);
		WR_ASSERT(row);
		wr_row_json(row, &second);
		WR_ASSERT(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	}
	wr_bytes_deinit(&first);
	wr_bytes_deinit(&second);
	wr_bytes_deinit(&message);
}
