/* SPDX-License-Identifier: Apache-2.0 */
/* wal: a write-ahead log of bytes that cannot be read a second time. What was appended is on the disk before
 * anybody acts on it, and can be read again until it is removed.
 *
 * A *session* is what one connection, or one run of a pipe, has brought: its bytes are counted from 0. A
 * session that did not end in order, since its process died, ends behind its last whole line. Numbers of
 * sessions rise and are never used twice.
 *
 *   FOLDER/<session>-<offset>.wal     hexadecimal; a segment: blocks, the first with the byte at <offset>
 *   block = u32 magic · u32 length · u64 offset · u64 XXH3-64 of the 16 bytes before and the payload ·
 * payload
 *
 * Little-endian. magic is WLWB for bytes, WLWE for the end of a session, whose offset is its length and whose
 * payload is empty. What does not hold at the very end of a log was being written when the process died, and
 * is cut; what does not hold elsewhere is damage, and an error.
 *
 * wr_wal_append and wr_wal_end are one thread's, wr_wal_remove another's, the rest the task's. All block. */
#pragma once
#include <stdbool.h>
#include "stream/feed.h"

struct wr_wal;
/* Opens the log in `folder`, made if its parent is there, and puts an end to a session that has none.
 * Segments get about so many bytes. NULL with the error set. */
struct wr_wal *wr_wal_open(const char *folder, uint64_t segment_bytes);
void wr_wal_free(struct wr_wal *w);

/* The sessions of earlier processes: the first that is there, and the one behind the last: what is appended
 * is of that. */
uint64_t wr_wal_first(const struct wr_wal *w);
uint64_t wr_wal_live(const struct wr_wal *w);
/* Before anything is appended: the live session has this number at least. */
void wr_wal_rise(struct wr_wal *w, uint64_t session);
/* A session before the live one, from a byte on. *none: there is nothing of it. NULL with the error set, or
 * for `none`: WR_EUSER if it does not reach to there, or does not begin before. */
struct wr_feed *wr_wal_read(struct wr_wal *w, uint64_t session, uint64_t from, bool *none);

/* WR_OK: it is on the disk; else it is not in the log. */
int wr_wal_append(struct wr_wal *w, const void *p, size_t len);
/* The live session has ended in order. */
int wr_wal_end(struct wr_wal *w);
/* Removes the segments in which all is before `offset` of `session`. */
int wr_wal_remove(struct wr_wal *w, uint64_t session, uint64_t offset);
