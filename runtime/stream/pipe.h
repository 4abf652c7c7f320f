/* SPDX-License-Identifier: Apache-2.0 */
/* pipe: lines into a pipe from a thread that must not wait. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

bool wr_is_pipe(int fd);
/* Writes as many whole lines of `text` as the pipe takes at once, each wholly or not at all, and says how
 * many bytes these are. errno tells why it is not all: EAGAIN, the pipe is full; EOPNOTSUPP, this system
 * cannot write to a pipe without waiting (before Linux 6.4); EMSGSIZE, a line is longer than a pipe takes as
 * one; EPIPE, without SIGPIPE, and others, which the next write that may wait meets again. */
size_t wr_pipe_put_lines(int fd, const char *text, size_t len);
