/* SPDX-License-Identifier: Apache-2.0 */
/* learn_test: nodes that no parser gives, but those who put a parsed value into a record do. */
#include "unit/messages.h"

/* Records in records, `depth` of them, the innermost with a number. */
static int nested(uint32_t depth)
{
	struct wr_node nodes[100];
	struct wr_learner *learner = wr_learner_new();
	int rc;

	for (uint32_t i = 0; i <= depth; i++)
		nodes[i] = (struct wr_node){.type = i < depth ? WR_T_ROW : WR_T_F64,
					    .len = i < depth,
					    .key = i ? "a" : NULL,
					    .key_len = i > 0};
	row_out = (struct wr_out){.p = row_room, .end = row_room + sizeof row_room};
	rc = wr_learner_row(learner, nodes, WR_TS_NONE, &row_out);
	wr_learner_free(learner);
	if (rc == WR_OK)
		assert_int_equal(wr_elem_verify(row_room, (size_t)(row_out.p - row_room), NULL), WR_OK);
	return rc;
}

static void test_a_record_that_nests_too_deep_is_refused(void **state)
{
	(void)state;
	assert_int_equal(nested(1), WR_OK);
	assert_int_equal(nested(WR_DEPTH_MAX), WR_OK);
	assert_int_equal(nested(WR_DEPTH_MAX + 1), WR_EUSER);
	assert_has(wr_error_text(), "nested too deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_record_that_nests_too_deep_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
