--- enrich: adds the tax to orders, by rules that every subtask holds.
---
---   weir run jobs/enrich.lua
---   weir run -p 4 jobs/enrich.lua input='orders/*.ndjson' rules=rules.ndjson
---
--- Reads rules {"country":, "percent":, "name":}, broadcasts them, and prints each order {"id":, "country":,
--- "net":, "ts": ms} with gross and tax: {"country":"DE","gross":119,"id":1,"net":100,"tax":"MwSt"}. An order
--- without a rule gets "tax":"unknown". An order waits until event time passes it; the rules have no
--- times, so they hold event time back until all of them are read, and no order comes too early.
--- Shows: broadcast state, connected streams, list state.
local weir = require "weir"

local job = weir.job { name = "enrich" }

local tax = weir.broadcast_function {
  state = { waiting = weir.state.list() },
  broadcast_state = { rules = weir.state.map() },
  element = function(ctx, order)
    ctx.waiting:add(order)
    ctx:event_timer(order.ts)
  end,
  broadcast = function(ctx, rule)
    ctx.rules:put(rule.country, { percent = rule.percent, name = rule.name })
  end,
  timer = function(ctx)
    for order in ctx.waiting:iter() do
      local rule = ctx.rules:get(order.country) or { percent = 0, name = "unknown" }
      local cents = math.floor(order.net * (100 + rule.percent) + 0.5)
      ctx:emit { id = order.id, country = order.country, net = order.net, gross = cents / 100, tax = rule.name }
    end
    ctx.waiting:clear()
  end,
}

local rules = job:source(weir.files { path = job.args.rules or "jobs/data/tax_rules.ndjson", format = weir.json() })
  :name "rules"

job:source(weir.files { path = job.args.input or "jobs/data/orders.ndjson", format = weir.json() })
  :name "orders"
  :watermarks(weir.watermark.ascending { field = "ts" })
  :key_by "country"
  :connect(rules:broadcast())
  :process(tax):uid "tax"
  :sink(weir.print())

return job
