/* SPDX-License-Identifier: Apache-2.0 */
/* lua_stage: the stage kind "lua". */
#pragma once
#include "script/script.h"

extern const struct wr_stage_ops wr_lua_stage_ops;
