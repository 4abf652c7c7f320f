/* SPDX-License-Identifier: Apache-2.0 */
/* marker: what is kept in Kafka, and what follows from what is found there. */
#include "publish/marker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"

static void names_are_of_prefix_uid_log_and_lineage(void **state)
{
	struct wr_mark m = {"alerts", 0xabc, 3, NULL}, other = {"alerts", 0xabd, 3, NULL};
	char id[WR_KAFKA_GROUP], group[WR_KAFKA_GROUP], of_other[WR_KAFKA_GROUP];

	(void)state;
	wr_kafka_id("shop", &m, id);
	assert_string_equal("shop-alerts-3", id);
	wr_kafka_marker("shop", &m, group);
	assert_string_equal("shop-alerts-3-0000000000000abc", group);
	wr_kafka_marker("shop", &other, of_other);
	assert_string_not_equal(group, of_other);
	wr_kafka_id("shop", &other, of_other);
	assert_string_equal(id, of_other);
}

static void long_names_are_told_apart(void **state)
{
	char uid[1000], one[WR_KAFKA_GROUP], two[WR_KAFKA_GROUP];
	struct wr_mark m = {uid, 1, 4000000000, NULL};

	(void)state;
	memset(uid, 'u', sizeof uid);
	uid[sizeof uid - 1] = 0;
	wr_kafka_marker(uid, &m, one);
	uid[sizeof uid - 2] = 'v';
	wr_kafka_marker(uid, &m, two);
	assert_string_not_equal(one, two);
	assert_non_null(strstr(one, "-4000000000-0000000000000001"));
}

static struct wr_kafka_found found(int64_t offset, char kind, uint64_t number)
{
	struct wr_kafka_found f = {.offset = offset};

	wr_kafka_note(kind, number, f.note);
	return f;
}

static void another_claim_than_ones_own_is_of_a_newer_process(void **state)
{
	struct wr_kafka_found none = {.offset = -1001}, ours = found(0, WR_KAFKA_CLAIM, 7),
			      theirs = found(0, WR_KAFKA_CLAIM, 8);
	enum wr_kafka_claimed is;

	(void)state;
	assert_int_equal(WR_OK, wr_kafka_judge_claim(&none, 7, false, &is));
	assert_int_equal(WR_KAFKA_FREE, is);
	assert_int_equal(WR_OK, wr_kafka_judge_claim(&theirs, 7, false, &is));
	assert_int_equal(WR_KAFKA_FREE, is);
	assert_int_equal(WR_OK, wr_kafka_judge_claim(&ours, 7, true, &is));
	assert_int_equal(WR_KAFKA_OURS, is);
	assert_int_equal(WR_OK, wr_kafka_judge_claim(&none, 7, true, &is));
	assert_int_equal(WR_KAFKA_OURS, is);
	assert_int_equal(WR_OK, wr_kafka_judge_claim(&theirs, 7, true, &is));
	assert_int_equal(WR_KAFKA_THEIRS, is);
}

static void a_marker_of_another_lineage_is_refused(void **state)
{
	struct wr_kafka_found none = {.offset = -1001}, here = found(12, WR_KAFKA_MARKER, 0xabc),
			      claim = found(12, WR_KAFKA_CLAIM, 0xabc), foreign = {.offset = 12};
	uint64_t epoch;

	(void)state;
	assert_int_equal(WR_OK, wr_kafka_judge_marker(&none, 0xabc, &epoch));
	assert_int_equal(0, epoch);
	assert_int_equal(WR_OK, wr_kafka_judge_marker(&here, 0xabc, &epoch));
	assert_int_equal(12, epoch);
	assert_int_equal(WR_EUSER, wr_kafka_judge_marker(&here, 0xabd, &epoch));
	assert_non_null(strstr(wr_error_text(), "0000000000000abd"));
	assert_int_equal(WR_EUSER, wr_kafka_judge_marker(&claim, 0xabc, &epoch));
	assert_int_equal(WR_EUSER, wr_kafka_judge_marker(&foreign, 0xabc, &epoch));
}

static void a_note_of_others_is_no_claim(void **state)
{
	static const char *const notes[] = {"",
					    "consumer-1",
					    "weir 1 claim",
					    "weir 1 claim 7",
					    "weir 1 claim 0000000000000007 ",
					    "weir 1 lineage 0000000000000007"};
	enum wr_kafka_claimed is;

	(void)state;
	for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
		struct wr_kafka_found f = {.offset = 1};

		snprintf(f.note, sizeof f.note, "%s", notes[i]);
		assert_int_equal(WR_EUSER, wr_kafka_judge_claim(&f, 7, false, &is));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_of_prefix_uid_log_and_lineage),
	    cmocka_unit_test(long_names_are_told_apart),
	    cmocka_unit_test(another_claim_than_ones_own_is_of_a_newer_process),
	    cmocka_unit_test(a_marker_of_another_lineage_is_refused),
	    cmocka_unit_test(a_note_of_others_is_no_claim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
