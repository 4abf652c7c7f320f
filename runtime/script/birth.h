/* SPDX-License-Identifier: Apache-2.0 */
/* birth: a Lua state may be refused memory while it is made.
 *
 * LuaJIT cleans up then, and crashes on what it has not made yet. So what is refused comes from
 * a reserve until the state is whole, and then can be closed.
 */
#pragma once
#include <lua.h>
#include "heap/heap.h"

/* A state without libraries on `heap`; NULL with the thread's error set. */
lua_State *wr_birth(struct wr_heap *heap);
