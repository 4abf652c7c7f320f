--- checkpoint_figures: what checkpoints cost while a job runs, how fast they are written, and how soon a job goes on
--- from one. run.lua lists these figures among the others.

local M = {}

---@class weir.Bench what run.lua gives
---@field build string
---@field out string
---@field rounds integer
---@field scaled fun(n: number): integer
---@field capture fun(command: string): string
---@field median fun(list: number[]): number
---@field report fun(figure: string, fields: table)

local SECONDS = 6 -- of each stretch
local MOMENTS = 5 -- with real-time priority, of each kind

--- Megabytes a second of the disk below `folder`, written as a checkpoint is: in blocks, then synced.
local function raw_speed(b, folder, megabytes)
  local text = b.capture(([[cd %s; dd if=/dev/urandom of=noise bs=1M count=64 2>/dev/null; s=$(date +%%s%%N)
    for i in $(seq %d); do cat noise; done | dd of=raw bs=256k iflag=fullblock conv=fsync 2>/dev/null
    echo took $(($(date +%%s%%N) - s)); rm raw noise]]):format(folder, math.ceil(megabytes / 64)))
  return math.ceil(megabytes / 64) * 64 * 1.048576 / (tonumber(text:match "took (%d+)") / 1e9)
end

local script = [[
export WEIR_RUNTIME_DIR=FOLDER/run
rm -f FOLDER/filled
{
  cut -d' ' -f1 /proc/uptime >FOLDER/started
  PROGRAM run -q --dir FOLDER/state --checkpoint-every 1h --buffer-timeout 1ms -p 2 \
    tests/bench/checkpoint.lua keys=KEYS rate=RATE 2>FOLDER/log &
  echo $! >FOLDER/pid
  wait
} | OUT/checkpoint_gaps FOLDER/filled ROWS >FOLDER/gaps &
until [ -s FOLDER/filled ]; do kill -0 $! || { cat FOLDER/log; exit 1; }; sleep 0.01; done
READER=$(cat FOLDER/filled)
STEPS
kill -9 $(cat FOLDER/pid)
wait
echo started $(cat FOLDER/started)
cat FOLDER/gaps
]]

--- A run of checkpoint.lua until ROWS rows have come, the last ones when they were due, and the steps are done, shell
--- commands with $READER to signal.
local function drive(b, values, steps)
  values.STEPS, values.PROGRAM, values.OUT = steps, b.build .. "/weir", b.out
  local text = script:gsub("STEPS", values):gsub("%u+%f[^%u_]", values)
  local f = assert(io.open(values.FOLDER .. "/drive", "w"))
  f:write(text)
  f:close()
  return b.capture("bash " .. values.FOLDER .. "/drive")
end

local function stretches(text)
  local list = {}
  for line in text:gmatch '{"stretch"[^\n]+' do
    local s = {}
    for name, v in line:gmatch '"([%w_]+)":([%d.]+)' do s[name] = tonumber(v) end
    list[s.stretch] = s
  end
  return list
end

local function checkpoints(text)
  local list = {}
  for line in text:gmatch '{"checkpoint"[^\n]+' do
    local c = { bytes = tonumber(line:match '"bytes":(%d+)'), seconds = tonumber(line:match '"seconds":([%d.]+)') }
    c.mb, c.speed = c.bytes / 1e6, c.bytes / 1e6 / c.seconds
    list[#list + 1] = c
  end
  return list
end

-- Moments with real-time priority for all through which rows go, and first for the shell that times them: the system
-- takes a core away from who has it for most of a second. Beside each with a checkpoint there is one without.
local moments = [[
first() {
  for t in /proc/$(cat FOLDER/pid)/task/*; do
    case $(cat $t/comm) in weir-worker*|weir-io*) chrt $1 -p $2 ${t##*/} ;; esac
  done
  chrt $1 -p $2 $READER
}
moment() {
  chrt -f -p 20 $$; first -f 10; sleep 0.02; kill -USR1 $READER
  if [ $1 = with ]; then chrt -o 0 PROGRAM checkpoint --json checkpoint_bench & fi
  C=$!; sleep 0.4; kill -USR1 $READER; first -o 0; chrt -o -p 0 $$
  if [ $1 = with ]; then wait $C; fi
  sleep 0.4
}
for i in $(seq COUNT); do moment without; moment with; done
]]

