/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: which job somebody means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "control/jobs.h"

static struct wr_running running[] = {
    {"count-77", 77}, {"count-78", 78}, {"visits-790", 790}, {"visits_of_ann-5", 5}, {"77-6", 6}};
static const struct wr_jobs jobs = {.list = running, .count = 5};

static void means(const char *what, const char *id)
{
	const struct wr_running *r = wr_jobs_find(&jobs, what);

	assert_non_null(r);
	assert_string_equal(r->id, id);
}

static void refuses(const char *what, const char *error)
{
	assert_null(wr_jobs_find(&jobs, what));
	assert_int_equal(wr_error_code(), WR_EUSER);
	assert_string_equal(wr_error_text(), error);
}

static void a_job_is_meant_by_id_process_name_or_beginning(void **state)
{
	(void)state;
	means("count-77", "count-77");
	means("790", "visits-790");
	means("visits", "visits-790");
	means("visits of ann", "visits_of_ann-5");
	means("visits_", "visits_of_ann-5");
	means("77", "count-77"); /* a process before a name */
	means("77-", "77-6");
}

static void what_is_ambiguous_or_unknown_is_an_error_with_the_list(void **state)
{
	(void)state;
	refuses("count", "'count' may mean several jobs: count-77, count-78");
	refuses("count-7", "'count-7' may mean several jobs: count-77, count-78");
	refuses("vis", "'vis' may mean several jobs: visits-790, visits_of_ann-5");
	refuses("", "the name of the job is empty");
	refuses("jobs/count",
		"'jobs/count' is a path; a job is meant by its id, its process or its name: `weir list` "
		"shows them");
	refuses("x",
		"no job 'x' is running; these are: count-77, count-78, visits-790, visits_of_ann-5, 77-6");
	assert_null(wr_jobs_find(&(struct wr_jobs){.count = 0}, "x"));
	assert_string_equal(wr_error_text(), "no job 'x' is running");
}

static void a_name_becomes_part_of_an_id_whatever_is_in_it(void **state)
{
	char id[WR_SOCKET_ID], longer[300];

	(void)state;
	wr_control_id_of("a/b ../ü", 12, id);
	assert_string_equal(id, "a_b______-12");
	memset(longer, 'x', sizeof longer);
	longer[299] = 0;
	wr_control_id_of(longer, INT64_MAX, id);
	assert_int_equal(strlen(id), 40 + 1 + 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_job_is_meant_by_id_process_name_or_beginning),
	    cmocka_unit_test(what_is_ambiguous_or_unknown_is_an_error_with_the_list),
	    cmocka_unit_test(a_name_becomes_part_of_an_id_whatever_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
