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
  { "S2: setting a list state to no list is refused and clears nothing",
    [[once({ l = weir.state.list() }, function(ctx)
      ctx.l:add(1)
      local _, why = pcall(ctx.l.set, ctx.l, nil)
      ctx:emit { left = ctx.l:count(), why = why:match "a list state is set to a list, not to nil" }
    end)]], { '{"left":1,"why":"a list state is set to a list, not to nil"}' } },
  { "S5: a map state may be emptied or rewritten while it is iterated",
    [[once({ m = weir.state.map() }, function(ctx)
      local sum, removed = 0, 0
      for i = 1, 100 do ctx.m:put(i, { n = i }) end
      for k, v in ctx.m:iter() do sum = sum + v.n ctx.m:put(k, { n = v.n, longer = "text" .. k }) end
      for k in ctx.m:iter() do removed = removed + 1 ctx.m:remove(k) end
      ctx:emit { sum = sum, removed = removed, left = ctx.m:count() }
    end)]], { '{"left":0,"removed":100,"sum":5050}' } },
  { "I10: there are no timers and no key without a keyed stream",
    [[keyed:sink(weir.discard())
    job:source(weir.from { { i = 1 } }):process(function(ctx)
      local timer, key = pcall(ctx.event_timer, ctx, 1), pcall(ctx.key, ctx)
      ctx:emit { timer = timer, key = key }
    end):sink(print)]], { '{"key":false,"timer":false}' } },
  { "I3: a timer's time is a number that is a time",
    [[once({}, function(ctx)
      for name, t in pairs { inf = 1 / 0, ninf = -1 / 0, nan = 0 / 0, big = 2 ^ 63, text = "1" } do
        if pcall(ctx.event_timer, ctx, t) then ctx:emit { taken = name } end
      end
    end)]], {} },
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

-- Values with a time to live against a model in a state without one; time comes from the records' pace.
local ttl = [[
local weir = require "weir"
local job = weir.job "test"
for _, opts in ipairs { { ttl = 3 }, { ttl = 3, ttl_update = "read" } } do
  job:source(weir.generate { rate = 1000, count = 100, fn = function(i) return { i = i, k = 1 } end }):key_by "k"
    :process(weir.process_function {
      state = { v = weir.state.value(opts), m = weir.state.map(opts), l = weir.state.list(opts),
        at = weir.state.value() },
      element = function(ctx, r)
        local at, now, n = ctx.at:get(), ctx:now(), 0
        local alive = at ~= nil and now < at + opts.ttl
        for _ in ctx.m:iter() do n = n + 1 end
        local listed = ctx.l:all()[1]
        if (ctx.v:get() ~= nil) ~= alive or ctx.m:contains "x" ~= alive or (ctx.m:get "x" ~= nil) ~= alive
          or n ~= (alive and 1 or 0) or (listed ~= nil) ~= alive or ctx.l:count() ~= n or ctx.m:count() ~= n or ctx.m:is_empty() == alive then
          ctx:emit { i = r.i, should_live = alive }
        end
        if alive and opts.ttl_update then ctx.at:set(now) end
        if not alive or r.i % 5 == 0 then
          ctx.v:set(r.i)
          ctx.m:put("x", r.i)
          ctx.l:set { r.i }
          ctx.at:set(now)
        end
        if r.i == 99 then ctx:emit { done = true } end
      end,
    }):sink(weir.print())
end
]]

describe("semantics", function()
  it("S6, S7, S8, S9: state lives until its last write, or read, plus its time to live; is_empty agrees", function()
    assert.equal(script.lines { '{"done":true}', '{"done":true}' }, script.run(ttl, "-q --buffer-timeout=0"))
  end)

  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(script.lines(case[3]), script.run(head .. case[2]))
    end)
  end
end)
