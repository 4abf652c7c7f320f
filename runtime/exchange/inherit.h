/* SPDX-License-Identifier: Apache-2.0 */
/* inherit: what the channels of a restored task begin with: watermarks, and rows that were under way.
 *
 * Former channels are those of the subtasks whose place the task takes: its own where the parallelism is as
 * it was, else of all. Each goes on in one channel of the task, by its number where there are as many as
 * there were. Of their rows the task has those of its key groups where they come by key, else all or none of
 * a former channel. A channel begins at the lowest watermark of those that it inherits rows from, and their
 * watermarks are combined while these are read; it ends no further than where the new sender begins. So at
 * the same parallelism each row comes at the watermark it would have come at (K24). On the task's thread.
 */
#pragma once
#include "exchange/gate.h"
#include "exchange/valve.h"
#include "record/dict.h"
#include "record/row.h"
#include "record/value.h"

/* How rows of an input find their subtask. */
struct wr_input_keys {
	const struct wr_str *names; /* borrowed */
	uint32_t count;		    /* 0 = any subtask will do */
};
struct wr_inherit_options {
	struct wr_gate *gate;		  /* borrowed, not read from yet; NULL: a source */
	struct wr_valve *valve;		  /* of its channels; borrowed */
	const struct wr_input_keys *keys; /* of both inputs; NULL: none has a key */
	uint32_t subtask, parallelism, max_parallelism;
	bool same_parallelism; /* as it was: what the own former subtask had is all that there is */
	bool same_senders;     /* those of the channels, and who sends to them: a channel is the former one */
};
struct wr_inherit;
/* NULL with the error set when the heap refuses. */
struct wr_inherit *wr_inherit_new(const struct wr_inherit_options *o);
void wr_inherit_free(struct wr_inherit *h);
/* The next former subtask: watermarks of its channels, `channels` of the block of its task. */
int wr_inherit_subtask(struct wr_inherit *h, uint32_t subtask, const struct wr_value *channels);
/* Elements of a former channel of the subtask that was said last, by an input. WR_EUSER: malformed, or there
 * is no such input. */
int wr_inherit_rows(struct wr_inherit *h, uint32_t channel, uint64_t input, const uint8_t *p, size_t len,
		    const struct wr_dict *dict);
/* All were there: fills the gate and the valve. `watermark`: of the task, WR_TS_NONE = it is not known. */
int wr_inherit_begin(struct wr_inherit *h, int64_t watermark);
