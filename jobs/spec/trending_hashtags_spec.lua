local kit = require "weir.test"

local function post(second, text) return { user = "ann", text = text, ts = second * 1000 } end

local function rank(at, number, tag, posts) return { at = at, rank = number, tag = tag, posts = posts } end

describe("trending_hashtags", function()
  it("ranks the hashtags of the last ten minutes, every minute", function()
    local t = kit.job("jobs/trending_hashtags.lua", { top = 2 })
    t:feed { post(0, "#Snow #snow, again"), post(10, "#snow and #tea"), post(20, "no words"), post(50, "#tea #cats") }
    t:feed(post(65, "#cats"))
    assert.same({}, t:output()) -- posts may be ten seconds late
    t:feed(post(70, "#cats"))
    assert.same({
      rank("1970-01-01T00:01:00Z", 1, "#snow", 2), rank("1970-01-01T00:01:00Z", 2, "#tea", 2),
    }, t:output())
    t:feed(post(130, "good night"))
    t:feed(post(130, "#night"))
    assert.same({
      rank("1970-01-01T00:02:00Z", 1, "#cats", 3), rank("1970-01-01T00:02:00Z", 2, "#snow", 2),
    }, t:output())
  end)

  it("forgets what is older than the window, over a restart", function()
    local t = kit.job("jobs/trending_hashtags.lua", { window = "2m", slide = "1m" }, { parallelism = 2 })
    t:feed { post(0, "#snow #snow"), post(61, "#tea") }
    t:restart()
    t:feed(post(150, "#cats"))
    t:finish()
    assert.same({
      rank("1970-01-01T00:01:00Z", 1, "#snow", 1),
      rank("1970-01-01T00:02:00Z", 1, "#snow", 1), rank("1970-01-01T00:02:00Z", 2, "#tea", 1),
      rank("1970-01-01T00:03:00Z", 1, "#cats", 1), rank("1970-01-01T00:03:00Z", 2, "#tea", 1),
      rank("1970-01-01T00:04:00Z", 1, "#cats", 1),
    }, t:output())
  end)
end)
