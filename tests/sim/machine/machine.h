/* SPDX-License-Identifier: Apache-2.0 */
/* machine: a computer for one process at a time, in one thread, from a seed.
 *
 * The program under test is linked as it is; the linker hands its calls of the system (Makefile, --wrap) to
 * these files. Threads are coroutines that give way where a real thread could be held up: at locks,
 * conditions, event loops, calls of files and looks at the clock; who goes next is drawn. Thread-local
 * variables are swapped with them. Files are in memory, with what is on the disk kept apart from what the
 * process sees (files.c). So a seed is a whole history, and plays again exactly.
 *
 * A crash takes away what follows it: at some point the disk and all else that outlives the process are
 * copied as they would be found, and the process, which does not know, is bid to end; what it does until
 * then reaches nobody.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/clock.h"

/* What is counted, for the report. */
enum machine_count {
	RUNS,	      /* of a process */
	ENDS,	      /* of them came to the end of the job */
	KILLS,	      /* the process ends; what it wrote is all there */
	POWER_LOSSES, /* the machine stops: what was not synced is drawn */
	FILES_LOST,   /* of a power loss: what was not synced of a file is gone */
	FILES_TORN,   /* a part of it is there, or zeros in its place */
	NAMES_LOST,   /* a new name, a removal or a rename is undone */
	STALLS,	      /* a thread rests while the others go on */
	CALLS_FAILED, /* of files */
	WRITES_SHORT, /* took less than they were given */
	FUNCTIONS_FAILED,
	RESTARTS,	  /* in the process */
	STOPS,		  /* by the user, with a last checkpoint */
	ASKED,		  /* for a checkpoint, by the user */
	RELOADS,	  /* other functions, kept */
	TAKEN_BACK,	  /* those that failed on trial */
	RESCALES,	  /* of a running job: built anew with another parallelism */
	CHECKPOINTS,	  /* that hold */
	UNALIGNED,	  /* of them */
	EXPIRED,	  /* checkpoints that took longer than they may */
	DECLINED,	  /* that a task could not take its part in */
	STATES,		  /* of checkpoints, compared with what a replay comes to */
	COMMITS,	  /* of epochs */
	COMMITS_REFUSED,  /* and not done */
	COMMITS_DOUBTFUL, /* done, and said to have failed */
	/* of the model of a cluster (cluster.h) */
	TXN_COMMITTED,
	TXN_CLAIMS,	      /* of them without rows */
	TXN_FENCED,	      /* aborted by an init */
	TXN_TIMED_OUT,	      /* aborted by the brokers */
	REQUESTS_LOST,	      /* before they were taken */
	REQUESTS_LATE,	      /* the client heard nothing, and they are taken later or never */
	REQUESTS_STALE,	      /* taken when their client was gone */
	REQUESTS_REFUSED,     /* of a client that was fenced */
	ANSWERS_LOST,	      /* of requests that were taken */
	COMMITS_UNKNOWN,      /* a client was closed, and knows not what became of its commit */
	COMMITS_UNKNOWN_DONE, /* of them were done, or would be */
	GROUPS_PENDING,	      /* reads of a group that is */
	OFFSETS_FORGOTTEN,    /* of groups, as nobody wrote them for long */
	OUTAGES,	      /* of all brokers */
	RESTS,		      /* of a process */
	PROCESSES_KILLED,     /* between two calls, or with one under way */
	COUNTS
};
extern uint64_t *machine_counts;

/* How rough a time the process has; 0 = never, else one in so many. */
struct machine_roughness {
	uint32_t stall, io, give_way;
	uint64_t crash_at;	/* at the n-th point where a thread may give way, 0 = not */
	uint64_t crash_at_call; /* at the n-th call that changes files, 0 = not */
	uint64_t
	    crash_at_name; /* as the n-th name has been given, changed or removed, and not synced; 0 = not */
	uint64_t crash_at_commit; /* as the n-th epoch is in the target, 0 = not */
	uint64_t crash_at_rename; /* as the n-th name has been changed, and not synced, 0 = not */
	uint64_t crash_at_cut;	  /* as the n-th file has been cut, and not synced, 0 = not */
	bool power;		  /* the crash is one of the machine */
};

/* Everything from the beginning: an empty disk, one thread. */
void machine_init(uint64_t seed);
/* A process begins. `crashed` is told once, in the middle of whatever it does. */
void machine_begin(const struct machine_roughness *r, void (*crashed)(void *arg), void *arg);
/* The process has ended, crashed or not: what it left open is an error of it. NULL, or what. */
const char *machine_end(void);
bool machine_has_crashed(void);
/* The machine stops between two processes. */
void machine_power_off(void);

struct wr_clock *machine_clock(void);
/* A number from the seed. */
uint32_t machine_below(uint32_t n);
static inline bool machine_one_in(uint32_t n)
{
	return n && machine_below(n) == 0;
}
/* A point at which other threads may go on, and the process may crash. */
void machine_point(void);
/* The thread rests for so long. */
void machine_sleep(uint64_t ns);
/* Ends the test program with this as the failure. */
void machine_failed(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Who is told of that; does not return. */
extern void (*machine_on_failure)(const char *text);

/* ---- the log of the program: it costs no time and takes no lock, so that watching changes nothing ---- */

/* From the beginning of the test program: what is logged under `topic` is told to `heard`; NULL: nothing is.
 */
void machine_log_init(const char *topic, void (*heard)(const char *text));
/* TRACE=1 in the environment: all of it is shown. */
extern bool machine_traces;

/* ---- between threads.c and files.c ---- */

/* As machine_point, of a call that changes files. */
void machine_call(void);
/* A name was given, changed (`renamed`) or removed. */
void machine_named(bool renamed);
/* A file has been cut, and has something left. */
void machine_cut(void);
/* An epoch is in the target. */
void machine_committed(void);
bool machine_fails(void); /* shall a call of a file fail? */
const struct machine_roughness *machine_rough(void);
void files_init(void);
/* The files as a new process would find them; the present one goes on with what it sees. */
void files_crash(bool power);
/* That has ended: from now on those are the files. NULL, or what it left open. */
const char *files_end(bool crashed);
/* All files below `path`, but for folders whose name begins with a dot, and the bytes that they have now. */
void files_each(const char *path, void (*each)(void *arg, const char *name, const uint8_t *p, size_t len),
		void *arg);
