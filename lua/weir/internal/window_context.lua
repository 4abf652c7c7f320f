-- SPDX-License-Identifier: Apache-2.0
--- What triggers, evictors and process functions of a window operator in Lua see: `ctx`.

local border = require "weir.internal.border"
local cursor = require "weir.internal.window_cursor"

local C = border.C
local check_time = cursor.check_time

local M = {}

-- Methods of a handle that enter their namespace first; some go on reading after they have returned.
local function in_namespace(handle, enter)
  local out = {}
  for name, method in next, handle do
    if name == "iter" then
      out.iter = function(self)
        enter()
        local step, position = method(self)
        return function(c)
          enter()
          return step(c)
        end, position
      end
    else
      out[name] = function(...)
        enter()
        return method(...)
      end
    end
  end
  return out
end

local function base(at)
  local ctx = {}
  function ctx.window() return at.s, at.e end
  function ctx.key() return at.key() end
  function ctx.now() return at.now() end
  function ctx.watermark()
    local watermark = at.watermark()
    if watermark == -math.huge then return nil end
    return watermark
  end
  function ctx.random() return C.wr_lua_random(at.L) end
  return ctx
end

--- The context of trigger `t`, and in it those of the triggers inside it; `prefix` is that of their states' names.
---@param at weir.internal.WindowCursor
function M.trigger(at, handles, t, prefix)
  local ctx = base(at)
  function ctx.event_timer(_, time) at.enter_window() at.add_timer(0, check_time(time)) end
  function ctx.processing_timer(_, time) at.enter_window() at.add_timer(1, check_time(time)) end
  function ctx.delete_event_timer(_, time) at.enter_window() at.remove_timer(0, check_time(time)) end
  function ctx.delete_processing_timer(_, time) at.enter_window() at.remove_timer(1, check_time(time)) end
  for name in next, t.state or {} do
    ctx[name] = in_namespace(handles[prefix .. name], at.enter_window)
  end
  ctx.inner = {}
  for i, inner in ipairs(t.inner or {}) do ctx.inner[i] = M.trigger(at, handles, inner, prefix .. i .. ".") end
  function ctx.clear_states()
    for name in next, t.state or {} do ctx[name]:clear() end
    for _, inner in ipairs(ctx.inner) do inner.clear_states() end
  end
  return ctx
end

--- Values of the trigger's states in the window entered, as tables that mirror the contexts.
function M.trigger_values(handles, t, prefix)
  local values = { inner = {} }
  for name in next, t.state or {} do values[name] = handles[prefix .. name]:get() end
  for i, inner in ipairs(t.inner or {}) do
    values.inner[i] = M.trigger_values(handles, inner, prefix .. i .. ".")
  end
  return values
end

--- The context of evictors and of the process function.
---@param at weir.internal.WindowCursor
function M.user(at, handles, spec, out, side)
  local ctx = base(at)
  function ctx.emit(_, rec)
    if rec == nil then error("cannot emit nil", 2) end
    out(rec)
  end
  function ctx.side(_, tag, rec) side(tag, rec) end
  function ctx.timestamp() return at.e - 1 end
  for name in next, spec.window_state or {} do
    local enter_own = spec.merging and function()
      error(("the state '%s' belongs to a window, and windows that merge have none (M8): "
        .. "declare it as global_state"):format(name), 3)
    end or at.enter_window
    ctx[name] = in_namespace(handles["window." .. name], enter_own)
  end
  for name in next, spec.global_state or {} do ctx[name] = in_namespace(handles["global." .. name], at.enter_key) end
  return ctx
end

return M
