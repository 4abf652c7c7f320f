-- SPDX-License-Identifier: Apache-2.0
--- Declared aggregates of windows: what is added up, not how.
---
---   stream:key_by("user"):window(weir.window.tumbling "1m")
---     :aggregate { n = weir.agg.count(), total = weir.agg.sum "amount", top = weir.agg.max "amount" }

local options = require "weir.options"
local suggest = require "weir.suggest"

local M = {}

---@class weir.Aggregate
---@field fn string
---@field field? string
local Aggregate = {}
Aggregate.__index = Aggregate

local function of_field(fn)
  return function(field)
    options.value("weir.agg." .. fn, "the field", field, options.string)
    return setmetatable({ fn = fn, field = field, native = true }, Aggregate)
  end
end

--- How many records.
---@return weir.Aggregate
function M.count()
  return setmetatable({ fn = "count", native = true }, Aggregate)
end

--- The sum of a numeric field; of integers exact.
---@param field string
---@return weir.Aggregate
M.sum = of_field "sum"

--- The mean of a numeric field.
---@param field string
---@return weir.Aggregate
M.avg = of_field "avg"

--- The smallest value of a numeric field.
---@param field string
---@return weir.Aggregate
M.min = of_field "min"

--- The largest value of a numeric field.
---@param field string
---@return weir.Aggregate
M.max = of_field "max"

--- The standard deviation of a numeric field, of all records (not a sample): 0 for one record.
---@param field string
---@return weir.Aggregate
M.stddev = of_field "stddev"

--- Is it an aggregate of this module?
---@private
function M.is(v) return getmetatable(v) == Aggregate end

return suggest.strict("weir.agg", M)
