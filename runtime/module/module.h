/* SPDX-License-Identifier: Apache-2.0 */
/* module: parts of the program that are loaded when they are first needed.
 *
 * What is linked with a large library would cost every start of the program, also of jobs that never need it.
 * Such a part is a shared object weir-NAME.so (its source: vendor/NAME.c), which uses the program's own
 * functions, and defines `wr_module`. It is looked for in the folder of the program, then in
 * ../lib/weir from there, where `make install` puts it. Once loaded it stays.
 */
#pragma once
#include <stdint.h>

struct wr_module {
	uint32_t version;      /* of the interface that `functions` is of */
	const void *functions; /* a table, declared where the interface is: stream/http.h */
};

/* The functions of module `name`. NULL with WR_EFATAL: it is not there, a library that it needs is not, or it
 * is of another version than `version`; the text says where it was looked for. Any thread. */
const void *wr_module_load(const char *name, uint32_t version);
