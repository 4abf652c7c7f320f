/* SPDX-License-Identifier: Apache-2.0 */
/* inherit: channels begin with the rows that were under way, each once, and none comes behind a watermark
 * that it would have come before. */
#include "exchange/inherit.h"
#include "unit/exchange/kit.h"

enum { SUBTASKS = 4, CHANNELS = 3, ROWS = 400, GROUPS = 16 };

static const struct wr_str key_names[] = {{"k", 1}};
static const struct wr_input_keys by_key[2] = {{key_names, 1}};

/* Former channels, and for each row where it was and the watermark that it had to come at. */
static struct past {
	struct wr_rand r;
	uint32_t subtasks, channels, rows;
	int64_t begin[SUBTASKS][CHANNELS], last[SUBTASKS][CHANNELS], lowest_last;
	struct wr_bytes elements[SUBTASKS][CHANNELS];
	uint32_t from[ROWS];
	int64_t at[ROWS];
	uint32_t key[ROWS];
	uint32_t seen[ROWS];
} past;

static void draw_channel(uint32_t s, uint32_t c)
{
	struct wr_bytes *to = &past.elements[s][c];
	int64_t now = wr_rand_below(&past.r, 100);
	uint8_t event[WR_ELEM_HEADER];

	past.begin[s][c] = now;
	for (uint32_t n = wr_rand_below(&past.r, 2) ? 0 : wr_rand_below(&past.r, 30); n > 0; n--) {
		if (wr_rand_below(&past.r, 4) == 0) {
			now += wr_rand_below(&past.r, 50);
			wr_bytes_put(to, event, wr_event_put(event, WR_EV_WATERMARK, now));
			continue;
		}
		past.from[past.rows] = s * CHANNELS + c;
		past.at[past.rows] = now;
		past.key[past.rows] = wr_rand_below(&past.r, 20);
		kit_put(to, (struct kit_row){past.key[past.rows], past.rows,
					     wr_rand_below(&past.r, 20) ? 0 : 40000});
		past.rows++;
	}
	past.last[s][c] = now;
	if (now < past.lowest_last)
		past.lowest_last = now;
}

static void draw(uint64_t seed, uint32_t subtasks, uint32_t channels)
{
	memset(&past, 0, sizeof past);
	past.r.s = seed;
	past.subtasks = subtasks;
	past.channels = channels;
	past.lowest_last = INT64_MAX;
	for (uint32_t s = 0; s < subtasks; s++)
		for (uint32_t c = 0; c < channels; c++)
			draw_channel(s, c);
}

static void forget(void)
{
	for (uint32_t s = 0; s < SUBTASKS; s++)
		for (uint32_t c = 0; c < CHANNELS; c++)
			wr_bytes_deinit(&past.elements[s][c]);
}

/* ---- a task that inherits ---- */

static struct {
	struct wr_channel *channels[CHANNELS];
	struct wr_gate *gate;
	struct wr_valve *valve;
	struct wr_inherit *inherit;
	uint32_t count;
} task;

static void begin(uint32_t subtask, uint32_t parallelism, uint32_t channels, const struct wr_input_keys *keys,
		  bool same_senders)
{
	static const struct wr_notify nobody;
	struct wr_gate_channel list[CHANNELS];
	struct wr_inherit_options o = {.same_senders = same_senders,
				       .keys = keys,
				       .subtask = subtask,
				       .parallelism = parallelism,
				       .max_parallelism = GROUPS,
				       .same_parallelism = parallelism == past.subtasks};

	task.count = channels;
	for (uint32_t i = 0; i < channels; i++) {
		task.channels[i] = wr_ring_new(&nobody);
		list[i] = (struct wr_gate_channel){task.channels[i], 0};
	}
	o.gate = task.gate = wr_gate_new(list, channels);
	o.valve = task.valve = wr_valve_new(channels);
	task.inherit = wr_inherit_new(&o);
	assert_non_null(task.inherit);
}

static void end(void)
{
	wr_inherit_free(task.inherit);
	wr_valve_free(task.valve);
	wr_gate_free(task.gate);
	for (uint32_t i = 0; i < task.count; i++)
		task.channels[i]->ops->free(task.channels[i]);
}

/* Shapes bear other numbers there than here. */
static void dict_make(struct wr_dict *dict)
{
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader r;

	wr_dict_init(dict);
	wr_dict_put(&b, kit_shape(false));
	wr_dict_put(&b, kit_shape(true));
	r = wr_reader_of(b.data, b.len);
	while (r.p < r.end)
		assert_int_equal(wr_dict_read(dict, &r), WR_OK);
	wr_bytes_deinit(&b);
}

static void take(uint32_t s)
{
	struct wr_value pairs[CHANNELS], members[CHANNELS][2];
	struct wr_value list = {.tag = WR_V_LIST, .count = past.channels, .items = pairs};
	struct wr_dict dict;

	for (uint32_t c = 0; c < past.channels; c++) {
		members[c][0] = (struct wr_value){.tag = WR_V_I64, .i64 = past.begin[s][c]};
		members[c][1] = (struct wr_value){.tag = WR_V_FALSE};
		pairs[c] = (struct wr_value){.tag = WR_V_LIST, .count = 2, .items = members[c]};
	}
	dict_make(&dict);
	assert_int_equal(wr_inherit_subtask(task.inherit, s, &list), WR_OK);
	for (uint32_t c = 0; c < past.channels; c++)
		if (past.elements[s][c].len)
			assert_int_equal(wr_inherit_rows(task.inherit, c, 0, past.elements[s][c].data,
							 past.elements[s][c].len, &dict),
					 WR_OK);
	wr_dict_deinit(&dict);
}

