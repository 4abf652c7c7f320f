/* SPDX-License-Identifier: Apache-2.0 */
/* rocksdb: the module "rocksdb", RocksDB behind tiered/disk.h. No exception leaves this file but for want of
 * memory, which the library does not survive.
 *
 * Its C interface has no bound over the write buffers of several databases, no batched read of one column
 * family into pinned values, and no compaction filter without a factory; so this is C++.
 */
#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>
#include <rocksdb/write_buffer_manager.h>
#include <cstring>
#include <memory>
#include <vector>
extern "C" {
#include "base/error.h"
#include "module/module.h"
#include "tiered/disk.h"
}

namespace
{

constexpr int64_t BUFFER_MIN = 64 << 10, BUFFER_MAX = 64 << 20;
constexpr size_t BLOCK = 2 << 10; /* of which one key is wanted as a rule */
constexpr int FILTER_BITS = 10, BACKGROUND = 2, BUFFERS = 4;
constexpr int64_t SHARD_MIN = 8 << 20; /* of the cache: filters of files are to fit in */
constexpr int SHARD_BITS_MAX = 4;
constexpr int FILES_BEHIND_SLOW = 24, FILES_BEHIND_STOP = 48; /* of the first level: where a writer waits */
constexpr size_t EXPIRY = 8, STAMP = 4;
constexpr char STAMP_MAX[] = "weir.stamp"; /* of a file */

/* The library would write a log file into each folder. */
struct silent : rocksdb::Logger {
	using rocksdb::Logger::Logv;
	void Logv(const char *, va_list) override
	{
	}
};

/* Files of scratch: nobody waits for the device to have them. */
struct unsynced_file : rocksdb::FSWritableFileOwnerWrapper {
	using rocksdb::FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
	rocksdb::IOStatus Sync(const rocksdb::IOOptions &, rocksdb::IODebugContext *) override
	{
		return rocksdb::IOStatus::OK();
	}
	rocksdb::IOStatus Fsync(const rocksdb::IOOptions &, rocksdb::IODebugContext *) override
	{
		return rocksdb::IOStatus::OK();
	}
};

struct unsynced_folder : rocksdb::FSDirectory {
	rocksdb::IOStatus Fsync(const rocksdb::IOOptions &, rocksdb::IODebugContext *) override
	{
		return rocksdb::IOStatus::OK();
	}
	rocksdb::IOStatus Close(const rocksdb::IOOptions &, rocksdb::IODebugContext *) override
	{
		return rocksdb::IOStatus::OK();
	}
};

struct unsynced : rocksdb::FileSystemWrapper {
	using rocksdb::FileSystemWrapper::FileSystemWrapper;
	const char *Name() const override
	{
		return "weir.unsynced";
	}
	rocksdb::IOStatus NewWritableFile(const std::string &name, const rocksdb::FileOptions &o,
					  std::unique_ptr<rocksdb::FSWritableFile> *file,
					  rocksdb::IODebugContext *debug) override
	{
		std::unique_ptr<rocksdb::FSWritableFile> inner;
		rocksdb::IOStatus status = target()->NewWritableFile(name, o, &inner, debug);

		if (status.ok())
			*file = std::make_unique<unsynced_file>(std::move(inner));
		return status;
	}
	rocksdb::IOStatus NewDirectory(const std::string &, const rocksdb::IOOptions &,
				       std::unique_ptr<rocksdb::FSDirectory> *folder,
				       rocksdb::IODebugContext *) override
	{
		*folder = std::make_unique<unsynced_folder>();
		return rocksdb::IOStatus::OK();
	}
};

struct expiry : rocksdb::CompactionFilter {
	const int64_t *now_ms;

	bool Filter(int, const rocksdb::Slice &, const rocksdb::Slice &value, std::string *,
		    bool *) const override
	{
		int64_t from;

		if (value.size() < EXPIRY)
			return false;
		memcpy(&from, value.data(), EXPIRY);
		return from <= __atomic_load_n(now_ms, __ATOMIC_RELAXED);
	}
	const char *Name() const override
	{
		return "weir.expiry";
	}
};

/* The largest stamp in a file; one with removals counts as new, since it may hide what others hold. */
struct stamps : rocksdb::TablePropertiesCollector {
	uint32_t max = 0;

