local kit = require "weir.test"

local function view(user, url, at, agent) return { user = user, url = url, at = at, agent = agent or "Mozilla/5.0" } end

describe("page_views", function()
  it("writes what a person looked at, without what followed the question mark", function()
    local t = kit.job "jobs/page_views.lua"
    t:feed {
      view("Ann", "https://shop.example/shoes/7?from=mail", "2026-11-20T08:00:00Z"),
      view("bob", "https://shop.example/", "2026-11-20T08:00:01Z", "Spiderbot/2.1"),
    }
    t:restart()
    t:feed { user = "cleo", url = "http://shop.example/#top", at = "2026-11-20T07:59:59Z", country = "PL" }
    assert.same({
      { user = "ann", path = "/shoes/7", country = "unknown", at = "2026-11-20T08:00:00Z" },
      { user = "cleo", path = "/", country = "PL", at = "2026-11-20T07:59:59Z" },
    }, t:output "files")
    assert.same({}, t:output "failed")
  end)

  it("gives a view the time at which it happened, after which it is filed", function()
    local t = kit.job "jobs/page_views.lua"
    t:feed(view("ann", "https://shop.example/", "1970-01-02T01:00:00+01:00"))
    assert.equal(24 * 3600 * 1000, t:elements("files")[1].timestamp)
  end)

  it("puts what is no page view aside, with the reason", function()
    local t = kit.job "jobs/page_views.lua"
    local broken = {
      view("ann", "sale", "2026-11-20T08:00:00Z"), view("", "https://shop.example/", "2026-11-20T08:00:00Z"),
      view("ann", "https://shop.example/", "yesterday"), "no view",
    }
    t:feed(broken)
    t:feed(view("bob", "https://shop.example/hats", "2026-11-20T08:00:00Z"))
    assert.equal("/hats", t:output("files")[1].path)
    local failed = {}
    for i, letter in ipairs(kit.sorted(t:output "failed")) do failed[i] = { letter.error, letter.record } end
    assert.same({
      { [[timestamp field 'at' is "yesterday", which is no ISO 8601 time]],
        { user = "ann", path = "/", country = "unknown", at = "yesterday" } },
      { "url is no address of a page", "no view" },
      { "url is no address of a page", broken[1] },
      { "user is missing", broken[2] },
    }, failed)
  end)
end)
