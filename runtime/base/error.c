/* SPDX-License-Identifier: Apache-2.0 */
/* error: the per-thread diagnostics area. */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 8192, FRONT_MAX = 1024 }; /* a text holds a Lua traceback and the shortened record */
static _Thread_local char text[TEXT_MAX];
static _Thread_local int last;

int wr_error_setv(int code, const char *fmt, va_list ap)
{
	char fresh[TEXT_MAX]; /* the arguments may be parts of the old text */

	vsnprintf(fresh, sizeof fresh, fmt, ap);
	memcpy(text, fresh, strlen(fresh) + 1);
	last = code;
	return code;
}

int wr_error_set(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	wr_error_setv(code, fmt, ap);
	va_end(ap);
	return code;
}

int wr_error_wrap(int code, const char *fmt, ...)
{
	char old[TEXT_MAX], front[FRONT_MAX];
	va_list ap;

	memcpy(old, text, strlen(text) + 1);
	va_start(ap, fmt);
	vsnprintf(front, sizeof front, fmt, ap);
	va_end(ap);
	return wr_error_set(code, "%s%s%s", front, *old ? ": " : "", old);
}

int wr_error_nomem(size_t bytes, const char *what)
{
	if (bytes == 0)
		return wr_error_set(WR_EFATAL, "out of memory (for %s)", what);
	return wr_error_set(WR_EFATAL, "out of memory (%zu bytes for %s)", bytes, what);
}

const char *wr_error_text(void)
{
	return text;
}

int wr_error_code(void)
{
	return last;
}

void wr_error_clear(void)
{
	text[0] = 0;
	last = WR_OK;
}
