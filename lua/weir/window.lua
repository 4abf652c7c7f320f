-- SPDX-License-Identifier: Apache-2.0
--- Windows: which records belong together.
---
---   stream:key_by("user"):window(weir.window.tumbling "1m"):count()
---   stream:key_by("user"):window(weir.window.sliding { size = "1m", slide = "10s" }):sum "amount"
---
--- Windows of event time need timestamps and watermarks: put `:watermarks(…)` before them. A window is
--- [start, end): a record at its end is in the next one (W2).

local options = require "weir.options"
local suggest = require "weir.suggest"
local duration = require "weir.duration"
local evictor = require "weir.evictor"
local trigger = require "weir.trigger"
local where = require "weir.where"

local fail = where.fail
local M = {}

---@class weir.WindowAssigner
local Assigner = {}
Assigner.__index = Assigner

local WINDOWS_MAX = 1e7 -- a record of a sliding window is in at most so many (W7)

local time = options.one_of("event", "processing"):default "event"
local on_end = options.one_of("fire", "drop"):default "fire"

-- The windows of a record, for the operator in Lua: `add(start, end)` for each, newest first (W6).
local assigns = {
  tumbling = function(o)
    local size, offset = o.size, o.offset
    return function(_, ts, add, stagger)
      local start = ts - (ts - offset - stagger) % size -- W1
      add(start, start + size)
    end
  end,
  sliding = function(o)
    local size, slide, offset = o.size, o.slide, o.offset
    return function(_, ts, add)
      for start = ts - (ts - offset) % slide, ts - size + 1, -slide do add(start, start + size) end
    end
  end,
  cumulative = function(o)
    local size, step, offset = o.size, o.slide, o.offset
    return function(_, ts, add)
      local start = ts - (ts - offset) % size
      for stop = start + size, ts + 1, -step do add(start, stop) end
    end
  end,
}

local function timed(what, kind, o)
  o.slide = o.slide or o.size
  if math.abs(o.offset) >= o.slide then
    fail("%s: the offset %s must be smaller than %s", what, duration.text(o.offset), duration.text(o.slide))
  end
  o.kind, o.native, o.assign = kind, true, assigns[kind](o)
  return setmetatable(o, Assigner)
end

---@class weir.TumblingOptions
---@field size weir.Duration
---@field offset? weir.Duration shift from 1970-01-01T00:00Z; default 0
---@field time? "event"|"processing" default "event"
---@field on_end? "fire"|"drop" windows of processing time that are open when the input ends: default "fire"
---@field stagger? "aligned"|"random"|"natural" tumbling windows only: a further offset for each subtask, so that
--- not all of them fire at once: none, random, or by the clock at its first record; default "aligned"

--- One window behind the other, all of one size.
---@param opts weir.TumblingOptions|weir.Duration
---@return weir.WindowAssigner
function M.tumbling(opts)
  return timed("weir.window.tumbling", "tumbling", options.check("weir.window.tumbling", opts, {
    size = duration.positive, offset = duration.any:default(0), time = time, on_end = on_end,
    stagger = options.one_of("aligned", "random", "natural"):default "aligned",
  }, "size"))
end

---@class weir.SlidingOptions: weir.TumblingOptions
---@field slide weir.Duration how often a window begins; with a slide above the size, records between two
--- windows are in none

--- Windows of one size that begin every `slide`: each record is in about size / slide of them. The cost of a
--- record does not depend on how many.
---@param opts weir.SlidingOptions
---@return weir.WindowAssigner
function M.sliding(opts)
  local what = "weir.window.sliding"
  local o = options.check(what, opts, {
    size = duration.positive, slide = duration.positive, offset = duration.any:default(0), time = time,
    on_end = on_end,
  })
  if o.size / o.slide > WINDOWS_MAX then
    fail("%s: a record would be in %.0f windows, more than %.0f: take a larger slide", what, o.size / o.slide,
      WINDOWS_MAX)
  end
  return timed(what, "sliding", o)
end

---@class weir.CumulativeOptions: weir.TumblingOptions
---@field step weir.Duration the size is a multiple of it

--- Windows that grow by `step` up to `size`, then begin anew: the hours of a day so far.
---@param opts weir.CumulativeOptions
---@return weir.WindowAssigner
function M.cumulative(opts)
  local what = "weir.window.cumulative"
  local o = options.check(what, opts, {
    size = duration.positive, step = duration.positive, offset = duration.any:default(0), time = time,
    on_end = on_end,
  })
  if o.size % o.step ~= 0 then
    fail("%s: the size %s must be a multiple of the step %s", what, duration.text(o.size), duration.text(o.step))
  end
  o.slide, o.step = o.step, nil
  return timed(what, "cumulative", o)
