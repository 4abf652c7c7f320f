/* SPDX-License-Identifier: Apache-2.0 */
/* changes: numbers by which a store knows its entries, wherever they are, and which of them have changed
 * between two versions; seen by tiered/ only.
 *
 * An entry has its number from when it is made until it ends, in memory and on the disk; then another may get
 * it, so that numbers stay about as many as entries. What changes is noted in a set of bits, one set for each
 * stretch between two versions. Sets that are closed are read by other threads, and live as long as a version
 * names them; the last few stay for versions to come.
 *
 *   version 3      version 7      version 8      now
 *      ├── changed ──┼── changed ──┼── changed ─▶
 *
 * The owner's thread but where it says otherwise.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

enum { STRETCHES_MAX = 8 }; /* that are remembered: more than snapshots that may be gone on from */

/* A set of numbers, a page at a time. */
struct bits {
	uint64_t **pages;
	uint32_t page_count;
};
/* WR_OK or WR_EFATAL. */
int wr_bits_set(struct bits *b, uint32_t n);
bool wr_bits_has(const struct bits *b, uint32_t n);
/* Appends the numbers (a uint32_t each, ascending). WR_OK or WR_EFATAL. */
int wr_bits_put(const struct bits *b, struct wr_bytes *to);
void wr_bits_deinit(struct bits *b);

struct stretch {
	_Atomic uint32_t refs;
	uint32_t after; /* epoch of the version at its begin */
	struct bits changed;
};

/* What a version knows of what has changed; oldest first, without gaps. */
struct stretches {
	struct stretch *all[STRETCHES_MAX];
	uint32_t count;
};
/* Any thread. */
void wr_stretches_unref(struct stretches *s);
/* Puts all that has changed since the version `since` into `to`; WR_END: that is too long ago. Any thread. */
int wr_stretches_changed(const struct stretches *s, uint32_t since, struct bits *to);

enum { SPARE_MAX = 256 };
struct changes {
	uint32_t last;		   /* number that was given out */
	uint32_t spare[SPARE_MAX]; /* numbers to be given out again */
	uint32_t spare_count, at;  /* `at`: page of `ended` where more are looked for */
	struct bits ended;	   /* the other ones */
	uint32_t ended_count;
	struct stretch *open; /* NULL: there is no version yet */
	struct stretches closed;
};

void wr_changes_deinit(struct changes *c);
/* A number for an entry; 0 with the error set: no memory, or no number. */
uint32_t wr_changes_number(struct changes *c);
/* Its entry has ended. WR_OK or WR_EFATAL. */
int wr_changes_end(struct changes *c, uint32_t number);
/* Its entry has changed. WR_OK or WR_EFATAL. */
int wr_changes_note(struct changes *c, uint32_t number);
/* There is a version with this epoch: a stretch ends. *known: what the version knows. WR_OK or WR_EFATAL. */
int wr_changes_close(struct changes *c, uint32_t epoch, struct stretches *known);
