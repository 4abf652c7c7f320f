--- Every operator of the API does what its page says, at parallelism 1, 2 and 4. Results are compared as
--- sorted lines: between subtasks there is no order.

local script = require "support.script"

local head = [[
local weir = require "weir"
local job = weir.job "test"
local print = weir.print()
local n = job:source(weir.sequence { to = 6 }):map(function(i) return { i = i, k = i % 2 == 0 and "even" or "odd" } end)
]]

local cases = {
  { "map, filter and flat_map",
    [[n:filter(function(r) return r.i > 4 end):flat_map(function(r, emit) emit { a = r.i } emit { b = r.i } end):sink(print)]],
    { '{"a":5}', '{"a":6}', '{"b":5}', '{"b":6}' } },
  { "a chain of a hundred operators",
    [[for _ = 1, 100 do n = n:map(function(r) return { i = r.i + 1 } end) end
    n:filter(function(r) return r.i < 103 end):sink(print)]], { '{"i":101}', '{"i":102}' } },
  { "words", [[job:source(weir.from { { line = "The sea, the SEA" } }):words():key_by "word":count { emit = "final" }:sink(print)
    n:sink(weir.discard())]], { '{"count":2,"word":"sea"}', '{"count":2,"word":"the"}' } },
  { "count of a field", [[n:key_by "k":count { emit = "final" }:sink(print)]],
    { '{"count":3,"k":"even"}', '{"count":3,"k":"odd"}' } },
  { "count of a key made by a function",
    [[n:key_by(function(r) return r.i % 3, r.k end, "rest", "kind"):count { emit = "final", as = "n" }:sink(print)]],
    { '{"kind":"even","n":1,"rest":0}', '{"kind":"even","n":1,"rest":1}', '{"kind":"even","n":1,"rest":2}',
      '{"kind":"odd","n":1,"rest":0}', '{"kind":"odd","n":1,"rest":1}', '{"kind":"odd","n":1,"rest":2}' } },
  { "sum, min and max",
    [[local by = n:key_by "k"
    by:sum("i", { emit = "final" }):sink(print)
    by:min("i", { emit = "final", as = "min" }):sink(print)
    by:max("i", { emit = "final", as = "max" }):sink(print)]],
    { '{"i":12,"k":"even"}', '{"i":9,"k":"odd"}', '{"k":"even","min":2}', '{"k":"odd","min":1}', '{"k":"even","max":6}',
      '{"k":"odd","max":5}' } },
  { "min_by and max_by",
    [[local by = n:map(function(r) return { k = r.k, x = -r.i, t = "n" .. r.i } end):key_by "k"
    by:min_by("x", { emit = "final" }):sink(print)
    by:max_by("x", { emit = "final" }):sink(print)]],
    { '{"k":"even","t":"n6","x":-6}', '{"k":"odd","t":"n5","x":-5}', '{"k":"even","t":"n2","x":-2}',
      '{"k":"odd","t":"n1","x":-1}' } },
  { "reduce",
    [[n:key_by "k":reduce(function(a, b) return { k = a.k, i = a.i + b.i } end, { emit = "final" }):sink(print)]],
    { '{"i":12,"k":"even"}', '{"i":9,"k":"odd"}' } },
  { "union", [[n:union(n, job:source(weir.from { { i = 0, k = "zero" } })):key_by "k":count { emit = "final" }:sink(print)]],
    { '{"count":6,"k":"even"}', '{"count":6,"k":"odd"}', '{"count":1,"k":"zero"}' } },
  { "process with value, list and map state",
    [[n:key_by "k":process(weir.process_function {
      state = { n = weir.state.value(), all = weir.state.list(), seen = weir.state.map() },
      element = function(ctx, r)
        ctx.n:update(function(old) return (old or 0) + 1 end)
        ctx.all:add(r.i)
        ctx.seen:put(r.i, true)
        if ctx.n:get() == 3 then
          local sum = 0
          for v in ctx.all:iter() do sum = sum + v end
          ctx:emit { key = ctx:key(), sum = sum, count = ctx.all:count(), seen = ctx.seen:count(),
            even = ctx.seen:contains(2), got = #ctx.all:all() }
          ctx.n:clear()
          ctx.all:clear()
          ctx.seen:clear()
          ctx:emit { key = ctx:key(), empty = ctx.seen:is_empty(), left = ctx.all:count() }
        end
      end,
    }):sink(print)]],
    { '{"count":3,"even":true,"got":3,"key":"even","seen":3,"sum":12}', '{"empty":true,"key":"even","left":0}',
      '{"count":3,"even":false,"got":3,"key":"odd","seen":3,"sum":9}', '{"empty":true,"key":"odd","left":0}' } },
  { "records kept whole in every kind of state",
    [[n:key_by "k":process(weir.process_function {
      state = { v = weir.state.value(), l = weir.state.list(), m = weir.state.map(), r = weir.state.reducing(function(a, b) return b end) },
      element = function(ctx, r)
        ctx.v:set(r)
        ctx.l:add(r)
        ctx.m:put("x", r)
        ctx.r:add(r)
        ctx:processing_timer(4e12)
      end,
      timer = function(ctx)
        local n = 0
        for r in ctx.l:iter() do n = n + r.i end
        ctx:emit { v = ctx.v:get().k, l = n, m = ctx.m:get("x").k, r = ctx.r:get().k }
      end,
    }):sink(print)]],
    { '{"l":12,"m":"even","r":"even","v":"even"}', '{"l":9,"m":"odd","r":"odd","v":"odd"}' } },
  { "reducing and aggregating state",
    [[n:key_by "k":process(weir.process_function {
      state = {
        top = weir.state.reducing(math.max),
        mean = weir.state.aggregating {
          init = function() return { n = 0, sum = 0 } end,
          add = function(acc, v) return { n = acc.n + 1, sum = acc.sum + v } end,
          result = function(acc) return acc.sum / acc.n end,
        },
        n = weir.state.value(),
      },
      element = function(ctx, r)
        ctx.top:add(r.i)
        ctx.mean:add(r.i)
        ctx.n:set((ctx.n:get() or 0) + 1)
        if ctx.n:get() == 3 then ctx:emit { k = r.k, top = ctx.top:get(), mean = ctx.mean:get() } end
      end,
    }):sink(print)]],
    { '{"k":"even","mean":4,"top":6}', '{"k":"odd","mean":3,"top":5}' } },
  { "event timers, in order, with deletion (I1, I2, I4)",
    [[n:watermarks(weir.watermark.ascending { field = "i" }):key_by(function() return 1 end):process(weir.process_function {
      element = function(ctx, r)
        ctx:event_timer(r.i * 10)
        ctx:event_timer(r.i * 10)
        if r.i % 3 == 0 then ctx:delete_event_timer(r.i * 10) end
      end,
      timer = function(ctx, time)
        ctx:emit { at = time, ts = ctx:timestamp() }
        if time == 50 then ctx:event_timer(55) end
      end,
    }):sink(print)]],
    { '{"at":10,"ts":10}', '{"at":20,"ts":20}', '{"at":40,"ts":40}', '{"at":50,"ts":50}', '{"at":55,"ts":55}' } },
  { "watermarks: a field gives time, none stops them",
    [[n:watermarks(weir.watermark.bounded { field = "i", delay = "1s" }):watermarks(weir.watermark.none())
      :key_by "k":process(weir.process_function {
        element = function(ctx, r)
          ctx:emit { ts = ctx:timestamp(), wm = ctx:watermark() or "none" }
        end,
      }):sink(print)]],
    { '{"ts":1,"wm":"none"}', '{"ts":2,"wm":"none"}', '{"ts":3,"wm":"none"}', '{"ts":4,"wm":"none"}',
      '{"ts":5,"wm":"none"}', '{"ts":6,"wm":"none"}' } },
  { "processing timers at the end of bounded input (I13)",
    [[n:key_by "k":process(weir.process_function {
      element = function(ctx, r) ctx:processing_timer(4e12) end,
      timer = function(ctx, time) ctx:emit { k = ctx:key(), time = time } end,
    }):sink(print)
    n:key_by "k":process(weir.process_function {
      on_end = "drop",
      element = function(ctx, r) ctx:processing_timer(4e12) end,
      timer = function(ctx, time) ctx:emit { dropped = false } end,
    }):sink(print)]],
    { '{"k":"even","time":4000000000000}', '{"k":"odd","time":4000000000000}' } },
  { "side outputs of process and flat_map",
    [[local p = n:process(function(ctx, r) if r.i > 3 then ctx:emit { big = r.i } else ctx:side("small", { small = r.i }) end end)
    p:sink(print)
    p:side_output "small":filter(function(r) return r.small > 1 end):sink(print)
    local f = n:flat_map(function(r, emit) if r.i == 1 then emit({ one = 1 }, "one") end end)
    f:side_output "one":sink(print)]],
    { '{"big":4}', '{"big":5}', '{"big":6}', '{"small":2}', '{"small":3}', '{"one":1}' } },
  { "co-map and co-flat_map",
    [[local small = n:filter(function(r) return r.i < 3 end)
    n:filter(function(r) return r.i > 5 end):connect(small)
      :map(function(r) return { first = r.i } end, function(r) return { second = r.i } end):sink(print)
    small:connect(small):flat_map(function(r, emit) emit { a = r.i } end, function(r, emit) emit { b = r.i } emit { c = r.i } end)
      :sink(print)]],
    { '{"first":6}', '{"second":1}', '{"second":2}', '{"a":1}', '{"a":2}', '{"b":1}', '{"b":2}', '{"c":1}', '{"c":2}' } },
  { "keyed co-process: both inputs see the same state",
    [[local names = job:source(weir.from { { key = "even", name = "E" }, { key = "odd", name = "O" } })
    n:key_by "k":connect(names:key_by "key"):process(weir.co_process_function {
      state = { name = weir.state.value(), waiting = weir.state.list() },
      element1 = function(ctx, r)
        local name = ctx.name:get()
        if name then ctx:emit { i = r.i, name = name } else ctx.waiting:add(r.i) end
      end,
      element2 = function(ctx, r)
        ctx.name:set(r.name)
        for i in ctx.waiting:iter() do ctx:emit { i = i, name = r.name } end
        ctx.waiting:clear()
      end,
    }):sink(print)]],
    { '{"i":1,"name":"O"}', '{"i":2,"name":"E"}', '{"i":3,"name":"O"}', '{"i":4,"name":"E"}', '{"i":5,"name":"O"}',
      '{"i":6,"name":"E"}' } },
  { "connected streams keyed together by functions",
    [[n:connect(n):key_by(function(r) return r.i % 2 end, function(r) return r.i % 2 end):process(weir.co_process_function {
      state = { n = weir.state.value() },
      element1 = function(ctx, r) ctx.n:set((ctx.n:get() or 0) + 1) if ctx.n:get() == 6 then ctx:emit { key = ctx:key() } end end,
      element2 = function(ctx, r) ctx.n:set((ctx.n:get() or 0) + 1) if ctx.n:get() == 6 then ctx:emit { key = ctx:key() } end end,
    }):sink(print)]],
    { '{"key":0}', '{"key":1}' } },
  { "broadcast: each subtask gets all",
    [[n:filter(function(r) return r.i == 1 end):broadcast():process(function(ctx, r)
      ctx:emit { subtask = ctx:subtask(), of = ctx:parallelism() }
    end):parallelism(3):sink(print)]],
    { '{"of":3,"subtask":0}', '{"of":3,"subtask":1}', '{"of":3,"subtask":2}' } },
  { "global: all to the first subtask",
    [[n:global():process(function(ctx, r) ctx:emit { i = r.i, at = ctx:subtask() } end):parallelism(3):key_by "at":count { emit = "final" }:sink(print)]],
    { '{"at":0,"count":6}' } },
  { "partition: the function says where",
    [[n:partition(function(r, all) return r.i % all end):process(function(ctx, r) ctx:emit { i = r.i, at = ctx:subtask() } end)
      :parallelism(3):sink(print)]],
    { '{"at":1,"i":1}', '{"at":2,"i":2}', '{"at":0,"i":3}', '{"at":1,"i":4}', '{"at":2,"i":5}', '{"at":0,"i":6}' } },
  { "rebalance, rescale and shuffle lose and double nothing",
    [[n:rebalance():map(function(r) return r end):parallelism(3):rescale():map(function(r) return r end):parallelism(2)
      :shuffle():map(function(r) return { i = r.i } end):parallelism(4):sink(print)]],
    { '{"i":1}', '{"i":2}', '{"i":3}', '{"i":4}', '{"i":5}', '{"i":6}' } },
  { "start_chain, disable_chaining, slot_group, buffer_timeout and max_parallelism change no result",
    [[n:map(function(r) return r end):start_chain():buffer_timeout "5ms":map(function(r) return r end):disable_chaining()
      :map(function(r) return { i = r.i } end):slot_group "other":max_parallelism(16):buffer_timeout(0):sink(print)]],
    { '{"i":1}', '{"i":2}', '{"i":3}', '{"i":4}', '{"i":5}', '{"i":6}' } },
  { "broadcast state is read-only on the other side (S17)",
    [[n:connect(n:broadcast()):process(weir.broadcast_function {
      broadcast_state = { rules = weir.state.map() },
      element = function(ctx, r)
        if r.i > 1 then return end
        for _, change in ipairs {
          function() ctx.rules:put(1, 2) end, function() ctx.rules:remove(1) end, function() ctx.rules:clear() end,
          function() ctx.others:get(1) end, -- which is not declared
        } do
          local ok, err = pcall(change)
          ctx:emit { ok = ok, why = ok or err:match "broadcast state '.*" or err:match "field '.*" }
        end
      end,
      broadcast = function(ctx, r) ctx.rules:put(r.i, true) end,
    }):sink(print)]],
    { [[{"ok":false,"why":"broadcast state 'rules' can only be changed by the broadcast function"}]],
      [[{"ok":false,"why":"broadcast state 'rules' can only be changed by the broadcast function"}]],
      [[{"ok":false,"why":"broadcast state 'rules' can only be changed by the broadcast function"}]],
      [[{"ok":false,"why":"field 'others' (a nil value)"}]] } },
  { "generate makes the records of a function", [[job:source(weir.generate { count = 3, fn = function(i) return { g = i } end }):sink(print)
    n:sink(weir.discard())]], { '{"g":0}', '{"g":1}', '{"g":2}' } },
  { "open and close are called once a subtask",
    [[n:global():process(weir.process_function {
      open = function(ctx) opened = (opened or 0) + 1 end,
      element = function(ctx, r) if r.i == 6 then ctx:emit { opened = opened } end end,
    }):sink(print)]], { '{"opened":1}' } },
  { "null, missing fields, lists, nested records and integers go through unchanged",
    [[job:source(weir.from { { a = weir.null, l = { 1, "x", false }, r = { deep = { er = 1.5 } }, big = 9007199254740993LL } })
      :key_by "big":process(weir.process_function {
        state = { v = weir.state.value() },
        element = function(ctx, r) ctx.v:set(r) ctx:emit(ctx.v:get()) end,
      }):rebalance():map(function(r) r.null = r.a == weir.null return r end):sink(print)
    n:sink(weir.discard())]],
    { '{"a":null,"big":9007199254740993,"l":[1,"x",false],"null":true,"r":{"deep":{"er":1.5}}}' } },
}

for _, parallelism in ipairs { 1, 2, 4 } do
  describe("at parallelism " .. parallelism, function()
    for _, case in ipairs(cases) do
      it(case[1], function()
        assert.equal(script.lines(case[3]), script.run(head .. case[2], "-p " .. parallelism))
      end)
    end
  end)
end
