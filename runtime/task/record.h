/* SPDX-License-Identifier: Apache-2.0 */
/* record: a world that writes down what it decides, and one that decides what was written down.
 *
 * With the same plan, bundle and input, played-back tasks do bit for bit what the recorded ones
 * did, in another process and on other threads: a task that needs a buffer which has not come
 * yet waits for it. What a stage learns from an I/O thread (a sink that is full) is not
 * recorded: where that decides, the record ends early and the present takes over.
 *
 *   record = step*
 *   step   = u8 flags (1 ready) · varint input (0 none, 1 the end, 2 + channel)
 *          · varint letters, each as its wire form · varint readings, each: u8 0 mono, 1 wall, and
 *            varint zigzag difference to the last of its kind
 */
#pragma once
#include "base/bytes.h"
#include "task/world.h"

struct wr_recorder {
	struct wr_world world;
	struct wr_clock clock; /* behind it: the real one */
	struct wr_clock *real;
	struct wr_bytes text;		   /* what was recorded */
	struct wr_bytes letters, readings; /* of this step */
	uint64_t letter_count, reading_count, input;
	int64_t last[2]; /* readings, by kind: mono ns, wall ms */
	bool is_ready;
};
/* In place; `real` is borrowed. */
void wr_recorder_init(struct wr_recorder *r, struct wr_clock *real);
void wr_recorder_deinit(struct wr_recorder *r);

struct wr_player {
	struct wr_world world;
	struct wr_clock clock;
	struct wr_clock *real;
	struct wr_reader text; /* borrowed bytes */
	bool loaded;	       /* a step is read and under way */
	bool over;	       /* the record is at its end: the present decides */
	bool diverged;	       /* the task asked for something else than the recorded one */
	bool is_ready;
	uint64_t input, letters, readings; /* of this step: as recorded, and how many are left */
	uint64_t letters_given;		   /* of the mailbox: to be left out when the present takes over */
	struct wr_reader at_letters, at_readings;
	struct wr_input held; /* of this step, taken from the gate; `buffer` is NULL once it was asked for */
	int held_rc;
	int64_t last[2];
};
/* In place; `bytes` and `real` are borrowed. */
void wr_player_init(struct wr_player *p, const void *bytes, size_t len, struct wr_clock *real);
