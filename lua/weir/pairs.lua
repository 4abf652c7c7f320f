-- SPDX-License-Identifier: Apache-2.0
--- Walking over a table in an order that is the same in every process.

local M = {}

local rank = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local ra, rb = rank[type(a)], rank[type(b)]
  if ra ~= rb then return ra < rb end
  if ra == 3 then return not a and b end
  return a < b
end

local function step(walk)
  local keys, t = walk.keys, walk.t
  local at = walk.at
  local key
  repeat
    at = at + 1
    key = keys[at]
  until key == nil or t[key] ~= nil
  walk.at = at
  if key ~= nil then return key, t[key] end
end

--- Like `pairs`, in order of the keys: numbers, then strings, then booleans. Keys of other types, which
--- have no order, are an error. Entries removed on the way are left out; new ones are not seen.
---@param t table
---@return fun(walk: table): any, any next
---@return table walk
function M.pairs(t)
  if type(t) ~= "table" then error("weir.pairs takes a table, not a " .. type(t), 2) end
  local keys = {}
  for key in next, t do
    if not rank[type(key)] then error("weir.pairs: a key of type " .. type(key) .. " has no order", 2) end
    keys[#keys + 1] = key
  end
  table.sort(keys, before)
  return step, { t = t, keys = keys, at = 0 }
end

return M
