--- q16: bids, bidders and auctions of each channel and day, of all and by price, and the minute of the last bid.
---
---   weir run jobs/nexmark/q16.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"
local distinct = require "distinct"

local job = weir.job { name = "q16" }

local MINUTE = 60 * 1000

local bids = nexmark.bids(nexmark.events(job)):map(function(bid)
  return {
    channel = bid.channel, day = distinct.day(bid.dateTime), auction = bid.auction, bidder = bid.bidder,
    price = bid.price, dateTime = bid.dateTime,
  }
end)

local days = bids:key_by("channel", "day"):process(distinct.report(function(ctx, counts)
  local minutes = math.floor(counts.last / MINUTE)
  counts.channel, counts.day = ctx:key()
  counts.minute = ("%02d:%02d"):format(math.floor(minutes / 60) % 24, minutes % 60)
  return counts
end)):uid "report"

return nexmark.sink(job, days, { query = 16, fields = distinct.fields("channel", "day", "minute") })
