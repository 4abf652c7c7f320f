local kit = require "weir.test"

-- The sink is replaced by what the spec collects: tests/e2e/lua_sink_spec.lua shows that it writes each order once.
describe("to_sqlite", function()
  it("hands each order to the sink, over a restart", function()
    local t = kit.job "jobs/to_sqlite.lua"
    local orders = { { id = 1, country = "DE", net = 100 }, { id = 2, country = "FR", net = 50 } }
    t:feed(orders[1])
    t:restart()
    t:feed(orders[2])
    t:finish()
    assert.same(orders, t:output())
  end)
end)
