--- Event time as a script sees it: strategies, timestamps that are none, sources that are kept together. Rows of
--- the list of semantics are named by their number.

local script = require "support.script"
local shell = require "support.shell"

-- Three records; `probe` tells at which watermarks the timers of one key fire, and each record's time.
local head = [[
local weir = require "weir"
local job = weir.job "test"
local print = weir.print()
local function events(list) return job:source(weir.from(list)) end
local three = { { ts = 10 }, { ts = 30 }, { ts = 20 } }
local function probe(stream, timers)
  stream:key_by(function() return 1 end):process(weir.process_function {
    state = { set = weir.state.value() },
    element = function(ctx)
      if ctx.set:get() then return end
      ctx.set:set(true)
      for _, t in ipairs(timers) do ctx:event_timer(t) end
    end,
    timer = function(ctx, t)
      local wm = ctx:watermark()
      ctx:emit { timer = t, wm = wm > 1e18 and "max" or wm, ts = ctx:timestamp() }
    end,
  }):sink(print)
end
local function watermarks(stream)
  stream:process(function(ctx, r) ctx:emit { ts = r.ts, wm = ctx:watermark() or "none" } end):sink(print)
end
-- One key; `element` is called at each record with its number, `timer` for timers.
local function keyed(stream, fn)
  local element = fn.element
  fn.state = { n = weir.state.value() }
  function fn.element(ctx, r)
    local n = (ctx.n:get() or 0) + 1
    ctx.n:set(n)
    element(ctx, n, r)
  end
  return stream:key_by(function() return 1 end):process(weir.process_function(fn))
end
local function shown(wm) return wm == nil and "none" or wm > 1e18 and "max" or wm end
local ascending = weir.watermark.ascending { field = "ts" }
local each = weir.watermark.punctuated { field = "ts", fn = function(_, t) return t end }
local function times(stream)
  stream:process(function(ctx) ctx:emit { ts = ctx:timestamp() or "none" } end):sink(print)
end
]]

