/* SPDX-License-Identifier: Apache-2.0 */
/* embed: the Lua modules inside the binary, made by embed.lua at build time. */
#pragma once
#include <stddef.h>

struct wr_embedded {
	const char *name; /* "weir.plan" */
	const char *code; /* bytecode */
	size_t len;
};
extern const struct wr_embedded wr_embedded[]; /* sorted by name */
extern const unsigned wr_embedded_count;
extern const char *const wr_api_cdef; /* script/api.h as text for ffi.cdef */
