/* SPDX-License-Identifier: Apache-2.0 */
/* control: the socket by which a running job is reached. Requests are lines of JSON (control/message.h); each
 * names a verb, and a table says which function answers it. Everything runs on the thread whose loop it is
 * attached to, the job's coordinator; nothing blocks: what a client does not take waits, within a bound.
 *
 * Requests of one client are answered one after another; clients do not wait for each other.
 */
#pragma once
#include "base/loop.h"
#include "control/message.h"

struct wr_call; /* a request that waits for its answer */

struct wr_control_verb {
	const char *name;
	/* Ends the call by wr_call_answer or wr_call_fail, at once or later on the same thread. The request
	 * is borrowed during the function. */
	void (*handle)(struct wr_call *call, const struct wr_value *request, void *arg);
};
struct wr_control_verbs {
	const struct wr_control_verb *verbs;
	unsigned count;
	void *arg; /* of its functions; outlives the socket */
};
enum { WR_CONTROL_TABLES = 8 };
struct wr_control_options {
	const char *job;		       /* its name; copied */
	const char *folder;		       /* as wr_control_folder's `chosen` */
	const struct wr_control_verbs *tables; /* copied; their verbs are borrowed */
	unsigned table_count;		       /* at most WR_CONTROL_TABLES */
};

struct wr_control;
/* Opens the socket; nobody is answered before it is attached. NULL with the error set. */
struct wr_control *wr_control_open(const struct wr_control_options *o);
/* Removes the socket; calls that are open are answered that the job has ended. */
void wr_control_close(struct wr_control *c);
/* From now on handled in `loop`, which lives until the next attach or the close. NULL: nowhere. */
void wr_control_attach(struct wr_control *c, struct wr_loop *loop);
/* By which clients name it. */
const char *wr_control_id(const struct wr_control *c);

/* One more line about what happens meanwhile; `json` is one value. */
void wr_call_progress(struct wr_call *call, const struct wr_bytes *json);
/* These end the call: with one JSON value, or with this thread's error. */
void wr_call_answer(struct wr_call *call, const struct wr_bytes *json);
void wr_call_fail(struct wr_call *call);
