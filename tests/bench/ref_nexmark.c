/* SPDX-License-Identifier: Apache-2.0 */
/* ref_nexmark: Nexmark queries 0 to 5, 7, 8, 11 and 12 in one thread of plain C.
 * usage: ref_nexmark QUERY EVENTS RATE [memory]
 *
 * Prints one JSON line: wall and CPU seconds, rows, checksum. With `memory` the events are made before the
 * clock starts. What a query keeps is in maps of open addressing: that the ids are dense is not used.
 */
#include "bench/nexmark.h"
#include "nexmark/pool.c"

static struct sum out;

/* ---- q0, q1, q2: one bid at a time ---- */

static void q0(const struct block *b)
{
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];

			add(&out, mixed(mixed(mixed(mixed(mixed(0, bid->auction), bid->bidder), bid->price),
					      bid->ts),
					bid->extra.len));
		}
}

static void q1(const struct block *b)
{
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];

			add(&out,
			    mixed(mixed(mixed(mixed(mixed(1, bid->auction), bid->bidder), bid->price * 908),
					bid->ts),
				  bid->extra.len));
		}
}

static void q2(const struct block *b)
{
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];

			if (bid->auction % 123 == 0)
				add(&out, mixed(mixed(2, bid->auction), bid->price));
		}
}

/* ---- q3: sellers, and auctions that wait for theirs ---- */

struct waiting {
	int64_t auction;
	uint32_t next;
};
static struct {
	struct map sellers, first; /* seller → place in `person`; seller → first that waits */
	struct person *person;
	struct waiting *waiting;
	uint32_t person_count, waiting_count;
} j3;

static void q3_row(const struct person *p, int64_t auction)
{
	add(&out,
	    mixed(mixed(mixed(mixed(3, text_hash(p->name, p->name_len)), text_hash(p->city.p, p->city.len)),
			text_hash(p->state.p, p->state.len)),
		  auction));
}

static void q3_person(const struct person *p)
{
	uint16_t state;

	memcpy(&state, p->state.p, 2);
	if (state != ('O' | 'R' << 8) && state != ('I' | 'D' << 8) && state != ('C' | 'A' << 8))
		return;
	j3.person = grown(j3.person, ++j3.person_count, sizeof *p);
	j3.person[j3.person_count] = *p;
	map_put(&j3.sellers, p->id, j3.person_count);
	for (uint32_t i = map_get(&j3.first, p->id); i; i = j3.waiting[i].next)
		q3_row(p, j3.waiting[i].auction);
	map_remove(&j3.first, p->id);
}

static void q3_auction(const struct auction *a)
{
	uint32_t at;

	if (a->category != 10)
		return;
	at = map_get(&j3.sellers, a->seller);
	if (at) {
		q3_row(&j3.person[at], a->id);
		return;
	}
	j3.waiting = grown(j3.waiting, ++j3.waiting_count, sizeof *j3.waiting);
	j3.waiting[j3.waiting_count] = (struct waiting){a->id, map_get(&j3.first, a->seller)};
	map_put(&j3.first, a->seller, j3.waiting_count);
}

static void q3(const struct block *b)
{
	if (!j3.sellers.slots) {
		j3.sellers = map_new(1);
		j3.first = map_new(2);
	}
	for (int g = 0; g < GROUPS; g++) {
		q3_person(&b->groups[g].person);
		for (int i = 0; i < AUCTIONS; i++)
			q3_auction(&b->groups[g].auctions[i]);
	}
}

/* ---- q4: open auctions, closed by a wheel of milliseconds ---- */

enum { WHEEL = 1 << 16, CATEGORIES = 16, EARLY = 4096 };

struct open {
	int64_t id, ts, expires, category, best;
	uint32_t next; /* in the wheel's list, or the free list */
};
static struct {
	struct map auctions;
	struct open *open;
	uint32_t count, free, *wheel;
	int64_t now; /* all before it is closed */
	struct wr_nexmark_bid early[EARLY];
	uint32_t early_count;
	int64_t sold[CATEGORIES], sum[CATEGORIES];
} a4;

