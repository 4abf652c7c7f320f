/* SPDX-License-Identifier: Apache-2.0 */
/* alignment: which stages report how far they are, and who hears of it. */
#include "cluster/alignment.h"

#include "base/error.h"

struct wr_alignment {
	struct wr_align *align;
	struct wr_address *members; /* by number */
	uint32_t count, cap;
	void (*tell)(void *arg, struct wr_address who, int64_t allowed);
	void *arg;
};

static struct wr_mem mem = WR_MEM_INIT("cluster.alignment");

void wr_alignment_free(struct wr_alignment *a)
{
	if (!a)
		return;
	wr_align_free(a->align);
	wr_free(&mem, a->members);
	wr_free(&mem, a);
}

static bool add(struct wr_alignment *a, const struct wr_value *align, struct wr_address who)
{
	if (a->count == a->cap && WR_GROW(&mem, a->members, a->cap, 8) != WR_OK)
		return false;
	a->members[a->count++] = who;
	return wr_align_add(a->align, wr_value_str(align, "group", "default"),
			    wr_value_int(align, "drift", 0));
}

static bool add_vertex(struct wr_alignment *a, const struct wr_plan_vertex *v, uint32_t vertex)
{
	bool ok = true;

	for (uint32_t s = 0; s < v->stage_count; s++) {
		const struct wr_value *align =
		    v->stages[s].options ? wr_value_get(v->stages[s].options, "align") : NULL;

		for (uint32_t i = 0; align && ok && i < v->parallelism; i++)
			ok = add(a, align, (struct wr_address){vertex, i, s});
	}
	return ok;
}

struct wr_alignment *wr_alignment_new(const struct wr_plan *p,
				      void (*tell)(void *arg, struct wr_address who, int64_t allowed),
				      void *arg)
{
	struct wr_alignment *a = wr_zalloc(&mem, sizeof *a);
	bool ok;

	if (!a)
		return NULL;
	a->tell = tell;
	a->arg = arg;
	a->align = wr_align_new();
	ok = a->align != NULL;
	for (uint32_t v = 0; ok && v < p->vertex_count; v++)
		ok = add_vertex(a, &p->vertices[v], v);
	if (ok)
		return a;
	wr_alignment_free(a);
	return NULL;
}

static void tell(void *arg, uint32_t member, int64_t allowed)
{
	struct wr_alignment *a = arg;

	a->tell(a->arg, a->members[member], allowed);
}

int wr_alignment_letter(struct wr_alignment *a, const struct wr_letter *l)
{
	int64_t watermark;
	int rc = wr_time_parse(l->payload, l->len, &watermark);

	for (uint32_t i = 0; i < a->count && rc == WR_OK; i++)
		if (a->members[i].vertex == l->who.vertex && a->members[i].subtask == l->who.subtask &&
		    a->members[i].stage == l->who.stage)
			wr_align_report(a->align, i, watermark, tell, a);
	return rc;
}
