/* SPDX-License-Identifier: Apache-2.0 */
/* split: see split.h. Pure. */
#include "base/error.h"
#include "connect/split.h"

void wr_split_put(struct wr_bytes *out, const struct wr_split *split)
{
	wr_value_put_record(out, split->to == UINT64_MAX ? 3 : 4);
	wr_value_put_name(out, "from");
	wr_value_put_i64(out, (int64_t)split->from);
	wr_value_put_name(out, "id");
	wr_value_put_i64(out, (int64_t)split->id);
	wr_value_put_name(out, "path");
	wr_value_put_str(out, split->path);
	if (split->to != UINT64_MAX) {
		wr_value_put_name(out, "to");
		wr_value_put_i64(out, (int64_t)split->to);
	}
}

static bool is_count(const struct wr_value *v)
{
	return v && v->tag == WR_V_I64 && v->i64 >= 0;
}

int wr_split_of(const struct wr_value *v, struct wr_split *out)
{
	bool record = v && v->tag == WR_V_RECORD;
	const struct wr_value *from = record ? wr_value_get(v, "from") : NULL;
	const struct wr_value *id = record ? wr_value_get(v, "id") : NULL;
	const struct wr_value *path = record ? wr_value_get(v, "path") : NULL;
	const struct wr_value *to = record ? wr_value_get(v, "to") : NULL;

	if (!is_count(from) || !is_count(id) || !path || path->tag != WR_V_STR || (to && !is_count(to)))
		return wr_error_set(WR_EUSER, "a split is malformed");
	*out = (struct wr_split){(uint64_t)id->i64, path->str.p, (uint64_t)from->i64,
				 to ? (uint64_t)to->i64 : UINT64_MAX};
	return WR_OK;
}
