/* SPDX-License-Identifier: Apache-2.0 */
/* footprint: where the memory of this process is: a line for each account of base/mem.h and
 * one for each kind of mapping that no account knows, beside what the system says is resident. */
#pragma once
#include "base/bytes.h"

/* A table on standard error. */
void wr_footprint_text(void);
/* "memory":{…}, a member of the summary. */
void wr_footprint_json(struct wr_bytes *out);
