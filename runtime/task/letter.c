/* SPDX-License-Identifier: Apache-2.0 */
/* letter: making letters, and their wire form. */
#include "task/letter.h"

#include "base/assert.h"
#include "base/error.h"
#include "record/value.h"

enum { MEMBERS = 6 };

static struct wr_mem mem = WR_MEM_INIT("task.letters");

static bool is_value(const void *payload, uint32_t len)
{
	struct wr_reader r = wr_reader_of(payload, len);

	return len == 0 || (wr_value_verify(&r) == WR_OK && r.p == r.end);
}

struct wr_letter *wr_letter_new(enum wr_letter_type type, struct wr_address who, const void *payload,
				uint32_t len)
{
	struct wr_letter *l = wr_alloc(&mem, sizeof *l + len);

	WR_CHECK(is_value(payload, len));
	if (!l)
		return NULL;
	l->next = NULL;
	l->type = type;
	l->who = who;
	l->len = len;
	if (len)
		memcpy(l->payload, payload, len);
	return l;
}

void wr_letter_free(struct wr_letter *l)
{
	wr_free(&mem, l);
}

void wr_letter_encode(const struct wr_letter *l, struct wr_bytes *out)
{
	wr_value_put_list(out, MEMBERS);
	wr_value_put_i64(out, WR_LETTER_VERSION);
	wr_value_put_i64(out, l->type);
	wr_value_put_i64(out, l->who.vertex);
	wr_value_put_i64(out, l->who.subtask);
	wr_value_put_i64(out, l->who.stage);
	if (l->len)
		wr_bytes_put(out, l->payload, l->len);
	else
		wr_value_put_nil(out);
}

static bool type_known(int64_t type)
{
	return (type >= WR_LETTER_STOP && type <= WR_LETTER_TRIAL) ||
	       (type >= WR_LETTER_ACK && type <= WR_LETTER_LEAVE) ||
	       (type >= WR_LETTER_SPLIT_WANTED && type <= WR_LETTER_DONE);
}

/* Number of members of a list; 0 when it is none. */
static uint64_t read_list(struct wr_reader *r)
{
	return wr_read_u8(r) == WR_V_LIST ? wr_read_varint(r) : 0;
}

/* An integer from 0 to `max`, else the reader goes bad. */
static int64_t read_int(struct wr_reader *r, int64_t max)
{
	uint8_t tag = wr_read_u8(r);
	int64_t v = (int64_t)wr_read_u64(r);

	r->bad |= tag != WR_V_I64 || v < 0 || v > max;
	return v;
}

static struct wr_letter *malformed(void)
{
	wr_error_set(WR_EUSER, "a letter is malformed");
	return NULL;
}

struct wr_letter *wr_letter_decode(struct wr_reader *r)
{
	struct wr_reader at = *r;
	struct wr_address who;
	uint64_t members;
	int64_t version, type;

	if (wr_value_verify(r) != WR_OK) {
		wr_error_wrap(WR_EUSER, "letter");
		return NULL;
	}
	members = read_list(&at);
	version = read_int(&at, INT64_MAX);
	type = read_int(&at, INT64_MAX);
	if (members < 2 || at.bad || version < 1)
		return malformed();
	if (version > WR_LETTER_VERSION || !type_known(type)) {
		wr_error_set(WR_EUSER,
			     "a letter of type %lld, version %lld, is none of those that this program knows "
			     "(version %d): both sides must run the same version",
			     (long long)type, (long long)version, WR_LETTER_VERSION);
		return NULL;
	}
	who.vertex = (uint32_t)read_int(&at, UINT32_MAX);
	who.subtask = (uint32_t)read_int(&at, UINT32_MAX);
	who.stage = (uint32_t)read_int(&at, UINT32_MAX);
	if (members != MEMBERS || at.bad || r->p - at.p > UINT32_MAX)
		return malformed();
	if (*at.p == WR_V_NIL)
		at.p = r->p;
	return wr_letter_new((enum wr_letter_type)type, who, at.p, (uint32_t)(r->p - at.p));
}

void wr_trigger_put(struct wr_bytes *out, const struct wr_trigger *t)
{
	wr_value_put_list(out, 3);
	wr_value_put_i64(out, (int64_t)t->checkpoint);
	wr_value_put_i64(out, (int64_t)t->epoch);
	wr_value_put_i64(out, (int64_t)t->options);
}

int wr_trigger_parse(const void *payload, uint32_t len, struct wr_trigger *out)
{
	struct wr_reader r = wr_reader_of(payload, len);

	r.bad = read_list(&r) != 3;
	out->checkpoint = (uint64_t)read_int(&r, INT64_MAX);
	out->epoch = (uint64_t)read_int(&r, INT64_MAX);
	out->options = (uint64_t)read_int(&r, INT64_MAX);
	if (r.bad || r.p != r.end || !out->checkpoint)
		return wr_error_set(WR_EUSER, "a trigger is malformed");
	return WR_OK;
}

void wr_ack_put(struct wr_bytes *out, const struct wr_ack *a)
{
	wr_value_put_list(out, 5);
	wr_value_put_i64(out, (int64_t)a->checkpoint);
	wr_value_put_strn(out, a->text.p, a->text.len);
	wr_value_put_i64(out, (int64_t)a->bytes);
	wr_value_put_i64(out, (int64_t)a->in_flight);
	wr_value_put_i64(out, a->overtook);
}

int wr_ack_parse(const void *payload, uint32_t len, struct wr_ack *out)
{
	struct wr_reader r = wr_reader_of(payload, len);
	size_t text_len;

	r.bad = read_list(&r) != 5;
	out->checkpoint = (uint64_t)read_int(&r, INT64_MAX);
	r.bad |= wr_read_u8(&r) != WR_V_STR;
	out->text.p = wr_read_str(&r, &text_len);
	out->text.len = (uint32_t)text_len;
	out->bytes = (uint64_t)read_int(&r, INT64_MAX);
	out->in_flight = (uint64_t)read_int(&r, INT64_MAX);
	out->overtook = read_int(&r, 1);
	if (r.bad || r.p != r.end)
		return wr_error_set(WR_EUSER, "the answer to a barrier is malformed");
	return WR_OK;
}

uint64_t wr_letter_int(const void *payload, uint32_t len)
{
	struct wr_reader r = wr_reader_of(payload, len);
	int64_t v = read_int(&r, INT64_MAX);

	return r.bad || r.p != r.end ? 0 : (uint64_t)v;
}

void wr_hand_put(struct wr_bytes *out, struct wr_hand *h)
{
	wr_value_put_list(out, h->count);
	wr_bytes_put(out, h->splits.data, h->splits.len);
	out->failed |= h->splits.failed;
	wr_hand_deinit(h);
}

void wr_hand_deinit(struct wr_hand *h)
{
	wr_bytes_deinit(&h->splits);
	h->count = 0;
}

int wr_hand_parse(const void *payload, uint32_t len, struct wr_arena *arena, struct wr_value *list)
{
	struct wr_reader r = wr_reader_of(payload, len);
	int rc = wr_value_parse(&r, arena, list);

	if (rc != WR_OK)
		return wr_error_wrap(rc, "splits");
	return list->tag == WR_V_LIST ? WR_OK : wr_error_set(WR_EUSER, "splits are malformed");
}
