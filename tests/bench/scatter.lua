--- scatter: one subtask sends rows to two by key or in turn; the figure is its own busy time a row.
local weir = require "weir"

local job = weir.job { name = "scatter" }

local rows = job:source(weir.generate {
  count = tonumber(job.args.records),
  distinct = 4096,
  fields = { n = { cycle = 2 ^ 53 }, user = { random = 1000, prefix = "user" }, v = { cycle = 1000 } },
}):parallelism(1)
rows = job.args.by == "turn" and rows:rebalance() or rows:key_by(job.args.by)
rows:measure { sum = "v" }:parallelism(2):sink(weir.discard())

return job
