/* SPDX-License-Identifier: Apache-2.0 */
/* publisher_test: what is asked of brokers, and in which order; what goes wrong meanwhile is played by
 * tests/sim/once_sim.c. */
#include "publish/publisher.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"

/* ---- brokers that do as they are told: a call whose first letter is that of `refuses` fails `times` ---- */

static char asked[1024]; /* the calls, by their first letters; groups in brackets */
static char refuses;
static int with, times;
static struct wr_kafka_found claim_found, marker_found;
static struct wr_clock clock_;
static struct wr_kafka_claims claims;
static struct wr_kafka_publisher p;

static int call(const char *what)
{
	snprintf(asked + strlen(asked), sizeof asked - strlen(asked), "%s ", what);
	wr_clock_advance(&clock_, 10000000000);
	if (*what != refuses || times <= 0)
		return WR_OK;
	times--;
	wr_error_set(with == WR_AGAIN ? WR_ETRANSIENT : with, "refused");
	return with;
}

static bool is_id(const char *name)
{
	return !strcmp(name, "shop-out-3") || !strcmp(name, "shop-out-4") || !strcmp(name, "old-out-3");
}

static int on_open(void *arg, const char *id)
{
	(void)arg;
	assert_true(is_id(id));
	return call("open");
}
static void on_close(void *arg)
{
	(void)arg;
	call("close");
}
static int on_init(void *arg)
{
	(void)arg;
	return call("init");
}
static int on_read(void *arg, const char *group, struct wr_kafka_found *out)
{
	bool is_claim = is_id(group);

	(void)arg;
	*out = is_claim ? claim_found : marker_found;
	return call(is_claim ? "read(claim)" : "read(marker)");
}
static int on_begin(void *arg)
{
	(void)arg;
	return call("begin");
}
static int on_send(void *arg, struct wr_epoch_rows *rows)
{
	(void)arg, (void)rows;
	return call("send");
}
static int on_put(void *arg, const char *group, int64_t offset, const char *note)
{
	char what[64];

	(void)arg;
	if (is_id(group))
		snprintf(claim_found.note, sizeof claim_found.note, "%s", note);
	claim_found.offset = 0;
	snprintf(what, sizeof what, "put(%s%d)", !strcmp(group, "shop-out-3") ? "claim" : "", (int)offset);
	return call(what);
}
static int on_commit(void *arg)
{
	(void)arg;
	return call("commit");
}

static const struct wr_kafka_txn_ops ops = {.open = on_open,
					    .close = on_close,
					    .init = on_init,
					    .read = on_read,
					    .begin = on_begin,
					    .send = on_send,
					    .put = on_put,
					    .commit = on_commit};
static const struct wr_mark mark = {"out", 7, 3, NULL};

static int fresh(void **state)
{
	(void)state;
	wr_clock_manual_init(&clock_, 1, 1);
	claims = (struct wr_kafka_claims)WR_KAFKA_CLAIMS_INIT;
	p = (struct wr_kafka_publisher){
	    .ops = &ops, .clock = &clock_, .claims = &claims, .name = "out[3]", .prefix = "shop"};
	claim_found = marker_found = (struct wr_kafka_found){.offset = -1001};
	refuses = 0;
	*asked = 0;
	return 0;
}

static int done(void **state)
{
	(void)state;
	wr_kafka_claims_deinit(&claims);
	return 0;
}

/* Calls named `what` fail so often from now on; what was asked before is forgotten. */
static void refuse(char what, int rc, int how_often)
{
	refuses = what;
	with = rc;
	times = how_often;
	*asked = 0;
}

/* The marker that brokers have, of this lineage. */
static void marker_is(int64_t epoch)
{
	marker_found.offset = epoch;
	wr_kafka_note(WR_KAFKA_MARKER, 7, marker_found.note);
}

static void test_an_id_is_fenced_and_claimed_before_anything_is_read_or_written(void **state)
{
	uint64_t epoch;

	(void)state;
	marker_is(41);
	assert_int_equal(wr_kafka_publisher_last(&p, &mark, &epoch), WR_OK);
	assert_string_equal(asked, "close open init read(claim) begin put(claim0) commit read(marker) ");
	assert_int_equal(epoch, 41);
}

static void test_an_epoch_and_its_number_are_one_transaction(void **state)
{
	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 42, NULL), WR_OK);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 43, NULL), WR_OK);
	assert_string_equal(asked, "begin send put(42) commit begin send put(43) commit ");
}

