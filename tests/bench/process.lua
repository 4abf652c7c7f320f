--- process: a value state row of three fields, a timer, an emit every fourth record; reference: ref_process.c.
local weir = require "weir"

local job = weir.job { name = "process" }

local totals = weir.process_function {
  state = { seen = weir.state.value() },
  element = function(ctx, rec)
    local seen = ctx.seen:get()
    local count, total = 1, rec.amount
    if seen then count, total = seen.count + 1, seen.total + total end
    ctx.seen:set { count = count, last = rec.ts, total = total }
    ctx:event_timer(rec.ts - rec.ts % 60000 + 60000)
    if count % 4 == 0 then ctx:emit { n = count, total = total, user = rec.user } end
  end,
  timer = function() end,
}

job:source(weir.generate {
    count = tonumber(job.args.records),
    fields = {
      amount = { cycle = 1000 }, ts = { cycle = 2 ^ 53, every = 10 },
      user = { random = tonumber(job.args.keys), prefix = "user" },
    },
  })
  :watermarks(weir.watermark.ascending { field = "ts" })
  :key_by "user"
  :process(totals)
  :measure { sum = "total" }
  :sink(weir.print())

return job
