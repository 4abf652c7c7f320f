--- Each operator that keeps something, run with a restart at a random place, with a reload of its functions
--- there, and without: the results are the same.
--- Records, watermarks and the passing of time are drawn from a seed; SEEDS=n tries more of them.

local dice = require "support.dice"
local kit = require "weir.test"
local weir = require "weir"
local joins, keyed, patterns = require "weir.joins", require "weir.keyed", require "weir.patterns"

local window, agg, trigger, evictor = weir.window, weir.agg, weir.trigger, weir.evictor

local SEEDS = tonumber(os.getenv "SEEDS" or 2)
local STEPS = 60

-- What is done to an operator, step by step: records up to 30 ms out of order, watermarks behind them.
local function script(seed, inputs)
  local below = dice(seed * 7919 + 17)
  local steps, time = {}, 0
  for i = 1, STEPS do
    time = time + below(15)
    local roll = below(10)
    if roll == 0 then
      steps[i] = { watermark = time - 30 }
    elseif roll == 1 then
      steps[i] = { advance = 1 + below(40) }
    else
      steps[i] = {
        input = inputs[1 + below(#inputs)],
        record = { k = "k" .. below(3), n = below(50), id = i, ts = math.max(0, time - below(30)) },
      }
    end
  end
  return steps
end

local function outcome(make, seed, parallelism, at, what)
  local t = kit.harness(make, { time = "ts", parallelism = parallelism, seed = seed })
  local inputs, out = {}, {}
  for i = 1, debug.getinfo(make, "u").nparams do inputs[i] = debug.getlocal(make, i) end
  for i, step in ipairs(script(seed, inputs)) do
    if i == at then t[what](t, make) end
    if step.record then
      t:feed(step.input, step.record)
    elseif step.advance then
      t:advance(step.advance)
    elseif step.watermark > (out.watermark or -1) then
      out.watermark = step.watermark
      t:watermark(step.watermark)
    end
  end
  t:finish()
  t:advance "1m" -- what async functions still wait for
  local records = kit.sorted(t:output())
  t:close()
  return records
end

local function same_after_restart(name, make)
  it(name, function()
    local some = 0
    for seed = 1, SEEDS do
      local parallelism = 1 + seed % 2
      local restart_at = 2 + dice((seed * 31 + #name) * 7919 + 17)(STEPS - 2)
      local expected = outcome(make, seed, parallelism, nil)
      some = some + #expected
      for _, what in ipairs { "restart", seed == 1 and "reload" or nil } do
        assert.same(expected, outcome(make, seed, parallelism, restart_at, what),
          ("seed %d, %s before step %d, parallelism %d"):format(seed, what, restart_at, parallelism))
      end
    end
    assert.is_true(some > 0)
  end)
end

local everything = weir.process_function {
  state = {
    last = weir.state.value(), all = weir.state.list(), by_n = weir.state.map(),
    most = weir.state.reducing(math.max), short = weir.state.value { ttl = 50 },
    mean = weir.state.aggregating {
      init = function() return { n = 0, sum = 0 } end,
      add = function(acc, v) acc.n, acc.sum = acc.n + 1, acc.sum + v return acc end,
      result = function(acc) return acc.sum / acc.n end,
    },
  },
  element = function(ctx, rec)
    ctx.all:add(rec.id)
    ctx.by_n:put(rec.n, (ctx.by_n:get(rec.n) or 0) + 1)
    ctx.most:add(rec.n)
    ctx.mean:add(rec.n)
    ctx:emit {
      k = rec.k, before = ctx.last:get(), count = ctx.all:count(), kinds = ctx.by_n:count(), most = ctx.most:get(),
      mean = ctx.mean:get(), short = ctx.short:get(), watermark = ctx:watermark(),
    }
    ctx.last:set { id = rec.id, deep = { rec.n, { rec.k } } }
    ctx.short:set(rec.id)
    ctx:event_timer(rec.ts + 20)
    ctx:processing_timer(ctx:now() + 25)
  end,
  timer = function(ctx, time)
    ctx:emit { k = ctx:key(), timer = time, now = ctx:now(), last = ctx.last:get() }
  end,
}

describe("a restart or a reload at a random place changes nothing:", function()
  describe("functions with state", function()
    same_after_restart("process, with every kind of state and timer", function(s)
      return s:key_by("k"):process(everything):uid "p"
    end)

    same_after_restart("process of two inputs", function(left, right)
      return left:connect(right):key_by("k"):process(weir.co_process_function {
        state = { seen = weir.state.list() },
        element1 = function(ctx, rec) ctx.seen:add(rec.id) ctx:event_timer(rec.ts + 10) end,
        element2 = function(ctx, rec) ctx:emit { id = rec.id, seen = ctx.seen:all() } end,
        timer = function(ctx, time)
          ctx:emit { k = ctx:key(), time = time, seen = ctx.seen:count() }
          ctx.seen:clear()
        end,
      }):uid "p"
    end)

    same_after_restart("broadcast", function(records, rules)
      return records:key_by("k"):connect(rules:broadcast()):process(weir.broadcast_function {
        state = { n = weir.state.value() },
        broadcast_state = { rules = weir.state.map() },
        element = function(ctx, rec)
          ctx.n:set((ctx.n:get() or 0) + 1)
          ctx:emit { id = rec.id, n = ctx.n:get(), rule = ctx.rules:get(rec.k) }
        end,
        broadcast = function(ctx, rec) ctx.rules:put(rec.k, { id = rec.id }) end,
      }):uid "b"
    end)

    for _, order in ipairs { "ordered", "unordered" } do
      same_after_restart("J11: async, " .. order, function(s)
        return s:async { order = order, timeout = "1h", retry = { attempts = 2, delay = 5 }, fn = function(rec, emit)
          weir.async.sleep(rec.n)
          emit { id = rec.id, first = true }
          weir.async.sleep(rec.n % 7)
          if rec.n % 5 == 0 then error "always, and given up with the second attempt" end
          return { id = rec.id, n = rec.n }
        end }:uid("a"):on_error "skip"
      end)
      same_after_restart("async with little room, " .. order, function(s)
        return s:async { capacity = 5, order = order, fn = function(rec)
          weir.async.sleep(rec.n + 1)
          return { id = rec.id }
        end }:uid "a"
      end)
    end

    same_after_restart("reduce", function(s)
      return s:key_by("k"):reduce(function(a, b) return { k = a.k, n = a.n + b.n, id = b.id } end):uid "r"
    end)
    same_after_restart("reduce, final", function(s)
      return s:key_by("k"):reduce(function(a, b) return { k = a.k, n = a.n + b.n } end, { emit = "final" }):uid "r"
    end)
  end)

  describe("running aggregates", function()
    for _, emit in ipairs { "update", "final" } do
      same_after_restart("count, " .. emit, function(s) return s:key_by("k"):count { emit = emit }:uid "a" end)
      for _, fn in ipairs { "sum", "min", "max", "min_by", "max_by" } do
        same_after_restart(fn .. ", " .. emit, function(s)
          local by_key = s:key_by("k")
          return by_key[fn](by_key, "n", { emit = emit }):uid "a"
        end)
      end
    end
  end)

  local windows = {
    tumbling = function() return window.tumbling(40) end,
    sliding = function() return window.sliding { size = 60, slide = 25 } end,
    cumulative = function() return window.cumulative { size = 60, step = 20 } end,
    session = function() return window.session(12) end,
    ["processing time"] = function() return window.tumbling { size = 30, time = "processing" } end,
    ["own merging"] = function()
      return window.new { merging = true, assign = function(rec, time, add) add(time, time + rec.n % 20 + 1) end }
    end,
  }
  describe("windows", function()
    for name, assigner in weir.pairs(windows) do
      same_after_restart(name .. ", of simple aggregates", function(s)
        return s:key_by("k"):window(assigner()):allowed_lateness(20):aggregate {
          n = agg.count(), sum = agg.sum "n", mean = agg.avg "n", low = agg.min "n", dev = agg.stddev "n",
        }:uid "w"
      end)
      same_after_restart(name .. ", of all aggregates", function(s)
        return s:key_by("k"):window(assigner()):aggregate {
          first = agg.first "id", last = agg.last "id", most = agg.max_by "n", list = agg.collect "id",
          text = agg.string_agg("k", "-"), top = agg.top(2, "n"), kinds = agg.distinct "n", half = agg.median "n",
          about = agg.distinct_approx "n",
        }:uid "w"
      end)
      same_after_restart(name .. ", of a process function", function(s)
        return s:key_by("k"):window(assigner()):process(function(ctx, records)
          local from, to = ctx:window()
          local ids = {}
          for i, rec in ipairs(records) do ids[i] = rec.id end
          ctx:emit { from = from, to = to, ids = ids }
        end):uid "w"
      end)
    end

    same_after_restart("count", function(s) return s:key_by("k"):window(window.count(4)):sum("n"):uid "w" end)
    same_after_restart("count, what is left at the end", function(s)
      return s:key_by("k"):window(window.count { size = 4, partial_at_end = true }):sum("n"):uid "w"
    end)
    same_after_restart("count, sliding", function(s)
      return s:key_by("k"):window(window.count { size = 5, slide = 2 }):aggregate { list = agg.collect "id" }:uid "w"
    end)
    same_after_restart("of a stream without a key", function(s)
      return s:window_all(window.tumbling(40)):aggregate { n = agg.count(), sum = agg.sum "n" }:uid "w"
    end)
    same_after_restart("of a stream without a key, of a process function", function(s)
      return s:window_all(window.session(8)):process(function(ctx, records) ctx:emit { n = #records } end):uid "w"
    end)
    same_after_restart("reduce", function(s)
      return s:key_by("k"):window(window.sliding { size = 40, slide = 20 })
        :reduce(function(a, b) return { k = a.k, n = a.n + b.n } end):uid "w"
    end)
    same_after_restart("global, by a count", function(s)
      return s:key_by("k"):window(window.global()):trigger(trigger.purging(trigger.count(3))):count():uid "w"
    end)
  end)

  local triggers = {
    early = function() return trigger.early { every = 10, time = "event" } end,
    ["early, by the clock"] = function() return trigger.early(20) end,
    count = function() return trigger.count(2) end,
    delta = function() return trigger.delta { threshold = 10, fn = function(a, b) return math.abs(a.n - b.n) end } end,
    timeout = function() return trigger.timeout(trigger.count(5), 30) end,
    any = function() return trigger.any { trigger.count(3), trigger.event_time() } end,
  }
  describe("triggers", function()
    for name, make in weir.pairs(triggers) do
      same_after_restart(name, function(s)
        return s:key_by("k"):window(window.tumbling(60)):trigger(make()):aggregate { list = agg.collect "id" }:uid "w"
      end)
    end
  end)

  local evictors = {
    count = function() return evictor.count(2) end,
    time = function() return evictor.time(15) end,
  }
  describe("evictors", function()
    for name, make in weir.pairs(evictors) do
      same_after_restart(name, function(s)
        return s:key_by("k"):window(window.tumbling(60)):trigger(trigger.count(3)):evictor(make())
          :process(function(ctx, records) ctx:emit { n = #records, id = records[1].id } end):uid "w"
      end)
    end
  end)

  describe("joins", function()
    local function pair(l, r) return { l = l and l.id, r = r and r.id } end
    for _, kind in ipairs { "inner", "left", "right", "full" } do
      same_after_restart("interval, " .. kind, function(left, right)
        return left:connect(right):key_by("k")
          :process(joins.interval { lower = -20, upper = 20, kind = kind, join = pair }):uid "j"
      end)
      same_after_restart("window, " .. kind, function(left, right)
        return left:connect(right):key_by("k"):process(joins.window { size = 40, kind = kind, join = pair }):uid "j"
      end)
    end
    same_after_restart("cogroup", function(left, right)
      return left:connect(right):key_by("k"):process(joins.cogroup {
        size = 40, fn = function(lefts, rights, emit) emit { l = #lefts, r = #rights } end,
      }):uid "j"
    end)
    same_after_restart("temporal", function(left, right)
      return left:connect(right):key_by("k"):process(joins.temporal { kind = "left", join = pair }):uid "j"
    end)
    same_after_restart("regular", function(left, right)
      return left:connect(right):key_by("k"):process(joins.regular { ttl = 100, join = pair }):uid "j"
    end)
  end)

  describe("what one does with a key's records", function()
    local functions = {
      ["deduplicate"] = function() return keyed.deduplicate { within = 100 } end,
      ["deduplicate, last"] = function() return keyed.deduplicate { keep = "last", within = 40 } end,
      ["top"] = function() return keyed.top { n = 2, by = "n" } end,
      ["last"] = function() return keyed.last { n = 3 } end,
      ["sessionize"] = function() return keyed.sessionize { gap = 12 } end,
      ["fill"] = function() return keyed.fill { every = 10 } end,
      ["rate"] = function() return keyed.rate { field = "n" } end,
      ["followed_by"] = function()
        return patterns.followed_by {
          steps = { function(r) return r.n > 25 end, function(r) return r.n <= 25 end }, within = 60,
          match = function(a, b) return { from = a.id, to = b.id } end,
        }
      end,
    }
    for name, make in weir.pairs(functions) do
      same_after_restart(name, function(s) return s:key_by("k"):process(make()):uid "p" end)
    end
  end)

  it("K24: keep late what was late, and take what was not", function()
    local t = kit.harness(function(s)
      return s:key_by("k"):window(window.tumbling(10)):allowed_lateness(5):aggregate { n = agg.count() }:uid "w"
    end, { time = "ts" })
    t:feed { k = "a", ts = 5 }
    t:watermark(16)
    t:restart()
    t:feed { k = "a", ts = 6 } -- the window 0 to 10 and its lateness are over
    assert.equal(1, t:late "w")
    t:feed { k = "a", ts = 12 } -- that from 10 to 20 is open
    assert.equal(1, t:late "w")
    t:finish()
    local counts = {}
    for _, r in ipairs(t:output()) do counts[#counts + 1] = r.n end
    assert.same({ 1, 1 }, counts)
  end)
end)
