--- q13: bids with what a side file says of their auction's number modulo 10,000.
---
---   weir run jobs/nexmark/q13.lua count=1000000 side=side.csv sink=checksum
---
--- The side file has the columns key and value; without one, the value of key n is "side-n". Bids wait in the
--- state of their key until its line was read.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q13" }

local side
if job.args.side then
  side = job:source(weir.files {
    path = job.args.side, format = weir.csv { types = { key = "number", value = "string" } },
  })
else
  side = job:source(weir.generate {
    count = 10000, fn = function(n) return { key = n, value = "side-" .. n } end,
  })
end

local bids = nexmark.bids(nexmark.events(job)):map(function(bid)
  return {
    key = bid.auction % 10000, auction = bid.auction, bidder = bid.bidder, price = bid.price,
    dateTime = bid.dateTime,
  }
end)

local function with(bid, value)
  return { auction = bid.auction, bidder = bid.bidder, price = bid.price, dateTime = bid.dateTime, value = value }
end

local lookup = weir.co_process_function {
  state = { value = weir.state.value(), waiting = weir.state.list() },
  element1 = function(ctx, bid)
    local value = ctx.value:get()
    if value then
      ctx:emit(with(bid, value))
    else
      ctx.waiting:add(bid)
    end
  end,
  element2 = function(ctx, line)
    ctx.value:set(line.value)
    for bid in ctx.waiting:iter() do ctx:emit(with(bid, line.value)) end
    ctx.waiting:clear()
  end,
}

local joined = bids:key_by("key"):connect(side:key_by("key")):process(lookup):uid "lookup"

return nexmark.sink(job, joined, { query = 13, fields = { "auction", "bidder", "price", "dateTime", "value" } })
