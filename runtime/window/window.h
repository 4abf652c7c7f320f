/* SPDX-License-Identifier: Apache-2.0 */
/* window: windows with declared aggregates and the default trigger, on rows, without Lua.
 *
 *   timed     tumbling, sliding and cumulative windows
 *   sessions  windows that end when a key is silent
 *   counted   windows of so many rows, and those that have no end
 *   interval  aggregates over an interval that a record of another stream opens
 *
 * What is beyond that (own assigners, triggers, evictors, process functions) is the same operator
 * in Lua: lua/weir/internal/window.lua; the planner decides (lua/weir/window.lua). Both hold their
 * contents in the operator's keyed state.
 *
 * A stage without a key (window_all) has one key of its own.
 */
#pragma once
#include "task/stage.h"

extern const struct wr_stage_ops wr_interval_ops;
extern const struct wr_stage_kind wr_window_kinds[];
extern const unsigned wr_window_kinds_count;
