/* SPDX-License-Identifier: Apache-2.0 */
/* properties_test: what librdkafka takes passes through, and all else is an error that says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include "base/error.h"
#include "kafka/client.h"
#include "kafka/properties.h"

static const char *wrong(enum wr_kafka_role role, const char *name, const char *value)
{
	return wr_kafka_property_check(role, name, value) == WR_OK ? "" : wr_error_text();
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void test_properties_of_the_role_pass(void **state)
{
	(void)state;
	assert_string_equal(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", "100"), "");
	assert_string_equal(wrong(WR_KAFKA_PRODUCER, "linger.ms", "0"), "");
	assert_string_equal(wrong(WR_KAFKA_PRODUCER, "acks", "all"), "");
	assert_string_equal(wrong(WR_KAFKA_PRODUCER, "compression.type", "lz4"), "");
	assert_string_equal(wrong(WR_KAFKA_CONSUMER, "security.protocol", "sasl_ssl"), "");
	assert_string_equal(wrong(WR_KAFKA_CONSUMER, "sasl.password", "a,b|c"), "");
	assert_string_equal(wrong(WR_KAFKA_CONSUMER, "debug", "broker,fetch"), "");
}

static void test_values_out_of_range_or_of_another_type_are_errors(void **state)
{
	(void)state;
	assert_has(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", "-1"), "from 0 to 300000, not \"-1\"");
	assert_has(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", "1x"), "not \"1x\"");
	assert_has(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", ""), "not \"\"");
	assert_has(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", "99999999999999999999"), "from 0 to 300000");
	assert_has(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", "soon"), "fetch.wait.max.ms");
	assert_has(wrong(WR_KAFKA_CONSUMER, "socket.keepalive.enable", "maybe"), "true or false");
	assert_has(wrong(WR_KAFKA_PRODUCER, "compression.type", "rar"), "compression");
	assert_has(wrong(WR_KAFKA_CONSUMER, "debug", "foo"), "debug");
}

static void test_unknown_ones_and_those_of_the_other_role_are_errors(void **state)
{
	(void)state;
	assert_has(wrong(WR_KAFKA_CONSUMER, "fetch.wait.max.mss", "1"),
		   "has no property \"fetch.wait.max.mss\"");
	assert_has(wrong(WR_KAFKA_CONSUMER, "Property", "1"), "has no property");
	assert_has(wrong(WR_KAFKA_CONSUMER, "", "1"), "has no property");
	assert_has(wrong(WR_KAFKA_CONSUMER, "linger.ms", "1"), "producers (sinks) only");
	assert_has(wrong(WR_KAFKA_PRODUCER, "fetch.wait.max.ms", "1"), "consumers (sources) only");
	assert_has(wrong(WR_KAFKA_CONSUMER, "rebalance_cb", "1"), "no property that has a value");
}

static void test_what_has_an_option_of_its_own_is_refused(void **state)
{
	(void)state;
	assert_has(wrong(WR_KAFKA_CONSUMER, "bootstrap.servers", "a:1"), "the option \"brokers\"");
	assert_has(wrong(WR_KAFKA_CONSUMER, "group.id", "g"), "the option \"group\"");
	assert_has(wrong(WR_KAFKA_CONSUMER, "enable.auto.commit", "true"), "checkpoints");
	assert_has(wrong(WR_KAFKA_PRODUCER, "transactional.id", "x"), "transactional_id_prefix");
	assert_has(wrong(WR_KAFKA_PRODUCER, "partitioner", "consistent"), "the option \"partitioner\"");
	assert_has(wrong(WR_KAFKA_PRODUCER, "delivery.report.only.error", "true"), "the sink sets it");
}

static bool is_listed(enum wr_kafka_role role, const char *line)
{
	struct wr_bytes names = WR_BYTES_EMPTY;
	bool found;

	assert_int_equal(wr_kafka_property_names(role, &names), WR_OK);
	wr_bytes_put_u8(&names, 0);
	found = strstr((const char *)names.data, line) != NULL;
	wr_bytes_deinit(&names);
	return found;
}

static void test_names_are_those_that_a_script_may_set(void **state)
{
	(void)state;
	assert_true(is_listed(WR_KAFKA_CONSUMER, "\nfetch.wait.max.ms\n"));
	assert_true(is_listed(WR_KAFKA_PRODUCER, "\nlinger.ms\n"));
	assert_false(is_listed(WR_KAFKA_PRODUCER, "\nfetch.wait.max.ms\n"));
	assert_false(is_listed(WR_KAFKA_CONSUMER, "\nlinger.ms\n"));
	assert_false(is_listed(WR_KAFKA_CONSUMER, "\nbootstrap.servers\n"));
	assert_false(is_listed(WR_KAFKA_CONSUMER, "_cb\n"));
}

/* ---- configurations ---- */

static struct wr_value text(const char *s)
{
	struct wr_value v = {.tag = WR_V_STR};

	v.str.p = s;
	v.str.len = (uint32_t)strlen(s);
	return v;
}

