/* SPDX-License-Identifier: Apache-2.0 */
/* plan: as structs, as bytes and back; what contradicts itself is refused. */
#include "unit/cluster/draft.h"

static struct draft good(void)
{
	return (struct draft){.v = {{"numbers", 2, 0, 10, 0, NULL}, {"tally", 2, 1, 0, 0, "own"}},
			      .vertices = 2,
			      .e = {{0, 1, 0, "hash"}},
			      .edges = 1};
}

static void a_plan_is_the_same_behind_the_wire(void **state)
{
	struct draft d = good();
	struct wr_plan *p = draft_plan(&d), *again;
	struct wr_bytes a = WR_BYTES_EMPTY, b = WR_BYTES_EMPTY;

	(void)state;
	wr_plan_encode(p, &a);
	again = wr_plan_decode(a.data, a.len);
	assert_non_null(again);
	wr_plan_encode(again, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_string_equal(again->job, "draft");
	assert_int_equal(again->seed, 7);
	assert_int_equal(again->vertex_count, 2);
	assert_string_equal(again->vertices[1].slot_group, "own");
	assert_string_equal(again->vertices[0].stages[0].kind, "numbers");
	assert_true(again->vertices[0].stages[0].outs[0].targets[0].is_edge);
	assert_int_equal(again->edges[0].partitioning, WR_HASH);
	assert_int_equal(again->edges[0].key_count, 1);
	assert_memory_equal(again->edges[0].key[0].p, "n", 1);
	wr_plan_free(p);
	wr_plan_free(again);
	wr_bytes_deinit(&a);
	wr_bytes_deinit(&b);
}

static void refused(const struct draft *d, const char *why)
{
	assert_null(draft_plan(d));
	assert_int_equal(wr_error_code(), WR_EUSER);
	if (!strstr(wr_error_text(), why))
		fail_msg("'%s' lacks '%s'", wr_error_text(), why);
}

static void what_contradicts_itself_is_refused(void **state)
{
	struct draft d = good();

	(void)state;
	d.e[0].to = 5;
	refused(&d, "to 5 is not below 2");
	d = good();
	d.e[0].partition = "sideways";
	refused(&d, "unknown partition");
	d = good();
	d.e[0].partition = "forward";
	d.v[1].parallelism = 3;
	refused(&d, "forward edge 'edge' from 2 to 3 subtasks");
	d = good();
	d.e[0].input = 1;
	refused(&d, "leads to input 1");
	d = good();
	d.v[0].parallelism = 300;
	refused(&d, "'numbers'");
	d = good();
	d.v[0].inputs = 9;
	refused(&d, "inputs 9 is not below 3");
}

static void how_rows_of_an_edge_become_one_is_read_or_refused(void **state)
{
	struct draft d = good();
	struct wr_plan *p;

	(void)state;
	d.e[0].merge = "max", d.e[0].grain = 60;
	p = draft_plan(&d);
	assert_non_null(p);
	assert_int_equal(p->edges[0].merge->grain, 60);
	assert_int_equal(p->edges[0].merge->count, 1);
	assert_int_equal(p->edges[0].merge->fields[0].fn, WR_MERGE_MAX);
	assert_memory_equal(p->edges[0].merge->fields[0].name.p, "v", 1);
	assert_true(p->edges[0].merge->weighs);
	wr_plan_free(p);
	d.e[0].merge = "median";
	refused(&d, "unknown merge");
	d.e[0].merge = "", d.e[0].grain = -60;
	refused(&d, "grain of -60");
}

static void bytes_that_are_no_plan_are_refused(void **state)
{
	struct draft d = good();
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	d.e[0].merge = "sum", d.e[0].grain = 60;
	draft_encode(&d, &b);
	for (size_t cut = 0; cut < b.len; cut++) {
		struct wr_plan *p = wr_plan_decode(b.data, cut);

		assert_null(p);
	}
	wr_bytes_deinit(&b);
}

static uint32_t sixty(const void *arg, const char *uid)
{
	return strcmp(uid, arg) ? 0 : 60;
}

static void P7_key_groups_that_nobody_asked_for_are_those_of_the_state(void **state)
{
	struct draft d = good();
	struct wr_plan *p = draft_plan(&d);
	struct wr_plan_vertex *v;
	const char *uid;

	(void)state;
	assert_non_null(p);
	v = &p->vertices[1];
	uid = v->stages[0].operators[0].uid;
	assert_false(v->max_derived);
	v->stages[0].state_count = 1;
	wr_plan_adopt(p, sixty, uid);
	assert_int_equal(v->max_parallelism, 128); /* it was asked for */
	v->max_derived = true;
	wr_plan_adopt(p, sixty, "another");
	assert_int_equal(v->max_parallelism, 128);
	v->parallelism = 61;
	wr_plan_adopt(p, sixty, uid);
	assert_int_equal(v->max_parallelism, 128); /* too few */
	v->parallelism = 60;
	v->stages[0].state_count = 0;
	wr_plan_adopt(p, sixty, uid);
	assert_int_equal(v->max_parallelism, 128); /* it has none */
	v->stages[0].state_count = 1;
	wr_plan_adopt(p, sixty, uid);
	assert_int_equal(v->max_parallelism, 60);
	v->stages[0].state_count = 0;
	wr_plan_free(p);
}

static void a_plan_without_memory_is_an_error_and_leaks_nothing(void **state)
{
	struct draft d = good();
	struct wr_bytes b = WR_BYTES_EMPTY;

	(void)state;
	draft_encode(&d, &b);
	for (int64_t n = 1; n < 20; n++) {
		struct wr_plan *p;

		wr_mem_fail_at(n);
		p = wr_plan_decode(b.data, b.len);
		wr_mem_fail_at(0);
		if (!p)
			assert_int_equal(wr_error_code(), WR_EFATAL);
		wr_plan_free(p);
	}
	wr_bytes_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plan_is_the_same_behind_the_wire),
	    cmocka_unit_test(what_contradicts_itself_is_refused),
	    cmocka_unit_test(how_rows_of_an_edge_become_one_is_read_or_refused),
	    cmocka_unit_test(bytes_that_are_no_plan_are_refused),
	    cmocka_unit_test(P7_key_groups_that_nobody_asked_for_are_those_of_the_state),
	    cmocka_unit_test(a_plan_without_memory_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
