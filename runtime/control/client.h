/* SPDX-License-Identifier: Apache-2.0 */
/* client: the other end of the control socket: asks a running job and waits for what it says. Blocks; one
 * thread, which has nothing else to do. */
#pragma once
#include "control/folder.h"
#include "control/message.h"

/* What an answer says: `value` as it was read, `json` as it was written. Borrowed until the next call. */
struct wr_said {
	const struct wr_value *value;
	const char *json;
	size_t len;
};

struct wr_client;
/* NULL with the error set. */
struct wr_client *wr_client_open(const char *folder, const char *id);
void wr_client_close(struct wr_client *c);
/* Sends a request, one JSON object without the end of its line. */
int wr_client_send(struct wr_client *c, const char *request);
/* The next line of the answer, within `timeout_ms` (-1: however long it takes). WR_OK: the last one,
 * WR_AGAIN: a progress, and more follow; WR_END: time is over. WR_ETRANSIENT with what the job says is wrong,
 * or that it ended. */
int wr_client_receive(struct wr_client *c, int timeout_ms, struct wr_said *out);
/* Sends, passes over what is progress, and gives the answer. */
int wr_client_ask(struct wr_client *c, const char *request, struct wr_said *out);
/* The job has closed its end. */
bool wr_client_ended(const struct wr_client *c);
/* Waits until the job has closed its end, which it does when it holds nothing any more. */
void wr_client_await_end(struct wr_client *c);
