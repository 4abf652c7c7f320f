/* SPDX-License-Identifier: Apache-2.0 */
/* layout: the fixed parts of a savepoint's file (FORMAT.md), which its writer and its reader share. */
#pragma once
#include <stdint.h>

enum { WR_SAVEPOINT_VERSION = 1, WR_SAVEPOINT_INDEX_MAX = 64 << 20 };
#define WR_SAVEPOINT_BEGIN UINT64_C(0x4556415352494557) /* "WEIRSAVE" */
#define WR_SAVEPOINT_END UINT64_C(0x31444e4552494557)	/* "WEIREND1" */

struct wr_savepoint_head {
	uint64_t magic;
	uint32_t version, zero;
	uint64_t sum; /* XXH3-64 of the bytes before */
};
struct wr_savepoint_tail {
	uint64_t index_at, index_len;
	uint64_t magic;
	uint64_t sum; /* as in the head */
};
_Static_assert(sizeof(struct wr_savepoint_head) == 24 && sizeof(struct wr_savepoint_tail) == 32,
	       "both are written as they lie in memory");
