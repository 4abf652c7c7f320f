/* SPDX-License-Identifier: Apache-2.0 */
/* avro_fuzz: input is the schema that a message was written with, that of the record (empty: the same), each
 * with a zero behind it, and the message. A record need not pass back and forth unchanged: a union takes the
 * first type that fits.
 */
#include "avro/codec.h"
#include "fuzz/messages_in.h"

/* The text up to the next zero; moves behind it. */
static struct wr_str take(const uint8_t **p, const uint8_t *end)
{
	const uint8_t *zero = *p < end ? memchr(*p, 0, (size_t)(end - *p)) : NULL;
	struct wr_str s = {(const char *)*p, (uint32_t)((zero ? zero : end) - *p)};

	*p = zero ? zero + 1 : end;
	return s;
}

static void try(const struct wr_value *options, const uint8_t *p, size_t len)
{
	void *reader = wr_avro_codec.reader_new(options, NULL), *writer = wr_avro_codec.writer_new(options);

	if (reader)
		fuzz_message(&wr_avro_codec, reader, writer, NULL, p, len);
	wr_avro_codec.reader_free(reader);
	wr_avro_codec.writer_free(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len;
	struct wr_str written = take(&data, end), schema = take(&data, end);
	struct wr_value keys[] = {{.tag = WR_V_STR, .str = {"schema", 6}},
				  {.tag = WR_V_STR, .str = {"writer_schema", 13}}};
	struct wr_value items[] = {{.tag = WR_V_STR}, {.tag = WR_V_STR, .str = {written.p, written.len}}};
	struct wr_value options = {
	    .tag = WR_V_RECORD, .count = schema.len ? 2 : 1, .keys = keys, .items = items};

	items[0].str.p = schema.len ? schema.p : written.p;
	items[0].str.len = schema.len ? schema.len : written.len;
	try(&options, data, (size_t)(end - data));
	return 0;
}
