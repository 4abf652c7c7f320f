/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator: serves the enumerators of a job's sources on one thread: letters from
 * readers in, letters to readers out, discovery from time to time. */
#pragma once
#include "cluster/plan.h"

struct wr_coordinator;
/* Makes the enumerators of the plan's sources. `deliver` sends a letter to a reader. */
struct wr_coordinator *wr_coordinator_new(const struct wr_plan *plan,
					  void (*deliver)(void *arg, uint32_t vertex, uint32_t subtask,
							  uint32_t type, const void *payload, uint32_t len),
					  void *arg);
void wr_coordinator_free(struct wr_coordinator *c);
/* First discovery of every source. */
int wr_coordinator_start(struct wr_coordinator *c);
/* Waits up to `wait_ms` for letters, a wake or a discovery that is due, and handles what is there. */
int wr_coordinator_serve(struct wr_coordinator *c, int wait_ms);

/* Any thread. Copies the payload. */
void wr_coordinator_post(struct wr_coordinator *c, uint32_t vertex, uint32_t subtask, uint32_t type,
			 const void *payload, uint32_t len);
void wr_coordinator_wake(struct wr_coordinator *c);
