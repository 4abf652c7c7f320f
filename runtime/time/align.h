/* SPDX-License-Identifier: Apache-2.0 */
/* align: how far each source of a group may be. A pure protocol (semantics.md K25): reports in,
 * bounds out. No clock, no thread.
 *
 * A member is one subtask's marker (time/marker.h). It may be as far as the slowest member of its
 * group and its own drift; one that has said nothing yet counts as not begun, one that is idle or
 * at its end says INT64_MAX and counts no more.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

struct wr_align;
/* NULL with the error set when the heap refuses; so for add. */
struct wr_align *wr_align_new(void);
void wr_align_free(struct wr_align *a);
/* Members count from 0. False: no memory. */
bool wr_align_add(struct wr_align *a, const char *group, int64_t drift_ms);
/* A member's word. `tell` hears the new bound of every member whose bound rose or fell by it. */
void wr_align_report(struct wr_align *a, uint32_t member, int64_t watermark,
		     void (*tell)(void *arg, uint32_t member, int64_t allowed), void *arg);

/* Payload of the letters WR_LETTER_PROGRESS and WR_LETTER_ALLOWED. Parsing: WR_EUSER for anything else. */
void wr_time_put(struct wr_bytes *out, int64_t ms);
int wr_time_parse(const uint8_t *payload, uint32_t len, int64_t *ms);
