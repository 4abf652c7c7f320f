-- SPDX-License-Identifier: Apache-2.0
--- Formats of messages that are modules (runtime/module/codec.h): is a text one of their schemas?

local ffi = require "ffi"

ffi.cdef(require "weir.internal.codec_cdef")

local C = ffi.C

local M = {}

--- Why a text is no schema of a format; nil if it is one.
---@param format string
---@param schema string
---@return string? reason
function M.schema_wrong(format, schema)
  local reason = C.wr_codec_schema_wrong(format, schema, #schema)
  return reason ~= nil and ffi.string(reason) or nil
end

return M
