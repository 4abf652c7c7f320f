-- SPDX-License-Identifier: Apache-2.0
--- JSON for what our own tools print: small, with the keys of objects in order.
--- Records of a stream are written in C; this is for graphs and reports.

local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function string_text(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function number_text(n)
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  return n % 1 == 0 and ("%.0f"):format(n) or ("%.17g"):format(n)
end

--- Marks a table as a list, so that an empty one is written [].
function M.list(t)
  return setmetatable(t or {}, { list = true })
end

local encode

local function list_text(t)
  local out = {}
  for i, v in ipairs(t) do out[i] = encode(v) end
  return "[" .. table.concat(out, ", ") .. "]"
end

local function object_text(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = tostring(name) end
  table.sort(names)
  local out = {}
  for i, name in ipairs(names) do out[i] = string_text(name) .. ": " .. encode(t[name]) end
  return "{" .. table.concat(out, ", ") .. "}"
end

function encode(v)
  local kind = type(v)
  if kind == "string" then return string_text(v) end
  if kind == "number" then return number_text(v) end
  if kind == "boolean" then return tostring(v) end
  if kind ~= "table" then return "null" end
  local meta = getmetatable(v)
  if v[1] ~= nil or type(meta) == "table" and meta.list then return list_text(v) end
  return object_text(v)
end

---------------------------------------------------------------- reading

local plain = { ["\\"] = "\\", ['"'] = '"', ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function utf8_of(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xc0 + math.floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return string.char(0xe0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(0xf0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local function refuse(text, at)
  error(("this is no JSON at byte %d: %s"):format(at, text:sub(at, at + 20)), 0)
end

local function read_string(text, at)
  local out = {}
  at = at + 1
  while true do
    local run, stop = text:match('^([^"\\]*)()', at)
    out[#out + 1] = run
    local c = text:sub(stop, stop)
    if c == '"' then return table.concat(out), stop + 1 end
    if c ~= "\\" then refuse(text, stop) end
    local escaped = text:sub(stop + 1, stop + 1)
    if escaped == "u" then
      local code = tonumber(text:match("^%x%x%x%x", stop + 2) or refuse(text, stop), 16)
      at = stop + 6
      local low = code >= 0xd800 and code < 0xdc00 and text:match("^\\u(d[c-f]%x%x)", at)
      if low then
        code = 0x10000 + (code - 0xd800) * 1024 + tonumber(low, 16) - 0xdc00
        at = at + 6
      end
      out[#out + 1] = utf8_of(code)
    else
      out[#out + 1] = plain[escaped] or refuse(text, stop)
      at = stop + 2
    end
  end
end

local read_value

local function read_list(text, at)
  local list, n = {}, 0
  at = text:match("^%s*()", at + 1)
  if text:sub(at, at) == "]" then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = read_value(text, at)
    local c, behind = text:match("^%s*([,%]])()", at)
    if not c then refuse(text, at) end
    if c == "]" then return list, behind end
    at = behind
  end
end

local function read_object(text, at)
  local object = {}
  at = text:match("^%s*()", at + 1)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while true do
    at = text:match("^%s*()", at)
    if text:sub(at, at) ~= '"' then refuse(text, at) end
    local name
    name, at = read_string(text, at)
    object[name], at = read_value(text, text:match("^%s*:()", at) or refuse(text, at))
    local c, behind = text:match("^%s*([,}])()", at)
    if not c then refuse(text, at) end
    if c == "}" then return object, behind end
    at = behind
  end
end

local words = { ["true"] = true, ["false"] = false }

local function is_above(digits, limit)
  if #digits ~= #limit then return #digits > #limit end
  return digits > limit
end

-- An integer that no number holds exactly, as int64_t or uint64_t; nil: neither does.
local function integer_of(text)
  local digits, negative = text:match "%d+$", text:byte() == 45
  if is_above(digits, negative and "9223372036854775808" or "18446744073709551615") then return nil end
  local suffix = not negative and is_above(digits, "9223372036854775807") and "ULL" or "LL"
  return loadstring("return " .. text .. suffix)()
end

-- As weir.json() reads it; nil: it is none.
local function number_of(text)
  local n = tonumber(text)
  if text:match "^-?0%d" or text:match "%.%f[^%d.]" then return nil end
  if n and math.abs(n) >= 2 ^ 53 and text:match "^-?%d+$" and not text:match "^-?9007199254740992$" then
    return integer_of(text)
  end
  return n
end

function read_value(text, at)
  at = text:match("^%s*()", at)
  local c = text:sub(at, at)
  if c == '"' then return read_string(text, at) end
  if c == "{" then return read_object(text, at) end
  if c == "[" then return read_list(text, at) end
  local word, behind = text:match("^(%a+)()", at)
  if word == "null" then return require "weir.null", behind end
  if words[word] ~= nil then return words[word], behind end
  local number, stop = text:match("^(-?%d+%.?%d*[eE]?[+-]?%d*)()", at)
  return number and number_of(number) or refuse(text, at), stop
end

--- The value of a JSON text; errors say where it is none.
---@param text string
---@return any
function M.decode(text)
  local value, at = read_value(text, 1)
  if text:find("%S", at) then refuse(text, text:find("%S", at)) end
  return value
end

--- A value as JSON on one line. What JSON cannot say (NaN, functions) is null.
---@param v any
---@return string
function M.encode(v) return encode(v) end

return M
