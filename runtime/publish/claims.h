/* SPDX-License-Identifier: Apache-2.0 */
/* claims: which transactional ids a process has claimed (marker.h), by all its attempts to run its job, and
 * the number that it claims with. Thread-safe.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct wr_kafka_claims {
	pthread_mutex_t mutex;
	uint64_t own;  /* 0 = not drawn yet */
	uint64_t *ids; /* hashes */
	uint32_t count, cap;
};
#define WR_KAFKA_CLAIMS_INIT                                                                                 \
	{                                                                                                    \
		.mutex = PTHREAD_MUTEX_INITIALIZER                                                           \
	}
void wr_kafka_claims_deinit(struct wr_kafka_claims *c);

/* The number, never 0. WR_OK, or WR_EFATAL: the system gives none. */
int wr_kafka_claims_own(struct wr_kafka_claims *c, uint64_t *own);
bool wr_kafka_claims_has(struct wr_kafka_claims *c, const char *id);
/* WR_OK or WR_EFATAL. */
int wr_kafka_claims_add(struct wr_kafka_claims *c, const char *id);
