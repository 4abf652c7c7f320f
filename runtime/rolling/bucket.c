/* SPDX-License-Identifier: Apache-2.0 */
/* bucket: see bucket.h. Text of a time is kept as long as the smallest unit that it shows does not change. */
#include "rolling/bucket.h"

#include <string.h>
#include <time.h>
#include "base/error.h"

enum { PIECES_MAX = 64, LEVEL_MAX = 255 /* bytes that file systems take for one name */ };

enum kind { TEXT, TIME, FIELD, GIVEN };

struct piece {
	enum kind kind;
	struct wr_str text; /* text, format of a time, or name of the field */
};

struct wr_bucket {
	struct piece pieces[PIECES_MAX];
	uint32_t count;
	bool processing; /* time of the clock, not of the record */
	bool timed;	 /* a piece is of a time */
	bool only_time;	 /* so are all that are no text */
	int64_t unit_ms; /* in which what is shown of the time does not change */
	int64_t unit;	 /* of `now`, in which `text` holds if only_time */
	struct tm now;	 /* of `unit` */
	bool ready;	 /* there are `unit` and `now` */
	struct wr_bytes text, cell;
};

static struct wr_mem mem = WR_MEM_INIT("rolling.bucket");

/* ---- options ---- */

static int64_t unit_of(char conversion)
{
	return conversion == 'S' ? 1000 : conversion == 'M' ? 60000 : 3600000;
}

static int add_piece(struct wr_bucket *b, const struct wr_value *v)
{
	static const char *const names[] = {"text", "time", "field", "given"};
	struct piece *p = &b->pieces[b->count];

	if (b->count == PIECES_MAX)
		return wr_error_set(WR_EUSER, "a bucket has %d pieces at most", PIECES_MAX);
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		const char *text = wr_value_str(v, names[i], NULL);

		if (text)
			*p = (struct piece){(enum kind)i, {text, (uint32_t)strlen(text)}};
	}
	if (!p->text.p)
		return wr_error_set(WR_EBUG, "a piece of a bucket that is nothing");
	if (p->kind == TIME && unit_of(p->text.p[1]) < b->unit_ms)
		b->unit_ms = unit_of(p->text.p[1]);
	b->timed |= p->kind == TIME;
	b->only_time &= p->kind == TIME || p->kind == TEXT;
	b->count++;
	return WR_OK;
}

struct wr_bucket *wr_bucket_new(const struct wr_value *options)
{
	uint32_t count = 0;
	const struct wr_value *list = wr_value_list(options, "bucket", &count);
	struct wr_bucket *b = wr_zalloc(&mem, sizeof *b);
	int rc = WR_OK;

	if (!b)
		return NULL;
	b->processing = !strcmp(wr_value_str(options, "time", "event"), "processing");
	b->unit_ms = unit_of('H');
	b->only_time = true;
	for (uint32_t i = 0; i < count && rc == WR_OK; i++)
		rc = add_piece(b, &list[i]);
	if (rc == WR_OK)
		return b;
	wr_bucket_free(b);
	return NULL;
}

void wr_bucket_free(struct wr_bucket *b)
{
	if (!b)
		return;
	wr_bytes_deinit(&b->text);
	wr_bytes_deinit(&b->cell);
	wr_free(&mem, b);
}

/* ---- pieces ---- */

static void put_time(struct wr_bucket *b, const struct piece *p)
{
	char text[64];

	wr_bytes_put(&b->text, text, strftime(text, sizeof text, p->text.p, &b->now));
}

static bool is_plain(uint8_t c, bool first)
{
	return c > ' ' && c != 0x7f && c != '/' && c != '\\' && c != '%' && c != '"' && c != '\'' &&
	       c != '*' && c != '?' && c != ':' && c != '<' && c != '>' && c != '|' && (c != '.' || !first);
}

static void put_name(struct wr_bucket *b, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (is_plain(p[i], i == 0))
			wr_bytes_put_u8(&b->text, p[i]);
		else
			wr_bytes_printf(&b->text, "%%%02X", p[i]);
}

static void put_field(struct wr_bucket *b, const struct piece *p, const struct wr_elem *row)
{
	struct wr_cell cell = wr_row_lookup(row, p->text.p, p->text.len);

	b->cell.len = 0;
	if (cell.type && cell.type != WR_T_NULL)
		wr_cell_text(&cell, &b->cell);
	if (!b->cell.len)
		wr_bytes_put(&b->text, "__missing__", 11);
	put_name(b, b->cell.data, b->cell.len);
}

