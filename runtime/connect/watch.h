/* SPDX-License-Identifier: Apache-2.0 */
/* watch: the files that come into folders, each told once.
 *
 * A file is told when it is closed by its writer or moved in, of which inotify speaks; and by
 * a scan now and then, for file systems that lack it, when two scans find it unchanged and
 * nobody is known to write to it. It is remembered by identity (device, inode, time of birth)
 * as long as it lies there, so a file that is renamed or appended to is not told again, and
 * forgotten when it is gone. An empty file is not told: it is nothing yet, and may be written to later. Names
 * that begin with '.' or '_' are passed over. On the coordinator's thread.
 *
 *   file:  (found by a scan) ──▶ SEEN ──unchanged at the next scan──▶ TAKEN ──gone──▶ forgotten
 *             (created, modified) ──▶ WRITING ──closed, moved in──▶ TAKEN
 *                                     WRITING ──closed, and empty──▶ SEEN
 */
#pragma once
#include <stdint.h>
#include "record/value.h"

struct wr_watch;
/* `every_ms`: between two scans. NULL with the error set. */
struct wr_watch *wr_watch_new(int64_t every_ms);
void wr_watch_free(struct wr_watch *w);
/* A folder, or a glob whose last part only has wildcards: "inbox/\*.json". WR_EUSER: no such folder, or the
 * last part has alternatives in braces, which are no wildcard. */
int wr_watch_add(struct wr_watch *w, const char *pattern);
/* Calls `each` for the files that are new, in the order of their paths; *next_ms: when to look again. */
int wr_watch_look(struct wr_watch *w, int (*each)(void *arg, const char *path, uint64_t size), void *arg,
		  int64_t *next_ms);
/* The identities of the files that were told: [[device, inode, birth], …]; and back, before the first look.
 */
void wr_watch_save(const struct wr_watch *w, struct wr_bytes *out);
int wr_watch_restore(struct wr_watch *w, const struct wr_value *saved);
/* From now on without inotify; for tests, and what happens by itself where there is none. */
void wr_watch_scan_only(struct wr_watch *w);
