/* SPDX-License-Identifier: Apache-2.0 */
/* disk: see disk.h. */
#include "sim/machine/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "sim/machine/machine.h"

struct disk disk;
static struct disk later; /* what a crash left */

void *must(void *p)
{
	if (!p)
		machine_failed("the simulated disk finds no memory");
	return p;
}

/* ---- bytes and names ---- */

void bytes_set(struct bytes *b, size_t at, const void *p, size_t len)
{
	if (at + len > b->cap) {
		b->cap = 2 * (at + len) + 64;
		b->data = must(realloc(b->data, b->cap));
	}
	if (at > b->len)
		memset(b->data + b->len, 0, at - b->len);
	if (len)
		memcpy(b->data + at, p, len);
	if (at + len > b->len)
		b->len = at + len;
}

static void bytes_copy(struct bytes *to, const struct bytes *from)
{
	to->len = 0;
	bytes_set(to, 0, from->data, from->len);
}

struct entry *names_find(const struct names *n, const char *name)
{
	for (uint32_t i = 0; i < n->count; i++)
		if (!strcmp(n->list[i].name, name))
			return &n->list[i];
	return NULL;
}

/* `inode` NULL: nobody has the name any more. */
void names_set(struct names *n, const char *name, struct inode *inode)
{
	struct entry *e = names_find(n, name);

	if (e && inode) {
		e->inode = inode;
	} else if (e) {
		*e = n->list[--n->count];
	} else if (inode) {
		if (n->count == n->cap) {
			n->cap = 2 * n->cap + 8;
			n->list = must(realloc(n->list, n->cap * sizeof *n->list));
		}
		e = &n->list[n->count++];
		snprintf(e->name, sizeof e->name, "%s", name);
		e->inode = inode;
	}
}

/* ---- inodes ---- */

struct inode *inode_new(struct disk *d, bool is_folder)
{
	struct inode *i = must(calloc(1, sizeof *i));

	i->is_folder = is_folder;
	i->lock = -1;
	i->next = d->all;
	return d->all = i;
}

static void change_drop(struct change *c)
{
	if (--c->users == 0)
		free(c);
}

static void disk_free(struct disk *d)
{
	for (struct inode *i = d->all, *next; i; i = next) {
		next = i->next;
		free(i->data.data);
		free(i->synced.data);
		free(i->names.list);
		free(i->durable.list);
		for (uint32_t k = 0; k < i->change_count; k++)
			change_drop(i->changes[k]);
		free(i->changes);
		free(i);
	}
	*d = (struct disk){NULL, NULL};
}

static void note(struct inode *folder, struct change *c)
{
	if (folder->change_count == folder->change_cap) {
		folder->change_cap = 2 * folder->change_cap + 8;
		folder->changes =
		    must(realloc(folder->changes, folder->change_cap * sizeof(struct change *)));
	}
	folder->changes[folder->change_count++] = c;
	c->users++;
}

/* `inode` gets the name `to_name` (NULL: nobody gets one), and nobody has `from_name` any more. */
void change(struct inode *inode, struct inode *to, const char *to_name, struct inode *from,
	    const char *from_name)
{
	wr_debug("files", "%s -> %s", from ? from_name : "(none)", inode ? to_name : "(none)");
	struct change *c = must(calloc(1, sizeof *c));

	c->inode = inode;
	c->to = inode ? to : NULL;
	c->from = from;
	snprintf(c->to_name, sizeof c->to_name, "%s", inode ? to_name : "");
	snprintf(c->from_name, sizeof c->from_name, "%s", from ? from_name : "");
	if (from)
		names_set(&from->names, from_name, NULL);
	if (inode)
		names_set(&to->names, to_name, inode);
	if (from)
		note(from, c);
	if (inode && to != from)
		note(to, c);
	machine_named(inode && from);
}

/* In the names that are on the disk, on the side of one folder. */
static void change_do(const struct change *c, struct inode *folder)
{
	if (c->from == folder)
		names_set(&folder->durable, c->from_name, NULL);
	if (c->to == folder)
		names_set(&folder->durable, c->to_name, c->inode);
}

void folder_sync(struct inode *folder)
{
	for (uint32_t k = 0; k < folder->change_count; k++) {
		struct change *c = folder->changes[k];

		c->fate = KEPT;
		change_do(c, folder);
		change_drop(c);
	}
	folder->change_count = 0;
}

void file_sync(struct inode *i)
{
	if (i->poisoned || !i->dirty)
		return;
	bytes_copy(&i->synced, &i->data);
	i->dirty = false;
}

