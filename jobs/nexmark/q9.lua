--- q9: the winning bid of each auction, with all that is known of both.
---
---   weir run jobs/nexmark/q9.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"
local winning = require "winning"

local job = weir.job { name = "q9" }
local events = nexmark.events(job)

local function both(auction, bid)
  return {
    id = auction.id, itemName = auction.itemName, description = auction.description,
    initialBid = auction.initialBid, reserve = auction.reserve, dateTime = auction.dateTime,
    expires = auction.expires, seller = auction.seller, category = auction.category, extra = auction.extra,
    auction = auction.id, bidder = bid.bidder, price = bid.price, bid_dateTime = bid.dateTime,
    bid_extra = bid.extra,
  }
end

local winners = nexmark.auctions(events):key_by("id"):connect(nexmark.bids(events):key_by("auction"))
  :process(winning.bids(both))
  :uid "winning"

return nexmark.sink(job, winners, {
  query = 9, fields = { "id", "expires", "seller", "category", "bidder", "price", "bid_dateTime", "#bid_extra" },
})
