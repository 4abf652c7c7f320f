/* SPDX-License-Identifier: Apache-2.0 */
/* registry: schemas by their numbers, from a server (the REST interface of Confluent's Schema Registry). Each
 * question waits for its answer, on the thread that asks: a schema is asked for once, when it first comes.
 * Requests go through the module "http". One thread.
 */
#pragma once
#include "base/bytes.h"

struct wr_registry;
/* `url`: of the server, as "http://host:8081"; a question waits for `timeout_ms` at most. NULL with the error
 * set. */
struct wr_registry *wr_registry_new(const char *url, int64_t timeout_ms);
void wr_registry_free(struct wr_registry *r);

/* All of these: WR_OK; with the error set, which names address and status: WR_EUSER there is no such schema,
 * or no Avro schema; WR_ETRANSIENT no answer, or the server's own failure; WR_EFATAL it refuses, or the heap
 * does. `schema` gets the text. */
int wr_registry_schema(struct wr_registry *r, uint32_t id, struct wr_bytes *schema);
int wr_registry_latest(struct wr_registry *r, const char *subject, uint32_t *id, struct wr_bytes *schema);
/* The number of the schema, which is registered under the subject unless it is there. */
int wr_registry_register(struct wr_registry *r, const char *subject, const char *schema, size_t len,
			 uint32_t *id);
