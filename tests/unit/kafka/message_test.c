/* SPDX-License-Identifier: Apache-2.0 */
/* message: rows as messages of Kafka, by the options of a sink. */
#include "kafka/message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"

/* ---- a maker by pairs of option and text, and rows by pairs of field and cell ---- */

static struct wr_value names[16], values[16], options;

static struct wr_value text(const char *s, uint32_t len)
{
	return (struct wr_value){.tag = WR_V_STR, .str = {s, len}};
}

static struct wr_kafka_maker *maker(const char *name, ...)
{
	va_list ap;

	options = (struct wr_value){.tag = WR_V_RECORD, .keys = names, .items = values};
	va_start(ap, name);
	for (; name; name = va_arg(ap, const char *)) {
		const char *value = va_arg(ap, const char *);

		names[options.count] = text(name, (uint32_t)strlen(name));
		values[options.count++] = !strcmp(name, "upsert") ? (struct wr_value){.tag = WR_V_TRUE}
								  : text(value, (uint32_t)strlen(value));
	}
	va_end(ap);
	return wr_kafka_maker_new(&options);
}

/* Gives the options of the last maker another one, a record of one name and its value. */
static void add_option(const char *name, const char *inner, struct wr_value value)
{
	static struct wr_value inner_name, inner_value;

	inner_name = text(inner, (uint32_t)strlen(inner));
	inner_value = value;
	names[options.count] = text(name, (uint32_t)strlen(name));
	values[options.count++] =
	    (struct wr_value){.tag = WR_V_RECORD, .count = 1, .keys = &inner_name, .items = &inner_value};
}

/* The same maker with what has been added. */
static struct wr_kafka_maker *again(struct wr_kafka_maker *m)
{
	wr_kafka_maker_free(m);
	return wr_kafka_maker_new(&options);
}

struct cell {
	const char *name;
	struct wr_cell cell;
};

static struct wr_cell str(const char *s)
{
	return (struct wr_cell){.type = WR_T_STR, .str = {s, (uint32_t)strlen(s)}};
}

static struct wr_cell num(double v)
{
	return (struct wr_cell){.type = WR_T_F64, .f64 = v};
}

/* Cells in the order of their names. */
static const struct wr_elem *row(enum wr_kind kind, int64_t ts, uint32_t count, const struct cell *cells)
{
	static struct wr_bytes room;
	struct wr_field_spec specs[8];
	struct wr_cell plain[8];

	for (uint32_t i = 0; i < count; i++) {
		specs[i] = (struct wr_field_spec){cells[i].name, (uint32_t)strlen(cells[i].name),
						  cells[i].cell.type, 0};
		plain[i] = cells[i].cell;
	}
	room.len = 0;
	wr_row_put(&room, wr_shape_intern(specs, count, 0, count == 1 && !*cells[0].name), kind, ts, plain);
	return (const struct wr_elem *)room.data;
}
#define ROW(kind, ts, ...)                                                                                   \
	row(kind, ts, sizeof((struct cell[]){__VA_ARGS__}) / sizeof(struct cell),                            \
	    (struct cell[]){__VA_ARGS__})

static void same(struct wr_str got, const char *want)
{
	if (!want) {
		assert_null(got.p);
		return;
	}
	assert_non_null(got.p);
	assert_int_equal(strlen(want), got.len);
	assert_memory_equal(want, got.p, got.len);
}

static struct wr_kafka_message made(struct wr_kafka_maker *m, const struct wr_elem *e)
{
	struct wr_kafka_message out;

	assert_int_equal(WR_OK, wr_kafka_message_of(m, e, &out));
	return out;
}

static void refused(struct wr_kafka_maker *m, const struct wr_elem *e, const char *why)
{
	struct wr_kafka_message out;

	assert_int_equal(WR_EUSER, wr_kafka_message_of(m, e, &out));
	if (!strstr(wr_error_text(), why))
		fail_msg("'%s' is not in '%s'", why, wr_error_text());
}

