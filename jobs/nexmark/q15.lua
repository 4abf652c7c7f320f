--- q15: bids, bidders and auctions of each day, of all and by price.
---
---   weir run jobs/nexmark/q15.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"
local distinct = require "distinct"

local job = weir.job { name = "q15" }

local bids = nexmark.bids(nexmark.events(job))
local rank1, rank2, rank3 = distinct.rank1, distinct.rank2, distinct.rank3

local days = distinct.days(
  bids:map(function(bid)
    local price = bid.price
    return {
      bidder = bid.bidder, rank1 = rank1(price), rank2 = rank2(price), rank3 = rank3(price), dateTime = bid.dateTime,
    }
  end),
  bids:map(function(bid)
    local price = bid.price
    return {
      auction = bid.auction, rank1 = rank1(price), rank2 = rank2(price), rank3 = rank3(price), dateTime = bid.dateTime,
    }
  end))

return nexmark.sink(job, days, { query = 15, fields = distinct.fields "day" })