local good = {
  { "K1: the watermark is the largest time, less the delay, less one",
    [[probe(events(three):watermarks(weir.watermark.bounded { field = "ts", delay = 5 }), { 24, 25 })]],
    { '{"timer":24,"ts":24,"wm":24}', '{"timer":25,"ts":25,"wm":"max"}' } },
  { "K2: without a delay it is the largest time less one",
    [[probe(events(three):watermarks(weir.watermark.ascending { field = "ts" }), { 29, 30 })]],
    { '{"timer":29,"ts":29,"wm":29}', '{"timer":30,"ts":30,"wm":"max"}' } },
  { "K3: a watermark that would go back is not sent",
    [[watermarks(events(three):watermarks(weir.watermark.punctuated { field = "ts", fn = function(_, t) return t end }))]],
    { '{"ts":10,"wm":"none"}', '{"ts":30,"wm":10}', '{"ts":20,"wm":30}' } },
  { "K4, K14: a watermark that a record carries follows it at once",
    [[watermarks(events { { ts = 10 }, { ts = 30, name = "mark" }, { ts = 20 } }:watermarks(weir.watermark.punctuated {
      field = "ts", fn = function(r, t) if r.name == "mark" then return t - 1 end end }))]],
    { '{"ts":10,"wm":"none"}', '{"ts":30,"wm":"none"}', '{"ts":20,"wm":29}' } },
  { "K6: at the end an object is asked once more",
    [[probe(events(three):watermarks(weir.watermark.periodic { field = "ts", every = "1h", new = function()
      return {
        max = 0,
        on_event = function(self, _, t) self.max = math.max(self.max, t) end,
        on_periodic = function(self, emit) emit(self.max - 7) end,
      }
    end }), { 23, 24 })]], { '{"timer":23,"ts":23,"wm":23}', '{"timer":24,"ts":24,"wm":"max"}' } },
  { "an object may send at once, too, and has the time of the field",
    [[watermarks(events(three):map(function(r) return { ts = r.ts, s = r.ts / 1000 } end)
      :watermarks(weir.watermark.periodic { field = "s", unit = "s", new = function()
        return { on_event = function(_, r, t, emit) emit(t - 1) emit(t - 2) end }
      end }))]], { '{"ts":10,"wm":"none"}', '{"ts":30,"wm":9}', '{"ts":20,"wm":29}' } },
  { "K5: what is assigned again in mid-stream counts alone",
    [[probe(events { { ts = 1e6, at = 7 } }:watermarks(weir.watermark.ascending { field = "ts" })
      :map(function(r) return r end):watermarks(weir.watermark.ascending { field = "at" }), { 6, 7 })]],
    { '{"timer":6,"ts":6,"wm":6}', '{"timer":7,"ts":7,"wm":"max"}' } },
  { "K5: none in mid-stream lets the end of time pass only",
    [[probe(events(three):watermarks(weir.watermark.ascending { field = "ts" }):watermarks(weir.watermark.none()),
      { 5 })]], { '{"timer":5,"ts":5,"wm":"max"}' } },
  { "K6, K7: with every = 0 the end says the one watermark there is",
    [[probe(events(three):watermarks(weir.watermark.bounded { field = "ts", every = 0 }), { 29, 30 })]],
    { '{"timer":29,"ts":29,"wm":29}', '{"timer":30,"ts":30,"wm":"max"}' } },
  { "K23: what timers emit is in front of the watermark that fired them",
    [[keyed(events(three):watermarks(ascending), {
      element = function(ctx, n) if n == 1 then ctx:event_timer(25) ctx:event_timer(40) end end,
      timer = function(ctx, t) ctx:emit { timer = t } end,
    }):rebalance():process(function(ctx, r)
      ctx:emit { timer = r.timer, met = shown(ctx:watermark()) }
    end):sink(print)]], { '{"met":"none","timer":25}', '{"met":29,"timer":40}' } },
  { "I2: a timer set twice fires once, the kinds are apart, and deleting one that is not there is no mistake",
    [[keyed(events(three):watermarks(ascending), {
      element = function(ctx, n)
        if n > 1 then return end
        for _ = 1, 2 do ctx:event_timer(5) ctx:processing_timer(5e12) end
        ctx:event_timer(6)
        ctx:delete_event_timer(6)
        ctx:delete_event_timer(77)
        ctx:delete_processing_timer(5)
      end,
      timer = function(ctx, t) ctx:emit { timer = t } end,
    }):sink(print)]], { '{"timer":5}', '{"timer":5000000000000}' } },
  { "I3: timers fire in the order of their times",
    [[local last = -1
    keyed(events(three):watermarks(ascending), {
      element = function(ctx, n) if n == 1 then for _, t in ipairs { 7, 3, 28, 9, 1 } do ctx:event_timer(t) end end end,
      timer = function(ctx, t) ctx:emit { timer = t, behind = t > last } last = t end,
    }):sink(print)]], { '{"behind":true,"timer":1}', '{"behind":true,"timer":28}', '{"behind":true,"timer":3}',
      '{"behind":true,"timer":7}', '{"behind":true,"timer":9}' } },
  { "I4: a timer that a timer sets for a time that has passed fires in the same advance",
    [[keyed(events(three):watermarks(ascending), {
      element = function(ctx, n) if n == 1 then ctx:event_timer(10) end end,
      timer = function(ctx, t)
        if t == 10 then ctx:event_timer(5) ctx:event_timer(29) ctx:event_timer(30) end
        ctx:emit { timer = t, wm = shown(ctx:watermark()) }
      end,
    }):sink(print)]], { '{"timer":10,"wm":29}', '{"timer":5,"wm":29}', '{"timer":29,"wm":29}', '{"timer":30,"wm":"max"}' } },
  { "I5: a timer that a record sets for a time that has passed waits for the next watermark",
    [[keyed(events { { ts = 10 }, { ts = 20 }, { ts = 30 } }:watermarks(each), {
      element = function(ctx, n) if n == 2 then ctx:event_timer(5) end ctx:emit { n = n } end,
      timer = function(ctx, t) ctx:emit { timer = t, wm = ctx:watermark() } end,
    }):sink(print)]], { '{"n":1}', '{"n":2}', '{"n":3}', '{"timer":5,"wm":20}' } },
  { "I6: a processing timer that is set later for an earlier time does not wait for the others",
    [[keyed(job:source(weir.generate { rate = 1000, count = 500 }), { on_end = "drop",
      element = function(ctx, n)
        if n == 1 then ctx:processing_timer(5e12) end
        if n == 2 then ctx:processing_timer(ctx:now() + 3) end
      end,
      timer = function(ctx, t) ctx:emit { early = t < 5e12 } end,
    }):sink(print)]], { '{"early":true}' } },
  { "I7: a processing timer fires when its millisecond is over",
    [[keyed(job:source(weir.generate { rate = 1000, count = 500 }), {
      element = function(ctx, n) if n == 1 then ctx:processing_timer(ctx:now() + 3) end end,
      timer = function(ctx, t) ctx:emit { over = ctx:now() > t } end,
    }):sink(print)]], { '{"over":true}' } },
  { "I13: processing timers that are left at the end fire in order, before event time ends, or are dropped",
    [[for _, on_end in ipairs { "fire", "drop" } do
      keyed(events(three):watermarks(ascending), { on_end = on_end,
        element = function(ctx, n) if n == 1 then ctx:processing_timer(5e12) ctx:event_timer(1e9) end end,
        timer = function(ctx, t) ctx:emit { timer = t, wm = shown(ctx:watermark()), on_end = on_end } end,
      }):sink(print)
    end]], { '{"on_end":"fire","timer":5000000000000,"wm":29}', '{"on_end":"fire","timer":1000000000,"wm":"max"}',
      '{"on_end":"drop","timer":1000000000,"wm":"max"}' } },
  { "I13: a timer that sets itself again does so up to the last one that was pending when the input ended",
    [[keyed(events(three), {
      element = function(ctx, n) if n == 1 then ctx:processing_timer(5e12) ctx:processing_timer(5e12 + 25) end end,
      timer = function(ctx, t) ctx:processing_timer(t + 10) ctx:emit { t = t - 5e12 } end,
    }):sink(print)]], { '{"t":0}', '{"t":10}', '{"t":20}', '{"t":25}' } },
  { "I13: a window for all time that fires every while does so once when the input ends",
    [[events(three):window_all(weir.window.global()):trigger(weir.trigger.continuous_processing_time "1h")
      :aggregate { n = weir.agg.count() }:sink(print)]], { '{"n":3}' } },
  { "a timestamp function gives the time that is in no field as it is",
    [[times(events { { day = 2, hour = 3 } }:watermarks(weir.watermark.bounded { delay = "1s",
      timestamp = function(r) return (r.day * 24 + r.hour) * 3600e3 end }))
    probe(events { { at = { ms = 10 } }, { at = { ms = 31 } } }:watermarks(weir.watermark.ascending {
      timestamp = function(r) return r.at.ms end }), { 29, 30 })]],
    { '{"timer":29,"ts":29,"wm":30}', '{"timer":30,"ts":30,"wm":30}', '{"ts":183600000}' } },
  { "K4: a watermark that a record carries goes by the time of a timestamp function",
    [[watermarks(events { { n = 1, ts = 5 }, { n = 2, ts = 6 } }:watermarks(weir.watermark.punctuated {
      timestamp = function(r) return r.n * 100 end, fn = function(_, time) return time end }))]],
    { '{"ts":5,"wm":"none"}', '{"ts":6,"wm":100}' } },
  { "K27: a source that ends ends event time",
    [[probe(events(three), { 10, 8e14 })]],
    { '{"timer":10,"ts":10,"wm":"max"}', '{"timer":800000000000000,"ts":800000000000000,"wm":"max"}' } },
  { "times in seconds, microseconds and nanoseconds are made milliseconds",
    [[times(events { { t = 1.5 } }:watermarks(weir.watermark.ascending { field = "t", unit = "s" }))
    times(events { { t = 2999 } }:watermarks(weir.watermark.ascending { field = "t", unit = "us" }))
    times(events { { t = 3000000LL } }:watermarks(weir.watermark.ascending { field = "t", unit = "ns" }))]],
    { '{"ts":1500}', '{"ts":2}', '{"ts":3}' } },
  { "ISO 8601 texts are times",
    [[times(events { { t = "1970-01-01T01:00:00.25+01:00" }, { t = "1970-01-02" } }
      :watermarks(weir.watermark.ascending { field = "t", format = "iso8601" }))]],
    { '{"ts":250}', '{"ts":86400000}' } },
  { "a path leads to a time in a nested record",
    [[times(events { { at = { start = 5 } } }:watermarks(weir.watermark.ascending { field = "at.start" }))]],
    { '{"ts":5}' } },
  { "times before 1970 are negative, and timers of them fire in order",
    [[probe(events { { ts = -20 }, { ts = -10 } }:watermarks(weir.watermark.ascending { field = "ts" }), { -11, -10 })]],
    { '{"timer":-11,"ts":-11,"wm":-11}', '{"timer":-10,"ts":-10,"wm":"max"}' } },
  { "times go through shuffles and unions",
    [[local a = events { { ts = 1 } }:watermarks(weir.watermark.ascending { field = "ts" })
    local b = events { { ts = 2 } }:watermarks(weir.watermark.ascending { field = "ts" })
    times(a:union(b, events { { ts = 3 } }):rebalance():map(function(r) return r end):parallelism(2):shuffle())]],
    { '{"ts":1}', '{"ts":2}', '{"ts":"none"}' } },
  { "ingestion time is the clock's, and the watermark follows it",
    [[events { {} }:watermarks(weir.watermark.ingestion())
      :process(function(ctx) ctx:emit { near = math.abs(ctx:timestamp() - ctx:now()) < 60000 } end):sink(print)]],
    { '{"near":true}' } },
}

