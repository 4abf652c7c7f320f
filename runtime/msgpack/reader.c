/* SPDX-License-Identifier: Apache-2.0 */
/* reader: MessagePack to nodes; see reader.h. It is not the library's, which takes memory for as many members
 * as a message says that it has, before it looks for them. */
#include "msgpack/reader.h"

#include "base/error.h"
#include "record/field_path.h"
#include "record/number.h"
#include "record/row.h"

#define EXACT_MAX ((int64_t)1 << 53)

struct wr_msgpack_reader {
	const uint8_t *p, *end, *start;
	struct wr_node *nodes;
	uint32_t nodes_size, count;
	struct wr_field_path at;
};

static struct wr_mem mem = WR_MEM_INIT("msgpack.reader");

struct wr_msgpack_reader *wr_msgpack_reader_new(void)
{
	return wr_zalloc(&mem, sizeof(struct wr_msgpack_reader));
}

void wr_msgpack_reader_free(struct wr_msgpack_reader *d)
{
	if (!d)
		return;
	wr_free(&mem, d->nodes);
	wr_free(&mem, d);
}

static int wrong(struct wr_msgpack_reader *d, const char *why)
{
	size_t byte = (size_t)(d->p - d->start) + 1;
	char path[WR_FIELD_PATH_TEXT];

	if (!wr_field_path_text(&d->at, path)[0])
		return wr_error_set(WR_EUSER, "MessagePack: at byte %zu: %s", byte, why);
	return wr_error_set(WR_EUSER, "MessagePack: field '%s', at byte %zu: %s", path, byte, why);
}

/* ---- values ---- */

static int read_value(struct wr_msgpack_reader *d);

static int put(struct wr_msgpack_reader *d, struct wr_node node)
{
	if (d->count == d->nodes_size && WR_GROW(&mem, d->nodes, d->nodes_size, d->count + 1) != WR_OK)
		return WR_EFATAL;
	d->nodes[d->count++] = node;
	return WR_OK;
}

static int put_double(struct wr_msgpack_reader *d, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return put(d, (struct wr_node){.type = WR_T_F64, .u64 = wr_number_bits(bits)});
}

static int put_signed(struct wr_msgpack_reader *d, int64_t v)
{
	if (v >= -EXACT_MAX && v <= EXACT_MAX)
		return put_double(d, (double)v);
	return put(d, (struct wr_node){.type = WR_T_I64, .i64 = v});
}

static int put_unsigned(struct wr_msgpack_reader *d, uint64_t v)
{
	return v <= INT64_MAX ? put_signed(d, (int64_t)v)
			      : put(d, (struct wr_node){.type = WR_T_U64, .u64 = v});
}

/* A number of `bytes` bytes, the highest first. */
static int get(struct wr_msgpack_reader *d, unsigned bytes, uint64_t *v)
{
	*v = 0;
	if (d->end - d->p < (ptrdiff_t)bytes)
		return wrong(d, "the message ends inside a number");
	while (bytes--)
		*v = *v << 8 | *d->p++;
	return WR_OK;
}

static int read_unsigned(struct wr_msgpack_reader *d, unsigned bytes)
{
	uint64_t v;
	int rc = get(d, bytes, &v);

	return rc == WR_OK ? put_unsigned(d, v) : rc;
}

static int read_signed(struct wr_msgpack_reader *d, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;
	uint64_t v;
	int rc = get(d, bytes, &v);

	return rc == WR_OK ? put_signed(d, (int64_t)(v << unused) >> unused) : rc;
}

static int read_float(struct wr_msgpack_reader *d, unsigned bytes)
{
	uint64_t v;
	uint32_t bits;
	float f;
	int rc = get(d, bytes, &v);

	if (rc != WR_OK)
		return rc;
	if (bytes == 8)
		return put(d, (struct wr_node){.type = WR_T_F64, .u64 = wr_number_bits(v)});
	bits = (uint32_t)v;
	memcpy(&f, &bits, sizeof f);
	return put_double(d, f);
}

static int get_bytes(struct wr_msgpack_reader *d, uint64_t len, const char **p)
{
	*p = NULL;
	if (len > (uint64_t)(d->end - d->p))
		return wrong(d, "the message ends inside a string");
	if (len > WR_ROW_MAX / 2)
		return wrong(d, "a string is too large for a record");
	*p = (const char *)d->p;
	d->p += len;
	return WR_OK;
}

static int read_bytes(struct wr_msgpack_reader *d, uint32_t type, uint64_t len)
{
	const char *p;
	int rc = get_bytes(d, len, &p);

	return rc == WR_OK ? put(d, (struct wr_node){.type = type, .len = (uint32_t)len, .str = p}) : rc;
}

static int read_sized(struct wr_msgpack_reader *d, uint32_t type, unsigned bytes)
{
	uint64_t len;
	int rc = get(d, bytes, &len);

	return rc == WR_OK ? read_bytes(d, type, len) : rc;
}

