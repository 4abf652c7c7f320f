/* SPDX-License-Identifier: Apache-2.0 */
/* exchange: pools, writers, rings and gates together: random schedules on one thread against
 * what was written, and two threads at full speed.
 *
 * What every run asks: each row arrives once, at the right channel, in the order written;
 * events in their place between the rows; nobody waits for ever with pools of minimal size.
 */
#include <pthread.h>
#include "unit/exchange/kit.h"

enum { SIDE_MAX = 4, SIZE = 128, LONG_MAX_PAD = 700, MAXP = 128 };

/* ---- one thread ---- */

struct expected { /* what is under way from one writer to one gate */
	struct {
		double n;   /* a row's number, or */
		int64_t ts; /* an event's; WR_TS_NONE for a row */
	} item[2000];
	uint32_t first, count;
};

static struct {
	struct wr_rand rand;
	enum wr_partitioning partitioning;
	uint32_t writers, gates;
	struct wr_pools *pools;
	struct wr_channel *channels[SIDE_MAX][SIDE_MAX]; /* writer, gate */
	struct wr_writer *writer[SIDE_MAX];
	struct bell ready[SIDE_MAX];
	bool waiting[SIDE_MAX], ended[SIDE_MAX];
	uint32_t turn[SIDE_MAX]; /* round robin as the model sees it */
	struct wr_gate *gate[SIDE_MAX];
	struct wr_keyer *keyer;
	struct expected expected[SIDE_MAX][SIDE_MAX];
	double n;
	uint32_t taken;
} sim;

static void expect(uint32_t writer, uint32_t gate, double n, int64_t ts)
{
	struct expected *e = &sim.expected[writer][gate];

	assert_true(e->count < NUMBER_OF(e->item));
	e->item[e->count].n = n;
	e->item[e->count++].ts = ts;
}

static void expect_row(uint32_t writer, const struct wr_elem *row, double channel)
{
	struct wr_key key;

	switch (sim.partitioning) {
	case WR_BROADCAST:
		for (uint32_t g = 0; g < sim.gates; g++)
			expect(writer, g, kit_n(row), WR_TS_NONE);
		return;
	case WR_HASH:
		assert_int_equal(wr_keyer_key(sim.keyer, row, &key), WR_OK);
		expect(writer, wr_key_group_subtask(wr_key_group(key.hash, MAXP), MAXP, sim.gates),
		       kit_n(row), WR_TS_NONE);
		return;
	case WR_RESCALE:
		expect(writer, sim.turn[writer]++ % sim.gates, kit_n(row), WR_TS_NONE);
		return;
	default:
		expect(writer, (uint32_t)channel, kit_n(row), WR_TS_NONE);
	}
}

static void setup(uint64_t seed)
{
	static const enum wr_partitioning kinds[] = {WR_HASH, WR_RESCALE, WR_BROADCAST, WR_GLOBAL, WR_CUSTOM};
	static const struct wr_notify nobody;
	static const struct wr_str key = {"k", 1};

	memset(&sim, 0, sizeof sim);
	sim.rand.s = seed;
	sim.partitioning = kinds[wr_rand_below(&sim.rand, NUMBER_OF(kinds))];
	sim.writers = 1 + wr_rand_below(&sim.rand, SIDE_MAX);
	sim.gates = 1 + wr_rand_below(&sim.rand, SIDE_MAX);
	sim.pools = wr_pools_new(SIZE, 1 << 30);
	sim.keyer = wr_keyer_new(&key, 1);
	for (uint32_t w = 0; w < sim.writers; w++) {
		uint32_t lanes = sim.partitioning == WR_BROADCAST ? 1 : sim.gates;
		struct wr_writer_options o = {.name = "sim",
					      .partitioning = sim.partitioning,
					      .channels = sim.channels[w],
					      .channel_count = sim.gates,
					      .key_names = &key,
					      .key_count = 1,
					      .max_parallelism = MAXP,
					      .timeout_us = wr_rand_below(&sim.rand, 2) ? -1 : 5,
					      .seed = seed};

		for (uint32_t g = 0; g < sim.gates; g++)
			sim.channels[w][g] = wr_ring_new(&nobody);
		bell_init(&sim.ready[w]);
		o.pool = wr_pool_new(sim.pools, "sim", lanes + 1 + wr_rand_below(&sim.rand, 3), lanes,
				     &sim.ready[w].notify);
		sim.writer[w] = wr_writer_new(&o);
		assert_non_null(sim.writer[w]);
	}
	for (uint32_t g = 0; g < sim.gates; g++) {
		struct wr_gate_channel list[SIDE_MAX];

		for (uint32_t w = 0; w < sim.writers; w++)
			list[w] = (struct wr_gate_channel){sim.channels[w][g], 0};
		sim.gate[g] = wr_gate_new(list, sim.writers);
	}
}

