/* SPDX-License-Identifier: Apache-2.0 */
/* pipe: bytes into a pipe from a thread that must not wait. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

bool wr_is_pipe(int fd);
/* As write(), but never waits and never raises SIGPIPE: what the pipe has room for, or −1 and errno: EAGAIN,
 * it is full; EPIPE; EOPNOTSUPP, this system cannot write to a pipe without waiting (before Linux 6.4). */
ssize_t wr_pipe_write(int fd, const void *data, size_t len);
