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
end)