static void teardown(void)
{
	for (uint32_t w = 0; w < sim.writers; w++)
		wr_writer_free(sim.writer[w]);
	for (uint32_t g = 0; g < sim.gates; g++)
		wr_gate_free(sim.gate[g]);
	for (uint32_t w = 0; w < sim.writers; w++)
		for (uint32_t g = 0; g < sim.gates; g++)
			sim.channels[w][g]->ops->free(sim.channels[w][g]);
	wr_keyer_free(sim.keyer);
	wr_pools_free(sim.pools);
	assert_int_equal(kit_blocks(), 0);
}

static void write_some(uint32_t w)
{
	struct wr_bytes rows = WR_BYTES_EMPTY;

	for (uint32_t i = wr_rand_below(&sim.rand, 6); i; i--) {
		double channel = wr_rand_below(&sim.rand, sim.gates), n = sim.n++;
		size_t begin = rows.len;
		uint32_t pad = wr_rand_below(&sim.rand, 8) ? 0 : wr_rand_below(&sim.rand, LONG_MAX_PAD);

		if (sim.partitioning == WR_CUSTOM)
			kit_put_custom(&rows, channel, n);
		else
			kit_put(&rows, (struct kit_row){wr_rand_below(&sim.rand, 50), n, pad});
		expect_row(w, (const struct wr_elem *)(rows.data + begin),
			   sim.partitioning == WR_CUSTOM ? channel : 0);
	}
	if (rows.len)
		assert_int_equal(kit_send(sim.writer[w], &rows), WR_OK);
	wr_bytes_deinit(&rows);
}

static void write_event(uint32_t w, enum wr_event_type type, int64_t ts)
{
	for (uint32_t g = 0; g < sim.gates; g++)
		expect(w, g, 0, ts);
	assert_int_equal(wr_writer_event(sim.writer[w], type, ts, NULL, 0), WR_OK);
}

/* As a task does: not before the reserve is there, and after a wait not before it was woken. */
static void writer_step(uint32_t w, bool last)
{
	if (sim.ended[w])
		return;
	if (sim.waiting[w] && !bell_count(&sim.ready[w]))
		return;
	sim.waiting[w] = false;
	if (!wr_writer_ready(sim.writer[w]) && !wr_writer_wait(sim.writer[w])) {
		sim.waiting[w] = true;
		return;
	}
	if (last) {
		write_event(w, WR_EV_END, 0);
		sim.ended[w] = true;
		return;
	}
	write_some(w);
	if (wr_rand_below(&sim.rand, 6) == 0)
		write_event(w, WR_EV_WATERMARK, 1 + wr_rand_below(&sim.rand, 1000));
	if (wr_rand_below(&sim.rand, 4) == 0)
		wr_writer_flush(sim.writer[w], wr_rand_below(&sim.rand, 20000), false);
}

static uint32_t at_random(void *arg, uint32_t n)
{
	(void)arg;
	return wr_rand_below(&sim.rand, n);
}

