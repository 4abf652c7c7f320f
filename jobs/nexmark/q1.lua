--- q1: bids in euros instead of dollars.
---
---   weir run jobs/nexmark/q1.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q1" }

local bids = nexmark.bids(nexmark.events(job)):map(function(bid)
  return {
    auction = bid.auction, bidder = bid.bidder, price = 0.908 * bid.price, dateTime = bid.dateTime, extra = bid.extra,
  }
end)

return nexmark.sink(job, bids, { query = 1, fields = { "auction", "bidder", "price*1000", "dateTime", "#extra" } })
