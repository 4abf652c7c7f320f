--- q6: what did the last ten auctions of each seller go for on average?
---
---   weir run jobs/nexmark/q6.lua count=1000000 sink=checksum
---
--- Shows: a ring of the last n in a state. Which auctions are the last ten depends on the order in which they
--- close, so winning bids wait until event time has passed them, and go in the order of expiry and id.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q6" }
local events = nexmark.events(job)

-- Sales of a seller at the same time wait side by side.
local SIDE_BY_SIDE = 1 / 64

local auctions = nexmark.auctions(events):map(function(auction)
  return { id = auction.id, seller = auction.seller, dateTime = auction.dateTime, expires = auction.expires }
end)
local bids = nexmark.bids(events):map(function(bid)
  return { auction = bid.auction, price = bid.price, dateTime = bid.dateTime }
end)

local sold = auctions:key_by("id"):connect(bids:key_by("auction"))
  :interval_aggregate { from = "dateTime", to = "expires", aggregates = { price = weir.agg.max "price" } }
  :uid "sold"

local last_ten = weir.process_function {
  state = { waiting = weir.state.map(), ring = weir.state.list() },
  element = function(ctx, sale)
    local at = sale.expires
    while ctx.waiting:contains(at) do at = at + SIDE_BY_SIDE end
    ctx.waiting:put(at, { id = sale.id, price = sale.price })
    ctx:event_timer(sale.expires)
  end,
  timer = function(ctx, time)
    local sales, at = {}, time
    while ctx.waiting:contains(at) do
      sales[#sales + 1] = ctx.waiting:get(at)
      ctx.waiting:remove(at)
      at = at + SIDE_BY_SIDE
    end
    if #sales > 1 then table.sort(sales, function(a, b) return a.id < b.id end) end
    local seller, ring = ctx:key(), ctx.ring:all()
    for _, sale in ipairs(sales) do
      ring[#ring + 1] = sale.price
      if #ring > 10 then table.remove(ring, 1) end
      local sum = 0
      for _, price in ipairs(ring) do sum = sum + price end
      ctx:emit { seller = seller, average = math.floor(sum / #ring) }
    end
    ctx.ring:set(ring)
  end,
}

local averages = sold:key_by("seller"):process(last_ten):uid "last_ten"

return nexmark.sink(job, averages, { query = 6, fields = { "seller", "average" } })
