/* SPDX-License-Identifier: Apache-2.0 */
/* ref_word_count: a running count of the words of a file. usage: ref_word_count FILE
 *
 * Words as in jobs/word_count.lua: runs of ASCII letters, digits and bytes from 0x80 up,
 * lower-cased. Each change of a count is an update (word, count); the checksum is
 *   sum of count × (length × 65536 + first byte × 256 + last byte)  mod 2^32
 * over all updates, so it does not depend on their order and is cheap in Lua too.
 * Read by read(2) in blocks of 256 KB; words of up to 24 bytes live in the table's slots.
 */
#include <fcntl.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "ref.h"

enum { BLOCK = 256 * 1024, INLINE = 24, WORD_MAX = 1 << 16 };

struct slot {
	uint32_t count, len;
	union {
		uint8_t word[INLINE]; /* padded with zeros */
		struct {
			uint64_t hash;
			uint8_t *p;
		} longer;
	};
};
static struct {
	struct slot *slots;
	uint64_t mask, used;
	uint8_t lower[256]; /* 0: not part of a word */
	uint32_t checksum;
	uint64_t words;
} wc;

static uint64_t hash_padded(const uint8_t *word)
{
	uint64_t a, b, c;
	__uint128_t m;

	memcpy(&a, word, 8);
	memcpy(&b, word + 8, 8);
	memcpy(&c, word + 16, 8);
	m = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ c * 0xd1b54a32d192ed03u ^ 0xe7037ed1a0b428dbu);
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t slot_hash(const struct slot *s)
{
	return s->len <= INLINE ? hash_padded(s->word) : s->longer.hash;
}

static void grow(void)
{
	struct slot *old = wc.slots;
	uint64_t count = old ? wc.mask + 1 : 0;

	wc.mask = old ? 2 * count - 1 : 4095;
	wc.slots = need((wc.mask + 1) * sizeof *old);
	for (uint64_t i = 0; i < count; i++) {
		if (!old[i].len)
			continue;
		uint64_t at = slot_hash(&old[i]) & wc.mask;
		while (wc.slots[at].len)
			at = (at + 1) & wc.mask;
		wc.slots[at] = old[i];
	}
	free(old);
}

/* `word` is padded with zeros to INLINE bytes if it is shorter. */
static bool holds(const struct slot *s, const uint8_t *word, uint32_t len, uint64_t hash)
{
	if (s->len != len)
		return false;
	if (len <= INLINE)
		return memcmp(s->word, word, INLINE) == 0;
	return s->longer.hash == hash && memcmp(s->longer.p, word, len) == 0;
}

static void update(const uint8_t *word, uint32_t len)
{
	uint64_t hash = len <= INLINE ? hash_padded(word) : XXH3_64bits(word, len), at = hash & wc.mask;
	struct slot *s;

	while (!holds(s = &wc.slots[at], word, len, hash)) {
		if (!s->len) {
			s->len = len;
			if (len <= INLINE) {
				memcpy(s->word, word, INLINE);
			} else {
				s->longer.hash = hash;
				s->longer.p = memcpy(need(len), word, len);
			}
			wc.used++;
			break;
		}
		at = (at + 1) & wc.mask;
	}
	wc.checksum += ++s->count * (len * 65536 + word[0] * 256u + word[len - 1]);
	wc.words++;
	if (wc.used * 2 > wc.mask)
		grow();
}

static void count(int fd)
{
	uint8_t *block = need(BLOCK), *word = need(WORD_MAX + 64);
	uint32_t len = 0;
	ssize_t got;

	while ((got = read(fd, block, BLOCK)) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			uint8_t c = wc.lower[block[i]];

			if (c) {
				if (len < WORD_MAX)
					word[len++] = c;
			} else if (len) {
				update(word, len);
				memset(word, 0, INLINE);
				len = 0;
			}
		}
	}
	if (len)
		update(word, len);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	double start;

	if (fd < 0) {
		fprintf(stderr, "usage: ref_word_count FILE\n");
		return 2;
	}
	for (int c = 0; c < 256; c++)
		wc.lower[c] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32
					: (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80 ? c
													: 0);
	grow();
	start = now_s();
	count(fd);
	result("word_count", now_s() - start, wc.words, wc.checksum);
	fprintf(stderr, "%" PRIu64 " distinct\n", wc.used);
	return 0;
}
