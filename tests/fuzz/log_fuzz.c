/* SPDX-License-Identifier: Apache-2.0 */
/* log_fuzz: an epoch of an exactly-once sink, in its blob. Rows that are let in must be in bounds when every
 * cell of them is read, as many as were said, and the same when the blob is read again. Checksums are put
 * right first (first byte odd); the second byte says how many rows the checkpoint speaks of.
 */
#include "base/assert.h"
#include "base/error.h"
#include "commit/epoch_log.h"
#include "fuzz/blob_in.h"
#include "record/row.h"

enum { LINEAGE = 7 };

static uint64_t read_rows(struct wr_epoch_rows *rows, uint64_t *sum, int *rc)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	const uint8_t *p, *end;
	uint64_t count = 0;

	*sum = 0;
	while ((*rc = wr_epoch_rows_next(rows, &p, &end)) == WR_OK)
		for (; p < end; p += ((const struct wr_elem *)p)->len, count++) {
			const struct wr_shape *s = wr_shape(wr_elem_shape((const struct wr_elem *)p));

			text.len = 0;
			for (uint32_t i = 0; i < s->count; i++) {
				struct wr_cell cell =
				    wr_row_get(s, wr_elem_body((const struct wr_elem *)p), i);

				wr_cell_text(&cell, &text);
			}
			*sum = XXH3_64bits_withSeed(text.data, text.len, *sum);
		}
	wr_bytes_deinit(&text);
	return count;
}

static void read_twice(struct wr_blobs *blobs, const struct wr_epoch *e)
{
	uint64_t count[2] = {0, 0}, sum[2] = {0, 0}, counted;
	int rc[2];

	for (int i = 0; i < 2; i++) {
		struct wr_epoch_rows rows;

		rc[i] = wr_epoch_rows_open(&rows, blobs, "sink", e);
		if (rc[i] == WR_OK)
			count[i] = read_rows(&rows, &sum[i], &rc[i]);
		wr_epoch_rows_close(&rows);
	}
	WR_ASSERT(rc[0] == rc[1] && count[0] == count[1] && sum[0] == sum[1]);
	WR_ASSERT(rc[0] != WR_END || count[0] == e->rows);
	wr_epoch_log_count(blobs, "sink", LINEAGE, 0, 0, e->number, &counted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_epoch e = {.lineage = LINEAGE, .number = 1};
	struct wr_blobs *blobs;
	struct wr_blob *blob;
	char id[WR_HISTORY_ID];
	size_t blob_len;
	uint8_t *bytes;

	if (len < 2)
		return 0;
	e.rows = data[1];
	bytes = malloc(len);
	bytes[0] = data[0];
	memcpy(bytes + 1, data + 2, len - 2);
	blobs = wr_blobs_memory();
	wr_history_log_id("sink", 0, 0, id);
	blob = blobs->ops->begin(blobs, id);
	{
		uint8_t *mended = blob_of_input(bytes, len - 1, &blob_len);

		WR_ASSERT(blob->ops->append(blob, mended, blob_len) == WR_OK &&
			  blob->ops->commit(blob) == WR_OK);
		free(mended);
	}
	read_twice(blobs, &e);
	blobs->ops->free(blobs);
	free(bytes);
	return 0;
}
