/* SPDX-License-Identifier: Apache-2.0 */
/* claims: see claims.h. */
#include "publish/claims.h"

#include <string.h>
#include <sys/random.h>
#include "base/error.h"
#include "base/mem.h"
#include "record/key.h"

static struct wr_mem mem = WR_MEM_INIT("kafka.claims");

void wr_kafka_claims_deinit(struct wr_kafka_claims *c)
{
	wr_free(&mem, c->ids);
	pthread_mutex_destroy(&c->mutex);
}

int wr_kafka_claims_own(struct wr_kafka_claims *c, uint64_t *own)
{
	uint64_t drawn = 0;
	int rc = WR_OK;

	pthread_mutex_lock(&c->mutex);
	if (!c->own && getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
		rc = wr_error_set(WR_EFATAL, "the system gives no random numbers");
	else if (!c->own)
		c->own = drawn | 1;
	*own = c->own;
	pthread_mutex_unlock(&c->mutex);
	return rc;
}

static uint64_t hash_of(const char *id)
{
	return wr_key_hash((const uint8_t *)id, (uint32_t)strlen(id));
}

bool wr_kafka_claims_has(struct wr_kafka_claims *c, const char *id)
{
	uint64_t hash = hash_of(id);
	bool found = false;

	pthread_mutex_lock(&c->mutex);
	for (uint32_t i = 0; i < c->count; i++)
		found |= c->ids[i] == hash;
	pthread_mutex_unlock(&c->mutex);
	return found;
}

int wr_kafka_claims_add(struct wr_kafka_claims *c, const char *id)
{
	int rc = WR_OK;

	pthread_mutex_lock(&c->mutex);
	if (c->count == c->cap)
		rc = WR_GROW(&mem, c->ids, c->cap, 16);
	if (rc == WR_OK)
		c->ids[c->count++] = hash_of(id);
	pthread_mutex_unlock(&c->mutex);
	return rc;
}
