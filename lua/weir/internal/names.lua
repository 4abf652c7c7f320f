-- SPDX-License-Identifier: Apache-2.0
--- Which field names can the records of an operator have?
---
--- A site (`weir.internal.rows`) must write every field of a record, so it has to know that
--- there are no others than those it tests for. Walking the record tells, but forces the
--- table to be built. Where the bytecode of the user's function shows the names - records
--- made by a table constructor, or the input with fields set by constant names - the answer
--- is known before the first record, and the tracer can drop the table.
---
--- The same analysis (`weir.internal.analysis`) tells which fields are only *moved*: read, and put into a record
--- that goes out, without anybody looking at the value (`weir.internal.moves`).

local analysis = require "weir.internal.analysis"
local border = require "weir.internal.border"

local M = {}

local roles = { -- registers of the record and of what emits; does the returned value go out?
  map = { rec = 0, returns = true }, filter = { rec = 0 }, flat_map = { rec = 0, out = 1 },
  process = { rec = 1, out = 0 }, watermark_fn = { rec = 0 }, timer = { out = 0 },
}
roles.key_select, roles.partition_fn = roles.filter, roles.filter
roles.co_map, roles.co_flat_map, roles.co_process = roles.map, roles.flat_map, roles.process
roles.broadcast_process = roles.process

-- Kinds whose functions give no record: their input goes on.
local passing = { filter = true, key_select = true, partition_fn = true }
M.passing = passing

-- The functions of a process function that are given a context, and whether a record comes with it.
local parts = {
  element = true, element1 = true, element2 = true, broadcast = true, timer = false, open = false, close = false,
}

--- What is known of function `fn` of an operator of `kind`, or of one that is given nothing but a context
--- ("timer"); nil if nothing. Must be asked before the function has run often: compiled loops are no longer readable.
---@param kind string
---@param fn function
---@return weir.internal.Analysis?
function M.of(kind, fn)
  local role = roles[kind]
  if not role or type(fn) ~= "function" then return nil end
  local cache = border.analyses[kind]
  local known = cache[fn]
  if known == nil then
    known = analysis.of(fn, role.rec, role.out, role.returns) or false
    cache[fn] = known
  end
  return known or nil
end

--- Names of the records that the timer of a process function emits, or nil.
function M.of_timer(fn)
  local known = M.of("timer", type(fn) == "table" and fn.timer)
  return known and known.made
end

local function union(a, b)
  if not a or not b then return nil end
  local out = {}
  for name in pairs(a) do out[name] = true end
  for name in pairs(b) do out[name] = true end
  return out
end

--- For each state of a process function: the names that records written to it can have. A state that any of
--- the functions writes in a way that is not understood is left out.
---@param kind string
---@param fn table the process function
---@return table<string, table<string, true>>
function M.of_states(kind, fn)
  local known = {}
  for part, has_record in pairs(parts) do
    if fn[part] then
      local analysed = M.of(has_record and kind or "timer", fn[part])
      if not analysed then return {} end
      for name, written in pairs(analysed.stored) do
        known[name] = union(known[name] == nil and {} or known[name], written) or false
      end
    end
  end
  for name, all in pairs(known) do
    if not all then known[name] = nil end
  end
  return known
end

-- Names of what operator `kind` gives out when its input has the names `input`.
local function output_names(kind, fn, input)
  local known = M.of(kind, fn)
  if not known then return nil end
  if passing[kind] then return union(input, known.adds) end
  if known.passes then return union(known.made, union(input, known.adds)) end
  return known.made
end

--- For each operator of the stage: the set of all names its output can have, or nil.
---@param stage table
---@param shape? weir.internal.Shape of the input rows; nil for timers
---@param functions function[] of the operators, for this input
function M.of_stage(stage, shape, functions)
  local known = {}
  local function walk(k, input)
    known[k] = output_names(stage.ops[k].kind, functions[k], input)
    for _, link in ipairs(stage.links[k]) do
      if link.to then walk(link.to, known[k]) end
    end
  end
  local input
  if shape and not shape.scalar and not shape.index["\1v"] then
    input = {}
    for i = shape.hidden + 1, shape.count do input[shape.fields[i].name] = true end
  end
  for _, root in ipairs(stage.roots) do walk(root, input) end
  return known
end

--- The set of input fields that operator `root` and those behind it ever read, or nil when any may be; and the
--- operators that are given the input record itself, hence without its other fields.
---@return table<string, true>? wanted
---@return table<integer, true> partial
function M.wanted(stage, root, functions)
  local wanted, partial = {}, {}
  local function walk(k)
    partial[k] = true
    local kind = stage.ops[k].kind
    local known = M.of(kind, functions[k])
    if not known or not known.reads or not known.adds then return false end
    for name in pairs(known.reads) do wanted[name] = true end
    if not passing[kind] and not known.passes then return true end
    for _, link in ipairs(stage.links[k]) do
      if not link.to or not walk(link.to) then return false end
    end
    return true
  end
  if walk(root) then return wanted, partial end
  return nil, {}
end

return M
