/* SPDX-License-Identifier: Apache-2.0 */
/* codec_test: messages of Avro become rows and rows messages: bytes by hand from the specification, errors
 * that name field and byte, and schemas that change. */
#include "avro/codec.h"
#include "unit/messages.h"

static const struct wr_codec *const avro = &wr_avro_codec;

/* What a message of one schema is, read by another where it is given. */
static const char *evolved(const char *writer_schema, const char *schema, const char *hex)
{
	struct options o;
	void *reader = avro->reader_new(
	    writer_schema ? options_of(&o, "schema", schema, "writer_schema", writer_schema, NULL)
			  : options_of(&o, "schema", schema, NULL),
	    NULL);

	if (!reader) {
		snprintf(shown, sizeof shown, "! %s", wr_error_text());
		return shown;
	}
	read_hex(avro, reader, hex);
	avro->reader_free(reader);
	return shown;
}

static const char *read_as(const char *schema, const char *hex)
{
	return evolved(NULL, schema, hex);
}

static const char *written(const char *schema, const char *json)
{
	struct options o;
	void *writer = avro->writer_new(options_of(&o, "schema", schema, NULL));

	assert_non_null(writer);
	write_json(avro, writer, json);
	avro->writer_free(writer);
	return shown;
}

static const char *schema_wrong(const char *schema)
{
	return avro->schema_check(schema, strlen(schema)) == WR_OK ? "" : wr_error_text();
}

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define RECORD(fields) "{\"type\":\"record\",\"name\":\"test\",\"fields\":[" fields "]}"

