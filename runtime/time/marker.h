/* SPDX-License-Identifier: Apache-2.0 */
/* marker: the watermarks that a stage makes for a stream of splits (files, later partitions).
 *
 * Each split under way is a part with a watermark of its own, active or idle; what goes on is
 * the minimum over the active ones (semantics.md K11–K13). A stream without splits is one part
 * of number 0, and so is one between two splits: it is active without a watermark, and holds
 * those behind it until it has a split, ends, or is idle (K28).
 *
 * Idleness is seen lazily (K8), by a clock that stands still while the task is held up by its
 * outputs (K9), while its source waits for what it takes to read a record, and while a part is held for
 * alignment. An idle part is active again before its
 * next row (K10 as decided).
 *
 * Alignment (K25, K26): the marker tells the job's coordinator how far it is, is told how far
 * it may be (time/align.h), and has splits that are ahead held by their source. It looks after
 * every batch, not at samples, so that a split is ahead by one batch at most.
 *
 * On the task's thread; the stage calls, and sets stage.tick_ns by wr_marker_tick.
 */
#pragma once
#include <pthread.h>
#include "exchange/combine.h"
#include "task/letter.h"
#include "task/stage.h"
#include "time/stamp.h"

struct wr_part {
	uint32_t number; /* of the split, 0 = none */
	int64_t max_ts;	 /* largest timestamp, for strategies that need it; WR_TS_NONE before the first */
	int64_t reach;	 /* what its rows come to, as far as it is known; for alignment */
	bool rows;	 /* there were some since the last tick */
	bool held;
	uint64_t lowest_ns; /* how long it was the lowest */
	uint64_t silent_ns; /* running time at which the silence was seen, 0 = it was not */
	char *name;
};

/* What others are told of the splits of a marker: the one that is lowest, and the one that was for longest.
 */
struct wr_lowest {
	char name[256]; /* "" = the stream has no splits */
	int64_t watermark;
	bool held;   /* for alignment */
	uint64_t ns; /* for how long it was the lowest */
};
struct wr_marker_view {
	struct wr_lowest now, longest;
	uint32_t count, idle; /* splits under way, and how many of them are idle */
};

struct wr_marker {
	struct wr_stage *stage;
	struct wr_stamp stamp;
	uint64_t every_ns, idle_ns; /* 0 = none */
	struct wr_part *parts;
	struct wr_combine_part *marks; /* by part: watermark and idleness */
	uint32_t count, cap;
	uint32_t at; /* part of the rows that come */
	struct wr_combine combine;
	bool idle;		/* as it was said */
	bool beginning;		/* the part of number 0 is there beside splits that have begun */
	struct wr_part *former; /* of a checkpoint: splits that are still to be read on */
	struct wr_combine_part *former_marks;
	uint32_t former_count;
	bool aligned;
	int64_t allowed;    /* WR_TS_NONE before the coordinator's first word */
	int64_t reported;   /* to it */
	uint64_t looked_ns; /* at the last tick */
	pthread_mutex_t mutex;
	struct wr_marker_view view; /* under the mutex */
};

/* The parts, as one tagged value: [[name or nil, max_ts, watermark], …]; and what the subtasks saved (K24): a
 * split that is read on begins where its part was, whoever reads it. Which splits those are is said by the
 * source as always, with the names that they had; of several of one name the lowest counts. */
void wr_marker_save(const struct wr_marker *m, struct wr_bytes *out);
int wr_marker_restore(struct wr_marker *m, const struct wr_saved_state *saved);

/* Options of the stage: every, idle_after (ms), align, and those of stamp.h. NULL with the error set. */
struct wr_marker *wr_marker_new(struct wr_stage *s);
void wr_marker_free(struct wr_marker *m);

/* The source's word about a split; the stage's `split`. */
int wr_marker_split(struct wr_marker *m, enum wr_split_word word, uint32_t number, const char *name);
/* Rows of part `at` are about to be handled. */
int wr_marker_rows(struct wr_marker *m);
/* The row's time, by the options. WR_OK with *ts = WR_TS_NONE: it has none, and on_error let it pass; an
 * error to stop with. */
int wr_marker_stamp(struct wr_marker *m, const struct wr_elem *row, int64_t now_ms, int64_t *ts);
/* The strategy's watermark of a part; one that does not rise changes nothing (K3). A part that has one is
 * active (K12). Nothing is sent yet. */
void wr_marker_mark(struct wr_marker *m, uint32_t part, int64_t watermark);
/* Sends what changed; for watermarks that go out at once (K14). */
int wr_marker_send(struct wr_marker *m);
/* A batch of part `at` is done, and `watermark` is what it comes to: holds the split if that is too far. */
void wr_marker_ahead(struct wr_marker *m, int64_t watermark);
/* A tick, behind the marks of the active parts: idleness, what changed, the report; sets the next tick. */
int wr_marker_tick(struct wr_marker *m, uint64_t now_ns);
/* The input is at its end, behind the last marks (K6). */
int wr_marker_end(struct wr_marker *m);
/* As of the last tick. Any thread. */
void wr_marker_look(struct wr_marker *m, struct wr_marker_view *out);
/* A letter of the coordinator (task/letter.h). */
int wr_marker_letter(struct wr_marker *m, uint32_t type, const uint8_t *payload, uint32_t len);
