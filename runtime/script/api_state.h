/* SPDX-License-Identifier: Apache-2.0 */
/* api_state: the border of stages with state; see api.h. */
#ifndef WR_SCRIPT_API_STATE_H
#define WR_SCRIPT_API_STATE_H
#include "state/store.h"
#include "state/timers.h"
#endif
