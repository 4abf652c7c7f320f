--- run: each figure of the benchmark, Weir beside the same work in hand-written C, in the same run.
--- usage: luajit tests/bench/run.lua BUILD-FOLDER [FIGURE…]   (ROUNDS=5 SCALE=1 in the environment)
---
--- Rounds alternate between reference and job, and each figure is the median of its rounds, so what
--- else the machine does hits both. A checksum that differs from C's is an error: the figure would be
--- that of other work. Prints a table; JSON lines, a line a figure, go to BUILD-FOLDER/bench/result.json,
--- plots to BUILD-FOLDER/bench/*.svg.

package.path = "tests/bench/?.lua;" .. package.path
local measured = require "measured"
local plot = require "plot"

local build = arg[1] or "build"
local rounds = tonumber(os.getenv "ROUNDS" or 5)
local scale = tonumber(os.getenv "SCALE" or 1)
local out = build .. "/bench"
local failed = false

---------------------------------------------------------------- running

local capture, median = measured.capture, measured.median

--- Nanoseconds a record and checksum of a reference.
local function reference(command)
  local text = capture(out .. "/" .. command)
  return tonumber(text:match '"ns_per_record":([%d.]+)'), text:match '"checksum":"?([%w.+-]+)'
end

-- Checksums of several subtasks add up modulo 2^64. They are 16 hexadecimal digits.
local function checksum_of(text)
  local sum, count, last = 0ULL, 0, nil
  for hex in text:gmatch '"checksum":"(%x+)"' do
    sum = sum + tonumber(hex:sub(1, 8), 16) * 4294967296ULL + tonumber(hex:sub(9), 16)
    count, last = count + 1, hex
  end
  if count < 2 then return last end
  return ("%08x%08x"):format(tonumber(sum / 4294967296ULL), tonumber(sum % 4294967296ULL))
end

--- Nanoseconds a record, checksum, megabytes and seconds of a job, from its own summary.
local function job(command, records)
  local text = capture(("%s/weir run --json %s"):format(build, command))
  local seconds = tonumber(text:match '"seconds":([%d.]+)')
  return {
    ns = seconds * 1e9 / records, seconds = seconds,
    checksum = checksum_of(text) or text:match '"sum":([%d.e+-]+)',
    mb = tonumber(text:match '"resident_bytes_max":(%d+)') / 1e6,
    text = text,
  }
end

local function same(a, b)
  return a == b or (tonumber(a) and tonumber(b) and tonumber(a) == tonumber(b))
end

---------------------------------------------------------------- reporting

local results = {}

local function report(figure, fields)
  fields.figure = figure
  results[#results + 1] = fields
  print(("%-28s %10s %10s %7s   %s"):format(figure, fields.weir or "", fields.c or "", fields.ratio or "",
    fields.note or ""))
end

--- Measures one figure: `c` and `weir` are commands, `goal` what is asked for.
local function beside(figure, records, c, weir, goal)
  local c_ns, w_ns, mb = {}, {}, 0
  local c_sum, w
  for i = 1, rounds do
    c_ns[i], c_sum = reference(c)
    w = job(weir, records)
    w_ns[i], mb = w.ns, math.max(mb, w.mb)
  end
  local cm, wm = median(c_ns), median(w_ns)
  local note = goal
  if not same(c_sum, w.checksum) then
    failed = true
    note = ("CHECKSUM DIFFERS: C %s, Weir %s"):format(c_sum, w.checksum)
  end
  report(figure, {
    weir = ("%.1f ns"):format(wm), c = ("%.1f ns"):format(cm), ratio = ("%.2f"):format(cm / wm),
    weir_ns = wm, c_ns = cm, c_by_weir = cm / wm, records = records, mb = mb, note = note,
  })
end

---------------------------------------------------------------- figures

local figures, order = {}, {}
local function figure(name, fn)
  figures[name] = fn
  order[#order + 1] = name
end

local function scaled(n) return math.floor(n * scale) end

figure("chain", function()
  local n = math.max(1, math.floor(scaled(50e6) / 4096)) * 4096 -- whole passes over the distinct rows
  beside("chain", n, ("ref_chain %d"):format(n), ("tests/bench/chain.lua records=%d"):format(n),
    "goal: ratio 0.33, 35 ns")
end)

figure("word_count", function()
  local n = scaled(50e6)
  local text = ("%s/words-%d.txt"):format(out, n)
  local there = io.open(text)
  if there then there:close() else capture(("%s/words_text %s %d"):format(out, text, n)) end
  for workers, goal in ipairs { "goal: ratio 0.35, aim 0.6", "goal: ratio 0.55, aim 1.0" } do
    for _, by in ipairs { "words", "lua" } do
      local name = ("word_count%s, %d worker%s"):format(by == "lua" and " in Lua" or "", workers,
        workers > 1 and "s" or "")
      beside(name, n, "ref_word_count " .. text,
        ("--workers=%d -p %d tests/bench/word_count.lua input=%s by=%s"):format(workers, workers, text, by), goal)
    end
  end
end)

figure("keyed_sum", function()
  for _, keys in ipairs { 1e3, 1e6, 1e7 } do
    local n = scaled(30e6)
    beside(("keyed_sum, %g keys"):format(keys), n, ("ref_keyed_sum %d %d"):format(keys, n),
      ("--workers=1 tests/bench/keyed_sum.lua keys=%d records=%d"):format(keys, n), "goal: ratio 0.5")
  end
end)

figure("process", function()
  for _, f in ipairs { { 1e3, "goal: 80 ns" }, { 1e6, "goal: 250 ns" } } do
    local n = scaled(10e6)
    beside(("process, %g keys"):format(f[1]), n, ("ref_process %d %d"):format(f[1], n),
      ("--workers=1 tests/bench/process.lua keys=%d records=%d"):format(f[1], n), f[2])
  end
end)

--- Windows beside the same stream without them. Slides of a thousand keys: all within 1.5 of each other; with one
--- record a key and slide each record gives `ratio` results, and what counts is the cost of a result.
figure("windows", function()
  local cases = { { "none", "kind=none" }, { "tumbling", "kind=tumbling" } }
  for _, ratio in ipairs { 2, 10, 10.37, 100, 3600 } do
    cases[#cases + 1] = { ("sliding, size/slide %g"):format(ratio), "kind=sliding ratio=" .. ratio }
  end
  cases[#cases + 1] = { "session", "kind=session" }
  for _, ratio in ipairs { 2, 10, 100 } do
    local name = ("sliding, sparse keys, %g"):format(ratio)
    cases[#cases + 1] = { name, "kind=sliding every=1 ratio=" .. ratio, sparse = true }
  end
  local times = {}
  for i = 1, #cases do times[i] = {} end
  for round = 1, rounds do
    for i, case in ipairs(cases) do
      local n = scaled(case.sparse and 1e6 or 100e6)
      local run = job(("--workers=1 tests/bench/windows.lua records=%d %s"):format(n, case[2]), n)
      times[i][round] = run.ns
      case.records, case.results, case.mb = n, tonumber(run.text:match '"rows":(%d+)'), run.mb
    end
  end
  for i, case in ipairs(cases) do
    local ns = median(times[i])
    local note = case.sparse and ("%.1f ns a result"):format(ns * case.records / case.results)
      or i > 2 and i < 8 and "goal: within 1.5 of each other" or nil
    report("windows, " .. case[1], {
      weir = ("%.1f ns"):format(ns), weir_ns = ns, records = case.records, results = case.results, mb = case.mb,
      note = note,
    })
  end
end)

figure("state", function()
  for _, keys in ipairs { 1e3, 1e6, 1e7 } do
    local n, names, times = math.max(1000, scaled(keys >= 1e7 and keys or 5e6)), {}, {}
    for _ = 1, rounds do
      local text = capture(("%s/state_ops %d %d"):format(out, math.min(keys, n), n))
      for name, rest in text:gmatch '"operation":"([^"]+)"([^\n]+)' do
        if not times[name] then
          names[#names + 1] = name
          times[name] = { weir = {}, c = {} }
        end
        local t = times[name]
        t.weir[#t.weir + 1] = tonumber(rest:match '"weir_ns":([%d.]+)')
        t.c[#t.c + 1] = tonumber(rest:match '"c_ns":([%d.]+)')
      end
    end
    for _, name in ipairs(names) do
      local w, c = median(times[name].weir), #times[name].c > 0 and median(times[name].c) or nil
      report(("state %s, %g keys"):format(name, math.min(keys, n)), {
        weir = ("%.1f ns"):format(w), c = c and ("%.1f ns"):format(c), ratio = c and ("%.2f"):format(c / w),
        weir_ns = w, c_ns = c, c_by_weir = c and c / w, records = n,
      })
    end
  end
end)

figure("hand_over", function()
  for _, kb in ipairs { 4, 32, 256 } do
    local rows_per_buffer = kb * 32
    local n = math.floor(scaled(50e6) / rows_per_buffer) * rows_per_buffer
    beside(("hand_over, %d KB buffers"):format(kb), n, ("ref_ring %d %d"):format(n, kb * 1024),
      ("--workers=2 --buffer-size=%dk tests/bench/hand_over.lua records=%d"):format(kb, n), "goal: 25 ns")
  end
end)

figure("scatter", function()
  for _, by in ipairs { "turn", "n", "user" } do
    local n, ns = scaled(20e6), {}
    for i = 1, rounds do
      local text = job(("--workers=2 tests/bench/scatter.lua by=%s records=%d"):format(by, n), n).text
      ns[i] = tonumber(text:match '"name":"generate","subtask":0,.-"busy_ns":(%d+)') / n
    end
    report("scatter by " .. by, {
      weir = ("%.1f ns"):format(median(ns)), weir_ns = median(ns), records = n,
      note = by == "turn" and "making the rows and copying them" or "the same with keys; goal: 10 ns more",
    })
  end
end)

figure("start", function()
  local ms, mb = {}, 0
  for i = 1, 20 do
    local text = capture(("s=$(date +%%s%%N); %s/weir run --json tests/bench/one.lua; "
      .. "echo took $(($(date +%%s%%N) - s))")
      :format(build))
    ms[i] = tonumber(text:match "took (%d+)") / 1e6
    mb = math.max(mb, tonumber(text:match '"resident_bytes_max":(%d+)') / 1e6)
  end
  report("start", {
    weir = ("%.1f ms"):format(median(ms)), weir_ms = median(ms), mb = mb,
    note = ("%.1f MB resident; goal: 20 ms, 15 MB"):format(mb),
  })
  local kb = (job("-p 500 tests/bench/crowd.lua", 1).mb - mb) * 1e3 / 1001
  report("1,000 subtasks", { weir = ("%.0f KB"):format(kb), weir_kb = kb, note = "each; goal: 400 KB" })
end)

local function quantiles(text)
  local q = {}
  for name, v in text:gmatch '"(%w+)_us":([%d.]+)' do q[name] = tonumber(v) end
  return q
end

local function latency(rate, options)
  local seconds = math.max(1, 10 * scale)
  return quantiles(job(("%s tests/bench/latency.lua rate=%d records=%d skip=%d"):format(options, rate,
    rate * (seconds + 1), rate), 1).text)
end

local function median_quantiles(rounds_of)
  local m = {}
  for _, name in ipairs { "p50", "p99", "p999", "p9999" } do
    local list = {}
    for i, q in ipairs(rounds_of) do list[i] = q[name] end
    m[name] = median(list)
  end
  return m
end

-- Before a command: no core is taken from it for others.
local FIRST = "chrt -f 10 "
local function may_be_first() return os.execute(FIRST .. "true 2>/dev/null") == 0 end

--- Quantiles of a job whose threads the machine takes no core from: real-time priority, in runs of less than a
--- second with a second between them, which the system's bound for such threads does not touch. Nil where that
--- is not allowed.
local function undisturbed(rate)
  if not may_be_first() then return nil end
  local best
  for _ = 1, rounds do
    os.execute "sleep 1.1"
    local q = quantiles(capture(FIRST .. ("%s/weir run --json --buffer-timeout=0 tests/bench/latency.lua rate=%d "
      .. "records=%d skip=%d"):format(build, rate, rate * 0.7, rate * 0.4)))
    if not best or q.p999 < best.p999 then best = q end
  end
  return best
end

local function four(q) return ("%.0f/%.0f/%.0f/%.0f"):format(q.p50, q.p99, q.p999, q.p9999) end

--- The machine's own part: two threads that only read the clock in the same minutes, and Weir where no core is taken
--- from it.
local function machine(rate, gaps)
  local m, longest, share = median_quantiles(gaps), 0, {}
  for i, g in ipairs(gaps) do
    longest = math.max(longest, g.longest)
    share[i] = g.late_share
  end
  report(("latency, %gk/s, the machine"):format(rate / 1e3), {
    p50_us = m.p50, p99_us = m.p99, p999_us = m.p999, p9999_us = m.p9999, longest_us = longest,
    late_share = median(share),
    note = ("two threads that only read the clock: %s us; a core was gone for up to %.0f us, and %.2f %% of the "
      .. "records come more than 1 ms late in any engine"):format(four(m), longest, median(share) * 100),
  })
  local q = undisturbed(rate)
  if not q then return end
  report(("latency, %gk/s, real time"):format(rate / 1e3), {
    weir = ("%.0f us"):format(q.p50), p50_us = q.p50, p99_us = q.p99, p999_us = q.p999, p9999_us = q.p9999,
    note = ("p50/99/99.9/99.99 %s us where no core is taken from Weir (SCHED_FIFO, best of %d)"):format(four(q),
      rounds),
  })
end

figure("latency", function()
  local goals = {
    [1e5] = "goal: 40/300/1000/- us; a JVM engine 64/365/2458/6750",
    [5e5] = "goal: -/-/2000/- us; a JVM engine 76/1098/6160/9699",
  }
  for _, rate in ipairs { 1e5, 5e5 } do
    -- C polls on both cores: what its tail shows is the machine's
    local runs, gaps = { C = {}, [""] = {}, [" --spin"] = {} }, {}
    for i = 1, rounds do
      local seconds = math.max(1, 10 * scale)
      local text = capture(("%s/ref_gaps %d %d 1000"):format(out, rate, (seconds + 1) * 1000))
      gaps[i] = quantiles(text)
      gaps[i].late_share = tonumber(text:match '"late_share":([%d.]+)')
      runs.C[i] = quantiles(capture(("%s/ref_latency %d %d %d"):format(out, rate, rate * (seconds + 1), rate)))
      for _, spin in ipairs { "", " --spin" } do runs[spin][i] = latency(rate, "--buffer-timeout=0" .. spin) end
    end
    local c = median_quantiles(runs.C)
    for _, spin in ipairs { "", " --spin" } do
      local m = median_quantiles(runs[spin])
      report(("latency, %gk/s%s"):format(rate / 1e3, spin), {
        weir = ("%.0f us"):format(m.p50), p50_us = m.p50, p99_us = m.p99, p999_us = m.p999, p9999_us = m.p9999,
        c = ("%.0f us"):format(c.p50), c_p50_us = c.p50, c_p99_us = c.p99, c_p999_us = c.p999, c_p9999_us = c.p9999,
        note = ("p50/99/99.9/99.99 %s us, C %s; %s"):format(four(m), four(c), goals[rate]),
      })
    end
    machine(rate, gaps)
  end
end)

-- How late the records of another stream on the same worker are while a million keys fire at one watermark, thrice.
figure("fire", function()
  local options = ("run --json --workers 1 tests/bench/fire.lua keys=%d seconds=%d kind="):format(scaled(1e6),
    math.max(1, 4 * scale))
  local names = {
    window = "windows in C", timer = "a timer each in Lua", process = "window functions in Lua",
    none = "nothing fires",
  }
  for _, kind in ipairs { "none", "window", "timer", "process" } do
    local longest, p99 = {}, {}
    for i = 1, rounds do
      local q = quantiles(capture(("%s/weir %s%s"):format(build, options, kind)))
      longest[i], p99[i] = q.max / 1e3, q.p99 / 1e3
    end
    report("others while keys fire, " .. kind, {
      weir = ("%.1f ms"):format(median(longest)), max_ms = median(longest), p99_ms = median(p99), keys = scaled(1e6),
      note = ("%s: latest record, p99 %.1f ms%s"):format(names[kind], median(p99),
        kind == "none" and "" or "; goal: 50 ms"),
    })
  end
end)

figure("sweep", function()
  local series = {}
  for _, size in ipairs { "4k", "32k", "256k" } do
    local points = {}
    for _, timeout in ipairs { 0, 1, 10, 100 } do
      local options = ("--workers=2 --buffer-size=%s --buffer-timeout=%dms"):format(size, timeout)
      local n = scaled(2e6)
      local speed = 1e3 / job(("%s tests/bench/latency.lua rate=1e12 records=%d"):format(options, n), n).ns
      local q = latency(5e4, options)
      points[#points + 1] = { timeout = timeout, speed = speed, p50 = q.p50, p99 = q.p99 }
      report(("sweep, %s, %d ms"):format(size, timeout), {
        weir = ("%.1f M/s"):format(speed), million_per_s = speed, p50_us = q.p50, p99_us = q.p99,
        note = ("at 50k/s p50 %.0f us, p99 %.0f us"):format(q.p50, q.p99),
      })
    end
    series[#series + 1] = { name = size .. " buffers", points = points }
  end
  plot.sweep(out .. "/sweep.svg", series)
  print("plot: " .. out .. "/sweep.svg")
end)

-- The longest time without output, with a reload in each of 100 stretches and without: 1 M keys, 1 M records/s,
-- a subtask of each operator a core, and one of each alone.
figure("reload", function()
  local folder, keys, rate = out .. "/reload", scaled(1e6), scaled(1e6)
  local text = assert(io.open "tests/bench/reload.lua"):read "*a"
  local environment = ("export WEIR_RUNTIME_DIR=%s/run; "):format(folder)
  local function write(version)
    for name, content in pairs {
      ["job.lua"] = text:gsub("VERSION = 0", "VERSION = " .. version),
      ["reload_rules.lua"] = ("return { step = 1, version = %d }"):format(version),
    } do
      local f = assert(io.open(folder .. "/" .. name, "w"))
      f:write(content)
      f:close()
    end
  end
  -- With `first` the job has real-time priority, as its reader always, for moments in which the reader's clock runs:
  -- the system takes a core away from who has it for most of a second. Who asks for the reload has none: its start
  -- would take a core from the job.
  local function gaps(parallelism, reloads, slice_ms, first)
    write(0)
    local weir = build .. "/weir"
    local run = ("%s run -q --log-level warn --buffer-timeout 1ms -p %d %s/job.lua rate=%d keys=%d")
      :format(weir, parallelism, folder, rate, keys)
    local reader = io.popen(environment
      .. ("sh -c 'echo $$ >%s/job; exec %s' | sh -c 'echo $$ >%s/reader; exec %s/reload_gaps %d %d'"):format(folder,
        run, folder, out, keys, slice_ms))
    local function moment(command)
      if not first then return capture(environment .. command) end
      capture(environment .. ("chrt -f 20 sh -c 'p=$(cat %s/job) r=$(cat %s/reader); chrt -a -f -p 10 $p; "
        .. "sleep 0.02; kill -USR1 $r; chrt -o 0 sh -c \"%s\"; kill -USR1 $r; chrt -a -o -p 0 $p'; sleep 0.2")
        :format(folder, folder, command))
    end
    os.execute(environment .. ("until %s info reload_bench >/dev/null 2>&1; do sleep 0.05; done; sleep 2"):format(weir))
    if first then capture(("kill -USR1 $(cat %s/reader)"):format(folder)) end
    for version = 1, reloads do
      write(version)
      moment(("%s reload --yes --probation 0 reload_bench %s/job.lua >/dev/null; sleep 0.05"):format(weir, folder))
    end
    for _ = 1, reloads > 0 and 0 or first and 50 or 5 do moment(first and "sleep 0.1" or "sleep 1") end
    capture(environment .. weir .. " cancel reload_bench")
    local said = reader:read "*a"
    reader:close()
    assert(said:find '"rows"', "the rows were not as they should be: " .. said)
    local function found(name) return tonumber(said:match(('"%s_ms":([%%d.]+)'):format(name))) end
    return {
      median = found "median", p90 = found "p90", max = found "max", own = found "max_own",
      histogram = said:match '"histogram":{(.-)}':gsub('"', ""),
    }
  end
  capture(("rm -rf %s && mkdir -p -m 700 %s/run"):format(folder, folder))
  local probe = ("%s/ref_gaps %d 3000"):format(out, rate)
  local function both(name, parallelism, first, why)
    local quiet, with = gaps(parallelism, 0, 100, first), gaps(parallelism, 100, 0, first)
    local function told(g)
      return ("90 %% %.1f, max %.1f%s"):format(g.p90, g.max,
        g.own and (" (%.1f without what a core was gone)"):format(g.own) or "")
    end
    report("reload, " .. name, {
      weir = ("%.1f ms"):format(with.median), median_ms = with.median, p90_ms = with.p90, max_ms = with.max,
      max_own_ms = with.own, without_median_ms = quiet.median, without_p90_ms = quiet.p90, without_max_ms = quiet.max,
      without_max_own_ms = quiet.own,
      note = ("%s: %s; without reloads %.1f, %s%s"):format(told(with), with.histogram, quiet.median, told(quiet), why),
    })
  end
  local before = quantiles(capture(probe))
  both("longest gap", 2, false, "; goal: max 5 ms")
  both("parallelism 1", 1, false, "")
  local behind = quantiles(capture(probe))
  report("reload, the machine", {
    longest_us = math.max(before.longest, behind.longest),
    note = ("two threads that only read the clock, before and behind: a core was gone for up to %.1f and %.1f ms")
      :format(before.longest / 1e3, behind.longest / 1e3),
  })
  if may_be_first() then both("real time", 2, true, " (SCHED_FIFO)") end
end)

local of_checkpoints = require "checkpoint_figures"
local bench = {
  build = build, out = out, rounds = rounds, scaled = scaled, capture = capture, median = median, report = report,
}
for _, name in ipairs { "checkpoint", "checkpoint_cost", "nexmark_checkpoints" } do
  figure(name, function() of_checkpoints[name](bench) end)
end
figure("rocksdb", function() require "disk_figures".rocksdb(bench) end)

---------------------------------------------------------------- main

local wanted = {}
for i = 2, #arg do wanted[#wanted + 1] = arg[i] end
if #wanted == 0 then wanted = order end
print(("%-28s %10s %10s %7s   median of %d"):format("", "Weir", "C", "C/Weir", rounds))
for _, name in ipairs(wanted) do
  if not figures[name] then error("no figure " .. name .. "; there are " .. table.concat(order, ", "), 0) end
  local ok, err = pcall(figures[name])
  if not ok then
    failed = true
    report(name, { note = "FAILED: " .. tostring(err):gsub("%s+", " "):gsub('"', "'"):sub(1, 300) })
  end
end
measured.write_results(out .. "/result.json", results)
print("JSON lines: " .. out .. "/result.json")
os.exit(failed and 1 or 0)
