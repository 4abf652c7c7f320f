local kit = require "weir.test"

describe("unix_filter", function()
  it("passes the lines that match, without their time", function()
    local t = kit.job("jobs/unix_filter.lua", { match = "ERROR" })
    t:feed { { line = "12:00 ERROR db" }, { line = "12:01 INFO ok" }, { line = "ERROR" } }
    assert.same({ { line = "ERROR db" }, { line = "ERROR" } }, t:output())
  end)
end)
