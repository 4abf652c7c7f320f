-- SPDX-License-Identifier: Apache-2.0
--- The border: the C declarations, once per Lua state, and the pointer types that the
--- engine's Lua needs. The host sets `weir_api` (script/api.h as text, and how large C finds
--- `struct wr_lua`) before this module is loaded.

local ffi = require "ffi"

local api = weir_api -- luacheck: ignore
if not api.defined then
  ffi.cdef(api.text)
  api.defined, api.text = true, nil
  if ffi.sizeof "struct wr_lua" ~= api.bytes then error("this program was built of two versions of script/api.h") end
end

local M = {
  C = ffi.C,
  u8p = ffi.typeof "uint8_t *",
  cu8p = ffi.typeof "const uint8_t *",
  u32p = ffi.typeof "uint32_t *",
  i32p = ffi.typeof "int32_t *",
  i64p = ffi.typeof "int64_t *",
  u64p = ffi.typeof "uint64_t *",
  f64p = ffi.typeof "double *",
  elemp = ffi.typeof "struct wr_elem *",
  i64 = ffi.typeof "int64_t",
  u64 = ffi.typeof "uint64_t",
}

--- Type codes of record/shape.h.
M.T = {
  NULL = 1, BOOL = 2, F64 = 3, I64 = 4, U64 = 5, STR = 6, BYTES = 7, LIST = 8, MAP = 9, ROW = 10, ANY = 11,
}
M.SHAPE_ANY = 1
M.TS_NONE = -0x8000000000000000LL
M.DEPTH_MAX = 64
M.FIELDS_MAX = 4096

--- What `weir.internal.names` found out, by kind of operator and function: kept here since that module is dropped when
--- a chain is built, and a function cannot be read again once it is compiled.
M.analyses = setmetatable({}, { __index = function(t, kind)
  t[kind] = setmetatable({}, { __mode = "k" })
  return t[kind]
end })

local declared = {}

--- Declares what only some stages call: "state", "async" (script/api_*.h), "words".
---@param part string
function M.declare(part)
  if declared[part] then return end
  declared[part] = true
  ffi.cdef(require("weir.internal." .. part .. "_cdef"))
  package.loaded["weir.internal." .. part .. "_cdef"] = nil
end

--- Text of this thread's last C error.
function M.error_text()
  return ffi.string(ffi.C.wr_lua_error())
end

return M
