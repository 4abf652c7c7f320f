/* SPDX-License-Identifier: Apache-2.0 */
/* kit: rows to send, bells to ring, and the memory of exchange/ as one number. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <semaphore.h>
#include <math.h>
#include <string.h>
#include "base/error.h"
#include "base/rand.h"
#include "exchange/gate.h"
#include "exchange/writer.h"

#define NUMBER_OF(a) (sizeof(a) / sizeof *(a))

/* ---- bells: a notify that counts, and can be waited for ---- */

struct bell {
	sem_t rung;
	struct wr_notify notify;
};
static inline void bell_ring(void *self)
{
	sem_post(&((struct bell *)self)->rung);
}
static inline void bell_init(struct bell *b)
{
	sem_init(&b->rung, 0, 0);
	b->notify = (struct wr_notify){bell_ring, b};
}
static inline void bell_await(struct bell *b)
{
	while (sem_wait(&b->rung))
		;
}
/* How often it rang since the last question. */
static inline int bell_count(struct bell *b)
{
	int n = 0;

	while (!sem_trywait(&b->rung))
		n++;
	return n;
}

/* ---- rows of 32 bytes { k, n }, longer ones { k, n, s }, and with a channel { \1p, n } ---- */

struct kit_row {
	double key, n;
	uint32_t pad; /* bytes of s; 0 = a short row */
};
static inline uint32_t kit_shape(bool with_text)
{
	struct wr_field_spec f[] = {{"k", 1, WR_T_F64, 0}, {"n", 1, WR_T_F64, 0}, {"s", 1, WR_T_STR, 0}};

	return wr_shape_intern(f, with_text ? 3 : 2, 0, 0);
}
static inline void kit_put(struct wr_bytes *out, struct kit_row row)
{
	static const char text[100000];
	struct wr_cell cells[3] = {{.type = WR_T_F64, .f64 = row.key},
				   {.type = WR_T_F64, .f64 = row.n},
				   {.type = WR_T_STR, .str = {text, row.pad}}};

	wr_row_put(out, kit_shape(row.pad > 0), WR_INSERT, WR_TS_NONE, cells);
	assert_false(out->failed);
}
static inline void kit_put_custom(struct wr_bytes *out, double channel, double n)
{
	struct wr_field_spec f[] = {{"\x01p", 2, WR_T_F64, 0}, {"n", 1, WR_T_F64, 0}};
	struct wr_cell cells[2] = {{.type = WR_T_F64, .f64 = channel}, {.type = WR_T_F64, .f64 = n}};

	wr_row_put(out, wr_shape_intern(f, 2, 0, 0), WR_INSERT, WR_TS_NONE, cells);
}
static inline double kit_n(const struct wr_elem *row)
{
	return wr_row_lookup(row, "n", 1).f64;
}
static inline int kit_send(struct wr_writer *w, const struct wr_bytes *rows)
{
	return wr_writer_rows(w, rows->data, rows->data + rows->len);
}

/* ---- what exchange/ holds ---- */

static inline void kit_add(const struct wr_mem *m, void *sum)
{
	if (!strncmp(m->name, "exchange.", 9))
		*(int64_t *)sum += atomic_load(&m->blocks);
}
static inline int64_t kit_blocks(void)
{
	int64_t blocks = 0;

	wr_mem_each(kit_add, &blocks);
	return blocks;
}
static inline int kit_no_leak(void **state)
{
	(void)state;
	return kit_blocks() == 0 ? 0 : -1;
}
