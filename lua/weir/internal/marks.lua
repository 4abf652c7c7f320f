-- SPDX-License-Identifier: Apache-2.0
--- Watermark strategies in Lua: what the generated loop calls for each record, and what C calls at each tick.
---
--- C takes the record's time from its row, passes the row on, and keeps the watermarks of the splits
--- (script/watermark_stage.c); here are the user's functions, and their objects, one a split.

local border = require "weir.internal.border"

local C = border.C
local M = {}

local function check(wm)
  if type(wm) ~= "number" or not (wm >= -2 ^ 63 and wm < 2 ^ 63) then
    error("a watermark must be a number of milliseconds, not " .. (wm ~= wm and "NaN" or tostring(wm)), 0)
  end
  return wm
end

-- The row at hand has its time in L.ts: true. Else it was refused, and that is dealt with.
local function stamped(L)
  local rc = C.wr_lua_stamp(L)
  if rc < 0 then error(border.error_text(), 0) end
  return rc == 0
end

-- The row goes on; a watermark goes behind it (K4).
local function pass(L, wm)
  if C.wr_lua_pass(L) ~= 0 or wm and C.wr_lua_mark(L, wm) ~= 0 then error(border.error_text(), 0) end
end

local function punctuated(L)
  return {
    mark = function(fn, rec)
      if not stamped(L) then return end
      local wm = fn(rec, tonumber(L.ts))
      if wm ~= nil then check(wm) end
      pass(L, wm)
    end,
  }
end

local function generated(L, new)
  local objects = {} -- by number of the split
  local said

  local function emit(wm)
    check(wm)
    if not said or wm > said then said = wm end
  end

  local function object()
    local o = objects[L.split]
    if o then return o end
    o = new()
    if type(o) ~= "table" or not (o.on_event or o.on_periodic) then
      error("weir.watermark.periodic: new must give an object with on_event or on_periodic, or both", 0)
    end
    objects[L.split] = o
    return o
  end

  return {
    mark = function(_, rec)
      if not stamped(L) then return end
      local o = object()
      said = nil
      if o.on_event then o:on_event(rec, tonumber(L.ts), emit) end
      pass(L, said)
    end,
    periodic = function(split, gone)
      local o = objects[split]
      if gone then objects[split] = nil end
      if gone or not (o and o.on_periodic) then return nil end
      said = nil
      o:on_periodic(emit)
      return said
    end,
  }
end

--- The functions of a stage whose one operator makes watermarks.
function M.new(stage)
  local fn = stage.ops[1].fn
  if type(fn) == "table" then return generated(stage.L, fn.new) end
  return punctuated(stage.L)
end

return M
