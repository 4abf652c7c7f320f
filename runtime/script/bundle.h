/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: how the sources of a job are collected (script.h has what others may ask of it).
 * The first file is the script itself. */
#pragma once
#include "script/script.h"

struct wr_bundle *wr_bundle_new(bool unsafe, const char *lua_path, int64_t lua_memory);
/* Copies; a name that is there already is left as it is. Only while the graph is drawn. */
int wr_bundle_add(struct wr_bundle *b, const char *name, const char *text, size_t len);
/* Borrowed text of the file called `name`, NULL if there is none. */
const char *wr_bundle_find(const struct wr_bundle *b, const char *name, size_t *len);
uint64_t wr_bundle_digest(const char *text, size_t len);
bool wr_bundle_unsafe(const struct wr_bundle *b);
const char *wr_bundle_lua_path(const struct wr_bundle *b);
int64_t wr_bundle_lua_memory(const struct wr_bundle *b); /* bound of one Lua state, bytes; 0 = none */