/* ---- containers ---- */

static int enter(struct wr_msgpack_reader *d, uint32_t type, uint64_t count, unsigned least)
{
	if (count > (uint64_t)(d->end - d->p) / least)
		return wrong(d, "the message has more members than bytes");
	if (!wr_field_path_enter(&d->at))
		return wrong(d, "the message is nested too deep");
	return put(d, (struct wr_node){.type = type, .len = (uint32_t)count});
}

static int read_list(struct wr_msgpack_reader *d, uint64_t count)
{
	int rc = enter(d, WR_T_LIST, count, 1);

	for (uint64_t i = 0; i < count && rc == WR_OK; i++) {
		wr_field_path_last(&d->at)->item = (uint32_t)i;
		rc = read_value(d);
	}
	d->at.depth -= rc == WR_OK;
	return rc;
}

static int read_key(struct wr_msgpack_reader *d, struct wr_str *key)
{
	uint8_t tag = *d->p;
	uint64_t len = tag & 0x1f;
	int rc = WR_OK;

	if (tag >> 5 != 5 && (tag < 0xd9 || tag > 0xdb))
		return wrong(d, "a map has a key that is no string");
	d->p++;
	if (tag >> 5 != 5)
		rc = get(d, 1u << (tag - 0xd9), &len);
	if (rc == WR_OK)
		rc = get_bytes(d, len, &key->p);
	key->len = (uint32_t)len;
	return rc;
}

static int read_map(struct wr_msgpack_reader *d, uint64_t count)
{
	int rc = enter(d, WR_T_ROW, count, 2);

	for (uint64_t i = 0; i < count && rc == WR_OK; i++) {
		struct wr_str key = {NULL, 0};
		uint32_t at = d->count;

		rc = d->p < d->end ? read_key(d, &key) : wrong(d, "the message ends inside a map");
		if (rc == WR_OK) {
			wr_field_path_last(&d->at)->name = key;
			rc = read_value(d);
		}
		if (rc == WR_OK) {
			d->nodes[at].key = key.p;
			d->nodes[at].key_len = key.len;
		}
	}
	d->at.depth -= rc == WR_OK;
	return rc;
}

static int read_counted(struct wr_msgpack_reader *d, int (*read)(struct wr_msgpack_reader *d, uint64_t count),
			unsigned bytes)
{
	uint64_t count;
	int rc = get(d, bytes, &count);

	return rc == WR_OK ? read(d, count) : rc;
}

/* Values whose first byte says all of their kind and size, 0xc0 and above. */
static int read_tagged(struct wr_msgpack_reader *d, uint8_t tag)
{
	switch (tag) {
	case 0xc0:
		return put(d, (struct wr_node){.type = WR_T_NULL});
	case 0xc2:
	case 0xc3:
		return put(d, (struct wr_node){.type = WR_T_BOOL, .u64 = tag & 1});
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return read_sized(d, WR_T_BYTES, 1u << (tag - 0xc4));
	case 0xca:
	case 0xcb:
		return read_float(d, 4u << (tag - 0xca));
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		return read_unsigned(d, 1u << (tag - 0xcc));
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return read_signed(d, 1u << (tag - 0xd0));
	case 0xd9:
	case 0xda:
	case 0xdb:
		return read_sized(d, WR_T_STR, 1u << (tag - 0xd9));
	case 0xdc:
	case 0xdd:
		return read_counted(d, read_list, 2u << (tag - 0xdc));
	case 0xde:
	case 0xdf:
		return read_counted(d, read_map, 2u << (tag - 0xde));
	case 0xc1:
		return wrong(d, "the byte 0xc1 begins no value");
	default:
		return wrong(d, "extension types are not read");
	}
}

static int read_value(struct wr_msgpack_reader *d)
{
	uint8_t tag;

	if (d->p == d->end)
		return wrong(d, "the message ends before a value");
	tag = *d->p++;
	if (tag < 0x80 || tag >= 0xe0)
		return put_double(d, (int8_t)tag);
	if (tag >= 0xc0)
		return read_tagged(d, tag);
	if (tag >= 0xa0)
		return read_bytes(d, WR_T_STR, tag & 0x1f);
	return tag >= 0x90 ? read_list(d, tag & 0xf) : read_map(d, tag & 0xf);
}

int wr_msgpack_read(struct wr_msgpack_reader *d, const void *p, size_t len, const struct wr_node **nodes,
		    size_t *count)
{
	int rc;

	d->start = d->p = len ? p : (const void *)"";
	d->end = d->p + len;
	d->count = d->at.depth = 0;
	rc = read_value(d);
	if (rc == WR_OK && d->p < d->end)
		rc = wrong(d, "more bytes than one value has");
	*nodes = d->nodes;
	*count = d->count;
	return rc;
}
