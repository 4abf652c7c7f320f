/* SPDX-License-Identifier: Apache-2.0 */
/* bucket: in which folder below a sink's path a record goes: pieces of text, of its time (UTC) and of its
 * fields. One thread.
 *
 * A field's value is one name: what may not stand in a name is written %XX, a missing one is "__missing__".
 * What a function gave may have several levels. */
#pragma once
#include "record/row.h"
#include "record/value.h"
#include "savepoint/unfinished.h"

struct wr_bucket;
/* bucket = [{ text = } | { time = "%H" } | { field = } | { given = field }], time = "event" | "processing" of
 * the options, which are borrowed. NULL with the error set. */
struct wr_bucket *wr_bucket_new(const struct wr_value *options);
void wr_bucket_free(struct wr_bucket *b);
/* The folder's path below the sink's, without '/' at its ends; "" where the options have none. `now_ms` is
 * the wall clock. WR_OK, borrowed until the next call, or WR_EUSER: the record has none. */
int wr_bucket_of(struct wr_bucket *b, const struct wr_elem *row, int64_t now_ms, struct wr_str *out);
