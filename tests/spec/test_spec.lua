--- The test kit itself: what a spec feeds, moves and sees, and what it is told when something is wrong.

local kit = require "weir.test"
local weir = require "weir"

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

-- Counts the records of a key, in state, and says when event time is ten behind them.
local function counting()
  return weir.process_function {
    state = { n = weir.state.value(), seen = weir.state.list(), by_kind = weir.state.map() },
    element = function(ctx, rec)
      local n = (ctx.n:get() or 0) + 1
      ctx.n:set(n)
      ctx.seen:add(rec.kind or "none")
      ctx.by_kind:put(rec.kind or "none", n)
      ctx:event_timer(ctx:timestamp() + 10)
      ctx:emit { user = rec.user, n = n }
    end,
    timer = function(ctx, time) ctx:emit { user = ctx:key(), timer = time } end,
  }
end

local function counted(opts)
  local fn = counting()
  opts = opts or {}
  opts.time = opts.time or "ts"
  return kit.harness(function(stream) return stream:key_by("user"):process(fn):uid "count" end, opts)
end

describe("a harness", function()
  it("gives what an operator makes of the records that are fed, in order", function()
    local t = kit.harness(function(stream) return stream:map(function(rec) return { twice = 2 * rec.n } end) end)
    t:feed { { n = 1 }, { n = 2 } }
    t:feed { n = 3 }
    assert.same({ { twice = 2 }, { twice = 4 }, { twice = 6 } }, t:output())
    assert.same({}, t:output())
  end)

  it("takes records that are no tables, and nested ones", function()
    local t = kit.harness(function(stream) return stream:filter(function() return true end) end)
    local records = { 7, "text", true, { list = { 1, 2, { deep = "x" } }, flag = false }, { 1, 2, 3 }, weir.null }
    for _, record in ipairs(records) do t:feed { kit.at(0, record) } end
    assert.same(records, t:output())
  end)

  it("gives a function its own copy of what it closes over, shared among its functions", function()
    local factor, library = 3, { add = math.max }
    local t = kit.harness(function(stream)
      local calls = 0
      local function count() calls = calls + 1 return calls end
      return stream:map(function(rec) return { n = library.add(rec.n, 0) * factor, call = count() } end)
    end)
    factor = 4
    t:feed { { n = 1 }, { n = 2 } }
    assert.same({ { n = 3, call = 1 }, { n = 6, call = 2 } }, t:output())
  end)

  it("refuses what cannot go along, by name and line", function()
    local co = coroutine.create(function() end)
    local text = message_of(kit.harness, function(stream)
      return stream:map(function(rec) return { s = coroutine.status(co), rec = rec } end)
    end)
    assert.matches("test_spec.lua:%d+: the function at .-test_spec.lua:%d+, its local 'co': a thread cannot go along", text)
  end)

  it("knows inputs by the names of its parameters, and side outputs by theirs", function()
    local t = kit.harness(function(left, right)
      local out = left:union(right):process(function(ctx, rec)
        if rec.n > 1 then ctx:side("large", rec) else ctx:emit(rec) end
      end)
      return out, { large = out:side_output "large" }
    end)
    t:feed("left", { n = 1 })
    t:feed("right", { { n = 2 }, { n = 0 } })
    assert.same({ { n = 1 }, { n = 0 } }, t:output())
    assert.same({ { n = 2 } }, t:output "large")
    assert.matches('no input lft; did you mean "left"', message_of(t.feed, t, "lft", { n = 1 }))
    assert.matches("which input%? The job has left, right", message_of(t.feed, t, { n = 1 }))
    assert.matches('no output "small"; the job has output, large', message_of(t.output, t, "small"))
    assert.matches("several records are fed as one list", message_of(t.feed, t, "left", { n = 1 }, { n = 2 }))
    assert.matches('has no fed; did you mean "feed"', message_of(function() return t.fed end))
  end)
end)

