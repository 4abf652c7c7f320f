-- SPDX-License-Identifier: Apache-2.0
--- The window operator in Lua: any assigner, trigger, evictor, aggregate and process function.
---
--- Follows the life of a window exactly (rows L1 to L16 and M1 to M11 of the semantics): contents, trigger
--- state, the merging set and all timers lie in the operator's keyed state, with the window as namespace
--- (window_cursor.lua); the upvalues here hold only what is being handled.
---
---   take     a record: assign → merge → late? → add to contents → trigger.element → cleanup timer
---   timer    trigger.event_time or processing_time → contents go when their time is over
---
--- Windows of declared aggregates with the default trigger run in C instead (runtime/window/).

local border = require "weir.internal.border"
local context = require "weir.internal.context"
local cursor = require "weir.internal.window_cursor"
local merging_set = require "weir.internal.window_merging"
local window_contents = require "weir.internal.window_contents"
local window_context = require "weir.internal.window_context"

local C = border.C
local TIME_MAX = cursor.TIME_MAX
local format, huge, tonumber = string.format, math.huge, tonumber

local M = {}

local WINDOWS_MAX = 100000 -- of one record
local outcomes = { -- what a trigger may say: fire?, purge?
  continue = { false, false }, fire = { true, false }, purge = { false, true }, fire_and_purge = { true, true },
}

---------------------------------------------------------------- assigners

local function is_whole(ms) return ms % 1 == 0 or ms == huge or ms == -huge end

-- Asks the assigner for the windows of a record: gives a function (rec, ts) → how many; they lie in the two lists.
local function assigner(at, spec)
  local starts, stops, count = {}, {}, 0

  local function assigned(s, e)
    if type(s) ~= "number" or type(e) ~= "number" or s ~= s or e ~= e or s >= e then
      error(format("an assigner gives windows with a start before their end, not %s to %s", tostring(s),
        tostring(e)), 2)
    end
    if not (is_whole(s) and is_whole(e)) then
      error(format("an assigner gives windows of whole milliseconds, not %.14g to %.14g: math.floor makes them", s,
        e), 2)
    end
    count = count + 1
    if count > WINDOWS_MAX then
      error(format("the assigner gives more than %d windows for one record", WINDOWS_MAX), 0)
    end
    starts[count], stops[count] = s, e
  end

  -- How far the windows of this subtask are off from those of others: fixed at its first record (W4).
  local stagger
  local function stagger_of()
    if spec.stagger == "natural" then return at.now() % spec.size end
    return spec.stagger == "random" and math.floor(C.wr_lua_random(at.L) * spec.size) or 0
  end

  local function assign(rec, ts)
    count = 0
    stagger = stagger or stagger_of()
    spec.assign(rec, ts, assigned, stagger)
    return count
  end
  return assign, starts, stops
end

-- The time by which the record at hand is assigned.
local function timer_of_records(at, spec)
  local L, event, processing = at.L, spec.time == "event", spec.time == "processing"
  return function()
    if processing then return at.now() end
    local ts = L.ts
    if ts == border.TS_NONE then
      if not event then return nil end
      error("the record has no timestamp, and windows of event time need one: put :watermarks(…) before the "
        .. "window", 0)
    end
    local t = tonumber(ts)
    if not (t > -TIME_MAX and t < TIME_MAX) then
      error(format("the record's timestamp %s is no time", tostring(ts):gsub("LL$", "")), 0)
    end
    return t
  end
end

---------------------------------------------------------------- triggers

