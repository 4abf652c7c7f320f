--- What joins keep, seen through the test kit: rows of an interval join's buffers, a table that is read first.

local kit = require "weir.test"
local joins = require "weir.joins"

local function interval(lower, upper)
  return kit.harness(function(left, right)
    return left:connect(right):key_by("k"):process(joins.interval { lower = lower, upper = upper }):uid "join"
  end, { time = "ts" })
end

-- The times whose records the join keeps, in order.
local function kept(t, side)
  local times = {}
  for time in pairs(t:state("join", side, "a") or {}) do times[#times + 1] = time end
  table.sort(times)
  return times
end

describe("an interval join", function()
  it("J6: keeps a left record until its time plus the upper bound", function()
    local t = interval(-10, 20)
    t:feed("left", { { k = "a", ts = 100 }, { k = "a", ts = 105 } })
    t:watermark(119)
    assert.same({ 100, 105 }, kept(t, "left"))
    t:watermark(120)
    assert.same({ 105 }, kept(t, "left"))
    t:watermark(125)
    assert.same({}, kept(t, "left"))
  end)

  it("J6: keeps a right record until its time minus the lower bound", function()
    local t = interval(-10, 20)
    t:feed("right", { { k = "a", ts = 100 } })
    t:watermark(109)
    assert.same({ 100 }, kept(t, "right"))
    t:watermark(110)
    assert.same({}, kept(t, "right"))
  end)

  it("J6: keeps nothing beyond its time where the other side comes before", function()
    local t = interval(-30, -10) -- right records come before left ones
    t:feed("left", { { k = "a", ts = 100 } })
    t:watermark(100)
    assert.same({}, kept(t, "left"))
  end)
end)

describe("a lookup join", function()
  it("takes no record before its table is read", function()
    local t = kit.harness(function(visits, users)
      return visits:connect(users:broadcast()):process(joins.lookup { by = "user", key = "id",
        join = function(l, r) return { n = l.n, name = r.name } end }):uid "lookup"
    end)
    t:feed("visits", { { n = 1, user = 7 }, { n = 2, user = 8 } })
    t:feed("users", { { id = 8, name = "bob" } })
    assert.same({}, t:output())
    t:feed("users", { { id = 7, name = "ann" } })
    assert.same({}, t:output())
    t:finish()
    assert.same({ { n = 1, name = "ann" }, { n = 2, name = "bob" } }, t:output())
  end)
end)
