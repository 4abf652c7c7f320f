--- q17: what was bid for each auction on each day?
---
---   weir run jobs/nexmark/q17.lua count=1000000 sink=checksum
---
--- A day's result goes out when event time has passed it, or at the end of the input.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q17" }

local DAY = 24 * 3600 * 1000

local bids = nexmark.bids(nexmark.events(job)):map(function(bid)
  return { auction = bid.auction, price = bid.price, day = math.floor(bid.dateTime / DAY) }
end)

local function class(limit_from, limit_to, price)
  return price >= limit_from and price < limit_to and 1 or 0
end

local report = weir.process_function {
  state = { day = weir.state.value() },
  element = function(ctx, bid)
    local price = bid.price
    local r = ctx.day:get()
    if not r then
      ctx:event_timer((bid.day + 1) * DAY - 1)
      r = { bids = 0, rank1 = 0, rank2 = 0, rank3 = 0, min = price, max = price, sum = 0 }
    end
    ctx.day:set {
      bids = r.bids + 1, rank1 = r.rank1 + class(0, 1e4, price), rank2 = r.rank2 + class(1e4, 1e6, price),
      rank3 = r.rank3 + class(1e6, math.huge, price), min = math.min(r.min, price), max = math.max(r.max, price),
      sum = r.sum + price,
    }
  end,
  timer = function(ctx)
    local auction, day = ctx:key()
    local r = ctx.day:get()
    ctx:emit {
      auction = auction, day = day, bids = r.bids, rank1 = r.rank1, rank2 = r.rank2, rank3 = r.rank3,
      min = r.min, max = r.max, avg = r.sum / r.bids, sum = r.sum,
    }
    ctx.day:clear()
  end,
}

local days = bids:key_by("auction", "day"):process(report):uid "report"

return nexmark.sink(job, days, {
  query = 17, fields = { "auction", "day", "bids", "rank1", "rank2", "rank3", "min", "max", "sum" },
})
