--- winning: the winning bid of each auction as a whole, for q9; q4 and q6 need its price alone.
---
--- An auction is open from its dateTime to its expires, both included; the highest bid in that time wins, of
--- equal ones the earliest. It is known when event time passes `expires`. A bid may come before its auction
--- does: it waits until event time has passed it, and without an auction by then its auction is over. Most bids
--- that are too late come soon after the end, so an auction is remembered for as long as it was open.
local weir = require "weir"

local M = {}

-- When an auction is forgotten.
local function forgotten(auction) return 2 * auction.expires - auction.dateTime + 1 end

local function wins(price, time, best)
  return not best or price > best.price or price == best.price and time < best.dateTime
end

--- A function for auctions:connect(bids) keyed by the auction. `result(auction, bid)` makes what is emitted.
function M.bids(result)
  return weir.co_process_function {
    state = { auction = weir.state.value(), best = weir.state.value(), early = weir.state.list() },
    element1 = function(ctx, auction)
      ctx.auction:set(auction)
      ctx:event_timer(auction.expires)
      for bid in ctx.early:iter() do
        local price, time = bid.price, bid.dateTime
        if time >= auction.dateTime and time <= auction.expires and wins(price, time, ctx.best:get()) then
          ctx.best:set { price = price, dateTime = time, bidder = bid.bidder, extra = bid.extra }
        end
      end
      ctx.early:clear()
    end,
    element2 = function(ctx, bid)
      local auction = ctx.auction:get()
      local price, time = bid.price, bid.dateTime
      if not auction then
        ctx.early:add { price = price, dateTime = time, bidder = bid.bidder, extra = bid.extra }
        ctx:event_timer(time)
      elseif time >= auction.dateTime and time <= auction.expires and wins(price, time, ctx.best:get()) then
        ctx.best:set { price = price, dateTime = time, bidder = bid.bidder, extra = bid.extra }
      end
    end,
    timer = function(ctx, time)
      local auction = ctx.auction:get()
      if not auction then
        for bid in ctx.early:iter() do
          if bid.dateTime > time then return end
        end
        ctx.early:clear()
      elseif time == auction.expires then
        local best = ctx.best:get()
        if best then ctx:emit(result(auction, best)) end
        ctx.best:clear()
        ctx:event_timer(forgotten(auction))
      elseif time == forgotten(auction) then
        ctx.auction:clear()
      end
    end,
  }
end

return M
