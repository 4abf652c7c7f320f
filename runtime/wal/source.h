/* SPDX-License-Identifier: Apache-2.0 */
/* source: the sources that keep a write-ahead log. */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_kind wr_wal_kinds[]; /* logged_stdin, logged_tcp */
extern const unsigned wr_wal_kinds_count;