/* ---- tests ---- */

static void a_row_is_its_json_with_its_own_time_and_no_key(void **state)
{
	struct wr_kafka_maker *m = maker("topic", "orders", NULL);
	struct wr_kafka_message out = made(m, ROW(WR_INSERT, 1234, {"a", num(1)}, {"b", str("x")}));

	(void)state;
	same(out.topic, "orders");
	same(out.key, NULL);
	same(out.value, "{\"a\":1,\"b\":\"x\"}");
	same(out.headers, NULL);
	assert_int_equal(1234, out.timestamp);
	assert_int_equal(0, made(m, ROW(WR_INSERT, WR_TS_NONE, {"a", num(1)})).timestamp);
	wr_kafka_maker_free(m);
	m = maker("timestamp", "now", "topic", "orders", NULL);
	assert_int_equal(0, made(m, ROW(WR_INSERT, 1234, {"a", num(1)})).timestamp);
	wr_kafka_maker_free(m);
}

static void hidden_fields_are_read_and_not_written(void **state)
{
	struct wr_kafka_maker *m = maker("key_field",
					 "\1"
					 "1",
					 "topic_field",
					 "\1"
					 "2",
					 NULL);
	struct wr_kafka_message out = made(m, ROW(WR_INSERT, 0,
						  {"\1"
						   "1",
						   num(7)},
						  {"\1"
						   "2",
						   str("eu.orders")},
						  {"a", num(1)}));

	(void)state;
	same(out.topic, "eu.orders");
	assert_int_equal(0, out.topic.p[out.topic.len]);
	same(out.key, "7");
	same(out.value, "{\"a\":1}");
	wr_kafka_maker_free(m);
}

static void a_row_without_a_hidden_field_was_logged_by_another_script(void **state)
{
	static const char *const options_of[][2] = {
	    {"topic_field", "topic"},	      {"key_field", "key"},
	    {"value_field", "format"},	      {"headers_field", "headers"},
	    {"timestamp_field", "timestamp"}, {"number_field", "partitioner"}};

	(void)state;
	for (size_t i = 0; i < sizeof options_of / sizeof options_of[0]; i++) {
		struct wr_kafka_maker *m =
		    maker(options_of[i][0], "\1x", i ? "topic" : "format", i ? "t" : "json", NULL);
		char why[100];

		snprintf(why, sizeof why, "what the function of %s gives is missing", options_of[i][1]);
		refused(m, ROW(WR_INSERT, 0, {"\1y", num(7)}, {"a", num(1)}), why);
		wr_kafka_maker_free(m);
	}
}

static void the_end_of_time_is_no_time_and_the_first_millisecond_is_one(void **state)
{
	struct wr_kafka_maker *m = maker("topic", "t", NULL);

	(void)state;
	assert_int_equal(0, made(m, ROW(WR_INSERT, WR_TS_MAX, {"a", num(1)})).timestamp);
	assert_int_equal(0, made(m, ROW(WR_INSERT, -1, {"a", num(1)})).timestamp);
	assert_int_equal(1, made(m, ROW(WR_INSERT, 0, {"a", num(1)})).timestamp);
	wr_kafka_maker_free(m);
	m = maker("timestamp_field", "a", "topic", "t", NULL);
	assert_int_equal(1, made(m, ROW(WR_INSERT, 5, {"a", num(0)})).timestamp);
	assert_int_equal(2, made(m, ROW(WR_INSERT, 5, {"a", num(2)})).timestamp);
	wr_kafka_maker_free(m);
}