	rocksdb::Status AddUserKey(const rocksdb::Slice &, const rocksdb::Slice &value,
				   rocksdb::EntryType type, rocksdb::SequenceNumber, uint64_t) override
	{
		uint32_t stamp = UINT32_MAX;

		if (type == rocksdb::kEntryPut && value.size() >= STAMP)
			memcpy(&stamp, value.data(), STAMP);
		max = stamp > max ? stamp : max;
		return rocksdb::Status::OK();
	}
	rocksdb::Status Finish(rocksdb::UserCollectedProperties *to) override
	{
		to->insert({STAMP_MAX, std::string(reinterpret_cast<const char *>(&max), sizeof max)});
		return rocksdb::Status::OK();
	}
	rocksdb::UserCollectedProperties GetReadableProperties() const override
	{
		return {{STAMP_MAX, std::to_string(max)}};
	}
	const char *Name() const override
	{
		return "weir.stamps";
	}
};

struct stamps_factory : rocksdb::TablePropertiesCollectorFactory {
	rocksdb::TablePropertiesCollector *CreateTablePropertiesCollector(Context) override
	{
		return new stamps;
	}
	const char *Name() const override
	{
		return "weir.stamps";
	}
};

bool is_newer(const rocksdb::TableProperties &file, uint32_t since)
{
	auto at = file.user_collected_properties.find(STAMP_MAX);
	uint32_t max = UINT32_MAX;

	if (at != file.user_collected_properties.end() && at->second.size() == sizeof max)
		memcpy(&max, at->second.data(), sizeof max);
	return max > since;
}

rocksdb::Slice slice(struct wr_disk_bytes b)
{
	return rocksdb::Slice(reinterpret_cast<const char *>(b.p), b.len);
}

struct wr_disk_bytes bytes(const rocksdb::Slice &s)
{
	return {reinterpret_cast<const uint8_t *>(s.data()), static_cast<uint32_t>(s.size())};
}

int failed(const rocksdb::Status &status)
{
	return wr_error_set(WR_EFATAL, "state on the disk: %s", status.ToString().c_str());
}

} // namespace

struct wr_disk_pool {
	std::unique_ptr<rocksdb::Env> env =
	    rocksdb::NewCompositeEnv(std::make_shared<unsynced>(rocksdb::FileSystem::Default()));
	std::shared_ptr<rocksdb::Cache> cache;
	std::shared_ptr<rocksdb::WriteBufferManager> buffers;
	int64_t bytes;
};

struct wr_disk {
	rocksdb::DB *db = nullptr;
	std::vector<rocksdb::ColumnFamilyHandle *> tables;
	rocksdb::WriteBatch batch;
	rocksdb::PinnableSlice values[WR_DISK_GET_MAX];
	expiry filter;
};

namespace
{

struct wr_disk_pool *pool_new(int64_t size)
{
	auto *pool = new wr_disk_pool;
	int shard_bits = 0;

	pool->bytes = size;
	while (shard_bits < SHARD_BITS_MAX && size >> (shard_bits + 1) >= SHARD_MIN)
		shard_bits++;
	pool->cache = rocksdb::NewLRUCache(static_cast<size_t>(size), shard_bits);
	/* buffers count as cache: one bound for both */
	pool->buffers =
	    std::make_shared<rocksdb::WriteBufferManager>(static_cast<size_t>(size / 2), pool->cache);
	return pool;
}

void pool_free(struct wr_disk_pool *pool)
{
	delete pool;
}

int64_t pool_bytes(struct wr_disk_pool *pool)
{
	return static_cast<int64_t>(pool->cache->GetUsage());
}

rocksdb::ColumnFamilyOptions table_options(const struct wr_disk_pool *pool)
{
	rocksdb::ColumnFamilyOptions o;
	rocksdb::BlockBasedTableOptions t;
	int64_t buffer = pool->bytes / BUFFERS;

	t.block_cache = pool->cache;
	t.cache_index_and_filter_blocks = true;
	t.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kAll;
	t.filter_policy.reset(rocksdb::NewBloomFilterPolicy(FILTER_BITS));
	t.format_version = 5;
	t.block_size = BLOCK;
	t.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
	o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
	o.write_buffer_size = static_cast<size_t>(buffer < BUFFER_MIN	? BUFFER_MIN
						  : buffer > BUFFER_MAX ? BUFFER_MAX
									: buffer);
	o.max_write_buffer_number = BUFFERS;
	o.target_file_size_base = o.write_buffer_size;
	o.max_bytes_for_level_base = BUFFERS * o.write_buffer_size;
	o.memtable_whole_key_filtering = true;
	o.memtable_prefix_bloom_size_ratio = 0.05;
	o.level_compaction_dynamic_level_bytes = true;
	o.level0_slowdown_writes_trigger = FILES_BEHIND_SLOW;
	o.level0_stop_writes_trigger = FILES_BEHIND_STOP;
	o.soft_pending_compaction_bytes_limit = 0;
	o.hard_pending_compaction_bytes_limit = 0;
	o.compression = rocksdb::kLZ4Compression;
	return o;
}

struct wr_disk *disk_open(struct wr_disk_pool *pool, const char *folder, const int64_t *now_ms)
{
	auto d = std::make_unique<wr_disk>();
	rocksdb::DBOptions o;
	rocksdb::Status status;
	auto entries = table_options(pool), timers = entries;

