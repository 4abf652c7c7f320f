/* SPDX-License-Identifier: Apache-2.0 */
/* disk: what a file system in memory has, and what of it would be found after a loss of power.
 *
 * A file has the bytes that the process sees and those of its last fsync. A folder has the names that the
 * process sees, those of its last fsync, and what was done to it since. After a loss of power each of these
 * changes is there or not, in any mixture: no order is promised that was not asked for. A rename is there as
 * a whole or not at all, in both of its folders. Of what was written and not synced, all, some or nothing is
 * there, or zeros. After a kill everything is there, and what was not synced may still be lost later.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_LEN = 160 };

struct bytes {
	uint8_t *data;
	size_t len, cap;
};
struct inode;
struct entry {
	char name[NAME_LEN];
	struct inode *inode;
};
struct names {
	struct entry *list;
	uint32_t count, cap;
};
/* What was done to a folder and is not synced; a rename is in the lists of both of its folders. */
struct change {
	uint32_t users;
	enum { UNKNOWN, KEPT, LOST } fate;
	struct change *copy;	 /* while the disk is copied */
	struct inode *inode;	 /* that has the new name, NULL = none has */
	struct inode *to, *from; /* folders; `from` NULL: no name goes */
	char to_name[NAME_LEN], from_name[NAME_LEN];
};
struct inode {
	struct inode *next;   /* of the disk */
	struct inode *copy;   /* while the disk is copied */
	struct inode *parent; /* of a folder */
	bool is_folder;
	/* files */
	struct bytes data, synced;
	bool dirty, poisoned; /* poisoned: a sync failed, what was written before is not tried again */
	int lock;	      /* descriptor that has it, -1 = none */
	/* folders */
	struct names names, durable;
	struct change **changes;
	uint32_t change_count, change_cap;
};
/* Inodes live as long as the disk, also without a name. */
struct disk {
	struct inode *all, *root;
};
extern struct disk disk; /* as the process sees it */

/* An empty one, its root synced. */
void disk_init(void);
/* Keeps a copy of it as it would be found now; disk_found puts that in its place. */
void disk_crash(bool power);
void disk_found(void);

/* Ends the program where there is no memory. */
void *must(void *p);
void bytes_set(struct bytes *b, size_t at, const void *p, size_t len);
struct entry *names_find(const struct names *n, const char *name);
/* `inode` NULL: nobody has the name any more. */
void names_set(struct names *n, const char *name, struct inode *inode);
struct inode *inode_new(struct disk *d, bool is_folder);
/* `inode` gets the name `to_name` (NULL: nobody gets one), and nobody has `from_name` any more. */
void change(struct inode *inode, struct inode *to, const char *to_name, struct inode *from,
	    const char *from_name);
/* What was done to it is on the disk. */
void folder_sync(struct inode *folder);
void file_sync(struct inode *i);
/* Pages that a failed sync left behind go with the bytes. */
void truncate_to(struct inode *i, size_t len);
