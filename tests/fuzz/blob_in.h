/* SPDX-License-Identifier: Apache-2.0 */
/* blob_in: the input of a fuzzer as a blob, exactly as long, so that a step too far is seen. An odd first
 * byte bids put the checksums right. */
#pragma once
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "checkpoint/block.h"

static inline void mend_sums(uint8_t *p, size_t len)
{
	size_t at = 0;

	while (len - at >= WR_BLOCK_HEADER) {
		XXH3_state_t state;
		uint32_t size;
		uint64_t sum;

		memcpy(&size, p + at + 20, 4);
		if (size > len - at - WR_BLOCK_HEADER ||
		    (((size_t)size + 7) & ~(size_t)7) > len - at - WR_BLOCK_HEADER)
			return;
		XXH3_64bits_reset(&state);
		XXH3_64bits_update(&state, p + at, 24);
		at += WR_BLOCK_HEADER;
		XXH3_64bits_update(&state, p + at, ((size_t)size + 7) & ~(size_t)7);
		sum = XXH3_64bits_digest(&state);
		memcpy(p + at - 8, &sum, 8);
		at += ((size_t)size + 7) & ~(size_t)7;
	}
}

/* To be given back with free. */
static inline uint8_t *blob_of_input(const uint8_t *data, size_t len, size_t *blob_len)
{
	uint8_t *blob = malloc(len > 1 ? len - 1 : 1);

	*blob_len = len - 1;
	memcpy(blob, data + 1, *blob_len);
	if (data[0] & 1)
		mend_sums(blob, *blob_len);
	return blob;
}