static void a_key_is_text_and_an_empty_one_is_there(void **state)
{
	struct wr_kafka_maker *m = maker("key_field", "id", "topic", "t", NULL);

	(void)state;
	same(made(m, ROW(WR_INSERT, 0, {"id", str("")})).key, "");
	same(made(m, ROW(WR_INSERT, 0, {"id", num(17)})).key, "17");
	same(made(m, ROW(WR_INSERT, 0, {"id", {.type = WR_T_BOOL}})).key, "false");
	same(made(m, ROW(WR_INSERT, 0, {"id", {.type = WR_T_NULL}})).key, NULL);
	same(made(m, ROW(WR_INSERT, 0, {"other", num(1)})).key, NULL);
	wr_kafka_maker_free(m);
	m = maker("key_field",
		  "\1"
		  "1",
		  "topic", "t", NULL);
	same(made(m, ROW(WR_INSERT, 0,
			 {"\1"
			  "1",
			  {.type = WR_T_BOOL}}))
		 .key,
	     NULL);
	wr_kafka_maker_free(m);
}

static void a_value_of_a_field_that_is_null_or_missing_is_a_tombstone(void **state)
{
	struct wr_kafka_maker *m = maker("topic", "t", "value_field", "v", NULL);

	(void)state;
	same(made(m, ROW(WR_INSERT, 0, {"v", str("a\"b")})).value, "\"a\\\"b\"");
	same(made(m, ROW(WR_INSERT, 0, {"v", num(1.5)})).value, "1.5");
	same(made(m, ROW(WR_INSERT, 0, {"v", {.type = WR_T_NULL}})).value, NULL);
	same(made(m, ROW(WR_INSERT, 0, {"w", num(1)})).value, NULL);
	wr_kafka_maker_free(m);
	m = maker("format", "lines", "topic", "t", "value_field", "v", NULL);
	same(made(m, ROW(WR_INSERT, 0, {"v", str("a\"b")})).value, "a\"b");
	wr_kafka_maker_free(m);
	m = maker("topic", "t", NULL);
	same(made(m, ROW(WR_INSERT, 0, {"", {.type = WR_T_NULL}})).value, NULL);
	wr_kafka_maker_free(m);
}

static void lines_are_without_their_end(void **state)
{
	struct wr_kafka_maker *m = maker("format", "lines", "topic", "t", NULL);

	(void)state;
	same(made(m, ROW(WR_INSERT, 0, {"line", str("one")}, {"offset", num(0)})).value, "one");
	same(made(m, ROW(WR_INSERT, 0, {"", str("")})).value, "");
	wr_kafka_maker_free(m);
	assert_null(maker("format", "table", "topic", "t", NULL));
}

static void an_upsert_is_the_new_value_of_a_key_or_its_tombstone(void **state)
{
	struct wr_kafka_maker *m = maker("key_field", "id", "topic", "t", "upsert", "", NULL);
	struct wr_kafka_message out;

	(void)state;
	same(made(m, ROW(WR_UPDATE_AFTER, 0, {"id", num(1)}, {"n", num(2)})).value, "{\"id\":1,\"n\":2}");
	assert_int_equal(WR_END, wr_kafka_message_of(m, ROW(WR_UPDATE_BEFORE, 0, {"id", num(1)}), &out));
	out = made(m, ROW(WR_DELETE, 0, {"id", num(1)}, {"n", num(2)}));
	same(out.key, "1");
	same(out.value, NULL);
	refused(m, ROW(WR_INSERT, 0, {"n", num(2)}), "the field 'id', of key, is missing");
	wr_kafka_maker_free(m);
	m = maker("topic", "t", NULL);
	same(made(m, ROW(WR_DELETE, 0, {"id", num(1)})).value, "{\"op\":\"-D\",\"id\":1}");
	wr_kafka_maker_free(m);
}

