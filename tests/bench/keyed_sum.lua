--- keyed_sum: the sum of a field per key, given when the input ends; reference: ref_keyed_sum.c.
local weir = require "weir"

local job = weir.job { name = "keyed_sum" }

job:source(weir.generate {
    count = tonumber(job.args.records),
    fields = { key = { random = tonumber(job.args.keys) }, value = { cycle = 1000 } },
  })
  :key_by "key"
  :sum("value", { emit = "final" })
  :measure { checksum = true }
  :sink(weir.print())

return job