/* Options with one property. */
static struct rd_kafka_conf_s *conf_of(enum wr_kafka_role role, const char *name, const char *value)
{
	struct wr_value key = text(name), item = text(value);
	struct wr_value keys[2] = {text("brokers"), text("properties")};
	struct wr_value items[2] = {text("localhost:1"),
				    {.tag = WR_V_RECORD, .count = 1, .keys = &key, .items = &item}};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};

	return wr_kafka_conf_new(role, &options, "weir-test");
}

static const char *setting(struct rd_kafka_conf_s *conf, const char *name)
{
	static char value[256];
	size_t size = sizeof value;

	assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
	return value;
}

static void test_a_configuration_has_brokers_properties_and_our_defaults(void **state)
{
	struct rd_kafka_conf_s *conf = conf_of(WR_KAFKA_CONSUMER, "fetch.wait.max.ms", "77");

	(void)state;
	assert_non_null(conf);
	assert_string_equal(setting(conf, "bootstrap.servers"), "localhost:1");
	assert_string_equal(setting(conf, "fetch.wait.max.ms"), "77");
	assert_string_equal(setting(conf, "client.id"), "weir-test");
	assert_string_equal(setting(conf, "statistics.interval.ms"), "0");
	assert_string_equal(setting(conf, "allow.auto.create.topics"), "false");
	wr_kafka_conf_free(conf);
}

static void test_a_property_goes_before_our_defaults(void **state)
{
	struct rd_kafka_conf_s *conf = conf_of(WR_KAFKA_CONSUMER, "client.id", "mine");

	(void)state;
	assert_string_equal(setting(conf, "client.id"), "mine");
	wr_kafka_conf_free(conf);
}

static void test_a_configuration_of_what_is_no_property_is_an_error(void **state)
{
	(void)state;
	assert_null(conf_of(WR_KAFKA_PRODUCER, "nothing.such", "1"));
	assert_int_equal(wr_error_code(), WR_EUSER);
	assert_has(wr_error_text(), "nothing.such");
}

/* ---- clients ---- */

/* ThreadSanitizer knows no threads of C11, as librdkafka makes them, and dies in what they call of ours. */
#ifndef __SANITIZE_THREAD__
static void test_a_client_that_reaches_no_broker_is_down_and_ends(void **state)
{
	struct rd_kafka_conf_s *conf = conf_of(WR_KAFKA_PRODUCER, "log_level", "0");
	struct wr_kafka_client c;

	(void)state;
	assert_int_equal(wr_kafka_client_open(&c, WR_KAFKA_PRODUCER, conf, "out[0]", NULL), WR_OK);
	assert_false(c.down);
	while (!c.down)
		rd_kafka_poll(c.rk, 1000);
	assert_has(c.error, "localhost:1");
	wr_kafka_client_up(&c);
	assert_false(c.down);
	wr_kafka_client_close(&c);
	wr_kafka_client_close(&c);
}
#endif

static void test_properties_that_do_not_go_together_are_an_error_of_the_client(void **state)
{
	struct rd_kafka_conf_s *conf = conf_of(WR_KAFKA_CONSUMER, "ssl.ca.location", "nowhere.pem");
	struct wr_kafka_client c;

	(void)state;
	assert_int_equal(wr_kafka_conf_set(conf, "security.protocol", "ssl"), WR_OK);
	assert_int_equal(wr_kafka_client_open(&c, WR_KAFKA_CONSUMER, conf, "in[0]", NULL), WR_EUSER);
	assert_has(wr_error_text(), "ssl.ca.location");
	wr_kafka_client_close(&c);
}

static void test_errors_of_the_library_have_classes(void **state)
{
	(void)state;
	assert_int_equal(wr_kafka_failed(RD_KAFKA_RESP_ERR__TRANSPORT, "topic %s", "t"), WR_ETRANSIENT);
	assert_has(wr_error_text(), "topic t: ");
	assert_int_equal(wr_kafka_failed(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "topic"), WR_EUSER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_properties_of_the_role_pass),
	    cmocka_unit_test(test_values_out_of_range_or_of_another_type_are_errors),
	    cmocka_unit_test(test_unknown_ones_and_those_of_the_other_role_are_errors),
	    cmocka_unit_test(test_what_has_an_option_of_its_own_is_refused),
	    cmocka_unit_test(test_names_are_those_that_a_script_may_set),
	    cmocka_unit_test(test_a_configuration_has_brokers_properties_and_our_defaults),
	    cmocka_unit_test(test_a_property_goes_before_our_defaults),
	    cmocka_unit_test(test_a_configuration_of_what_is_no_property_is_an_error),
#ifndef __SANITIZE_THREAD__
	    cmocka_unit_test(test_a_client_that_reaches_no_broker_is_down_and_ends),
#endif
	    cmocka_unit_test(test_properties_that_do_not_go_together_are_an_error_of_the_client),
	    cmocka_unit_test(test_errors_of_the_library_have_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
