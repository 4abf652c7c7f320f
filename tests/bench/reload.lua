--- reload: a count per key, whose function, module and version are replaced while it runs; read by reload_gaps.c.
--- run.lua writes it with another VERSION each time.
local weir = require "weir"
local rules = require "reload_rules"

local VERSION = 0
local job = weir.job { name = "reload_bench" }

job:source(weir.generate {
    rate = tonumber(job.args.rate), count = tonumber(job.args.records),
    fields = { key = { random = tonumber(job.args.keys) } },
  })
  :key_by "key"
  :process(weir.process_function {
    state = { n = weir.state.value() },
    element = function(ctx, rec)
      local n = (ctx.n:get() or 0) + rules.step
      ctx.n:set(n)
      ctx:emit { k = rec.key, n = n, v = rules.version == VERSION and VERSION or -1 }
    end,
  }):uid "count"
  :sink(weir.stdout { format = weir.csv { columns = { "k", "n", "v" } } })

return job
