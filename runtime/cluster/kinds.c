/* SPDX-License-Identifier: Apache-2.0 */
/* kinds: what the folders of operators offer, in one place for all who build tasks. */
#include "cluster/kinds.h"

#include <string.h>
#include "nexmark/nexmark.h"
#include "operator/operators.h"
#include "rolling/rolling.h"
#include "script/script.h"
#include "wal/source.h"
#include "window/window.h"

void wr_job_kinds(struct wr_kind_list lists[WR_JOB_KIND_LISTS])
{
	lists[0] = (struct wr_kind_list){wr_script_kinds, wr_script_kinds_count};
	lists[1] = (struct wr_kind_list){wr_operator_kinds, wr_operator_kinds_count};
	lists[2] = (struct wr_kind_list){wr_connect_kinds, wr_connect_kinds_count};
	lists[3] = (struct wr_kind_list){wr_window_kinds, wr_window_kinds_count};
	lists[4] = (struct wr_kind_list){wr_nexmark_kinds, wr_nexmark_kinds_count};
	lists[5] = (struct wr_kind_list){wr_rolling_kinds, wr_rolling_kinds_count};
	lists[6] = (struct wr_kind_list){wr_wal_kinds, wr_wal_kinds_count};
}

static const struct wr_stage_ops *ops_of(const char *kind)
{
	struct wr_kind_list lists[WR_JOB_KIND_LISTS];

	wr_job_kinds(lists);
	for (unsigned l = 0; l < WR_JOB_KIND_LISTS; l++)
		for (unsigned i = 0; i < lists[l].count; i++)
			if (!strcmp(lists[l].kinds[i].kind, kind))
				return lists[l].kinds[i].ops;
	return NULL;
}

const char *wr_job_read_once(const struct wr_plan *p, bool again)
{
	for (uint32_t v = 0; v < p->vertex_count; v++) {
		const struct wr_plan_stage *s = &p->vertices[v].stages[0];
		const struct wr_stage_ops *ops = ops_of(s->kind);

		if (ops && ops->replays && !(again && ops->replays()))
			return s->operators[0].name;
	}
	return NULL;
}