/* Reads all; `now`: watermark of each channel in the end. */
static void read_all(int64_t now[CHANNELS], uint32_t group_first, uint32_t group_last, bool exact)
{
	int64_t before[SUBTASKS * CHANNELS];
	struct wr_keyer *keyer = wr_keyer_new(key_names, 1);
	struct wr_input in;
	bool idle, aligned;

	memset(before, -1, sizeof before);
	for (uint32_t i = 0; i < task.count; i++)
		wr_valve_channel(task.valve, i, &now[i], &idle, &aligned);
	while (wr_gate_next(task.gate, &in, NULL, NULL) == WR_OK) {
		const uint8_t *p = in.buffer->data, *end = p + in.buffer->rows_len;

		for (; p < end; p += ((const struct wr_elem *)p)->len) {
			uint32_t n = (uint32_t)kit_n((const struct wr_elem *)p);
			struct wr_key key;
			uint32_t group;

			past.seen[n]++;
			assert_true(before[past.from[n]] < n); /* in their order */
			before[past.from[n]] = n;
			assert_true(exact ? now[in.channel] == past.at[n] : now[in.channel] <= past.at[n]);
			assert_int_equal(wr_keyer_key(keyer, (const struct wr_elem *)p, &key), WR_OK);
			group = wr_key_group(key.hash, GROUPS);
			assert_true(group >= group_first && group <= group_last);
		}
		for (; p < in.buffer->data + in.buffer->len; p += ((const struct wr_elem *)p)->len)
			now[in.channel] = ((const struct wr_elem *)p)->ts;
		wr_buffer_unref(in.buffer);
	}
	wr_keyer_free(keyer);
}

static void at_the_same_parallelism_rows_and_watermarks_come_as_they_were(void **state)
{
	int64_t now[CHANNELS];

	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		draw(seed, 3, 2);
		for (uint32_t s = 0; s < 3; s++) {
			begin(s, 3, 2, by_key, true);
			take(s);
			assert_int_equal(wr_inherit_begin(task.inherit, WR_TS_NONE), WR_OK);
			read_all(now, 0, GROUPS - 1, true);
			for (uint32_t c = 0; c < 2; c++)
				assert_int_equal(now[c], past.last[s][c]);
			end();
		}
		for (uint32_t n = 0; n < past.rows; n++)
			assert_int_equal(past.seen[n], 1);
		forget();
	}
}

static void rescale(uint64_t seed, uint32_t before, uint32_t after, const struct wr_input_keys *keys)
{
	bool same_senders = seed % 2, same_channels;
	uint32_t channels;
	int64_t now[CHANNELS];

	draw(seed, before, 1 + (uint32_t)(seed % CHANNELS));
	channels = 1 + wr_rand_below(&past.r, CHANNELS);
	same_channels = same_senders && channels == past.channels;
	for (uint32_t s = 0; s < after; s++) {
		uint32_t first = 0, last = GROUPS - 1;

		if (keys)
			wr_key_group_range(GROUPS, after, s, &first, &last);
		begin(s, after, channels, keys, same_senders);
		for (uint32_t from = 0; from < before; from++)
			take(from);
		assert_int_equal(wr_inherit_begin(task.inherit, WR_TS_NONE), WR_OK);
		read_all(now, first, last, false);
		for (uint32_t c = 0; c < channels; c++) { /* no further than any sender that may be its own */
			int64_t low = INT64_MAX;

			for (uint32_t from = 0; from < before && same_channels; from++)
				low = past.last[from][c] < low ? past.last[from][c] : low;
			assert_int_equal(now[c], same_channels ? low : past.lowest_last);
		}
		end();
	}
	for (uint32_t n = 0; n < past.rows; n++)
		assert_int_equal(past.seen[n], 1);
	forget();
}

static void C9_at_another_parallelism_each_row_comes_once_to_who_has_its_key_and_not_late(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		rescale(seed, 1, 3, by_key);
		rescale(seed, 3, 2, by_key);
		rescale(seed, 4, 1, by_key);
		rescale(seed, 2, 4, NULL); /* anywhere */
	}
}

static void rows_for_an_input_that_is_gone_are_an_error(void **state)
{
	struct wr_dict dict;

	(void)state;
	draw(7, 1, 1);
	begin(0, 1, 1, by_key, true);
	take(0);
	dict_make(&dict);
	assert_int_equal(wr_inherit_rows(task.inherit, 0, 1, (const uint8_t *)"", 0, &dict), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "input 1"));
	assert_int_equal(wr_inherit_rows(task.inherit, 1, 0, (const uint8_t *)"", 0, &dict), WR_EUSER);
	wr_dict_deinit(&dict);
	end();
	forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(at_the_same_parallelism_rows_and_watermarks_come_as_they_were,
				      kit_no_leak),
	    cmocka_unit_test_teardown(
		C9_at_another_parallelism_each_row_comes_once_to_who_has_its_key_and_not_late, kit_no_leak),
	    cmocka_unit_test_teardown(rows_for_an_input_that_is_gone_are_an_error, kit_no_leak),
	};

	return cmocka_run_group_tests_name("inherit", tests, NULL, NULL);
}
