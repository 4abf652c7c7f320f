--- nexmark_events: prints the events of the stream, for nexmark_spec.
local weir = require "weir"

local job = weir.job { name = "nexmark_events" }

job:source(weir.nexmark { count = tonumber(job.args.count), rate = tonumber(job.args.rate) })
  :parallelism(1)
  :sink(weir.print "json"):parallelism(1)

return job
