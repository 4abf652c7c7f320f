/* SPDX-License-Identifier: Apache-2.0 */
/* json_text: JSON texts, one after the other, as nodes; see json_text.h.
 *
 * Most texts have the members of the one before: the same names in the same order, values of the same types.
 * Where nothing is nested in them, the nodes of the one before are filled anew with what stands at the places
 * where it should. What is not as expected, or has a form that is rare, such as an escape or an exponent, is
 * left to the parser, which goes on from the same index. */
#include "format/json_text.h"
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "format/json_reader.h"
#include "record/row.h"

struct wr_json_text {
	struct wr_json *reader;
	struct wr_node *nodes;
	size_t nodes_size;
	size_t members; /* of the last text, if the next one may be read by its nodes; else 0 */
	size_t charged; /* of the reader's own memory */
};

static struct wr_mem json_mem = WR_MEM_INIT("format.json");
static struct wr_mem reader_mem = WR_MEM_INIT("format.simdjson");

static void charge(struct wr_json_text *t, size_t bytes)
{
	if (bytes == t->charged)
		return;
	wr_mem_charge(&reader_mem, (int64_t)bytes - (int64_t)t->charged);
	t->charged = bytes;
}

struct wr_json_text *wr_json_text_new(void)
{
	struct wr_json_text *t = wr_zalloc(&json_mem, sizeof *t);

	if (!t)
		return NULL;
	t->reader = wr_json_new();
	if (t->reader)
		return t;
	wr_error_nomem(0, "a JSON parser");
	wr_json_text_free(t);
	return NULL;
}

void wr_json_text_free(struct wr_json_text *t)
{
	if (!t)
		return;
	if (t->reader)
		wr_json_free(t->reader);
	charge(t, 0);
	wr_free(&json_mem, t->nodes);
	wr_free(&json_mem, t);
}

/* ---- texts like the one before ---- */

enum { DIGITS_MAX = 15 /* all such integers are exact in a double */ };

