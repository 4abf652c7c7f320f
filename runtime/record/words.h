/* SPDX-License-Identifier: Apache-2.0 */
/* words: the words of a text, lower-cased. For the operator `words` and, through WR_CDEF, for Lua. */
#ifndef WR_RECORD_WORDS_H
#define WR_RECORD_WORDS_H
#include <stdint.h>

/* Words of a text: maximal runs of ASCII letters, digits and bytes from 0x80 up. Gives the next one: `len`
 * bytes that end at `p`, and lower-cased in `lower` if they fit there. 0 at the end. */
struct wr_words {
	const uint8_t *p;
	const uint8_t *end;
	uint32_t len;
	uint8_t lower[256];
};
int wr_words_next(struct wr_words *w);
#endif
