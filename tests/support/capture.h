/* SPDX-License-Identifier: Apache-2.0 */
/* capture: what the process writes to standard error between begin and end. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
	int file, before;
	char text[1 << 16]; /* filled by capture_end */
};

static inline void capture_begin(struct capture *c)
{
	c->file = memfd_create("capture", MFD_CLOEXEC);
	c->before = dup(STDERR_FILENO);
	assert_true(c->file >= 0 && c->before >= 0);
	dup2(c->file, STDERR_FILENO);
}

static inline const char *capture_end(struct capture *c)
{
	ssize_t n;

	dup2(c->before, STDERR_FILENO);
	close(c->before);
	n = pread(c->file, c->text, sizeof c->text - 1, 0);
	close(c->file);
	assert_true(n >= 0);
	c->text[n] = 0;
	return c->text;
}
