/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader: simdjson's document model, walked into nodes; see json_reader.h. No exception
 * leaves this file: simdjson is asked for error codes, and memory for null pointers. */
#include <new>
#include <simdjson.h>
#include "format/json_reader.h"
#define WR_CDEF /* the plain declarations only */
#include "record/shape.h"

static_assert(WR_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the caller's padding is enough");

namespace dom = simdjson::dom;

struct wr_json {
	dom::parser parser;
	dom::element root;
};

struct writer {
	wr_node *to;
	size_t cap, count;
	bool too_deep;
};

extern "C" struct wr_json *wr_json_new(void)
{
	return new (std::nothrow) wr_json;
}

extern "C" void wr_json_free(struct wr_json *j)
{
	delete j;
}

extern "C" const char *wr_json_parse(struct wr_json *j, const uint8_t *p, size_t len)
{
	simdjson::error_code error = j->parser.parse(p, len, false).get(j->root);

	if (error == simdjson::DEPTH_ERROR)
		return "JSON is nested too deep";
	return error ? simdjson::error_message(error) : nullptr;
}

/* The tape has a word a byte, strings up to 5/3 of the text, and an index a byte (simdjson's dom_parser). */
extern "C" size_t wr_json_bytes(const struct wr_json *j)
{
	size_t n = j->parser.capacity();

	return sizeof *j + (n ? n * (sizeof(uint64_t) + sizeof(uint32_t)) + n / 3 * 5 : 0);
}

static void put(writer &w, dom::element e, const char *key, size_t key_len, int depth);

template <typename Container> static size_t put_members(writer &w, Container members, int depth)
{
	size_t count = 0;

	if (depth == WR_JSON_DEPTH_MAX) {
		w.too_deep = true;
		return 0;
	}
	for (auto member : members) {
		if constexpr (std::is_same_v<Container, dom::object>)
			put(w, member.value, member.key.data(), member.key.size(), depth + 1);
		else
			put(w, member, nullptr, 0, depth + 1);
		count++;
	}
	return count;
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

static void set_scalar(wr_node *n, dom::element e)
{
	switch (e.type()) {
	case dom::element_type::INT64:
		set_integer(n, e.get_int64().value_unsafe());
		break;
	case dom::element_type::UINT64:
		n->type = WR_T_U64;
		n->u64 = e.get_uint64().value_unsafe();
		break;
	case dom::element_type::DOUBLE:
		n->type = WR_T_F64;
		n->f64 = e.get_double().value_unsafe();
		break;
	case dom::element_type::STRING:
		n->type = WR_T_STR;
		n->len = uint32_t(e.get_string_length().value_unsafe());
		n->str = e.get_c_str().value_unsafe();
		break;
	case dom::element_type::BOOL:
		n->type = WR_T_BOOL;
		n->u64 = e.get_bool().value_unsafe();
		break;
	default:
		n->type = WR_T_NULL;
		n->u64 = 0;
		break;
	}
}

static void put(writer &w, dom::element e, const char *key, size_t key_len, int depth)
{
	wr_node spare, *n = w.count < w.cap ? &w.to[w.count] : &spare;

	w.count++;
	n->key = key;
	n->key_len = uint32_t(key_len);
	n->len = 0;
	if (e.is_array()) {
		n->type = WR_T_LIST;
		n->len = uint32_t(put_members(w, dom::array(e.get_array().value_unsafe()), depth));
	} else if (e.is_object()) {
		n->type = WR_T_ROW;
		n->len = uint32_t(put_members(w, dom::object(e.get_object().value_unsafe()), depth));
	} else {
		set_scalar(n, e);
	}
}

extern "C" size_t wr_json_nodes(struct wr_json *j, struct wr_node *to, size_t cap)
{
	writer w = {to, cap, 0, false};

	put(w, j->root, nullptr, 0, 0);
	return w.too_deep ? 0 : w.count;
}