static void test_behind_an_error_there_is_a_new_client_and_the_claim_is_looked_at_first(void **state)
{
	static const char steps[] = "bspc";

	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	for (size_t i = 0; i < sizeof steps - 1; i++) {
		uint64_t epoch;

		refuse(steps[i], WR_ETRANSIENT, 1);
		assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 42, NULL), WR_ETRANSIENT);
		assert_false(p.is_open);
		*asked = 0;
		assert_int_equal(wr_kafka_publisher_last(&p, &mark, &epoch), WR_OK);
		assert_string_equal(asked, "close open read(claim) init read(claim) read(marker) ");
	}
}

static void test_a_call_that_may_help_is_repeated_for_a_minute(void **state)
{
	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	refuse('c', WR_AGAIN, 2);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 42, NULL), WR_OK);
	assert_string_equal(asked, "begin send put(42) commit commit commit ");
	refuse('c', WR_AGAIN, 100);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 43, NULL), WR_ETRANSIENT);
	assert_string_equal(wr_error_text(), "refused");
	assert_string_equal(asked, "begin send put(43) commit commit commit commit commit commit close ");
}

static void test_whoever_was_overtaken_writes_nothing_more(void **state)
{
	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	refuse('s', WR_ETRANSIENT, 1);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 42, NULL), WR_ETRANSIENT);
	wr_kafka_note(WR_KAFKA_CLAIM, claims.own ^ 2, claim_found.note);
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 42, NULL), WR_ESUPERSEDED);
	assert_string_equal(asked, "close open read(claim) close close ");
	assert_non_null(strstr(wr_error_text(), "out[3]: another process of this job began after this one"));
}

static void test_the_claim_of_a_run_before_is_taken_over(void **state)
{
	(void)state;
	claim_found.offset = 0;
	wr_kafka_note(WR_KAFKA_CLAIM, 12345, claim_found.note);
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	assert_string_equal(asked, "close open init read(claim) begin put(claim0) commit ");
}

static void test_a_marker_is_written_again_without_rows_and_read_first_by_a_new_client(void **state)
{
	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_keep(&p, &mark, 42), WR_OK);
	assert_string_equal(asked, "begin put(42) commit ");
	refuse('c', WR_ETRANSIENT, 1);
	assert_int_equal(wr_kafka_publisher_keep(&p, &mark, 42), WR_ETRANSIENT);
	assert_string_equal(asked, "begin put(42) commit close ");
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_keep(&p, &mark, 42), WR_OK);
	assert_string_equal(asked,
			    "close open read(claim) init read(claim) read(marker) begin put(42) commit ");

	wr_kafka_publisher_close(&p);
	marker_is(43);
	assert_int_equal(wr_kafka_publisher_keep(&p, &mark, 42), WR_ESUPERSEDED);
	assert_false(p.is_open);
}

static void test_an_epoch_that_another_wrote_meanwhile_is_not_written_by_a_new_client(void **state)
{
	(void)state;
	marker_is(42);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 42, NULL), WR_OK);
	assert_null(strstr(asked, "send"));
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 43, NULL), WR_OK);
	assert_string_equal(asked, "begin send put(43) commit ");

	wr_kafka_publisher_close(&p);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 41, NULL), WR_ETRANSIENT);
	assert_null(strstr(strstr(asked, "close"), "send"));
	assert_false(p.is_open);
}

/* An older process, at rest until its claim was forgotten, has them in its log, too. */
static void test_inherited_epochs_that_an_older_process_wrote_meanwhile_end_nobody(void **state)
{
	const struct wr_mark inherited = {"out", 7, 4, NULL};
	uint64_t epoch = 1;

	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	claim_found.offset = -1001;
	assert_int_equal(wr_kafka_publisher_last(&p, &inherited, &epoch), WR_OK);
	assert_int_equal(epoch, 0);
	marker_is(6);
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_commit(&p, &inherited, 5, NULL), WR_ETRANSIENT);
	assert_null(strstr(asked, "send"));
	assert_int_equal(wr_kafka_publisher_last(&p, &inherited, &epoch), WR_OK);
	assert_int_equal(epoch, 6);
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_commit(&p, &inherited, 7, NULL), WR_OK);
	assert_string_equal(asked, "begin send put(7) commit ");
}

