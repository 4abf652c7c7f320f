/* SPDX-License-Identifier: Apache-2.0 */
/* pages: pieces of WR_PAGE bytes for allocators, shared by all threads.
 *
 * Pages lie in regions mapped from the system. What one holder gives back the next one
 * takes, so that a thousand holders which each begin with a heap of garbage need the room
 * for it once; a region without a page in use goes back to the system, but for one.
 */
#pragma once
#include "base/mem.h"

enum { WR_PAGE = 1024 };

struct wr_region;
struct wr_page { /* at the begin of each page; the holder leaves `home` alone */
	struct wr_region *home;
};

/* Takes up to `count` pages of WR_PAGE bytes, aligned to their size; what is behind the header is not
 * cleared. How many there are: 0, with the thread's error set, when the system refuses. A lock is taken once
 * for all of them, for which all threads contend: who needs pages again and again takes several. Any thread.
 */
uint32_t wr_pages_take(struct wr_mem *mem, struct wr_page **pages, uint32_t count);
/* `mem` must be the account that the pages were taken for. Any thread. */
void wr_pages_give(struct wr_mem *mem, struct wr_page *const *pages, uint32_t count);
