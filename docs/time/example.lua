--- The small job that is drawn in the README: records out of order, watermarks that lag 3 s behind the largest
--- time, windows of 10 s which take late records for 5 s more. Everything is printed: each record with the
--- watermark that it met, each result with the watermark that made it, and what came too late.
---
---   weir run docs/time/example.lua
---   weir lua docs/time/picture.lua >docs/time/time.svg

local weir = require "weir"
local job = weir.job "time"
local print = weir.print()

-- Event times in seconds, in the order of arrival.
local seconds = { 2, 5, 4, 9, 11, 7, 12, 14, 8, 16, 13, 19, 21, 6, 23, 15, 24, 28, 26, 3, 30, 33, 29, 36 }

local records = {}
for i, s in ipairs(seconds) do records[i] = { n = i, ts = s * 1000 } end

-- As weir.watermark.bounded { delay = "3s" }, but said at every record, not every 200 ms: it is for a picture.
local at_once = weir.watermark.periodic { field = "ts", new = function()
  return { on_event = function(self, _, ts, emit)
    self.max = math.max(self.max or ts, ts)
    emit(self.max - 3000 - 1)
  end }
end }

local stream = job:source(weir.from(records)):watermarks(at_once)

stream:process(function(ctx, rec)
  ctx:emit { what = "record", n = rec.n, ts = rec.ts, watermark = ctx:watermark() }
end):sink(print)

local counts = stream:key_by(function() return 1 end)
  :window(weir.window.tumbling "10s"):allowed_lateness("5s"):late_to("too_late")
  :aggregate({ count = weir.agg.count() }, function(ctx, result)
    local from, to = ctx:window()
    ctx:emit { what = "result", from = from, to = to, count = result.count, watermark = ctx:watermark() }
  end)
counts:sink(print)
counts:side_output("too_late"):map(function(rec) return { what = "too late", n = rec.n } end):sink(print)

return job
