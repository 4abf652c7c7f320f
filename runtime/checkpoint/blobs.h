/* SPDX-License-Identifier: Apache-2.0 */
/* blobs: where everything durable goes, as one small table of functions, so that a folder of this machine
 * and, later, a bucket of another one look alike.
 *
 * An id is a relative path of one folder and a name ("chk-12/3-0.state") or a name alone; ids are all that
 * other files remember of a blob, so that the whole can be moved. A blob is written once and read many
 * times; nothing is changed in place. When `commit` or `publish` gives WR_OK the bytes are on the disk under
 * their id and survive the loss of power.
 *
 * All functions may block: they are called on I/O threads, or before a job runs. One blob has one writer;
 * the table itself may be used by several threads.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_blobs;

/* A blob that is being written. */
struct wr_blob {
	const struct wr_blobs_ops *ops;
	uint64_t bytes; /* appended so far */
};
/* The bytes of a blob; borrowed until `close`. */
struct wr_blob_view {
	const uint8_t *data;
	size_t len;
};

struct wr_blobs_ops {
	/* A new blob; one that a dead process left under this id is written over. NULL with the error set. */
	struct wr_blob *(*begin)(struct wr_blobs *b, const char *id);
	/* WR_EFATAL: the disk refused; the blob is still to be committed (which fails) or discarded. */
	int (*append)(struct wr_blob *blob, const void *p, size_t len);
	/* Durable, and gives the blob up, also with an error. */
	int (*commit)(struct wr_blob *blob);
	void (*discard)(struct wr_blob *blob);
	/* A small blob that appears as a whole or not at all. WR_EUSER if there is one of this id. */
	int (*publish)(struct wr_blobs *b, const char *id, const void *p, size_t len);
	/* Whether there is one of this id is relied upon now, and who published or removed it may have died
	 * before that was durable: makes it so. Its folder is there. Only of stores that checkpoints are
	 * taken in. */
	int (*keep)(struct wr_blobs *b, const char *id);
	/* WR_OK, WR_END: there is none of this id, or an error. */
	int (*open)(struct wr_blobs *b, const char *id, struct wr_blob_view *out);
	void (*close)(struct wr_blobs *b, struct wr_blob_view *view);
	/* Calls `each` for the names in `folder` ("" = the top), in no order, until it gives no WR_OK, and
	 * gives that. A folder that is not there is empty. */
	int (*list)(struct wr_blobs *b, const char *folder, int (*each)(void *arg, const char *name),
		    void *arg);
	/* A blob, or a folder that is empty. One that is not there is fine. */
	int (*remove)(struct wr_blobs *b, const char *id);
	void (*free)(struct wr_blobs *b);
};
struct wr_blobs {
	const struct wr_blobs_ops *ops;
};

/* The folder `path`. With `lock` it is made if its parent is there, and ours alone until it is freed: a
 * second job in it is an error. NULL with the error set. */
struct wr_blobs *wr_blobs_folder(const char *path, bool lock);
/* In memory, until it is freed: for tests. NULL with the error set. */
struct wr_blobs *wr_blobs_memory(void);
