/* SPDX-License-Identifier: Apache-2.0 */
/* registry: schemas by their numbers, from a server (the REST interface of Confluent's Schema Registry).
 * Requests go through the module "http". One thread.
 */
#pragma once
#include "base/bytes.h"
#include "base/notify.h"

struct wr_registry;
/* `url`: of the server, as "http://host:8081"; a question has its answer, or none, after `timeout_ms`. `wake`
 * is borrowed, and fired when the answer to wr_registry_schema is there; NULL: that waits, as the others do.
 * NULL with the error set. */
struct wr_registry *wr_registry_new(const char *url, int64_t timeout_ms, const struct wr_notify *wake);
void wr_registry_free(struct wr_registry *r);

/* All of these: WR_OK; with the error set, which names address and status: WR_EUSER there is no such schema,
 * or no Avro schema; WR_ETRANSIENT no answer, or the server's own failure; WR_EFATAL it refuses, or the heap
 * does. `schema` gets the text. */
/* And WR_AGAIN: it was asked for; to be called again when woken. To ask for another gives the question up. */
int wr_registry_schema(struct wr_registry *r, uint32_t id, struct wr_bytes *schema);
int wr_registry_latest(struct wr_registry *r, const char *subject, uint32_t *id, struct wr_bytes *schema);
/* The number of the schema, which is registered under the subject unless it is there. */
int wr_registry_register(struct wr_registry *r, const char *subject, const char *schema, size_t len,
			 uint32_t *id);
