-- SPDX-License-Identifier: Apache-2.0
--- Any record as a row: learns its shape, or takes the tagged encoding. The general path behind the generated
--- functions of `weir.internal.rows`, which drops this module when a site has learned.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local rows = require "weir.internal.rows"

local C, T = border.C, border.T
local null, cast, istype = codec.null, ffi.cast, ffi.istype
local type, next, byte = type, next, string.byte
local all_keys = weir_host.keys -- luacheck: ignore
local HIDDEN, VALUE_FIELD = rows.HIDDEN, rows.VALUE_FIELD

local M = {}

--- The id of the shape of `fields`, or 0 and an error.
---@return integer
function M.intern(fields, nullable, scalar)
  local n = #fields
  local specs = ffi.new("struct wr_field_spec[?]", n > 0 and n or 1)
  for i = 1, n do
    local f = fields[i]
    specs[i - 1].name = f.name
    specs[i - 1].name_len = #f.name
    specs[i - 1].type = f.type
    specs[i - 1].child = f.child or 0
  end
  return C.wr_shape_intern(specs, n, nullable and 1 or 0, scalar and 1 or 0)
end

local shape_of_table

local NOTHING = {}

-- Type and child shape of one value; nil when it cannot be in a row of its own type (then tagged).
local function type_of(v, depth)
  local ty = type(v)
  if ty == "number" then return T.F64, 0 end
  if ty == "string" then return T.STR, 0 end
  if ty == "boolean" then return T.BOOL, 0 end
  if v == null then return T.NULL, 0 end
  if ty == "table" then
    if codec.list_length(v) then return T.LIST, 0 end
    local child = shape_of_table(v, depth + 1)
    if child then return T.ROW, child end
    return T.MAP, 0
  end
  if ty == "cdata" then
    if istype(border.i64, v) then return T.I64, 0 end
    if istype(border.u64, v) then return T.U64, 0 end
  end
  return T.ANY, 0 -- refused when it is encoded, with the field's path
end

-- Deep records are tagged from here on: their shapes would be trees that hardly ever repeat.
local ROW_DEPTH_MAX = 4