static void test_for_a_log_that_nobody_ever_had_no_client_is_made(void **state)
{
	const struct wr_mark other = {"out", 7, 4, NULL};
	uint64_t epoch = 1;

	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	claim_found.offset = -1001;
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_last(&p, &other, &epoch), WR_OK);
	assert_int_equal(epoch, 0);
	assert_string_equal(asked, "read(claim) read(marker) ");
	assert_true(p.is_open);
}

/* Brokers forget what no transaction wrote for a week: a claim is written once, a marker with each epoch. */
static void test_a_log_whose_claim_is_forgotten_is_asked_for_its_marker(void **state)
{
	const struct wr_mark other = {"out", 7, 4, NULL};
	uint64_t epoch = 0;

	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	claim_found.offset = -1001;
	marker_is(41);
	assert_int_equal(wr_kafka_publisher_last(&p, &other, &epoch), WR_OK);
	assert_int_equal(epoch, 41);
}

/* A process died as it claimed the id, and brokers wait for a minute before they end its transaction. */
static void test_a_log_that_a_transaction_is_open_for_is_opened_which_ends_that(void **state)
{
	const struct wr_mark other = {"out", 7, 4, NULL};
	uint64_t epoch = 1;

	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	claim_found.offset = -1001;
	refuse('r', WR_AGAIN, 1);
	assert_int_equal(wr_kafka_publisher_last(&p, &other, &epoch), WR_OK);
	assert_string_equal(asked,
			    "read(claim) close open init read(claim) begin put(0) commit read(marker) ");
	assert_int_equal(epoch, 0);
	wr_kafka_publisher_close(&p);
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	refuse('r', WR_EUSER, 1);
	assert_int_equal(wr_kafka_publisher_last(&p, &other, &epoch), WR_EUSER);
	assert_string_equal(asked, "read(claim) ");
}

static void test_under_another_prefix_it_is_looked_first_and_sent_as_who_has_that(void **state)
{
	const struct wr_mark old = {"out", 7, 3, "old"};
	uint64_t epoch;

	(void)state;
	assert_int_equal(wr_kafka_publisher_open(&p, &mark), WR_OK);
	marker_is(41);
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_look(&p, &old, &epoch), WR_OK);
	assert_int_equal(epoch, 41);
	assert_string_equal(asked, "read(marker) ");
	refuse('r', WR_AGAIN, 100); /* somebody has a transaction open */
	assert_int_equal(wr_kafka_publisher_look(&p, &old, &epoch), WR_OK);
	assert_int_equal(epoch, 0);
	refuse(0, WR_OK, 0);
	assert_int_equal(wr_kafka_publisher_last(&p, &old, &epoch), WR_OK);
	assert_string_equal(asked,
			    "read(claim) close open init read(claim) begin put(0) commit read(marker) ");
	*asked = 0;
	assert_int_equal(wr_kafka_publisher_commit(&p, &old, 42, NULL), WR_OK);
	assert_int_equal(wr_kafka_publisher_commit(&p, &mark, 43, NULL), WR_OK);
	assert_string_equal(
	    asked, "begin send put(42) commit "
		   "close open read(claim) init read(claim) read(marker) begin send put(43) commit ");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
	    CASE(test_an_id_is_fenced_and_claimed_before_anything_is_read_or_written),
	    CASE(test_an_epoch_and_its_number_are_one_transaction),
	    CASE(test_behind_an_error_there_is_a_new_client_and_the_claim_is_looked_at_first),
	    CASE(test_a_call_that_may_help_is_repeated_for_a_minute),
	    CASE(test_whoever_was_overtaken_writes_nothing_more),
	    CASE(test_the_claim_of_a_run_before_is_taken_over),
	    CASE(test_a_marker_is_written_again_without_rows_and_read_first_by_a_new_client),
	    CASE(test_an_epoch_that_another_wrote_meanwhile_is_not_written_by_a_new_client),
	    CASE(test_inherited_epochs_that_an_older_process_wrote_meanwhile_end_nobody),
	    CASE(test_for_a_log_that_nobody_ever_had_no_client_is_made),
	    CASE(test_a_log_that_a_transaction_is_open_for_is_opened_which_ends_that),
	    CASE(test_under_another_prefix_it_is_looked_first_and_sent_as_who_has_that),
	    CASE(test_a_log_whose_claim_is_forgotten_is_asked_for_its_marker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
