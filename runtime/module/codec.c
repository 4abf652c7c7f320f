/* SPDX-License-Identifier: Apache-2.0 */
/* codec: formats of messages that are modules, as the program sees them; see codec.h. */
#include "module/codec.h"
#include "base/error.h"
#include "module/module.h"

const struct wr_codec *wr_codec_load(const char *format)
{
	return wr_module_load(format, WR_CODEC_VERSION);
}

const char *wr_codec_schema_wrong(const char *format, const char *schema, uint32_t len)
{
	const struct wr_codec *codec = wr_codec_load(format);

	return codec && codec->schema_check(schema, len) == WR_OK ? NULL : wr_error_text();
}
