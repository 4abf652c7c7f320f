/* SPDX-License-Identifier: Apache-2.0 */
/* words: text cut into lower-cased words, for weir.text. */
#include "script/api.h"

/* Lower case of the bytes of words, 0 for all others. */
static uint8_t lower_of(uint8_t b)
{
	if (b >= 'A' && b <= 'Z')
		return (uint8_t)(b | 32);
	return (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b >= 0x80 ? b : 0;
}

int wr_words_next(struct wr_words *w)
{
	static uint8_t table[256];
	static _Atomic int ready;
	const uint8_t *p = w->p, *end = w->end;
	uint32_t n = 0;
	uint8_t c;

	if (!ready) {
		for (int i = 0; i < 256; i++)
			table[i] = lower_of((uint8_t)i);
		ready = 1;
	}
	while (p < end && !table[*p])
		p++;
	while (p < end && n < sizeof w->lower && (c = table[*p])) {
		w->lower[n++] = c;
		p++;
	}
	w->p = p;
	w->len = n;
	return n != 0;
}
