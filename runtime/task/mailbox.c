/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox: a stack of letters that is emptied as a whole, so that there is no ABA. Pushing releases
 * the letter's content, the exchange of the owner acquires it. */
#include "task/mailbox.h"

#include <string.h>
#include "base/error.h"

static struct wr_mem mem = WR_MEM_INIT("task.letters");

struct wr_letter *wr_letter_new(uint32_t type, uint32_t stage, const void *payload, uint32_t len)
{
	struct wr_letter *l = wr_alloc(&mem, sizeof *l + len);

	if (!l)
		return NULL;
	l->next = NULL;
	l->type = type;
	l->stage = stage;
	l->len = len;
	if (len)
		memcpy(l->payload, payload, len);
	return l;
}

void wr_letter_free(struct wr_letter *l)
{
	wr_free(&mem, l);
}

void wr_letter_encode(const struct wr_letter *l, struct wr_bytes *out)
{
	wr_bytes_put_varint(out, l->type);
	wr_bytes_put_varint(out, l->stage);
	wr_bytes_put_str(out, (const char *)l->payload, l->len);
}

struct wr_letter *wr_letter_decode(struct wr_reader *r)
{
	uint64_t type = wr_read_varint(r), stage = wr_read_varint(r);
	size_t len = 0;
	const char *payload = wr_read_str(r, &len);

	if (r->bad || type > UINT32_MAX || stage > UINT32_MAX || len > UINT32_MAX) {
		wr_error_set(WR_EUSER, "a letter is cut short or malformed");
		return NULL;
	}
	return wr_letter_new((uint32_t)type, (uint32_t)stage, payload, (uint32_t)len);
}

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
