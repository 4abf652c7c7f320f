/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: a stack of letters that is emptied as a whole, so that there is no ABA. Pushing releases
 * the letter's content, the exchange of the owner acquires it. */
#include "task/mailbox.h"

void wr_mailbox_put(struct wr_mailbox *m, struct wr_letter *l)
{
	struct wr_letter *head = atomic_load_explicit(&m->pushed, memory_order_relaxed);

	do
		l->next = head;
	while (!atomic_compare_exchange_weak_explicit(&m->pushed, &head, l, memory_order_release,
						      memory_order_relaxed));
}

struct wr_letter *wr_mailbox_take(struct wr_mailbox *m)
{
	struct wr_letter *l = m->taken;

	if (!l && atomic_load_explicit(&m->pushed, memory_order_relaxed)) {
		struct wr_letter *newest = atomic_exchange_explicit(&m->pushed, NULL, memory_order_acquire);

		while (newest) {
			struct wr_letter *older = newest->next;

			newest->next = l;
			l = newest;
			newest = older;
		}
	}
	if (l)
		m->taken = l->next;
	return l;
}

void wr_mailbox_deinit(struct wr_mailbox *m)
{
	struct wr_letter *l;

	while ((l = wr_mailbox_take(m)))
		wr_letter_free(l);
}