	/* they come many at a time in the order of their keys: where the last one went is near the next one's
	 * place */
	entries.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(0));
	o.create_if_missing = o.create_missing_column_families = o.error_if_exists = true;
	o.info_log = std::make_shared<silent>();
	o.env = pool->env.get();
	o.max_background_jobs = BACKGROUND;
	o.avoid_flush_during_shutdown = true;
	o.stats_dump_period_sec = o.stats_persist_period_sec = 0;
	o.write_buffer_manager = pool->buffers;
	o.allow_concurrent_memtable_write = false;
	if (now_ms) {
		d->filter.now_ms = now_ms;
		entries.compaction_filter = &d->filter;
	} else {
		entries.table_properties_collector_factories.push_back(std::make_shared<stamps_factory>());
	}
	status =
	    rocksdb::DB::Open(o, folder, {{rocksdb::kDefaultColumnFamilyName, entries}, {"timers", timers}},
			      &d->tables, &d->db);
	if (status.ok())
		return d.release();
	failed(status);
	return nullptr;
}

void disk_close(struct wr_disk *d)
{
	rocksdb::CancelAllBackgroundWork(d->db, true);
	for (auto *table : d->tables)
		d->db->DestroyColumnFamilyHandle(table);
	d->db->Close();
	delete d->db;
	delete d;
}

void disk_put(struct wr_disk *d, enum wr_disk_table table, struct wr_disk_bytes key,
	      struct wr_disk_bytes value)
{
	d->batch.Put(d->tables[table], slice(key), slice(value));
}

void disk_remove(struct wr_disk *d, enum wr_disk_table table, struct wr_disk_bytes key)
{
	d->batch.Delete(d->tables[table], slice(key));
}

int disk_write(struct wr_disk *d)
{
	rocksdb::WriteOptions o;
	rocksdb::Status status;

	if (!d->batch.Count())
		return WR_OK;
	o.disableWAL = true;
	status = d->db->Write(o, &d->batch);
	d->batch.Clear();
	return status.ok() ? WR_OK : failed(status);
}

int disk_get(struct wr_disk *d, enum wr_disk_table table, const struct wr_disk_bytes *keys, uint32_t count,
	     void (*found)(void *arg, uint32_t i, struct wr_disk_bytes value), void *arg)
{
	rocksdb::Slice names[WR_DISK_GET_MAX];
	rocksdb::Status status[WR_DISK_GET_MAX];
	rocksdb::ReadOptions o;
	int rc = WR_OK;

	/* what is asked for comes into memory; of its neighbours in a block the system has a copy */
	o.fill_cache = false;
	rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
	for (uint32_t i = 0; i < count; i++)
		names[i] = slice(keys[i]);
	if (count == 1)
		status[0] = d->db->Get(o, d->tables[table], names[0], &d->values[0]);
	else
		d->db->MultiGet(o, d->tables[table], count, names, d->values, status);
	for (uint32_t i = 0; i < count; i++) {
		if (status[i].ok())
			found(arg, i, bytes(d->values[i]));
		else if (!status[i].IsNotFound())
			rc = failed(status[i]);
		d->values[i].Reset();
	}
	return rc;
}

int disk_scan(struct wr_disk *d, const struct wr_disk_view *view, enum wr_disk_table table,
	      struct wr_disk_bytes from, uint32_t since,
	      int (*each)(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value), void *arg)
{
	rocksdb::ReadOptions o;
	int rc = WR_OK;

	if (since)
		o.table_filter = [since](const rocksdb::TableProperties &file) {
			return is_newer(file, since);
		};

	o.snapshot = reinterpret_cast<const rocksdb::Snapshot *>(view);
	o.fill_cache = false;
	std::unique_ptr<rocksdb::Iterator> at(d->db->NewIterator(o, d->tables[table]));
	for (at->Seek(slice(from)); at->Valid() && rc == WR_OK; at->Next())
		rc = each(arg, bytes(at->key()), bytes(at->value()));
	return rc == WR_OK && !at->status().ok() ? failed(at->status()) : rc;
}

int disk_last(struct wr_disk *d, enum wr_disk_table table, struct wr_disk_bytes end,
	      int (*each)(void *arg, struct wr_disk_bytes key, struct wr_disk_bytes value), void *arg)
{
	std::unique_ptr<rocksdb::Iterator> at(d->db->NewIterator({}, d->tables[table]));

	at->SeekForPrev(slice(end));
	if (at->Valid())
		return each(arg, bytes(at->key()), bytes(at->value()));
	return at->status().ok() ? WR_OK : failed(at->status());
}

struct wr_disk_view *view_open(struct wr_disk *d)
{
	return reinterpret_cast<struct wr_disk_view *>(const_cast<rocksdb::Snapshot *>(d->db->GetSnapshot()));
}

void view_close(struct wr_disk *d, struct wr_disk_view *view)
{
	d->db->ReleaseSnapshot(reinterpret_cast<const rocksdb::Snapshot *>(view));
}

const struct wr_disk_functions functions = {
    pool_new,	pool_free, pool_bytes, disk_open, disk_close, disk_put,	  disk_remove,
    disk_write, disk_get,  disk_scan,  disk_last, view_open,  view_close,
};

} // namespace

extern "C" const struct wr_module wr_module = {WR_DISK_VERSION, &functions};
