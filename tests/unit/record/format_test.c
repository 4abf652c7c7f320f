/* SPDX-License-Identifier: Apache-2.0 */
/* format_test: reads the vectors out of FORMAT.md and checks each in both directions, so that the document
 * and the program cannot part. Run in the top folder of the tree. */
#include <stdlib.h>
#include "record/frame.h"
#include "record/key.h"
#include "unit/record/model.h"

enum { COLUMNS_MAX = 6, BYTES_MAX = 512 };
static const char path[] = "runtime/record/FORMAT.md";

/* One line of a block of vectors. "!" in the second or third column says that the bytes are malformed. */
struct vector {
	int line;
	char *columns[COLUMNS_MAX];
	int count;
};

static char *trimmed(char *s)
{
	char *end = s + strlen(s);

	while (end > s && (end[-1] == ' ' || end[-1] == '\n'))
		*--end = 0;
	return s + strspn(s, " ");
}

static void split(char *line, struct vector *v)
{
	char *rest = line;

	v->count = 0;
	while (rest && v->count < COLUMNS_MAX) {
		char *bar = strstr(rest, " | ");

		if (bar)
			*bar = 0;
		v->columns[v->count++] = trimmed(rest);
		rest = bar ? bar + 3 : NULL;
	}
}

/* Calls `check` for each line of all blocks that start with ```kind; there must be `least` of them. */
static void each_vector(const char *kind, int least, void (*check)(const struct vector *v))
{
	FILE *file = fopen(path, "r");
	char line[2048], fence[32];
	bool inside = false;
	struct vector v = {0};
	int count = 0;

	assert_non_null(file);
	snprintf(fence, sizeof fence, "```%s\n", kind);
	while (fgets(line, sizeof line, file)) {
		v.line++;
		if (strncmp(line, "```", 3) == 0) {
			inside = strcmp(line, fence) == 0;
		} else if (inside) {
			split(line, &v);
			check(&v);
			count++;
		}
	}
	fclose(file);
	assert_true(count >= least);
}

/* Bytes of a column, 8-aligned. */
struct hex {
	uint64_t words[BYTES_MAX / 8];
	uint32_t len;
};

static uint8_t *hex_of(struct hex *h, const char *text)
{
	uint8_t *p = (uint8_t *)h->words;
	unsigned byte;

	h->len = 0;
	for (; *text && *text != '-'; text += *text == ' ' ? 1 : 2) {
		if (*text == ' ')
			continue;
		assert_true(h->len < BYTES_MAX);
		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		p[h->len++] = (uint8_t)byte;
	}
	return p;
}

static bool malformed(const struct vector *v, int column)
{
	return strcmp(v->columns[column], "!") == 0;
}

static void accepted(const struct vector *v, int rc)
{
	if (rc != WR_OK)
		fail_msg("%s:%d: %s", path, v->line, wr_error_text());
}

static void refused(const struct vector *v, int rc)
{
	if (rc != WR_EUSER)
		fail_msg("%s:%d: was not refused", path, v->line);
}

static void text_is(const struct vector *v, struct wr_bytes *text, const char *expected)
{
	wr_bytes_put_u8(text, 0);
	if (strcmp((char *)text->data, expected) != 0)
		fail_msg("%s:%d: '%s' is not '%s'", path, v->line, (char *)text->data, expected);
	wr_bytes_deinit(text);
}

static void bytes_are(const struct vector *v, struct wr_bytes *again, const void *p, size_t len)
{
	if (again->len != len || memcmp(again->data, p, len) != 0)
		fail_msg("%s:%d: is written in another way", path, v->line);
	wr_bytes_deinit(again);
}

/* ---- one check for each kind ---- */

static void check_value(const struct vector *v)
{
	struct wr_bytes text = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct hex hex;
	const uint8_t *p = hex_of(&hex, v->columns[0]);
	struct wr_reader r = wr_reader_of(p, hex.len), print = r;
	struct wr_arena arena;
	struct wr_value value;

	wr_arena_init(&arena, &model_mem);
	accepted(v, wr_value_parse(&r, &arena, &value));
	assert_ptr_equal(r.p, r.end);
	wr_value_json(&print, &text);
	text_is(v, &text, v->columns[1]);
	wr_value_put(&again, &value);
	bytes_are(v, &again, p, hex.len);
	wr_arena_deinit(&arena);
}

static void check_shape(const struct vector *v)
{
	struct wr_bytes text = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct hex hex;
	const uint8_t *p = hex_of(&hex, v->columns[0]);
	struct wr_reader r = wr_reader_of(p, hex.len);
	uint32_t id = wr_shape_decode(&r);

	accepted(v, id ? WR_OK : WR_EUSER);
	assert_ptr_equal(r.p, r.end);
	wr_shape_describe(id, &text);
	text_is(v, &text, v->columns[1]);
	wr_shape_encode(id, &again);
	bytes_are(v, &again, p, hex.len);
}

