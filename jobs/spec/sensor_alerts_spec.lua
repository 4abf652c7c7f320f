local kit = require "weir.test"

local function reading(second, temp) return { sensor = "oven", ts = second * 1000, temp = temp } end

describe("sensor_alerts", function()
  it("tells of a sensor that is too hot for too long, once for each stretch", function()
    local t = kit.job("jobs/sensor_alerts.lua", { limit = 200, hold = "10s", silence = "1h" })
    t:feed { reading(0, 250), reading(5, 260), reading(12, 250), reading(14, 100), reading(16, 250), reading(20, 100) }
    t:feed(reading(60, 100))
    assert.same({ { sensor = "oven", alert = "hot", since = 0, at = 10000 } }, t:output())
  end)

  it("tells of a sensor that has fallen silent", function()
    local t = kit.job("jobs/sensor_alerts.lua", { silence = "30s" })
    t:feed { reading(0, 20), reading(10, 20) }
    t:restart()
    t:feed(reading(100, 20))
    assert.same({ { sensor = "oven", alert = "silent", since = 10000, at = 40000 } }, t:output())
  end)
end)