/* "[type]: bytes ↔ value" of the specification and its like. */
static void test_values_are_as_the_specification_writes_them(void **state)
{
	static const struct {
		const char *schema, *hex, *json;
	} cases[] = {
	    {"\"null\"", "", "null"},
	    {"\"boolean\"", "01", "true"},
	    {"\"int\"", "00", "0"},
	    {"\"int\"", "01", "-1"},
	    {"\"int\"", "02", "1"},
	    {"\"long\"", "7f", "-64"},
	    {"\"long\"", "8001", "64"},
	    {"\"int\"", "ffffffff0f", "-2147483648"},
	    {"\"long\"", "ffffffffffffffffff01", "-9223372036854775808"},
	    {"\"long\"", "feffffffffffffffff01", "9223372036854775807"},
	    {"\"long\"", "8280808080808020", "9007199254740993"},
	    {"\"float\"", "0000c03f", "1.5"},
	    {"\"double\"", "9a9999999999b93f", "0.1"},
	    {"\"string\"", "06666f6f", "\"foo\""},
	    {"\"bytes\"", "06666f6f", "\"foo\""},
	    {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}", "666f6f", "\"foo\""},
	    {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\",\"C\",\"D\"]}", "06", "\"D\""},
	    {"{\"type\":\"array\",\"items\":\"long\"}", "04063600", "[3,27]"},
	    {"{\"type\":\"map\",\"values\":\"int\"}", "04026102026204 00", "{\"a\":1,\"b\":2}"},
	    {"[\"null\",\"string\"]", "020261", "\"a\""},
	    {"[\"null\",\"string\"]", "00", "null"},
	    {RECORD(FIELD("a", "\"long\"") "," FIELD("b", "\"string\"")), "3606666f6f",
	     "{\"a\":27,\"b\":\"foo\"}"},
	    {RECORD(""), "", "{}"},
	    {"{\"type\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"avro.java.string\":\"String\"}}"
	     "}",
	     "02026100", "[\"a\"]"},
	    {"{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "90b0c1abd066", "1763129699336"},
	    {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":6,\"scale\":2}", "0404d2",
	     "\"12.34\""},
	    {"{\"type\":\"fixed\",\"size\":4,\"name\":\"d\",\"logicalType\":\"decimal\",\"precision\":6,"
	     "\"scale\":2}",
	     "fffffb2e", "\"-12.34\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char hex[80];
		size_t n = 0;

		assert_string_equal(read_as(cases[i].schema, cases[i].hex), cases[i].json);
		for (const char *p = cases[i].hex; *p; p++)
			if (*p != ' ')
				hex[n++] = *p;
		hex[n] = 0;
		assert_string_equal(written(cases[i].schema, cases[i].json), hex);
	}
}

static void test_blocks_may_be_many_and_say_their_size(void **state)
{
	(void)state;
	assert_string_equal(read_as("{\"type\":\"array\",\"items\":\"long\"}", "0206 030436 12 00"),
			    "[3,27,9]");
}

static void test_a_field_that_is_null_is_left_out(void **state)
{
	const char *schema = RECORD(FIELD("a", "[\"null\",\"long\"]") "," FIELD("b", "\"null\""));

	(void)state;
	assert_string_equal(read_as(schema, "0236"), "{\"a\":27}");
	assert_string_equal(read_as(schema, "00"), "{}");
	assert_string_equal(written(schema, "{\"a\":27}"), "0236");
	assert_string_equal(written(schema, "{}"), "00");
	assert_string_equal(written(schema, "{\"a\":null,\"b\":null}"), "00");
}

static void test_types_contain_themselves(void **state)
{
	const char *schema = RECORD(FIELD("v", "\"int\"") "," FIELD("next", "[\"null\",\"test\"]"));

	(void)state;
	assert_string_equal(read_as(schema, "0202 0402 0600"),
			    "{\"next\":{\"next\":{\"v\":3},\"v\":2},\"v\":1}");
	assert_string_equal(written(schema, "{\"v\":1,\"next\":{\"v\":2}}"), "02020400");
}

static void test_names_have_namespaces(void **state)
{
	const char *schema =
	    "{\"type\":\"record\",\"name\":\"a.b.R\",\"fields\":["
	    "{\"name\":\"x\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}},"
	    "{\"name\":\"y\",\"type\":\"a.b.E\"},{\"name\":\"z\",\"type\":\"E\"}]}";

	(void)state;
	assert_string_equal(read_as(schema, "000000"), "{\"x\":\"A\",\"y\":\"A\",\"z\":\"A\"}");
	assert_string_equal(schema_wrong("[{\"type\":\"fixed\",\"name\":\"x.F\",\"size\":1},\"F\"]"),
			    "there is no type 'F'");
}

static void test_what_is_no_schema_is_told(void **state)
{
	static const struct {
		const char *schema, *why;
	} cases[] = {
	    {"", "it is no JSON"},
	    {"{\"type\":", "it is no JSON"},
	    {"7", "a type is a name"},
	    {"\"strng\"", "there is no type 'strng'"},
	    {"\"record\"", "there is no type 'record'"},
	    {"[]", "a union has no type"},
	    {"[\"int\",\"int\"]", "a union has the type 'int' twice"},
	    {"[\"int\",[\"null\"]]", "a union stands in a union"},
	    {"{\"type\":\"array\"}", "needs \"items\""},
	    {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":-3}", "\"size\" is a whole number"},
	    {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"A\"]}", "'A' stands twice"},
	    {"{\"type\":\"record\",\"name\":\"1\",\"fields\":[]}", "needs a \"name\""},
	    {"{\"type\":\"record\",\"name\":\"r\"}", "needs a list of \"fields\""},
	    {RECORD(FIELD("x", "\"int\"") "," FIELD("x", "\"int\"")), "the field 'x' stands twice"},
	    {RECORD(FIELD("x", "\"nt\"")), "field 'x': there is no type 'nt'"},
	    {RECORD("{\"name\":\"x\"}"), "field 'x': it has no \"type\""},
	    {RECORD("{\"name\":\"x\",\"type\":\"int\",\"default\":\"a\"}"),
	     "field 'x': the default is no int"},
	    {RECORD("{\"name\":\"x\",\"type\":[\"null\",\"int\"],\"default\":\"a\"}"),
	     "none of the union's types"},
	    {RECORD("{\"name\":\"x\",\"type\":\"test\",\"default\":{}}"), "nested too deep"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_has(schema_wrong(cases[i].schema), cases[i].why);
}

static void test_bytes_that_are_no_value_are_told_with_field_and_byte(void **state)
{
	const char *schema = RECORD(FIELD("a", "\"long\"") "," FIELD(
	    "items", "{\"type\":\"array\",\"items\":"
		     "{\"type\":\"record\",\"name\":\"i\",\"fields\":[" FIELD("b", "\"string\"") "]}"
												 "}"));

	(void)state;
	assert_string_equal(read_as(schema, ""),
			    "! Avro: field 'a', at byte 1: the message ends inside a number");
	assert_string_equal(read_as(schema, "0204 0261 0a62"),
			    "! Avro: field 'items[1].b', at byte 6: the message ends inside a string");
	assert_string_equal(read_as(schema, "0200 00"), "! Avro: at byte 3: more bytes than the schema says");
	assert_has(read_as("\"string\"", "01"), "a length is below zero");
	assert_has(read_as("\"int\"", "8080808010"), "more than 32 bits");
	assert_has(read_as("\"long\"", "ffffffffffffffffff02"), "more than 64 bits");
	assert_has(read_as("\"boolean\"", "02"), "neither 0 nor 1");
	assert_has(read_as("[\"null\",\"int\"]", "04"), "a union has no such type");
	assert_has(read_as("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", "02"), "no such symbol");
}

static void test_values_without_bytes_and_nesting_are_bounded(void **state)
{
	(void)state;
	assert_has(read_as("{\"type\":\"array\",\"items\":\"null\"}", "fcffffffffffffff7f00"),
		   "too many values");
	assert_has(read_as(RECORD(FIELD("r", "\"test\"")), ""), "nested too deep");
}

static void test_a_reader_s_schema_drops_renames_and_fills_fields(void **state)
{
	const char *old = RECORD(FIELD("a", "\"int\"") "," FIELD(
	    "gone", "{\"type\":\"map\",\"values\":\"int\"}") "," FIELD("c", "\"string\""));
	const char *now = RECORD("{\"name\":\"cc\",\"type\":\"string\",\"aliases\":[\"c\"]}," FIELD(
	    "a", "\"double\"") ",{\"name\":\"d\",\"type\":{\"type\":\"array\",\"items\":\"int\"},\"default\":"
			       "[1,2]},"
			       "{\"name\":\"e\",\"type\":\"bytes\",\"default\":\"\\u00ff\"},"
			       "{\"name\":\"f\",\"type\":[\"null\",\"int\"],\"default\":null},"
			       "{\"name\":\"g\",\"type\":[\"null\",\"int\"],\"default\":7}");

	(void)state;
	assert_string_equal(evolved(old, now, "02 0202780a00 0261"),
			    "{\"a\":1,\"cc\":\"a\",\"d\":[1,2],\"e\":\"\xef\xbf\xbd\",\"g\":7}");
	assert_has(evolved(old, RECORD(FIELD("new", "\"int\"")), ""), "'new' is not written");
}

static void test_numbers_are_promoted_and_others_refused(void **state)
{
	(void)state;
	assert_string_equal(evolved("\"int\"", "\"long\"", "36"), "27");
	assert_string_equal(evolved("\"long\"", "\"double\"", "8280808080808020"), "9007199254740992");
	assert_string_equal(evolved("\"int\"", "\"float\"", "82808010"), "16777216");
	assert_string_equal(evolved("\"float\"", "\"double\"", "0000c03f"), "1.5");
	assert_string_equal(evolved("\"string\"", "\"bytes\"", "0261"), "\"a\"");
	assert_has(evolved("\"double\"", "\"float\"", ""), "double cannot be read as float");
	assert_has(evolved(RECORD(FIELD("x", "\"long\"")), RECORD(FIELD("x", "\"int\"")), ""),
		   "field 'x': long cannot be read as int");
}

static void test_of_a_union_only_what_comes_must_be_readable(void **state)
{
	const char *e1 = "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}";
	const char *e2 = "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}";
	const char *e3 = "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"C\"],\"default\":\"C\"}";

	(void)state;
	assert_string_equal(evolved("[\"null\",\"int\"]", "\"long\"", "0236"), "27");
	assert_has(evolved("[\"null\",\"int\"]", "\"long\"", "00"), "null cannot be read as long");
	assert_string_equal(evolved("\"int\"", "[\"null\",\"string\",\"double\"]", "36"), "27");
	assert_has(evolved(e1, e2, "02"), "no such symbol");
	assert_string_equal(evolved(e1, e3, "02"), "\"C\"");
}

static void test_what_a_schema_does_not_take_is_told_with_its_field(void **state)
{
	const char *schema = RECORD(
	    FIELD("a", "\"int\"") "," FIELD("b", "[\"null\",{\"type\":\"array\",\"items\":\"string\"}]"));

	(void)state;
	assert_string_equal(written(schema, "{}"),
			    "! Avro: field 'a': it is missing, may not be null and has no default");
	assert_string_equal(written(schema, "{\"a\":1.5}"), "! Avro: field 'a': 1.5 is no int");
	assert_string_equal(written(schema, "{\"a\":2147483648}"), "! Avro: field 'a': 2147483648 is no int");
	assert_string_equal(written(schema, "{\"a\":1,\"b\":[\"x\",true]}"),
			    "! Avro: field 'b[1]': a boolean is no string");
	assert_string_equal(written(schema, "{\"a\":1,\"c\":1}"), "! Avro: the schema has no field c");
	assert_string_equal(written(schema, "[1]"), "! Avro: a list is no record");
	assert_has(written("\"float\"", "1e39"), "is no float");
	assert_string_equal(written("[\"float\",\"double\"]", "1e39"), "021d4a9cf487820748");
	assert_has(written("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}", "\"B\""), "no symbol B");
	assert_has(written("{\"type\":\"fixed\",\"name\":\"f\",\"size\":2}", "\"B\""), "1 bytes");
}

static void test_what_is_missing_is_null_or_the_default(void **state)
{
	const char *schema = RECORD("{\"name\":\"a\",\"type\":\"int\",\"default\":5},"
				    "{\"name\":\"b\",\"type\":[\"int\",\"null\"],\"default\":6}");

	(void)state;
	assert_string_equal(written(schema, "{}"), "0a02");
}

static void test_decimals_are_exact_in_both_directions(void **state)
{
	const char *schema = "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":40,\"scale\":3}";
	static const struct {
		const char *hex, *json;
	} cases[] = {
	    {"0200", "\"0.000\""},
	    {"0201", "\"0.001\""},
	    {"02ff", "\"-0.001\""},
	    {"0280", "\"-0.128\""},
	    {"040080", "\"0.128\""},
	    {"2000ffffffffffffffffffffffffffffff", "\"1329227995784915872903807060280344.575\""},
	    {"2080000000000000000000000000000000", "\"-170141183460469231731687303715884105.728\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_string_equal(read_as(schema, cases[i].hex), cases[i].json);
		assert_string_equal(written(schema, cases[i].json), cases[i].hex);
	}
	assert_string_equal(written(schema, "12.5"), "0430d4");
	assert_string_equal(written(schema, "\"-1\""), "04fc18");
	assert_has(written(schema, "\"0.0001\""), "more digits behind the point");
	assert_has(written(schema, "\"1e3\""), "is no decimal");
	assert_has(written("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2}", "100"),
		   "more digits");
	assert_has(
	    written(
		"{\"type\":\"fixed\",\"name\":\"f\",\"size\":1,\"logicalType\":\"decimal\",\"precision\":3}",
		"128"),
	    "more bytes");
	/* No decimal has no bytes, so that it is none. */
	assert_string_equal(
	    written(
		"{\"type\":\"fixed\",\"name\":\"f\",\"size\":0,\"logicalType\":\"decimal\",\"precision\":1}",
		"\"\""),
	    "");
}

/* A schema of `count` parts, each by `part` with its number as often as it asks for it. */
static char *many(const char *before, const char *part, const char *between, const char *after, int count)
{
	size_t room =
	    strlen(before) + strlen(after) + (size_t)count * (strlen(part) + strlen(between) + 30) + 1;
	char *text = test_malloc(room);
	size_t n = (size_t)snprintf(text, room, "%s", before);

	for (int i = 0; i < count; i++) {
		n += (size_t)snprintf(text + n, room - n, "%s", i ? between : "");
		n += (size_t)snprintf(text + n, room - n, part, i, i + 1, i + 2);
	}
	snprintf(text + n, room - n, "%s", after);
	return text;
}

static void test_a_default_that_doubles_with_each_level_is_bounded(void **state)
{
	/* Each record has two fields of the one before, with the default {}: 2^40 values without a byte. */
	char *schema = many("[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]},",
			    "{\"type\":\"record\",\"name\":\"R%2$d\",\"fields\":["
			    "{\"name\":\"a\",\"type\":\"R%1$d\",\"default\":{}},"
			    "{\"name\":\"b\",\"type\":\"R%1$d\",\"default\":{}}]}",
			    ",", "]", 40);

	(void)state;
	assert_has(schema_wrong(schema), "the default is nested too deep or too large");
	test_free(schema);
}

static void test_schemas_that_would_take_hours_are_refused(void **state)
{
	char *nodes =
	    many("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[", "\"s%1$06d\"", ",", "]}", 400000);
	char *symbols =
	    many("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[", "\"s%1$06d\"", ",", "]}", 20000);

	(void)state;
	assert_has(schema_wrong(nodes), "it has more than");
	assert_has(schema_wrong(symbols), "an enum has more than");
	test_free(nodes);
	test_free(symbols);
}

/* Records that refer to the one and the two before meet others that do so in turn: as many pairs as the
 * product of their numbers. */
static void test_schemas_that_meet_in_too_many_pairs_are_refused(void **state)
{
	static const char before[] = "[{\"type\":\"record\",\"name\":\"n0.R\",\"fields\":[]},"
				     "{\"type\":\"record\",\"name\":\"n1.R\",\"fields\":[]},";
#define PART(a, b)                                                                                           \
	"{\"type\":\"record\",\"name\":\"n%3$d.R\",\"fields\":[" FIELD(                                      \
	    "a", "[\"null\",\"n%" a "$d.R\"]") "," FIELD("b", "[\"null\",\"n%" b "$d.R\"]") "]}"
	char *writer = many(before, PART("1", "2"), ",", "]", 1000);
	char *reader = many(before, PART("2", "1"), ",", "]", 1000);
	char hex[600] = "d20f"; /* 1001, and then the next field "a" each time */

	(void)state;
	for (size_t i = 4; i < 504; i++)
		hex[i] = i % 2 ? '2' : '0';
	assert_has(evolved(writer, reader, hex), "the schemas are nested too deep or too large");
	test_free(writer);
	test_free(reader);
}

static void test_a_union_s_records_of_one_last_name_are_told_apart(void **state)
{
	const char *a = "{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[{\"name\":\"x\",\"type\":\"int\","
			"\"default\":0}]}";
	const char *b = "{\"type\":\"record\",\"name\":\"b.R\",\"fields\":[{\"name\":\"y\",\"type\":\"int\","
			"\"default\":0}]}";
	char schema[500];

	(void)state;
	snprintf(schema, sizeof schema, "[%s,%s]", a, b);
	assert_string_equal(read_as(schema, "02 0a"), "{\"y\":5}");
	assert_string_equal(evolved(b, schema, "0a"), "{\"y\":5}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_are_as_the_specification_writes_them),
	    cmocka_unit_test(test_blocks_may_be_many_and_say_their_size),
	    cmocka_unit_test(test_a_field_that_is_null_is_left_out),
	    cmocka_unit_test(test_types_contain_themselves),
	    cmocka_unit_test(test_names_have_namespaces),
	    cmocka_unit_test(test_what_is_no_schema_is_told),
	    cmocka_unit_test(test_bytes_that_are_no_value_are_told_with_field_and_byte),
	    cmocka_unit_test(test_values_without_bytes_and_nesting_are_bounded),
	    cmocka_unit_test(test_a_reader_s_schema_drops_renames_and_fills_fields),
	    cmocka_unit_test(test_numbers_are_promoted_and_others_refused),
	    cmocka_unit_test(test_of_a_union_only_what_comes_must_be_readable),
	    cmocka_unit_test(test_what_a_schema_does_not_take_is_told_with_its_field),
	    cmocka_unit_test(test_what_is_missing_is_null_or_the_default),
	    cmocka_unit_test(test_decimals_are_exact_in_both_directions),
	    cmocka_unit_test(test_a_default_that_doubles_with_each_level_is_bounded),
	    cmocka_unit_test(test_schemas_that_would_take_hours_are_refused),
	    cmocka_unit_test(test_schemas_that_meet_in_too_many_pairs_are_refused),
	    cmocka_unit_test(test_a_union_s_records_of_one_last_name_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
