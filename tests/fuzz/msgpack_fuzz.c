/* SPDX-License-Identifier: Apache-2.0 */
/* msgpack_fuzz: input is a message of MessagePack. */
#include "fuzz/messages_in.h"
#include "module/module.h"

extern const struct wr_module wr_module; /* msgpack/codec.c */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct wr_codec *codec = wr_module.functions;
	void *reader = codec->reader_new(NULL, NULL), *writer = codec->writer_new(NULL);

	fuzz_message(codec, reader, writer, reader, data, len);
	codec->reader_free(reader);
	codec->writer_free(writer);
	return 0;
}
