/* SPDX-License-Identifier: Apache-2.0 */
/* notify: how a layer below wakes one above without knowing it. Safe from any thread;
 * firing twice is firing once. */
#pragma once

struct wr_notify {
	void (*fire)(void *self);
	void *self;
};

static inline void wr_notify_fire(const struct wr_notify *n)
{
	if (n && n->fire)
		n->fire(n->self);
}
