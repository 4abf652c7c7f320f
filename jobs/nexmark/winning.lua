--- winning: the winning bid of each auction, which q4, q6 and q9 build on.
---
--- An auction is open from its dateTime to its expires, both included; the highest bid in that time wins, of
--- equal ones the earliest. It is known when event time passes `expires`. Bids may come before their auction
--- does, and then wait until event time has passed them: without an auction by then, theirs is over.
local weir = require "weir"

local M = {}

local function better(bid, best)
  return not best or bid.price > best.price or bid.price == best.price and bid.dateTime < best.dateTime
end

local function offer(ctx, auction, bid)
  if bid.dateTime < auction.dateTime or bid.dateTime > auction.expires then return end
  if better(bid, ctx.best:get()) then ctx.best:set(bid) end
end

-- Has event time passed all bids that wait?
local function over(ctx, time)
  for bid in ctx.early:iter() do
    if bid.dateTime > time then return false end
  end
  return true
end

--- A function for auctions:connect(bids) keyed by the auction. `result(auction, bid)` makes what is emitted.
function M.bids(result)
  return weir.co_process_function {
    state = { auction = weir.state.value(), best = weir.state.value(), early = weir.state.list() },
    element1 = function(ctx, auction)
      ctx.auction:set(auction)
      ctx:event_timer(auction.expires)
      for bid in ctx.early:iter() do offer(ctx, auction, bid) end
      ctx.early:clear()
    end,
    element2 = function(ctx, bid)
      local auction = ctx.auction:get()
      if auction then
        offer(ctx, auction, bid)
      else
        ctx.early:add(bid)
        ctx:event_timer(bid.dateTime)
      end
    end,
    timer = function(ctx, time)
      local auction = ctx.auction:get()
      if not auction then
        if over(ctx, time) then ctx.early:clear() end
      elseif time >= auction.expires then
        local best = ctx.best:get()
        if best then ctx:emit(result(auction, best)) end
        ctx.auction:clear()
        ctx.best:clear()
      end
    end,
  }
end

return M
