--- distinct: how many bids, bidders and auctions there were, of all and by price, which q15 and q16 ask for.
---
--- A result is complete when event time has passed its day. For each bidder and auction the price classes that
--- were seen are kept as the bits of a number.
local weir = require "weir"

local M = {}

local DAY = 24 * 3600 * 1000

function M.day(time) return math.floor(time / DAY) end

local function class_of(price)
  return price < 1e4 and 1 or price < 1e6 and 2 or 3
end

-- Bit 0: seen at all; bit k: seen in price class k.
local BIT = { 2, 4, 8 }

-- Counts what is new of `id`: in field `all` of the counts, and in field `by[class]`.
local function see(seen, id, class, counts, all, by)
  local bits = seen:get(id) or 0
  local bit = BIT[class]
  if bits % (2 * bit) >= bit then return end
  if bits == 0 then
    counts[all] = counts[all] + 1
    bits = 1
  end
  counts[by[class]] = counts[by[class]] + 1
  seen:put(id, bits + bit)
end

local bids_by = { "bids_rank1", "bids_rank2", "bids_rank3" }
local bidders_by = { "bidders_rank1", "bidders_rank2", "bidders_rank3" }
local auctions_by = { "auctions_rank1", "auctions_rank2", "auctions_rank3" }

local function nothing()
  return {
    bids = 0, bids_rank1 = 0, bids_rank2 = 0, bids_rank3 = 0,
    bidders = 0, bidders_rank1 = 0, bidders_rank2 = 0, bidders_rank3 = 0,
    auctions = 0, auctions_rank1 = 0, auctions_rank2 = 0, auctions_rank3 = 0, last = 0,
  }
end

--- A function for bids with `day` in their key. `result(ctx, counts)` completes what is emitted.
function M.report(result)
  return weir.process_function {
    state = { counts = weir.state.value(), bidders = weir.state.map(), auctions = weir.state.map() },
    element = function(ctx, bid)
      local class = class_of(bid.price)
      local counts = ctx.counts:get()
      if not counts then
        counts = nothing()
        ctx:event_timer((bid.day + 1) * DAY - 1)
      end
      counts.bids = counts.bids + 1
      counts[bids_by[class]] = counts[bids_by[class]] + 1
      see(ctx.bidders, bid.bidder, class, counts, "bidders", bidders_by)
      see(ctx.auctions, bid.auction, class, counts, "auctions", auctions_by)
      counts.last = math.max(counts.last, bid.dateTime)
      ctx.counts:set(counts)
    end,
    timer = function(ctx)
      ctx:emit(result(ctx, ctx.counts:get()))
      ctx.counts:clear()
      ctx.bidders:clear()
      ctx.auctions:clear()
    end,
  }
end

--- The columns of a checksum, behind those of the key.
function M.fields(...)
  local fields = { ... }
  for _, name in ipairs { "bids", "bidders", "auctions" } do
    fields[#fields + 1] = name
    for rank = 1, 3 do fields[#fields + 1] = name .. "_rank" .. rank end
  end
  return fields
end

return M
