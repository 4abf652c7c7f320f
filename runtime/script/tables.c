/* SPDX-License-Identifier: Apache-2.0 */
/* tables: see tables.h. On the thread of the state. */
#include "script/tables.h"

#include <lauxlib.h>

/* next(t[, key]): the entry behind that of key. */
static int tables_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

/* pairs(t): next, t, nil. */
static int tables_pairs(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

/* count(t): the number of its entries; -1 if it has a metatable, so that reading it by name may give others.
 */
static int tables_count(lua_State *L)
{
	int n = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	if (lua_getmetatable(L, 1)) {
		lua_pushinteger(L, -1);
		return 1;
	}
	lua_pushnil(L);
	for (; lua_next(L, 1); n++)
		lua_pop(L, 1);
	lua_pushinteger(L, n);
	return 1;
}

/* keys(t): its keys as a list; their number; are all of them strings? */
static int tables_keys(lua_State *L)
{
	int n = 0, strings = 1;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_createtable(L, 8, 0);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		strings &= lua_type(L, -1) == LUA_TSTRING;
		lua_pushvalue(L, -1);
		lua_rawseti(L, 2, ++n);
	}
	lua_pushinteger(L, n);
	lua_pushboolean(L, strings);
	return 3;
}

/* list_length(t): n if its keys are exactly 1 … n, else nil. */
static int tables_list_length(lua_State *L)
{
	int count = 0, n;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushnil(L);
	for (; lua_next(L, 1); count++) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TNUMBER)
			return 0;
	}
	n = (int)lua_objlen(L, 1);
	if (n != count)
		return 0;
	for (int i = 1; i <= n; i++) {
		lua_rawgeti(L, 1, i);
		if (lua_isnil(L, -1))
			return 0;
		lua_pop(L, 1);
	}
	lua_pushinteger(L, n);
	return 1;
}

void wr_tables_open(lua_State *L)
{
	lua_pushcfunction(L, tables_next);
	lua_pushvalue(L, -1);
	lua_setglobal(L, "next");
	lua_pushcclosure(L, tables_pairs, 1);
	lua_setglobal(L, "pairs");
	lua_getglobal(L, "table");
	lua_pushnil(L);
	lua_setfield(L, -2, "foreach"); /* of Lua 5.0; made of the compiler's own next */
	lua_pop(L, 1);
}

void wr_tables_host(lua_State *L)
{
	static const luaL_Reg functions[] = {{"count", tables_count},
					     {"keys", tables_keys},
					     {"list_length", tables_list_length},
					     {NULL, NULL}};

	for (const luaL_Reg *f = functions; f->name; f++) {
		lua_pushcfunction(L, f->func);
		lua_setfield(L, -2, f->name);
	}
}
