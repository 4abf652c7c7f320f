/* SPDX-License-Identifier: Apache-2.0 */
/* dict: see dict.h. An entry is u32 id, shape (FORMAT.md). */
#include "base/error.h"
#include "record/dict.h"

static struct wr_mem dict_mem = WR_MEM_INIT("record.dicts");

void wr_dict_init(struct wr_dict *d)
{
	*d = (struct wr_dict){0};
}

void wr_dict_deinit(struct wr_dict *d)
{
	wr_free(&dict_mem, d->local);
	wr_dict_init(d);
}

void wr_dict_put(struct wr_bytes *out, uint32_t id)
{
	wr_bytes_put_u32(out, id);
	wr_shape_encode(id, out);
}

static int dict_reserve(struct wr_dict *d, uint32_t there)
{
	uint32_t size = d->size;

	if (there < size)
		return WR_OK;
	if (WR_GROW(&dict_mem, d->local, d->size, there + 64) != WR_OK)
		return WR_EFATAL;
	memset(d->local + size, 0, (d->size - size) * sizeof *d->local);
	return WR_OK;
}

int wr_dict_read(struct wr_dict *d, struct wr_reader *r)
{
	uint32_t there = wr_read_u32(r), here;
	int rc;

	if (r->bad || there == 0 || there > WR_SHAPES_MAX)
		return wr_error_set(WR_EUSER, "a shape comes with the id %u, which is none", there);
	here = wr_shape_decode(r);
	if (here == 0)
		return wr_error_wrap(wr_error_code(), "shape %u", there);
	rc = dict_reserve(d, there);
	if (rc == WR_OK && d->local[there] && d->local[there] != here)
		return wr_error_set(WR_EUSER, "shape %u is said twice, and differently", there);
	if (rc == WR_OK)
		d->local[there] = here;
	return rc;
}
