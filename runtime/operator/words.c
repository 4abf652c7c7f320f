/* SPDX-License-Identifier: Apache-2.0 */
/* words: a text field cut into words, one row { word = } each. What a flat_map over
 * weir.text.lower_words does, without a Lua string for each word. */
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "operator/operators.h"
#include "record/words.h"

static struct wr_mem mem = WR_MEM_INIT("operator.words");

struct cut {
	const char *field;
	uint32_t field_len;
	uint32_t shape; /* of the last row, and where the field is in it */
	int32_t at;
	uint32_t out_shape;
};

static int open_(struct wr_stage *s)
{
	struct wr_field_spec f = {NULL, 0, WR_T_STR, 0};
	struct cut *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return WR_EFATAL;
	s->state = c;
	c->field = wr_value_str(s->options, "field", "line");
	c->field_len = (uint32_t)strlen(c->field);
	f.name = wr_value_str(s->options, "as", "word");
	f.name_len = (uint32_t)strlen(f.name);
	c->out_shape = wr_shape_intern(&f, 1, 0, 0);
	return c->out_shape ? WR_OK : WR_EFATAL;
}

static int emit(struct wr_out *out, uint32_t shape, int64_t ts, const uint8_t *word, uint32_t n)
{
	uint32_t len = (WR_ELEM_HEADER + 8 + n + 7) & ~7u;
	uint64_t slot = 8 | (uint64_t)n << 32;
	struct wr_elem *e;

	if (!out->p || (size_t)(out->end - out->p) < len)
		if (!wr_out_more(out, len))
			return WR_EFATAL;
	e = (struct wr_elem *)out->p;
	*e = (struct wr_elem){len, shape, ts};
	memset(out->p + len - 8, 0, 8);
	memcpy(e + 1, &slot, 8);
	memcpy(out->p + WR_ELEM_HEADER + 8, word, n);
	out->p += len;
	out->rows++;
	return WR_OK;
}

/* A word longer than the cursor's room is lower-cased piece by piece. */
static int emit_long(struct wr_out *out, uint32_t shape, int64_t ts, const struct wr_words *w)
{
	struct wr_bytes whole = WR_BYTES_EMPTY;
	int rc;

	wr_bytes_put(&whole, w->p - w->len, w->len);
	rc = wr_bytes_status(&whole);
	for (size_t i = 0; rc == WR_OK && i < whole.len; i++)
		if (whole.data[i] >= 'A' && whole.data[i] <= 'Z')
			whole.data[i] |= 32;
	if (rc == WR_OK)
		rc = emit(out, shape, ts, whole.data, w->len);
	wr_bytes_deinit(&whole);
	return rc;
}

static int cut_row(struct wr_stage *s, const struct wr_elem *row, struct wr_cell text)
{
	struct cut *c = s->state;
	struct wr_words w;
	int rc = WR_OK;

	w.p = (const uint8_t *)text.str.p;
	w.end = w.p + text.str.len;
	while (rc == WR_OK && wr_words_next(&w))
		rc = w.len <= sizeof w.lower ? emit(s->outs[0], c->out_shape, row->ts, w.lower, w.len)
					     : emit_long(s->outs[0], c->out_shape, row->ts, &w);
	return rc;
}

static struct wr_cell field_of(struct cut *c, const struct wr_elem *row)
{
	const struct wr_shape *shape = wr_shape(wr_elem_shape(row));

	if (c->shape != shape->id) {
		c->shape = shape->id;
		c->at = wr_shape_find(shape, c->field, c->field_len);
	}
	return c->at < 0 ? (struct wr_cell){.type = 0}
			 : wr_row_get(shape, wr_elem_body(row), (uint32_t)c->at);
}

static int rows(struct wr_stage *s, struct wr_rows *rows)
{
	struct cut *c = s->state;

	for (uint32_t n = 1; rows->p < rows->end; n++) {
		const struct wr_elem *row = (const struct wr_elem *)rows->p;
		struct wr_cell text = field_of(c, row);
		int rc;

		if (text.type == WR_T_STR || text.type == WR_T_BYTES) {
			rc = cut_row(s, row, text);
		} else {
			char why[256];

			snprintf(why, sizeof why, "field '%s' is %s", c->field,
				 text.type ? "no text" : "missing");
			rc = wr_stage_bad_row(s, 0, row, NULL, 0, NULL, why, WR_EUSER);
		}
		if (rc != WR_OK)
			return rc;
		rows->p += row->len;
		if (n % 32 == 0 && wr_stage_spent(s))
			return rows->p < rows->end ? WR_AGAIN : WR_OK;
	}
	return WR_OK;
}

static void free_(struct wr_stage *s)
{
	wr_free(&mem, s->state);
	s->state = NULL;
}

const struct wr_stage_ops wr_words_ops = {.kind = "words", .open = open_, .rows = rows, .free = free_};
