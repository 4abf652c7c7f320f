/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_message_fuzz: input is two bytes (the options of a sink, the types of the row's fields) and the
 * fields, a zero between two of them, twice for one of them: headers have zeros of their own. What is made of
 * the row as a message is within the bounds that its reader believes.
 */
#include "base/assert.h"
#include "base/error.h"
#include "kafka/message.h"

enum { FIELDS = 6 };

#define TEXT(s)                                                                                              \
	{                                                                                                    \
		.tag = WR_V_STR, .str = { s, sizeof s - 1 }                                                  \
	}
static const char *const names[FIELDS] = {"h", "k", "n", "t", "to", "v"};

/* Columns of CSV: all fields. */
static struct wr_value csv_options(void)
{
	static struct wr_value columns[FIELDS], keys[] = {TEXT("columns"), TEXT("header")}, items[2];

	for (int i = 0; i < FIELDS; i++)
		columns[i] =
		    (struct wr_value){.tag = WR_V_STR, .str = {names[i], (uint32_t)strlen(names[i])}};
	items[0] = (struct wr_value){.tag = WR_V_LIST, .count = FIELDS, .items = columns};
	items[1].tag = WR_V_FALSE;
	return (struct wr_value){.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};
}

/* Options by the bits of a byte: bit 0 to 5, which of the fields are asked; 6, upsert. */
static struct wr_kafka_maker *maker(uint8_t bits, uint8_t formats)
{
	static const struct wr_value fields[] = {TEXT("headers_field"), TEXT("key_field"),
						 TEXT("number_field"),	TEXT("timestamp_field"),
						 TEXT("topic_field"),	TEXT("value_field")};
	static const struct wr_value of_values[] = {TEXT("json"), TEXT("lines"), TEXT("text"), TEXT("bytes"),
						    TEXT("csv")};
	static const struct wr_value of_keys[] = {TEXT("json"), TEXT("csv")};
	static struct wr_value keys[FIELDS + 5], items[FIELDS + 5], key_items[2];
	static struct wr_value key_keys[] = {TEXT("csv"), TEXT("format")};
	static struct wr_value options = {.tag = WR_V_RECORD, .keys = keys, .items = items};
	uint32_t n = 0;

	for (int i = 0; i < FIELDS; i++) {
		if (!(bits & 1 << i))
			continue;
		keys[n] = fields[i];
		items[n++] =
		    (struct wr_value){.tag = WR_V_STR, .str = {names[i], (uint32_t)strlen(names[i])}};
	}
	keys[n] = (struct wr_value)TEXT("csv");
	items[n++] = csv_options();
	keys[n] = (struct wr_value)TEXT("format");
	items[n++] = of_values[formats % 5];
	keys[n] = (struct wr_value)TEXT("upsert");
	items[n++].tag = bits & 0x40 ? WR_V_TRUE : WR_V_FALSE;
	if (!(bits & 0x10)) {
		keys[n] = (struct wr_value)TEXT("topic");
		items[n++] = (struct wr_value)TEXT("topic");
	}
	if (formats & 0x40) {
		key_items[0] = csv_options();
		key_items[1] = of_keys[formats >> 7];
		keys[n] = (struct wr_value)TEXT("key");
		items[n++] =
		    (struct wr_value){.tag = WR_V_RECORD, .count = 2, .keys = key_keys, .items = key_items};
	}
	options.count = n;
	return wr_kafka_maker_new(&options);
}

/* A text up to two zeros, so that headers fit in; a number of its first bytes; or null. */
static struct wr_cell take(uint32_t how, const uint8_t **p, const uint8_t *end)
{
	struct wr_cell c = {.type = WR_T_STR, .str = {(const char *)*p, 0}};

	while (*p < end && !(end - *p >= 2 && !(*p)[0] && !(*p)[1]))
		++*p;
	c.str.len = (uint32_t)((const char *)*p - c.str.p);
	*p += end - *p < 2 ? end - *p : 2;
	if (how == 0)
		return c;
	if (how == 1 && c.str.len >= sizeof(double)) {
		double number;

		memcpy(&number, c.str.p, sizeof number);
		return (struct wr_cell){.type = WR_T_F64, .f64 = number};
	}
	return (struct wr_cell){.type = how == 2 ? WR_T_BOOL : WR_T_NULL, .u64 = 0};
}

static const struct wr_elem *row_of(uint8_t types, enum wr_kind kind, const uint8_t *p, const uint8_t *end,
				    struct wr_bytes *room)
{
	struct wr_field_spec specs[FIELDS];
	struct wr_cell cells[FIELDS];

	for (uint32_t i = 0; i < FIELDS; i++) {
		cells[i] = take(i == types % FIELDS ? types >> 6 : 0, &p, end);
		specs[i] = (struct wr_field_spec){names[i], (uint32_t)strlen(names[i]), cells[i].type, 0};
	}
	room->len = 0;
	wr_row_put(room, wr_shape_intern(specs, FIELDS, 0, 0), kind, 5, cells);
	WR_ASSERT(wr_bytes_status(room) == WR_OK);
	return (const struct wr_elem *)room->data;
}

static void look_at(const struct wr_kafka_message *m)
{
	struct wr_str at = m->headers, name, value;
	size_t sum = 0, count = 0;

	WR_ASSERT(m->topic.len > 0 && strlen(m->topic.p) == m->topic.len);
	while (wr_kafka_header_next(&at, &name, &value)) {
		WR_ASSERT(name.len && strlen(name.p) == name.len);
		WR_ASSERT(value.len == 0 ||
			  (value.p >= m->headers.p && value.p + value.len <= m->headers.p + m->headers.len));
		sum += name.len + value.len;
		count++;
	}
	WR_ASSERT(at.len == 0 && sum <= m->headers.len && count <= WR_KAFKA_HEADERS_MAX);
	WR_ASSERT(m->timestamp >= 0 && m->timestamp <= WR_KAFKA_NUMBER_MAX);
	WR_ASSERT(m->number >= -WR_KAFKA_NUMBER_MAX && m->number <= WR_KAFKA_NUMBER_MAX);
	WR_ASSERT(wr_kafka_message_size(m) >= (size_t)m->key.len + m->value.len + sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum wr_kind kinds[] = {WR_INSERT, WR_UPDATE_BEFORE, WR_UPDATE_AFTER, WR_DELETE};
	struct wr_bytes room = WR_BYTES_EMPTY;
	struct wr_kafka_maker *m;

	if (len < 3)
		return 0;
	m = maker(data[0], data[1]);
	WR_ASSERT(m);
	for (int i = 0; i < 4; i++) {
		const struct wr_elem *row = row_of(data[2], kinds[i], data + 3, data + len, &room);
		bool surely = wr_kafka_message_surely(m, row, 200);
		struct wr_kafka_message out;
		int rc = wr_kafka_message_of(m, row, &out);

		WR_ASSERT(rc == WR_OK || rc == WR_END || rc == WR_EUSER);
		if (rc == WR_OK)
			look_at(&out);
		WR_ASSERT(!surely || (rc == WR_OK && wr_kafka_message_size(&out) <= 200));
	}
	wr_kafka_maker_free(m);
	wr_bytes_deinit(&room);
	return 0;
}
