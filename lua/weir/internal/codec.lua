-- SPDX-License-Identifier: Apache-2.0
--- The tagged encoding (record/value.h): any Lua value that may be in a record, as bytes,
--- and back, exactly. The general path: what has a shape goes through `weir.internal.rows`.

local ffi = require "ffi"
local border = require "weir.internal.border"

local copy, ffistr, istype = ffi.copy, ffi.string, ffi.istype
local u8p, cu8p, f64p, i64p, u64p = border.u8p, border.cu8p, border.f64p, border.i64p, border.u64p
local i64, u64 = border.i64, border.u64
local band = bit.band
local type, tostring, floor = type, tostring, math.floor
local host = weir_host -- luacheck: ignore
local all_keys, list_length = host.keys, host.list_length
local sort, byte = table.sort, string.byte

local DEPTH_MAX = border.DEPTH_MAX

local M = {}

--- The explicit null of JSON and SQL, different from a missing field.
---@class weir.Null
M.null = setmetatable({}, {
  __tostring = function() return "null" end,
  __newindex = function() error("weir.null cannot be changed", 2) end,
  __metatable = "null",
})
local null = M.null

-- The buffer that a value is put together in; grows, is never given back.
local room = 256
local hold = { ffi.new("uint8_t[?]", room) } -- keeps it alive
local base = ffi.cast(u8p, hold[1])
local len = 0

local function reserve(more)
  if len + more > room then
    while len + more > room do room = room * 2 end
    local bigger = ffi.new("uint8_t[?]", room)
    copy(bigger, base, len)
    hold[1] = bigger
    base = ffi.cast(u8p, bigger)
  end
end

local function put_u8(v)
  reserve(1)
  base[len] = v
  len = len + 1
end

local function put_varint(v)
  reserve(10)
  while v >= 128 do
    base[len] = v % 128 + 128
    len = len + 1
    v = floor(v / 128)
  end
  base[len] = v
  len = len + 1
end

local function put_string(s)
  local n = #s
  put_varint(n)
  reserve(n)
  copy(base + len, s, n)
  len = len + n
end

