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
local where = require "weir.where"

local fail = where.fail
local M = {}

---@class weir.WindowAssigner
local Assigner = {}
Assigner.__index = Assigner

local WINDOWS_MAX = 1e7 -- a record of a sliding window is in at most so many (W7)

local time = options.one_of("event", "processing"):default "event"
local on_end = options.one_of("fire", "drop"):default "fire"

local function assigner(what, kind, o)
  o.slide = o.slide or o.size
  if math.abs(o.offset) >= o.slide then
    fail("%s: the offset %s must be smaller than %s", what, duration.text(o.offset), duration.text(o.slide))
  end
  o.kind, o.native = kind, true
  return setmetatable(o, Assigner)
end

---@class weir.TumblingOptions
---@field size weir.Duration
---@field offset? weir.Duration shift from 1970-01-01T00:00Z; default 0
---@field time? "event"|"processing" default "event"
---@field on_end? "fire"|"drop" windows of processing time that are open when the input ends: default "fire"

--- One window behind the other, all of one size.
---@param opts weir.TumblingOptions|weir.Duration
---@return weir.WindowAssigner
function M.tumbling(opts)
  return assigner("weir.window.tumbling", "tumbling", options.check("weir.window.tumbling", opts, {
    size = duration.positive, offset = duration.any:default(0), time = time, on_end = on_end,
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
  return assigner(what, "sliding", o)
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
  return assigner(what, "cumulative", o)
end

--- The type of the argument of `stream:window`.
---@private
M.type = options.type('a window such as weir.window.tumbling "10s"', function(v)
  return getmetatable(v) == Assigner, v
end)

return suggest.strict("weir.window", M)
