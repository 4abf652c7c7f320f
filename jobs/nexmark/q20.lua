--- q20: bids with all that is known of their auction, for auctions of category 10.
---
---   weir run jobs/nexmark/q20.lua count=1000000 sink=checksum
---
--- Of auctions of other categories a mark is kept, so that their bids need not wait for ever.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q20" }
local events = nexmark.events(job)

local function both(bid, auction)
  return {
    auction = bid.auction, bidder = bid.bidder, price = bid.price, channel = bid.channel, url = bid.url,
    bid_dateTime = bid.dateTime, bid_extra = bid.extra, itemName = auction.itemName,
    description = auction.description, initialBid = auction.initialBid, reserve = auction.reserve,
    dateTime = auction.dateTime, expires = auction.expires, seller = auction.seller,
    category = auction.category, extra = auction.extra,
  }
end

local join = weir.co_process_function {
  state = { auction = weir.state.value(), other = weir.state.value(), early = weir.state.list() },
  element1 = function(ctx, auction)
    if auction.category == 10 then
      ctx.auction:set(auction)
      for bid in ctx.early:iter() do ctx:emit(both(bid, auction)) end
    else
      ctx.other:set(true)
    end
    ctx.early:clear()
  end,
  element2 = function(ctx, bid)
    if ctx.other:get() then return end
    local auction = ctx.auction:get()
    if auction then
      ctx:emit(both(bid, auction))
    else
      ctx.early:add(bid)
    end
  end,
}

local joined = nexmark.auctions(events):key_by("id"):connect(nexmark.bids(events):key_by("auction"))
  :process(join):uid "join"

return nexmark.sink(job, joined, {
  query = 20,
  fields = {
    "auction", "bidder", "price", "channel", "url", "bid_dateTime", "#bid_extra", "expires", "seller", "category",
  },
})
