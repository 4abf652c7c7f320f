--- q2: the prices bid for some of the auctions.
---
---   weir run jobs/nexmark/q2.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q2" }

local prices = nexmark.bids(nexmark.events(job))
  :filter(function(bid) return bid.auction % 123 == 0 end)
  :map(function(bid) return { auction = bid.auction, price = bid.price } end)

return nexmark.sink(job, prices, { query = 2, fields = { "auction", "price" } })
