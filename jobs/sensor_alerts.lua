--- sensor_alerts: tells which sensors are too hot for too long, and which have fallen silent.
---
---   weir run jobs/sensor_alerts.lua
---   weir run jobs/sensor_alerts.lua input='readings/*.ndjson' limit=200 hold=1m silence=5m
---
--- Reads JSON lines {"sensor":, "ts": ms, "temp":} and prints
---   {"alert":"hot","at":1700000015000,"sensor":"oven","since":1700000005000}     `hold` (10s) above `limit` (225)
---   {"alert":"silent","at":1700000058000,"sensor":"hall","since":1700000028000}  no reading for `silence` (30s)
--- in event time, once for each stretch. Readings may be up to 5 s out of order: each waits until event time
--- passes it, so that they are handled in order of their time. At the end of the input event time goes on
--- to the end, so every sensor is silent then. Shows: sorting by event time; timers of several meanings, told
--- apart by their time; a timer that came too late to matter is not deleted, it finds that the state changed.
local weir = require "weir"

local job = weir.job { name = "sensor_alerts" }
local LIMIT = tonumber(job.args.limit or 225)
local HOLD = weir.duration(job.args.hold or "10s")
local SILENCE = weir.duration(job.args.silence or "30s")

local function handle(ctx, time, temp)
  ctx.last:set(time)
  ctx:event_timer(time + SILENCE)
  if temp <= LIMIT then
    ctx.hot_since:clear()
  elseif not ctx.hot_since:get() then
    ctx.hot_since:set(time)
    ctx:event_timer(time + HOLD)
  end
end

local alerts = weir.process_function {
  state = {
    readings = weir.state.map(), -- time → temperature, of readings that event time has not passed
    last = weir.state.value(), -- time of the last reading
    hot_since = weir.state.value(), -- time of the first reading above the limit
  },
  element = function(ctx, reading)
    ctx.readings:put(reading.ts, reading.temp)
    ctx:event_timer(reading.ts)
  end,
  timer = function(ctx, time)
    local temp = ctx.readings:get(time)
    if temp then
      ctx.readings:remove(time)
      handle(ctx, time, temp)
    end
    local hot_since, last = ctx.hot_since:get(), ctx.last:get()
    if hot_since and time == hot_since + HOLD then
      ctx:emit { sensor = ctx:key(), alert = "hot", since = hot_since, at = time }
    end
    if time == last + SILENCE then
      ctx:emit { sensor = ctx:key(), alert = "silent", since = last, at = time }
    end
  end,
}

job:source(weir.files { path = job.args.input or "jobs/data/sensors.ndjson", format = weir.json() })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "5s" })
  :key_by "sensor"
  :process(alerts):uid "alerts"
  :sink(weir.print())

return job
