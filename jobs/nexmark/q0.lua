--- q0: all bids as they are: what a source, a chain and a sink cost.
---
---   weir run jobs/nexmark/q0.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q0" }

local bids = nexmark.bids(nexmark.events(job))

return nexmark.sink(job, bids, { query = 0, fields = { "auction", "bidder", "price", "dateTime", "#extra" } })