/* Pages that a failed sync left behind go with the bytes. */
void truncate_to(struct inode *i, size_t len)
{
	i->dirty |= i->data.len != len;
	i->poisoned &= len > i->synced.len;
	i->data.len = len;
}

/* ---- crashes ---- */

/* How much of what could be lost is: drawn for each loss of power. */
static uint32_t greed;

static bool is_lost(void)
{
	return greed == 0 ? false : greed == 3 ? true : machine_below(3) < greed;
}

/* What was synced and not written over is safe. */
static size_t common(const struct inode *i)
{
	size_t n = 0;

	while (n < i->data.len && n < i->synced.len && i->data.data[n] == i->synced.data[n])
		n++;
	return n;
}

static void file_draw(struct inode *i)
{
	size_t keep;

	if (!i->dirty)
		return;
	if (is_lost()) {
		machine_counts[FILES_LOST]++;
		wr_debug("files", "a file of %zu bytes is as it was, with %zu", i->data.len, i->synced.len);
		bytes_copy(&i->data, &i->synced);
	} else if (is_lost() && i->data.len > common(i)) {
		machine_counts[FILES_TORN]++;
		keep = common(i) + machine_below((uint32_t)(i->data.len - common(i)));
		wr_debug("files", "a file of %zu bytes keeps %zu (%zu synced)", i->data.len, keep,
			 i->synced.len);
		if (machine_one_in(2))
			memset(i->data.data + keep, 0, i->data.len - keep);
		else
			i->data.len = keep;
	}
	bytes_copy(&i->synced, &i->data);
	i->dirty = i->poisoned = false;
}

static void folder_draw(struct inode *folder)
{
	for (uint32_t k = 0; k < folder->change_count; k++) {
		struct change *c = folder->changes[k];

		if (c->fate == UNKNOWN)
			c->fate = is_lost() ? LOST : KEPT;
		if (c->fate == KEPT) {
			change_do(c, folder);
		} else {
			machine_counts[NAMES_LOST]++;
			wr_debug("files", "lost: %s -> %s", c->from_name, c->to_name);
		}
		change_drop(c);
	}
	folder->change_count = 0;
	folder->names.count = 0;
	for (uint32_t k = 0; k < folder->durable.count; k++)
		names_set(&folder->names, folder->durable.list[k].name, folder->durable.list[k].inode);
}

static struct inode *copied(struct inode *i)
{
	return i ? i->copy : NULL;
}

static void copy_names(struct names *to, const struct names *from)
{
	for (uint32_t k = 0; k < from->count; k++)
		names_set(to, from->list[k].name, from->list[k].inode->copy);
}

/* One that is in the lists of two folders stays one. */
static void copy_changes(const struct inode *i)
{
	for (uint32_t k = 0; k < i->change_count; k++) {
		struct change *c = i->changes[k];

		if (!c->copy) {
			c->copy = must(malloc(sizeof *c->copy));
			*c->copy = *c;
			c->copy->users = 0;
			c->copy->inode = copied(c->inode);
			c->copy->to = copied(c->to);
			c->copy->from = copied(c->from);
		}
		note(i->copy, c->copy);
	}
}

/* All of a disk, also what has no name any more. */
static void disk_copy(const struct disk *from, struct disk *to)
{
	*to = (struct disk){NULL, NULL};
	for (struct inode *i = from->all; i; i = i->next)
		i->copy = inode_new(to, i->is_folder);
	for (struct inode *i = from->all; i; i = i->next) {
		i->copy->parent = copied(i->parent);
		bytes_copy(&i->copy->data, &i->data);
		bytes_copy(&i->copy->synced, &i->synced);
		i->copy->dirty = i->dirty;
		i->copy->poisoned = i->poisoned;
		copy_names(&i->copy->names, &i->names);
		copy_names(&i->copy->durable, &i->durable);
		for (uint32_t k = 0; k < i->change_count; k++)
			i->changes[k]->copy = NULL;
	}
	for (struct inode *i = from->all; i; i = i->next)
		copy_changes(i);
	to->root = from->root->copy;
}

void disk_crash(bool power)
{
	disk_copy(&disk, &later);
	if (!power)
		return;
	greed = machine_below(4);
	for (struct inode *i = later.all; i; i = i->next)
		if (!i->is_folder)
			file_draw(i);
	for (struct inode *i = later.all; i; i = i->next)
		if (i->is_folder)
			folder_draw(i);
}

void disk_found(void)
{
	disk_free(&disk);
	disk = later;
	later = (struct disk){NULL, NULL};
}

void disk_init(void)
{
	disk_free(&disk);
	disk.root = inode_new(&disk, true);
	disk.root->parent = disk.root;
}
