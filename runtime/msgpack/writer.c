/* SPDX-License-Identifier: Apache-2.0 */
/* writer: rows to MessagePack; see writer.h. */
#include "msgpack/writer.h"

#include <math.h>
#include <msgpack.h>
#include "base/error.h"
#include "format/value_row.h"

#define EXACT_MAX 0x1p53

struct wr_msgpack_writer {
	struct wr_arena arena;
};

static struct wr_mem mem = WR_MEM_INIT("msgpack.writer");

struct wr_msgpack_writer *wr_msgpack_writer_new(void)
{
	struct wr_msgpack_writer *w = wr_zalloc(&mem, sizeof *w);

	if (w)
		wr_arena_init(&w->arena, &mem);
	return w;
}

void wr_msgpack_writer_free(struct wr_msgpack_writer *w)
{
	if (!w)
		return;
	wr_arena_deinit(&w->arena);
	wr_free(&mem, w);
}

/* What the library calls; a put that fails shows by wr_bytes_status. */
static int append(void *out, const char *p, size_t len)
{
	if (len)
		wr_bytes_put(out, p, len);
	return 0;
}

static void pack_number(msgpack_packer *to, double v)
{
	if (v == floor(v) && fabs(v) <= EXACT_MAX && !(v == 0 && signbit(v)))
		msgpack_pack_int64(to, (int64_t)v);
	else if ((double)(float)v == v)
		msgpack_pack_float(to, (float)v);
	else
		msgpack_pack_double(to, v);
}

static void pack(msgpack_packer *to, const struct wr_value *v)
{
	switch (v->tag) {
	case WR_V_NIL:
	case WR_V_NULL:
		msgpack_pack_nil(to);
		return;
	case WR_V_FALSE:
		msgpack_pack_false(to);
		return;
	case WR_V_TRUE:
		msgpack_pack_true(to);
		return;
	case WR_V_F64:
		pack_number(to, v->f64);
		return;
	case WR_V_I64:
		msgpack_pack_int64(to, v->i64);
		return;
	case WR_V_U64:
		msgpack_pack_uint64(to, v->u64);
		return;
	case WR_V_STR:
		msgpack_pack_str(to, v->str.len);
		msgpack_pack_str_body(to, v->str.p, v->str.len);
		return;
	case WR_V_BYTES:
		msgpack_pack_bin(to, v->str.len);
		msgpack_pack_bin_body(to, v->str.p, v->str.len);
		return;
	case WR_V_LIST:
		msgpack_pack_array(to, v->count);
		break;
	case WR_V_MAP:
	case WR_V_RECORD:
		msgpack_pack_map(to, v->count);
		break;
	}
	for (uint32_t i = 0; i < v->count; i++) {
		if (v->tag != WR_V_LIST)
			pack(to, &v->keys[i]);
		pack(to, &v->items[i]);
	}
}

int wr_msgpack_write(struct wr_msgpack_writer *w, const struct wr_elem *row, struct wr_bytes *out)
{
	struct wr_value value;
	msgpack_packer to;
	int rc;

	wr_arena_reset(&w->arena);
	rc = wr_value_of_row(row, &w->arena, &value);
	if (rc != WR_OK)
		return rc;
	msgpack_packer_init(&to, out, append);
	pack(&to, &value);
	return wr_bytes_status(out);
}
