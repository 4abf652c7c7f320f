/* SPDX-License-Identifier: Apache-2.0 */
/* discard: a sink that takes rows and keeps nothing; for measurements and tests. */
#include "base/error.h"
#include "connect/kinds.h"

static int discard_open(struct wr_stage *s)
{
	(void)s;
	return WR_OK;
}

static int discard_rows(struct wr_stage *s, struct wr_rows *rows)
{
	(void)s;
	rows->p = rows->end;
	return WR_OK;
}

static void discard_free(struct wr_stage *s)
{
	(void)s;
}

const struct wr_stage_ops wr_discard_ops = {
    .kind = "discard", .open = discard_open, .rows = discard_rows, .free = discard_free};
