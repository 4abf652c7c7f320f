--- Rows of the list of semantics that a script can see, each named by its number.

local script = require "support.script"

local head = [[
local weir = require "weir"
local job = weir.job "test"
local print = weir.print()
local keyed = job:source(weir.from { { k = "a", ts = 10 }, { k = "a", ts = 30 }, { k = "a", ts = 20 } })
  :watermarks(weir.watermark.ascending { field = "ts" }):key_by "k"
local function once(state, fn) -- calls fn at the first record only
  state.done = weir.state.value()
  keyed:process(weir.process_function {
    state = state,
    element = function(ctx, r)
      if not ctx.done:get() then
        ctx.done:set(true)
        fn(ctx, r)
      end
    end,
  }):sink(print)
end
]]

local cases = {
  { "S1: setting a value state to nil clears it",
    [[once({ v = weir.state.value() }, function(ctx)
      ctx.v:set(5) ctx.v:set(nil) ctx:emit { empty = ctx.v:get() == nil }
    end)]], { '{"empty":true}' } },
  { "S2: a list state is never nil, refuses nil, and is cleared by an empty list",
    [[once({ l = weir.state.list() }, function(ctx)
      local none = #ctx.l:all()
      local refused = not pcall(ctx.l.add, ctx.l, nil)
      ctx.l:add(1)
      ctx.l:set {}
      ctx:emit { none = none, refused = refused, left = ctx.l:count() }
    end)]], { '{"left":0,"none":0,"refused":true}' } },
  { "S3: removing the last entry empties a map state",
    [[once({ m = weir.state.map() }, function(ctx)
      ctx.m:put("x", 1)
      local before = ctx.m:is_empty()
      ctx.m:remove "x"
      ctx:emit { before = before, after = ctx.m:is_empty(), x = ctx.m:get "x" == nil }
    end)]], { '{"after":true,"before":false,"x":true}' } },
  { "S4: views of an absent map state are empty, never nil",
    [[once({ m = weir.state.map() }, function(ctx)
      local n = 0
      for _ in ctx.m:iter() do n = n + 1 end
      ctx:emit { iterated = n, keys = #ctx.m:keys(), count = ctx.m:count() }
    end)]], { '{"count":0,"iterated":0,"keys":0}' } },
  { "S12: there is no state in open",
    [[keyed:process(weir.process_function {
      state = { v = weir.state.value() },
      open = function(ctx) ok, why = pcall(function() return ctx.v:get() end) end,
      element = function(ctx, r) if r.ts == 10 then ctx:emit { ok = ok } end end,
    }):sink(print)]], { '{"ok":false}' } },
  { "S18: reduce emits the first record unchanged, then values with the time of the latest record",
    [[keyed:reduce(function(a, b) return { k = a.k, ts = a.ts + b.ts } end)
      :process(function(ctx, r) ctx:emit { sum = r.ts, at = ctx:timestamp() } end):sink(print)]],
    { '{"at":10,"sum":10}', '{"at":30,"sum":40}', '{"at":20,"sum":60}' } },
  { "S6, S7: a value is there until its time to live is over",
    [[once({ v = weir.state.value { ttl = "1h" } }, function(ctx)
      ctx.v:set(1) ctx:emit { v = ctx.v:get() }
    end)]], { '{"v":1}' } },
  { "I1, I5: a timer that event time has passed already fires with the next watermark",
    [[keyed:process(weir.process_function {
      element = function(ctx, r) if r.ts == 20 then ctx:event_timer(-5) end end,
      timer = function(ctx, time) ctx:emit { time = time } end,
    }):sink(print)]], { '{"time":-5}' } },
  { "I8: what an event timer emits has the timer's time, what a processing timer emits has none",
    [[keyed:process(weir.process_function {
      element = function(ctx, r) ctx:event_timer(100) ctx:processing_timer(4e12) end,
      timer = function(ctx, time) ctx:emit { time = time } end,
    }):process(function(ctx, r) ctx:emit { time = r.time, ts = ctx:timestamp() or "none" } end):sink(print)]],
    { '{"time":100,"ts":100}', '{"time":4000000000000,"ts":"none"}' } },
  { "I9: a timer sees the key that it was set for",
    [[job:source(weir.from { { k = "x" }, { k = "y" } }):key_by "k":process(weir.process_function {
      state = { mine = weir.state.value() },
      element = function(ctx, r) ctx.mine:set(r.k) ctx:event_timer(1) end,
      timer = function(ctx) ctx:emit { key = ctx:key(), mine = ctx.mine:get() } end,
    }):sink(print)
    keyed:sink(weir.discard())]], { '{"key":"x","mine":"x"}', '{"key":"y","mine":"y"}' } },
  { "K22: watermarks reach side outputs",
    [[local p = job:source(weir.from { { k = "x", ts = 5 } }):watermarks(weir.watermark.ascending { field = "ts" })
      :process(function(ctx, r) ctx:side("out", r) end)
    p:side_output "out":key_by "k":process(weir.process_function {
      element = function(ctx, r) ctx:event_timer(r.ts) end,
      timer = function(ctx, time) ctx:emit { fired = time } end,
    }):sink(print)
    keyed:sink(weir.discard())]], { '{"fired":5}' } },
  { "B5: records keep their time through map and flat_map, and stay without one",
    [[keyed:map(function(r) return { ts = r.ts } end):flat_map(function(r, emit) emit(r) end)
      :process(function(ctx, r) ctx:emit { same = ctx:timestamp() == r.ts } end):sink(print)
    job:source(weir.from { { a = 1 } }):map(function(r) return r end)
      :process(function(ctx) ctx:emit { none = ctx:timestamp() == nil } end):sink(print)]],
    { '{"same":true}', '{"same":true}', '{"same":true}', '{"none":true}' } },
  { "P1: 1, 1.0 and 1LL are one key, \"1\" is another",
    [[job:source(weir.from { { k = 1 }, { k = 1LL }, { k = "1" }, { k = 1ULL } }):key_by "k":count { emit = "final" }
      :map(function(r) return { n = r.count } end):sink(print)
    keyed:sink(weir.discard())]], { '{"n":3}', '{"n":1}' } },
}

describe("semantics", function()
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(script.lines(case[3]), script.run(head .. case[2]))
    end)
  end
end)
