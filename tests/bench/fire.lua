--- fire: a million keys whose windows end at one watermark, again and again, beside a stream of its own on the same
--- worker, which is timed from when each of its records was due.
---   keys=1000000 seconds=5 rate=10000
---   kind=window (an aggregate in C) | process (a window function in Lua) | timer (a timer of each key in Lua) | none
local weir = require "weir"

local job = weir.job { name = "fire" }
local args = job.args
local keys, seconds, rate = tonumber(args.keys or 1e6), tonumber(args.seconds or 5), tonumber(args.rate or 1e4)

job:source(weir.generate { count = rate * seconds, rate = rate, fields = { due = { due = true } } }):name "paced"
  :measure { latency_from = "due", latency_skip = tonumber(args.skip or 0) }
  :sink(weir.print())

local timer = weir.process_function {
  state = { n = weir.state.value() },
  element = function(ctx, rec)
    ctx.n:set((ctx.n:get() or 0) + 1)
    ctx:event_timer(rec.ts - rec.ts % keys + keys - 1)
  end,
  timer = function(ctx)
    ctx:emit { key = ctx:key(), n = ctx.n:get() }
    ctx.n:clear()
  end,
}

if args.kind ~= "none" then
  local records = job:source(weir.generate {
      count = keys * tonumber(args.times or 3), fields = { key = { cycle = keys }, ts = { cycle = 2 ^ 53 } },
    })
    :watermarks(weir.watermark.ascending { field = "ts" })
    :key_by "key"
  local windows = args.kind ~= "timer" and records:window(weir.window.tumbling(keys))
  local fired = args.kind == "timer" and records:process(timer):uid "timer"
    or args.kind == "process" and windows:process(function(ctx, list) ctx:emit { n = #list } end):uid "process"
    or windows:count():uid "count"
  fired:sink(weir.discard())
end

return job
