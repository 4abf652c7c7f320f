-- SPDX-License-Identifier: Apache-2.0
--- What librdkafka knows of its properties (runtime/module/kafka.h), and texts of headers.

local ffi = require "ffi"
local border = require "weir.internal.border"

ffi.cdef(require "weir.internal.kafka_cdef")

local C = ffi.C
local NAMES_MAX = 65536 -- bytes

local M = { CONSUMER = 0, PRODUCER = 1 }

--- Why a client cannot have this property with this value; nil if it can.
---@param role integer
---@param name string
---@param value string
---@return string? reason
function M.wrong(role, name, value)
  local reason = C.wr_kafka_property_wrong(role, name, value)
  return reason ~= nil and ffi.string(reason) or nil
end

--- Why this is no pattern of topics; nil if it is one.
---@param pattern string
---@return string? reason
function M.no_pattern(pattern)
  local reason = C.wr_kafka_pattern_wrong(pattern)
  return reason ~= nil and ffi.string(reason) or nil
end

--- The names of all properties of such a client that a script may set.
---@param role integer
---@return string[]
function M.names(role)
  local to = ffi.new("char[?]", NAMES_MAX)
  local len = C.wr_kafka_property_list(role, to, NAMES_MAX)
  if len == 0 then error(border.error_text(), 0) end
  local names = {}
  for name in ffi.string(to, len):gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

--- The text of a header: a string as it is, a number with all of its digits, as in a key; nil for anything else.
---@param v any
---@return string?
function M.text(v)
  if type(v) == "string" then return v end
  if ffi.istype(border.i64, v) or ffi.istype(border.u64, v) then return (tostring(v):gsub("U?LL$", "")) end
  if type(v) ~= "number" then return nil end
  if v % 1 == 0 and math.abs(v) <= 2 ^ 53 then return ("%.0f"):format(v) end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(v)
    if tonumber(text) == v then return text end
  end
  return nil -- it is no number
end

return M
