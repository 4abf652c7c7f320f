--- q22: bids with the three folders of their address.
---
---   weir run jobs/nexmark/q22.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q22" }

local SLASH = "/"

-- What stands between the slashes that follow position `at`, and where the second one is.
local function folder(url, at)
  local to = url:find(SLASH, at + 1, true)
  return url:sub(at + 1, to - 1), to
end

local folders = nexmark.bids(nexmark.events(job)):map(function(bid)
  local url = bid.url
  local at = url:find(SLASH, url:find("//", 1, true) + 2, true)
  local dir1, dir2, dir3
  dir1, at = folder(url, at)
  dir2, at = folder(url, at)
  dir3 = folder(url, at)
  return {
    auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel,
    dir1 = dir1, dir2 = dir2, dir3 = dir3,
  }
end)

return nexmark.sink(job, folders, {
  query = 22, fields = { "auction", "bidder", "price", "channel", "dir1", "dir2", "dir3" },
})