/* What stands from `p` on, up to the white space in front of `end`. */
static struct wr_str trimmed(const uint8_t *p, const uint8_t *end)
{
	while (end > p && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t'))
		end--;
	return (struct wr_str){(const char *)p, (uint32_t)(end - p)};
}

/* A string without escapes: quotes in it would have one. A quote behind a letter begins nothing of its own in
 * the index: what stands in front of a string is seen here. */
static bool fill_string(struct wr_node *n, struct wr_str text)
{
	if (text.len < 2 || *text.p != '"' || text.p[text.len - 1] != '"' || memchr(text.p, '\\', text.len))
		return false;
	n->str = text.p + 1;
	n->len = text.len - 2;
	return true;
}

static const char *digits(const char *p, const char *end, uint64_t *value)
{
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		*value = *value * 10 + (uint64_t)(*p - '0');
	return p;
}

/* Both parts of the quotient are exact, so that it is the double next to what is written. */
static bool fill_number(struct wr_node *n, struct wr_str text)
{
	static const double powers[] = {1,   1e1, 1e2,	1e3,  1e4,  1e5,  1e6,	1e7,
					1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
	const char *p = text.p, *end = p + text.len, *whole, *point;
	bool negative = *p == '-';
	uint64_t value = 0;

	if (text.len > DIGITS_MAX)
		return false;
	whole = p += negative;
	point = p = digits(p, end, &value);
	if (p == whole || (*whole == '0' && p - whole > 1))
		return false;
	if (p == end) {
		n->f64 = (double)(negative ? -(int64_t)value : (int64_t)value);
		return true;
	}
	if (*p != '.' || point + 1 == end || digits(point + 1, end, &value) != end)
		return false;
	n->f64 = (double)value / powers[end - point - 1];
	if (negative)
		n->f64 = -n->f64;
	return true;
}

static bool is_word(struct wr_str text, const char *word)
{
	return strlen(word) == text.len && !memcmp(text.p, word, text.len);
}

static bool fill(struct wr_node *n, struct wr_str text)
{
	switch (n->type) {
	case WR_T_STR:
		return fill_string(n, text);
	case WR_T_F64:
		return fill_number(n, text);
	case WR_T_BOOL:
		n->u64 = is_word(text, "true");
		return n->u64 || is_word(text, "false");
	default:
		return is_word(text, "null");
	}
}

/* The member whose name begins at[0], and whose value is followed by at[3]. */
static bool fill_member(struct wr_node *n, const uint8_t *p, const uint32_t *at)
{
	const char *name = (const char *)p + at[0] + 1;

	if (at[1] != (uint64_t)at[0] + n->key_len + 2 || p[at[1]] != ':' || p[at[0]] != '"' ||
	    name[n->key_len] != '"' || !wr_name_same(name, n->key, n->key_len))
		return false;
	return fill(n, trimmed(p + at[2], p + at[3]));
}

/* Reads the text by the nodes of the one before. False: it is to be parsed; of the nodes, values may have
 * changed. */
static bool fill_all(struct wr_json_text *t, const uint8_t *p, const uint32_t *at, uint32_t count)
{
	if (count != 1 + 4 * (uint64_t)t->members || p[*at] != '{')
		return false;
	at++;
	for (size_t i = 0; i < t->members; i++, at += 4)
		if (!fill_member(&t->nodes[1 + i], p, at) || p[at[3]] != (i + 1 < t->members ? ',' : '}'))
			return false;
	return true;
}

/* Can texts be read by these nodes? */
static size_t members_of(const struct wr_node *nodes, size_t count)
{
	if (nodes->type != WR_T_ROW || nodes->len + 1ull != count)
		return 0;
	for (size_t i = 1; i < count; i++) {
		uint32_t type = nodes[i].type;

		if ((type != WR_T_STR && type != WR_T_F64 && type != WR_T_BOOL && type != WR_T_NULL) ||
		    (nodes[i].key_len && memchr(nodes[i].key, '\\', nodes[i].key_len)))
			return 0;
	}
	return count - 1;
}

/* ---- any texts ---- */

static int make_nodes(struct wr_json_text *t, size_t *count)
{
	*count = wr_json_nodes(t->reader, t->nodes, t->nodes_size);
	if (*count <= t->nodes_size)
		return WR_OK;
	wr_free(&json_mem, t->nodes);
	t->nodes_size = 0;
	t->nodes = wr_alloc(&json_mem, 2 * *count * sizeof *t->nodes);
	if (!t->nodes)
		return WR_EFATAL;
	t->nodes_size = 2 * *count;
	wr_json_nodes(t->reader, t->nodes, t->nodes_size);
	return WR_OK;
}

static const char *parse(struct wr_json_text *t, const uint8_t *p, size_t len, bool indexed)
{
	const char *wrong = indexed ? wr_json_parse_indexed(t->reader) : wr_json_parse(t->reader, p, len);

	charge(t, wr_json_bytes(t->reader));
	return wrong;
}

int wr_json_text_nodes(struct wr_json_text *t, const uint8_t *p, size_t len, const struct wr_node **nodes,
		       size_t *count, const char **wrong)
{
	uint32_t places = 0;
	const uint32_t *at = t->members ? wr_json_index(t->reader, p, len, &places) : NULL;
	int rc;

	*wrong = NULL;
	*nodes = t->nodes;
	*count = t->members + 1;
	if (at && fill_all(t, p, at, places))
		return WR_OK;
	t->members = 0;
	*wrong = parse(t, p, len, at != NULL);
	if (*wrong)
		return WR_EUSER;
	rc = make_nodes(t, count);
	if (rc != WR_OK)
		return rc;
	*nodes = t->nodes;
	if (*count) {
		t->members = members_of(t->nodes, *count);
		return WR_OK;
	}
	*wrong = "JSON is nested too deep";
	return WR_EUSER;
}
