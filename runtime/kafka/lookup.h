/* SPDX-License-Identifier: Apache-2.0 */
/* lookup: asks brokers which partitions the topics of a source have, and at which offsets they are to be
 * read. The enumerator's thread (enumerator.c) calls its functions, which wait: `timeout_ms` at most for each
 * answer, of which start, stop and times may need two.
 *
 * Options of the source: topics = list of names, or pattern = POSIX extended regular expression that a whole
 * name matches (names that begin with "__" only where it does, too); start = { at = "earliest" |
 * "latest" | "committed" | "timestamp" (ms) | "offsets" (offsets: list of { topic=, partition=, offset= }) };
 * stop likewise, but for "earliest" and "committed"; without it there is no end.
 */
#pragma once
#include <regex.h>
#include "base/arena.h"
#include "kafka/part.h"

struct wr_kafka_parts {
	struct wr_kafka_part *items; /* in the order of topics and partitions */
	uint32_t count, size;
	struct wr_arena names;
};
void wr_kafka_parts_init(struct wr_kafka_parts *p);
void wr_kafka_parts_deinit(struct wr_kafka_parts *p);
/* One more at the end; its topic is copied. WR_OK or WR_EFATAL. */
int wr_kafka_parts_add(struct wr_kafka_parts *p, const struct wr_kafka_part *part);

/* By topics and partitions; in what is sorted one is found, or NULL. */
void wr_kafka_parts_sort(struct wr_kafka_parts *p);
struct wr_kafka_part *wr_kafka_parts_find(const struct wr_kafka_parts *p, const struct wr_kafka_part *part);

/* ---- topics: which ones a source reads. Pure ---- */

struct wr_kafka_names {
	const struct wr_value *topics; /* borrowed; NULL: by pattern */
	uint32_t count;		       /* of topics */
	regex_t pattern;
	bool has_pattern, internal; /* internal: also topics of the brokers' own */
};
/* The options, or a value that has the same fields, must outlive it. WR_OK, WR_EUSER: the pattern is none,
 * WR_EFATAL; then it is closed. */
int wr_kafka_names_open(struct wr_kafka_names *n, const struct wr_value *options);
void wr_kafka_names_close(struct wr_kafka_names *n);
/* Is it one of them? */
bool wr_kafka_names_has(const struct wr_kafka_names *n, const char *topic);

/* WR_OK, or WR_EUSER: this is no pattern of topics. Any thread. */
int wr_kafka_names_check(const char *pattern);

/* ---- brokers ---- */

struct wr_kafka_lookup;
/* NULL with the error set. */
struct wr_kafka_lookup *wr_kafka_lookup_new(const struct wr_value *options);
void wr_kafka_lookup_free(struct wr_kafka_lookup *l);
/* Appends all partitions that there are to an empty list, sorted, read from the beginning, without an end;
 * named topics that do not exist have none. WR_OK; WR_ETRANSIENT: no answer; WR_EUSER; WR_EFATAL. */
int wr_kafka_lookup_parts(struct wr_kafka_lookup *l, int timeout_ms, struct wr_kafka_parts *out);
/* WR_EUSER: `start` or `stop` has an offset for one that is not among these, which are sorted. */
int wr_kafka_lookup_check(const struct wr_kafka_lookup *l, const struct wr_kafka_parts *parts);
/* Sets where partitions begin, by `start`, or end, by `stop`. Errors likewise. */
int wr_kafka_lookup_start(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms);
int wr_kafka_lookup_stop(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms);
/* `from` of each is a time (ms since 1970), or WR_KAFKA_END, and becomes the offset of the first record that
 * is not older, or of the end: for END, and where there is none. Errors likewise; `from` may then be either.
 */
int wr_kafka_lookup_times(struct wr_kafka_lookup *l, struct wr_kafka_parts *parts, int timeout_ms);
/* What was said last to be wrong with the connection since a broker was down for the last time; "" =
 * nothing. */
const char *wr_kafka_lookup_trouble(const struct wr_kafka_lookup *l);
