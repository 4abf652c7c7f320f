/* SPDX-License-Identifier: Apache-2.0 */
/* mcode: the pages of LuaJIT's machine code, which may be written and run at once.
 *
 * LuaJIT as built by Debian makes them writable for each trace that it compiles and executable
 * behind it: four system calls a trace, each of which changes the memory of the process and
 * interrupts the other cores that run in it. A job of two workers began at half its speed. The
 * two calls that LuaJIT makes for it (mmap, mprotect) lead here instead; the Makefile renames them
 * in a copy of its archive. Where the system refuses pages of both kinds, all is as LuaJIT has it.
 */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* As mmap, by both of its names: private memory that LuaJIT asks for. Any thread. */
void *wr_mcode_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *wr_mcode_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
/* As mprotect, of such memory. Any thread. */
int wr_mcode_mprotect(void *at, size_t bytes, int prot);
