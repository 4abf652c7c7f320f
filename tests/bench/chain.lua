--- chain: map, filter, map over four-field rows in memory; reference: ref_chain.c.
local weir = require "weir"

local job = weir.job { name = "chain" }

job:source(weir.generate {
    count = tonumber(job.args.records),
    distinct = 4096,
    fields = {
      amount = { cycle = 1000 }, ts = { cycle = 2 ^ 53 },
      item = { random = 8, prefix = "item" }, user = { random = 500, prefix = "user" },
    },
  })
  :map(function(o) return { user = o.user, amount = o.amount * 1.25, ts = o.ts, item = o.item } end)
  :filter(function(o) return o.amount >= 250 end)
  :map(function(o) return { user = o.user, amount = o.amount + 1, ts = o.ts + 1, item = o.item } end)
  :measure { sum = "amount" }
  :sink(weir.print())

return job
