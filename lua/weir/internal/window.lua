-- SPDX-License-Identifier: Apache-2.0
--- The window operator in Lua: any assigner, trigger, evictor, aggregate and process function.
---
--- Follows the life of a window exactly (rows L1 to L16 and M1 to M11 of the semantics): contents, trigger
--- state, the merging set and all timers lie in the operator's keyed state, with the window as namespace; the
--- upvalues here hold only what is being handled. Windows are two numbers, start and end; the global window
--- is (-inf, inf). What merging windows hold stays under the first of them, the *state window*.
---
---   take     a record: assign → merge → late? → add to contents → trigger.element → cleanup timer
---   timer    trigger.event_time or processing_time → contents go when their time is over
---
--- Windows of declared aggregates with the default trigger run in C instead (runtime/window/).

local ffi = require "ffi"
local border = require "weir.internal.border"
local context = require "weir.internal.context"
local keys = require "weir.internal.keys"

border.declare "state"

local C = border.C
local format, huge = string.format, math.huge
local tonumber = tonumber

local M = {}

local WINDOWS_MAX = 100000 -- of one record
local TIME_MAX = 2 ^ 53
local TRIM_MIN = 64 -- records
local WAITING_MIN = 256 -- records, and WAITING_BYTES of the accumulator for each
local WAITING_BYTES = 32
local LAST = 0x7fffffffffffffffLL
local outcomes = { -- what a trigger may say: fire?, purge?
  continue = { false, false }, fire = { true, false }, purge = { false, true }, fire_and_purge = { true, true },
}

-- Methods of handles that go on reading after they have returned.
local function in_namespace(handle, enter)
  local out = {}
  for name, method in next, handle do
    if name == "iter" then
      out.iter = function(self)
        enter()
        local step, cursor = method(self)
        return function(c)
          enter()
          return step(c)
        end, cursor
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

local function check_time(t)
  if t == huge then return LAST end
  if type(t) ~= "number" or not (t > -TIME_MAX and t < TIME_MAX) then
    error("a timer's time must be a number of milliseconds, not " .. tostring(t), 3)
  end
  return t
end