static void topics_must_have_names_of_topics(void **state)
{
	static const char *const names_that_are_none[] = {"", ".", "..", "a b", "a/b", "ü"};
	struct wr_kafka_maker *m = maker("topic_field", "to", NULL);
	char long_name[251];

	(void)state;
	memset(long_name, 'a', 250);
	long_name[250] = 0;
	for (size_t i = 0; i < sizeof names_that_are_none / sizeof *names_that_are_none; i++)
		refused(m, ROW(WR_INSERT, 0, {"to", str(names_that_are_none[i])}), "is no name of a topic");
	refused(m, ROW(WR_INSERT, 0, {"to", str(long_name)}), "is no name of a topic");
	refused(m, ROW(WR_INSERT, 0, {"to", num(1)}), "is no text");
	refused(m, ROW(WR_INSERT, 0, {"at", num(1)}), "is no text");
	same(made(m, ROW(WR_INSERT, 0, {"to", str("a.b")})).topic, "a.b");
	same(made(m, ROW(WR_INSERT, 0, {"to", str("a.c")})).topic, "a.c");
	same(made(m, ROW(WR_INSERT, 0, {"to", str(".a")})).topic, ".a");
	wr_kafka_maker_free(m);
}

static void headers_are_packed_and_checked(void **state)
{
	struct wr_kafka_maker *m = maker("headers_field", "h", "topic", "t", NULL);
	struct wr_cell packed = {.type = WR_T_STR, .str = {"a\0001\0xbb\0000\0c\0003\0\0\0\0", 17}};
	struct wr_kafka_message out = made(m, ROW(WR_INSERT, 0, {"h", packed}));
	struct wr_str at = out.headers, name, value;

	(void)state;
	assert_true(wr_kafka_header_next(&at, &name, &value));
	same(name, "a");
	same(value, "x");
	assert_true(wr_kafka_header_next(&at, &name, &value));
	same(name, "bb");
	same(value, "");
	assert_true(wr_kafka_header_next(&at, &name, &value));
	same(name, "c");
	assert_int_equal(3, value.len);
	assert_false(wr_kafka_header_next(&at, &name, &value));
	for (uint32_t len = 1; len < 17; len++) {
		packed.str.len = len;
		if (len != 5 && len != 10)
			refused(m, ROW(WR_INSERT, 0, {"h", packed}), "are no headers");
	}
	wr_kafka_maker_free(m);
}

static void headers_are_as_many_as_a_message_may_have(void **state)
{
	struct wr_kafka_maker *m = maker("headers_field", "h", "topic", "t", NULL);
	char packed[(WR_KAFKA_HEADERS_MAX + 1) * 4];
	struct wr_cell cell = {.type = WR_T_STR, .str = {packed, sizeof packed}};

	(void)state;
	for (size_t i = 0; i < sizeof packed; i += 4)
		memcpy(packed + i, "a\0000", 4); /* a, of no bytes */
	refused(m, ROW(WR_INSERT, 0, {"h", cell}), "too many headers");
	cell.str.len -= 4;
	assert_int_equal(made(m, ROW(WR_INSERT, 0, {"h", cell})).headers.len, cell.str.len);
	wr_kafka_maker_free(m);
}

static void times_and_numbers_are_whole(void **state)
{
	struct wr_kafka_maker *m = maker("number_field", "n", "timestamp_field", "at", "topic", "t", NULL);
	struct wr_kafka_message out = made(m, ROW(WR_INSERT, 5, {"at", num(1700.9)}, {"n", num(-3)}));

	(void)state;
	assert_int_equal(1700, out.timestamp);
	assert_int_equal(-3, out.number);
	refused(m, ROW(WR_INSERT, 5, {"at", num(-1)}, {"n", num(1)}), "is no time");
	refused(m, ROW(WR_INSERT, 5, {"at", str("now")}, {"n", num(1)}), "is no time");
	refused(m, ROW(WR_INSERT, 5, {"at", num(1)}, {"n", num(1e300)}), "is no number");
	refused(m, ROW(WR_INSERT, 5, {"at", num(1)}), "is no number");
	wr_kafka_maker_free(m);
}