-- The operator's trigger at the window at hand: its calls, and its states at a merge and at the end.
local function triggers(at, handles, spec)
  local trigger = spec.trigger
  local ctx = window_context.trigger(at, handles, trigger, "trigger.", trigger)
  local self = {}

  function self.element(rec, ts) return trigger.element(ctx, rec, ts) end
  function self.event_time(t) return trigger.event_time and trigger.event_time(ctx, t) end
  function self.processing_time(t) return trigger.processing_time and trigger.processing_time(ctx, t) end

  function self.clear()
    if trigger.clear then trigger.clear(ctx) end
    ctx.clear_states()
    at.enter_window()
  end

  -- What the windows of `group` had is the window's at hand; theirs is cleared (M3).
  function self.merge(group)
    local values, old, s, e = {}, {}, at.s, at.e
    for _, w in ipairs(group) do
      if w[1] ~= s or w[2] ~= e then old[#old + 1] = w end
    end
    for i, w in ipairs(old) do
      at.enter(w[1], w[2])
      values[i] = window_context.trigger_values(handles, trigger, "trigger.")
    end
    trigger.merge(ctx, values)
    for _, w in ipairs(old) do
      at.s, at.e = w[1], w[2]
      self.clear()
      local time = at.cleanup_time(at.e)
      if time < TIME_MAX then at.remove_timer(at.cleanup_kind, time) end
    end
    at.s, at.e = s, e
  end

  return self
end

---------------------------------------------------------------- merging windows

-- The windows of the key at hand, which merge.
local function merger(at, handles, spec, trigger, contents)
  local state, event = handles.merging, spec.time == "event"
  local self = {}

  function self.load()
    at.enter_key()
    return state:get() or {}
  end

  local function save(set)
    at.enter_key()
    if #set == 0 then state:clear() else state:set(set) end
  end

  -- M5: the merged window would be over already.
  local function check_shrunk(e)
    local over
    if event then over = at.is_late(e) else over = e - 1 <= at.now() end
    if over then
      error(format("merging windows gave a window that ends at %.0f, which is over already (%s %.0f): a merged "
        .. "window must hold all that were merged", e, event and "watermark" or "processing time",
        event and at.watermark() or at.now()), 0)
    end
  end

  --- Puts (s, e) into the set: sets the window and the state window at hand.
  function self.add(s, e)
    local set = self.load()
    local old, ms, me = merging_set.group(set, s, e, spec.join)
    at.s, at.e = ms, me
    if #old == 0 then
      at.cs, at.ce = s, e
      set[#set + 1] = { ms, me, s, e }
      return save(set)
    end
    local first = old[1]
    at.cs, at.ce = first[3], first[4]
    if #old == 1 and first[1] == ms and first[2] == me then return end -- M4, M6
    check_shrunk(me)
    trigger.merge(old)
    for i = 2, #old do contents.merge(old[i][3], old[i][4]) end
    save(merging_set.replaced(set, old, { ms, me, at.cs, at.ce }))
  end

  --- The window at hand leaves the set.
  function self.retire()
    local set = self.load()
    local i = merging_set.find(set, at.s, at.e)
    if i then
      table.remove(set, i)
      save(set)
    end
  end

  --- Sets the state window of the window at hand; false: it is in no set any more.
  function self.find()
    local set = self.load()
    local i = merging_set.find(set, at.s, at.e)
    if not i then return false end
    at.cs, at.ce = set[i][3], set[i][4]
    return true
  end

  return self
end

---------------------------------------------------------------- results

-- What the process function or the output gets of a window that fires: its records, or the accumulator.
local function deliverer(at, spec, ctx, out)
  local result, process = spec.result, spec.process
  return function(value)
    local ts = at.stamp()
    if result then value = result(value) end
    if process then
      process(ctx, value)
    else
      spec.finish(value, at.s, at.e, at.key)
      out(value)
    end
    at.L.ts = ts
  end
end

--- The operator as one chunk of the stage sees it; `out` and `side` deliver what it emits.
---@return table { take, timer }
function M.new(stage, k, out, side)
  if not stage.store then return {} end -- only the text is wanted: weir check --explain
  local handles, spec = stage.handles, stage.ops[k].fn.window
  if not stage.plan.key then C.wr_store_set_one_key(stage.store) end

  local event, lateness = spec.time == "event", spec.lateness
  local at = cursor.new(stage, spec)
  local ctx = window_context.user(at, handles, spec, out, side)
  local trigger = triggers(at, handles, spec)
  local contents = window_contents.new(at, handles, spec, ctx, deliverer(at, spec, ctx, out))
  local windows = spec.merging and merger(at, handles, spec, trigger, contents)
  local assign, starts, stops = assigner(at, spec)
  local time_of, late = timer_of_records(at, spec), context.late(stage, k, side)

  -- What a trigger said, carried out; the order is L6.
  local function obey(said)
    if said == nil then return end
    local outcome = outcomes[said]
    if not outcome then
      error(format('a trigger returns "continue", "fire", "purge" or "fire_and_purge", not %s',
        type(said) == "string" and format("%q", said) or tostring(said)), 0)
    end
    if outcome[1] then
      at.L.left = 0 -- a look at the clock behind each: one costs as much as many records
      contents.fire()
    end
    if outcome[2] then contents.clear() end
  end

  -- The window at hand takes the record.
  local function give(rec, ts)
    contents.add(rec, ts)
    obey(trigger.element(rec, ts))
    local time = at.cleanup_time(at.e)
    if time < TIME_MAX then -- L10
      at.enter_window()
      at.add_timer(at.cleanup_kind, time)
    end
  end

  -- Makes the window at hand that of (s, e); false: it is late (M1).
  local function enter(s, e)
    if not windows then
      if at.is_late(e) then return false end
      at.s, at.e, at.cs, at.ce = s, e, s, e
      return true
    end
    windows.add(s, e)
    if not at.is_late(at.e) then return true end
    windows.retire()
    return false
  end

  local function take(rec)
    local ts = time_of()
    local taken = false
    for i = 1, assign(rec, ts) do
      if enter(starts[i], stops[i]) then
        taken = true
        give(rec, ts)
      end
    end
    if taken then return end
    if event and ts + lateness <= at.watermark() then late(rec, spec.late) else C.wr_lua_no_window(stage.L, k - 1) end
  end

  local function clear_all()
    trigger.clear()
    if spec.clear then spec.clear(ctx) end
    at.enter_window()
    for name in next, spec.window_state or {} do handles["window." .. name]:clear() end
    contents.clear()
    if windows then windows.retire() end
  end

  local function on_timer(t, kind)
    at.cs, at.ce = at.s, at.e
    if windows and not windows.find() then return end -- L11
    if t > 9e18 then t = huge end
    if kind == 0 then obey(trigger.event_time(t)) else obey(trigger.processing_time(t)) end
    if kind == at.cleanup_kind and t == at.cleanup_time(at.e) then clear_all() end -- L8, L9
  end

  local function timer(t, kind)
    at.enter_timer()
    on_timer(t, kind)
    contents.settle()
  end

  return { take = take, timer = timer, bounds = function() return at.s, at.e end }
end

--- What chains call with a record.
function M.take(window, rec) return window.take(rec) end
--- What chains call with a timer that is due.
function M.timer(window, time, kind) return window.timer(time, kind) end

return M
