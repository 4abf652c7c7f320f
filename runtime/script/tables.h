/* SPDX-License-Identifier: Apache-2.0 */
/* tables: the entries of Lua tables for generated and user code, as C functions.
 *
 * They stand in for Lua's own `next` and `pairs` in every state. What LuaJIT's compiler makes of those is
 * wrong in the version of Debian 12 (README, Decisions): loops end early in silence, or the process ends. A C
 * function it does not compile; it ends one trace there and begins another behind it.
 */
#pragma once
#include <lua.h>

/* Replaces the globals next and pairs, and takes table.foreach away. May raise a Lua error. */
void wr_tables_open(lua_State *L);

/* Adds count, keys and list_length (see tables.c) to the table on top of the stack. May raise a Lua error. */
void wr_tables_host(lua_State *L);
