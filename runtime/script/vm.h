/* SPDX-License-Identifier: Apache-2.0 */
/* vm: one LuaJIT state: its memory bound, the embedded modules, the border's declarations.
 *
 * A state belongs to one thread at a time. The user's code runs in an environment of its
 * own (lua/weir/internal/sandbox.lua); the engine's Lua sees everything.
 */
#pragma once
#include <lua.h>
#include "script/bundle.h"
#include "heap/heap.h"

struct wr_vm {
	lua_State *L;
	struct wr_heap heap;
	bool stopped;		  /* what ran was stopped since it holds too much memory; not told yet */
	bool collects;		  /* the collector runs */
	bool hurried;		  /* it runs without pauses, since the bound is passed */
	int pause;		  /* what its pause was before */
	bool refusal_told;	  /* that the heap refused memory was an error of a call */
	struct wr_bundle *bundle; /* borrowed; NULL for plain `weir lua` */
	bool drawing;		  /* files may be read and are added to the bundle */
	int64_t ms_max;		  /* of steady time, until until_ns; 0 = no bound */
	uint64_t until_ns;
	const _Atomic bool *given_up; /* nobody waits for what runs any more; borrowed, NULL: never */
};

/* NULL with the error set. `bytes_max` 0 = no bound. */
struct wr_vm *wr_vm_new(struct wr_bundle *bundle, bool drawing, int64_t bytes_max);
void wr_vm_free(struct wr_vm *vm);

/* What is not compiled ends with an error when so much time has passed, or *given_up (NULL: never) is set. */
void wr_vm_bound_time(struct wr_vm *vm, int64_t ms_max, const _Atomic bool *given_up);

/* Lets `require` search the disk as well (LUA_PATH), behind the embedded modules. */
int wr_vm_disk_loaders(struct wr_vm *vm);

/* Pushes function `name` of the embedded module `module`. WR_OK or an error. */
int wr_vm_function(struct wr_vm *vm, const char *module, const char *name);
/* Protected call; `handler` is the stack index of a message handler or 0. WR_EUSER with the message, or when
 * Lua holds more than its bound afterwards, or did so much before that the call was stopped. */
int wr_vm_call(struct wr_vm *vm, int args, int results, int handler);
/* Lets `thread` run: the function on its stack with its `args` above it, or one that yielded. WR_OK with the
 * results on its stack, WR_AGAIN: it yielded, WR_EUSER as wr_vm_call: the error's value and frames are left
 * in the thread, which cannot run again. */
int wr_vm_resume(struct wr_vm *vm, lua_State *thread, int args, bool *out_of_memory);
/* Puts the error of `thread` into words, beyond the bound of memory if need be: calls the function in stack
 * slot `function` with the thread in slot `thread` and with `text`, or where that is NULL with the error's
 * value on top of the thread. WR_OK: the words are on top of the stack; else nothing, and no error is set. */
int wr_vm_tell(struct wr_vm *vm, int function, int thread, const char *text);
/* Collects everything that is not needed any more, and gives its memory back. */
void wr_vm_trim(struct wr_vm *vm);
/* At a batch edge: sets the collector's pace. */
void wr_vm_collect(struct wr_vm *vm);
