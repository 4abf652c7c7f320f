/* SPDX-License-Identifier: Apache-2.0 */
/* marker: see marker.h. */
#include "publish/marker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "record/key.h"

enum { PREFIX_MAX = 200, UID_MAX = 200 };

/* Long names are cut, and have their hash behind them. */
static void put_name(const char *name, size_t max, char out[UID_MAX + 32])
{
	size_t len = strlen(name);

	if (len <= max)
		snprintf(out, UID_MAX + 32, "%s", name);
	else
		snprintf(out, UID_MAX + 32, "%.*s~%016" PRIx64, (int)max - 17, name,
			 wr_key_hash((const uint8_t *)name, (uint32_t)len));
}

void wr_kafka_id(const char *prefix, const struct wr_mark *m, char id[WR_KAFKA_GROUP])
{
	char first[UID_MAX + 32], uid[UID_MAX + 32];

	put_name(prefix, PREFIX_MAX, first);
	put_name(m->uid, UID_MAX, uid);
	snprintf(id, WR_KAFKA_GROUP, "%s-%s-%" PRIu32, first, uid, m->log);
}

void wr_kafka_marker(const char *prefix, const struct wr_mark *m, char group[WR_KAFKA_GROUP])
{
	size_t len;

	wr_kafka_id(prefix, m, group);
	len = strlen(group);
	snprintf(group + len, WR_KAFKA_GROUP - len, "-%016" PRIx64, m->lineage);
}

static const char *word_of(char kind)
{
	return kind == WR_KAFKA_CLAIM ? "claim" : "lineage";
}

void wr_kafka_note(char kind, uint64_t number, char note[WR_KAFKA_NOTE])
{
	snprintf(note, WR_KAFKA_NOTE, "weir 1 %s %016" PRIx64, word_of(kind), number);
}

/* What was found: false where it is no such note. */
static bool read_note(char kind, const char *note, uint64_t *number)
{
	char again[WR_KAFKA_NOTE], word[16];

	if (sscanf(note, "weir 1 %15s %16" SCNx64, word, number) != 2)
		return false;
	wr_kafka_note(kind, *number, again);
	return strcmp(note, again) == 0;
}

int wr_kafka_judge_claim(const struct wr_kafka_found *found, uint64_t own, bool did,
			 enum wr_kafka_claimed *out)
{
	uint64_t claim;

	*out = did ? WR_KAFKA_OURS : WR_KAFKA_FREE;
	if (found->offset < 0)
		return WR_OK;
	if (!read_note(WR_KAFKA_CLAIM, found->note, &claim))
		return wr_error_set(WR_EUSER, "its offset says '%.40s', and is no claim of a sink's",
				    found->note);
	if (did && claim != own)
		*out = WR_KAFKA_THEIRS;
	return WR_OK;
}

int wr_kafka_judge_marker(const struct wr_kafka_found *found, uint64_t lineage, uint64_t *epoch)
{
	uint64_t of;

	*epoch = 0;
	if (found->offset < 0)
		return WR_OK;
	if (!read_note(WR_KAFKA_MARKER, found->note, &of) || of != lineage)
		return wr_error_set(WR_EUSER,
				    "its offset says '%.40s', and is no marker of lineage %016" PRIx64,
				    found->note, lineage);
	*epoch = (uint64_t)found->offset;
	return WR_OK;
}
