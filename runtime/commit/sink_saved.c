/* SPDX-License-Identifier: Apache-2.0 */
/* sink_saved: see sink_saved.h. */
#include "commit/sink_saved.h"

#include "base/error.h"
#include "record/key.h"

enum { EPOCH_NUMBERS = 6, KNOWN_NUMBERS = 3 };

/* ---- writing: fields are in the order of their names ---- */

static void put_numbers(struct wr_bytes *out, const uint64_t *numbers, uint32_t count)
{
	wr_value_put_list(out, count);
	for (uint32_t i = 0; i < count; i++)
		wr_value_put_i64(out, (int64_t)numbers[i]);
}

static void put_known(const struct wr_commits *c, struct wr_bytes *out)
{
	struct wr_committed known;
	uint32_t count = 0;

	while (wr_commits_known(c, count, &known))
		count++;
	wr_value_put_name(out, "committed");
	wr_value_put_list(out, count);
	for (uint32_t i = 0; wr_commits_known(c, i, &known); i++)
		put_numbers(out, (uint64_t[]){known.log, known.number, (uint64_t)known.written_ms},
			    KNOWN_NUMBERS);
}

static void put_epochs(const struct wr_commits *c, struct wr_bytes *out)
{
	struct wr_epoch e;
	uint32_t count = 0;

	while (wr_commits_named(c, count, &e))
		count++;
	wr_value_put_name(out, "epochs");
	wr_value_put_list(out, count);
	for (uint32_t i = 0; wr_commits_named(c, i, &e); i++)
		put_numbers(out, (uint64_t[]){e.lineage, e.log, e.number, e.after, e.rows, e.bytes},
			    EPOCH_NUMBERS);
}

void wr_sink_saved_put(const struct wr_commits *c, const char *scope, uint64_t skip, struct wr_bytes *out)
{
	wr_value_put_record(out, scope ? 4 : 3);
	put_known(c, out);
	put_epochs(c, out);
	if (scope) {
		wr_value_put_name(out, "scope");
		wr_value_put_str(out, scope);
	}
	wr_value_put_name(out, "skip");
	wr_value_put_i64(out, (int64_t)skip);
}

/* ---- reading ---- */

/* A list of lists of so many numbers, none of them negative; number `log` of each is that of a log. */
static bool are_numbers(const struct wr_value *list, uint32_t count, uint32_t log)
{
	if (list->tag != WR_V_LIST)
		return false;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct wr_value *v = &list->items[i];

		if (v->tag != WR_V_LIST || v->count != count)
			return false;
		for (uint32_t k = 0; k < count; k++)
			if (v->items[k].tag != WR_V_I64 || v->items[k].i64 < 0)
				return false;
		if (v->items[log].i64 >= WR_PARALLELISM_MAX)
			return false;
	}
	return true;
}

/* Older ones do not say what is committed. */
int wr_sink_saved_read(const struct wr_value *v, struct wr_sink_saved *out)
{
	const struct wr_value *epochs = wr_value_get(v, "epochs");
	const struct wr_value *known = epochs ? wr_value_get(v, "committed") : NULL;
	const struct wr_value *scope = epochs ? wr_value_get(v, "scope") : NULL;
	const struct wr_value *skip = epochs ? wr_value_get(v, "skip") : NULL;

	if (!epochs || !are_numbers(epochs, EPOCH_NUMBERS, 1) ||
	    (known && !are_numbers(known, KNOWN_NUMBERS, 0)) || (scope && scope->tag != WR_V_STR) ||
	    (skip && (skip->tag != WR_V_I64 || skip->i64 < 0)))
		return wr_error_set(WR_EUSER, "the sink's saved state is malformed");
	*out = (struct wr_sink_saved){.epochs = epochs->items,
				      .epoch_count = epochs->count,
				      .known = known ? known->items : NULL,
				      .known_count = known ? known->count : 0,
				      .scope = scope ? scope->str.p : NULL,
				      .skip = skip ? skip->u64 : 0};
	return WR_OK;
}

struct wr_epoch wr_sink_saved_epoch(const struct wr_sink_saved *s, uint32_t i)
{
	const struct wr_value *v = s->epochs[i].items;

	return (struct wr_epoch){v[0].u64, (uint32_t)v[1].u64, v[2].u64, v[3].u64, v[4].u64, v[5].u64};
}

struct wr_committed wr_sink_saved_known(const struct wr_sink_saved *s, uint32_t i)
{
	const struct wr_value *v = s->known[i].items;

	return (struct wr_committed){(uint32_t)v[0].u64, v[1].u64, v[2].i64};
}
