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

local function window_of(time) return time - time % SIZE end

local persons = nexmark.persons(events):map(function(person)
  return { id = person.id, name = person.name, window_start = window_of(person.dateTime) }
end)
local sellers = nexmark.auctions(events):map(function(auction)
  return { id = auction.seller, window_start = window_of(auction.dateTime) }
end)

local join = weir.co_process_function {
  state = { joined = weir.state.value(), name = weir.state.value(), sells = weir.state.map() },
  element1 = function(ctx, person)
    local window_start = person.window_start
    ctx:event_timer(window_start + SIZE - 1)
    ctx.joined:set(window_start)
    ctx.name:set(person.name)
    if ctx.sells:contains(window_start) then ctx:emit(person) end
  end,
  element2 = function(ctx, seller)
    local id, window_start = seller.id, seller.window_start
    if ctx.sells:contains(window_start) then return end
    ctx.sells:put(window_start, true)
    ctx:event_timer(window_start + SIZE - 1)
    if ctx.joined:get() == window_start then
      ctx:emit { id = id, name = ctx.name:get(), window_start = window_start }
    end
  end,
  timer = function(ctx, time)
    local window_start = time + 1 - SIZE
    ctx.sells:remove(window_start)
    if ctx.joined:get() == window_start then
      ctx.joined:clear()
      ctx.name:clear()
    end
  end,
}

local new_sellers = persons:key_by("id"):connect(sellers:key_by("id")):process(join):uid "join"

return nexmark.sink(job, new_sellers, { query = 8, fields = { "id", "name", "window_start" } })
