local kit = require "weir.test"

local rule = { country = "DE", percent = 19, name = "MwSt" }

describe("enrich", function()
  it("adds the tax of the order's country", function()
    local t = kit.job "jobs/enrich.lua"
    t:feed("rules", rule)
    t:feed("orders", { { id = 1, country = "DE", net = 100, ts = 1 }, { id = 2, country = "FR", net = 10, ts = 2 } })
    t:finish()
    assert.same({
      { id = 1, country = "DE", net = 100, gross = 119, tax = "MwSt" },
      { id = 2, country = "FR", net = 10, gross = 10, tax = "unknown" },
    }, kit.sorted(t:output()))
  end)

  it("gives the same however orders and rules are interleaved, and whenever it is restarted", function()
    local orders = {}
    for i = 1, 20 do orders[i] = { id = i, country = i % 2 == 0 and "DE" or "FR", net = i, ts = i } end
    local expected
    for seed = 1, 10 do
      local t = kit.job("jobs/enrich.lua", {}, { parallelism = 2 })
      t:interleave({ orders = { unpack(orders, 1, seed) }, rules = { rule } }, seed)
      t:restart()
      t:feed("orders", { unpack(orders, seed + 1) })
      t:finish()
      local out = kit.sorted(t:output())
      expected = expected or out
      assert.equal(20, #out)
      assert.same(expected, out, "seed " .. seed)
    end
  end)
end)
