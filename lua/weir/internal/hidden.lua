-- SPDX-License-Identifier: Apache-2.0
--- Hidden fields: what a function of key_by or partition gives travels in the row beside the record, in fields
--- that the engine reads and no function sees.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"

local format = string.format

local M = {}

-- Why a value cannot be part `i` of `parts` of a key; nil if it can.
local function not_a_key(k, i, parts)
  if k == nil or k ~= k then
    return format("key_by function returned %s%s", k == nil and "nil" or "NaN", parts > 1 and " as part " .. i or "")
  end
  local ty = type(k)
  if ty == "cdata" and not (ffi.istype(border.i64, k) or ffi.istype(border.u64, k)) or k == codec.null
      or ty ~= "string" and ty ~= "number" and ty ~= "boolean" and ty ~= "cdata" then
    return format("key_by function returned a %s; a key is a string, number, integer or boolean",
      k == codec.null and "null" or ty)
  end
  return nil
end

-- The hidden fields of a site (`weir.internal.rows`) of these names, from its further parameters h1 ….
local function hidden_fields(list, check)
  local hidden = { names = {}, count = #list }
  for i, name in ipairs(list) do hidden.names[name] = "h" .. i end
  function hidden.fields(...)
    local fields = {}
    for i, name in ipairs(list) do
      local k = select(i, ...)
      local bad = check and check(k, i, #list)
      if bad then return nil, bad end
      fields[name] = k
    end
    return fields
  end
  return hidden
end

--- The key of so many parts that a function makes, in hidden fields of its record on the way to a hash edge, or what
--- the functions of a sink give.
---@param parts integer
---@param names? string[] of the parts; default "1", "2" …
---@return table hidden for `rows.site`
function M.key_fields(parts, names)
  local list = {}
  for i = 1, parts do list[i] = "\1" .. (names and names[i] or i) end
  return hidden_fields(list, not_a_key)
end

--- The channel that a function chose, in a hidden field of its record on the way to a custom edge.
---@return table hidden for `rows.site`
function M.channel_field()
  return hidden_fields { "\1p" }
end

return M
