/* SPDX-License-Identifier: Apache-2.0 */
/* ref_word_count: a running count of the words of a file. usage: ref_word_count FILE
 *
 * Words as in jobs/word_count.lua: runs of ASCII letters, digits and bytes from 0x80 up,
 * lower-cased. Each change of a count is an update, the row {count, word} in a 32 KB buffer; the
 * checksum is the sum of XXH3-64 over the rows' bodies, as stream:measure has it, so it does not
 * depend on their order.
 *
 * Read by read(2) in blocks of 256 KB. Words of up to 24 bytes are three registers on their
 * way and lie in the table's slots; longer ones take a slower way. They may be 64 KB long.
 */
#include <fcntl.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "ref.h"

enum { BLOCK = 256 * 1024, WORD_MAX = 1 << 16, INLINE = 24 };

struct word {
	uint64_t w[3]; /* padded with zeros; longer words: hash, pointer, 0 */
};
struct slot {
	uint32_t count, len;
	struct word word;
};
static struct {
	struct slot *slots;
	uint64_t mask, used, words, checksum;
	uint8_t part[256], lower[256];
	uint32_t out_used;
	uint8_t out[BUFFER + WORD_MAX + 128];
} wc;

static inline uint64_t hash_of(const struct word *k, uint32_t len)
{
	__uint128_t m = (__uint128_t)(k->w[0] ^ 0x9e3779b97f4a7c15u) *
			(k->w[1] ^ k->w[2] * 0xd1b54a32d192ed03u ^ 0xe7037ed1a0b428dbu);

	return len <= INLINE ? (uint64_t)m ^ (uint64_t)(m >> 64) : k->w[0];
}

static void grow(void)
{
	struct slot *old = wc.slots;
	uint64_t count = old ? wc.mask + 1 : 0;

	wc.mask = old ? 2 * count - 1 : 4095;
	wc.slots = need((wc.mask + 1) * sizeof *old);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at;

		if (!old[i].len)
			continue;
		for (at = hash_of(&old[i].word, old[i].len) & wc.mask; wc.slots[at].len;
		     at = (at + 1) & wc.mask)
			;
		wc.slots[at] = old[i];
	}
	free(old);
}

static void drain(void)
{
	for (uint32_t at = 0; at < wc.out_used;) {
		const struct elem *e = (const struct elem *)(wc.out + at);

		wc.checksum += XXH3_64bits(e + 1, e->len - sizeof *e);
		at += e->len;
	}
	wc.out_used = 0;
}

static inline void emit(const struct slot *s)
{
	uint8_t *body = wc.out + wc.out_used + sizeof(struct elem);
	uint64_t slot = 16 | (uint64_t)s->len << 32;

	put_f64(body, s->count);
	memcpy(body + 8, &slot, 8);
	if (s->len <= INLINE) {
		memcpy(body + 16, s->word.w, INLINE);
	} else {
		memset(body + 16 + (s->len & ~7u), 0, 8);
		memcpy(body + 16, (const void *)s->word.w[1], s->len);
	}
	wc.out_used += end_row((struct elem *)(wc.out + wc.out_used), 16 + s->len, INT64_MIN);
	if (wc.out_used >= BUFFER)
		drain();
}

static inline bool holds(const struct slot *s, const struct word *k, uint32_t len)
{
	if (s->len != len)
		return false;
	if (len <= INLINE)
		return s->word.w[0] == k->w[0] && s->word.w[1] == k->w[1] && s->word.w[2] == k->w[2];
	return s->word.w[0] == k->w[0] && !memcmp((const void *)s->word.w[1], (const void *)k->w[1], len);
}

static inline void update(const struct word *k, uint32_t len)
{
	uint64_t at = hash_of(k, len) & wc.mask;

	for (; !holds(&wc.slots[at], k, len); at = (at + 1) & wc.mask) {
		struct slot *s = &wc.slots[at];

		if (s->len)
			continue;
		s->len = len;
		s->word = *k;
		if (len > INLINE)
			s->word.w[1] = (uint64_t)memcpy(need(len), (const void *)k->w[1], len);
		wc.used++;
		break;
	}
	wc.slots[at].count++;
	wc.words++;
	emit(&wc.slots[at]);
	if (wc.used * 2 > wc.mask)
		grow();
}

static inline uint64_t lower8(uint64_t x)
{
	uint64_t low = x & 0x7f7f7f7f7f7f7f7fu;
	uint64_t upper = (low + 0x3f3f3f3f3f3f3f3fu) ^ (low + 0x2525252525252525u); /* from A, beyond Z */

	return x | (upper & ~x & 0x8080808080808080u) >> 2;
}

static void long_word(const uint8_t *p, uint32_t len)
{
	static uint8_t copy[WORD_MAX];

	len = len < WORD_MAX ? len : WORD_MAX;
	for (uint32_t i = 0; i < len; i++)
		copy[i] = wc.lower[p[i]];
	update(&(struct word){{XXH3_64bits(copy, len), (uint64_t)copy, 0}}, len);
}

/* Reads 24 bytes from p, whatever its length. */
static inline void one_word(const uint8_t *p, uint32_t len)
{
	struct word k;

	if (len > INLINE) {
		long_word(p, len);
		return;
	}
	memcpy(k.w, p, INLINE);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t left = len > 8 * i ? len - 8 * i : 0;

		k.w[i] = lower8(k.w[i]) & (left >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * left) - 1);
	}
	update(&k, len);
}

/* Counts the words of [p, end) but the last if it may go on; returns where that begins. */
static const uint8_t *scan(const uint8_t *p, const uint8_t *end, bool last)
{
	for (;;) {
		const uint8_t *start;

		while (p < end && !wc.part[*p])
			p++;
		start = p;
		while (p < end && wc.part[*p])
			p++;
		if (p == end && !last && p - start < WORD_MAX)
			return start;
		if (p > start)
			one_word(start, (uint32_t)(p - start));
		if (p == end)
			return end;
	}
}

static void count(int fd)
{
	uint8_t *block = need(WORD_MAX + BLOCK + 64);
	size_t kept = 0;
	ssize_t got;

	while ((got = read(fd, block + kept, BLOCK)) > 0) {
		const uint8_t *end = block + kept + got, *rest = scan(block, end, false);

		kept = (size_t)(end - rest);
		memmove(block, rest, kept);
	}
	scan(block, block + kept, true);
	drain();
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	double start;

	if (fd < 0) {
		fprintf(stderr, "usage: ref_word_count FILE\n");
		return 2;
	}
	for (int c = 0; c < 256; c++) {
		bool upper = c >= 'A' && c <= 'Z';

		wc.part[c] = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
		wc.lower[c] = (uint8_t)(upper ? c + 32 : c);
	}
	grow();
	start = now_s();
	count(fd);
	result_hex("word_count", now_s() - start, wc.words, wc.checksum);
	fprintf(stderr, "%" PRIu64 " distinct\n", wc.used);
	return 0;
}
