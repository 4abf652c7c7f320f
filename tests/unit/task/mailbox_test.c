/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: letters in order, from any thread, and on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/thread.h"
#include "task/mailbox.h"

enum { SENDERS = 4, LETTERS = 5000 };

static void letters_are_read_in_the_order_of_sending(void **state)
{
	struct wr_mailbox m = {NULL, NULL};
	struct wr_letter *l;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		wr_mailbox_put(&m, wr_letter_new(64, i, NULL, 0));
	l = wr_mailbox_take(&m);
	assert_int_equal(l->stage, 0);
	wr_letter_free(l);
	wr_mailbox_put(&m, wr_letter_new(64, 5, NULL, 0));
	for (uint32_t i = 1; i <= 5; i++) {
		l = wr_mailbox_take(&m);
		assert_int_equal(l->stage, i);
		wr_letter_free(l);
	}
	assert_null(wr_mailbox_take(&m));
}

struct sender {
	struct wr_thread thread;
	struct wr_mailbox *m;
	uint32_t id;
};

static void *send(void *arg)
{
	struct sender *s = arg;

	for (uint32_t i = 0; i < LETTERS; i++)
		wr_mailbox_put(s->m, wr_letter_new(64, s->id, &i, sizeof i));
	return NULL;
}

static void no_letter_of_several_threads_is_lost_or_overtaken(void **state)
{
	struct wr_mailbox m = {NULL, NULL};
	struct sender s[SENDERS];
	uint32_t next[SENDERS] = {0}, count = 0;

	(void)state;
	for (uint32_t i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){.m = &m, .id = i};
		assert_int_equal(wr_thread_start(&s[i].thread, "sender", -1, send, &s[i]), WR_OK);
	}
	while (count < SENDERS * LETTERS) {
		struct wr_letter *l = wr_mailbox_take(&m);
		uint32_t i;

		if (!l)
			continue;
		memcpy(&i, l->payload, sizeof i);
		assert_int_equal(i, next[l->stage]++);
		count++;
		wr_letter_free(l);
	}
	for (uint32_t i = 0; i < SENDERS; i++)
		wr_thread_join(&s[i].thread);
	assert_null(wr_mailbox_take(&m));
}

static void unread_letters_are_freed_with_the_mailbox(void **state)
{
	struct wr_mailbox m = {NULL, NULL};

	(void)state;
	wr_mailbox_put(&m, wr_letter_new(64, 0, "abc", 3));
	wr_mailbox_put(&m, wr_letter_new(64, 0, NULL, 0));
	wr_mailbox_deinit(&m);
	assert_null(wr_mailbox_take(&m));
}

static void a_letter_is_the_same_behind_the_wire(void **state)
{
	struct wr_letter *l = wr_letter_new(66, 300, "payload\0x", 9), *back;
	struct wr_bytes b = WR_BYTES_EMPTY;
	struct wr_reader r;

	(void)state;
	wr_letter_encode(l, &b);
	r = wr_reader_of(b.data, b.len);
	back = wr_letter_decode(&r);
	assert_non_null(back);
	assert_ptr_equal(r.p, r.end);
	assert_int_equal(back->type, 66);
	assert_int_equal(back->stage, 300);
	assert_int_equal(back->len, 9);
	assert_memory_equal(back->payload, "payload\0x", 9);
	wr_letter_free(back);
	for (size_t cut = 0; cut < b.len; cut++) {
		r = wr_reader_of(b.data, cut);
		assert_null(wr_letter_decode(&r));
		assert_int_equal(wr_error_code(), WR_EUSER);
	}
	wr_letter_free(l);
	wr_bytes_deinit(&b);
}

static void a_letter_without_memory_is_an_error(void **state)
{
	(void)state;
	wr_mem_fail_at(1);
	assert_null(wr_letter_new(64, 0, "abc", 3));
	assert_int_equal(wr_error_code(), WR_EFATAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(letters_are_read_in_the_order_of_sending),
	    cmocka_unit_test(no_letter_of_several_threads_is_lost_or_overtaken),
	    cmocka_unit_test(unread_letters_are_freed_with_the_mailbox),
	    cmocka_unit_test(a_letter_is_the_same_behind_the_wire),
	    cmocka_unit_test(a_letter_without_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
