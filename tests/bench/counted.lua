--- counted: how often each key came, with when its record was due; shared by latency.lua and checkpoint.lua.
local weir = require "weir"

return weir.process_function {
  state = { n = weir.state.value() },
  element = function(ctx, rec)
    local n = (ctx.n:get() or 0) + 1
    ctx.n:set(n)
    ctx:emit { due = rec.due, key = rec.key, n = n }
  end,
}
