/* SPDX-License-Identifier: Apache-2.0 */
/* csv: one record of comma-separated values at a time, where records come whole (format/decoder.h). */
#pragma once
#include <stddef.h>
#include "record/row.h"

/* The cells of the one record in the bytes, and their shape, of a format that was made by wr_csv_format with
 * names of columns. Borrowed until the next. WR_OK; WR_EUSER: *wrong says why it is none, or, if that is
 * NULL, this thread's error does; WR_EFATAL. */
int wr_csv_record(void *format, const uint8_t *p, size_t len, const struct wr_shape **shape,
		  const struct wr_cell **cells, const char **wrong);