static void take_element(uint32_t g, uint32_t w, const struct wr_elem *e)
{
	struct expected *x = &sim.expected[w][g];

	assert_true(x->first < x->count);
	if (wr_elem_is_event(e)) {
		/* of watermarks in a row only the last one must come */
		while (wr_event_type(e) == WR_EV_WATERMARK && x->item[x->first].ts != e->ts) {
			assert_true(x->first + 1 < x->count && x->item[x->first].ts > 0 &&
				    x->item[x->first + 1].ts > 0);
			x->first++;
			sim.taken++;
		}
		assert_true(x->item[x->first].ts == e->ts);
		if (wr_event_type(e) == WR_EV_END)
			wr_gate_end(sim.gate[g], w);
	} else {
		assert_true(x->item[x->first].ts == WR_TS_NONE);
		assert_true(x->item[x->first].n == kit_n(e));
	}
	if (++x->first == x->count)
		x->first = x->count = 0;
	sim.taken++;
}

static int gate_step(uint32_t g)
{
	struct wr_input in;
	int rc = wr_gate_next(sim.gate[g], &in, wr_rand_below(&sim.rand, 2) ? at_random : NULL, NULL);

	if (rc != WR_OK)
		return rc;
	for (uint32_t at = 0; at < in.buffer->len;) {
		const struct wr_elem *e = (const struct wr_elem *)(in.buffer->data + at);

		assert_int_equal(wr_elem_is_event(e), at >= in.buffer->rows_len);
		take_element(g, in.channel, e);
		at += e->len;
	}
	wr_buffer_unref(in.buffer);
	if (wr_rand_below(&sim.rand, 10) == 0)
		wr_gate_block(sim.gate[g], in.channel);
	if (wr_rand_below(&sim.rand, 5) == 0)
		wr_gate_unblock_all(sim.gate[g]);
	return WR_OK;
}

/* Everybody goes on until nobody can; with a lost wake-up or a hoarding writer not all come to the end. */
static void run_to_the_end(void)
{
	bool more = true;

	while (more) {
		more = false;
		for (uint32_t w = 0; w < sim.writers; w++) {
			bool was = sim.ended[w];

			writer_step(w, true);
			more |= sim.ended[w] != was;
		}
		for (uint32_t g = 0; g < sim.gates; g++) {
			wr_gate_unblock_all(sim.gate[g]);
			more |= gate_step(g) == WR_OK;
		}
	}
	for (uint32_t w = 0; w < sim.writers; w++)
		assert_true(sim.ended[w]);
	for (uint32_t g = 0; g < sim.gates; g++) {
		assert_int_equal(gate_step(g), WR_END);
		for (uint32_t w = 0; w < sim.writers; w++)
			assert_int_equal(sim.expected[w][g].count, 0);
	}
}

static void random_writers_and_gates_lose_nothing_with_pools_of_minimal_size(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 600; seed++) {
		setup(seed);
		for (int step = 0; step < 150; step++) {
			if (wr_rand_below(&sim.rand, 2))
				writer_step(wr_rand_below(&sim.rand, sim.writers), false);
			else
				gate_step(wr_rand_below(&sim.rand, sim.gates));
		}
		run_to_the_end();
		assert_true(sim.taken >= sim.writers * sim.gates);
		teardown();
	}
}

/* ---- two threads ---- */

enum { ROWS = 200000, BATCH = 64, LONG_EVERY = 997 };

struct stream {
	enum wr_partitioning partitioning;
	uint32_t gates;
	struct wr_pools *pools;
	struct wr_channel *channels[SIDE_MAX];
	struct bell ready, wake[SIDE_MAX];
	uint64_t rows[SIDE_MAX];
};

static void *produce(void *arg)
{
	static const struct wr_str key = {"k", 1};
	struct stream *s = arg;
	struct wr_writer_options o = {.name = "stress",
				      .partitioning = s->partitioning,
				      .channels = s->channels,
				      .channel_count = s->gates,
				      .key_names = &key,
				      .key_count = 1,
				      .max_parallelism = MAXP,
				      .timeout_us = -1};
	struct wr_bytes rows = WR_BYTES_EMPTY;
	struct wr_writer *w;

	o.pool = wr_pool_new(s->pools, "stress", 2 * s->gates + 1, s->gates, &s->ready.notify);
	w = wr_writer_new(&o);
	for (int n = 0; n < ROWS; n++) {
		kit_put(&rows, (struct kit_row){n % 100, n, n % LONG_EVERY ? 0 : 3000});
		if (n % BATCH != BATCH - 1 && n + 1 < ROWS)
			continue;
		while (!wr_writer_ready(w) && !wr_writer_wait(w))
			bell_await(&s->ready);
		assert_int_equal(kit_send(w, &rows), WR_OK);
		rows.len = 0;
		if (n % (100 * BATCH) == BATCH - 1)
			assert_int_equal(wr_writer_event(w, WR_EV_WATERMARK, n, NULL, 0), WR_OK);
	}
	assert_int_equal(wr_writer_event(w, WR_EV_END, 0, NULL, 0), WR_OK);
	wr_bytes_deinit(&rows);
	wr_writer_free(w); /* while buffers are under way */
	return NULL;
}

