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
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
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
constexpr uint32_t GROUP = 32,
		   SHARED_MIN = 4 * GROUP; /* keys: that the library goes through files for, at most */
constexpr size_t READER_BYTES = 1 << 20;   /* of values that wait for who asked for them */
constexpr int64_t SHARD_MIN = 8 << 20;	   /* of the cache: filters of files are to fit in */
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

namespace
{

/* The keys of one call, of which its caller and the reader take some at a time. */
struct lookup {
	rocksdb::DB *db;
	rocksdb::ColumnFamilyHandle *table;
	const struct wr_disk_bytes *keys;
	uint32_t count;
	std::atomic<uint32_t> next{0};
};

/* Room for those that are looked up at once. */
struct group {
	rocksdb::Slice names[GROUP];
	rocksdb::PinnableSlice values[GROUP];
	rocksdb::Status status[GROUP];
};

/* Looks up the next keys: how many, from *first on; 0: all are taken. */
uint32_t look_up(lookup *l, group *g, uint32_t *first)
{
	rocksdb::ReadOptions o;
	uint32_t n;

	*first = l->next.fetch_add(GROUP, std::memory_order_relaxed);
	if (*first >= l->count)
		return 0;
	n = l->count - *first < GROUP ? l->count - *first : GROUP;
	/* what is asked for comes into memory; of its neighbours in a block the system has a copy */
	o.fill_cache = false;
	for (uint32_t i = 0; i < n; i++) {
		g->values[i].Reset();
		g->names[i] = slice(l->keys[*first + i]);
	}
	if (n == 1)
		g->status[0] = l->db->Get(o, l->table, g->names[0], &g->values[0]);
	else
		l->db->MultiGet(o, l->table, n, g->names, g->values, g->status);
	return n;
}

/* A thread that reads for whoever asks for many keys, one caller at a time; others read alone meanwhile. */
class reader
{
      public:
	struct answer {
		uint32_t i;
		size_t at, len; /* in `bytes` */
	};
	std::vector<answer> answers; /* these: the caller's between `take_back` and the next `offer` */
	std::string bytes;
	rocksdb::Status status;

	~reader()
	{
		{
			std::lock_guard<std::mutex> lock(mutex);
			end = true;
		}
		changed.notify_all();
		if (thread.joinable())
			thread.join();
	}
	/* False: it is at work for another, or there can be no thread. */
	bool offer(lookup *l);
	/* All keys are taken: waits until those that the thread took are read. */
	void take_back()
	{
		std::unique_lock<std::mutex> lock(mutex);
		offered = nullptr;
		changed.wait(lock, [this] { return !busy; });
	}
	/* The answers have been looked at. */
	void give_up()
	{
		std::lock_guard<std::mutex> lock(mutex);
		owned = false;
	}

      private:
	std::mutex mutex;
	std::condition_variable changed;
	std::thread thread;
	lookup *offered = nullptr;
	bool owned = false, busy = false, end = false;
	group g;

	bool start();
	void read(lookup *l)
	{
		uint32_t first, n;

		while (bytes.size() < READER_BYTES && (n = look_up(l, &g, &first)))
			for (uint32_t i = 0; i < n; i++) {
				if (g.status[i].ok()) {
					answers.push_back({first + i, bytes.size(), g.values[i].size()});
					bytes.append(g.values[i].data(), g.values[i].size());
				} else if (!g.status[i].IsNotFound()) {
					status = g.status[i];
				}
				g.values[i].Reset();
			}
	}
	void run()
	{
		std::unique_lock<std::mutex> lock(mutex);

		pthread_setname_np(pthread_self(), "weir-reader");
		rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
		while (!end) {
			lookup *l = offered;

			if (!l) {
				changed.wait(lock);
				continue;
			}
			offered = nullptr;
			busy = true;
			lock.unlock();
			read(l);
			lock.lock();
			busy = false;
			changed.notify_all();
		}
	}
};

bool reader::start()
{
	try {
		thread = std::thread(&reader::run, this);
	} catch (const std::system_error &) {
		return false;
	}
	return true;
}

bool reader::offer(lookup *l)
{
	{
		std::lock_guard<std::mutex> lock(mutex);
		if (owned)
			return false;
		owned = true;
		answers.clear();
		bytes.clear();
		status = rocksdb::Status::OK();
		offered = l;
		if (!thread.joinable() && !start()) {
			owned = false;
			offered = nullptr;
			return false;
		}
	}
	changed.notify_all();
	return true;
}

} // namespace

struct wr_disk_pool {
	std::unique_ptr<rocksdb::Env> env =
	    rocksdb::NewCompositeEnv(std::make_shared<unsynced>(rocksdb::FileSystem::Default()));
	std::shared_ptr<rocksdb::Cache> cache;
	std::shared_ptr<rocksdb::WriteBufferManager> buffers;
	class reader reader;
	int64_t bytes;
};

struct wr_disk {
	rocksdb::DB *db = nullptr;
	std::vector<rocksdb::ColumnFamilyHandle *> tables;
	rocksdb::WriteBatch batch;
	struct wr_disk_pool *pool;
	struct group group;
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
	d->pool = pool;
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
	reader *other = &d->pool->reader;
	struct lookup l = {d->db, d->tables[table], keys, count};
	bool shared = count >= SHARED_MIN && other->offer(&l);
	uint32_t first, n;
	int rc = WR_OK;

	rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
	while ((n = look_up(&l, &d->group, &first)))
		for (uint32_t i = 0; i < n; i++) {
			if (d->group.status[i].ok())
				found(arg, first + i, bytes(d->group.values[i]));
			else if (!d->group.status[i].IsNotFound())
				rc = failed(d->group.status[i]);
			d->group.values[i].Reset();
		}
	if (!shared)
		return rc;
	other->take_back();
	for (const auto &a : other->answers)
		found(arg, a.i, bytes(rocksdb::Slice(other->bytes.data() + a.at, a.len)));
	if (!other->status.ok())
		rc = failed(other->status);
	other->give_up();
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
