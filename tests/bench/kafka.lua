--- kafka: jobs between topics beside plain C on librdkafka, with one real broker on the same machine.
--- usage: broker.py with 1 luajit tests/bench/kafka.lua BUILD-FOLDER [FIGURE…]   (ROUNDS=3 SCALE=1 in the environment)
---
--- Rounds alternate between reference and jobs. Broker, reading and writing share the cores, so a figure has two
--- ratios: of the time that passed, and of the processor time of the process alone, which is what a core of its own
--- would give. A job that writes other records than C is an error. A table, and JSON lines in
--- BUILD-FOLDER/bench/kafka.json.

package.path = "tests/bench/?.lua;tests/?.lua;" .. package.path
local ffi = require "ffi"
local kafka = require "support.kafka"
local measured = require "measured"

ffi.cdef [[int getppid(void);]]

local build = arg[1] or "build"
local rounds = tonumber(os.getenv "ROUNDS" or 3)
local scale = tonumber(os.getenv "SCALE" or 1)
local records = math.floor(1e6 * scale)
local out = build .. "/bench"
local cluster = kafka.shared()
local folder = measured.capture("mktemp -d"):match "[^\n]+"
local results = {}
local failed = false

---------------------------------------------------------------- running

local CPU = "%) %u " .. ("%-?%d+ "):rep(10) .. "(%d+) (%d+)" -- of /proc/PID/stat, in hundredths of a second

-- Processor time of the broker so far, in seconds.
local function broker_cpu()
  local text = measured.capture(("cat /proc/$(pgrep -P %d java)/stat"):format(ffi.C.getppid()))
  local user, system = text:match(CPU)
  return (tonumber(user) + tonumber(system)) / 100
end

--- Seconds that passed, processor seconds of the command and of the broker meanwhile.
---@param command string
local function timed(command)
  local before = broker_cpu()
  local text = measured.capture(("bash -c 'TIMEFORMAT=\"passed %%R %%U %%S\"; time %s' 2>&1"):format(command))
  local passed, user, system = text:match "passed ([%d.]+) ([%d.]+) ([%d.]+)"
  return { s = tonumber(passed), cpu = user + system, broker = broker_cpu() - before, text = text }
end

local function ref(arguments, ...)
  return ("%s/ref_kafka %s %s"):format(out, cluster.brokers, arguments:format(...))
end

-- A job from one topic to another.
local function job(name, from, to, options, arguments)
  return ("%s/weir run -q --workers=1 %s tests/bench/%s.lua brokers=%s from=%s to=%s %s"):format(build, options or "",
    name, cluster.brokers, from, to, arguments or "")
end

local function median_of(list, field)
  local values = {}
  for i, run in ipairs(list) do values[i] = run[field] end
  return measured.median(values)
end

-- A checksum of the records that readers of what is committed find in a topic.
local function sum_of(topic)
  return measured.capture(("kcat -b %s -q -C -e -t %s -X isolation.level=read_committed | LC_ALL=C sort | md5sum")
    :format(cluster.brokers, topic))
end

---------------------------------------------------------------- reporting

