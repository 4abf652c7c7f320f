/* SPDX-License-Identifier: Apache-2.0 */
/* codec: what a module that holds a format of messages offers: "avro" (runtime/avro/) and "msgpack"
 * (runtime/msgpack/). It is loaded when a job first names the format. */
#ifndef WR_MODULE_CODEC_H
#define WR_MODULE_CODEC_H
#include <stdint.h>

/* NULL: the text is a schema of this format; else why not, borrowed until this thread's next error. Any
 * thread. */
const char *wr_codec_schema_wrong(const char *format, const char *schema, uint32_t len);

#ifndef WR_CDEF
#include <stddef.h>

struct wr_bytes;
struct wr_elem;
struct wr_node;
struct wr_notify;
struct wr_value;

enum { WR_CODEC_VERSION = 2 }; /* raised whenever a declaration of this file changes */

/* A reader and a writer belong to one thread each. `options` are those of the format, of a plan; they are
 * borrowed during the call. */
struct wr_codec {
	/* WR_OK, or WR_EUSER with the error set; NULL: the format has no schemas. */
	int (*schema_check)(const char *schema, size_t len);

	/* NULL with the error set. `wake` is borrowed: fired when it is time to come again with a message for
	 * which something had to be asked for. NULL: who reads waits for it. */
	void *(*reader_new)(const struct wr_value *options, const struct wr_notify *wake);
	void (*reader_free)(void *reader); /* NULL is fine */
	/* The value that a message's bytes are: *count nodes (format/node.h), borrowed until the next call
	 * together with the bytes. WR_OK; WR_AGAIN: what is needed to read them was asked for, come again
	 * with them when woken, or with others; WR_EUSER with the error set: they are none, and where;
	 * WR_ETRANSIENT: what is needed to read them cannot be had now; WR_EFATAL. */
	int (*nodes)(void *reader, const void *p, size_t len, const struct wr_node **nodes, size_t *count);

	/* NULL with the error set. */
	void *(*writer_new)(const struct wr_value *options);
	void (*writer_free)(void *writer); /* NULL is fine */
	/* Appends the row as one message. WR_OK; WR_EUSER with the error set: it can be none, and why (what
	 * was appended counts for nothing); WR_EFATAL. */
	int (*write)(void *writer, const struct wr_elem *row, struct wr_bytes *out);
};

/* By the format's name. NULL with the error set, as of wr_module_load. Any thread. */
const struct wr_codec *wr_codec_load(const char *format);
#endif
#endif