-- Shape of a table whose keys are all strings, with the hidden fields of `extra`; nil if it is none (a map, too
-- deep, no shape left, or to be refused when it is encoded).
function shape_of_table(t, depth, extra)
  if depth > ROW_DEPTH_MAX then return nil end
  local fields, count, record = all_keys(t)
  if not record or count == 0 or count > border.FIELDS_MAX then return nil end
  for i = 1, count do
    local name = fields[i]
    local first = byte(name) or 0
    if first == HIDDEN or extra and first < HIDDEN then return nil end -- hidden fields lead their shape
    local ty, child = type_of(t[name], depth)
    fields[i] = { name = name, type = ty, child = child }
  end
  for name, v in next, extra or NOTHING do
    fields[#fields + 1] = { name = name, type = (type_of(v, depth)), child = 0 }
  end
  local id = M.intern(fields, false, false)
  if id == 0 then return nil end
  return id
end

--- The shape of a record, learned; nil if only the tagged encoding can carry it.
---@param rec any
---@return integer?
function M.learn(rec)
  if type(rec) == "table" and rec ~= null then
    if codec.list_length(rec) then return nil end
    return shape_of_table(rec, 1)
  end
  local ty = type_of(rec, 1)
  if ty == T.ANY then return nil end
  local id = M.intern({ { name = "", type = ty } }, false, true)
  return id ~= 0 and id or nil
end

-- Shape of a row that holds the record `extra[VALUE_FIELD]` as one value beside hidden fields.
local function wrapped_shape(extra, tagged)
  local fields = {}
  for name, v in next, extra do
    local ty, child = type_of(v, 1)
    if tagged and type(v) == "table" and v ~= null then ty, child = T.ANY, 0 end
    fields[#fields + 1] = { name = name, type = ty, child = child }
  end
  local id = M.intern(fields, false, false)
  if id == 0 then error(border.error_text(), 0) end
  return id
end

-- Value of the field in a record with hidden fields.
local function value_of(shape, name, rec, extra)
  if shape.scalar then return rec end
  local v = extra and extra[name]
  if v == nil then v = rec[name] end
  return v
end

-- Generic writer of a learned shape: values by name, strings and tagged bytes measured first.
-- `depth`: levels of the record above its fields.
local function body_of(shape, rec, depth, extra)
  local at = shape.fixed_len
  local parts = {}
  for i = 1, shape.count do
    local f = shape.fields[i]
    local v = value_of(shape, f.name, rec, extra)
    if v ~= nil then
      local bytes
      if f.type == T.STR then bytes = v
      elseif f.type == T.ROW then
        at = bit.band(at + 7, -8)
        bytes = body_of(rows.shape(f.child), v, depth + 1)
      elseif f.type == T.LIST or f.type == T.MAP or f.type == T.ANY then
        bytes = codec.encode_value(v, depth)
      end
      if bytes then
        parts[i] = { at = at, bytes = bytes }
        at = at + #bytes
      end
    end
  end
  local len = bit.band(at + 7, -8)
  local hold = ffi.new("uint8_t[?]", len)
  local b = cast(border.u8p, hold)
  for i = 1, shape.count do
    local f = shape.fields[i]
    local v = value_of(shape, f.name, rec, extra)
    local slot = b + shape.slots_at + 8 * (i - 1)
    if v == nil then
      local w = cast(border.u32p, b) + math.floor((i - 1) / 32)
      w[0] = bit.bor(w[0], bit.lshift(1, (i - 1) % 32))
    elseif f.type == T.F64 then cast(border.f64p, slot)[0] = v
    elseif f.type == T.BOOL then slot[0] = v and 1 or 0
    elseif f.type == T.I64 then cast(border.i64p, slot)[0] = v
    elseif f.type == T.U64 then cast(border.u64p, slot)[0] = v
    elseif f.type ~= T.NULL then
      local part = parts[i]
      cast(border.u32p, slot)[0] = part.at
      cast(border.u32p, slot)[1] = #part.bytes
      ffi.copy(b + part.at, part.bytes, #part.bytes)
    end
  end
  return ffi.string(hold, len)
end

local any_shape

-- The body of a record beside hidden fields, whatever it is.
local function encode_beside(rec, tagged, extra)
  local id = not tagged and type(rec) == "table" and rec ~= null and shape_of_table(rec, 1, extra)
  if id then
    local ok, body = pcall(body_of, rows.shape(id), rec, 1, extra)
    if ok then return id, body end
  end
  codec.encode_value(rec) -- refuses what cannot be in a record, by the way from its root
  extra[VALUE_FIELD] = rec
  id = wrapped_shape(extra, tagged)
  return id, body_of(rows.shape(id), NOTHING, 0, extra)
end

--- The body of any record as a string, with the id of its shape: the general path.
---@param rec any
---@param tagged? boolean do not learn, use the tagged encoding
---@param extra? table<string, any> hidden fields beside those of the record
---@return integer shape, string body
function M.encode(rec, tagged, extra)
  if extra then return encode_beside(rec, tagged, extra) end
  local id = not tagged and M.learn(rec) or nil
  if id then
    local ok, body = pcall(body_of, rows.shape(id), rec, rows.shape(id).scalar and 0 or 1)
    if ok then return id, body end
    codec.encode_value(rec) -- is refused as well, and by the way from the record's root
    error(body, 0)
  end
  any_shape = any_shape or rows.shape(border.SHAPE_ANY)
  local bytes = codec.encode_value(rec)
  local len = bit.band(any_shape.fixed_len + #bytes + 7, -8)
  local hold = ffi.new("uint8_t[?]", len)
  local b = cast(border.u8p, hold)
  cast(border.u32p, b)[0] = any_shape.fixed_len
  cast(border.u32p, b)[1] = #bytes
  ffi.copy(b + any_shape.fixed_len, bytes, #bytes)
  return border.SHAPE_ANY, ffi.string(hold, len)
end

return M
