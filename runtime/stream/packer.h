/* SPDX-License-Identifier: Apache-2.0 */
/* packer: blocks of bytes as members of gzip, or frames of zstd, whole each: what is written so far can be
 * unpacked at any time, and a file may be cut behind any of them. One thread at a time. */
#pragma once
#include "base/bytes.h"

enum wr_packing { WR_PACKING_NONE, WR_PACKING_GZIP, WR_PACKING_ZSTD };
/* By name: "none", "gzip", "zstd". WR_EUSER for another. */
int wr_packing_of(const char *name, enum wr_packing *out);

struct wr_packer;
/* `packing` is not NONE; level 0 = the library's default. NULL with the error set. */
struct wr_packer *wr_packer_new(enum wr_packing packing, int level);
void wr_packer_free(struct wr_packer *p);
/* Appends one member or frame. WR_OK or WR_EFATAL. */
int wr_packer_put(struct wr_packer *p, const void *block, size_t len, struct wr_bytes *out);
