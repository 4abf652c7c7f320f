--- sessions_by_hand: the visits of each user, cut where nothing happened for half an hour.
---
---   weir run jobs/sessions_by_hand.lua
---   weir run jobs/sessions_by_hand.lua input='clicks/*.ndjson' gap=10m
---
--- Reads JSON lines {"user":, "page":, "ts": ms} and prints for each visit
--- {"clicks":4,"seconds":900,"start":1700000000000,"user":"ann"} when event time has passed its end by `gap`
--- (default 30m). Clicks may be up to a minute out of order: one that lies between two visits joins them.
--- Shows: what a session window does, written with keyed state and timers.
local weir = require "weir"

local job = weir.job { name = "sessions_by_hand" }
local GAP = weir.duration(job.args.gap or "30m")

local sessions = weir.process_function {
  state = { visits = weir.state.value() },
  element = function(ctx, click)
    local visit = { start = click.ts, last = click.ts, clicks = 1 }
    local visits = {}
    for _, other in ipairs(ctx.visits:get() or {}) do
      if other.start - click.ts < GAP and click.ts - other.last < GAP then
        visit.start = math.min(visit.start, other.start)
        visit.last = math.max(visit.last, other.last)
        visit.clicks = visit.clicks + other.clicks
      else
        visits[#visits + 1] = other
      end
    end
    visits[#visits + 1] = visit
    ctx.visits:set(visits)
    ctx:event_timer(visit.last + GAP)
  end,
  timer = function(ctx, time)
    local open = {}
    for _, visit in ipairs(ctx.visits:get() or {}) do
      if visit.last + GAP <= time then
        ctx:emit {
          user = ctx:key(), start = visit.start, seconds = (visit.last - visit.start) / 1000, clicks = visit.clicks,
        }
      else
        open[#open + 1] = visit
      end
    end
    ctx.visits:set(#open > 0 and open or nil)
  end,
}

job:source(weir.files { path = job.args.input or "jobs/data/clicks.ndjson", format = weir.json() })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "1m" })
  :key_by "user"
  :process(sessions):uid "sessions"
  :sink(weir.print())

return job
