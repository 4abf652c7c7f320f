--- crowd: a thousand subtasks with a Lua state each, for the memory of a subtask.
local weir = require "weir"

local job = weir.job { name = "crowd", parallelism = 500 }

job:source(weir.generate { count = 100000, fn = function(n) return { key = n } end })
  :key_by "key"
  :map(function(rec) return { key = rec.key } end)
  :measure()
  :global()
  :sink(weir.discard()):parallelism(1)

return job