static void q4_close(uint32_t at)
{
	struct open *o = &a4.open[at];

	map_remove(&a4.auctions, o->id);
	if (o->best) {
		a4.sold[o->category]++;
		a4.sum[o->category] += o->best;
		out.rows++;
	}
	o->next = a4.free;
	a4.free = at;
}

static void q4_advance(int64_t ts)
{
	for (; a4.now < ts; a4.now++) {
		uint32_t later = 0, at = a4.wheel[a4.now % WHEEL];

		while (at) {
			uint32_t next = a4.open[at].next;

			if (a4.open[at].expires == a4.now) {
				q4_close(at);
			} else {
				a4.open[at].next = later;
				later = at;
			}
			at = next;
		}
		a4.wheel[a4.now % WHEEL] = later;
	}
}

static void q4_offer(struct open *o, const struct wr_nexmark_bid *bid)
{
	if (bid->ts >= o->ts && bid->ts <= o->expires && bid->price > o->best)
		o->best = bid->price;
}

static void q4_auction(const struct auction *a)
{
	uint32_t at = a4.free, kept = 0;
	struct open *o;

	if (at) {
		a4.free = a4.open[at].next;
	} else {
		at = ++a4.count;
		a4.open = grown(a4.open, at, sizeof *a4.open);
	}
	o = &a4.open[at];
	*o = (struct open){a->id, a->ts, a->expires, a->category, 0, a4.wheel[a->expires % WHEEL]};
	a4.wheel[a->expires % WHEEL] = at;
	map_put(&a4.auctions, a->id, at);
	for (uint32_t i = 0; i < a4.early_count; i++) {
		if (a4.early[i].auction == a->id)
			q4_offer(o, &a4.early[i]);
		else if (a4.early[i].ts >= a->ts)
			a4.early[kept++] = a4.early[i];
	}
	a4.early_count = kept;
}

static void q4(const struct block *b)
{
	if (!a4.auctions.slots) {
		a4.auctions = map_new(1);
		a4.wheel = need(WHEEL * sizeof *a4.wheel);
		a4.now = b->groups[0].person.ts;
	}
	for (int g = 0; g < GROUPS; g++) {
		int64_t last;

		for (int i = 0; i < AUCTIONS; i++)
			q4_auction(&b->groups[g].auctions[i]);
		last = b->groups[g].auctions[AUCTIONS - 1].id;
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];
			uint32_t at;

			if (bid->ts > a4.now)
				q4_advance(bid->ts);
			if (bid->auction > last) {
				if (a4.early_count < EARLY)
					a4.early[a4.early_count++] = *bid;
				continue;
			}
			at = map_get(&a4.auctions, bid->auction);
			if (at)
				q4_offer(&a4.open[at], bid);
		}
	}
}

static void q4_end(void)
{
	q4_advance(a4.now + WHEEL);
	for (int c = 0; c < CATEGORIES; c++)
		if (a4.sold[c])
			out.sum += hash3(4, c, a4.sold[c], a4.sum[c]);
}

/* ---- q5: counts of panes of 2 s; a window is five of them ---- */

enum { PANE_MS = 2000, PANES = 5 };

struct pane {
	struct map auctions;
	int64_t *ids;
	uint32_t *counts, used;
};
static struct {
	struct pane panes[PANES], window; /* of the window `counts` alone change when a pane goes */
	int64_t start;			  /* of the pane that is being filled */
} w5;

static void pane_add(struct pane *p, int64_t auction, uint32_t n)
{
	uint32_t at = map_get(&p->auctions, auction);

	if (!at) {
		at = ++p->used;
		p->ids = grown(p->ids, at, sizeof *p->ids);
		p->counts = grown(p->counts, at, sizeof *p->counts);
		p->ids[at] = auction;
		p->counts[at] = 0;
		map_put(&p->auctions, auction, at);
	}
	p->counts[at] += n;
}

static void q5_fire(int64_t end)
{
	struct pane *w = &w5.window;
	uint32_t most = 0;

	for (uint32_t i = 1; i <= w->used; i++)
		most = w->counts[i] > most ? w->counts[i] : most;
	for (uint32_t i = 1; most && i <= w->used; i++)
		if (w->counts[i] == most)
			add(&out, mixed(mixed(mixed(5, end), w->ids[i]), most));
}

