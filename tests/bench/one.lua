--- one: a job of one record, for the time and memory of a start.
local weir = require "weir"

local job = weir.job { name = "one" }
job:source(weir.from { { n = 1 } }):map(function(rec) return rec end):sink(weir.print())
return job
