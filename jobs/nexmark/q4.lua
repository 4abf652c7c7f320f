--- q4: what do auctions of a category sell for on average? Updated with each auction that closes.
---
---   weir run jobs/nexmark/q4.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q4" }
local events = nexmark.events(job)

local auctions = nexmark.auctions(events):map(function(auction)
  return { id = auction.id, category = auction.category, dateTime = auction.dateTime, expires = auction.expires }
end)
local bids = nexmark.bids(events):map(function(bid)
  return { auction = bid.auction, price = bid.price, dateTime = bid.dateTime }
end)

local sold = auctions:key_by("id"):connect(bids:key_by("auction"))
  :interval_aggregate { from = "dateTime", to = "expires", aggregates = { price = weir.agg.max "price" } }
  :uid "sold"

local average = weir.process_function {
  state = { sold = weir.state.value() },
  element = function(ctx, sale)
    local sold_before = ctx.sold:get() or { count = 0, sum = 0 }
    local count, sum = sold_before.count + 1, sold_before.sum + sale.price
    ctx.sold:set { count = count, sum = sum }
    ctx:emit { category = sale.category, count = count, sum = sum, average = sum / count }
  end,
}

local averages = sold:key_by("category"):process(average):uid "average"

return nexmark.sink(job, averages, { query = 4, fields = { "category", "count", "sum" }, last_of = "category" })
