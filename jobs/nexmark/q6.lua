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

-- The price takes the place of the one ten sales before.
local function close(ctx, sale)
  local before = ctx.total:get() or { count = 0, sum = 0 }
  local count, place = before.count + 1, before.count % 10
  local sum = before.sum + sale.price - (ctx.ring:get(place) or 0)
  ctx.ring:put(place, sale.price)
  ctx.total:set { count = count, sum = sum }
  ctx:emit { seller = ctx:key(), average = math.floor(sum / math.min(count, 10)) }
end

local function by_id(a, b) return a.id < b.id end

local last_ten = weir.process_function {
  state = { waiting = weir.state.map(), ring = weir.state.map(), total = weir.state.value() },
  element = function(ctx, sale)
    local at = sale.expires
    while ctx.waiting:contains(at) do at = at + SIDE_BY_SIDE end
    ctx.waiting:put(at, { id = sale.id, price = sale.price })
    ctx:event_timer(sale.expires)
  end,
  timer = function(ctx, time)
    local sale, at = ctx.waiting:get(time), time + SIDE_BY_SIDE
    ctx.waiting:remove(time)
    if not ctx.waiting:contains(at) then return close(ctx, sale) end
    local sales = { sale }
    while ctx.waiting:contains(at) do
      sales[#sales + 1] = ctx.waiting:get(at)
      ctx.waiting:remove(at)
      at = at + SIDE_BY_SIDE
    end
    table.sort(sales, by_id)
    for _, each in ipairs(sales) do close(ctx, each) end
  end,
}

local averages = sold:key_by("seller"):process(last_ten):uid "last_ten"

return nexmark.sink(job, averages, { query = 6, fields = { "seller", "average" } })
