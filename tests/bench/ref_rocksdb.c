/* SPDX-License-Identifier: Apache-2.0 */
/* ref_rocksdb: the sum of a field per key as ref_keyed_sum, with all sums in RocksDB: one get and one put a
 * record. usage: ref_rocksdb [keys] [records] [megabytes] [folder]
 *
 * The library has what the engine's backend gives it: filters, also of write buffers, which stay in memory
 * with indexes; LZ4, blocks of 2 KiB that are read past the cache, two threads behind, no log, nothing synced
 * but what it syncs by itself; a quarter of the memory is write buffers. The folder is made, and is to be
 * removed by the caller.
 */
#include <rocksdb/c.h>
#include <string.h>
#include "ref_table.h"

enum {
	FILTER_BITS = 10,
	BEHIND = 2,
	BUFFERS = 4,
	BUFFER_MAX = 64 << 20,
	KEY = 9,
	FORMAT = 5,
	BLOCK = 2 << 10
};
#define FILTER_OF_BUFFER 0.05

static void check(const char *error)
{
	if (!error)
		return;
	fprintf(stderr, "%s\n", error);
	exit(1);
}

static rocksdb_t *open_in(const char *folder, size_t bytes)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	size_t buffer = bytes / 4 / BUFFERS;
	char *error = NULL;
	rocksdb_t *db;

	rocksdb_block_based_options_set_block_cache(t, rocksdb_cache_create_lru(bytes - bytes / 4));
	rocksdb_block_based_options_set_block_size(t, BLOCK);
	rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS));
	rocksdb_block_based_options_set_format_version(t, FORMAT);
	rocksdb_block_based_options_set_data_block_index_type(
	    t, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_options_set_memtable_whole_key_filtering(o, 1);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, FILTER_OF_BUFFER);
	rocksdb_options_set_create_if_missing(o, 1);
	buffer = buffer < BUFFER_MAX ? buffer : BUFFER_MAX;
	rocksdb_options_set_write_buffer_size(o, buffer);
	rocksdb_options_set_target_file_size_base(o, buffer);
	rocksdb_options_set_max_bytes_for_level_base(o, BUFFERS * buffer);
	rocksdb_options_set_max_write_buffer_number(o, BUFFERS);
	rocksdb_options_set_compression(o, rocksdb_lz4_compression);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_max_background_jobs(o, BEHIND);
	db = rocksdb_open(o, folder, &error);
	check(error);
	return db;
}

struct access {
	rocksdb_t *db;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
};

static void add(const struct access *a, double key, double value)
{
	struct key k;
	char *error = NULL;
	rocksdb_pinnableslice_t *before;
	size_t len;

	key_number(&k, key);
	before = rocksdb_get_pinned(a->db, a->read, (const char *)k.bytes, KEY, &error);
	check(error);
	if (before)
		value += get_f64((const uint8_t *)rocksdb_pinnableslice_value(before, &len));
	rocksdb_pinnableslice_destroy(before);
	rocksdb_put(a->db, a->write, (const char *)k.bytes, KEY, (const char *)&value, sizeof value, &error);
	check(error);
}

static uint64_t checksum(const struct access *a)
{
	rocksdb_iterator_t *at = rocksdb_create_iterator(a->db, a->read);
	uint64_t sum = 0;

	for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
		size_t len;
		int64_t key;
		double row[2];

		memcpy(&key, rocksdb_iter_key(at, &len) + 1, 8);
		row[0] = (double)key;
		row[1] = get_f64((const uint8_t *)rocksdb_iter_value(at, &len));
		sum += XXH3_64bits(row, sizeof row);
	}
	rocksdb_iter_destroy(at);
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t keys = argument(argc, argv, 1, 5e6), records = argument(argc, argv, 2, 10e6);
	size_t bytes = argument(argc, argv, 3, 100) << 20;
	struct access a = {open_in(argc > 4 ? argv[4] : "ref_rocksdb.scratch", bytes),
			   rocksdb_readoptions_create(), rocksdb_writeoptions_create()};
	char figure[40];
	double start = now_s();
	uint64_t sum;

	rocksdb_writeoptions_disable_WAL(a.write, 1);
	rocksdb_readoptions_set_fill_cache(a.read, 0);
	for (uint64_t i = 0; i < records; i++)
		add(&a, (double)random_below(1, i, keys), (double)(i % 1000));
	sum = checksum(&a);
	snprintf(figure, sizeof figure, "keyed_sum_%" PRIu64, keys);
	result_hex(figure, now_s() - start, records, sum);
	rocksdb_cancel_all_background_work(a.db, 1);
	rocksdb_close(a.db);
	return 0;
}
