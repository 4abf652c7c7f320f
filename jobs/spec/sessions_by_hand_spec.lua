local kit = require "weir.test"

local MINUTE = 60000

local function click(user, minute) return { user = user, page = "/", ts = minute * MINUTE } end

describe("sessions_by_hand", function()
  it("cuts a visit where nothing happened for the gap", function()
    local t = kit.job("jobs/sessions_by_hand.lua", { gap = "30m" })
    t:feed { click("ann", 0), click("ann", 20), click("bob", 25), click("ann", 40), click("ann", 100) }
    assert.same({
      { user = "bob", start = 25 * MINUTE, seconds = 0, clicks = 1 },
      { user = "ann", start = 0, seconds = 2400, clicks = 3 },
    }, t:output())
  end)

  it("counts clicks in order of their time, however they arrive", function()
    local t = kit.job "jobs/sessions_by_hand.lua"
    t:feed { click("ann", 10), click("ann", 9.5), click("ann", 9.9) }
    t:finish()
    assert.same({ { user = "ann", start = 9.5 * MINUTE, seconds = 30, clicks = 3 } }, t:output())
  end)

  it("keeps a visit that is going on, and its timers, over a restart at any click", function()
    local clicks = { click("ann", 0), click("ann", 10), click("ann", 20), click("ann", 35), click("ann", 90) }
    for at = 0, #clicks do
      local t = kit.job "jobs/sessions_by_hand.lua"
      for i, each in ipairs(clicks) do
        t:feed(each)
        if i == at then t:restart() end
      end
      t:finish()
      assert.same({
        { user = "ann", start = 0, seconds = 2100, clicks = 4 },
        { user = "ann", start = 90 * MINUTE, seconds = 0, clicks = 1 },
      }, t:output(), "restart behind click " .. at)
    end
  end)

  it("holds one visit and the clicks that event time has not passed", function()
    local t = kit.job "jobs/sessions_by_hand.lua"
    t:feed { click("ann", 0), click("ann", 2) }
    assert.same({ start = 0, last = 0, clicks = 1 }, t:state("sessions", "visit", "ann"))
    assert.same({ [2 * MINUTE] = 1 }, t:state("sessions", "clicks", "ann"))
    assert.same({
      { key = "ann", time = 2 * MINUTE, kind = "event" }, { key = "ann", time = 30 * MINUTE, kind = "event" },
    }, t:timers("sessions", "ann"))
  end)
end)
