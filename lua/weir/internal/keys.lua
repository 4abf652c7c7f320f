-- SPDX-License-Identifier: Apache-2.0
--- Canonical key bytes (record/key.h) made from and turned into Lua values: keys of map
--- states, and what ctx:key() gives.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"

local cast, copy, ffistr, istype = ffi.cast, ffi.copy, ffi.string, ffi.istype
local u8p, f64p, i64p, u64p = border.u8p, border.f64p, border.i64p, border.u64p
local i64, u64 = border.i64, border.u64
local type, floor = type, math.floor

local M = {}

local room = 64
local hold = ffi.new("uint8_t[?]", room)
local base = cast(u8p, hold)

local function put_string(s)
  local n = #s
  if n + 12 > room then
    room = n + 1024
    hold = ffi.new("uint8_t[?]", room) -- luacheck: ignore 331
    base = cast(u8p, hold)
  end
  base[0] = 115 -- 's'
  local at, left = 1, n
  while left >= 128 do
    base[at] = left % 128 + 128
    at = at + 1
    left = floor(left / 128)
  end
  base[at] = left
  copy(base + at + 1, s, n)
  return at + 1 + n
end

--- Canonical bytes of one scalar; valid until the next call. Errors on what cannot be a key.
---@param v string|number|boolean|ffi.cdata*
---@return ffi.cdata* bytes, integer length
function M.put(v)
  local ty = type(v)
  if ty == "string" then
    local n = put_string(v)
    return base, n
  elseif ty == "number" then
    if v ~= v then error("a map key cannot be NaN", 3) end
    if v == floor(v) and v >= -9223372036854775808 and v < 9223372036854775808 then
      base[0] = 105 -- 'i'
      cast(i64p, base + 1)[0] = v
    else
      base[0] = 100 -- 'd'
      cast(f64p, base + 1)[0] = v
    end
    return base, 9
  elseif ty == "boolean" then
    base[0] = 98 -- 'b'
    base[1] = v and 1 or 0
    return base, 2
  elseif ty == "cdata" and istype(i64, v) then
    base[0] = 105
    cast(i64p, base + 1)[0] = v
    return base, 9
  elseif ty == "cdata" and istype(u64, v) then
    if v <= 0x7fffffffffffffffULL then
      base[0] = 105
    else
      base[0] = 117 -- 'u'
    end
    cast(u64p, base + 1)[0] = v
    return base, 9
  end
  error("a map key must be a string, number, integer or boolean, not " ..
    (v == codec.null and "null" or ty), 3)
end

local EXACT = 9007199254740992LL

-- One part at `at`: value and the place behind it. Integers within 2^53 become numbers.
local function get(p, at)
  local tag = p[at]
  at = at + 1
  if tag == 115 then
    local n, scale = 0, 1
    while p[at] >= 128 do
      n = n + (p[at] - 128) * scale
      scale = scale * 128
      at = at + 1
    end
    n = n + p[at] * scale
    at = at + 1
    return ffistr(p + at, n), at + n
  elseif tag == 105 then
    local v = cast(i64p, p + at)[0]
    if v >= -EXACT and v <= EXACT then return tonumber(v), at + 8 end
    return v, at + 8
  elseif tag == 100 then
    return cast(f64p, p + at)[0], at + 8
  elseif tag == 98 then
    return p[at] == 1, at + 1
  elseif tag == 117 then
    return cast(u64p, p + at)[0], at + 8
  end
  error("not a key")
end

--- The Lua value of canonical bytes; several for a key of several parts.
---@param p ffi.cdata*
function M.get(p)
  p = cast(u8p, p)
  if p[0] ~= 116 then -- 't'
    local v = get(p, 0)
    return v
  end
  local parts, at = {}, 2
  for i = 1, p[1] do
    parts[i], at = get(p, at)
  end
  return unpack(parts, 1, p[1])
end

return M