describe("time in a test", function()
  it("is what the test says: event time by watermarks", function()
    local t = counted()
    t:feed { { user = "ann", ts = 1 }, { user = "ann", ts = 5 } }
    assert.is_nil(t:event_time "count")
    t:watermark(11)
    assert.equal(11, t:event_time "count")
    assert.same({ { user = "ann", n = 1 }, { user = "ann", n = 2 }, { user = "ann", timer = 11 } }, t:output())
    t:finish()
    assert.same({ { user = "ann", timer = 15 } }, t:output())
    assert.matches('input "stream" has ended', message_of(t.feed, t, { user = "ann", ts = 9 }))
    assert.matches("the job has ended", message_of(t.restart, t))
  end)

  it("goes on by the lower of two inputs, and an idle one holds nobody back", function()
    local fn = weir.co_process_function {
      element1 = function(ctx, rec) ctx:event_timer(rec.at) end,
      element2 = function() end,
      timer = function(ctx, time) ctx:emit { key = ctx:key(), time = time } end,
    }
    local t = kit.harness(function(left, right)
      return left:connect(right):key_by("k"):process(fn):uid "timers"
    end)
    t:feed("left", { k = "a", at = 10 })
    t:watermark("left", 20)
    assert.same({}, t:output())
    t:idle "right"
    assert.same({ { key = "a", time = 10 } }, t:output())
    assert.equal(20, t:event_time "timers")
  end)

  it("has timestamps on records, and elements show them", function()
    local t = kit.harness(function(stream) return stream:map(function(rec) return rec end) end)
    t:feed({ n = 1 }, 500)
    t:feed { kit.at(700, { n = 2 }), { n = 3 } }
    assert.same({
      { record = { n = 1 }, timestamp = 500, kind = "insert" }, { record = { n = 2 }, timestamp = 700, kind = "insert" },
      { record = { n = 3 }, kind = "insert" },
    }, t:elements())
  end)

  it("stands still: processing timers fire when the test lets it pass, each at its time", function()
    local fn = weir.process_function {
      element = function(ctx, rec) ctx:processing_timer(ctx:now() + rec.after) end,
      timer = function(ctx, time)
        ctx:emit { timer = time, now = ctx:now() }
        if time == 1050 then ctx:processing_timer(1070) end
      end,
    }
    local t = kit.harness(function(stream) return stream:key_by("k"):process(fn):uid "p" end, { now = 1000 })
    t:feed { { k = 1, after = 100 }, { k = 2, after = 50 } }
    assert.same({ { key = 2, time = 1050, kind = "processing" }, { key = 1, time = 1100, kind = "processing" } },
      t:timers "p")
    t:processing_time(1050)
    assert.same({}, t:output())
    t:advance "51ms"
    assert.same({ { timer = 1050, now = 1051 }, { timer = 1070, now = 1071 }, { timer = 1100, now = 1101 } }, t:output())
    assert.equal(1101, t:processing_time())
  end)

  it("lets state expire", function()
    local fn = weir.process_function {
      state = { seen = weir.state.value { ttl = "1h" } },
      element = function(ctx, rec)
        if not ctx.seen:get() then
          ctx.seen:set(true)
          ctx:emit(rec)
        end
      end,
    }
    local t = kit.harness(function(stream) return stream:key_by("k"):process(fn):uid "p" end)
    t:feed { { k = 1 }, { k = 1 } }
    assert.same({ { k = 1 } }, t:output())
    t:advance "59m"
    assert.is_true(t:state("p", "seen", 1))
    t:advance "2m"
    assert.is_nil(t:state("p", "seen", 1))
    t:feed { k = 1 }
    assert.same({ { k = 1 } }, t:output())
  end)

  it("is the job's where it makes its own watermarks", function()
    local t = kit.job("jobs/top_words.lua", { top = 1 })
    t:feed { { ts = 0, text = "the sea the" }, { ts = 1000, text = "sea the" } }
    t:feed { ts = 71000, text = "a" }
    assert.same({ { minute = "1970-01-01T00:00", rank = 1, word = "the", count = 3 } }, t:output())
    assert.matches('watermarks of its own behind input "files"', message_of(t.watermark, t, 100000))
  end)
end)

