/* SPDX-License-Identifier: Apache-2.0 */
/* saved_fuzz: the state of a subtask. Values that are let in must be in bounds when every cell of them is
 * read; what a store takes must come back the same when it is written and read again. Checksums are put right
 * first (first byte odd).
 */
#include "base/assert.h"
#include "base/error.h"
#include "fuzz/blob_in.h"
#include "record/row.h"
#include "savepoint/saved.h"

static struct wr_mem fuzz_mem = WR_MEM_INIT("fuzz");

static const struct wr_state_desc states[] = {
    {.name = "value", .kind = WR_STATE_VALUE},
    {.name = "list", .kind = WR_STATE_LIST},
    {.name = "map", .kind = WR_STATE_MAP},
    {.name = "sum", .kind = WR_STATE_AGGREGATING},
};
enum { STATES = 4 };
/* The last one there is dropped here. */
static const int32_t numbers[STATES + 1] = {0, 1, 2, 3, -1};

static struct wr_store *new_store(void)
{
	return wr_store_new(&(struct wr_store_options){.operator_uid = "fuzz",
						       .states = states,
						       .state_count = STATES,
						       .max_parallelism = 1,
						       .mem = &fuzz_mem});
}

static int read_cells(void *arg, const struct wr_state_item *item)
{
	const struct wr_shape *s = wr_shape(item->value->shape);
	struct wr_bytes *text = arg;

	for (uint32_t i = 0; i < s->count; i++) {
		struct wr_cell cell = wr_row_get(s, item->value->body, i);

		wr_cell_text(&cell, text);
	}
	wr_bytes_put(text, item->key, item->key_len);
	wr_bytes_put(text, item->ns, item->ns_len);
	if (item->map_key_len)
		wr_bytes_put(text, item->map_key, item->map_key_len);
	text->len = 0;
	return WR_OK;
}

/* WR_OK: everything was taken. */
static int load(struct wr_store *store, const uint8_t *p, size_t len)
{
	struct wr_saved_target to = {
	    .store = store, .states = numbers, .state_count = STATES + 1, .max_parallelism = 1};
	struct wr_bytes room = WR_BYTES_EMPTY, text = WR_BYTES_EMPTY;
	struct wr_saved_newer newer = {0};
	struct wr_block_reader in;
	struct wr_block block;
	struct wr_dict dict;
	int rc;

	wr_dict_init(&dict);
	wr_block_reader_init(&in, p, len);
	while ((rc = wr_block_next(&in, &block)) == WR_OK) {
		if (block.kind == WR_BLOCK_SHAPES)
			rc = wr_saved_shapes(&block, &dict);
		if (block.kind == WR_BLOCK_CHANGED) { /* as of a newer blob */
			rc = wr_saved_newer_add(&newer, 0, &block);
			to.newer = &newer;
			to.blob = 1;
		}
		if (block.kind == WR_BLOCK_VALUES)
			rc = wr_saved_each(&block, &dict, &room, read_cells, &text);
		if ((block.kind == WR_BLOCK_VALUES || block.kind == WR_BLOCK_TIMERS) && block.group == 0 &&
		    rc == WR_OK)
			rc = wr_saved_load(&block, &dict, &to);
		if (rc != WR_OK)
			break;
	}
	wr_block_reader_deinit(&in);
	wr_dict_deinit(&dict);
	wr_bytes_deinit(&room);
	wr_bytes_deinit(&text);
	wr_saved_newer_deinit(&newer);
	return rc == WR_END ? WR_OK : rc;
}

struct memory_blob {
	struct wr_blob base;
	struct wr_bytes bytes;
};
static int append(struct wr_blob *blob, const void *p, size_t len)
{
	wr_bytes_put(&((struct memory_blob *)blob)->bytes, p, len);
	return WR_OK;
}

static void save(struct wr_store *store, struct memory_blob *to)
{
	static const struct wr_blobs_ops ops = {.append = append};
	struct wr_frozen *f = wr_store_freeze(store);
	struct wr_block_writer w;

	*to = (struct memory_blob){{&ops, 0}, WR_BYTES_EMPTY};
	wr_block_writer_init(&w, &to->base);
	WR_ASSERT(f && wr_saved_put_store(&w, 0, f, 0, 0) == WR_OK && wr_block_finish(&w) == WR_OK);
	wr_block_writer_deinit(&w);
	wr_frozen_unref(f);
}

static void load_and_save(const uint8_t *p, size_t len)
{
	struct wr_store *store = new_store(), *again = new_store();
	struct memory_blob saved;

	if (load(store, p, len) == WR_OK) {
		save(store, &saved);
		WR_ASSERT(load(again, saved.bytes.data, saved.bytes.len) == WR_OK);
		WR_ASSERT(wr_store_keys(again) == wr_store_keys(store));
		wr_bytes_deinit(&saved.bytes);
	}
	wr_store_free(store);
	wr_store_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t blob_len;
	uint8_t *blob;

	if (len < 1)
		return 0;
	blob = blob_of_input(data, len, &blob_len);
	load_and_save(blob, blob_len);
	free(blob);
	return 0;
}
