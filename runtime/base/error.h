/* SPDX-License-Identifier: Apache-2.0 */
/* error: what a function returns when it did not succeed, and the words for it.
 *
 * A function returns WR_OK, a positive "not now" answer, or a negative class. The
 * words live in a per-thread diagnostics area: set where the failure is known,
 * wrapped where it is understood, shown in one place.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>

enum {
	WR_OK = 0,
	WR_AGAIN = 1, /* nothing now; call again after a notification */
	WR_END = 2,   /* nothing any more */

	WR_EUSER = -1,	     /* the script, its input or its options are at fault */
	WR_ETRANSIENT = -2,  /* the outside world failed; trying again may help */
	WR_EFATAL = -3,	     /* a resource is gone (memory, disk): the job cannot go on */
	WR_EBUG = -4,	     /* an invariant of ours broke */
	WR_ESUPERSEDED = -5, /* a newer process has taken the place of this one, which must end */
};

/* Sets this thread's error to the formatted text, dropping an older one. Returns `code`. */
int wr_error_set(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int wr_error_setv(int code, const char *fmt, va_list ap);

/* Puts "<formatted>: " in front of this thread's error. Returns `code`. */
int wr_error_wrap(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* WR_EFATAL "out of memory (N bytes for WHAT)"; 0 bytes: a library did not say how many. */
int wr_error_nomem(size_t bytes, const char *what);

/* The whole chain as one line; "" if none. Borrowed until the next error of this thread. */
const char *wr_error_text(void);
int wr_error_code(void);
void wr_error_clear(void);
