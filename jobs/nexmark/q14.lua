--- q14: bids in euros within a range, with the time of day and the number of 'c' in their text.
---
---   weir run jobs/nexmark/q14.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q14" }

local HOUR, C = 3600 * 1000, ("c"):byte()

local function time_of_day(time)
  local hour = math.floor(time / HOUR) % 24
  if hour >= 8 and hour <= 18 then return "dayTime" end
  if hour <= 6 or hour >= 20 then return "nightTime" end
  return "otherTime"
end

local function count_c(text)
  local count = 0
  for i = 1, #text do
    if text:byte(i) == C then count = count + 1 end
  end
  return count
end

local bids = nexmark.bids(nexmark.events(job))
  :filter(function(bid) return 0.908 * bid.price > 1e6 and 0.908 * bid.price < 5e7 end)
  :map(function(bid)
    return {
      auction = bid.auction, bidder = bid.bidder, price = 0.908 * bid.price, time = time_of_day(bid.dateTime),
      dateTime = bid.dateTime, extra = bid.extra, c_counts = count_c(bid.extra),
    }
  end)

return nexmark.sink(job, bids, {
  query = 14, fields = { "auction", "bidder", "price*1000", "time", "dateTime", "#extra", "c_counts" },
})
