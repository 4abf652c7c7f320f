--- checkpoint: a count per key in a state of keys= keys, which are all written first, then hit at random rate= times a
--- second; rows "due,key,count" are read by checkpoint_gaps.c.
local weir = require "weir"
local counted = require "counted"

local job = weir.job { name = "checkpoint_bench", max_parallelism = 128 }
local keys = tonumber(job.args.keys)

local fill = job:source(weir.generate {
  count = keys, rate = 1e9, fields = { due = { due = true }, key = { cycle = keys } },
}):uid "fill"
local hits = job:source(weir.generate {
  rate = tonumber(job.args.rate), fields = { due = { due = true }, key = { random = keys } },
}):uid "hits"

fill:union(hits):key_by "key":process(counted):uid "count"
  :sink(weir.stdout { format = weir.csv { columns = { "due", "key", "n" } } })

return job
