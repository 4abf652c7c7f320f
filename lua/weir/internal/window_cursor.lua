-- SPDX-License-Identifier: Apache-2.0
--- The window at hand of a window operator in Lua, and the way of the operator's store to it.
---
--- State and timers of a window lie under it as namespace, two numbers: start and end; the global window is
--- (-inf, inf). Who touches them enters the namespace first. What merging windows hold stays under the first of
--- them, the *state window*.

local ffi = require "ffi"
local border = require "weir.internal.border"
local keys = require "weir.internal.keys"

border.declare "state"

local C = border.C
local tonumber, huge = tonumber, math.huge

local M = {}

local LAST = 0x7fffffffffffffffLL

--- Times of windows lie between its negative and it.
M.TIME_MAX = 2 ^ 53

---@class weir.internal.WindowCursor
---@field s number The window at hand: its start …
---@field e number … and its end.
---@field cs number Its state window, under which its contents lie.
---@field ce number
---@field L ffi.cdata* The border to the stage.
---@field S ffi.cdata* The operator's store.
---@field stage table
---@field cleanup_kind integer Of the timer that ends a window: 0 event time, 1 processing time.

--- Of a stage whose first operator has windows as `spec` says.
---@return weir.internal.WindowCursor
function M.new(stage, spec)
  local L, S = stage.L, stage.store
  local event, lateness = spec.time == "event", spec.lateness
  local ns, length = ffi.new "double[2]", ffi.new "uint32_t[1]"
  local ns_bytes = ffi.cast("const uint8_t *", ns)
  local at = { s = 0, e = 0, cs = 0, ce = 0, L = L, S = S, stage = stage, cleanup_kind = event and 0 or 1 }

  function at.enter(s, e)
    ns[0], ns[1] = s, e
    if C.wr_store_set_namespace(S, ns_bytes, 16) ~= 0 then error(border.error_text(), 0) end
  end
  function at.enter_window() at.enter(at.s, at.e) end
  function at.enter_contents() at.enter(at.cs, at.ce) end
  function at.enter_key() C.wr_store_set_namespace(S, ns_bytes, 0) end

  --- Makes the namespace of the timer that is due the window at hand.
  function at.enter_timer()
    local n = ffi.cast("const double *", C.wr_store_namespace(S, length))
    at.s, at.e = n[0], n[1]
  end

  --- List state number `state` of window (s, e) joins that of the namespace entered.
  function at.take_list(state, s, e)
    ns[0], ns[1] = s, e
    if C.wr_state_merge(S, state, ns_bytes, 16) < 0 then error(border.error_text(), 0) end
  end

  function at.watermark()
    local watermark = L.watermark
    if watermark == border.TS_NONE then return -huge end
    if watermark == LAST then return huge end
    return tonumber(watermark)
  end

  function at.now() return tonumber(L.now_ms) end

  --- The key at hand; nil where the stream is not keyed.
  function at.key()
    if stage.plan.key then return keys.get(C.wr_store_key(S, length)) end
  end

  --- Timers of the window entered; `kind` 0 event time, 1 processing time.
  function at.add_timer(kind, t)
    if C.wr_timer_add(S, kind, t) ~= 0 then error(border.error_text(), 0) end
    if kind == 1 then C.wr_lua_timer_added(L, t) end
  end
  function at.remove_timer(kind, t) C.wr_timer_remove(S, kind, t) end

  --- When a window that ends at `e` goes.
  function at.cleanup_time(e) return event and e - 1 + lateness or e - 1 end
  --- Is it gone by the watermark?
  function at.is_late(e) return event and at.cleanup_time(e) <= at.watermark() end

  --- Sets the time of rows that are emitted to the window's last millisecond (L12); gives what it was.
  function at.stamp()
    local ts = L.ts
    L.ts = at.e == huge and LAST or at.e - 1
    return ts
  end

  return at
end

--- A timer's time as the store takes it; raises at the caller's caller if it is none.
function M.check_time(t)
  if t == huge then return LAST end
  if type(t) ~= "number" or not (t > -M.TIME_MAX and t < M.TIME_MAX) then
    error("a timer's time must be a number of milliseconds, not " .. tostring(t), 3)
  end
  return t
end

return M
