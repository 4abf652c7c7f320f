/* SPDX-License-Identifier: Apache-2.0 */
/* letter: what the coordinator and the tasks say to each other, as plain values.
 *
 * A letter holds nothing that another machine could not read: a type, whom it concerns, and a
 * payload of tagged bytes (record/value.h). Inside the process it is handed over whole: who posts
 * it gives it away, who takes it frees it. Wire form, one tagged value, six members:
 *
 *   [version, type, vertex, subtask, stage, payload]        five integers, then any value; nil = none
 *
 * A reader refuses a version that is newer than its own, and types that are none of its version's.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"
#include "record/row.h"
#include "record/value.h"

enum { WR_LETTER_VERSION = 10 };

/* Part of the wire form: never renumbered, and a new one raises the version. */
enum wr_letter_type {
	/* coordinator → task */
	WR_LETTER_STOP = 1,   /* a source ends in order, as if its input had ended; others see that the job is
			       * to end */
	WR_LETTER_CANCEL = 2, /* stop at once, whatever is under way */
	WR_LETTER_TRIGGER = 3,	/* to a source: struct wr_trigger; a barrier behind the rows emitted so far */
	WR_LETTER_COMPLETE = 4, /* the checkpoint holds: its integer; handed to the stages, too */
	WR_LETTER_ABORT = 5,	/* the checkpoint is off: its integer */
	WR_LETTER_TRIAL = 6,	/* functions are on trial (1), or not any more (0): task/functions.h */
	WR_LETTER_OVERTAKE = 13, /* the checkpoint takes long: its integer; where it may, its barrier
				  * overtakes what waits */
	WR_LETTER_LEAVE = 15,	 /* the job has left at a checkpoint that holds: what that covers comes to its
				  * place, and the task ends */
	/* task → coordinator */
	WR_LETTER_ACK = 7,	 /* struct wr_ack: the task's part of a checkpoint is durable */
	WR_LETTER_DECLINE = 8,	 /* struct wr_ack: it could not be taken */
	WR_LETTER_ENDED = 9,	 /* the task has ended; nothing follows */
	WR_LETTER_NOT_YET = 10,	 /* struct wr_ack: the task cannot take snapshots yet, which is no failure */
	WR_LETTER_WANTED = 11,	 /* all of the task has ended but what waits for a checkpoint: take one */
	WR_LETTER_TRIED = 14,	 /* the functions on trial were given a record each, those that the barrier of
				  * this    checkpoint brought; 0: those that the task began with */
	WR_LETTER_RETURNED = 12, /* struct wr_ack: new functions failed for this reason, those before go on */
	/* to a stage: between the reader and the enumerator of a source */
	WR_LETTER_SPLIT_WANTED = 64, /* reader → enumerator: give me so many more: an integer */
	WR_LETTER_SPLITS = 65,	     /* enumerator → reader: a list of them (connect/split.h) */
	WR_LETTER_NO_MORE = 66,	     /* enumerator → reader: all splits are given out */
	/* between what makes watermarks and the alignment of sources; payload: ms of event time */
	WR_LETTER_PROGRESS = 68, /* task → coordinator: its watermark; INT64_MAX: idle or ended */
	WR_LETTER_ALLOWED = 69,	 /* coordinator → task: how far it may be */
	/* test → the source that stands in for a job's own: what it emits (connect/feed.h) */
	WR_LETTER_FEED = 70,
	/* a stage → itself, from a thread of its own: what came from outside */
	WR_LETTER_ANSWER = 71,
	WR_LETTER_DONE = 72, /* what was begun there is done */
};

/* The task that a letter goes to, or comes from. */
struct wr_address {
	uint32_t vertex, subtask, stage;
};
struct wr_letter {
	struct wr_letter *next; /* mailbox only */
	enum wr_letter_type type;
	struct wr_address who;
	uint32_t len; /* 0 = no payload */
	_Alignas(8) uint8_t payload[];
};
/* Copies the payload: one tagged value, or nothing. NULL with the error set when the heap refuses. */
struct wr_letter *wr_letter_new(enum wr_letter_type type, struct wr_address who, const void *payload,
				uint32_t len);
void wr_letter_free(struct wr_letter *l);

void wr_letter_encode(const struct wr_letter *l, struct wr_bytes *out);
/* Reads one letter. NULL with WR_EUSER for what is none, or is of a version or type that this program does
 * not know; WR_EFATAL when the heap refuses. */
struct wr_letter *wr_letter_decode(struct wr_reader *r);

/* Payload of WR_LETTER_TRIGGER: the list [checkpoint, epoch, options]. */
struct wr_trigger {
	uint64_t checkpoint; /* > 0, rises */
	uint64_t epoch;	     /* by which state is frozen; rises within a lineage of the job */
	uint64_t options;    /* enum wr_trigger_option, carried by the barrier */
};
enum wr_trigger_option { /* a set: bits */
			 /* Nothing happens behind the barrier (C27): what a sink was given is in its place
			  * when the barrier passes it, no input is taken and no timer fires, until the
			  * checkpoint is given up. */
			 WR_TRIGGER_STOP = 1,
			 /* With STOP: in front of the barrier event time ends, and stages emit what they have
			  * left. There is no way back. */
			 WR_TRIGGER_DRAIN = 2,
			 /* Behind it stages go on with the next functions, or with those before
			  * (task/functions.h). */
			 WR_TRIGGER_NEXT = 4,
			 WR_TRIGGER_BEFORE = 8,
			 WR_TRIGGER_SWAP = WR_TRIGGER_NEXT | WR_TRIGGER_BEFORE,
			 /* However long it takes: it overtakes nothing. As with all of the others. */
			 WR_TRIGGER_ALIGNED = 16,
};
/* Payload of WR_LETTER_ACK, WR_LETTER_DECLINE, WR_LETTER_NOT_YET and WR_LETTER_RETURNED: the list
 * [checkpoint, text, bytes, in_flight, overtook]. */
struct wr_ack {
	uint64_t checkpoint;
	struct wr_str text; /* id of the blob, or why not */
	uint64_t bytes;	    /* of the blob */
	uint64_t in_flight; /* bytes of rows that the barrier overtook, before they were packed */
	bool overtook;	    /* the barrier did not wait for its alignment */
};
void wr_ack_put(struct wr_bytes *out, const struct wr_ack *a);
/* `text` is borrowed from the payload. WR_EUSER: malformed. */
int wr_ack_parse(const void *payload, uint32_t len, struct wr_ack *out);
/* A payload that is an integer from 0 on, as those of WR_LETTER_COMPLETE and WR_LETTER_ABORT. 0 = malformed.
 */
uint64_t wr_letter_int(const void *payload, uint32_t len);
void wr_trigger_put(struct wr_bytes *out, const struct wr_trigger *t);
int wr_trigger_parse(const void *payload, uint32_t len, struct wr_trigger *out); /* WR_EUSER: malformed */

/* Payload of WR_LETTER_SPLITS: a list. A reader begins all the splits of a letter before it reads one of
 * them, so that event time knows of them all (K24): in letters of their own the records of the second are
 * late where the first is read before the second has come. */
struct wr_hand {		/* what a reader is about to be given */
	struct wr_bytes splits; /* each appended as one tagged value */
	uint32_t count;
};
void wr_hand_put(struct wr_bytes *out, struct wr_hand *h); /* empties it */
void wr_hand_deinit(struct wr_hand *h);
/* The list, in the arena. WR_EUSER: malformed, WR_EFATAL. */
int wr_hand_parse(const void *payload, uint32_t len, struct wr_arena *arena, struct wr_value *list);
