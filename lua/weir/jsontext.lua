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

--- A value as JSON on one line. What JSON cannot say (NaN, functions) is null.
---@param v any
---@return string
function M.encode(v) return encode(v) end

return M
