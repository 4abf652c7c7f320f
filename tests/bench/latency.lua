--- latency: a hash shuffle and a keyed count, timed from when each record was due.
local weir = require "weir"

local job = weir.job { name = "latency" }

local count = weir.process_function {
  state = { n = weir.state.value() },
  element = function(ctx, rec)
    local n = (ctx.n:get() or 0) + 1
    ctx.n:set(n)
    ctx:emit { due = rec.due, key = rec.key, n = n }
  end,
}

job:source(weir.generate {
    count = tonumber(job.args.records),
    rate = tonumber(job.args.rate),
    fields = { due = { due = true }, key = { random = tonumber(job.args.keys or 100000) } },
  })
  :key_by "key"
  :process(count)
  :measure { latency_from = "due", latency_skip = tonumber(job.args.skip or 0) }
  :sink(weir.print())

return job