-- What is no time: the error with policy fail, and what comes out when such records are skipped.
local bad = {
  { "a record without a time", [[{ x = 1 }]], "", "timestamp field 'ts' is missing" },
  { "a text where a number is declared", [[{ ts = "noon" }]], "", 'is the text "noon", not a number; format = "iso8601"' },
  { "a text that is no time", [[{ ts = "noon" }]], ', format = "iso8601"', 'is "noon", which is no ISO 8601 time' },
  { "NaN", [[{ ts = 0 / 0 }]], "", "timestamp field 'ts' is NaN" },
  { "an infinite time", [[{ ts = 1 / 0 }]], "", "timestamp field 'ts' is infinite" },
  { "a time in the year 40,000", [[{ ts = 1.2001e15 }]], "", "is in the year 39999: is it in another unit?" },
  { "a time just before the year 1", [[{ ts = -62135596800001 }]], "", "is in the year 0: is it in another unit?" },
  { "a time just behind the year 9999", [[{ ts = 253402300800000 }]], "", "is in the year 10000: is it in another unit?" },
  { "a time far in the future, if that is bounded", [[{ ts = 2e14 }]], ', ahead_max = "1h"',
    "ms ahead of the clock, and ahead_max is 3600000 ms" },
}

local function bad_job(record, options)
  local time = options:find "iso" and '"1970-01-01"' or "5"
  return head .. ([[times(events { %s, { ts = %s } }:watermarks(weir.watermark.ascending { field = "ts"%s }))
    return job]]):format(record, time, options)
