--- q7: the highest bids of every ten seconds; ties are kept.
---
---   weir run jobs/nexmark/q7.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q7" }

local SIZE = 10000

-- A bid below one that this subtask has seen in the same window cannot win, so most are not sent on. This is no
-- state: what a restart forgets only lets more of them pass.
local seen_end, seen_price

local function may_win(bid)
  local window_end = bid.dateTime - bid.dateTime % SIZE + SIZE
  if window_end == seen_end and bid.price < seen_price then return false end
  seen_end, seen_price = window_end, bid.price
  return true
end

local bids = nexmark.bids(nexmark.events(job)):filter(may_win):map(function(bid)
  return {
    window_end = bid.dateTime - bid.dateTime % SIZE + SIZE, auction = bid.auction, bidder = bid.bidder,
    price = bid.price, dateTime = bid.dateTime,
  }
end)

local highest = weir.process_function {
  state = { price = weir.state.value(), bids = weir.state.list() },
  element = function(ctx, bid)
    local price = ctx.price:get()
    if price and bid.price < price then return end
    if not price then ctx:event_timer(bid.window_end - 1) end
    if bid.price ~= price then
      ctx.price:set(bid.price)
      ctx.bids:clear()
    end
    ctx.bids:add(bid)
  end,
  timer = function(ctx)
    for bid in ctx.bids:iter() do ctx:emit(bid) end
    ctx.bids:clear()
    ctx.price:clear()
  end,
}

local winners = bids:key_by("window_end"):process(highest):uid "highest"

return nexmark.sink(job, winners, {
  query = 7, fields = { "window_end", "auction", "price", "bidder", "dateTime" },
})
