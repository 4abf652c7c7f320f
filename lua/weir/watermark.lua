-- SPDX-License-Identifier: Apache-2.0
--- Watermark strategies: where event time comes from, and when a stream has surely passed it.
---
--- Directly behind a source (or behind maps and filters on it) a strategy works for each split on its own, each
--- file for example, and the stream's watermark is the lowest of those that are not idle. Timestamps are ms since
--- 1970; a record that has none, or one in a year before 1 or behind 9999, is a failed record: see `on_error`.

local options = require "weir.options"
local duration = require "weir.duration"
local where = require "weir.where"

local M = {}

---@class weir.WatermarkStrategy
local Strategy = {}
Strategy.__index = Strategy

local align = options.type('a table { drift = "1m", group = "name" }', function(v)
  if type(v) ~= "table" then return false end
  local o = options.check("align", v, { drift = duration.positive, group = options.string:default "default" })
  return true, o
end)

local common = {
  idle_after = duration.positive:optional(),
  every = duration.not_negative:default(200),
  align = align:optional(),
}
local stamped = {
  field = options.string:optional(),
  timestamp = options.fn:optional(),
  unit = options.one_of("ms", "us", "ns", "s"):optional(),
  format = options.one_of "iso8601":optional(),
  ahead_max = duration.not_negative:optional(),
}

local function declared(...)
  local out = {}
  for _, each in ipairs { ... } do
    for name, kind in pairs(each) do out[name] = kind end
  end
  return out
end

local function strategy(what, o)
  if o.every == 0 and (o.idle_after or o.align) then
    where.fail('%s: option "%s" needs watermarks now and then: every must not be 0', what,
      o.idle_after and "idle_after" or "align")
  end
  if o.unit and o.format then
    where.fail("%s: a time is a number with a unit or a text with a format, not both", what)
  end
  if o.field and o.timestamp then
    where.fail("%s: a time comes from a field or from a timestamp function, not from both", what)
  end
  if (o.unit or o.format) and not o.field then
    where.fail('%s: option "%s" is about a field: name it with field = "…"', what, o.unit and "unit" or "format")
  end
  return setmetatable(o, Strategy)
end

---@class weir.WatermarkOptions
---@field field? string holds a record's time; left out: the time that it has already
---@field timestamp? fun(record: any): number gives a record's time in ms since 1970, where it is in no field as it is
---@field unit? "ms"|"us"|"ns"|"s" of a number in the field, since 1970; default ms
---@field format? "iso8601" the field is a text such as "2026-11-21T10:30:00.5+01:00"; without a zone it is UTC
---@field ahead_max? weir.Duration a record whose time is further ahead of the clock is a failed record
---@field delay? weir.Duration how far out of order records may be; the watermark is max time − delay − 1
---@field idle_after? weir.Duration without records for so long a split no longer holds the others back
---@field every? weir.Duration how often a watermark is sent; default 200 ms; 0: only at the end
---@field align? weir.AlignOptions keeps sources together that are not equally fast

---@class weir.AlignOptions
---@field drift weir.Duration in event time: what is further ahead of the group's slowest source waits
---@field group? string the sources that are kept together; default "default"

--- Records may be late by up to `delay`.
---
---   stream:watermarks(weir.watermark.bounded { field = "ts", delay = "5s", idle_after = "30s" })
---@param opts weir.WatermarkOptions
---@return weir.WatermarkStrategy
function M.bounded(opts)
  local what = "weir.watermark.bounded"
  local o = options.check(what, opts, declared(common, stamped, { delay = duration.not_negative:default(0) }), "field")
  return strategy(what, o)
end

--- Times never go back: bounded with a delay of 0.
---
---   stream:watermarks(weir.watermark.ascending { field = "ts" })
---@param opts weir.WatermarkOptions
---@return weir.WatermarkStrategy
function M.ascending(opts)
  local what = "weir.watermark.ascending"
  local o = options.check(what, opts, declared(common, stamped), "field")
  o.delay = 0
  return strategy(what, o)
end

---@class weir.PunctuatedOptions: weir.WatermarkOptions
---@field fn fun(record: any, time: number): number? the watermark behind this record, or nil for none

--- Watermarks that records carry: `fn` sees each record and its time, and gives the watermark that follows it, or
--- nil. It goes out at once, behind the record.
---
---   stream:watermarks(weir.watermark.punctuated { field = "ts", fn = function(rec, time)
---     if rec.last_of_batch then return time end
---   end })
---@param opts weir.PunctuatedOptions|fun(record: any, time: number): number?
---@return weir.WatermarkStrategy
function M.punctuated(opts)
  local what = "weir.watermark.punctuated"
  return strategy(what, options.check(what, opts, declared(common, stamped, { fn = options.fn }), "fn"))
end

---@class weir.WatermarkGenerator
---@field on_event? fun(self, record: any, time: number, emit: fun(watermark: number)) sees each record
---@field on_periodic? fun(self, emit: fun(watermark: number)) every `every`, while its split is not idle

---@class weir.PeriodicOptions: weir.WatermarkOptions
---@field new fun(): weir.WatermarkGenerator makes a generator, one for each split

--- Watermarks of an object of your own, one for each split.
---
---   stream:watermarks(weir.watermark.periodic { field = "ts", every = "1s", new = function()
---     return {
---       max = -math.huge,
---       on_event = function(self, rec, time) self.max = math.max(self.max, time) end,
---       on_periodic = function(self, emit) if self.max > 0 then emit(self.max - 5000) end end,
---     }
---   end })
---@param opts weir.PeriodicOptions
---@return weir.WatermarkStrategy
function M.periodic(opts)
  local what = "weir.watermark.periodic"
  return strategy(what, options.check(what, opts, declared(common, stamped, { new = options.fn }), "new"))
end

--- Ingestion time: a record's time is the clock's when it comes to this place, and the watermark follows the
--- clock, whether records come or not.
---
---   stream:watermarks(weir.watermark.ingestion())
---@param opts? { every?: weir.Duration }
---@return weir.WatermarkStrategy
function M.ingestion(opts)
  local o = options.check("weir.watermark.ingestion", opts, { every = common.every }, "every")
  o.ingestion = true
  return setmetatable(o, Strategy)
end

--- No watermarks: those from upstream stop here, all but the last at the end of the input. Records keep the
--- times they have. It is what jobs in processing time use.
---@return weir.WatermarkStrategy
function M.none()
  return setmetatable({ none = true }, Strategy)
end

--- The type of the argument of `stream:watermarks`.
M.type = options.type("a strategy such as weir.watermark.bounded { field =, delay = }", function(v)
  return getmetatable(v) == Strategy, v
end)

return M