/* Each level is a name that does not begin with a dot: nothing hidden, and no way up. */
static int check_levels(const uint8_t *p, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && p[i] < ' ')
			return wr_error_set(WR_EUSER, "its bucket has a control character");
		if (i < len && p[i] != '/')
			continue;
		if (i == start || p[start] == '.')
			return wr_error_set(WR_EUSER,
					    "its bucket \"%.*s\" is no path of names such as a/b, below the "
					    "sink's folder",
					    (int)len, (const char *)p);
		start = i + 1;
	}
	return WR_OK;
}

static int put_given(struct wr_bucket *b, const struct piece *p, const struct wr_elem *row)
{
	const struct wr_shape *s = wr_shape(wr_elem_shape(row));
	int32_t field = wr_shape_find(s, p->text.p, p->text.len);
	struct wr_cell cell = {0};

	if (field >= 0)
		cell = wr_row_get(s, wr_elem_body(row), (uint32_t)field);
	b->cell.len = 0;
	if (cell.type)
		wr_cell_text(&cell, &b->cell);
	wr_bytes_put(&b->text, b->cell.data, b->cell.len);
	return check_levels(b->cell.data, b->cell.len);
}

/* ---- rows ---- */

static int set_time(struct wr_bucket *b, int64_t ms, bool *same)
{
	int64_t unit = ms / b->unit_ms - (ms % b->unit_ms < 0);
	time_t seconds = (time_t)(unit * (b->unit_ms / 1000));

	*same = b->ready && unit == b->unit;
	if (*same)
		return WR_OK;
	if (!gmtime_r(&seconds, &b->now))
		return wr_error_set(WR_EUSER, "its time is out of range");
	b->unit = unit;
	b->ready = true;
	return WR_OK;
}

/* What no file system takes is refused here, where it is one record's, and not when a file is to be finished.
 */
static int check_lengths(const struct wr_bytes *path)
{
	size_t start = 0;

	if (path->len > WR_BUCKET_MAX)
		return wr_error_set(WR_EUSER, "its bucket has more than %d bytes", WR_BUCKET_MAX);
	for (size_t i = 0; i <= path->len; i++) {
		if (i < path->len && path->data[i] != '/')
			continue;
		if (i - start > LEVEL_MAX)
			return wr_error_set(WR_EUSER, "its bucket has a name of more than %d bytes",
					    LEVEL_MAX);
		start = i + 1;
	}
	return WR_OK;
}

static int put_pieces(struct wr_bucket *b, const struct wr_elem *row)
{
	int rc = WR_OK;

	b->text.len = 0;
	for (uint32_t i = 0; i < b->count && rc == WR_OK; i++) {
		const struct piece *p = &b->pieces[i];

		switch (p->kind) {
		case TEXT:
			wr_bytes_put(&b->text, p->text.p, p->text.len);
			break;
		case TIME:
			put_time(b, p);
			break;
		case FIELD:
			put_field(b, p, row);
			break;
		case GIVEN:
			rc = put_given(b, p, row);
			break;
		}
	}
	if (rc == WR_OK)
		rc = wr_bytes_status(&b->text);
	return rc == WR_OK ? check_lengths(&b->text) : rc;
}

int wr_bucket_of(struct wr_bucket *b, const struct wr_elem *row, int64_t now_ms, struct wr_str *out)
{
	int64_t ms = b->processing ? now_ms : row->ts;
	bool same = b->only_time && !b->timed && b->text.len;
	int rc = WR_OK;

	if (b->timed && ms == WR_TS_NONE)
		return wr_error_set(WR_EUSER, "it has no event time, and its bucket is named after it: put "
					      ":watermarks(…) before the sink, or say time = \"processing\"");
	if (b->timed) {
		rc = set_time(b, ms, &same);
		same &= b->only_time;
	}
	if (rc == WR_OK && !same)
		rc = put_pieces(b, row);
	if (rc != WR_OK) {
		b->ready = false;
		b->text.len = 0;
	}
	*out = (struct wr_str){(const char *)b->text.data, (uint32_t)b->text.len};
	return rc;
}