end

-- Mistakes that are found while the job is drawn.
local refused = {
  { "a negative delay", [[weir.watermark.bounded { field = "ts", delay = -1 }]], 'option "delay" must be a duration' },
  { "a unit and a format", [[weir.watermark.bounded { field = "ts", unit = "s", format = "iso8601" }]],
    "a time is a number with a unit or a text with a format, not both" },
  { "a unit without a field", [[weir.watermark.bounded { unit = "s" }]], 'option "unit" is about a field' },
  { "idleness without an interval", [[weir.watermark.bounded { field = "ts", every = 0, idle_after = 5 }]],
    'option "idle_after" needs watermarks now and then' },
  { "an unknown unit", [[weir.watermark.bounded { field = "ts", unit = "m" }]], 'must be one of "ms", "us", "ns", "s"' },
  { "alignment without a drift", [[weir.watermark.bounded { field = "ts", align = {} }]], 'option "drift" is missing' },
}

-- Two sources, one a hundred times as fast; gives how far the fast one came before the slow one, in ms.
local spread = [[
local weir = require "weir"
local job = weir.job "test"
local function source(name, step, rate)
  return job:source(weir.generate { count = 30000 / step, rate = rate, fn = function(n) return { s = name, ts = n * step } end })
    :watermarks(weir.watermark.ascending { field = "ts", every = 10 %s })
end
source("fast", 1):union(source("slow", 100, 500)):key_by(function() return 1 end):process(weir.process_function {
  state = { slow = weir.state.value(), ahead = weir.state.value() },
  element = function(ctx, r)
    if r.s == "slow" then return ctx.slow:set(r.ts) end
    local ahead = r.ts - (ctx.slow:get() or 0)
    if ahead > (ctx.ahead:get() or 0) then ctx.ahead:set(ahead) end
    if r.ts == 29999 then ctx:emit { ahead = ctx.ahead:get() } end
  end,
}):sink(weir.print())
return job
]]

local function ahead(align)
  local out = script.run(spread:format(align), "-q --workers=1 --buffer-timeout=0")
  return tonumber(out:match '"ahead":(%d+)')
end

