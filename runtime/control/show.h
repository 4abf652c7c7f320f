/* SPDX-License-Identifier: Apache-2.0 */
/* show: what a job says of itself, as text for people. Pure: values in, text out. */
#pragma once
#include "base/bytes.h"
#include "record/value.h"

/* "3.4 s", "2 m 5 s", "4 h 10 m"; "1.2 MB"; "12.3 k". */
enum { WR_SHOW = 32 };
const char *wr_show_seconds(double s, char to[WR_SHOW]);
const char *wr_show_bytes(double bytes, char to[WR_SHOW]);
const char *wr_show_amount(double n, char to[WR_SHOW]);
/* Of what a job says of a checkpoint: ", 1.2 MB of rows under way" where it is unaligned, else "". */
const char *wr_show_unaligned(const struct wr_value *checkpoint, char to[WR_SHOW]);

/* A line for `weir list`; `info` is the answer to "info". The first call writes the heading. */
void wr_show_list_head(struct wr_bytes *out);
void wr_show_list_line(const struct wr_value *info, struct wr_bytes *out);
/* All of it, with the counters since the job began. */
void wr_show_info(const struct wr_value *info, struct wr_bytes *out);
/* What happened between two answers, as a table: rates, and shares of time. */
void wr_show_top(const struct wr_value *before, const struct wr_value *now, struct wr_bytes *out);
