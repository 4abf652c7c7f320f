-- SPDX-License-Identifier: Apache-2.0
--- Which string fields of the input are only moved through a stage?
---
--- Making a Lua string out of a row's bytes costs more than all the rest of a short chain: it is
--- hashed and looked up among all strings of the state. A field that the operators read only to put
--- it into the next record need not become one. Its place in a record then holds a *token*, the
--- offset of the field's slot behind the start of the input row, and the site that writes the record
--- copies the bytes from row to row. No function can tell: the bytecode shows that none looks
--- (`weir.internal.names`). Where a record leaves that path (an error message, a dead letter, a
--- record of a shape that is not known yet), the tokens are replaced by strings first.

local ffi = require "ffi"
local border = require "weir.internal.border"
local names = require "weir.internal.names"
local row_text = require "weir.internal.row_text"
local rows = require "weir.internal.rows"

local T, HEAD = border.T, rows.HEAD

local M = {}

-- What operator `kind` gives out when `tokens` (name → set of root fields) come in; adds to `bad` the root
-- fields that something looks at. `others`: names of the input's fields that are no tokens.
local function output(known, kind, tokens, others, bad)
  local function spoil(name)
    for root in pairs(tokens[name] or {}) do bad[root] = true end
  end
  if not known or not known.seen then
    for name in pairs(tokens) do spoil(name) end
    return {}, {}
  end
  for name in pairs(known.seen) do spoil(name) end
  local out, plain = {}, {}
  if names.passing[kind] or known.passes then
    for name, roots in pairs(tokens) do
      if not known.seen[name] then out[name] = roots end
    end
    for name in pairs(others) do plain[name] = true end
    for name in pairs(known.adds or {}) do plain[name] = true end
  end
  for name, origins in pairs(not names.passing[kind] and known.gives or {}) do
    local roots, mixed = {}, plain[name]
    for origin in pairs(origins) do
      if not origin or not tokens[origin] then mixed = true end
      for root in pairs(origin and tokens[origin] or {}) do roots[root] = true end
    end
    if out[name] and mixed then
      for root in pairs(out[name]) do bad[root] = true end
    end
    if mixed then
      for root in pairs(roots) do bad[root] = true end
      out[name], plain[name] = nil, true
    else
      for root in pairs(out[name] or {}) do roots[root] = true end
      out[name] = roots
    end
  end
  return out, plain
end

---@class weir.internal.Moves
---@field root table<integer, table<string, integer>> by root operator: fields of the input that become
--- tokens, and the token
---@field into table<integer, table<string, any>> by operator: names of its input that hold tokens
---@field out table<integer, table<string, table<string, true>>> by operator: names of its output that hold
--- tokens, with the input's fields that each may come from

-- Fields of `shape` that can be tokens, and the token; and the others.
local function candidates(shape)
  local root, others = {}, {}
  if shape and not shape.scalar and not shape.index[rows.VALUE_FIELD] and row_text.is_inline(shape) then
    for i = shape.hidden + 1, shape.count do
      local f = shape.fields[i]
      if f.type == T.STR then root[f.name] = HEAD + shape.slots_at + 8 * (i - 1) else others[f.name] = true end
    end
  end
  return root, others
end

-- Fills `moves` for operator `first` and those behind it.
local function of_tree(stage, shape, first, functions, moves)
  local root, others = candidates(shape)
  while true do
    local bad = {}
    local function walk(k, tokens, plain)
      local kind = stage.ops[k].kind
      moves.into[k] = tokens
      local out, plain_out = output(names.of(kind, functions[k]), kind, tokens, plain, bad)
      moves.out[k] = out
      for _, link in ipairs(stage.links[k]) do
        if link.to then walk(link.to, out, plain_out) end
      end
    end
    local tokens = {}
    for name in pairs(root) do tokens[name] = { [name] = true } end
    walk(first, tokens, others)
    moves.root[first] = root
    if next(bad) == nil then return end
    for name in pairs(bad) do
      root[name] = nil
      others[name] = true
    end
  end
end

--- Finds the fields of rows of `shape` that are only moved.
---@param stage table
---@param shape weir.internal.Shape?
---@param functions function[] of the operators, for this input
---@return weir.internal.Moves
function M.of_stage(stage, shape, functions)
  local moves = { root = {}, into = {}, out = {} }
  for _, first in ipairs(stage.roots) do of_tree(stage, shape, first, functions, moves) end
  return moves
end

--- The record with strings in place of the tokens; `rec` itself if it has none.
---@param rec any
---@param tokens? table<string, any> names that hold tokens
---@param row ffi.cdata* the input row they are offsets in
---@return any
function M.whole(rec, tokens, row)
  if type(rec) ~= "table" or not tokens or next(tokens) == nil then return rec end
  local out = {}
  for name, v in next, rec do
    if tokens[name] then
      local slot = ffi.cast(border.u32p, row + v)
      v = ffi.string(row + HEAD + slot[0], slot[1])
    end
    out[name] = v
  end
  return out
end

return M