describe("the inside of an operator", function()
  it("is shown as values: state, of one key or all, and timers", function()
    local t = counted()
    t:feed { { user = "ann", ts = 1, kind = "x" }, { user = "bob", ts = 2 }, { user = "ann", ts = 3, kind = "y" } }
    assert.equal(2, t:state("count", "n", "ann"))
    assert.same({ "x", "y" }, t:state("count", "seen", "ann"))
    assert.same({ x = 1, y = 2 }, t:state("count", "by_kind", "ann"))
    assert.is_nil(t:state("count", "n", "eve"))
    assert.same({ { key = "ann", value = 2 }, { key = "bob", value = 1 } }, t:states("count", "n"))
    assert.same({ { key = "ann", time = 11, kind = "event" }, { key = "ann", time = 13, kind = "event" } },
      t:timers("count", "ann"))
    assert.equal(3, #t:timers "count")
    assert.matches("operator count has no state m; it has ", message_of(t.state, t, "count", "m", "ann"))
    assert.matches('no operator cuont; did you mean "count"', message_of(t.state, t, "cuont", "n", "ann"))
  end)

  it("has keys of several parts", function()
    local fn = counting()
    local t = kit.harness(function(stream) return stream:key_by("user", "kind"):process(fn):uid "count" end, { time = "ts" })
    t:feed { { user = "ann", kind = 1, ts = 1 }, { user = "ann", kind = 2, ts = 1 } }
    assert.equal(1, t:state("count", "n", { "ann", 2 }))
    assert.same({ { key = { "ann", 1 }, value = 1 }, { key = { "ann", 2 }, value = 1 } }, t:states("count", "n"))
  end)

  it("has broadcast state", function()
    local t = kit.job "jobs/enrich.lua"
    t:feed("rules", { country = "DE", percent = 19, name = "MwSt" })
    assert.same({ DE = { percent = 19, name = "MwSt" } }, t:broadcast("tax", "rules"))
    t:restart()
    t:feed("orders", { id = 1, country = "DE", net = 100, ts = 5 })
    t:finish()
    assert.same({ { id = 1, country = "DE", net = 100, gross = 119, tax = "MwSt" } }, t:output())
  end)

  it("shows the state of windows under each window", function()
    local t = kit.harness(function(stream)
      return stream:key_by("user"):window(weir.window.tumbling(10)):trigger(weir.trigger.count(3))
        :process(function(ctx, records) ctx:emit { n = #records } end):uid "w"
    end, { time = "ts" })
    t:feed { { user = "ann", ts = 1 }, { user = "ann", ts = 12 }, { user = "ann", ts = 2 } }
    local windows = {}
    for _, timer in ipairs(t:timers "w") do windows[#windows + 1] = timer.window.start .. "-" .. timer.window.stop end
    assert.same({ "0-10", "10-20" }, windows)
    assert.equal(2, t:state("w", "trigger.count", "ann", { start = 0, stop = 10 }))
    assert.equal(1, t:state("w", "trigger.count", "ann", { start = 10, stop = 20 }))
  end)

  it("shows state of a trigger in another, and of a process function of windows", function()
    local t = kit.harness(function(stream)
      return stream:key_by("user"):window(weir.window.tumbling(10)):trigger(weir.trigger.purging(weir.trigger.count(2)))
        :process { state = { mine = weir.state.value() }, global_state = { all = weir.state.value() },
          process = function(ctx, records)
            ctx.mine:set(#records)
            ctx.all:set((ctx.all:get() or 0) + #records)
          end }:uid "w"
    end, { time = "ts" })
    t:feed { { user = "ann", ts = 1 }, { user = "ann", ts = 2 }, { user = "ann", ts = 3 } }
    local window = { start = 0, stop = 10 }
    assert.equal(1, t:state("w", "trigger.1.count", "ann", window))
    assert.equal(2, t:state("w", "window.mine", "ann", window))
    assert.equal(2, t:state("w", "global.all", "ann"))
  end)
end)

describe("restart", function()
  it("keeps state and timers, and event time goes on", function()
    local t = counted { parallelism = 3 }
    t:feed { { user = "ann", ts = 1 }, { user = "bob", ts = 2 } }
    t:watermark(5)
    local before = { t:states("count", "n"), t:states("count", "seen"), t:states("count", "by_kind"), t:timers "count" }
    t:restart()
    assert.same(before, { t:states("count", "n"), t:states("count", "seen"), t:states("count", "by_kind"), t:timers "count" })
    assert.equal(5, t:event_time "count")
    t:output()
    t:watermark(12)
    assert.same({ { user = "ann", timer = 11 }, { user = "bob", timer = 12 } }, kit.sorted(t:output()))
  end)

  it("shows that a function hides state in a Lua variable", function()
    local function test(restart)
      local n = 0
      local t = kit.harness(function(stream) return stream:map(function(rec) n = n + 1 return { rec = rec.k, n = n } end) end)
      t:feed { { k = "a" }, { k = "b" } }
      if restart then t:restart() end
      t:feed { k = "c" }
      assert.same({ { rec = "a", n = 1 }, { rec = "b", n = 2 }, { rec = "c", n = 3 } }, t:output())
    end
    test(false)
    assert.is_false((pcall(test, true)))
  end)

  it("I11: lets processing timers fire, those that came due meanwhile at once", function()
    local fn = weir.process_function {
      element = function(ctx, rec) ctx:processing_timer(rec.at) end,
      timer = function(ctx, time) ctx:emit { timer = time } end,
    }
    local t = kit.harness(function(stream) return stream:key_by("k"):process(fn):uid "p" end)
    t:feed { { k = 1, at = 50 }, { k = 2, at = 0 } }
    assert.same({}, t:output())
    t:restart()
    t:advance(60)
    assert.same({ { timer = 0 }, { timer = 50 } }, t:output())
  end)
end)

describe("several subtasks", function()
  it("share the keys, and one of them has all records of a key", function()
    local t = kit.harness(function(stream)
      return stream:key_by("k"):process(function(ctx, rec)
        ctx:emit { k = rec.k, subtask = ctx:subtask() }
      end)
    end, { parallelism = 4 })
    for i = 1, 200 do t:feed { k = i % 20 } end
    local subtask_of, used = {}, {}
    for _, rec in ipairs(t:output()) do
      assert.equal(subtask_of[rec.k] or rec.subtask, rec.subtask)
      subtask_of[rec.k], used[rec.subtask] = rec.subtask, true
    end
    assert.same({ [0] = true, true, true, true }, used)
  end)
end)

describe("interleave", function()
  local function order(seed)
    local t = kit.harness(function(left, right) return left:union(right):map(function(rec) return rec end) end)
    local lefts, rights = {}, {}
    for i = 1, 20 do lefts[i], rights[i] = { l = i }, { r = i } end
    t:interleave({ left = lefts, right = rights }, seed)
    local text, last = {}, { l = 0, r = 0 }
    for i, rec in ipairs(t:output()) do
      local side = rec.l and "l" or "r"
      assert.equal(last[side] + 1, rec[side])
      last[side] = rec[side]
      text[i] = side
    end
    assert.same({ l = 20, r = 20 }, last)
    return table.concat(text)
  end

  it("is the same for the same seed, another for another, and keeps the order of each input", function()
    assert.equal(order(7), order(7))
    assert.not_equal(order(7), order(8))
  end)
end)

describe("a failure", function()
  it("in a function names its line, the record and the line of the test", function()
    local function line() return debug.getinfo(2, "l").currentline end
    local at = line()
    local t = kit.harness(function(stream)
      return stream:map(function(rec)
        return { n = rec.a.b }
      end)
    end)
    local text = message_of(function()
      t:feed { a = 1 }
    end)
    assert.equal(("tests/spec/test_spec.lua:%d: "):format(at + 7), text:match "^[^:]+:%d+: ")
    assert.is_truthy(text:find(("tests/spec/test_spec.lua:%d: attempt to index field 'a'"):format(at + 3), 1, true))
    assert.is_truthy(text:find('record: {"a":1}', 1, true))
    assert.matches("attempt to index", message_of(t.feed, t, { a = { b = 1 } })) -- the job is over
  end)

  it("in drawing names the line of the script or function", function()
    assert.matches("test_spec.lua:%d+: .*stream:map: its argument must be a function", message_of(kit.harness, function(stream)
      return stream:map(5)
    end))
    assert.matches("cannot open no/such.lua", message_of(kit.job, "no/such.lua"))
    assert.matches("kit.harness takes a function of streams", message_of(kit.harness, function() end))
    assert.matches("returns the stream whose records are the output", message_of(kit.harness, function(stream)
      stream:sink(weir.discard())
    end))
  end)

  it("is dealt with by the policy", function()
    local t = kit.harness(function(stream)
      local out = stream:map(function(rec) return { n = rec.a.b } end):name "pick":on_error "dead_letter"
      return out, { bad = out:side_output "dead_letter" }
    end)
    t:feed { { a = 1 }, { a = { b = 2 } } }
    assert.same({ { n = 2 } }, t:output())
    local bad = t:output "bad"
    assert.equal(1, #bad)
    assert.same({ a = 1 }, bad[1].record)
  end)

  it("of what is fed names what cannot be in a record", function()
    local t = kit.harness(function(stream) return stream:map(function(rec) return rec end) end)
    assert.matches("a record cannot hold a function", message_of(t.feed, t, { f = print }))
    assert.matches("what is to be fed%?", message_of(t.feed, t))
    t:watermark(10)
    assert.matches("goes back, from 10 to 5", message_of(t.watermark, t, 5))
    for _, time in ipairs { math.huge, -math.huge, 0 / 0, 1e300, 0.5 } do -- t:finish() is the end of time
      assert.matches("t:watermark: the time must be a whole number, not ", message_of(t.watermark, t, time))
      assert.matches("t:feed: the time must be a whole number, not ", message_of(t.feed, t, { a = 1 }, time))
    end
  end)
end)

describe("a job that was closed", function()
  it("says so", function()
    local t = kit.harness(function(stream) return stream:map(function(rec) return rec end) end)
    t:close()
    assert.matches("this test was closed", message_of(t.feed, t, { n = 1 }))
    assert.matches("this test was closed", message_of(t.output, t))
    assert.matches("this test was closed", message_of(t.restart, t))
    t:close()
  end)
end)
