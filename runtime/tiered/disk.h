/* SPDX-License-Identifier: Apache-2.0 */
/* disk: tables on a disk, from keys to values in the order of the keys' bytes. An interface: its one
 * implementation is the module "rocksdb" (vendor/rocksdb.cc), which is loaded when a job asks for it.
 *
 * A disk is scratch: nothing is synced, and what is left of it after a crash is thrown away. It has one
 * owner, whose thread calls everything but what takes a view. Compaction runs on threads of the library. A
 * read may wait for the device, and `write` while the library is behind with what was written before.
 */
#ifndef WR_TIERED_DISK_H
#define WR_TIERED_DISK_H
#include <stdint.h>

enum { WR_DISK_VERSION = 3 }; /* raised whenever a declaration of this file changes */
enum { WR_DISK_GET_MAX = 512 };

enum wr_disk_table { WR_DISK_ENTRIES, WR_DISK_TIMERS, WR_DISK_TABLES };

struct wr_disk_bytes {
	const uint8_t *p;
	uint32_t len;
};

struct wr_disk_pool; /* memory that disks share */
struct wr_disk;
struct wr_disk_view; /* the content at one moment */

/* Answers are WR_OK, or WR_EFATAL with the error set. */
struct wr_disk_functions {
	/* Write buffers of all disks together stay within half of `bytes`. NULL with the error set. */
	struct wr_disk_pool *(*pool_new)(int64_t bytes);
	void (*pool_free)(struct wr_disk_pool *pool); /* behind its disks */
	/* What is held now, with filters and indexes of the files, which have no bound. */
	int64_t (*pool_bytes)(struct wr_disk_pool *pool);

	/* An empty disk in `folder`, which it makes. With `now_ms` (read atomically, by other threads; lives
	 * longer) each value of the entries begins with 8 bytes, the time in ms from which on it is nothing
	 * and may be dropped; without, with 4 bytes, its stamp. NULL with the error set. */
	struct wr_disk *(*open)(struct wr_disk_pool *pool, const char *folder, const int64_t *now_ms);
	void (*close)(struct wr_disk *d); /* all views are closed */

	/* Both wait for `write`, which does all of them in their order. */
	void (*put)(struct wr_disk *d, enum wr_disk_table table, struct wr_disk_bytes key,
		    struct wr_disk_bytes value);
	void (*remove)(struct wr_disk *d, enum wr_disk_table table, struct wr_disk_bytes key);
	int (*write)(struct wr_disk *d);

	/* Looks `count` (at most WR_DISK_GET_MAX) keys up, the cheaper the nearer they are to those before
	 * them; `found` is called for those that are there, in no order. A thread of the library may read
	 * some of them at the same time. */
	int (*get)(struct wr_disk *d, enum wr_disk_table table, const struct wr_disk_bytes *keys,
		   uint32_t count, void (*found)(void *arg, uint32_t i, struct wr_disk_bytes value),
		   void *arg);
	/* Calls `each` for the keys from `from` on, in their order, until it does not give WR_OK; gives that.
	 * In a view, or with NULL in what is there now. Any thread, with a view. Where all that lies together
	 * has stamps of at most `since`, it may be left out; 0: nothing is. */
	int (*scan)(struct wr_disk *d, const struct wr_disk_view *view, enum wr_disk_table table,
		    struct wr_disk_bytes from, uint32_t since,
		    int (*each)(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value), void *arg);
	/* The last key that is before `end`: `each` is called for it, if there is one. */
	int (*last)(struct wr_disk *d, enum wr_disk_table table, struct wr_disk_bytes end,
		    int (*each)(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value), void *arg);

	/* What was written, until view_close, which any thread may call. */
	struct wr_disk_view *(*view_open)(struct wr_disk *d);
	void (*view_close)(struct wr_disk *d, struct wr_disk_view *view);
};
#endif
