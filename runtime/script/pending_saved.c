/* SPDX-License-Identifier: Apache-2.0 */
/* pending_saved: what is pending as one tagged value, and back (J11). A list of items in their order: of rows
 * [shape, time, kind, body], with the shape written out since another process counts shapes its own way; of
 * events [type, time]. */
#include <string.h>
#include "base/error.h"
#include "record/shape.h"
#include "script/pending.h"

struct saver {
	struct wr_bytes items;
	uint32_t count;
};

static void save_one(void *arg, const struct wr_elem *row, enum wr_event_type event, int64_t ts)
{
	struct saver *s = arg;
	struct wr_bytes shape = WR_BYTES_EMPTY;

	s->count++;
	if (!row) {
		wr_value_put_list(&s->items, 2);
		wr_value_put_i64(&s->items, event);
		wr_value_put_i64(&s->items, ts);
		return;
	}
	wr_shape_encode(wr_elem_shape(row), &shape);
	wr_value_put_list(&s->items, 4);
	wr_value_put_strn(&s->items, (const char *)shape.data, shape.len);
	wr_value_put_i64(&s->items, row->ts);
	wr_value_put_i64(&s->items, wr_elem_kind(row));
	wr_value_put_strn(&s->items, (const char *)wr_elem_body(row), wr_elem_body_len(row));
	s->items.failed |= shape.failed;
	wr_bytes_deinit(&shape);
}

int wr_pending_save(const struct wr_pending *p, struct wr_bytes *out)
{
	struct saver s = {WR_BYTES_EMPTY, 0};
	int rc;

	wr_pending_each(p, save_one, &s);
	rc = wr_bytes_status(&s.items);
	if (rc == WR_OK) {
		wr_value_put_list(out, s.count);
		wr_bytes_put(out, s.items.data, s.items.len);
		rc = wr_bytes_status(out);
	}
	wr_bytes_deinit(&s.items);
	return rc;
}

static int malformed(void)
{
	return wr_error_set(WR_EUSER, "what an async operator had saved is malformed");
}

static int restore_row(struct wr_pending *p, const struct wr_value *item, uint64_t now_ns)
{
	const struct wr_value *shape = &item->items[0], *body = &item->items[3];
	struct wr_reader r = wr_reader_of(shape->str.p, shape->str.len);
	uint32_t len = WR_ELEM_HEADER + body->str.len, id;
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_elem *row;
	int rc;

	if (shape->tag != WR_V_STR || body->tag != WR_V_STR || item->items[1].tag != WR_V_I64 ||
	    item->items[2].tag != WR_V_I64)
		return malformed();
	id = wr_shape_decode(&r);
	if (!id)
		return wr_error_code();
	row = (struct wr_elem *)wr_bytes_room(&b, len + WR_ROW_SLACK);
	if (!row)
		return WR_EFATAL;
	*row = (struct wr_elem){
	    .len = len, .tag = id | (uint32_t)(item->items[2].i64 & 3) << 24, .ts = item->items[1].i64};
	memcpy(row + 1, body->str.p, body->str.len);
	rc = wr_elem_verify((const uint8_t *)row, len, NULL);
	if (rc == WR_OK)
		rc = wr_pending_put(p, row, now_ns);
	wr_bytes_deinit(&b);
	return rc;
}

int wr_pending_restore(struct wr_pending *p, const struct wr_value *saved, bool events, uint64_t now_ns)
{
	int rc = saved->tag == WR_V_LIST ? WR_OK : malformed();

	for (uint32_t i = 0; rc == WR_OK && i < saved->count; i++) {
		const struct wr_value *item = &saved->items[i];
		bool is_row = item->tag == WR_V_LIST && item->count == 4;

		if (is_row)
			rc = restore_row(p, item, now_ns);
		else if (item->tag != WR_V_LIST || item->count != 2 || item->items[0].tag != WR_V_I64 ||
			 item->items[1].tag != WR_V_I64)
			rc = malformed();
		else if (events)
			rc = wr_pending_put_event(p, (enum wr_event_type)item->items[0].i64,
						  item->items[1].i64);
	}
	return rc;
}