/* The window of the last five panes, made anew: their auctions hardly overlap. */
static void q5_slide(void)
{
	struct pane *next = &w5.panes[(w5.start / PANE_MS + 1) % PANES];

	map_clear(&w5.window.auctions);
	w5.window.used = 0;
	for (int i = 0; i < PANES; i++)
		for (uint32_t k = 1; k <= w5.panes[i].used; k++)
			pane_add(&w5.window, w5.panes[i].ids[k], w5.panes[i].counts[k]);
	w5.start += PANE_MS;
	q5_fire(w5.start);
	map_clear(&next->auctions);
	next->used = 0;
}

static void q5(const struct block *b)
{
	if (!w5.start) {
		for (int i = 0; i < PANES; i++)
			w5.panes[i].auctions = map_new((uint64_t)i + 1);
		w5.window.auctions = map_new(PANES + 1);
		w5.start = b->groups[0].person.ts / PANE_MS * PANE_MS;
	}
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];

			while (bid->ts >= w5.start + PANE_MS)
				q5_slide();
			pane_add(&w5.panes[w5.start / PANE_MS % PANES], bid->auction, 1);
		}
}

static void q5_end(void)
{
	for (int i = 0; i < PANES; i++)
		q5_slide();
}

/* ---- q7: the highest bids of a window ---- */

enum { WINDOW_MS = 10000, TIES = 1024 };

static struct {
	struct wr_nexmark_bid best[TIES];
	uint32_t count;
	int64_t start, price;
} w7;

static void q7_fire(void)
{
	for (uint32_t i = 0; i < w7.count; i++) {
		const struct wr_nexmark_bid *b = &w7.best[i];

		add(&out, mixed(mixed(mixed(mixed(mixed(7, w7.start + WINDOW_MS), b->auction), b->price),
				      b->bidder),
				b->ts));
	}
	w7.count = 0;
	w7.price = 0;
}

static void q7(const struct block *b)
{
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];

			if (bid->ts >= w7.start + WINDOW_MS) {
				q7_fire();
				w7.start = bid->ts / WINDOW_MS * WINDOW_MS;
			}
			if (bid->price < w7.price)
				continue;
			if (bid->price > w7.price)
				w7.count = 0;
			w7.price = bid->price;
			if (w7.count < TIES)
				w7.best[w7.count++] = *bid;
		}
}

/* ---- q8: who opens an auction in the window in which they joined ---- */

struct joined {
	struct person person;
	bool sells, here;
};
static struct {
	struct map people;
	struct joined *list;
	uint32_t count;
	int64_t start;
} w8;

static struct joined *q8_at(int64_t id, int64_t ts)
{
	uint32_t at;

	if (ts >= w8.start + WINDOW_MS) {
		map_clear(&w8.people);
		w8.count = 0;
		w8.start = ts / WINDOW_MS * WINDOW_MS;
	}
	at = map_get(&w8.people, id);
	if (!at) {
		at = ++w8.count;
		w8.list = grown(w8.list, at, sizeof *w8.list);
		w8.list[at].sells = w8.list[at].here = false;
		map_put(&w8.people, id, at);
	}
	return &w8.list[at];
}

static void q8_row(const struct joined *j)
{
	add(&out,
	    mixed(mixed(mixed(8, j->person.id), text_hash(j->person.name, j->person.name_len)), w8.start));
}

static void q8(const struct block *b)
{
	if (!w8.people.slots)
		w8.people = map_new(1);
	for (int g = 0; g < GROUPS; g++) {
		const struct person *p = &b->groups[g].person;
		struct joined *j = q8_at(p->id, p->ts);

		j->person = *p;
		j->here = true;
		if (j->sells)
			q8_row(j);
		for (int i = 0; i < AUCTIONS; i++) {
			const struct auction *a = &b->groups[g].auctions[i];

			j = q8_at(a->seller, a->ts);
			if (j->here && !j->sells)
				q8_row(j);
			j->sells = true;
		}
	}
}

/* ---- q11: sessions of bidders ---- */

struct session {
	int64_t bidder, start, last, count;
};
static struct {
	struct map bidders;
	struct session *list;
	uint32_t count;
} w11;

