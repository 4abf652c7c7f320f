/* SPDX-License-Identifier: Apache-2.0 */
/* folder_id: see folder_id.h. */
#include "checkpoint/folder_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/error.h"

enum { DIGITS = 16 };
static const char id[] = "id";

static int draw(struct wr_blobs *blobs, uint64_t *number)
{
	char text[DIGITS + 2];

	if (getrandom(number, sizeof *number, 0) != sizeof *number)
		return wr_error_set(WR_EFATAL, "the system gives no random numbers");
	*number |= 1;
	snprintf(text, sizeof text, "%016" PRIx64 "\n", *number);
	return blobs->ops->publish(blobs, id, text, strlen(text));
}

int wr_folder_id(struct wr_blobs *blobs, uint64_t *number)
{
	struct wr_blob_view view;
	char text[DIGITS + 1] = {0};
	int rc = blobs->ops->open(blobs, id, &view);

	if (rc == WR_END)
		return draw(blobs, number);
	if (rc != WR_OK)
		return rc;
	if (view.len >= DIGITS)
		memcpy(text, view.data, DIGITS);
	blobs->ops->close(blobs, &view);
	*number = strtoull(text, NULL, 16);
	return *number ? WR_OK
		       : wr_error_set(WR_EUSER, "%s in the folder of checkpoints is damaged: remove it", id);
}
