--- sessions_by_hand: the visits of each user, cut where nothing happened for half an hour.
---
---   weir run jobs/sessions_by_hand.lua
---   weir run jobs/sessions_by_hand.lua input='clicks/*.ndjson' gap=10m
---
--- Reads JSON lines {"user":, "page":, "ts": ms} and prints for each visit
--- {"clicks":4,"seconds":900,"start":1700000000000,"user":"ann"} when event time has passed its end by `gap`
--- (default 30m). Clicks may be up to a minute out of order: each waits until event time passes it, so that
--- they are counted in order of their time. Shows: what a session window does, written with keyed state and
--- timers; a timer that was set for the end of a visit finds out if the visit went on.
local weir = require "weir"

local job = weir.job { name = "sessions_by_hand" }
local GAP = weir.duration(job.args.gap or "30m")

local sessions = weir.process_function {
  state = {
    clicks = weir.state.map(), -- time → how many, of clicks that event time has not passed
    visit = weir.state.value(), -- the visit that is going on
  },
  element = function(ctx, click)
    ctx.clicks:put(click.ts, (ctx.clicks:get(click.ts) or 0) + 1)
    ctx:event_timer(click.ts)
  end,
  timer = function(ctx, time)
    local visit, clicks = ctx.visit:get(), ctx.clicks:get(time)
    if visit and time >= visit.last + GAP then
      ctx:emit {
        user = ctx:key(), start = visit.start, seconds = (visit.last - visit.start) / 1000, clicks = visit.clicks,
      }
      ctx.visit:clear()
      visit = nil
    end
    if clicks then
      ctx.clicks:remove(time)
      ctx.visit:set {
        start = visit and visit.start or time, last = time, clicks = (visit and visit.clicks or 0) + clicks,
      }
      ctx:event_timer(time + GAP)
    end
  end,
}

job:source(weir.files { path = job.args.input or "jobs/data/clicks.ndjson", format = weir.json() })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "1m" })
  :key_by "user"
  :process(sessions):uid "sessions"
  :sink(weir.print())

return job
