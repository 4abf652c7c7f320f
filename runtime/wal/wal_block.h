/* SPDX-License-Identifier: Apache-2.0 */
/* wal_block: the unit in which a write-ahead log is written and checked (wal.h). Inside of wal/ only. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "stream/feed.h"

#define WR_WAL_BYTES UINT32_C(0x42574c57) /* "WLWB" */
#define WR_WAL_END UINT32_C(0x45574c57)	  /* "WLWE" */

enum { WR_WAL_BLOCK_MAX = 16 << 20 };

struct wr_wal_head {
	uint32_t magic, len;
	uint64_t offset, sum;
};
/* Of the other members and the payload. */
uint64_t wr_wal_sum(const struct wr_wal_head *head, const void *payload);
/* Bytes of the block that stands at `p`, 0: there is no whole one. */
size_t wr_wal_block(const uint8_t *p, size_t len);
/* The bytes of a session that has an end, from `from` on; its segments begin at `starts`. NULL with the error
 * set. */
struct wr_feed *wr_wal_feed_new(const char *folder, uint64_t session, const uint64_t *starts, uint32_t count,
				uint64_t from);
