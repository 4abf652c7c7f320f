--- q18: the last bid of each bidder for each auction, of equally late ones the highest.
---
---   weir run jobs/nexmark/q18.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q18" }

local function later(a, b)
  if b.dateTime > a.dateTime or b.dateTime == a.dateTime and b.price > a.price then return b end
  return a
end

local last = nexmark.bids(nexmark.events(job))
  :key_by("bidder", "auction")
  :reduce(later, { emit = "final" }):uid "last"

return nexmark.sink(job, last, {
  query = 18, fields = { "auction", "bidder", "price", "channel", "url", "dateTime", "#extra" },
})
