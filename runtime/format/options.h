/* SPDX-License-Identifier: Apache-2.0 */
/* options: the option `format` of sources and sinks, which is a name, or a record with the
 * name as `kind` and the format's own options beside it. */
#pragma once
#include "record/value.h"

static inline const char *wr_option_format(const struct wr_value *options, const char *fallback)
{
	const struct wr_value *format = wr_value_get(options, "format");

	if (format && format->tag == WR_V_RECORD)
		return wr_value_str(format, "kind", fallback);
	return wr_value_str(options, "format", fallback);
}

/* The format's own options: fields of the record, or of the option `csv`. */
static inline const struct wr_value *wr_option_csv(const struct wr_value *options)
{
	const struct wr_value *format = wr_value_get(options, "format");

	return format && format->tag == WR_V_RECORD ? format : wr_value_get(options, "csv");
}
