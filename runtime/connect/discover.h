/* SPDX-License-Identifier: Apache-2.0 */
/* discover: which files there are under a source's paths: once, or on and on in a watched
 * folder. On the coordinator's thread. */
#pragma once
#include "record/value.h"

struct wr_discovery;
/* Options: path = glob, folder or list of them; watch = bool, every = ms. Copies what it needs. NULL with the
 * error set.
 */
struct wr_discovery *wr_discovery_new(const struct wr_value *options);
void wr_discovery_free(struct wr_discovery *d);
/* Which files of a watched folder were told, as one tagged value; and back, before the first look. */
void wr_discovery_save(const struct wr_discovery *d, struct wr_bytes *out);
int wr_discovery_restore(struct wr_discovery *d, const struct wr_value *saved);
/* Calls `each` for every file that was not told before, in the order of paths, and says in *next_ms when to
 * look again (−1: that was all). WR_EUSER if there is no file where one has to be; an error of `each`. */
int wr_discovery_look(struct wr_discovery *d, int (*each)(void *arg, const char *path, uint64_t size),
		      void *arg, int64_t *next_ms);
