-- SPDX-License-Identifier: Apache-2.0
--- The explicit null of JSON and SQL, different from a field that is missing.

-- The codec knows null by identity. Without the engine (plain LuaJIT, our specs) there is no codec.
local ok, codec = pcall(require, "weir.internal.codec")
if ok then return codec.null end

---@class weir.Null
return setmetatable({}, {
  __tostring = function() return "null" end,
  __newindex = function() error("weir.null cannot be changed", 2) end,
  __metatable = "null",
})
