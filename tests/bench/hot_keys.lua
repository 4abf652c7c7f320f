--- hot_keys: the sum of a field per key, where most records are of a few keys and the others come once each, before
--- and among them.
local weir = require "weir"

local job = weir.job { name = "hot_keys" }

local hot = job:source(weir.generate {
  count = tonumber(job.args.records), fields = { key = { random = tonumber(job.args.hot) }, value = { cycle = 1000 } },
})
local cold = job:source(weir.generate {
  count = tonumber(job.args.keys), fields = { key = { cycle = tonumber(job.args.keys) }, value = { cycle = 1000 } },
})

hot:union(cold):key_by "key":sum("value", { emit = "final" }):measure { checksum = true }:sink(weir.print())

return job
