/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a running job with all that can be asked of it: its socket, its verbs, and the versions of its
 * script. On the thread that runs the job. */
#pragma once
#include "base/config.h"
#include "control/job_verbs.h"
#include "recovery/reload.h"

struct wr_serving {
	struct wr_reached reached; /* plan, directory and clock are set by the caller */
	struct wr_reload *reload;
	struct wr_control *control; /* NULL: it cannot be reached */
};

/* Lets attempts of `o` be reloaded, and be reached in the loops in which they wait. Without a socket the job
 * runs all the same. WR_OK, or WR_EFATAL. */
int wr_serving_begin(struct wr_serving *s, const struct wr_config *c, const struct wr_draw_options *script,
		     struct wr_attempts_options *o);
/* Behind wr_attempts_new. */
void wr_serving_attach(struct wr_serving *s, struct wr_attempts *a);
/* Before the attempts are freed: nothing is asked any more. */
void wr_serving_detach(struct wr_serving *s);
/* Behind them: open calls are answered. Also of one that did not begin. */
void wr_serving_end(struct wr_serving *s);
