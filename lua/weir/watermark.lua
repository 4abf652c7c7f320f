-- SPDX-License-Identifier: Apache-2.0
--- Watermark strategies: where event time comes from, and when a stream has surely passed it.

local options = require "weir.options"
local duration = require "weir.duration"

local M = {}

---@class weir.WatermarkStrategy
local Strategy = {}
Strategy.__index = Strategy

local common = {
  field = options.string:optional(),
  idle_after = duration.positive:optional(),
  every = duration.positive:default(200),
}

local function strategy(what, opts, delay)
  local o = options.check(what, opts, {
    field = common.field, idle_after = common.idle_after, every = common.every, delay = delay,
  }, "field")
  o.delay = o.delay or 0
  return setmetatable(o, Strategy)
end

---@class weir.WatermarkOptions
---@field field? string holds a record's time, in ms since 1970; left out: the time the record has already
---@field delay? weir.Duration how far out of order records may be; the watermark is max time − delay − 1
---@field idle_after? weir.Duration without records for so long the stream no longer holds others back
---@field every? weir.Duration how often a watermark is sent; default 200 ms

--- Records may be late by up to `delay`.
---
---   stream:watermarks(weir.watermark.bounded { field = "ts", delay = "5s", idle_after = "30s" })
---@param opts weir.WatermarkOptions
---@return weir.WatermarkStrategy
function M.bounded(opts)
  return strategy("weir.watermark.bounded", opts, duration.not_negative)
end

--- Times never go back: bounded with a delay of 0.
---
---   stream:watermarks(weir.watermark.ascending { field = "ts" })
---@param opts weir.WatermarkOptions
---@return weir.WatermarkStrategy
function M.ascending(opts)
  return strategy("weir.watermark.ascending", opts, nil)
end

--- No watermarks: those from upstream stop here, all but the last at the end of the input. Records keep the
--- times they have.
---@return weir.WatermarkStrategy
function M.none()
  return setmetatable({ none = true }, Strategy)
end

--- The type of the argument of `stream:watermarks`.
M.type = options.type("a strategy such as weir.watermark.bounded { field =, delay = }", function(v)
  return getmetatable(v) == Strategy, v
end)

return M
