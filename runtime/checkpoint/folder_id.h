/* SPDX-License-Identifier: Apache-2.0 */
/* folder_id: a number that is drawn once for a folder of checkpoints and stays with it. What a job stages
 * outside of the folder (part files of sinks) bears it, so that the next run knows its own leftovers, and
 * nobody else's: the folder has one job at a time. Blocks. */
#pragma once
#include "checkpoint/blobs.h"

/* Never 0. WR_OK or an error. */
int wr_folder_id(struct wr_blobs *blobs, uint64_t *number);
