/* SPDX-License-Identifier: Apache-2.0 */
/* memory: replayed rows. Each block has an allocation of its own. */
#include "nexmark/memory.h"
#include <string.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"

struct block {
	struct block *next;
	uint32_t len;
	_Alignas(8) uint8_t rows[];
};

struct wr_nexmark_memory {
	struct block *first, **last, *at; /* `at` is replayed */
	uint32_t offset;		  /* in it */
	struct wr_bytes scratch;
};

static struct wr_mem mem = WR_MEM_INIT("nexmark.memory");

struct wr_nexmark_memory *wr_nexmark_memory_new(void)
{
	struct wr_nexmark_memory *m = wr_zalloc(&mem, sizeof *m);

	if (m)
		m->last = &m->first;
	return m;
}

void wr_nexmark_memory_free(struct wr_nexmark_memory *m)
{
	if (!m)
		return;
	for (struct block *b; (b = m->first);) {
		m->first = b->next;
		wr_free(&mem, b);
	}
	wr_bytes_deinit(&m->scratch);
	wr_free(&mem, m);
}

int wr_nexmark_memory_add(struct wr_nexmark_memory *m, const struct wr_nexmark_rows *x, uint64_t from,
			  uint64_t to)
{
	struct wr_bytes *rows = &m->scratch;
	struct block *b;

	rows->len = 0;
	for (; from < to; from++) {
		uint8_t *room = wr_bytes_room(rows, WR_NEXMARK_ROW_MAX);

		if (!room)
			return WR_EFATAL;
		rows->len += wr_nexmark_row(x, from, room);
	}
	b = wr_alloc(&mem, sizeof *b + rows->len);
	if (!b)
		return WR_EFATAL;
	b->next = NULL;
	b->len = (uint32_t)rows->len;
	memcpy(b->rows, rows->data, rows->len);
	*m->last = b;
	m->last = &b->next;
	if (!m->at)
		m->at = b;
	return WR_OK;
}

/* Length of the whole rows at `p` that fit in `room`, and their number. */
static uint32_t rows_within(const uint8_t *p, uint32_t left, uint32_t room, uint32_t *count)
{
	uint32_t len = 0;

	for (*count = 0; len < left; ++*count) {
		uint32_t row = ((const struct wr_elem *)(p + len))->len;

		if (len + row > room)
			break;
		len += row;
	}
	return len;
}

uint32_t wr_nexmark_memory_emit(struct wr_nexmark_memory *m, struct wr_out *out, uint32_t bytes)
{
	struct block *b = m->at;
	uint32_t count = 0;

	for (uint32_t done = 0; done < bytes && m->offset < b->len;) {
		const uint8_t *p = b->rows + m->offset;
		size_t room = (size_t)(out->end - out->p);
		uint32_t n,
		    len = rows_within(p, b->len - m->offset, room < bytes ? (uint32_t)room : bytes, &n);

		if (len == 0) {
			if (!wr_out_more(out, ((const struct wr_elem *)p)->len))
				return 0;
			continue;
		}
		memcpy(out->p, p, len);
		out->p += len;
		out->rows += n;
		m->offset += len;
		done += len;
		count += n;
	}
	if (m->offset == b->len) {
		m->at = b->next;
		m->offset = 0;
	}
	return count;
}