static void q11_row(const struct session *s)
{
	add(&out, mixed(mixed(mixed(mixed(11, s->bidder), s->count), s->start), s->last + WINDOW_MS));
}

static void q11(const struct block *b)
{
	if (!w11.bidders.slots)
		w11.bidders = map_new(1);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++) {
			const struct wr_nexmark_bid *bid = &b->groups[g].bids[i];
			uint32_t at = map_get(&w11.bidders, bid->bidder);
			struct session *s;

			if (!at) {
				at = ++w11.count;
				w11.list = grown(w11.list, at, sizeof *w11.list);
				w11.list[at] = (struct session){bid->bidder, bid->ts, bid->ts, 0};
				map_put(&w11.bidders, bid->bidder, at);
			}
			s = &w11.list[at];
			if (bid->ts >= s->last + WINDOW_MS) {
				q11_row(s);
				s->start = bid->ts;
				s->count = 0;
			}
			s->last = bid->ts;
			s->count++;
		}
}

static void q11_end(void)
{
	for (uint32_t i = 1; i <= w11.count; i++)
		q11_row(&w11.list[i]);
}

/* ---- q12: bids of bidders in 10 s of the machine's time ---- */

static struct {
	struct pane bidders;
	double end;
} w12;

static void q12_fire(void)
{
	for (uint32_t i = 1; i <= w12.bidders.used; i++) {
		uint64_t h = mixed(12, w12.bidders.ids[i]);

		out.rows++;
		out.sum += w12.bidders.counts[i] * (h ^ h >> 29);
	}
	map_clear(&w12.bidders.auctions);
	w12.bidders.used = 0;
}

static void q12(const struct block *b)
{
	double now = now_s();

	if (!w12.bidders.auctions.slots)
		w12.bidders.auctions = map_new(1);
	if (now >= w12.end) {
		q12_fire();
		w12.end = now + 10;
	}
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < BIDS; i++)
			pane_add(&w12.bidders, b->groups[g].bids[i].bidder, 1);
}

/* ---- the program ---- */

static const struct query {
	void (*block)(const struct block *b);
	void (*end)(void);
} queries[] = {
    [0] = {q0, NULL},	[1] = {q1, NULL},    [2] = {q2, NULL}, [3] = {q3, NULL},      [4] = {q4, q4_end},
    [5] = {q5, q5_end}, [7] = {q7, q7_fire}, [8] = {q8, NULL}, [11] = {q11, q11_end}, [12] = {q12, q12_fire},
};

static uint64_t argument(int argc, char **argv, int at)
{
	return at < argc ? (uint64_t)strtod(argv[at], NULL) : 0;
}

int main(int argc, char **argv)
{
	uint64_t query = argument(argc, argv, 1), events = argument(argc, argv, 2),
		 rate = argument(argc, argv, 3);
	bool memory = argc > 4 && !strcmp(argv[4], "memory");
	struct wr_nexmark_pool *pool = aligned_alloc(_Alignof(struct wr_nexmark_pool), sizeof *pool);
	struct wr_nexmark x = {pool, 1e6 / (double)rate};
	struct block *blocks = need((memory ? events / BLOCK : 1) * sizeof *blocks);
	double start, start_cpu;

	if (query >= sizeof queries / sizeof *queries || !queries[query].block || !rate || events % BLOCK) {
		fprintf(stderr, "usage: ref_nexmark QUERY EVENTS RATE [memory]   (EVENTS a multiple of %d)\n",
			BLOCK);
		return 2;
	}
	wr_nexmark_pool_fill(pool);
	for (uint64_t n = 0; memory && n < events; n += BLOCK)
		block_make(&x, n, &blocks[n / BLOCK]);
	start = now_s();
	start_cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
	for (uint64_t n = 0; n < events; n += BLOCK) {
		struct block *b = &blocks[memory ? n / BLOCK : 0];

		if (!memory)
			block_make(&x, n, b);
		queries[query].block(b);
	}
	if (queries[query].end)
		queries[query].end();
	printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"rows\":%" PRIu64 ",\"sum\":\"%016" PRIx64 "\"}\n",
	       now_s() - start, seconds_of(CLOCK_THREAD_CPUTIME_ID) - start_cpu, out.rows, out.sum);
	return 0;
}
