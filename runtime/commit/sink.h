/* SPDX-License-Identifier: Apache-2.0 */
/* sink: the stage of an exactly-once sink, whatever its target: rows go to the epoch log, and what a
 * complete checkpoint covers is handed to the target, an epoch at a time, by a thread of the sink's own.
 *
 * A target is anything that can store a number together with rows, both or neither. After every restore, and
 * after a commit that may or may not have happened, it is asked for that number and given what is missing:
 * there is no other kind of recovery, and nothing stays open in the target between two commits.
 *
 *   rows ─▶ log ──barrier──▶ epoch n ──checkpoint ≥ n holds──▶ commit(mark, n, rows) ─▶ gone
 *
 * Without checkpoints the log lies in a folder for temporary files and is committed once, at the end of
 * bounded input.
 *
 * Back-pressure: the task pauses while more than `log_max` bytes (an option of the sink, else
 * WR_SINK_LOG_MAX) could be committed and are not, and while blocks wait for the disk. What cannot be
 * committed yet is bounded by asking for a checkpoint when an epoch has as much.
 *
 * At the end (sink_end.c) the last commits are waited for, each for as long as the job says; what is given up
 * stays in the log, and is owed.
 */
#pragma once
#include "commit/epoch_log.h"
#include "task/stage.h"

enum { WR_SINK_LOG_MAX = 256 << 20 };

/* What a target keeps a number for: the epochs of one log. */
struct wr_mark {
	const char *uid; /* of the sink */
	uint64_t lineage;
	uint32_t log;
	const char *scope; /* in which it was written; NULL: that of the target, if it has any */
};
enum { WR_MARK_TEXT = 160 };
/* As one name, for targets that keep marks by name: "uid/lineage/log", the lineage in hex; a long uid is cut
 * and has its hash behind it. */
void wr_mark_text(const struct wr_mark *m, char text[WR_MARK_TEXT]);

struct wr_target;
/* All on one thread, but for `fits` and `free`; all but `fits` may block. WR_OK or an error, which fails the
 * job's attempt, but for WR_ETRANSIENT where rows come already: a commit is tried again a few times, each
 * behind `last`, and `keep` at the next checkpoint. */
struct wr_target_ops {
	/* Once, before anything else. `fresh`: the job begins anew, and not at a checkpoint. */
	int (*open)(struct wr_target *t, bool fresh);
	/* The number stored with `mark`, 0 = none, once nobody else can change it. */
	int (*last)(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch);
	/* The same as far as it can be seen beside whoever may write it now. NULL: it has no scope. */
	int (*look)(struct wr_target *t, const struct wr_mark *mark, uint64_t *epoch);
	/* Stores the rows and the number, both or neither, durably. */
	int (*commit)(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch,
		      struct wr_epoch_rows *rows);
	/* Stores the number of `mark` again, so that it is not forgotten. NULL: none ever is. */
	int (*keep)(struct wr_target *t, const struct wr_mark *mark, uint64_t epoch);
	/* Also after a failed open; any thread. */
	void (*free)(struct wr_target *t);
	/* The task's thread: may the row be in the target? NULL: any may. WR_EUSER: the operator's policy for
	 * failed records deals with it, and it is not committed. */
	int (*fits)(struct wr_target *t, const struct wr_elem *row);
};
struct wr_target {
	const struct wr_target_ops *ops;
	int64_t keeps_ms; /* marks that nobody writes are forgotten after so long; 0 = never; set by `open` */
	/* Marks of another scope are not found by one that does not name it: part of checkpoints. NULL: there
	 * are none. And the option by which the script says it. */
	const char *scope, *scope_option;
};

/* ---- for kinds of stages: their `open` makes a target and calls wr_sink_open; the rest is WR_SINK_OPS ----
 */

/* Is the job to end, or has it failed, or is the task to come back, or is the time over for which a last
 * commit is tried? What the target is asked for then is tried again for a moment only, and answered with
 * WR_ETRANSIENT: the next run or attempt does it. Any thread. */
bool wr_sink_is_leaving(const struct wr_stage *s);
/* Takes the target, also with an error. s->state is ours from then on. */
int wr_sink_open(struct wr_stage *s, struct wr_target *target);
int wr_sink_rows(struct wr_stage *s, struct wr_rows *rows);
int wr_sink_tick(struct wr_stage *s, uint64_t now_ns);
int wr_sink_letter(struct wr_stage *s, uint32_t type, const uint8_t *payload, uint32_t len);
int wr_sink_save(struct wr_stage *s, struct wr_bytes *out);
int wr_sink_names(struct wr_stage *s, struct wr_bytes *out);
int wr_sink_settle(struct wr_stage *s, uint64_t checkpoint, struct wr_bytes *out);
int wr_sink_restore(struct wr_stage *s, const struct wr_saved_state *saved);
int wr_sink_end(struct wr_stage *s);
int wr_sink_leave(struct wr_stage *s);
bool wr_sink_owes(const struct wr_stage *s, struct wr_owed *out);
void wr_sink_abandon(struct wr_stage *s);
void wr_sink_free(struct wr_stage *s);
#define WR_SINK_OPS                                                                                          \
	.rows = wr_sink_rows, .tick = wr_sink_tick, .letter = wr_sink_letter, .save = wr_sink_save,          \
	.names = wr_sink_names, .settle = wr_sink_settle, .abandon = wr_sink_abandon,                        \
	.restore = wr_sink_restore, .end = wr_sink_end, .leave = wr_sink_leave, .owes = wr_sink_owes,        \
	.free = wr_sink_free

/* The file sink (file_once.c). */
extern const struct wr_stage_ops wr_file_once_ops;
