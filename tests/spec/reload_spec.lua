-- SPDX-License-Identifier: Apache-2.0
--- Functions that change places in a running job: in the real tasks, stepped by the test kit.

local kit = require "weir.test"

local weir = require "weir"

local function counting(version)
  return function(stream)
    return stream:key_by("k"):process(weir.process_function {
      state = { n = weir.state.value() },
      element = function(ctx, rec)
        local n = (ctx.n:get() or 0) + 1
        ctx.n:set(n)
        ctx:emit { k = rec.k, n = n, v = version }
      end,
    }):uid "count"
  end
end

local function records(n, keys)
  local list = {}
  for i = 1, n do list[i] = { k = i % keys } end
  return list
end

describe("a reload", function()
  it("keeps state and changes functions, at a parallelism of 1 to 3", function()
    for p = 1, 3 do
      local t = kit.harness(counting(1), { parallelism = p })
      for _, rec in ipairs(records(100, 10)) do t:feed(rec) end
      t:reload(counting(2))
      for _, rec in ipairs(records(100, 10)) do t:feed(rec) end
      local of = {}
      for _, row in ipairs(t:output()) do
        local key = of[row.k] or { n = 0, v = 1 }
        of[row.k] = key
        assert.equal(key.n + 1, row.n)
        assert.equal(row.n <= 10 and 1 or 2, row.v)
        key.n = row.n
      end
      for k = 0, 9 do assert.equal(20, of[k].n) end
    end
  end)

  -- The functions that come in are made for the shapes that passed those before, which theirs may not be.
  it("gives what the new functions give, whatever types the values had before", function()
    local ways = {
      function(rec, n) return { a = rec.name, b = n } end,
      function(rec, n) return { a = n, b = rec.name } end,
      function(rec, n) return { a = rec.name .. n, b = n > 4 } end,
      function(rec, n) return { a = { rec.name, n }, b = n % 2 == 0 and n or nil } end,
      function(rec) return rec.name end,
      function(_, n) return n end,
      function(rec, n) return { b = rec.at, a = n % 2 == 0 and rec.name or n } end,
      function(rec) return rec end,
      function(rec, n) return { a = rec.name, b = n } end,
    }
    local function version(of)
      local way = ways[of]
      return function(stream)
        return stream:key_by("k"):process(weir.process_function {
          state = { n = weir.state.value(), last = weir.state.value(), all = weir.state.map() },
          element = function(ctx, rec)
            local n = (ctx.n:get() or 0) + 1
            ctx.n:set(n)
            ctx:emit { last = ctx.last:get(), count = ctx.all:count() }
            ctx.last:set(way(rec, n))
            ctx.all:put(n, way(rec, n))
            ctx:emit(way(rec, n))
          end,
        }):uid "count"
      end
    end
    local t, wanted, last, n = kit.harness(version(1)), {}, nil, 0
    for i = 1, #ways do
      if i > 1 then t:reload(version(i)) end
      for _ = 1, 6 do
        local rec = { k = 1, name = "name" .. n, at = n / 2 }
        t:feed(rec)
        wanted[#wanted + 1] = { last = last, count = n }
        n = n + 1
        last = ways[i](rec, n)
        wanted[#wanted + 1] = last
      end
    end
    assert.same(wanted, t:output())
  end)

  it("does not take a field for a string that goes on unread where one went before, nor the other way round", function()
    local ways = {
      function(rec) return { a = rec.name, b = rec.at } end,
      function(rec) return { a = rec.at, b = rec.name } end,
      function(rec) return { a = rec.at, b = rec.at } end,
      function(rec) return { a = rec.name, b = rec.name } end,
      function(rec) return rec end,
      function(rec) return { a = rec.at, b = rec.name .. "!" } end,
    }
    local function version(of)
      local way = ways[of]
      return function(stream) return stream:map(way):uid "moves" end
    end
    local t, wanted = kit.harness(version(1)), {}
    for i = 1, #ways do
      if i > 1 then t:reload(version(i)) end
      for n = 1, 3 do
        local rec = { name = "name" .. i .. n, at = n / 2 }
        t:feed(rec)
        wanted[#wanted + 1] = ways[i](rec)
      end
    end
    assert.same(wanted, t:output())
  end)
end)
