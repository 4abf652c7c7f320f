/* SPDX-License-Identifier: Apache-2.0 */
/* library_test: random values of random schemas that Avro's own library has written are read, and written
 * again as the same bytes. */
#include <avro.h>
#include "avro/codec.h"
#include "base/rand.h"
#include "unit/messages.h"

enum { SCHEMAS = 400, VALUES = 20, TEXT_MAX = 12 };

static unsigned names;

static void put_schema(struct wr_rand *r, unsigned depth, bool in_union, struct wr_bytes *out)
{
	static const char *const plain[] = {"null",  "boolean", "int",	 "long",
					    "float", "double",	"bytes", "string"};
	uint32_t kind = wr_rand_below(r, depth < 4 ? 14 : 10), n = wr_rand_below(r, 5);

	switch (kind) {
	case 8:
		wr_bytes_printf(out, "{\"type\":\"fixed\",\"name\":\"f%u\",\"size\":%u}", names++, n + 1);
		return;
	case 9:
		wr_bytes_printf(out, "{\"type\":\"enum\",\"name\":\"e%u\",\"symbols\":[\"A\",\"B\",\"C\"]}",
				names++);
		return;
	case 10:
	case 11:
		wr_bytes_printf(out, kind == 10 ? "{\"type\":\"array\",\"items\":"
						: "{\"type\":\"map\",\"values\":");
		put_schema(r, depth + 1, false, out);
		wr_bytes_printf(out, "}");
		return;
	case 12:
		wr_bytes_printf(out, "{\"type\":\"record\",\"name\":\"r%u\",\"fields\":[", names++);
		for (uint32_t i = 0; i <= n; i++) {
			wr_bytes_printf(out, "%s{\"name\":\"f%u\",\"type\":", i ? "," : "", i);
			put_schema(r, depth + 1, false, out);
			wr_bytes_printf(out, "}");
		}
		wr_bytes_printf(out, "]}");
		return;
	case 13:
		if (!in_union) {
			wr_bytes_printf(out, "[\"null\",");
			do
				kind = wr_rand_below(r, 8);
			while (kind == 0);
			wr_bytes_printf(out, "\"%s\"]", plain[kind]);
			return;
		}
		kind = 0;
	}
	wr_bytes_printf(out, "\"%s\"", plain[kind]);
}

static size_t random_bytes(struct wr_rand *r, char to[TEXT_MAX + 1])
{
	size_t n = wr_rand_below(r, TEXT_MAX);

	for (size_t i = 0; i < n; i++)
		to[i] = (char)('a' + wr_rand_below(r, 26));
	to[n] = 0;
	return n;
}

static void fill(struct wr_rand *r, avro_value_t *v);

static void fill_members(struct wr_rand *r, avro_value_t *v, avro_type_t type)
{
	uint32_t n = wr_rand_below(r, 4);
	avro_value_t item;
	char key[8];
	size_t count;

	for (uint32_t i = 0; type != AVRO_RECORD && i < n; i++) {
		snprintf(key, sizeof key, "k%u", i);
		assert_int_equal(type == AVRO_ARRAY ? avro_value_append(v, &item, NULL)
						    : avro_value_add(v, key, &item, NULL, NULL),
				 0);
		fill(r, &item);
	}
	if (type != AVRO_RECORD)
		return;
	avro_value_get_size(v, &count);
	for (size_t i = 0; i < count; i++) {
		avro_value_get_by_index(v, i, &item, NULL);
		fill(r, &item);
	}
}

static void fill(struct wr_rand *r, avro_value_t *v)
{
	avro_type_t type = avro_value_get_type(v);
	int64_t whole = (int64_t)wr_rand_next(r) >> wr_rand_below(r, 64);
	char text[TEXT_MAX + 1];
	size_t len = random_bytes(r, text);
	avro_value_t branch;

	switch (type) {
	case AVRO_NULL:
		avro_value_set_null(v);
		return;
	case AVRO_BOOLEAN:
		avro_value_set_boolean(v, (int)wr_rand_below(r, 2));
		return;
	case AVRO_INT32:
		avro_value_set_int(v, (int32_t)whole);
		return;
	case AVRO_INT64:
		avro_value_set_long(v, whole);
		return;
	case AVRO_FLOAT:
		avro_value_set_float(v, (float)whole / 7);
		return;
	case AVRO_DOUBLE:
		avro_value_set_double(v, (double)whole / 7);
		return;
	case AVRO_BYTES:
		avro_value_set_bytes(v, text, len);
		return;
	case AVRO_STRING:
		avro_value_set_string(v, text);
		return;
	case AVRO_FIXED:
		len = (size_t)avro_schema_fixed_size(avro_value_get_schema(v));
		avro_value_set_fixed(v, text, len);
		return;
	case AVRO_ENUM:
		avro_value_set_enum(v, (int)wr_rand_below(r, 3));
		return;
	case AVRO_UNION:
		avro_value_set_branch(v, (int)wr_rand_below(r, 2), &branch);
		fill(r, &branch);
		return;
	default:
		fill_members(r, v, type);
	}
}

static void pass(struct wr_rand *r, avro_value_t *value, void *reader, void *writer, const char *schema)
{
	static char theirs[1 << 18];
	avro_writer_t to = avro_writer_memory(theirs, sizeof theirs);
	struct wr_bytes ours = WR_BYTES_EMPTY;
	const struct wr_node *nodes;
	size_t count, len;

	avro_value_reset(value);
	fill(r, value);
	assert_int_equal(avro_value_write(to, value), 0);
	len = (size_t)avro_writer_tell(to);
	avro_writer_free(to);
	if (wr_avro_codec.nodes(reader, theirs, len, &nodes, &count) != WR_OK)
		fail_msg("%s: %s", schema, wr_error_text());
	if (wr_avro_codec.write(writer, row_of(nodes), &ours) != WR_OK)
		fail_msg("%s: %s", schema, wr_error_text());
	if (ours.len != len || (len && memcmp(ours.data, theirs, len) != 0))
		fail_msg("%s: other bytes", schema);
	wr_bytes_deinit(&ours);
}

static void test_random_values_of_the_library_pass_unchanged(void **state)
{
	struct wr_rand r = {1};

	(void)state;
	for (int i = 0; i < SCHEMAS; i++) {
		struct wr_bytes text = WR_BYTES_EMPTY;
		struct options o;
		const struct wr_value *options;
		avro_value_iface_t *kind;
		avro_schema_t schema;
		avro_value_t value;
		void *reader, *writer;

		put_schema(&r, 0, false, &text);
		wr_bytes_put_u8(&text, 0);
		assert_int_equal(avro_schema_from_json_length((char *)text.data, text.len - 1, &schema), 0);
		kind = avro_generic_class_from_schema(schema);
		assert_int_equal(avro_generic_value_new(kind, &value), 0);
		options = options_of(&o, "schema", (const char *)text.data, NULL);
		reader = wr_avro_codec.reader_new(options, NULL);
		writer = wr_avro_codec.writer_new(options);
		if (!reader || !writer)
			fail_msg("%s: %s", (char *)text.data, wr_error_text());
		for (int k = 0; k < VALUES; k++)
			pass(&r, &value, reader, writer, (char *)text.data);
		wr_avro_codec.reader_free(reader);
		wr_avro_codec.writer_free(writer);
		avro_value_decref(&value);
		avro_value_iface_decref(kind);
		avro_schema_decref(schema);
		wr_bytes_deinit(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_values_of_the_library_pass_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