struct taker {
	struct stream *s;
	uint32_t index;
	pthread_t thread;
};

static void *consume(void *arg)
{
	struct taker *t = arg;
	struct wr_gate_channel one = {t->s->channels[t->index], 0};
	struct wr_gate *g = wr_gate_new(&one, 1);
	double last = -1;
	int rc;

	while (true) {
		struct wr_input in;

		rc = wr_gate_next(g, &in, NULL, NULL);
		if (rc == WR_END)
			break;
		if (rc == WR_AGAIN) {
			bell_await(&t->s->wake[t->index]);
			continue;
		}
		assert_int_equal(rc, WR_OK);
		for (uint32_t at = 0; at < in.buffer->len;) {
			const struct wr_elem *e = (const struct wr_elem *)(in.buffer->data + at);

			if (!wr_elem_is_event(e)) {
				assert_true(kit_n(e) > last);
				last = kit_n(e);
				t->s->rows[t->index]++;
			} else if (wr_event_type(e) == WR_EV_END) {
				wr_gate_end(g, 0);
			} else {
				assert_true(last <= (double)e->ts);
			}
			at += e->len;
		}
		wr_buffer_unref(in.buffer);
	}
	wr_gate_free(g);
	return NULL;
}

static uint64_t rows_through(enum wr_partitioning partitioning, uint32_t gates, uint32_t size)
{
	struct stream s = {.partitioning = partitioning, .gates = gates};
	struct taker takers[SIDE_MAX];
	pthread_t producer;
	uint64_t rows = 0;

	s.pools = wr_pools_new(size, 1 << 30);
	bell_init(&s.ready);
	for (uint32_t g = 0; g < gates; g++) {
		bell_init(&s.wake[g]);
		s.channels[g] = wr_ring_new(&s.wake[g].notify);
		takers[g] = (struct taker){.s = &s, .index = g};
		pthread_create(&takers[g].thread, NULL, consume, &takers[g]);
	}
	pthread_create(&producer, NULL, produce, &s);
	pthread_join(producer, NULL);
	for (uint32_t g = 0; g < gates; g++)
		pthread_join(takers[g].thread, NULL);
	for (uint32_t g = 0; g < gates; g++) {
		s.channels[g]->ops->free(s.channels[g]);
		rows += s.rows[g];
	}
	wr_pools_free(s.pools);
	assert_int_equal(kit_blocks(), 0);
	return rows;
}

static void two_threads_hand_over_every_row_in_order(void **state)
{
	(void)state;
	kit_shape(true);
	assert_int_equal(rows_through(WR_FORWARD, 1, 1024), ROWS);
	assert_int_equal(rows_through(WR_FORWARD, 1, 64), ROWS);
}

static void rows_of_a_hash_reach_three_threads_once_and_in_order(void **state)
{
	(void)state;
	assert_int_equal(rows_through(WR_HASH, 3, 1024), ROWS);
}

static void a_broadcast_reaches_each_of_three_threads(void **state)
{
	(void)state;
	assert_int_equal(rows_through(WR_BROADCAST, 3, 1024), 3 * ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_writers_and_gates_lose_nothing_with_pools_of_minimal_size),
	    cmocka_unit_test(two_threads_hand_over_every_row_in_order),
	    cmocka_unit_test(rows_of_a_hash_reach_three_threads_once_and_in_order),
	    cmocka_unit_test(a_broadcast_reaches_each_of_three_threads),
	};

	return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
