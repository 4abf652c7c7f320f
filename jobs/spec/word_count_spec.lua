local kit = require "weir.test"

describe("word_count", function()
  it("counts words, whatever their case, and prints them when the input ends", function()
    local t = kit.job "jobs/word_count.lua"
    t:feed { { line = "The sea, the SEA" }, { line = "" }, { line = "the" } }
    assert.same({}, t:output())
    t:finish()
    assert.same({ { word = "sea", count = 2 }, { word = "the", count = 3 } }, kit.sorted(t:output()))
  end)

  it("prints every change with updates=true", function()
    local t = kit.job("jobs/word_count.lua", { updates = true })
    t:feed { line = "a b a" }
    assert.same({ { word = "a", count = 1 }, { word = "b", count = 1 }, { word = "a", count = 2 } }, t:output())
  end)

  it("goes on counting after a restart, on several subtasks", function()
    local t = kit.job("jobs/word_count.lua", {}, { parallelism = 3 })
    t:feed { { line = "a b" }, { line = "b c" } }
    t:restart()
    t:feed { { line = "c d" } }
    t:finish()
    assert.same({ { word = "a", count = 1 }, { word = "d", count = 1 }, { word = "b", count = 2 },
      { word = "c", count = 2 } }, kit.sorted(t:output()))
  end)
end)
