/* SPDX-License-Identifier: Apache-2.0 */
/* words_text: writes the text that both sides of the word count read. usage: words_text FILE [words]
 * [distinct] [exponent]
 *
 * Lines of ten words; word of rank r is drawn with probability 1/r^exponent (Zipf), by the
 * alias method. A word is three to nine letters that begin with its rank, so all are different
 * and frequent words are hardly shorter than rare ones. The same arguments give the same bytes.
 */
#include <math.h>
#include "ref.h"

struct alias {
	double keep;
	uint32_t word, other;
};
struct spelled {
	char text[15];
	uint8_t len;
};

static struct alias *alias_new(uint32_t n, double exponent)
{
	struct alias *a = need(n * sizeof *a);
	uint32_t *small = need(n * 4), *large = need(n * 4), smalls = 0, larges = 0;
	double total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += 1 / pow(i + 1, exponent);
	for (uint32_t i = 0; i < n; i++) {
		a[i] = (struct alias){1 / pow(i + 1, exponent) * n / total, i, i};
		if (a[i].keep < 1)
			small[smalls++] = i;
		else
			large[larges++] = i;
	}
	while (smalls && larges) {
		uint32_t s = small[--smalls], l = large[larges - 1];

		a[s].other = l;
		a[l].keep -= 1 - a[s].keep;
		if (a[l].keep < 1) {
			larges--;
			small[smalls++] = l;
		}
	}
	free(small);
	free(large);
	return a;
}

static struct spelled *spell(uint32_t n)
{
	struct spelled *words = need(n * sizeof *words);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t r = random_at(7, i), v = i;
		uint32_t len = 3 + r % 7, k = 0;

		do
			words[i].text[k++] = (char)('a' + v % 25);
		while ((v /= 25));
		words[i].text[k++] = 'z'; /* ends the rank, so that no two are alike */
		while (k < len)
			words[i].text[k++] = (char)('a' + (r = r >> 4 | r << 60) % 26);
		words[i].len = (uint8_t)k;
	}
	return words;
}

int main(int argc, char **argv)
{
	uint64_t count = argument(argc, argv, 2, 50e6);
	uint32_t n = (uint32_t)argument(argc, argv, 3, 100e3);
	double exponent = argc > 4 ? strtod(argv[4], NULL) : 1.0;
	FILE *f = argc > 1 ? fopen(argv[1], "w") : NULL;
	struct alias *a = alias_new(n, exponent);
	struct spelled *words = spell(n);

	if (!f) {
		fprintf(stderr, "usage: words_text FILE [words] [distinct] [exponent]\n");
		return 2;
	}
	for (uint64_t i = 0; i < count; i++) {
		uint64_t r = random_at(8, i);
		const struct alias *slot = &a[(r >> 32) * n >> 32];
		const struct spelled *w =
		    &words[(double)(uint32_t)r * 0x1p-32 < slot->keep ? slot->word : slot->other];

		fwrite(w->text, 1, w->len, f);
		fputc(i % 10 == 9 || i + 1 == count ? '\n' : ' ', f);
	}
	if (fclose(f)) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
