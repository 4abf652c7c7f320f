/* SPDX-License-Identifier: Apache-2.0 */
/* script: the user's Lua, from file to plan and from plan to running stage.
 *
 * The script runs once to draw the graph (wr_script_draw) and once in the Lua state of
 * every subtask to fetch that subtask's functions (the stage kind "lua"). All sources it
 * needs are collected in a *bundle* when the graph is drawn; nothing is read from disk
 * later. Only this folder knows lua.h.
 */
#pragma once
#include "base/bytes.h"
#include "base/config.h"
#include "task/stage.h"

/* The script and everything it requires, as name → text, with a hash over them. Immutable once the graph is
 * drawn; read by all threads of the job, freed after it. */
struct wr_bundle;
void wr_bundle_free(struct wr_bundle *b);
uint64_t wr_bundle_hash(const struct wr_bundle *b);
uint32_t wr_bundle_count(const struct wr_bundle *b);
void wr_bundle_file(const struct wr_bundle *b, uint32_t i, const char **name, const char **text, size_t *len);

struct wr_draw_options {
	const char *path;	 /* of the script */
	const char *const *args; /* "key=value" operands for job.args */
	int arg_count;
	const struct wr_config *config; /* parallelism, lua-path, unsafe, on-error, … */
	int64_t parallelism;		/* in place of the option's; 0 = that */
	int64_t ms_max;			/* the script may take so long; 0 = no bound */
	const _Atomic bool *given_up;	/* with a bound: set when nobody waits for it any more; or NULL */
	bool doctor; /* subtasks watch their Lua, and report at the end on standard error */
	bool runs;   /* the job is about to run: with checkpoints if the config has `dir` */
	/* Instead of a file: functions of a test, packed (lua/weir/internal/carry.lua); path is a name. */
	const void *carried;
	size_t carried_len;
};
/* Runs the script in a sandboxed state and plans the graph: the plan's bytes (cluster/PLAN.md) are
 * appended to `plan`, *bundle is the caller's. WR_EUSER: the text names the script and the line. */
int wr_script_draw(const struct wr_draw_options *o, struct wr_bytes *plan, struct wr_bundle **bundle);

/* Calls function `name` of the embedded module `weir.cli` with the verb's options; what it prints goes to
 * standard output. For verbs that are written in Lua (graph, check --explain). */
int wr_script_cli(const char *name, const struct wr_draw_options *o);
/* `weir lua FILE args…`: runs a Lua file with the embedded modules, unsandboxed (our own specs). */
int wr_script_lua(int argc, char **argv);
/* `weir test`: runs the specs among `files` (files and folders) with busted, unsandboxed, with the options of
 * `c`. *failures is the number of tests that failed; WR_EUSER: there was nothing to run. */
int wr_script_test(const struct wr_config *c, char **files, int count, int *failures);
/* `weir savepoint TOOL …`: ls, info, get, query, diff or edit with its operands. *status: 0, or 1 when what
 * was asked for is not there, or not the same. WR_EUSER: the text says what is wrong with operands, script or
 * file. */
int wr_script_savepoint(const char *tool, const struct wr_config *c, int argc, char **argv, int *status);
/* Reads options from a .lua config file into `c`. */
int wr_script_config(const char *path, struct wr_config *c);

/* Does a record of an async stage wait for an answer from outside? False for any other stage. */
bool wr_script_asks(const struct wr_stage *s);

/* The stage kinds made here: "lua" (fused chain), "lua_source" (generator written in Lua). */
extern const struct wr_stage_kind wr_script_kinds[];
extern const unsigned wr_script_kinds_count;
