/* SPDX-License-Identifier: Apache-2.0 */
/* timers: a set over (key, namespace, time) per kind, beside the state of one operator.
 *
 * Registering twice fires once; deleting a missing timer does nothing (I2). Timers are
 * due when time <= now (I1), in time order (I3). An entry with timers stays in the store
 * although it holds no value. A time in the middle of n others of its key costs a move of n / 2. Timers are
 * part of a frozen version. Same thread as the store.
 */
#ifndef WR_STATE_TIMERS_H
#define WR_STATE_TIMERS_H
#include <stdint.h>

struct wr_store;
enum wr_timer_kind { WR_TIMER_EVENT = 0, WR_TIMER_PROCESSING = 1 };

/* For the store's current key and namespace. WR_OK, or WR_EFATAL when memory is gone. */
int wr_timer_add(struct wr_store *s, uint32_t kind, int64_t time_ms);
void wr_timer_remove(struct wr_store *s, uint32_t kind, int64_t time_ms);
/* Takes the earliest timer with time <= upto_ms: sets the store's current key and namespace to the
 * timer's, *time_ms to its time, and gives 1; 0 when none is due; WR_EFATAL when memory is gone: the timer
 * stays. A timer added or removed by the callback counts at once (I4). */
int wr_timer_next(struct wr_store *s, uint32_t kind, int64_t upto_ms, int64_t *time_ms);

#ifndef WR_CDEF
#include <stdint.h>
/* Time of the earliest timer, INT64_MAX if none. */
int64_t wr_timer_earliest(const struct wr_store *s, enum wr_timer_kind kind);
/* Time of the last timer, INT64_MIN if none; goes through all distinct times. */
int64_t wr_timer_latest(const struct wr_store *s, enum wr_timer_kind kind);

struct wr_frozen;
struct wr_timer_item {
	const uint8_t *key, *ns;
	uint32_t key_len, ns_len;
	uint32_t group;
	uint32_t kind;
	int64_t time_ms;
	uint32_t id; /* of the entry, as in struct wr_state_item */
};
int wr_frozen_timers(struct wr_frozen *f, uint32_t group,
		     int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
/* Of the entries `ids`, which have changed since then (wr_frozen_changes). */
int wr_frozen_timers_of(struct wr_frozen *f, uint32_t since, const uint32_t *ids, uint32_t count,
			int (*each)(const struct wr_timer_item *item, void *arg), void *arg);
#endif
#endif
