/* SPDX-License-Identifier: Apache-2.0 */
/* message: a line of the control socket, as it comes: one JSON object. Pure; both sides read with it.
 *
 *   request   {"verb":"stop","drain":true}
 *   answer    {"progress":…} as often as there is something to tell, then {"ok":…} or {"error":"…"}
 */
#pragma once
#include "base/arena.h"
#include "record/value.h"

enum { WR_MESSAGE_MAX = 64 << 10 }; /* bytes of a request, its end of line not counted */

struct wr_messages; /* reads one after another; one thread */
/* NULL with the error set. */
struct wr_messages *wr_messages_new(void);
void wr_messages_free(struct wr_messages *m);
/* What line[0 … len) says, as a record; lives until the next call. WR_EUSER: it is no JSON object, or says a
 * field twice. */
int wr_messages_parse(struct wr_messages *m, const char *line, size_t len, const struct wr_value **out);

/* A field of a request that somebody sent: *out stays as it is where the field is missing. WR_EUSER says
 * which one has the wrong type. */
int wr_message_text(const struct wr_value *message, const char *name, const char **out);
int wr_message_flag(const struct wr_value *message, const char *name, bool *out);
/* Whole and within ±2^53. */
int wr_message_int(const struct wr_value *message, const char *name, int64_t *out);
