-- SPDX-License-Identifier: Apache-2.0
--- Which rows may become one on their way to a key's window: what the plan says of an edge that leads to declared
--- aggregates (runtime/exchange/merger.h does it).

local M = {}

local merged_as = { sum = "sum", avg = "sum", min = "min", max = "max" }

local FIELDS_MAX = 16

local function gcd(a, b)
  while b ~= 0 do a, b = b, a % b end
  return a
end

-- Rows in one grain of event time are in the same windows; 0: in processing time they are whenever they come
-- together. nil: who knows.
local function grain_of(node)
  local o = node.options
  if node.kind == "interval_aggregate" or o.window == "session" and o.time == "event" then return 1 end
  if o.time == "processing" then return 0 end
  if o.time ~= "event" or o.stagger and o.stagger ~= "aligned" then return nil end
  return gcd(o.size, o.slide or o.size), o.offset
end

local function has(names, name)
  for _, each in ipairs(names) do
    if each == name then return true end
  end
  return false
end

-- Each field once, or nil where an aggregate cannot do with rows that are merged.
local function fields_of(aggregates, key)
  local fields, by_name, weighs = {}, {}, false
  for _, a in ipairs(aggregates) do
    weighs = weighs or a.fn == "count" or a.fn == "avg"
    if a.fn ~= "count" then
      local fn = merged_as[a.fn]
      if not fn or has(key, a.field) or (by_name[a.field] or fn) ~= fn then return nil end
      if not by_name[a.field] then fields[#fields + 1] = { field = a.field, fn = fn } end
      by_name[a.field] = fn
    end
  end
  return #fields <= FIELDS_MAX and fields or nil, weighs
end

--- What an edge to `node` says, or nil: its rows stay as they are.
---@param node table operator that the edge leads to
---@param input integer 0 or 1
---@param key string[]
---@return table? { fields = [{ field, fn }], weighs, grain, offset }
function M.of(node, input, key)
  local reads = node.kind == "window" and node.native or node.kind == "interval_aggregate" and input == 1
  if not reads then return nil end
  local grain, offset = grain_of(node)
  local fields, weighs = fields_of(node.options.aggregates, key)
  if not grain or not fields then return nil end
  return { fields = fields, weighs = weighs, grain = grain, offset = offset or 0 }
end

return M
