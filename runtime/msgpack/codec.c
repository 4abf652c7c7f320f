/* SPDX-License-Identifier: Apache-2.0 */
/* codec: the module "msgpack": what it offers to the program (module/codec.h). It has no options. */
#include "module/codec.h"
#include "module/module.h"
#include "msgpack/reader.h"
#include "msgpack/writer.h"

static void *reader_new(const struct wr_value *options, const struct wr_notify *wake)
{
	(void)options;
	(void)wake;
	return wr_msgpack_reader_new();
}

static void reader_free(void *reader)
{
	wr_msgpack_reader_free(reader);
}

static int nodes(void *reader, const void *p, size_t len, const struct wr_node **nodes, size_t *count)
{
	return wr_msgpack_read(reader, p, len, nodes, count);
}

static void *writer_new(const struct wr_value *options)
{
	(void)options;
	return wr_msgpack_writer_new();
}

static void writer_free(void *writer)
{
	wr_msgpack_writer_free(writer);
}

static int write(void *writer, const struct wr_elem *row, struct wr_bytes *out)
{
	return wr_msgpack_write(writer, row, out);
}

static const struct wr_codec codec = {
    .reader_new = reader_new,
    .reader_free = reader_free,
    .nodes = nodes,
    .writer_new = writer_new,
    .writer_free = writer_free,
    .write = write,
};

const struct wr_module wr_module = {.version = WR_CODEC_VERSION, .functions = &codec};
