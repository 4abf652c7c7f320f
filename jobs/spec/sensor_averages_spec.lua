local kit = require "weir.test"

local function reading(second, temp, sensor) return { sensor = sensor or "kiln", temp = temp, ts = second * 1000 } end

local function average(second, avg, min, max, readings, sensor)
  return {
    window_start = second * 1000, sensor = sensor or "kiln", avg = avg, min = min, max = max, readings = readings,
  }
end

describe("sensor_averages", function()
  it("gives a line for each sensor and five seconds, two seconds after their end", function()
    local t = kit.job "jobs/sensor_averages.lua"
    t:feed { reading(0, 230), reading(4.999, 240), reading(1, 20, "hall"), reading(5, 10) }
    t:feed(reading(6.999, 30))
    assert.same({}, t:output "files")
    t:feed(reading(7, 20))
    assert.same({ average(0, 20, 20, 20, 1, "hall"), average(0, 235, 230, 240, 2) }, kit.sorted(t:output "files"))
    t:finish()
    assert.same({ average(5, 20, 10, 30, 3) }, t:output "files")
  end)

  it("gives the line again for a reading that is late, over a restart", function()
    local t = kit.job "jobs/sensor_averages.lua"
    t:feed { reading(1, 100) }
    t:feed { reading(10, 50) }
    assert.same({ average(0, 100, 100, 100, 1) }, t:output "files")
    t:restart()
    t:feed { reading(3, 200) }
    assert.same({ average(0, 150, 100, 200, 2) }, t:output "files")
  end)

  it("puts a reading aside that is later than that", function()
    local t = kit.job "jobs/sensor_averages.lua"
    t:feed { reading(1, 100) }
    t:feed { reading(17, 50) } -- event time is at 15 s: the first window is gone
    t:output "files"
    t:feed { reading(3, 200) }
    assert.same({}, t:output "files")
    assert.same({ reading(3, 200) }, t:output "too_late")
  end)
end)
