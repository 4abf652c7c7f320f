/* SPDX-License-Identifier: Apache-2.0 */
/* folder: where the sockets of this user's running jobs lie, one file a job.
 *
 *   $WEIR_RUNTIME_DIR (--runtime-dir), else $XDG_RUNTIME_DIR/weir, else weir-UID in /tmp
 *   visits-4711.sock    the job "visits" of process 4711; visits-4711 is its id
 *   .visits-4711.sock   is about to become that
 *
 * The folder is the user's and nobody else may write to it. A socket that nobody answers at was left behind
 * by a process that was killed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WR_SOCKET_PATH = 108, WR_SOCKET_ID = 64 }; /* the former is the system's bound */

/* Writes the folder to `to`. `chosen`: what --runtime-dir says, or NULL. With `make` it is made where it is
 * missing. WR_OK, WR_END: there is none, or WR_EUSER with what is wrong with it. */
int wr_control_folder(const char *chosen, bool make, char to[WR_SOCKET_PATH]);
/* The id of a job of this name: letters, digits, '_' and '-' stay as they are. */
void wr_control_id_of(const char *job, int64_t pid, char to[WR_SOCKET_ID]);
/* WR_EUSER: the folder's path is too long. */
int wr_control_path(const char *folder, const char *prefix, const char *id, char to[WR_SOCKET_PATH]);
/* A listening socket with only the user's access at `folder`/`id`.sock, or -1 with the error set. It is there
 * only once it can be connected to. */
int wr_control_listen(const char *folder, const char *id);
/* Blocking, or -1 with the error set; what nobody listens at is removed. */
int wr_control_connect(const char *folder, const char *id);

struct wr_control_entry {
	const char *id; /* borrowed during the call */
	int64_t pid;
};
/* Calls `each` for the sockets in `folder`, in no order, until it gives no WR_OK, and gives that. Those of
 * processes that are dead are removed. */
int wr_control_each(const char *folder, int (*each)(void *arg, const struct wr_control_entry *e), void *arg);