static void places_are_looked_up_anew_for_each_shape(void **state)
{
	struct wr_kafka_maker *m = maker("key_field", "k", "topic", "t", NULL);

	(void)state;
	same(made(m, ROW(WR_INSERT, 0, {"k", str("x")})).key, "x");
	same(made(m, ROW(WR_INSERT, 0, {"a", str("y")}, {"k", str("z")})).key, "z");
	same(made(m, ROW(WR_INSERT, 0, {"k", str("x")})).key, "x");
	same(made(m, ROW(WR_INSERT, 0, {"a", str("x")})).key, NULL);
	wr_kafka_maker_free(m);
}

static void csv_is_a_line_of_the_columns_without_its_end(void **state)
{
	struct wr_value columns[] = {text("id", 2), text("note", 4)};
	struct wr_kafka_maker *m = maker("format", "json", "topic", "t", NULL);

	(void)state;
	values[0] = text("csv", 3);
	add_option("csv", "columns", (struct wr_value){.tag = WR_V_LIST, .count = 2, .items = columns});
	m = again(m);
	same(made(m, ROW(WR_INSERT, 0, {"id", num(1)}, {"note", str("a,\"b\"")})).value,
	     "id,note\n1,\"a,\"\"b\"\"\"");
	same(made(m, ROW(WR_INSERT, 0, {"id", num(2)})).value, "2,");
	refused(m, ROW(WR_INSERT, 0, {"id", num(1)}, {"nota", num(1)}), "fields that are no columns");
	refused(m, ROW(WR_DELETE, 0, {"id", num(1)}), "a change is no message of this format");
	wr_kafka_maker_free(m);
}

static void text_and_bytes_are_of_strings(void **state)
{
	static const char *const formats[] = {"text", "bytes"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct wr_kafka_maker *m = maker("format", formats[i], "topic", "t", NULL);

		same(made(m, ROW(WR_INSERT, 0, {"", str("a\n")})).value, "a\n");
		same(made(m, ROW(WR_INSERT, 0, {"", num(7)})).value, "7");
		refused(m, ROW(WR_INSERT, 0, {"line", str("a")}), "the record is a table");
		wr_kafka_maker_free(m);
		m = maker("format", formats[i], "topic", "t", "value_field", "v", NULL);
		same(made(m, ROW(WR_INSERT, 0, {"v", str("\"")}, {"w", num(1)})).value, "\"");
		wr_kafka_maker_free(m);
	}
}

static void a_key_may_be_json_a_table_too(void **state)
{
	struct wr_field_spec inner[] = {{"a", 1, WR_T_F64, 0}, {"b", 1, WR_T_STR, 0}};
	uint32_t child = wr_shape_intern(inner, 2, 0, 0);
	struct wr_cell cells[] = {num(1), str("x")}, nested = {.type = WR_T_ROW, .child = child};
	struct wr_field_spec outer[] = {{"k", 1, WR_T_ROW, child}};
	struct wr_bytes body = WR_BYTES_EMPTY, row_of_it = WR_BYTES_EMPTY;
	struct wr_kafka_maker *m = maker("key_field", "k", "topic", "t", NULL);

	(void)state;
	wr_row_put(&body, child, WR_INSERT, 0, cells);
	nested.str =
	    (struct wr_str){(const char *)body.data + WR_ELEM_HEADER, (uint32_t)body.len - WR_ELEM_HEADER};
	wr_row_put(&row_of_it, wr_shape_intern(outer, 1, 0, 0), WR_INSERT, 0, &nested);
	refused(m, (const struct wr_elem *)row_of_it.data, "the field 'k', of key, is a table");
	add_option("key", "format", text("json", 4));
	m = again(m);
	same(made(m, (const struct wr_elem *)row_of_it.data).key, "{\"a\":1,\"b\":\"x\"}");
	same(made(m, ROW(WR_INSERT, 0, {"k", str("x")})).key, "\"x\"");
	same(made(m, ROW(WR_INSERT, 0, {"k", num(1.5)})).key, "1.5");
	same(made(m, ROW(WR_INSERT, 0, {"other", num(1)})).key, NULL);
	wr_kafka_maker_free(m);
	wr_bytes_deinit(&body);
	wr_bytes_deinit(&row_of_it);
}

