/* SPDX-License-Identifier: Apache-2.0 */
/* element: what flows through a channel, in one total order: rows and events.
 *
 * Both start with the same 16 bytes and are a multiple of 8 long. A row's tag holds its
 * shape and its change kind; an event's tag has shape 0 and its type in the top byte.
 * This text is also handed to LuaJIT (WR_CDEF), so declarations stay plain.
 */
#ifndef WR_RECORD_ELEMENT_H
#define WR_RECORD_ELEMENT_H
#include <stdint.h>

struct wr_elem {
	uint32_t len; /* bytes of the whole element, this header and the padding to 8 included */
	uint32_t tag; /* row: shape id | kind << 24; event: type << 24 */
	int64_t ts;   /* event time in ms, INT64_MIN = none; event: its first payload word */
};

#ifndef WR_CDEF
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define WR_TS_NONE INT64_MIN
#define WR_TS_MAX INT64_MAX /* the watermark that ends event time */
/* Bytes behind the end of every buffer and page that holds rows: short copies may go beyond a row. */
#define WR_ROW_SLACK 32
enum { WR_ELEM_ALIGN = 8, WR_ELEM_HEADER = sizeof(struct wr_elem), WR_SHAPE_MAX = 0xffffff };
enum { WR_ELEM_COPY_INLINE = 128 };

/* How a row changes the relation it belongs to. */
enum wr_kind { WR_INSERT = 0, WR_UPDATE_BEFORE = 1, WR_UPDATE_AFTER = 2, WR_DELETE = 3 };

/* Types are part of the wire format: never renumbered. A reader refuses types it does not know. */
enum wr_event_type {
	WR_EV_WATERMARK = 1, /* ts = the watermark */
	WR_EV_BARRIER = 2,   /* ts = checkpoint id; payload: u64 options */
	WR_EV_CANCEL = 3,    /* ts = checkpoint id: an aborted checkpoint's alignments end here (C6) */
	WR_EV_IDLE = 4,
	WR_EV_ACTIVE = 5,
	WR_EV_END = 6,	   /* nothing follows in this channel */
	WR_EV_LATENCY = 7, /* ts = monotonic ns at the source; payload: u64 source uid hash */
	WR_EV_TYPE_MAX = 7,
};

static inline uint32_t wr_elem_shape(const struct wr_elem *e)
{
	return e->tag & WR_SHAPE_MAX;
}
static inline bool wr_elem_is_event(const struct wr_elem *e)
{
	return wr_elem_shape(e) == 0;
}
static inline enum wr_kind wr_elem_kind(const struct wr_elem *e)
{
	return (enum wr_kind)(e->tag >> 24 & 3);
}
static inline unsigned wr_event_type(const struct wr_elem *e)
{
	return e->tag >> 24;
}
static inline const uint8_t *wr_elem_body(const struct wr_elem *e)
{
	return (const uint8_t *)(e + 1);
}
static inline uint32_t wr_elem_body_len(const struct wr_elem *e)
{
	return e->len - WR_ELEM_HEADER;
}
static inline const struct wr_elem *wr_elem_next(const struct wr_elem *e)
{
	return (const struct wr_elem *)((const uint8_t *)e + e->len);
}
/* Copies `len` bytes of an element, a multiple of 8 and at least 16: most are so short that a call costs more
 * than they do. */
static inline void wr_elem_copy(uint8_t *to, const uint8_t *from, uint32_t len)
{
	uint32_t i = 0;

	if (len > WR_ELEM_COPY_INLINE) {
		memcpy(to, from, len);
		return;
	}
	do
		memcpy(to + i, from + i, 16);
	while ((i += 16) + 16 <= len);
	memcpy(to + len - 8, from + len - 8, 8);
}
/* Writes an event without payload (16 bytes) to `out`; returns its length. */
static inline uint32_t wr_event_put(uint8_t *out, enum wr_event_type type, int64_t ts)
{
	struct wr_elem *e = (struct wr_elem *)out;

	e->len = WR_ELEM_HEADER;
	e->tag = (uint32_t)type << 24;
	e->ts = ts;
	return e->len;
}

/* Checks one element that came from outside the process, `len` bytes left at `p` (8-aligned): length,
 * known type and payload, a shape of the dictionary (NULL: ids of this process), and for rows the whole
 * body (record/row.h). WR_EUSER says what is wrong. The shape id in the bytes stays as it is:
 * record/dict.h translates it. */
struct wr_dict;
int wr_elem_verify(const uint8_t *p, size_t len, const struct wr_dict *dict);
#endif
#endif
