--- q15: bids, bidders and auctions of each day, of all and by price.
---
---   weir run jobs/nexmark/q15.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"
local distinct = require "distinct"

local job = weir.job { name = "q15" }

local bids = nexmark.bids(nexmark.events(job)):map(function(bid)
  return {
    day = distinct.day(bid.dateTime), auction = bid.auction, bidder = bid.bidder, price = bid.price,
    dateTime = bid.dateTime,
  }
end)

local days = bids:key_by("day"):process(distinct.report(function(ctx, counts)
  counts.day = ctx:key()
  return counts
end)):uid "report"

return nexmark.sink(job, days, { query = 15, fields = distinct.fields "day" })
