/* SPDX-License-Identifier: Apache-2.0 */
/* woken: what another thread fires, and a test waits for. */
#pragma once
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <cmocka.h>

static int woken; /* an eventfd, made and closed by the test */

static inline void on_wake(void *self)
{
	(void)self;
	eventfd_write(woken, 1);
}

static inline void wait_woken(void)
{
	struct pollfd p = {.fd = woken, .events = POLLIN};
	eventfd_t n;

	assert_int_equal(poll(&p, 1, 10000), 1);
	eventfd_read(woken, &n);
}