describe("event time", function()
  for _, case in ipairs(good) do
    it(case[1], function() assert.equal(script.lines(case[3]), script.run(head .. case[2] .. "\nreturn job", "-q")) end)
  end

  for _, case in ipairs(bad) do
    it("fails the job for " .. case[1], function()
      local _, code, err = script.try(bad_job(case[2], case[3]), "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find(case[4], 1, true), err)
    end)

    it("leaves out under skip " .. case[1], function()
      local out, code, err = script.try(bad_job(case[2], case[3]), "--on-error=skip")
      assert.equal(0, code)
      assert.equal(case[3]:find "iso" and '{"ts":0}\n' or '{"ts":5}\n', out)
      assert.is_truthy(err:find("1 skipped", 1, true), err)
    end)
  end

  for _, case in ipairs(refused) do
    it("refuses " .. case[1], function()
      local out, code, err = script.try(head .. "times(events(three):watermarks(" .. case[2] .. "))\nreturn job")
      assert.equal(2, code)
      assert.equal("", out)
      assert.is_truthy(err:find(case[3], 1, true), err)
    end)
  end

  it("says once that a record from the future takes the watermark along", function()
    local _, code, err = script.try(head .. [[times(events { { ts = 2e14 }, { ts = 2.1e14 } }
      :watermarks(weir.watermark.ascending { field = "ts" })) return job]], "-q")
    assert.equal(0, code)
    assert.equal(1, select(2, err:gsub("ahead of the clock, and takes the watermark with it", "")), err)
  end)

  it("may be the time at which a file was changed", function()
    local text = head .. [[times(job:source(weir.files { path = job.args.path, timestamp = "modified" })
      :watermarks(weir.watermark.ascending())) return job]]
    local out = script.try(text, "-q", function(folder)
      local file = assert(io.open(folder .. "/in.txt", "w"))
      file:write "a\nb\n"
      file:close()
      os.execute("touch -d @86400.5 " .. folder .. "/in.txt")
    end, "path=%s/in.txt")
    assert.equal('{"ts":86400500}\n{"ts":86400500}\n', out)
  end)

  it("of interleaved files sorted by time is hardly out of order", function()
    local text = head .. [[local last, worst = 0, 0
    job:source(weir.files { path = job.args.path, format = weir.json(), interleave = 4 })
      :watermarks(weir.watermark.ascending { field = "ts", align = { drift = 10 }, every = 1 })
      :process(function(ctx, r) ctx:emit { ts = r.ts } end):sink(print) return job]]
    local out = script.try(text, "-q", function(folder)
      for f = 1, 4 do
        local file = assert(io.open(folder .. "/" .. f .. ".json", "w"))
        for n = 1, 5000 do file:write(('{"ts":%d,"pad":"%s"}\n'):format(n * 4 + f, ("x"):rep(60))) end
        file:close()
      end
    end, "path=%s/*.json")
    local count, top, back = 0, 0, 0
    for ts in out:gmatch '"ts":(%d+)' do
      ts = tonumber(ts)
      count, back, top = count + 1, math.max(back, top - ts), math.max(top, ts)
    end
    assert.equal(20000, count)
    assert.is_true(back < 8000, back) -- one after another they would be 20,000 out of order
  end)

  it("K25, K26: keeps a source that is a hundred times as fast within the drift", function()
    local free, aligned = ahead "", ahead ', align = { drift = "2s" }'
    assert.is_true(aligned < 6000, aligned) -- the drift, a batch of about a second, and what is on its way
    assert.is_true(free > aligned, free)
  end)

  it("has an object of its own for each split", function()
    local text = head .. [[local count = 0
    watermarks(job:source(weir.files { path = job.args.path, format = weir.json() })
      :watermarks(weir.watermark.periodic { field = "ts", new = function()
        count = count + 1
        local number = count
        return { on_event = function(_, _, _, emit) emit(number) end }
      end })) return job]]
    local out = script.try(text, "-q", function(folder)
      for _, name in ipairs { "a", "b" } do
        local file = assert(io.open(folder .. "/" .. name .. ".json", "w"))
        file:write '{"ts":5}\n{"ts":6}\n'
        file:close()
      end
    end, "path=%s/*.json")
    assert.equal('{"ts":5,"wm":"none"}\n{"ts":6,"wm":1}\n{"ts":5,"wm":1}\n{"ts":6,"wm":2}\n', out)
  end)

  for what, value in pairs { text = '"soon"', NaN = "0 / 0", ["a table"] = "{}" } do
    it("fails for a watermark that is " .. what .. ", or skips the record", function()
      local text = head .. ([[watermarks(events { { ts = 1 }, { ts = 2 } }:watermarks(
        weir.watermark.punctuated { field = "ts", fn = function(r) if r.ts == 1 then return %s end end })) return job]])
        :format(value)
      local _, code, err = script.try(text, "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find("a watermark must be a number of milliseconds, not", 1, true), err)
      assert.equal('{"ts":2,"wm":"none"}\n', (script.try(text, "-q --on-error=skip")))
    end)
  end

  for what, value in pairs { ["nothing"] = "nil", text = '"soon"', NaN = "0 / 0", ["the year 40,000"] = "1.2e15" } do
    it("F: fails for a timestamp function that gives " .. what .. ", or skips the record", function()
      local text = head .. ([[watermarks(events { { ts = 1 }, { ts = 2 } }:watermarks(weir.watermark.ascending {
        timestamp = function(r) if r.ts == 1 then return %s end return r.ts end })) return job]]):format(value)
      local _, code, err = script.try(text, "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find("the timestamp function returned", 1, true) or err:find("is in the year 39996", 1, true), err)
      assert.equal('{"ts":2,"wm":"none"}\n', (script.try(text, "-q --on-error=skip")))
    end)
  end

  it("refuses an object without functions", function()
    local _, code, err = script.try(head .. [[times(events(three):watermarks(weir.watermark.periodic { field = "ts",
      new = function() return {} end })) return job]], "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("new must give an object with on_event or on_periodic, or both", 1, true), err)
  end)

  it("says with --explain-time who held the watermarks back", function()
    local text = spread:format(""):gsub("step } end }%)", "step } end }):uid(name)")
      :gsub('source%("fast", 1%)', 'source("fast", 1, 100000)')
    local _, code, err = script.try(text, "--explain-time --workers=1 --buffer-timeout=0")
    assert.equal(0, code)
    assert.is_truthy(err:find("process → print %[1/1%]: at the end of time\n    held back %d+%.%d s by "
      .. "generate → generate_fn → watermarks → key_by %[1/1%] %(slow%.source%)"), err)
  end)

  it("is said to be none where a record without it comes too late, or goes to a side output without a name", function()
    for _, tag in ipairs { '"late"', '""', "nil" } do
      local out, code, err = script.try(head .. ([[events { { a = 1 }, { a = 2 } }:process(weir.process_function {
        element = function(ctx, r) ctx:late(r, %s) end }):name "late":sink(print) return job]]):format(tag))
      assert.equal(0, code, err)
      assert.equal("", out)
      local text = "operator 'late' drops late records, this is the first: time none, watermark none; record: {\"a\":1}"
      local from = err:find(text, 1, true)
      assert.is_truthy(from, err)
      assert.is_nil(err:find("drops late", from + #text, true), err)
    end
  end)

  it("says so to programs with --json, in a line of its own behind the summary", function()
    local text = spread:format(""):gsub("step } end }%)", "step } end }):uid(name)")
      :gsub('source%("fast", 1%)', 'source("fast", 1, 100000)')
    local _, code, err = script.try(text, "--explain-time --json --workers=1 --buffer-timeout=0")
    assert.equal(0, code)
    local line = err:match '\n({"watermarks":[^\n]*})\n$'
    assert.is_truthy(line:find('"end_of_time":1', 1, true), line)
    assert.is_truthy(line:find('"held_back_by":%[{"task":"generate → generate_fn → watermarks → key_by",'
      .. '"uid":"slow.source","subtask":0,"held_ns":%d+,"idle":0,"now":0}'), line)
  end)

  it("is drawn in the README as the example really runs", function()
    local out, code, err = shell.run(shell.weir .. " lua docs/time/picture.lua " .. shell.weir)
    assert.equal(0, code, err)
    local file = assert(io.open "docs/time/time.svg")
    assert.equal(file:read "*a", out)
    file:close()
  end)

  it("refuses alignment that is not in a chain with its source", function()
    local _, code, err = script.try(head .. [[times(events(three):rebalance():map(function(r) return r end)
      :parallelism(2):watermarks(weir.watermark.ascending { field = "ts", align = { drift = 1 } })) return job]])
    assert.equal(2, code)
    assert.is_truthy(err:find("align is about a source, and there is none in its chain", 1, true), err)
  end)
end)
