local kit = require "weir.test"

local silent = "http://127.0.0.1:1/" -- no answer comes while time is moved by hand

describe("status_of", function()
  it("tells what is wrong with an address, and goes on with the next", function()
    local t = kit.job "jobs/status_of.lua"
    t:feed { { line = "no address" }, { line = "" } }
    t:finish()
    local first, second = unpack(t:output())
    assert.equal("no address", first.url)
    assert.matches("http://host/path", first.error)
    assert.equal("", second.url)
  end)

  it("gives up after ten seconds, over a restart", function()
    local t = kit.job("jobs/status_of.lua", { order = "unordered" })
    t:feed { line = silent }
    t:restart()
    t:advance "10s"
    assert.same({ { url = silent, error = "no answer" } }, t:output())
  end)
end)
