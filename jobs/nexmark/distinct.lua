--- distinct: how many bids, bidders and auctions there were each day, of all and by price, which q15 and q16 ask for.
---
--- Different bidders are counted as groups: the bids of each bidder are counted first, and then every bidder counts
--- once. So a day's work is that of many keys, which subtasks share, and only one record a bidder and day goes on to
--- the key of the result.
local weir = require "weir"

local M = {}

local DAY = 24 * 3600 * 1000
local day = weir.window.tumbling(DAY)

--- Bids as they are counted: 1 in the field of their price class, else 0; the third class is the rest.
function M.rank1(price) return price < 1e4 and 1 or 0 end
function M.rank2(price) return price >= 1e4 and price < 1e6 and 1 or 0 end

local function together(aggregates, also)
  for name, aggregate in pairs(also) do aggregates[name] = aggregate end
  return aggregates
end

-- The bids of a day by price, of each value of the fields.
local function count(bids, also, ...)
  return bids:key_by(...):window(day):aggregate(together({
    bids = weir.agg.count(), rank1 = weir.agg.sum "rank1", rank2 = weir.agg.sum "rank2",
  }, also))
end

local function sums()
  local aggregates = {}
  for _, name in ipairs { "bids", "bidders", "auctions" } do
    aggregates[name] = weir.agg.sum(name)
    for rank = 1, 3 do aggregates[name .. "_rank" .. rank] = weir.agg.sum(name .. "_rank" .. rank) end
  end
  return aggregates
end

local function once(n) return n > 0 and 1 or 0 end

--- Counts of each day, and each `channel` if the bids have one.
---@param by_bidder weir.Stream of { bidder, rank1, rank2, last?, channel? }
---@param by_auction weir.Stream of { auction, rank1, rank2, last?, channel? }
---@param also table further aggregates, of `last`
---@param ... string "channel"
function M.days(by_bidder, by_auction, also, ...)
  local bidders = count(by_bidder, also, "bidder", ...):uid "bidders":map(function(bidder)
    local rank3 = bidder.bids - bidder.rank1 - bidder.rank2
    return {
      day = bidder.window_start / DAY, channel = bidder.channel, last = bidder.last,
      bids = bidder.bids, bids_rank1 = bidder.rank1, bids_rank2 = bidder.rank2, bids_rank3 = rank3,
      bidders = 1, bidders_rank1 = once(bidder.rank1), bidders_rank2 = once(bidder.rank2), bidders_rank3 = once(rank3),
      auctions = 0, auctions_rank1 = 0, auctions_rank2 = 0, auctions_rank3 = 0,
    }
  end)
  local auctions = count(by_auction, also, "auction", ...):uid "auctions":map(function(auction)
    return {
      day = auction.window_start / DAY, channel = auction.channel, last = auction.last,
      bids = 0, bids_rank1 = 0, bids_rank2 = 0, bids_rank3 = 0,
      bidders = 0, bidders_rank1 = 0, bidders_rank2 = 0, bidders_rank3 = 0,
      auctions = 1, auctions_rank1 = once(auction.rank1), auctions_rank2 = once(auction.rank2),
      auctions_rank3 = once(auction.bids - auction.rank1 - auction.rank2),
    }
  end)
  return bidders:union(auctions):key_by("day", ...):window(day):aggregate(together(sums(), also)):uid "days"
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
