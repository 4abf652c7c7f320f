/* SPDX-License-Identifier: Apache-2.0 */
/* group_test: an offset is written in a transaction of the library's own mock cluster, and is left behind
 * where the coordinator of its group is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <semaphore.h>
#include "base/error.h"
#include "kafka/group.h"

enum { OF_IDS = 1, OF_GROUPS = 2, SOON_MS = 20000, LONGER_THAN_ITS_TIME_MS = 3000 };

static rd_kafka_t *rk;
static rd_kafka_mock_cluster_t *cluster;

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	assert_int_equal(rd_kafka_conf_set(conf, name, value, NULL, 0), RD_KAFKA_CONF_OK);
}

static int in_transaction(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	(void)state;
	set(conf, "test.mock.num.brokers", "2");
	set(conf, "transactional.id", "id");
	set(conf, "log_level", "0");
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	assert_non_null(rk);
	cluster = rd_kafka_handle_mock_cluster(rk);
	rd_kafka_mock_topic_create(cluster, "topic", 1, 1);
	rd_kafka_mock_coordinator_set(cluster, "transaction", "id", OF_IDS);
	rd_kafka_mock_coordinator_set(cluster, "group", "group", OF_GROUPS);
	assert_null(rd_kafka_init_transactions(rk, SOON_MS));
	assert_null(rd_kafka_begin_transaction(rk));
	return 0;
}

static struct wr_kafka_put *begin(void)
{
	struct wr_kafka_put *w = wr_kafka_put_begin(rk, "group", "topic", 7, "a note");

	assert_non_null(w);
	return w;
}

static void test_an_offset_is_written(void **state)
{
	struct wr_kafka_put *w = begin();

	(void)state;
	assert_true(wr_kafka_put_over(w, SOON_MS));
	assert_null(wr_kafka_put_take(w));
	assert_null(rd_kafka_commit_transaction(rk, SOON_MS));
	rd_kafka_destroy(rk);
}

static void test_a_refusal_is_handed_on(void **state)
{
	struct wr_kafka_put *w;
	rd_kafka_error_t *error;

	(void)state;
	rd_kafka_mock_push_request_errors(cluster, 28 /* TxnOffsetCommit */, 1,
					  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	w = begin();
	assert_true(wr_kafka_put_over(w, SOON_MS));
	error = wr_kafka_put_take(w);
	assert_non_null(error);
	assert_int_equal(rd_kafka_error_code(error), RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	rd_kafka_error_destroy(error);
	rd_kafka_destroy(rk);
}

static void end(void *arg)
{
	rd_kafka_destroy(rk);
	sem_post(arg);
}

static void test_what_is_left_behind_ends_when_the_coordinator_is_back(void **state)
{
	sem_t ended;
	struct wr_kafka_put *w;

	(void)state;
	sem_init(&ended, 0, 0);
	rd_kafka_mock_broker_set_down(cluster, OF_GROUPS);
	w = begin();
	assert_false(wr_kafka_put_over(w, LONGER_THAN_ITS_TIME_MS));
	wr_kafka_put_leave(w, end, &ended);
	assert_int_not_equal(sem_trywait(&ended), 0);
	rd_kafka_mock_broker_set_up(cluster, OF_GROUPS);
	sem_wait(&ended);
	sem_destroy(&ended);
}

static void test_what_is_over_when_it_is_left_ends_there(void **state)
{
	sem_t ended;
	struct wr_kafka_put *w = begin();

	(void)state;
	sem_init(&ended, 0, 0);
	assert_true(wr_kafka_put_over(w, SOON_MS));
	wr_kafka_put_leave(w, end, &ended);
	assert_int_equal(sem_trywait(&ended), 0);
	sem_destroy(&ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_an_offset_is_written, in_transaction),
	    cmocka_unit_test_setup(test_a_refusal_is_handed_on, in_transaction),
	    cmocka_unit_test_setup(test_what_is_left_behind_ends_when_the_coordinator_is_back,
				   in_transaction),
	    cmocka_unit_test_setup(test_what_is_over_when_it_is_left_ends_there, in_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