--- The operator as one chunk of the stage sees it; `out` and `side` deliver what it emits.
---@return table { take, timer }
function M.new(stage, k, out, side)
  local L, S = stage.L, stage.store
  if not S then return {} end -- only the text is wanted: weir check --explain
  local node, handles = stage.ops[k], stage.handles
  local spec = node.fn.window
  local assign, merging, join = spec.assign, spec.merging, spec.join
  local event, lateness, trigger, evictor = spec.time == "event", spec.lateness, spec.trigger, spec.evictor
  local contents, times, merge_set, waiting = handles.contents, handles.times, handles.merging, handles.pending
  local init, add, unite, result = spec.init, spec.add, spec.merge, spec.result
  local process, clear_user = spec.process, spec.clear
  local contents_state, times_state
  for i, state in ipairs(stage.plan.states) do
    if state.name == "contents" then contents_state = i - 1 end
    if state.name == "times" then times_state = i - 1 end
  end
  if not stage.plan.key then C.wr_store_set_one_key(S) end

  ---------------------------------------------------------------- the window at hand

  local ws, we = 0, 0 -- the window
  local cs, ce = 0, 0 -- under which its contents lie
  local ns = ffi.new "double[2]"
  local ns_bytes = ffi.cast("const uint8_t *", ns)

  local function enter(s, e)
    ns[0], ns[1] = s, e
    if C.wr_store_set_namespace(S, ns_bytes, 16) ~= 0 then error(border.error_text(), 0) end
  end
  local function enter_window() enter(ws, we) end
  local function enter_key() C.wr_store_set_namespace(S, ns_bytes, 0) end

  local function watermark()
    local wm = L.watermark
    if wm == border.TS_NONE then return -huge end
    if wm == LAST then return huge end
    return tonumber(wm)
  end
  local function now() return tonumber(L.now_ms) end

  local function add_timer(kind, t)
    if C.wr_timer_add(S, kind, t) ~= 0 then error(border.error_text(), 0) end
    if kind == 1 then C.wr_lua_timer_added(L, t) end
  end
  local cleanup_kind = event and 0 or 1
  local function cleanup_time(e) return event and e - 1 + lateness or e - 1 end

  ---------------------------------------------------------------- what user functions see

  local klen = ffi.new "uint32_t[1]"
  local function key()
    if stage.plan.key then return keys.get(C.wr_store_key(S, klen)) end
  end

  local function base()
    local ctx = {}
    function ctx.window() return ws, we end
    function ctx.key() return key() end
    function ctx.now() return now() end
    function ctx.watermark()
      local wm = watermark()
      if wm == -huge then return nil end
      return wm
    end
    function ctx.random() return C.wr_lua_random(L) end
    return ctx
  end

  -- The contexts of a trigger and of those inside it.
  local function trigger_context(t, prefix)
    local ctx = base()
    function ctx.event_timer(_, at) enter_window() add_timer(0, check_time(at)) end
    function ctx.processing_timer(_, at) enter_window() add_timer(1, check_time(at)) end
    function ctx.delete_event_timer(_, at) enter_window() C.wr_timer_remove(S, 0, check_time(at)) end
    function ctx.delete_processing_timer(_, at) enter_window() C.wr_timer_remove(S, 1, check_time(at)) end
    for name in next, t.state or {} do
      ctx[name] = in_namespace(handles[prefix .. name], enter_window)
    end
    ctx.inner = {}
    for i, inner in ipairs(t.inner or {}) do ctx.inner[i] = trigger_context(inner, prefix .. i .. ".") end
    function ctx.clear_states()
      for name in next, t.state or {} do ctx[name]:clear() end
      for _, inner in ipairs(ctx.inner) do inner.clear_states() end
    end
    return ctx
  end
  local trigger_ctx = trigger_context(trigger, "trigger.")

  -- Trigger states of a window that was merged, as tables that mirror the contexts.
  local function trigger_values(t, prefix)
    local values = { inner = {} }
    for name in next, t.state or {} do values[name] = handles[prefix .. name]:get() end
    for i, inner in ipairs(t.inner or {}) do values.inner[i] = trigger_values(inner, prefix .. i .. ".") end
    return values
  end

  local function clear_trigger()
    if trigger.clear then trigger.clear(trigger_ctx) end
    trigger_ctx.clear_states()
    enter_window()
  end

  local ctx = base()
  function ctx.emit(_, rec)
    if rec == nil then error("cannot emit nil", 2) end
    out(rec)
  end
  function ctx.side(_, tag, rec) side(tag, rec) end
  function ctx.timestamp() return we - 1 end
  for name in next, spec.window_state or {} do
    local enter_own = merging and function()
      error(format("the state '%s' belongs to a window, and windows that merge have none (M8): "
        .. "declare it as global_state", name), 3)
    end or enter_window
    ctx[name] = in_namespace(handles["window." .. name], enter_own)
  end
  for name in next, spec.global_state or {} do ctx[name] = in_namespace(handles["global." .. name], enter_key) end

  ---------------------------------------------------------------- contents

  local function clear_contents()
    enter(cs, ce)
    contents:clear()
    if evictor then times:clear() end
    if waiting then waiting:clear() end
  end

  local function elements_of(records)
    local elements, of = {}, times:all()
    for i = 1, #records do elements[i] = { record = records[i], time = of[i] or nil } end
    return elements
  end

  -- What is left of the list is all that later firings see (L15).
  local function keep(elements)
    local records, of = {}, {}
    for i, element in ipairs(elements) do records[i], of[i] = element.record, element.time or false end
    enter(cs, ce)
    contents:set(records)
    times:set(of)
  end

  -- What no firing will see goes when it is as much as what may be seen: a key has bounded memory.
  local keeps = evictor and evictor.last
  local function trim() keep(evictor.before(ctx, elements_of(contents:all()))) end

  -- The accumulator at hand with what waits for it; nil: there is neither.
  local function accumulated()
    local acc, list = contents:get(), waiting and waiting:all()
    if not list or #list == 0 then return acc end
    return spec.fold(acc or init(), list)
  end

  -- Adds what waits to the accumulator, unless that is so large that more is to wait.
  local function settle()
    local held = C.wr_state_get(S, contents_state)
    if held ~= nil and waiting:count() * WAITING_BYTES < held.len then return end
    contents:set(accumulated())
    waiting:clear()
  end

  -- Beside the records of an evictor's list lie their times.
  local function add_content(rec, ts)
    enter(cs, ce)
    if waiting then
      waiting:add(spec.pick(rec))
      if waiting:count() % WAITING_MIN == 0 then settle() end
    elseif not contents.all then
      local acc = contents:get()
      if acc == nil then acc = init and init() end
      contents:set(add(acc, rec))
    else
      contents:add(rec)
      if evictor then times:add(ts or false) end
      if keeps and contents:count() >= 2 * keeps + TRIM_MIN then trim() end
    end
  end

  local function evict(elements, evictor_fn)
    local kept = evictor_fn(ctx, elements)
    if kept == nil then return elements end
    if type(kept) ~= "table" then
      error("an evictor returns the list of elements to keep, or nothing, not a " .. type(kept), 0)
    end
    return kept
  end

  local function records_of(elements)
    local list = {}
    for i = 1, #elements do list[i] = elements[i].record end
    return list
  end

  local function folded(records)
    local acc = init and init()
    for i = 1, #records do acc = add(acc, records[i]) end
    return acc
  end

  -- What the process function or the output gets; `records` a list, or the accumulator.
  local function deliver(records)
    local ts = L.ts
    L.ts = we == huge and LAST or we - 1 -- L12
    local value = records
    if add and evictor then value = folded(records) end
    if result then value = result(value) end
    if process then
      process(ctx, value)
    else
      spec.finish(value, ws, we, key)
      out(value)
    end
    L.ts = ts
  end

  -- A look at the clock behind each: one costs as much as many records.
  local function fire()
    L.left = 0
    enter(cs, ce)
    if not contents.all then
      local acc = accumulated()
      if acc ~= nil then deliver(acc) end -- L13
      return
    end
    local records = contents:all()
    if #records == 0 then return end
    if not evictor then return deliver(records) end
    local elements = elements_of(records)
    if evictor.before then elements = evict(elements, evictor.before) end
    deliver(records_of(elements))
    if evictor.after then elements = evict(elements, evictor.after) end
    keep(elements)
  end

  -- What a trigger said, carried out; the order is L6.
  local function obey(said)
    if said == nil then return end
    local outcome = outcomes[said]
    if not outcome then
      error(format('a trigger returns "continue", "fire", "purge" or "fire_and_purge", not %s',
        type(said) == "string" and format("%q", said) or tostring(said)), 0)
    end
    if outcome[1] then fire() end
    if outcome[2] then clear_contents() end
  end

  ---------------------------------------------------------------- merging windows

  -- The merging set of the key: a list of { s, e, cs, ce }.
  local function load_set()
    enter_key()
    return merge_set:get() or {}
  end

  local function save_set(set)
    enter_key()
    if #set == 0 then merge_set:clear() else merge_set:set(set) end
  end

  local function find(set, s, e)
    for i = 1, #set do
      if set[i][1] == s and set[i][2] == e then return i end
    end
  end

  local function is_late(e) return event and cleanup_time(e) <= watermark() end

  -- M5: the merged window would be over already.
  local function check_shrunk(e)
    local over
    if event then over = e - 1 + lateness <= watermark() else over = e - 1 <= now() end
    if over then
      error(format("merging windows gave a window that ends at %.0f, which is over already (%s %.0f): a merged "
        .. "window must hold all that were merged", e, event and "watermark" or "processing time",
        event and watermark() or now()), 0)
    end
  end

  local function by_start(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end

  -- The windows that become one with (s, e): their indexes in the set, and the window they become (M9, M10).
  local function group_of(set, s, e)
    local mine = { s, e }
    local sorted = { mine }
    for i = 1, #set do sorted[i + 1] = set[i] end
    table.sort(sorted, by_start)
    local group, bs, be
    for _, w in ipairs(sorted) do
      local js, je
      if group then js, je = join(bs, be, w[1], w[2]) end
      if js then
        bs, be = js, je
      else
        if group and group.mine then break end
        group, bs, be = {}, w[1], w[2]
      end
      if w == mine then group.mine = true else group[#group + 1] = w end
    end
    return group, bs, be
  end

  -- Contents of window (s, e) join those of the state window at hand.
  local function merge_contents(s, e)
    if contents.all then
      enter(cs, ce)
      ns[0], ns[1] = s, e
      if C.wr_state_merge(S, contents_state, ns_bytes, 16) < 0
        or times_state and C.wr_state_merge(S, times_state, ns_bytes, 16) < 0 then
        error(border.error_text(), 0)
      end
      return
    end
    enter(s, e)
    local theirs = accumulated()
    contents:clear()
    if waiting then waiting:clear() end
    if theirs == nil then return end
    enter(cs, ce)
    local ours = accumulated()
    if waiting then waiting:clear() end
    if ours == nil then contents:set(theirs) else contents:set(unite(ours, theirs)) end
  end

  local function merge_triggers(all)
    local values, old = {}, {}
    for _, w in ipairs(all) do
      if w[1] ~= ws or w[2] ~= we then old[#old + 1] = w end
    end
    for i, w in ipairs(old) do
      enter(w[1], w[2])
      values[i] = trigger_values(trigger, "trigger.")
    end
    trigger.merge(trigger_ctx, values)
    local s, e = ws, we
    for _, w in ipairs(old) do -- M3
      ws, we = w[1], w[2]
      clear_trigger()
      local at = cleanup_time(we)
      if at < TIME_MAX then C.wr_timer_remove(S, cleanup_kind, at) end
    end
    ws, we = s, e
  end

  -- Puts (s, e) into the merging set: sets the window and the state window at hand.
  local function merge_in(s, e)
    local set = load_set()
    local old, ms, me = group_of(set, s, e)
    ws, we = ms, me
    if #old == 0 then
      cs, ce = s, e
      set[#set + 1] = { ws, we, cs, ce }
      save_set(set)
      return set
    end
    local first = old[1]
    cs, ce = first[3], first[4]
    if #old == 1 and first[1] == ms and first[2] == me then return set end -- M4, M6
    check_shrunk(me)
    merge_triggers(old)
    for i = 2, #old do merge_contents(old[i][3], old[i][4]) end
    local left = { { ms, me, cs, ce } }
    for _, w in ipairs(set) do
      local gone = false
      for _, o in ipairs(old) do gone = gone or o == w end
      if not gone then left[#left + 1] = w end
    end
    save_set(left)
    return left
  end

  local function retire(s, e)
    local set = load_set()
    local i = find(set, s, e)
    if i then
      table.remove(set, i)
      save_set(set)
    end
  end

  ---------------------------------------------------------------- records

  -- Windows of the record at hand.
  local starts, stops, count = {}, {}, 0
  local function assigned(s, e)
    if type(s) ~= "number" or type(e) ~= "number" or s ~= s or e ~= e or s >= e then
      error(format("an assigner gives windows with a start before their end, not %s to %s", tostring(s),
        tostring(e)), 2)
    end
    count = count + 1
    if count > WINDOWS_MAX then
      error(format("the assigner gives more than %d windows for one record", WINDOWS_MAX), 0)
    end
    starts[count], stops[count] = s, e
  end

  local late = context.late(stage, k, side)

  local function time_of()
    if spec.time == "processing" then return now() end
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

  -- How far the windows of this subtask are off from those of others: fixed at its first record (W4).
  local stagger
  local function stagger_of()
    if spec.stagger == "natural" then return now() % spec.size end
    return spec.stagger == "random" and math.floor(C.wr_lua_random(L) * spec.size) or 0
  end

  -- The window at hand takes the record.
  local function give(rec, ts)
    add_content(rec, ts)
    obey(trigger.element(trigger_ctx, rec, ts))
    local at = cleanup_time(we)
    if at < TIME_MAX then -- L10
      enter_window()
      add_timer(cleanup_kind, at)
    end
  end

  local function take(rec)
    local ts = time_of()
    count = 0
    stagger = stagger or stagger_of()
    assign(rec, ts, assigned, stagger)
    local taken = false
    for i = 1, count do
      local s, e = starts[i], stops[i]
      if merging then
        local set = merge_in(s, e)
        if is_late(we) then -- M1
          table.remove(set, find(set, ws, we))
          save_set(set)
        else
          taken = true
          give(rec, ts)
        end
      elseif not is_late(e) then
        taken = true
        ws, we, cs, ce = s, e, s, e
        give(rec, ts)
      end
    end
    if not taken and event and ts + lateness <= watermark() then late(rec, spec.late) end
  end

  ---------------------------------------------------------------- timers

  local function clear_all()
    clear_trigger()
    if clear_user then clear_user(ctx) end
    enter_window()
    for name in next, spec.window_state or {} do handles["window." .. name]:clear() end
    clear_contents()
    if merging then retire(ws, we) end
  end

  local function on_timer(t, kind)
    cs, ce = ws, we
    if merging then
      local set = load_set()
      local i = find(set, ws, we)
      if not i then return end -- L11
      cs, ce = set[i][3], set[i][4]
    end
    if t > 9e18 then t = huge end
    if kind == 0 then
      obey(trigger.event_time and trigger.event_time(trigger_ctx, t))
    else
      obey(trigger.processing_time and trigger.processing_time(trigger_ctx, t))
    end
    if kind == cleanup_kind and t == cleanup_time(we) then clear_all() end -- L8, L9
  end

  local function timer(t, kind)
    local n = ffi.cast("const double *", C.wr_store_namespace(S, klen))
    ws, we = n[0], n[1]
    local s, e = ws, we
    on_timer(t, kind)
    -- the timer's own entry is the current one again, so that the store drops it if nothing is left in it
    enter(s, e)
    C.wr_state_get(S, contents_state)
  end

  return { take = take, timer = timer }
end

--- What chains call with a record.
function M.take(window, rec) return window.take(rec) end
--- What chains call with a timer that is due.
function M.timer(window, time, kind) return window.timer(time, kind) end

return M
