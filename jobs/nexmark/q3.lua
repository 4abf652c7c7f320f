--- q3: who in three states sells in category 10? Auctions joined with persons, for all time.
---
---   weir run jobs/nexmark/q3.lua count=1000000 sink=checksum
---
--- Shows: a join of two streams by hand. Whoever comes first waits in the state of their key.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q3" }
local events = nexmark.events(job)

local auctions = nexmark.auctions(events)
  :filter(function(auction) return auction.category == 10 end)
  :map(function(auction) return { id = auction.id, seller = auction.seller } end)

local persons = nexmark.persons(events)
  :filter(function(person) return person.state == "OR" or person.state == "ID" or person.state == "CA" end)
  :map(function(person)
    return { id = person.id, name = person.name, city = person.city, state = person.state }
  end)

local join = weir.co_process_function {
  state = { seller = weir.state.value(), waiting = weir.state.list() },
  element1 = function(ctx, auction)
    local seller = ctx.seller:get()
    if seller then
      ctx:emit { name = seller.name, city = seller.city, state = seller.state, auction = auction.id }
    else
      ctx.waiting:add(auction.id)
    end
  end,
  element2 = function(ctx, person)
    ctx.seller:set(person)
    for id in ctx.waiting:iter() do
      ctx:emit { name = person.name, city = person.city, state = person.state, auction = id }
    end
    ctx.waiting:clear()
  end,
}

local sellers = auctions:key_by("seller"):connect(persons:key_by("id")):process(join):uid "join"

return nexmark.sink(job, sellers, { query = 3, fields = { "name", "city", "state", "auction" } })
