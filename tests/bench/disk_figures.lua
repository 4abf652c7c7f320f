--- disk_figures: state larger than memory, on RocksDB: random keys beside plain C that gets and puts each record, and a
--- hot set beside the backend memory. run.lua lists these figures among the others.
---
--- SCALE=1 is a fifth of 50 million keys in 1 GB; one round, since each figure takes minutes.

local M = {}

local BYTES_A_KEY = 20 -- of memory

local function seconds_of(text)
  return tonumber(text:match '"seconds":([%d.]+)'), text:match '"checksum":"(%x+)"'
end

---@param b weir.Bench
local function job(b, folder, arguments, megabytes)
  local backend = megabytes and ("--state-backend=rocksdb --state-memory=%dM"):format(megabytes) or ""
  return seconds_of(b.capture(("TMPDIR=%s %s/weir run --json --workers=1 %s tests/bench/%s"):format(folder, b.build,
    backend, arguments)))
end

--- Any of all keys, each record; C has the same library and as much memory.
---@param b weir.Bench
local function random_keys(b, folder, keys, megabytes)
  local records = 2 * keys
  local text = b.capture(("%s/ref_rocksdb %d %d %d %s/db"):format(b.out, keys, records, megabytes, folder))
  local c, c_sum = tonumber(text:match '"ns_per_record":([%d.]+)'), text:match '"checksum":"(%x+)"'
  local seconds, sum = job(b, folder, ("keyed_sum.lua keys=%d records=%d"):format(keys, records), megabytes)
  local ns = seconds * 1e9 / records
  if sum ~= c_sum then error(("the checksums differ: C %s, Weir %s"):format(c_sum, sum), 0) end
  b.report("rocksdb, random keys", {
    weir = ("%.0f ns"):format(ns), c = ("%.0f ns"):format(c), ratio = ("%.2f"):format(c / ns), weir_ns = ns, c_ns = c,
    c_by_weir = c / ns, records = records,
    note = ("%g keys in %d MB, C gets and puts each record; goal: ratio 2"):format(keys, megabytes),
  })
end

--- A few hot keys among many that come once and fill the disk: what the records of the hot ones take.
---@param b weir.Bench
local function hot_keys(b, folder, keys, megabytes)
  local records, hot = 50 * keys, keys / 100
  keys, megabytes = keys / 5, math.ceil(megabytes / 2)
  local ns = {}
  for _, bound in ipairs { false, megabytes } do
    local with = job(b, folder, ("hot_keys.lua keys=%d hot=%d records=%d"):format(keys, hot, records), bound or nil)
    local without = job(b, folder, ("hot_keys.lua keys=%d hot=%d records=1"):format(keys, hot), bound or nil)
    ns[bound and "disk" or "memory"] = (with - without) * 1e9 / records
  end
  b.report("rocksdb, hot keys", {
    weir = ("%.1f ns"):format(ns.disk), weir_ns = ns.disk, memory_ns = ns.memory, share = ns.memory / ns.disk,
    records = records,
    note = ("%g hot of %g keys in %d MB: %.2f of the speed of memory (%.1f ns); goal: 0.5"):format(hot, keys, megabytes,
      ns.memory / ns.disk, ns.memory),
  })
end

---@param b weir.Bench
function M.rocksdb(b)
  local keys, folder = b.scaled(10e6), b.out .. "/disk"
  local megabytes = math.max(1, math.floor(keys * BYTES_A_KEY / 1e6))
  for _, measure in ipairs { random_keys, hot_keys } do
    b.capture(("rm -rf %s && mkdir -p %s"):format(folder, folder))
    measure(b, folder, keys, megabytes)
  end
  b.capture("rm -rf " .. folder)
end

return M
