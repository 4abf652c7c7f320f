-- SPDX-License-Identifier: Apache-2.0
--- Rows with many optional fields, written by loops over their fields.
---
--- Text with a branch for each optional field (`weir.internal.rows`) is compiled once for each combination that
--- comes: ten fields are a thousand traces. In a loop a field that is there or not is two.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"

local T, null = border.T, codec.null
local cast, copy, istype = ffi.cast, ffi.copy, ffi.istype
local u8p, u32p, f64p, i64p, u64p = border.u8p, border.u32p, border.f64p, border.i64p, border.u64p
local I64, U64 = border.i64, border.u64
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local type = type
local count_fields = weir_host.count -- luacheck: ignore

local M = {}

local F64, STR, BOOL, NULL = T.F64, T.STR, T.BOOL, T.NULL

local FIELDS_MIN = 5 -- fewer optional fields are branches

--- Is a shape written and read by loops?
---@param shape weir.internal.Shape
---@return boolean
function M.is(shape)
  return shape.nullable and shape.count >= FIELDS_MIN
end

--- What the loops need of a shape: names and types apart.
---@param shape weir.internal.Shape
---@return table
function M.plan(shape)
  local plan = { names = {}, types = {}, count = shape.count, slots_at = shape.slots_at, fixed_len = shape.fixed_len }
  for i = 1, shape.count do
    plan.names[i], plan.types[i] = shape.fields[i].name, shape.fields[i].type
  end
  return plan
end

--- Bytes of the record's body in the shape of `plan`; nil if it has other fields or types.
---@param rec table
---@param plan table
---@return number?
function M.measure(rec, plan)
  local names, types, len, there = plan.names, plan.types, plan.fixed_len, 0
  for i = 1, plan.count do
    local v = rec[names[i]]
    if v ~= nil then
      local ty, want = type(v), types[i]
      if ty == "number" then
        if want ~= F64 then return nil end
      elseif ty == "string" then
        if want ~= STR then return nil end
        len = len + #v
      elseif ty == "boolean" then
        if want ~= BOOL then return nil end
      elseif ty == "cdata" then
        if not (want == T.I64 and istype(I64, v) or want == T.U64 and istype(U64, v)) then return nil end
      elseif want ~= NULL or v ~= null then
        return nil
      end
      there = there + 1
    end
  end
  if count_fields(rec) ~= there then return nil end
  return band(len + 7, -8)
end

--- Writes the body of n bytes, which `measure` gave, at b.
---@param b ffi.cdata*
---@param rec table
---@param plan table
---@param n number
function M.write(b, rec, plan, n)
  local names, types, at = plan.names, plan.types, plan.fixed_len
  cast(f64p, b + (n - 8))[0] = 0 -- the padding is zero
  for w = 0, plan.slots_at - 8, 8 do cast(f64p, b + w)[0] = 0 end
  for i = 1, plan.count do
    local v = rec[names[i]]
    local slot = b + (plan.slots_at + 8 * (i - 1))
    if v == nil then
      local word = cast(u32p, b + 4 * rshift(i - 1, 5))
      word[0] = bor(word[0], lshift(1, band(i - 1, 31)))
      cast(f64p, slot)[0] = 0
    else
      local want = types[i]
      if want == F64 then
        cast(f64p, slot)[0] = v
      elseif want == STR then
        local len = #v
        cast(u32p, slot)[0] = at
        cast(u32p, slot)[1] = len
        copy(b + at, v, len)
        at = at + len
      elseif want == T.I64 then
        cast(i64p, slot)[0] = v
      elseif want == T.U64 then
        cast(u64p, slot)[0] = v
      else
        cast(f64p, slot)[0] = 0
        if want == BOOL then cast(u8p, slot)[0] = v and 1 or 0 end
      end
    end
  end
end

return M
