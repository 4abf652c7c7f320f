/* SPDX-License-Identifier: Apache-2.0 */
/* message_fuzz: input is a line of the control socket. What is let in is a record, comes back as the same
 * bytes through its tagged form, and each of its fields is read or refused without harm. One reader for all
 * lines, as in a job.
 */
#include "base/assert.h"
#include "base/error.h"
#include "control/message.h"

static void read_fields(const struct wr_value *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		const char *name = v->keys[i].str.p, *text = NULL;
		int64_t n = 0;
		bool flag = false;

		if (wr_message_text(v, name, &text) == WR_OK && text)
			WR_ASSERT(strlen(text) == wr_value_get(v, name)->str.len);
		wr_message_int(v, name, &n);
		WR_ASSERT(n >= -(INT64_C(1) << 53) && n <= INT64_C(1) << 53);
		wr_message_flag(v, name, &flag);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct wr_messages *messages;
	static struct wr_mem mem = WR_MEM_INIT("fuzz");
	struct wr_bytes once = WR_BYTES_EMPTY, twice = WR_BYTES_EMPTY;
	const struct wr_value *v;
	struct wr_value again;
	struct wr_arena arena;
	struct wr_reader r;

	if (!messages)
		messages = wr_messages_new();
	if (len > WR_MESSAGE_MAX || wr_messages_parse(messages, (const char *)data, len, &v) != WR_OK)
		return 0;
	WR_ASSERT(v->tag == WR_V_RECORD || (v->tag == WR_V_LIST && !v->count));
	if (v->tag == WR_V_RECORD)
		read_fields(v);
	wr_arena_init(&arena, &mem);
	wr_value_put(&once, v);
	r = wr_reader_of(once.data, once.len);
	if (wr_value_parse(&r, &arena, &again) == WR_OK) { /* fields may be in any order, which it refuses */
		WR_ASSERT(r.p == r.end);
		wr_value_put(&twice, &again);
		WR_ASSERT(twice.len == once.len && !memcmp(twice.data, once.data, once.len));
	}
	wr_arena_deinit(&arena);
	wr_bytes_deinit(&once);
	wr_bytes_deinit(&twice);
	return 0;
}