static void check_row(const struct vector *v)
{
	struct wr_bytes element = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;
	struct hex shape_hex, hex;
	const uint8_t *shape = hex_of(&shape_hex, v->columns[0]);
	struct wr_reader r = wr_reader_of(shape, shape_hex.len);
	const uint8_t *body = hex_of(&hex, v->columns[1]);
	const struct wr_shape *s = wr_shape(wr_shape_decode(&r));
	struct wr_cell cells[8];

	assert_true(s && s->count <= NUMBER_OF(cells));
	if (malformed(v, 2)) {
		refused(v, wr_row_verify(s, body, hex.len));
		return;
	}
	accepted(v, wr_row_verify(s, body, hex.len));
	for (uint32_t i = 0; i < s->count; i++)
		cells[i] = wr_row_get(s, body, i);
	wr_row_put(&element, s->id, WR_INSERT, 0, cells);
	wr_row_json(elem_of(&element), &text);
	text_is(v, &text, v->columns[2]);
	memmove(element.data, element.data + WR_ELEM_HEADER, element.len -= WR_ELEM_HEADER);
	bytes_are(v, &element, body, hex.len);
}

static void check_element(const struct vector *v)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	struct hex hex;
	const struct wr_elem *e = (const struct wr_elem *)hex_of(&hex, v->columns[0]);
	int rc = wr_elem_verify((const uint8_t *)e, hex.len, NULL);

	if (malformed(v, 1)) {
		refused(v, rc);
		return;
	}
	accepted(v, rc);
	assert_int_equal(e->len, hex.len);
	if (wr_elem_is_event(e))
		wr_bytes_printf(&text, "event %u", wr_event_type(e));
	else
		wr_bytes_printf(&text, "row %u kind %d", wr_elem_shape(e), wr_elem_kind(e));
	if (e->ts == WR_TS_NONE)
		wr_bytes_printf(&text, " without time");
	else
		wr_bytes_printf(&text, " at %lld", (long long)e->ts);
	text_is(v, &text, v->columns[1]);
}

static void check_key(const struct vector *v)
{
	struct wr_bytes text = WR_BYTES_EMPTY, again = WR_BYTES_EMPTY;
	struct wr_cell parts[WR_KEY_PARTS_MAX];
	struct hex hex;
	const uint8_t *p = hex_of(&hex, v->columns[0]);
	uint64_t hash = wr_key_hash(p, hex.len);
	uint32_t count;
	int rc = wr_key_parts(p, hex.len, parts, &count);

	if (malformed(v, 1)) {
		refused(v, rc);
		return;
	}
	accepted(v, rc);
	wr_key_json(p, hex.len, &text);
	text_is(v, &text, v->columns[1]);
	if (count > 1)
		wr_bytes_put(&again, (uint8_t[]){'t', (uint8_t)count}, 2);
	for (uint32_t i = 0; i < count; i++)
		accepted(v, wr_key_put_cell(&again, &parts[i]));
	bytes_are(v, &again, p, hex.len);
	assert_int_equal(v->count, 5);
	assert_true(hash == strtoull(v->columns[2], NULL, 16));
	assert_int_equal(wr_key_group(hash, 128), atoi(v->columns[3]));
	assert_int_equal(wr_key_group(hash, 32768), atoi(v->columns[4]));
}

static void check_frame(const struct vector *v)
{
	struct wr_bytes again = WR_BYTES_EMPTY;
	struct wr_deframer d;
	struct wr_frame f;
	struct hex hex, payload;
	const uint8_t *p = hex_of(&hex, v->columns[0]);

	wr_deframer_init(&d);
	wr_deframer_feed(&d, p, hex.len);
	if (malformed(v, 1)) {
		refused(v, wr_deframer_next(&d, &f));
		wr_deframer_deinit(&d);
		return;
	}
	accepted(v, wr_deframer_next(&d, &f));
	hex_of(&payload, v->columns[3]);
	assert_int_equal(f.type, atoi(v->columns[1]));
	assert_int_equal(f.channel, atoi(v->columns[2]));
	assert_int_equal(f.len, payload.len);
	assert_memory_equal(f.payload, payload.words, payload.len);
	wr_frame_put(&again, f.type, f.channel, f.payload, f.len);
	bytes_are(v, &again, p, hex.len);
	wr_deframer_deinit(&d);
}

static void test_values_are_as_documented(void **state)
{
	(void)state;
	each_vector("value", 15, check_value);
}
static void test_shapes_are_as_documented(void **state)
{
	(void)state;
	each_vector("shape", 6, check_shape);
}
static void test_rows_are_as_documented(void **state)
{
	(void)state;
	each_vector("row", 7, check_row);
}
static void test_elements_are_as_documented(void **state)
{
	(void)state;
	each_vector("element", 7, check_element);
}
static void test_P1_keys_hashes_and_key_groups_are_as_documented(void **state)
{
	(void)state;
	each_vector("key", 17, check_key);
}
static void test_frames_are_as_documented(void **state)
{
	(void)state;
	each_vector("frame", 4, check_frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_are_as_documented),
	    cmocka_unit_test(test_shapes_are_as_documented),
	    cmocka_unit_test(test_rows_are_as_documented),
	    cmocka_unit_test(test_elements_are_as_documented),
	    cmocka_unit_test(test_P1_keys_hashes_and_key_groups_are_as_documented),
	    cmocka_unit_test(test_frames_are_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
