--- q5: which auctions had the most bids in the last ten seconds? Told every two seconds; ties are kept.
---
---   weir run jobs/nexmark/q5.lua count=1000000 sink=checksum
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q5" }

local counts = nexmark.bids(nexmark.events(job))
  :map(function(bid) return { auction = bid.auction } end)
  :key_by("auction")
  :window(weir.window.sliding { size = "10s", slide = "2s" })
  :count():uid "counts"

local most = weir.process_function {
  state = { most = weir.state.value(), auctions = weir.state.list() },
  element = function(ctx, window)
    local most = ctx.most:get()
    if most and window.count < most then return end
    if not most then ctx:event_timer(window.window_end - 1) end
    if window.count ~= most then
      ctx.most:set(window.count)
      ctx.auctions:clear()
    end
    ctx.auctions:add(window.auction)
  end,
  timer = function(ctx)
    local window_end, count = ctx:key(), ctx.most:get()
    for auction in ctx.auctions:iter() do
      ctx:emit { window_end = window_end, auction = auction, count = count }
    end
    ctx.auctions:clear()
    ctx.most:clear()
  end,
}

local hottest = counts:key_by("window_end"):process(most):uid "most"

return nexmark.sink(job, hottest, { query = 5, fields = { "window_end", "auction", "count" } })
