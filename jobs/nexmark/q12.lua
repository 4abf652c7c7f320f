--- q12: how many bids does each bidder make in ten seconds of the machine's time?
---
---   weir run jobs/nexmark/q12.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q12" }

local counts = nexmark.bids(nexmark.events(job))
  :map(function(bid) return { bidder = bid.bidder } end)
  :key_by("bidder")
  :window(weir.window.tumbling { size = "10s", time = "processing" })
  :count():uid "counts"

return nexmark.sink(job, counts, { query = 12, fields = { "bidder" }, weight = "count" })
