--- q21: bids with a number of their channel: four have a fixed one, others say it in their address. Bids without
--- one are left out.
---
---   weir run jobs/nexmark/q21.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q21" }

local fixed = { Apple = "0", Google = "1", Facebook = "2", Baidu = "3" }

local channels = nexmark.bids(nexmark.events(job)):flat_map(function(bid, emit)
  local id = fixed[bid.channel]
  if not id then
    local from, to = bid.url:find("channel_id=", 1, true)
    if from then id = bid.url:sub(to + 1, (bid.url:find("&", to, true) or 0) - 1) end
  end
  if id then emit { auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, id = id } end
end)

return nexmark.sink(job, channels, { query = 21, fields = { "auction", "bidder", "price", "channel", "id" } })
