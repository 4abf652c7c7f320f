-- SPDX-License-Identifier: Apache-2.0
--- Branches that are given the same record: none may see what another one changes.
---
--- Behind an operator in Lua its branches are called one after the other with one table. A branch whose functions
--- may change it, as far as their bytecode shows (`weir.internal.analysis`), gets a copy, unless it is the last.
--- Where the names of the record are known the copy is a table constructor, which the tracer can drop.

local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local names = require "weir.internal.names"

local null = codec.null

local M = {}

-- Deeper ones are refused where they are written.
local DEPTH_MAX = border.DEPTH_MAX

local function deep(v, depth)
  local out = {}
  for name, value in next, v do
    if type(value) == "table" and value ~= null and depth < DEPTH_MAX then value = deep(value, depth + 1) end
    out[name] = value
  end
  return setmetatable(out, debug.getmetatable(v))
end

--- A record, or a value in one, and the tables in it anew; what is no table is its own copy.
---@param v any
---@return any
function M.copy(v)
  if type(v) ~= "table" or v == null then return v end
  return deep(v, 1)
end

--- Lua text of the copy of the record `v`, for where `copy_of` is `copy`.
---@param known? table<string, true> the names that it can have
---@return string
function M.copy_text(known)
  if not known then return "copy_of(v)" end
  local parts = {}
  for name in pairs(known) do parts[#parts + 1] = ("[%q] = copy_of(v[%q])"):format(name, name) end
  table.sort(parts)
  return ('type(v) == "table" and v ~= null and { %s } or v'):format(table.concat(parts, ", "))
end

--- May operator `k` of the stage, or one behind it, change the record that it is given or a table in it?
---@param stage table
---@param k integer
---@param functions function[] of the operators, for this input
---@return boolean
function M.may_change(stage, k, functions)
  local known = names.of(stage.ops[k].kind, functions[k])
  if not known or known.changes then return true end
  for _, link in ipairs(stage.links[k]) do
    if link.to and M.may_change(stage, link.to, functions) then return true end
  end
  return false
end

return M
