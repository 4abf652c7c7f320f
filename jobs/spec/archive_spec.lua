local kit = require "weir.test"

describe("archive", function()
  it("files whole records only, over a restart", function()
    local t = kit.job "jobs/archive.lua"
    t:feed { { user = "ann", page = "/", ts = 0 }, { user = "bob", ts = 1 }, { page = "/", ts = 2 } }
    t:restart()
    t:feed { { user = "eve", page = "/shoes", ts = 3 }, { user = "kim", page = "/", ts = "yesterday" } }
    assert.same({ { user = "ann", page = "/", ts = 0 }, { user = "eve", page = "/shoes", ts = 3 } }, t:output())
  end)
end)
