--- sessions_by_hand: the visits of each user, cut where nothing happened for half an hour.
---
---   weir run jobs/sessions_by_hand.lua
---   weir run jobs/sessions_by_hand.lua input='clicks/*.ndjson' gap=10m
---
--- Reads JSON lines {"user":, "page":, "ts": ms} and prints for each visit
--- {"clicks":4,"seconds":900,"start":1700000000000,"user":"ann"} when event time has passed its end by `gap`
--- (default 30m). Clicks may be up to a minute out of order. Shows: what a session window does, written
--- with keyed state and a timer that moves.
local weir = require "weir"

local job = weir.job { name = "sessions_by_hand" }
local GAP = weir.duration(job.args.gap or "30m")

local sessions = weir.process_function {
  state = { visit = weir.state.value() },
  element = function(ctx, click)
    local visit = ctx.visit:get()
    if visit then
      ctx:delete_event_timer(visit.last + GAP)
      ctx.visit:set {
        start = math.min(visit.start, click.ts), last = math.max(visit.last, click.ts), clicks = visit.clicks + 1,
      }
      ctx:event_timer(math.max(visit.last, click.ts) + GAP)
    else
      ctx.visit:set { start = click.ts, last = click.ts, clicks = 1 }
      ctx:event_timer(click.ts + GAP)
    end
  end,
  timer = function(ctx)
    local visit = ctx.visit:get()
    ctx:emit {
      user = ctx:key(), start = visit.start, seconds = (visit.last - visit.start) / 1000, clicks = visit.clicks,
    }
    ctx.visit:clear()
  end,
}

job:source(weir.files { path = job.args.input or "jobs/data/clicks.ndjson", format = weir.json() })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "1m" })
  :key_by "user"
  :process(sessions):uid "sessions"
  :sink(weir.print())

return job
