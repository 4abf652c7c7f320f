--- Random records for tests, and any value as text that is equal for equal values only.
---
--- Plain Lua without ffi: the jobs under test use it inside the sandbox, and the specs outside,
--- for the model. A record comes from (seed, number) alone.

local weir_null = require("weir").null

local M = {}

-- Park and Miller's generator: products stay below 2^53. below(n) gives 0 … n - 1.
local function generator(seed, number)
  local state = (seed * 7919 + number * 104729) % 2147483646 + 1
  local function below(n)
    state = state * 16807 % 2147483647
    return math.floor(state / 7) % n
  end
  for _ = 1, 3 do below(2) end
  return below
end
M.generator = generator

local numbers = {
  0, -0.0, 1, -1, 0 / 0, 1 / 0, -1 / 0, 2 ^ 53, 2 ^ 53 + 2, -2 ^ 63, 2 ^ 64, 5e-324,
  1.7976931348623157e308, 0.1, 255, 65536,
  2 ^ 31, -2 ^ 31, 3.5,
}
local integers = {
  0LL, -1LL, 9007199254740993LL, 0x7fffffffffffffffLL, -0x8000000000000000LL, 0ULL, 1ULL, 0xffffffffffffffffULL,
}
local strings = { "", "a", "a\0b", "\0", "\255\254", "end", "a b", "\r\n", ("x"):rep(300), "1" }

local function scalar(below)
  local kind = below(6)
  if kind == 0 then return numbers[below(#numbers) + 1] end
  if kind == 1 then return integers[below(#integers) + 1] end
  if kind == 2 then return below(2) == 0 end
  if kind == 3 then return weir_null end
  if kind == 4 then return strings[below(#strings) + 1] end
  return below(100000) / 8
end

-- A key of a table: no NaN.
local function table_key(below)
  local kind = below(4)
  if kind == 0 then return below(2) == 0 end
  if kind == 1 then return below(40) / 4 end
  return strings[below(#strings) + 1] .. below(3)
end

local value

local function composite(below, depth)
  local kind, n, t = below(4), below(6), {}
  if kind == 0 then
    for i = 1, n do t[i] = value(below, depth - 1) end
  elseif kind == 1 then
    for _ = 1, n do t[table_key(below)] = value(below, depth - 1) end
  elseif kind == 2 then
    for i = 1, n do t[string.char(96 + i)] = value(below, depth - 1) end
  else -- names of a record beside places of a list
    for i = 1, n do t[i % 2 == 0 and i or "f" .. i] = value(below, depth - 1) end
  end
  return t
end

function value(below, depth)
  if depth > 0 and below(3) == 0 then return composite(below, depth) end
  return scalar(below)
end
M.value = value

local function deep(below, levels)
  local t = { leaf = scalar(below) }
  for i = 2, levels do t = i % 3 == 0 and { t } or { down = t } end
  return t
end

-- Fields that mostly keep their type, as they do in life.
local usual = {
  { "amount", function(below) return below(100000) / 8 end },
  { "flag", function(below) return below(2) == 0 end },
  { "big", function(below) return integers[below(5) + 1] end },
  { "items", function(below) return { below(9), "x" .. below(9), { n = below(3) } } end },
  { "user", function(below) return { id = below(40), name = strings[below(#strings) + 1] } end },
  { "map", function(below) return { [below(9) / 2] = below(5), [true] = "yes" } end },
  { "note", function(below) return strings[below(#strings) + 1] end },
  { "u", function() return 18446744073709551615ULL end },
  { "end", function(below) return below(7) end },
  { "\0 odd", function(below) return below(7) end },
}

--- Record `number` of the seed: a table with the field `n` = its number, and `k`, one of 13 small keys.
---@param seed integer decides how wild the records are, too
---@param number integer
---@return table
function M.record(seed, number)
  local below = generator(seed, number)
  local wild = ({ 1, 4, 30, 1000 })[seed % 4 + 1]
  local rec = { n = number, k = "k" .. below(13) }
  local optional = seed % 3 + 1
  for i = 1, #usual do
    local fill = usual[i]
    if below(optional) == 0 then
      rec[fill[1]] = below(wild) == 0 and value(below, 3) or fill[2](below)
    end
  end
  local kind = below(wild * 10)
  if kind == 0 then
    for i = 1, 200 + below(200) do rec["f" .. i] = below(3) == 0 and strings[below(#strings) + 1] or i end
  elseif kind == 1 then
    rec.deep = deep(below, 1 + below(60))
  elseif kind == 2 then
    for i = 1, 1 + below(5) do rec["name" .. below(10000)] = i end
  elseif kind == 3 then
    rec[below(5) + 1] = value(below, 2) -- neither record nor list
  elseif kind == 4 then
    for _ = 1, 8 do rec[table_key(below)] = value(below, 2) end
  elseif kind == 5 then
    rec.empty, rec.null = {}, weir_null
  end
  rec.n, rec.k = number, rec.k or "k"
  return rec
end

local order = { boolean = 1, number = 2, cdata = 3, string = 4 }

local function number_text(v)
  if v ~= v then return "nan" end
  if v == 0 then return 1 / v < 0 and "-0" or "0" end
  return string.format("%.17g", v)
end

local function text_of(v)
  local ty = type(v)
  if ty == "string" then return string.format("%q", v) end
  if ty == "number" then return number_text(v) end
  if v == weir_null then return "null" end
  if ty ~= "table" then return tostring(v) end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b)
    local x, y = order[type(a)], order[type(b)]
    if x ~= y then return x < y end
    if type(a) == "boolean" then return not a and b end
    return a < b
  end)
  local parts = {}
  for i, k in ipairs(keys) do parts[i] = "[" .. text_of(k) .. "]=" .. text_of(v[k]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The whole value as one line.
---@param v any
---@return string
function M.text(v)
  return (text_of(v):gsub("\\\n", "\\n"):gsub("\r", "\\r"):gsub("%z", "\\0"))
end

--- A copy without shared tables, as a value has it that was bytes in between.
function M.copy(v)
  if type(v) ~= "table" or v == weir_null then return v end
  local out = {}
  for k, x in pairs(v) do out[k] = M.copy(x) end
  return out
end

return M
