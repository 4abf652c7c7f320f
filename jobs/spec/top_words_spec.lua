local kit = require "weir.test"

describe("top_words", function()
  it("ranks the words of a minute when the minute is over", function()
    local t = kit.job("jobs/top_words.lua", { top = 2 })
    t:feed { { ts = 0, text = "the sea the sky" }, { ts = 59999, text = "sea, the" } }
    assert.same({}, t:output())
    t:feed { ts = 69999, text = "late" }
    assert.same({}, t:output()) -- messages may be ten seconds late
    t:feed { ts = 70000, text = "late" }
    assert.same({
      { minute = "1970-01-01T00:00", rank = 1, word = "the", count = 3 },
      { minute = "1970-01-01T00:00", rank = 2, word = "sea", count = 2 },
    }, t:output())
  end)

  it("keeps the counts of a minute over a restart", function()
    local t = kit.job("jobs/top_words.lua", { top = 1 })
    t:feed { ts = 0, text = "a b" }
    t:restart()
    t:feed { ts = 1, text = "b" }
    t:finish()
    assert.same({ { minute = "1970-01-01T00:00", rank = 1, word = "b", count = 2 } }, t:output())
  end)
end)
