local kit = require "weir.test"

local silent = "http://127.0.0.1:1/" -- where nobody listens

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

  it("tells why there is no answer", function()
    local t = kit.job "jobs/status_of.lua"
    t:feed { line = silent }
    t:finish()
    local out = t:output()
    assert.equal(silent, out[1].url)
    assert.matches("[Cc]onnect", out[1].error)
  end)

  it("asks again after a restart, and gives up after ten seconds at the latest", function()
    local t = kit.job("jobs/status_of.lua", { order = "unordered" })
    t:feed { line = silent }
    t:restart()
    t:advance "10s"
    local out = t:output()
    assert.equal(1, #out)
    assert.equal(silent, out[1].url)
    assert.is_string(out[1].error)
  end)
end)
