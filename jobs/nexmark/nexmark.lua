--- nexmark: what all queries share: their source and their sink, by the arguments of the job.
---
---   count=1000000      events
---   rate=100000        events a second of event time
---   lite=true          auctions without their texts
---   from=memory        events are made before the job runs
---   sink=print         what becomes of the results: print, discard or checksum
local weir = require "weir"

local M = {}

-- Behind all event time: a timer for what is only known at the end of the input.
M.END = 2 ^ 62

--- All events: persons, auctions and bids.
function M.events(job)
  local args = job.args
  return job:source(weir.nexmark {
    count = tonumber(args.count or 1000000), rate = tonumber(args.rate or 100000),
    lite = args.lite == "true", from = args.from or "generator",
  })
end

function M.persons(events)
  return events:filter(function(event) return event.state ~= nil end):name "persons"
end

function M.auctions(events)
  return events:filter(function(event) return event.seller ~= nil end):name "auctions"
end

function M.bids(events)
  return events:filter(function(event) return event.bidder ~= nil end):name "bids"
end

local sinks = { print = weir.print, discard = weir.discard, checksum = weir.checksum }

--- Ends the query. `checksum` says which columns make the checksum, as for weir.checksum.
function M.sink(job, stream, checksum)
  local name = job.args.sink or "print"
  local sink = sinks[name] or error("sink=" .. name .. ": it is print, discard or checksum", 0)
  stream:sink(sink(name == "checksum" and checksum or nil))
  return job
end

return M
