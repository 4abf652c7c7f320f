--- Records of all kinds through compiled chains, held against a model in plain Lua, and loops over tables.

local script = require "support.script"

describe("a loop over a table", function()
  -- LuaJIT issue 827: after its loop was given up by the compiler, pairs ended early and in silence.
  for name, loop in pairs { pairs = "pairs(tab)", next = "next, tab" } do
    it("by " .. name .. " sees every entry, also where a loop inside of it is compiled first", function()
      local out = script.run(([[
        local weir = require "weir"
        local job = weir.job "loops"
        local t = { 1, 2, 3, 4, 5 }
        local tab = { a = t, b = t, c = t, d = t, e = t }
        local function f(...) for _ = 1, 100 do end end
        job:source(weir.sequence { to = 100000 }):filter(function()
          f()
          local count = 0
          for _, v in %s do
            for _ in pairs(v) do end
            count = count + 1
          end
          return count ~= 5
        end):sink(weir.print())]]):format(loop), "-q")
      assert.equal("", out)
    end)
  end

  it("may change and remove the entry it is at, and next tells an empty table", function()
    local out = script.run([[
      local weir = require "weir"
      local job = weir.job "loops"
      job:source(weir.sequence { to = 3000 }):map(function(n)
        local t = { n, n + 1, a = 1, [0.5] = 2, [true] = 3 }
        local sum, count = 0, 0
        for k, v in pairs(t) do
          sum, count = sum + v, count + 1
          if type(k) == "number" then t[k] = nil else t[k] = 0 end
        end
        return count == 5 and sum == 2 * n + 7 and next({}) == nil and next(t) ~= nil and t.a == 0
      end):filter(function(ok) return not ok end):sink(weir.print())]], "-q")
    assert.equal("", out)
  end)
end)