-- Where in the record we are, for messages: "user.items[3]".
local path = {}
local function path_text(depth)
  local parts = {}
  for i = 1, depth do
    local k = path[i]
    local ty = type(k)
    if ty == "number" then
      parts[#parts + 1] = "[" .. k .. "]"
    elseif ty ~= "string" and ty ~= "boolean" and ty ~= "cdata" then
      parts[#parts + 1] = "[" .. ty .. "]" -- addresses differ from run to run
    elseif i == 1 then
      parts[#parts + 1] = tostring(k)
    else
      parts[#parts + 1] = "." .. tostring(k)
    end
  end
  return table.concat(parts)
end

local function refuse(depth, what)
  local where = path_text(depth)
  error(("a record cannot hold %s%s"):format(what, where ~= "" and (" (field " .. where .. ")") or ""), 0)
end

local open = {} -- tables on the way from the root: a table met again is a cycle

local put_value

local function put_table(t, depth)
  if t == null then
    put_u8(1)
    return
  end
  if open[t] then refuse(depth, "a cycle: a table that contains itself") end
  if depth >= DEPTH_MAX then refuse(depth, "more than " .. DEPTH_MAX .. " levels") end
  open[t] = true
  local n = list_length(t)
  if n then
    put_u8(9)
    put_varint(n)
    for i = 1, n do
      path[depth + 1] = i
      put_value(t[i], depth + 1)
    end
  else
    local names, count, record = all_keys(t)
    if record then
      sort(names)
      put_u8(11)
      put_varint(count)
      for i = 1, count do
        local k = names[i]
        path[depth + 1] = k
        if byte(k) == 1 then refuse(depth + 1, "a field whose name begins with the byte 1") end
        put_string(k)
        put_value(t[k], depth + 1)
      end
    else
      M.put_map(t, names, count, depth)
    end
  end
  open[t] = nil
end

-- Keys of several types: sorted by their encoded bytes, so that equal maps are equal bytes.
function M.put_map(t, keys, count, depth)
  local pairs_ = {}
  for i = 1, count do
    local k = keys[i]
    local at = len
    if type(k) == "table" then refuse(depth, "a table as a map key") end
    path[depth + 1] = k
    put_value(k, depth + 1)
    pairs_[i] = { bytes = ffistr(base + at, len - at), key = k }
    len = at
  end
  sort(pairs_, function(a, b) return a.bytes < b.bytes end)
  put_u8(10)
  put_varint(count)
  for i = 1, count do
    local e = pairs_[i]
    if i > 1 and e.bytes == pairs_[i - 1].bytes then refuse(depth, "a map with two keys " .. tostring(e.key)) end
    reserve(#e.bytes)
    copy(base + len, e.bytes, #e.bytes)
    len = len + #e.bytes
    path[depth + 1] = e.key
    put_value(t[e.key], depth + 1)
  end
end

function put_value(v, depth)
  local ty = type(v)
  if ty == "number" then
    reserve(9)
    base[len] = 4
    ffi.cast(f64p, base + len + 1)[0] = v
    len = len + 9
  elseif ty == "string" then
    put_u8(7)
    put_string(v)
  elseif ty == "boolean" then
    put_u8(v and 3 or 2)
  elseif ty == "nil" then
    put_u8(0)
  elseif ty == "table" then
    put_table(v, depth)
  elseif ty == "cdata" and istype(i64, v) then
    reserve(9)
    base[len] = 5
    ffi.cast(i64p, base + len + 1)[0] = v
    len = len + 9
  elseif ty == "cdata" and istype(u64, v) then
    reserve(9)
    base[len] = 6
    ffi.cast(u64p, base + len + 1)[0] = v
    len = len + 9
  else
    refuse(depth, ty == "cdata" and "cdata other than int64_t and uint64_t" or "a " .. ty)
  end
end

--- Tagged bytes of `v` as a Lua string.
---@param v any
---@param depth? integer levels of its record that are above it; messages then lack the way to it
---@return string
function M.encode_value(v, depth)
  len = 0
  local ok, err = pcall(put_value, v, depth or 0)
  if not ok then
    open = {}
    error(err, 0)
  end
  return ffistr(base, len)
end

local get_value

local function get_varint(p, at)
  local v, scale = 0, 1
  while true do
    local b = p[at]
    at = at + 1
    v = v + band(b, 127) * scale
    if b < 128 then return v, at end
    scale = scale * 128
  end
end

local function get_string(p, at)
  local n
  n, at = get_varint(p, at)
  return ffistr(p + at, n), at + n
end

function get_value(p, at)
  local tag = p[at]
  at = at + 1
  if tag == 4 then
    return ffi.cast(f64p, p + at)[0], at + 8
  elseif tag == 7 or tag == 8 then
    return get_string(p, at)
  elseif tag == 2 or tag == 3 then
    return tag == 3, at
  elseif tag == 1 then
    return null, at
  elseif tag == 5 then
    return ffi.cast(i64p, p + at)[0], at + 8
  elseif tag == 6 then
    return ffi.cast(u64p, p + at)[0], at + 8
  elseif tag == 9 then
    local n
    n, at = get_varint(p, at)
    local t = {}
    for i = 1, n do
      t[i], at = get_value(p, at)
    end
    return t, at
  elseif tag == 10 then
    local n
    n, at = get_varint(p, at)
    local t = {}
    for _ = 1, n do
      local k
      k, at = get_value(p, at)
      t[k], at = get_value(p, at)
    end
    return t, at
  elseif tag == 11 then
    local n
    n, at = get_varint(p, at)
    local t = {}
    for _ = 1, n do
      local k
      k, at = get_string(p, at)
      t[k], at = get_value(p, at)
    end
    return t, at
  end
  return nil, at
end

--- Decodes the tagged value at `p`. The bytes come from an encoder or were verified in C.
---@param p ffi.cdata*
---@return any
function M.decode_raw(p)
  local v = get_value(ffi.cast(cu8p, p), 0)
  return v
end

--- Decodes tagged bytes in a Lua string.
---@param s string
---@return any
function M.decode_value(s)
  local v = get_value(ffi.cast(cu8p, s), 0)
  return v
end

--- Is a table a list: keys exactly 1..n? Gives n, or nil.
---@type fun(t: table): integer?
M.list_length = list_length
return M
