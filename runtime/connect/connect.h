/* SPDX-License-Identifier: Apache-2.0 */
/* connect: sources and sinks. A source is an enumerator, pure, one a source, that discovers
 * splits and assigns them, and readers, one a subtask, that hold splits with positions; they
 * talk by letters only (task/letter.h). Sinks that may block hand their bytes to an I/O thread. */
#pragma once
#include "task/enumerator.h"
#include "task/stage.h"

extern const struct wr_stage_kind wr_connect_kinds[];
extern const unsigned wr_connect_kinds_count;

extern const struct wr_enumerator_ops *const wr_enumerators[];
extern const unsigned wr_enumerators_count;