local function report(figure, fields)
  fields.figure = figure
  results[#results + 1] = fields
  print(("%-34s %9s %9s %9s %9s %9s   %s"):format(figure, fields.rate or "", fields.share or "", fields.core or "",
    fields.core_share or "", fields.broker or "", fields.note or ""))
  io.flush()
end

--- Runs each of `entries` in each round, into a topic of its own: { name =, command = function(topic), beside = name,
--- note = }. What each writes must be the same.
local function race(entries, what)
  local runs, sum = {}, nil
  for _ = 1, rounds do
    for _, entry in ipairs(entries) do
      local topic = cluster:topic { name = "out" }
      local run = timed(entry.command(topic))
      local found = sum_of(topic)
      sum = sum or found
      if found ~= sum then
        failed = true
        print(("%s: %s wrote something else"):format(what, entry.name))
      end
      cluster:delete(topic)
      runs[entry.name] = runs[entry.name] or {}
      table.insert(runs[entry.name], run)
    end
  end
  for _, entry in ipairs(entries) do
    local mine, other = runs[entry.name], runs[entry.beside or ""]
    local s, cpu = median_of(mine, "s"), median_of(mine, "cpu")
    report(("%s, %s"):format(what, entry.name), {
      rate = ("%.0f k/s"):format(records / s / 1e3), core = ("%.0f k/s"):format(records / cpu / 1e3),
      share = other and ("%.2f"):format(median_of(other, "s") / s) or nil,
      core_share = other and ("%.2f"):format(median_of(other, "cpu") / cpu) or nil,
      broker = ("%.2f s"):format(median_of(mine, "broker")), note = entry.note,
    })
  end
end

---------------------------------------------------------------- figures

local source -- filled once

local function filled()
  if not source then
    source = cluster:topic { name = "in" }
    measured.capture(ref("fill %s %d", source, records))
  end
  return source
end

local figures = {}

function figures.count()
  local from = filled()
  local c = ("%s/ref_kafka_count %s %s %%s"):format(out, cluster.brokers, from)
  race({
    { name = "C", command = function(to) return c:format(to) end },
    { name = "Weir", beside = "C", command = function(to) return job("kafka_count", from, to) end,
      note = "goal: 500 k/s a core, 0.6 of C" },
  }, "JSON count")
end

-- A checkpoint a second: of a job that writes once, the time counts until all is committed.
local function durable(guarantee)
  return ("--dir=%s/%s --resume=never --checkpoint-every=1s"):format(folder, guarantee)
end

function figures.copy()
  local from = filled()
  local function c(guarantee)
    return function(to) return ref("copy %s %s %s", from, to, guarantee) end
  end
  local function weir(guarantee, options)
    return function(to) return job("kafka_copy", from, to, options, "guarantee=" .. guarantee) end
  end
  race({
    { name = "C, none", command = c "none" },
    { name = "none", beside = "C, none", command = weir "none", note = "goal: 0.8 of C" },
    { name = "C, acknowledged", command = c "acks" },
    { name = "at least once", beside = "C, acknowledged", command = weir("at_least_once", durable "at_least_once") },
    { name = "C, transactions", command = c "commits" },
    { name = "exactly once", beside = "C, transactions", command = weir("exactly_once", durable "exactly_once") },
    { name = "exactly once (again)", beside = "none", command = weir("exactly_once", durable "exactly_once"),
      note = "beside none; goal: 0.8" },
  }, "copy")
end

--- Runs a job that does not end while messages are paced into it; delays of those behind the first `skip`, in µs.
---@param between fun(from: string, to: string): string the job
local function delays(between, rate, seconds, skip_seconds)
  local from, to = cluster:topic { name = "in" }, cluster:topic { name = "out" }
  local count = rate * seconds
  local reader, writer = ref("delays %s %d %d", to, count, rate * skip_seconds), ref("pace %s %d %d", from, count, rate)
  local text = measured.capture(("bash -c '%s & job=$!; %s & reader=$!; %s; wait $reader; kill $job; wait $job; true'")
    :format(between(from, to), reader, writer))
  cluster:delete(from)
  cluster:delete(to)
  local found = {}
  for name in ("p50 p99 p999 max"):gmatch "%S+" do found[name] = tonumber(text:match('"' .. name .. '":(%d+)')) end
  return found
end

local function ms(us) return ("%.1f"):format(us / 1e3) end

local function report_delays(figure, found, note)
  report(figure, { p50_us = found.p50, p99_us = found.p99, p999_us = found.p999, max_us = found.max,
    note = ("p50 %s  p99 %s  p99.9 %s  max %s ms%s"):format(ms(found.p50), ms(found.p99), ms(found.p999), ms(found.max),
      note or "") })
end

function figures.latency()
  local rate, seconds, skip = 50000, 6, 3
  local function c(linger)
    return function(from, to) return ref("relay %s %s %d %d", from, to, rate * seconds, linger) end
  end
  for _, linger in ipairs { 0, 5 } do
    report_delays(("50 k/s, C, linger %d"):format(linger), delays(c(linger), rate, seconds, skip))
    for _, timeout in ipairs { 0, 1, 10 } do
      report_delays(("50 k/s, buffer_timeout %d, linger %d"):format(timeout, linger), delays(function(from, to)
        return job("kafka_copy", from, to, ("--buffer-timeout=%dms"):format(timeout),
          ("follow=yes hand_over=yes guarantee=none linger=%d"):format(linger))
      end, rate, seconds, skip))
    end
  end
end

function figures.visible()
  for _, run in ipairs { { "100ms", 6 }, { "1s", 9 }, { "10s", 32 } } do
    local every, seconds = run[1], run[2]
    report_delays(("visible, checkpoint every %s"):format(every), delays(function(from, to)
      return job("kafka_copy", from, to, ("--dir=%s/%s --checkpoint-every=%s"):format(folder, to, every),
        "follow=yes guarantee=exactly_once")
    end, 10000, seconds, math.floor(seconds / 3)))
  end
end

--- A job that has nothing to do.
function figures.idle()
  local from, to = cluster:topic { name = "idle", partitions = 64 }, cluster:topic { name = "out" }
  local text = measured.capture(([[bash -c '%s & job=$!; sleep 3; cat /proc/$job/stat; sleep 10; cat /proc/$job/stat;
    grep VmRSS /proc/$job/status; kill $job; wait $job; true']]):format(job("kafka_copy", from, to, "", "follow=yes")))
  local ticks = {}
  for user, system in text:gmatch(CPU) do ticks[#ticks + 1] = user + system end
  report("idle, 64 partitions", {
    note = ("%.2f %% of a core, %.1f MB; goal: 1 %%"):format((ticks[2] - ticks[1]) / 10,
      tonumber(text:match "VmRSS:%s+(%d+)") / 1024),
  })
end

---------------------------------------------------------------- main

local order = { "count", "copy", "latency", "visible", "idle" }
local wanted = #arg > 1 and { unpack(arg, 2) } or order
print(("%-34s %9s %9s %9s %9s %9s"):format("", "passed", "of C", "a core", "of C", "broker"))
local ok, message = pcall(function()
  for _, name in ipairs(wanted) do
    if not figures[name] then error(("there is no figure '%s': %s"):format(name, table.concat(order, ", ")), 0) end
    figures[name]()
  end
end)
os.execute("rm -rf " .. folder)
if not ok then error(message, 0) end
measured.write_results(out .. "/kafka.json", results)
os.exit(failed and 1 or 0)