-- The longest gaps of the moments, which begin behind stretch `at`, with a checkpoint and without.
local function of_moments(s, at)
  local with, without = {}, {}
  for i = at + 1, at + 4 * MOMENTS, 4 do
    without[#without + 1], with[#with + 1] = s[i].longest_ms, s[i + 2].longest_ms
  end
  return with, without
end

local function longest_gap(b, rate)
  return tonumber(b.capture(("%s/ref_gaps %d 3000"):format(b.out, rate)):match '"longest_us":([%d.]+)') / 1e3
end

--- From the start of the process to its first row.
local function recovery(b, values)
  values.ROWS = 1
  local text = drive(b, values, ":")
  local seconds = tonumber(text:match '"first_ms":([%d.]+)') / 1e3 - tonumber(text:match "started ([%d.]+)")
  b.report("recovery", {
    weir = ("%.2f s"):format(seconds), seconds = seconds,
    note = ("from the start of the process to its first row, %g keys; goal: 2 s, aim 1"):format(values.KEYS),
  })
end

--- A checkpoint of a large state under load, another behind it, and a start from the last of them.
function M.checkpoint(b)
  local keys, rate, folder = b.scaled(10e6), b.scaled(500e3), b.out .. "/checkpoint"
  local values = { FOLDER = folder, KEYS = keys, RATE = rate, ROWS = keys + 2 * rate }
  local stretch = ("; sleep %d; kill -USR1 $READER\n"):format(SECONDS)
  b.capture(("rm -rf %s && mkdir -p -m 700 %s/run"):format(folder, folder))
  local first = os.execute "chrt -f 20 true 2>/dev/null" == 0
  values.COUNT = MOMENTS
  local before = longest_gap(b, rate)
  local text = drive(b, values, "kill -USR1 $READER" .. stretch
    .. ("PROGRAM checkpoint --json checkpoint_bench" .. stretch):rep(2) .. (first and moments or ""))
  local behind = longest_gap(b, rate)
  local s, c = stretches(text), checkpoints(text)
  local raw = raw_speed(b, folder, c[1].mb)
  b.report("checkpoint, longest gap", {
    weir = ("%.1f ms"):format(s[2].longest_ms), full_ms = s[2].longest_ms, second_ms = s[3].longest_ms,
    without_ms = s[1].longest_ms, p999_ms = s[2].p999_ms, without_p999_ms = s[1].p999_ms,
    note = ("without %.1f, with a second one %.1f ms; latency p99.9 with %.1f and %.1f, without %.1f ms; goal: 10 ms")
      :format(s[1].longest_ms, s[3].longest_ms, s[2].p999_ms, s[3].p999_ms, s[1].p999_ms),
  })
  b.report("checkpoint, the machine", {
    longest_ms = math.max(before, behind),
    note = ("two threads that only read the clock, before and behind: a core was gone for up to %.1f and %.1f ms")
      :format(before, behind),
  })
  if first then
    local with, without = of_moments(s, 3)
    b.report("checkpoint, real time", {
      weir = ("%.1f ms"):format(b.median(with)), median_ms = b.median(with), max_ms = math.max(unpack(with)),
      without_median_ms = b.median(without), without_max_ms = math.max(unpack(without)),
      note = ("longest gap, median of %d; max %.1f; without %.1f, max %.1f, where no core is taken from rows "
        .. "(SCHED_FIFO)"):format(MOMENTS, math.max(unpack(with)), b.median(without), math.max(unpack(without))),
    })
  end
  for i, name in ipairs { "full", "second" } do
    b.report("checkpoint, " .. name, {
      weir = ("%.2f s"):format(c[i].seconds), seconds = c[i].seconds, mb = c[i].mb, raw_mb_s = raw,
      share = c[i].speed / raw,
      note = ("%.0f MB of %g keys, %.0f MB/s: %.2f of the disk's %.0f"):format(c[i].mb, keys, c[i].speed,
        c[i].speed / raw, raw),
    })
  end
  recovery(b, values)
  b.capture("rm -rf " .. folder .. "/state")
end

--- What checkpoints of a small state take of the throughput.
function M.checkpoint_cost(b)
  local records, ns = b.scaled(1e9), {}
  local command = ("rm -rf %s/cost; %s/weir run --json --workers=1 %%s tests/bench/keyed_sum.lua keys=1000 records=%d")
    :format(b.out, b.build, records)
  local ways = { "" }
  for _, every in ipairs { "10s", "1s" } do
    table.insert(ways, ("--dir %s/cost --checkpoint-every %s"):format(b.out, every))
  end
  for i = 1, #ways do ns[i] = {} end
  for _ = 1, b.rounds do
    for i, way in ipairs(ways) do
      local seconds = tonumber(b.capture(command:format(way)):match '"seconds":([%d.]+)')
      table.insert(ns[i], seconds * 1e9 / records)
    end
  end
  local without = b.median(ns[1])
  for i, name in ipairs { false, "every 10 s", "every second" } do
    local with = b.median(ns[i])
    if name then
      b.report("checkpoints " .. name, {
        weir = ("%.2f ns"):format(with), weir_ns = with, without_ns = without, loss = with / without - 1,
        note = ("%.1f %% slower than without (%.2f ns), small state; goal: %s"):format((with / without - 1) * 100,
          without, i == 2 and "2 %" or "10 %"),
      })
    end
  end
end

--- Queries of Nexmark with checkpoints every second, beside the same without.
function M.nexmark_checkpoints(b)
  local events = b.scaled(50e6)
  for _, query in ipairs { 0, 1, 2, 3, 4, 5, 7, 8, 11, 12 } do
    local function seconds(options)
      local command = ("rm -rf %s/cost; %s/weir run --json --workers=1 %s jobs/nexmark/q%d.lua count=%d lite=true "
        .. "from=generator sink=checksum"):format(b.out, b.build, options, query, events)
      return tonumber(b.capture(command):match '"seconds":([%d.]+)')
    end
    local with, without = {}, {}
    for i = 1, b.rounds do
      without[i] = seconds ""
      with[i] = seconds(("--dir %s/cost --checkpoint-every 1s"):format(b.out))
    end
    local w, wo = b.median(with), b.median(without)
    b.report(("nexmark q%d, checkpoints"):format(query), {
      weir = ("%.2f M/s"):format(events / w / 1e6), million_per_s = events / w / 1e6, without = events / wo / 1e6,
      loss = w / wo - 1,
      note = ("one a second: %.1f %% slower than without (%.2f M/s); goal: 10 %%"):format((w / wo - 1) * 100,
        events / wo / 1e6),
    })
  end
end

return M
