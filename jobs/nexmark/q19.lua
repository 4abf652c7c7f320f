--- q19: the ten highest bids for each auction, of equal ones the earlier.
---
---   weir run jobs/nexmark/q19.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q19" }

local bids = nexmark.bids(nexmark.events(job)):map(function(bid)
  return { auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.dateTime }
end)

local function before(a, b)
  if a.price ~= b.price then return a.price > b.price end
  return a.dateTime < b.dateTime
end

local top = weir.process_function {
  state = { bids = weir.state.list(), least = weir.state.value() },
  element = function(ctx, bid)
    local least = ctx.least:get()
    if least and bid.price < least then return end
    local list = ctx.bids:all()
    if #list == 0 then ctx:event_timer(nexmark.END) end
    local at = #list + 1
    while at > 1 and before(bid, list[at - 1]) do at = at - 1 end
    table.insert(list, at, bid)
    list[11] = nil
    ctx.bids:set(list)
    if #list == 10 then ctx.least:set(list[10].price) end
  end,
  timer = function(ctx)
    for rank, bid in ipairs(ctx.bids:all()) do
      ctx:emit { auction = bid.auction, rank = rank, bidder = bid.bidder, price = bid.price, dateTime = bid.dateTime }
    end
  end,
}

local ranked = bids:key_by("auction"):process(top):uid "top"

return nexmark.sink(job, ranked, { query = 19, fields = { "auction", "rank", "bidder", "price", "dateTime" } })
