--- q11: how many bids does each bidder make in a session? A bid ten seconds behind the one before begins another.
---
---   weir run jobs/nexmark/q11.lua count=1000000 sink=checksum
---
--- Sessions that touch are one, so the gap is a millisecond less than ten seconds, and the end a millisecond more.
local weir = require "weir"
local nexmark = require "nexmark"

local job = weir.job { name = "q11" }

local sessions = nexmark.bids(nexmark.events(job))
  :map(function(bid) return { bidder = bid.bidder } end)
  :key_by("bidder")
  :window(weir.window.session(9999))
  :count():uid "sessions"
  :map(function(session)
    return {
      bidder = session.bidder, count = session.count, window_start = session.window_start,
      window_end = session.window_end + 1,
    }
  end)

return nexmark.sink(job, sessions, { query = 11, fields = { "bidder", "count", "window_start", "window_end" } })
