/* SPDX-License-Identifier: Apache-2.0 */
/* joined: a left row's fields with aggregates beside them, as one row.
 *
 * The shape depends on the left row's and on the types of the results; the last one is remembered.
 * Task's thread.
 */
#pragma once
#include "task/stage.h"
#include "window/accums.h"

enum { WR_JOINED_FIELDS_MAX = 256 };

struct wr_joined {
	const struct wr_accums *accums;
	uint32_t left;		       /* shape of the left rows, 0 = none yet */
	uint32_t types[WR_ACCUMS_MAX]; /* of the results; 0 = missing */
	const struct wr_shape *shape;
	uint16_t left_at[WR_JOINED_FIELDS_MAX]; /* place in `shape` of each field of the left row */
	uint16_t acc_at[WR_ACCUMS_MAX];
	bool numbers; /* all fields are: a row is slots alone */
};

/* Can rows of `shape` be joined? WR_EUSER if not, and why. */
int wr_joined_check(const struct wr_accums *a, uint32_t shape);
/* Writes one row: the fields of the body `left` of shape `shape`, and what `acc` of `rows` rows comes to (of
 * none: counts are 0, others are missing). */
int wr_joined_emit(struct wr_joined *j, struct wr_out *out, uint32_t shape, const uint8_t *left,
		   const uint64_t *acc, uint64_t rows, int64_t ts);
