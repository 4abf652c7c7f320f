/* SPDX-License-Identifier: Apache-2.0 */
/* partitioner: the hashes of the clients that are in use. */
#include "kafka/message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"

static struct wr_str str(const char *s)
{
	return (struct wr_str){s, (uint32_t)strlen(s)};
}

static void murmur2_is_that_of_the_java_client(void **state)
{
	static const struct {
		const char *key;
		int32_t hash;
	} known[] = {
	    {"21", -973932308},
	    {"foobar", -790332482},
	    {"a-little-bit-long-string", -985981536},
	    {"a-little-bit-longer-string", -1486304829},
	    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
	    {"abc", 479470107},
	};
	struct wr_rand rand = {1};

	(void)state;
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
		assert_int_equal(known[i].hash, wr_kafka_murmur2(known[i].key, strlen(known[i].key)));
		for (int32_t n = 1; n < 20; n++)
			assert_int_equal(
			    (known[i].hash & INT32_MAX) % n,
			    wr_kafka_partition(WR_KAFKA_MURMUR2, str(known[i].key), 0, n, &rand));
	}
}

/* The check value of CRC-32 is that of the digits 1 to 9; all four bytes of it count, without a sign. */
static void crc32_is_taken_without_a_sign(void **state)
{
	struct wr_rand rand = {1};

	(void)state;
	for (uint32_t n = 1; n < 100; n++)
		assert_int_equal(0xcbf43926u % n,
				 wr_kafka_partition(WR_KAFKA_CRC32, str("123456789"), 0, (int32_t)n, &rand));
}

static void an_empty_key_is_a_key(void **state)
{
	struct wr_rand rand = {1};
	int32_t first = wr_kafka_partition(WR_KAFKA_MURMUR2, str(""), 0, 1000, &rand);

	(void)state;
	assert_int_equal((wr_kafka_murmur2("", 0) & INT32_MAX) % 1000, first);
	for (int i = 0; i < 20; i++)
		assert_int_equal(first, wr_kafka_partition(WR_KAFKA_MURMUR2, str(""), 0, 1000, &rand));
}

static void all_partitions_are_met(enum wr_kafka_partitioner how, struct wr_str key)
{
	struct wr_rand rand = {1};
	uint32_t met = 0;

	for (int i = 0; i < 400; i++)
		met |= 1u << wr_kafka_partition(how, key, 0, 8, &rand);
	assert_int_equal(0xff, met);
}

static void without_a_key_all_partitions_are_met(void **state)
{
	static const enum wr_kafka_partitioner hows[] = {WR_KAFKA_MURMUR2, WR_KAFKA_CRC32, WR_KAFKA_RANDOM};

	(void)state;
	for (unsigned h = 0; h < 3; h++)
		all_partitions_are_met(hows[h], (struct wr_str){NULL, 0});
}

static void at_random_the_key_is_not_looked_at(void **state)
{
	(void)state;
	all_partitions_are_met(WR_KAFKA_RANDOM, str("k"));
}

static void a_given_number_is_taken_modulo_the_partitions(void **state)
{
	struct wr_rand rand = {1};

	(void)state;
	assert_int_equal(2, wr_kafka_partition(WR_KAFKA_NUMBER, str("k"), 2, 3, &rand));
	assert_int_equal(1, wr_kafka_partition(WR_KAFKA_NUMBER, str("k"), 7, 3, &rand));
	assert_int_equal(2, wr_kafka_partition(WR_KAFKA_NUMBER, str("k"), -1, 3, &rand));
	assert_int_equal(0, wr_kafka_partition(WR_KAFKA_NUMBER, str("k"), INT64_MIN, 1, &rand));
}

static void names_of_partitioners_are_checked(void **state)
{
	enum wr_kafka_partitioner how;

	(void)state;
	assert_int_equal(WR_OK, wr_kafka_partitioner("crc32", &how));
	assert_int_equal(WR_KAFKA_CRC32, how);
	assert_int_equal(WR_EUSER, wr_kafka_partitioner("murmur3", &how));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(murmur2_is_that_of_the_java_client),
	    cmocka_unit_test(crc32_is_taken_without_a_sign),
	    cmocka_unit_test(an_empty_key_is_a_key),
	    cmocka_unit_test(without_a_key_all_partitions_are_met),
	    cmocka_unit_test(at_random_the_key_is_not_looked_at),
	    cmocka_unit_test(a_given_number_is_taken_modulo_the_partitions),
	    cmocka_unit_test(names_of_partitioners_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
