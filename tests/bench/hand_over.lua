--- hand_over: rows of 32 bytes from one worker to another; reference: ref_ring.c.
local weir = require "weir"

local job = weir.job { name = "hand_over" }

job:source(weir.generate {
    count = tonumber(job.args.records),
    distinct = 4096,
    fields = { n = { cycle = 2 ^ 53 }, v = { cycle = 1000 } },
  })
  :measure { sum = "v" }:start_chain()
  :sink(weir.print())

return job