static void what_is_surely_small_enough_is_so(void **state)
{
	static char long_text[4000];
	struct wr_kafka_maker *m = maker("topic", "t", NULL),
			      *checks = maker("headers_field", "h", "topic", "t", NULL);

	(void)state;
	memset(long_text, 1, sizeof long_text - 1);
	for (uint32_t len = 0; len < sizeof long_text; len += 37) {
		struct wr_cell cell = {.type = WR_T_STR, .str = {long_text, len}};
		const struct wr_elem *e = ROW(WR_INSERT, 0, {"a", num(1e-300)}, {"name of a field", cell});

		assert_false(wr_kafka_message_surely(checks, e, 1000000));
		for (size_t max = 100; max < 100000; max = max * 5 / 4)
			if (wr_kafka_message_surely(m, e, max)) {
				struct wr_kafka_message out = made(m, e);

				assert_true(wr_kafka_message_size(&out) <= max);
			}
		assert_true(wr_kafka_message_surely(m, e, 100000));
	}
	wr_kafka_maker_free(m);
	wr_kafka_maker_free(checks);
}

static void what_may_have_a_key_that_is_none_is_not_sure(void **state)
{
	static const uint8_t list[] = {WR_V_LIST, 0};
	struct wr_cell cell = {.type = WR_T_LIST, .str = {(const char *)list, sizeof list}};
	struct wr_kafka_maker *m = maker("key_field", "k", "topic", "t", NULL);

	(void)state;
	assert_true(wr_kafka_message_surely(m, ROW(WR_INSERT, 0, {"k", num(1)}, {"l", cell}), 100000));
	assert_false(wr_kafka_message_surely(m, ROW(WR_INSERT, 0, {"k", cell}), 100000));
	refused(m, ROW(WR_INSERT, 0, {"k", cell}), "is a table");
	assert_true(wr_kafka_message_surely(m, ROW(WR_INSERT, 0, {"a", num(1)}), 100000));
	wr_kafka_maker_free(m);
	m = maker("key_field", "l.k", "topic", "t", NULL);
	assert_false(wr_kafka_message_surely(m, ROW(WR_INSERT, 0, {"l", cell}), 100000));
	wr_kafka_maker_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_is_its_json_with_its_own_time_and_no_key),
	    cmocka_unit_test(hidden_fields_are_read_and_not_written),
	    cmocka_unit_test(a_row_without_a_hidden_field_was_logged_by_another_script),
	    cmocka_unit_test(the_end_of_time_is_no_time_and_the_first_millisecond_is_one),
	    cmocka_unit_test(a_key_is_text_and_an_empty_one_is_there),
	    cmocka_unit_test(a_value_of_a_field_that_is_null_or_missing_is_a_tombstone),
	    cmocka_unit_test(lines_are_without_their_end),
	    cmocka_unit_test(csv_is_a_line_of_the_columns_without_its_end),
	    cmocka_unit_test(text_and_bytes_are_of_strings),
	    cmocka_unit_test(a_key_may_be_json_a_table_too),
	    cmocka_unit_test(an_upsert_is_the_new_value_of_a_key_or_its_tombstone),
	    cmocka_unit_test(topics_must_have_names_of_topics),
	    cmocka_unit_test(headers_are_packed_and_checked),
	    cmocka_unit_test(headers_are_as_many_as_a_message_may_have),
	    cmocka_unit_test(times_and_numbers_are_whole),
	    cmocka_unit_test(what_is_surely_small_enough_is_so),
	    cmocka_unit_test(what_may_have_a_key_that_is_none_is_not_sure),
	    cmocka_unit_test(places_are_looked_up_anew_for_each_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
