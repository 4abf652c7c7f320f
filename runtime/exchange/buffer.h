/* SPDX-License-Identifier: Apache-2.0 */
/* buffer: a fixed-size, reference-counted piece of memory on its way from one task to
 * others. Rows lie in [0, rows_len), events behind them in [rows_len, len): a writer that
 * emits an event closes the buffer, so a reader never searches rows for events.
 *
 * Filled by one owner, then read-only; every reader unrefs once. The last unref gives it
 * back to its pool, from any thread.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "record/element.h"

struct wr_pool;

enum wr_fragment { WR_WHOLE = 0, WR_FRAGMENT = 1 /* more follows in this channel */, WR_FRAGMENT_LAST = 2 };

struct wr_buffer {
	struct wr_pool *pool;
	struct wr_buffer *next; /* free lists only */
	_Atomic uint32_t refs;
	uint32_t size; /* capacity of data */
	uint32_t rows_len;
	uint32_t len;
	uint32_t row_count;
	uint32_t fragment; /* enum wr_fragment: a row larger than a buffer travels as a chain */
	uint8_t unused[24];
	uint8_t data[]; /* 64 bytes behind the begin, which large buffers have at a multiple of 64 */
};
_Static_assert(offsetof(struct wr_buffer, data) == 64, "a buffer's rows begin at a cache line");

void wr_buffer_ref(struct wr_buffer *b, uint32_t n);
void wr_buffer_unref(struct wr_buffer *b);

/* A buffer of its own, outside any pool: a row put together from fragments. NULL with the error set. */
struct wr_buffer *wr_buffer_alone(uint32_t size);
