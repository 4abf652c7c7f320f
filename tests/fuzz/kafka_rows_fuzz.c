/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_rows_fuzz: input is one byte (formats of value and key, meta, tombstone) and a message: its value,
 * its key, and names and values of headers, a zero between each. It becomes a row that holds the check for
 * rows from outside, or goes aside as it came. One source reads all messages, as in a job.
 */
#include "fuzz/messages_in.h"
#include "kafka/rows.h"
#include "unit/kafka/message_in.h"

enum { HEADERS_MAX = 8 };
static int put_aside;

#define TEXT(s)                                                                                              \
	{                                                                                                    \
		.tag = WR_V_STR, .str = { s, sizeof s - 1 }                                                  \
	}

static struct wr_str bytes_of(const struct wr_elem *row, const char *name)
{
	return wr_row_lookup(row, name, (uint32_t)strlen(name)).str;
}

/* What linking puts in front of the task's own. */
int wr_stage_bad_row(struct wr_stage *s, uint32_t op, const struct wr_elem *row, const void *raw,
		     size_t raw_len, const char *origin, const char *error, int code)
{
	(void)s, (void)op, (void)raw, (void)raw_len;
	WR_ASSERT(code == WR_EUSER && *origin && *error);
	WR_ASSERT(wr_elem_verify((const uint8_t *)row, row->len, NULL) == WR_OK);
	WR_ASSERT(bytes_of(row, "topic").len == strlen("topic"));
	put_aside++;
	return WR_OK;
}

static struct wr_str take(const uint8_t **p, const uint8_t *end)
{
	const uint8_t *zero = *p < end ? memchr(*p, 0, (size_t)(end - *p)) : NULL;
	struct wr_str s = {(const char *)*p, (uint32_t)((zero ? zero : end) - *p)};

	*p = zero ? zero + 1 : end;
	return s;
}

static struct wr_stage *stage_of(uint8_t bits)
{
	static struct wr_value formats[] = {TEXT("json"), TEXT("text"), TEXT("bytes"), TEXT("csv")};
	static struct wr_value names[] = {TEXT("a"), TEXT("b"), TEXT("c")};
	static struct wr_value columns = TEXT("columns"), format = TEXT("format");
	static struct wr_value list = {.tag = WR_V_LIST, .count = 3, .items = names};
	static struct wr_value key_item;
	static struct wr_value keys[] = {TEXT("csv"), TEXT("format"), TEXT("key"), TEXT("meta")};
	static struct wr_value items[4];
	static struct wr_value options = {.tag = WR_V_RECORD, .count = 4, .keys = keys, .items = items};
	static struct wr_out out, *outs[] = {&out};
	static struct wr_stage stage = {.options = &options, .outs = outs, .out_count = 1};

	items[0] = (struct wr_value){.tag = WR_V_RECORD, .count = 1, .keys = &columns, .items = &list};
	items[1] = formats[bits & 3];
	key_item = formats[(bits >> 2 & 3) % 3];
	items[2] = (struct wr_value){.tag = WR_V_RECORD, .count = 1, .keys = &format, .items = &key_item};
	items[3].tag = bits & 0x10 ? WR_V_TRUE : WR_V_FALSE;
	out = (struct wr_out){fuzz_room, fuzz_room + sizeof fuzz_room, 0};
	return &stage;
}

static void take_headers(const uint8_t *p, const uint8_t *end)
{
	message_headers = p < end ? rd_kafka_headers_new(HEADERS_MAX) : NULL;
	for (int i = 0; p < end && i < HEADERS_MAX; i++) {
		struct wr_str name = take(&p, end), value = take(&p, end);

		rd_kafka_header_add(message_headers, name.p, (ssize_t)name.len, value.len ? value.p : NULL,
				    (ssize_t)value.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *p = data + 1, *end = data + len;
	rd_kafka_message_t m = {.partition = 3, .offset = 42};
	static struct wr_kafka_rows *sources[32];
	struct wr_str value, key;
	struct wr_stage *s;
	int rc, before = put_aside;

	if (!len)
		return 0;
	s = stage_of(data[0]);
	if (!sources[data[0] & 31])
		sources[data[0] & 31] = wr_kafka_rows_new(s);
	WR_ASSERT(sources[data[0] & 31]);
	value = take(&p, end);
	key = take(&p, end);
	take_headers(p, end);
	message_ms = data[0] & 0x80 ? 5 : -1;
	m.payload = data[0] & 0x20 ? NULL : (void *)(uintptr_t)value.p;
	m.len = data[0] & 0x20 ? 0 : value.len;
	m.key = data[0] & 0x40 ? NULL : (void *)(uintptr_t)key.p;
	m.key_len = data[0] & 0x40 ? 0 : key.len;
	rc = wr_kafka_rows_put(sources[data[0] & 31], "topic", &m);
	WR_ASSERT(rc == WR_OK && (s->outs[0]->p > fuzz_room) + (put_aside - before) == 1);
	if (s->outs[0]->p > fuzz_room)
		WR_ASSERT(wr_elem_verify(fuzz_room, (size_t)(s->outs[0]->p - fuzz_room), NULL) == WR_OK);
	if (message_headers)
		rd_kafka_headers_destroy(message_headers);
	return 0;
}