end

-- Windows that overlap or touch become one (W9).
local function cover(s1, e1, s2, e2)
  if s2 <= e1 then return s1, math.max(e1, e2) end
end

---@class weir.SessionOptions
---@field gap weir.Duration|fun(record: any): number how long a key is silent between two sessions; the function
--- gives milliseconds, of which the whole ones count
---@field time? "event"|"processing"
---@field on_end? "fire"|"drop"

local gap_type = options.type('a positive duration such as "30m", or a function that gives milliseconds', function(v)
  if type(v) == "function" then return true, v end
  return duration.positive.test(v)
end)

--- Sessions: records of a key that are no more than `gap` apart (W9).
---
---   weir.window.session "30m"
---   weir.window.session { gap = function(visit) return visit.gap_ms end }
---@param opts weir.SessionOptions|weir.Duration|fun(record: any): number
---@return weir.WindowAssigner
function M.session(opts)
  local o = options.check("weir.window.session", opts, { gap = gap_type, time = time, on_end = on_end }, "gap")
  local gap = o.gap
  if type(gap) == "function" then
    o.assign = function(rec, ts, add)
      local ms = gap(rec)
      if type(ms) ~= "number" or not (ms >= 1 and ms < 2 ^ 52) then -- W11
        local why = type(ms) == "number" and (ms >= 2 ^ 52 and ", and this is too large" or ", 1 at least") or ""
        error(("the gap function of a session returned %s; it must give a positive number of milliseconds%s"):format(
          tostring(ms), why), 0)
      end
      add(ts, ts + ms - ms % 1) -- times are whole, and so are their distances
    end
  else
    o.native = true
    o.assign = function(_, ts, add) add(ts, ts + gap) end
  end
  o.kind, o.merging, o.join = "session", true, cover
  return setmetatable(o, Assigner)
end

--- One window a key for all time; gives a result only when a trigger says so (W13).
---@return weir.WindowAssigner
function M.global()
  return setmetatable({
    kind = "global", time = "none", assign = function(_, _, add) add(-math.huge, math.huge) end,
  }, Assigner)
end

---@class weir.CountWindowOptions
---@field size integer records
---@field slide? integer a result after so many records; default: size
---@field partial_at_end? boolean when the input ends, also what is less than a window; default false (W14)

local count_type = options.integer_in(1, 2 ^ 53)

--- Windows of `size` records of a key. With `slide`, a result after each `slide` records over the last `size`,
--- also before there are so many (W15).
---@param opts weir.CountWindowOptions|integer
---@return weir.WindowAssigner
function M.count(opts)
  local o = options.check("weir.window.count", opts, {
    size = count_type, slide = count_type:optional(), partial_at_end = options.boolean:default(false),
  }, "size")
  local of = o.partial_at_end and trigger.count_to_end or trigger.count
  local w = M.global()
  w.kind = "count"
  if o.slide then
    w.trigger, w.evictor = of(o.slide), evictor.count(o.size)
  else
    w.trigger = trigger.purging(of(o.size))
  end
  return w
end

---@class weir.AssignerOptions
---@field assign fun(record: any, time: number, add: fun(start: number, stop: number)) calls `add` for each
--- window of the record, in ms
---@field merging? boolean windows of a key that overlap or touch become one; default false
---@field merge? fun(start1: number, stop1: number, start2: number, stop2: number): number?, number? do two
--- windows (sorted by start) become one, and which? Nothing keeps them apart. Implies merging
---@field time? "event"|"processing"
---@field on_end? "fire"|"drop"

--- Your own windows.
---
---   weir.window.new { assign = function(rec, time, add) add(rec.from, rec.to) end }
---@param opts weir.AssignerOptions
---@return weir.WindowAssigner
function M.new(opts)
  local o = options.check("weir.window.new", opts, {
    assign = options.fn, merging = options.boolean:optional(), merge = options.fn:optional(), time = time,
    on_end = on_end,
  })
  if o.merge and o.merging == false then fail("weir.window.new: merge needs windows that merge") end
  o.merging = o.merging or o.merge ~= nil
  o.kind, o.join, o.merge = "own", o.merge or cover, nil
  return setmetatable(o, Assigner)
end

--- The type of the argument of `stream:window`; a table of functions is one as well.
---@private
M.type = options.type('a window such as weir.window.tumbling "10s"', function(v)
  if type(v) == "table" and getmetatable(v) == nil and v.assign then return true, M.new(v) end
  return getmetatable(v) == Assigner, v
end)

return suggest.strict("weir.window", M, { "type" })
