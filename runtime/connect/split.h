/* SPDX-License-Identifier: Apache-2.0 */
/* split: a file or a part of one, as it travels from enumerator to reader in WR_LETTER_SPLITS, and as it
 * lies in checkpoints: one tagged value { from=, id=, path=, to= }. */
#pragma once
#include "record/value.h"

struct wr_split {
	uint64_t id; /* dense from 0 in the order of discovery */
	const char *path;
	uint64_t from, to; /* bytes; to = UINT64_MAX: to the end, wherever that is */
};
/* Appends it as one tagged value. */
void wr_split_put(struct wr_bytes *out, const struct wr_split *split);
/* From a parsed value; `path` is borrowed from it. WR_EUSER for a malformed one. */
int wr_split_of(const struct wr_value *v, struct wr_split *out);
