/* SPDX-License-Identifier: Apache-2.0 */
/* difference: what two plans of a job differ in, by uid. */
#include "unit/cluster/draft.h"
#include "cluster/difference.h"

static struct draft before(void)
{
	return (struct draft){.v = {{"numbers", 2, 0, 10, 0, NULL}, {"tally", 2, 1, 0, 0, NULL}},
			      .vertices = 2,
			      .e = {{0, 1, 0, "hash"}},
			      .edges = 1};
}

/* What differs between two drafts: is the job built anew, and which operators, as JSON, come, go and are
 * others? Their state is the same. */
static void expect(const struct draft *a, const struct draft *b, bool rebuilds, const char *added,
		   const char *removed, const char *changed)
{
	struct wr_plan *from = draft_plan(a), *to = draft_plan(b);
	struct wr_bytes text = WR_BYTES_EMPTY;
	struct wr_difference d;
	char json[500];

	snprintf(json, sizeof json,
		 "{\"rebuilds\":%s,\"operators\":{\"added\":[%s],\"removed\":[%s],\"changed\":[%s]},"
		 "\"state\":{\"added\":[],\"removed\":[],\"changed\":[]}}",
		 rebuilds ? "true" : "false", added, removed, changed);
	assert_int_equal(wr_difference_init(&d, from, to), WR_OK);
	wr_difference_json(&d, &text);
	wr_bytes_put_u8(&text, 0);
	assert_string_equal((const char *)text.data, json);
	wr_bytes_deinit(&text);
	wr_difference_deinit(&d);
	wr_plan_free(from);
	wr_plan_free(to);
}

static void a_plan_does_not_differ_from_itself(void **state)
{
	struct draft d = before();

	(void)state;
	expect(&d, &d, false, "", "", "");
}

static void another_parallelism_or_option_is_a_job_that_is_built_anew(void **state)
{
	struct draft a = before(), b = before();

	(void)state;
	b.v[1].parallelism = 3;
	expect(&a, &b, true, "", "", "{\"uid\":\"tally\",\"what\":\"parallelism\"}");
	b = before();
	b.v[0].count = 11;
	expect(&a, &b, true, "", "", "{\"uid\":\"numbers\",\"what\":\"options\"}");
	b = before();
	b.e[0].partition = "rebalance";
	expect(&a, &b, true, "", "", "");
}

static void operators_come_and_go_by_uid(void **state)
{
	struct draft a = before(), b = before();

	(void)state;
	b.v[1].kind = "pass";
	expect(&a, &b, true, "\"pass\"", "\"tally\"", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plan_does_not_differ_from_itself),
	    cmocka_unit_test(another_parallelism_or_option_is_a_job_that_is_built_anew),
	    cmocka_unit_test(operators_come_and_go_by_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
