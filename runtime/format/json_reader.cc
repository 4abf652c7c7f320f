/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader: simdjson's tape, walked into nodes; see json_reader.h. No exception leaves this file: simdjson
 * is asked for error codes, and memory for null pointers.
 *
 * The tape (doc/tape.md of simdjson) is a word for each value, its type in the top byte: of a string it says
 * where length and bytes lie, a number stands in the word behind it, and containers have a word at either
 * end. Read as it lies it costs a fraction of what it does through simdjson's elements, each of which looks
 * for its type again. */
#include <cstring>
#include <new>
#include <simdjson.h>
#include "format/json_reader.h"
#define WR_CDEF /* the plain declarations only */
#include "record/shape.h"

static_assert(WR_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the caller's padding is enough");

namespace dom = simdjson::dom;

struct wr_json {
	dom::parser parser;
};

extern "C" struct wr_json *wr_json_new(void)
{
	return new (std::nothrow) wr_json;
}

extern "C" void wr_json_free(struct wr_json *j)
{
	delete j;
}

static const char *words(simdjson::error_code error)
{
	if (error == simdjson::DEPTH_ERROR)
		return "JSON is nested too deep";
	return error ? simdjson::error_message(error) : nullptr;
}

extern "C" const char *wr_json_parse(struct wr_json *j, const uint8_t *p, size_t len)
{
	return words(j->parser.parse(p, len, false).error());
}

extern "C" const uint32_t *wr_json_index(struct wr_json *j, const uint8_t *p, size_t len, uint32_t *count)
{
	simdjson::internal::dom_parser_implementation *impl = j->parser.implementation.get();

	if (j->parser.capacity() < len || j->parser.doc.capacity() < len ||
	    impl->stage1(p, len, simdjson::stage1_mode::regular))
		return nullptr;
	*count = impl->n_structural_indexes;
	return impl->structural_indexes.get();
}

extern "C" const char *wr_json_parse_indexed(struct wr_json *j)
{
	return words(j->parser.implementation->stage2(j->parser.doc));
}

/* The tape has a word a byte, strings up to 5/3 of the text, and an index a byte (simdjson's dom_parser). */
extern "C" size_t wr_json_bytes(const struct wr_json *j)
{
	size_t n = j->parser.capacity();

	return sizeof *j + (n ? n * (sizeof(uint64_t) + sizeof(uint32_t)) + n / 3 * 5 : 0);
}

using simdjson::internal::tape_type;

static tape_type type_of(uint64_t word)
{
	return tape_type(word >> 56);
}

static const char *text_at(const dom::document &doc, uint64_t word, uint32_t *len)
{
	const uint8_t *p = doc.string_buf.get() + (word & simdjson::internal::JSON_VALUE_MASK);

	std::memcpy(len, p, sizeof *len);
	return (const char *)p + sizeof *len;
}

static void set_integer(wr_node *n, int64_t v)
{
	const int64_t exact = int64_t(1) << 53;

	if (v >= -exact && v <= exact) {
		n->type = WR_T_F64;
		n->f64 = double(v);
	} else {
		n->type = WR_T_I64;
		n->i64 = v;
	}
}

/* Returns how many words of the tape it has behind the first, `behind`. */
static size_t set_scalar(wr_node *n, const dom::document &doc, uint64_t word, const uint64_t *behind)
{
	switch (type_of(word)) {
	case tape_type::STRING:
		n->type = WR_T_STR;
		n->str = text_at(doc, word, &n->len);
		return 0;
	case tape_type::INT64:
		set_integer(n, int64_t(*behind));
		return 1;
	case tape_type::DOUBLE:
		n->type = WR_T_F64;
		n->u64 = *behind;
		return 1;
	case tape_type::UINT64:
		n->type = WR_T_U64;
		n->u64 = *behind;
		return 1;
	case tape_type::TRUE_VALUE:
	case tape_type::FALSE_VALUE:
		n->type = WR_T_BOOL;
		n->u64 = type_of(word) == tape_type::TRUE_VALUE;
		return 0;
	default:
		n->type = WR_T_NULL;
		n->u64 = 0;
		return 0;
	}
}

extern "C" size_t wr_json_nodes(struct wr_json *j, struct wr_node *to, size_t cap)
{
	const dom::document &doc = j->parser.doc;
	const uint64_t *at = doc.tape.get() + 1;
	wr_node spare, *open[WR_JSON_DEPTH_MAX + 1] = {&spare};
	bool named[WR_JSON_DEPTH_MAX + 1] = {false}; /* what is open there has members with names */
	size_t count = 0, depth = 0;

	do {
		uint64_t word = *at++;
		wr_node *n = count < cap ? &to[count] : &spare;

		if (type_of(word) == tape_type::END_OBJECT || type_of(word) == tape_type::END_ARRAY) {
			depth--;
			continue;
		}
		count++;
		*n = wr_node();
		if (named[depth]) {
			n->key = text_at(doc, word, &n->key_len);
			word = *at++;
		}
		open[depth]->len++;
		if (type_of(word) != tape_type::START_OBJECT && type_of(word) != tape_type::START_ARRAY) {
			at += set_scalar(n, doc, word, at);
			continue;
		}
		if (depth == WR_JSON_DEPTH_MAX)
			return 0;
		open[++depth] = n;
		named[depth] = type_of(word) == tape_type::START_OBJECT;
		n->type = named[depth] ? WR_T_ROW : WR_T_LIST;
	} while (depth > 0);
	return count;
}
