--- latency: a hash shuffle and a keyed count, timed from when each record was due.
local weir = require "weir"
local counted = require "counted"

local job = weir.job { name = "latency" }

job:source(weir.generate {
    count = tonumber(job.args.records),
    rate = tonumber(job.args.rate),
    fields = { due = { due = true }, key = { random = tonumber(job.args.keys or 100000) } },
  })
  :key_by "key"
  :process(counted)
  :measure { latency_from = "due", latency_skip = tonumber(job.args.skip or 0) }
  :sink(weir.print())

return job
