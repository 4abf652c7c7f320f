--- q16: bids, bidders and auctions of each channel and day, of all and by price, and the minute of the last bid.
---
---   weir run jobs/nexmark/q16.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"
local distinct = require "distinct"

local job = weir.job { name = "q16" }

local MINUTE = 60 * 1000

local bids = nexmark.bids(nexmark.events(job))
local rank1, rank2 = distinct.rank1, distinct.rank2

local by_bidder = bids:map(function(bid)
  return {
    channel = bid.channel, bidder = bid.bidder, rank1 = rank1(bid.price), rank2 = rank2(bid.price),
    last = bid.dateTime,
  }
end)
local by_auction = bids:map(function(bid)
  return {
    channel = bid.channel, auction = bid.auction, rank1 = rank1(bid.price), rank2 = rank2(bid.price),
    last = bid.dateTime,
  }
end)

local days = distinct.days(by_bidder, by_auction, { last = weir.agg.max "last" }, "channel"):map(function(day)
  local minutes = math.floor(day.last / MINUTE)
  day.minute = ("%02d:%02d"):format(math.floor(minutes / 60) % 24, minutes % 60)
  return day
end)

return nexmark.sink(job, days, { query = 16, fields = distinct.fields("channel", "day", "minute") })
