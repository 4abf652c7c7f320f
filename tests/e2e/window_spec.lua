--- Windows in whole jobs: the operator in C and its twin in Lua give the same, whatever the parallelism; and
--- what becomes of records that are wrong.

local script = require "support.script"

local head = [[
local weir = require "weir"
local job = weir.job "test"
local w, t, agg = weir.window, weir.trigger, weir.agg
local s = job:source(weir.generate { count = 20000, fields = { n = { cycle = 1e6 }, k = { random = 40 }, x = { random = 1000 } } })
  :map(function(r) return { k = r.k, x = r.x, y = (r.x * 7) % 501, z = (r.x * 3) % 499, ts = r.n * 3 + (r.n * 7919) % 400 - 5000 } end)
  :watermarks(weir.watermark.bounded { field = "ts", delay = 400, every = "1ms" })
local function aggregates()
  return { n = agg.count(), s = agg.sum "x", lo = agg.min "y", hi = agg.max "z", mean = agg.avg "x" }
end
]]

local function both(window, keyed)
  local function run(trigger, flags)
    return script.run(("%s%s:%s(%s)%s:aggregate(aggregates()):sink(weir.print())\nreturn job"):format(
      head, keyed and 's:key_by "k"' or "s", keyed and "window" or "window_all", window, trigger), flags)
  end
  local native = run("", "--quiet")
  local lua = run(":trigger(t.event_time())", "--quiet")
  local two = run("", "--quiet -p 2")
  assert.is_true(#native > 500)
  assert.equal(native, lua)
  assert.equal(native, two)
end

describe("the window in C and its twin in Lua agree on", function()
  for name, window in pairs {
    ["tumbling windows"] = "w.tumbling { size = 700, offset = 33 }",
    ["sliding windows"] = "w.sliding { size = 4000, slide = 1000 }",
    ["sliding windows whose size is no multiple of the slide"] = "w.sliding { size = 2500, slide = 1100, offset = -7 }",
    ["sliding windows with gaps between them"] = "w.sliding { size = 300, slide = 1100 }",
    ["cumulative windows"] = "w.cumulative { size = 6000, step = 1000 }",
    ["sessions"] = "w.session(60)",
  } do
    it(name, function() both(window, true) end)
  end
  it("windows over all records (W16)", function() both("w.sliding { size = 2500, slide = 1100 }", false) end)
end)

-- Rows of two and more keys that leave a buffer's writer.
describe("rows on their way to another subtask", function()
  local function sent(aggregates)
    local _, _, text = script.try(([[%s
      s:key_by "k":window(w.tumbling(700)):aggregate { %s }:sink(weir.discard())
      return job]]):format(head, aggregates), "--json -p 2")
    local rows = 0
    for outputs in text:gmatch '"outputs":(%b[])' do
      for n in outputs:gmatch '"rows":(%d+)' do rows = rows + n end
    end
    return rows
  end

  it("become one where a window of their key only adds them up", function()
    local apart = sent [[n = agg.count(), s = agg.sum "x", lo = agg.min "x"]]
    local together = sent [[n = agg.count(), s = agg.sum "x", lo = agg.min "y"]]
    assert.is_true(apart >= 20000, apart)
    assert.is_true(together < 18000, together)
  end)
end)

-- Early results: the twin in Lua is what a process function behind the aggregates needs.
local function both_early(trigger, lateness)
  local function run(process)
    return script.run(([[%s
      s:watermarks(weir.watermark.punctuated { field = "ts", fn = function(_, ts) return ts - 300 end })
      :key_by "k":window(w.tumbling { size = 700, offset = 33 }):trigger(%s):allowed_lateness(%d)
      :aggregate(aggregates()%s):sink(weir.print()) return job]]):format(head, trigger, lateness,
      process), "--quiet")
  end
  local native = run ""
  assert.is_true(#native > 500)
  assert.equal(native, run [[, function(ctx, r)
    r.window_start, r.window_end = ctx:window()
    r.k = ctx:key()
    ctx:emit(r)
  end]])
end

describe("early results agree in C and in Lua:", function()
  for name, trigger in pairs {
    ["T6: by event time"] = 't.early { every = 90, time = "event" }',
    ["T6: by event time, rarely"] = "t.continuous_event_time(1000)",
    ["T6: by event time, at each millisecond of it"] = "t.continuous_event_time(1)",
  } do
    it(name, function() both_early(trigger, 0) end)
    it(name .. ", with lateness", function() both_early(trigger, 2000) end)
  end
end)

-- Windows without time: the twin in Lua is what a process function behind the aggregates needs.
local function both_counted(window, keyed)
  local function run(process)
    return script.run(([[%s%s:%s(%s:aggregate(aggregates()%s):process(function(ctx, r)
      r.at = ctx:timestamp() == 2 ^ 63
      ctx:emit(r)
    end):sink(weir.print()) return job]]):format(head, keyed and 's:key_by "k"' or "s",
      keyed and "window" or "window_all", window, process), "--quiet")
  end
  local native = run ""
  assert.is_truthy(native:find('"at":true', 1, true), native:sub(1, 200))
  assert.equal(native, run(keyed and ", function(ctx, r) r.k = ctx:key() ctx:emit(r) end"
    or ", function(ctx, r) ctx:emit(r) end"))
end

describe("windows of so many records agree in C and in Lua:", function()
  for name, window in pairs {
    ["W14: count"] = "w.count(7))",
    ["W14: count with what is left at the end"] = "w.count { size = 7, partial_at_end = true })",
    ["W13: global with a count trigger"] = "w.global()):trigger(t.count(9))",
    ["W13: global with a purging count trigger"] = "w.global()):trigger(t.purging(t.count(9)))",
    ["W13: global until the end of the stream"] = "w.global()):trigger(t.end_of_stream())",
    ["count with a trigger of its own"] = "w.count(7)):trigger(t.count(3))",
    ["count of one"] = "w.count(1))",
  } do
    it(name, function() both_counted(window, true) end)
    it(name .. ", over all records", function() both_counted(window, false) end)
  end
end)

local function from(records, rest)
  return ([[local weir = require "weir"
    local job = weir.job "test"
    local s = job:source(weir.from { %s })
    %s
    return job]]):format(records, rest)
end

describe("a window", function()
  it("W5: fails the job at a record without a timestamp, with the record", function()
    for _, trigger in ipairs { "", ":trigger(weir.trigger.event_time())" } do
      local _, code, err = script.try(from('{ k = "a" }', ('s:key_by "k":window(weir.window.tumbling "1s")%s:count()'
        .. ":sink(weir.print())"):format(trigger)))
      assert.equal(1, code)
      assert.truthy(err:find("the record has no timestamp, and windows of event time need one", 1, true), err)
      assert.truthy(err:find('"k":"a"', 1, true), err)
    end
  end)

  it("skips a bad record under on_error skip, and counts the others", function()
    local out, _, err = script.try(from('{ k = "a", ts = 1, x = 1 }, { k = "a", ts = 2 }, { k = "a", ts = 3, x = 5 }',
      [[s:watermarks(weir.watermark.ascending "ts"):key_by "k":window(weir.window.tumbling "1s"):sum "x"
        :on_error "skip":sink(weir.print())]]))
    assert.equal('{"k":"a","window_end":1000,"window_start":0,"x":6}\n', out)
    assert.truthy(err:find("field 'x' is missing", 1, true), err)
  end)

  it("F: takes times before 1970 and far ahead", function()
    assert.equal(script.lines {
      '{"count":1,"k":"a","window_end":-990000,"window_start":-1000000}',
      '{"count":2,"k":"a","window_end":95000000010000,"window_start":95000000000000}',
    }, script.run(from('{ k = "a", ts = -999999 }, { k = "a", ts = 9.5e13 }, { k = "a", ts = 9.5e13 + 9999 }',
      [[s:watermarks(weir.watermark.ascending "ts"):key_by "k":window(weir.window.tumbling "10s"):count()
        :sink(weir.print())]])))
  end)

  it("F: of processing time fires what is open when the input ends (I13 as decided), or drops it", function()
    local job = [[s:key_by "k":window(weir.window.tumbling { size = "1h", time = "processing", on_end = "%s" })%s
      :aggregate { n = weir.agg.count() }:map(function(r) return r.n end):sink(weir.print())]]
    for _, trigger in ipairs { "", ":trigger(weir.trigger.processing_time())" } do
      assert.equal("2\n", script.run(from('{ k = "a" }, { k = "a" }', job:format("fire", trigger))))
      assert.equal("", script.run(from('{ k = "a" }, { k = "a" }', job:format("drop", trigger))))
    end
  end)

  it("over nothing gives nothing", function()
    assert.equal("", script.run(from("", [[s:watermarks(weir.watermark.ascending "ts")
      :window_all(weir.window.tumbling "1s"):count():sink(weir.print())]])))
  end)

  it("names results after the key's parts, also of keys made by a function", function()
    assert.equal('{"a":"x","b":7,"count":2,"window_end":10,"window_start":0}\n', script.run(from(
      '{ ts = 1 }, { ts = 2 }', [[s:watermarks(weir.watermark.ascending "ts")
        :key_by(function() return "x", 7 end, "a", "b"):window(weir.window.tumbling(10)):count():sink(weir.print())]])))
  end)
end)

describe("records between two windows are counted, with the default operator and in Lua:", function()
  for name, rest in pairs {
    count = "w.sliding { size = 5, slide = 10 }):count()",
    ["a process function"] = "w.sliding { size = 5, slide = 10 }):process(function(ctx, list) ctx:emit { n = #list } end)",
    ["an assigner that gives none"] = [[w.new { assign = function(r, ts, add)
      if ts < 5 then add(0, 5) end
    end }):process(function(ctx, list) ctx:emit { n = #list } end)]],
  } do
    it(name, function()
      local out, code, log = script.try(([[local weir = require "weir" local w = weir.window
        local job = weir.job { name = "gaps" }
        job:source(weir.from { { k = 1, ts = 4 }, { k = 1, ts = 7 }, { k = 1, ts = 9 } })
          :watermarks(weir.watermark.ascending { field = "ts" })
          :key_by "k":window(%s:sink(weir.discard()) return job]]):format(rest))
      assert.equal(0, code, log)
      assert.equal("", out)
      assert.is_truthy(log:find ", 2 in no window", log)
      assert.is_truthy(log:find "1 out +2 in no window", log)
    end)
  end
end)
