-- SPDX-License-Identifier: Apache-2.0
--- What triggers, evictors and process functions of a window operator in Lua see: `ctx`.

local border = require "weir.internal.border"
local context = require "weir.internal.context"
local cursor = require "weir.internal.window_cursor"

local C = border.C
local check_time = cursor.check_time
local nothing_to_emit = context.nothing_to_emit

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

-- What adds a timer; one that no function `name` of the trigger would hear is refused.
local function timer_of(at, kind, trigger, name)
  if not trigger[name] then
    return function()
      error(("the trigger has no %s function: :trigger { %s = function(ctx, time) … end, … }"):format(name, name), 2)
    end
  end
  return function(_, time)
    at.enter_window()
    at.add_timer(kind, check_time(time))
  end
end

--- The context of trigger `t`, and in it those of the triggers inside it; `prefix` is that of their states' names,
--- `outer` the trigger of the operator, whose functions hear all timers.
---@param at weir.internal.WindowCursor
function M.trigger(at, handles, t, prefix, outer)
  local ctx = base(at)
  ctx.event_timer = timer_of(at, 0, outer, "event_time")
  ctx.processing_timer = timer_of(at, 1, outer, "processing_time")
  function ctx.delete_event_timer(_, time) at.enter_window() at.remove_timer(0, check_time(time)) end
  function ctx.delete_processing_timer(_, time) at.enter_window() at.remove_timer(1, check_time(time)) end
  for name in next, t.state or {} do
    ctx[name] = in_namespace(handles[prefix .. name], at.enter_window)
  end
  ctx.inner = {}
  for i, inner in ipairs(t.inner or {}) do ctx.inner[i] = M.trigger(at, handles, inner, prefix .. i .. ".", outer) end
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
  function ctx.emit(self, rec)
    if rec == nil then nothing_to_emit(self, ctx) end
    out(rec)
  end
  function ctx.side(_, tag, rec) side(tag, rec) end
  function ctx.timestamp() return at.e - 1 end
  for name in next, spec.window_state or {} do
    ctx[name] = in_namespace(handles["window." .. name], at.enter_window)
  end
  for name in next, spec.global_state or {} do ctx[name] = in_namespace(handles["global." .. name], at.enter_key) end
  return ctx
end

return M
