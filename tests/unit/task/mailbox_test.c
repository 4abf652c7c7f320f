/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: letters in order, from any thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/error.h"
#include "base/thread.h"
#include "task/mailbox.h"

enum { SENDERS = 4, LETTERS = 5000 };

/* The letters of a test tell each other apart by the address. */
static struct wr_letter *letter(uint32_t subtask, uint32_t stage)
{
	return wr_letter_new(WR_LETTER_NO_MORE, (struct wr_address){0, subtask, stage}, NULL, 0);
}

static void letters_are_read_in_the_order_of_sending(void **state)
{
	struct wr_mailbox m = {NULL, NULL};
	struct wr_letter *l;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		wr_mailbox_put(&m, letter(0, i));
	l = wr_mailbox_take(&m);
	assert_int_equal(l->who.stage, 0);
	wr_letter_free(l);
	wr_mailbox_put(&m, letter(0, 5));
	for (uint32_t i = 1; i <= 5; i++) {
		l = wr_mailbox_take(&m);
		assert_int_equal(l->who.stage, i);
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
		wr_mailbox_put(s->m, letter(s->id, i));
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

		if (!l)
			continue;
		assert_int_equal(l->who.stage, next[l->who.subtask]++);
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
	wr_mailbox_put(&m, letter(0, 0));
	wr_mailbox_put(&m, letter(0, 1));
	wr_mailbox_deinit(&m);
	assert_null(wr_mailbox_take(&m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(letters_are_read_in_the_order_of_sending),
	    cmocka_unit_test(no_letter_of_several_threads_is_lost_or_overtaken),
	    cmocka_unit_test(unread_letters_are_freed_with_the_mailbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
