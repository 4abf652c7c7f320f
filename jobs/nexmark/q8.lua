--- q8: who opened an auction in the same ten seconds in which they joined?
---
---   weir run jobs/nexmark/q8.lua count=1000000 sink=checksum
---
--- Shows: a join within a window by hand; a timer forgets what no record can match any more.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q8" }
local events = nexmark.events(job)

local SIZE = 10000

local function window_of(event) return event.dateTime - event.dateTime % SIZE end

local persons = nexmark.persons(events):map(function(person)
  return { id = person.id, name = person.name, window_start = window_of(person) }
end)
local sellers = nexmark.auctions(events):map(function(auction)
  return { id = auction.seller, window_start = window_of(auction) }
end)

local join = weir.co_process_function {
  state = { joined = weir.state.value(), sells = weir.state.map() },
  element1 = function(ctx, person)
    ctx:event_timer(person.window_start + SIZE - 1)
    ctx.joined:set(person)
    if ctx.sells:contains(person.window_start) then ctx:emit(person) end
  end,
  element2 = function(ctx, seller)
    if ctx.sells:contains(seller.window_start) then return end
    ctx:event_timer(seller.window_start + SIZE - 1)
    ctx.sells:put(seller.window_start, true)
    local joined = ctx.joined:get()
    if joined and joined.window_start == seller.window_start then ctx:emit(joined) end
  end,
  timer = function(ctx, time)
    local window_start = time + 1 - SIZE
    local joined = ctx.joined:get()
    if joined and joined.window_start == window_start then ctx.joined:clear() end
    ctx.sells:remove(window_start)
  end,
}

local new_sellers = persons:key_by("id"):connect(sellers:key_by("id")):process(join):uid "join"

return nexmark.sink(job, new_sellers, { query = 8, fields = { "id", "name", "window_start" } })
