--- q15: bids, bidders and auctions of each day, of all and by price.
---
---   weir run jobs/nexmark/q15.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"
local distinct = require "distinct"

local job = weir.job { name = "q15" }

local bids = nexmark.bids(nexmark.events(job))
local rank1, rank2 = distinct.rank1, distinct.rank2

local by_bidder = bids:map(function(bid)
  return { bidder = bid.bidder, rank1 = rank1(bid.price), rank2 = rank2(bid.price) }
end)
local by_auction = bids:map(function(bid)
  return { auction = bid.auction, rank1 = rank1(bid.price), rank2 = rank2(bid.price) }
end)

local days = distinct.days(by_bidder, by_auction, {})

return nexmark.sink(job, days, { query = 15, fields = distinct.fields "day" })
