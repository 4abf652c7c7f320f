-- SPDX-License-Identifier: Apache-2.0
--- Windowed streams: what `stream:window(…)` gives, until `aggregate` and its kin make an operator of it.
---
--- Results are records with the key's fields, the aggregates, `window_start` and `window_end` (ms). Their
--- timestamp is the last millisecond of the window (L12).

local options = require "weir.options"
local duration = require "weir.duration"
local agg = require "weir.agg"
local window = require "weir.window"
local where = require "weir.where"

local fail = where.fail
local M = {}

---@class weir.WindowedStream
local methods = {}
M.methods = methods

local AGGREGATES_MAX = 32

--- How long a window is kept behind its end: each record that comes late by up to this gives another result.
---@param lateness weir.Duration
---@return weir.WindowedStream
function methods:allowed_lateness(lateness)
  self.lateness = options.value("windowed:allowed_lateness", "the lateness", lateness, duration.not_negative)
  return self
end

--- The tag of the side output that gets the records which no window takes any more; default "late". They are
--- counted, and dropped if nobody reads it.
---
---   local counts = stream:window(weir.window.tumbling "1m"):late_to("too_late"):count()
---   counts:side_output("too_late"):sink(weir.print())
---@param tag string
---@return weir.WindowedStream
function methods:late_to(tag)
  self.late = options.value("windowed:late_to", "the tag", tag, options.string)
  return self
end

---------------------------------------------------------------- aggregates

local reserved = { window_start = true, window_end = true }

local function check_name(what, self, name)
  if type(name) ~= "string" or name == "" then
    fail("%s: the name of an aggregate is a string, not %s", what, options.shown(name))
  end
  if reserved[name] then fail('%s: "%s" is the name of a field that each result has', what, name) end
  for _, key in ipairs(self.key and self.key.as or {}) do
    if key == name then
      fail('%s: "%s" is the name of a key field, which each result has: take another', what, name)
    end
  end
end

-- { name = aggregate } as a list in the order of the names.
local function checked(what, self, aggregates)
  if type(aggregates) ~= "table" or agg.is(aggregates) then
    fail("%s takes a table of aggregates, { n = weir.agg.count() }, not %s", what,
      agg.is(aggregates) and "one alone" or options.shown(aggregates))
  end
  local list = {}
  for name, a in pairs(aggregates) do
    check_name(what, self, name)
    if not agg.is(a) then
      fail('%s: "%s" must be an aggregate such as weir.agg.sum "amount", not %s', what, name,
        a == rawget(agg, name) and "the function itself: call it" or options.shown(a))
    end
    list[#list + 1] = { as = name, fn = a.fn, field = a.field }
  end
  if #list == 0 then fail("%s: no aggregates: { n = weir.agg.count() }", what) end
  if #list > AGGREGATES_MAX then fail("%s: more than %d aggregates", what, AGGREGATES_MAX) end
  table.sort(list, function(a, b) return a.as < b.as end)
  return list
end

local function native(self, verb, list)
  local w = self.window
  return self.operator("window", verb, {
    native = true, states = "value", late = self.late, all = not self.key,
    options = {
      window = w.kind, size = w.size, slide = w.slide, offset = w.offset, time = w.time, on_end = w.on_end,
      lateness = self.lateness, late = self.late, aggregates = list, key_as = self.key and self.key.as or {},
    },
  })
end

--- One record a key and window with the aggregates as fields; see `weir.agg`.
---
---   :aggregate { n = weir.agg.count(), total = weir.agg.sum "amount" }
---@param aggregates table<string, weir.Aggregate>
---@return weir.Stream
function methods:aggregate(aggregates)
  return native(self, "aggregate", checked("windowed:aggregate", self, aggregates))
end

--- How many records: { key…, count =, window_start =, window_end = }.
---@param opts? { as?: string }
---@return weir.Stream
function methods:count(opts)
  local o = options.check("windowed:count", opts, { as = options.string:default "count" }, "as")
  return native(self, "count", checked("windowed:count", self, { [o.as] = agg.count() }))
end

local function of_field(fn)
  local what = "windowed:" .. fn
  return function(self, field, opts)
    if type(field) == "table" and opts == nil then field, opts = field.field, field end
    options.value(what, "the field", field, options.string)
    local o = options.check(what, opts, { as = options.string:optional(), field = options.string:optional() })
    local as = o.as or field:match "[^.]+$"
    return native(self, fn, checked(what, self, { [as] = agg[fn](field) }))
  end
end

--- The sum of a field: { key…, field = sum, window_start =, window_end = }.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.sum = of_field "sum"

--- The mean of a field.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.avg = of_field "avg"

--- The smallest value of a numeric field.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.min = of_field "min"

--- The largest value of a numeric field.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.max = of_field "max"

--- A windowed stream. `operator(kind, verb, fields)` draws the operator on the stream behind it.
---@private
function M.new(what, key, assigner, operator)
  return {
    key = key, operator = operator, lateness = 0, late = "late",
    window = options.value(what, "its argument", assigner, window.type),
  }
end

return M
