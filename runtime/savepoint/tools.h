/* SPDX-License-Identifier: Apache-2.0 */
/* tools: what the Lua of `weir savepoint` calls (lua/weir/internal/savepoint.lua), as one text. */
#ifndef WR_SAVEPOINT_TOOLS_H
#define WR_SAVEPOINT_TOOLS_H
#include "savepoint/look.h"
#include "savepoint/recast.h"
#endif
