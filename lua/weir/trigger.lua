-- SPDX-License-Identifier: Apache-2.0
--- Triggers: when a window gives its result.
---
---   stream:key_by("user"):window(weir.window.tumbling "1h")
---     :trigger(weir.trigger.early { every = "10s" }):count()
---
--- A trigger is a table of functions that answer "fire", "purge" (drop the contents), "fire_and_purge", or
--- "continue" or nothing. Those here are written as yours would be:
---
---   :trigger {
---     state = { seen = weir.state.value() },       -- of the window
---     element = function(ctx, rec, time)           -- after each record
---       if rec.urgent then return "fire" end
---     end,
---     event_time = function(ctx, time) … end,      -- each event timer that is due
---     processing_time = function(ctx, time) … end,
---     merge = function(ctx, merged) … end,         -- windows became one; merged[i].seen was theirs
---     clear = function(ctx) … end,                 -- the window goes: delete the timers
---   }
---
--- `ctx` has window() (start, end), key(), now(), watermark(), event_timer(t), processing_timer(t),
--- delete_event_timer(t), delete_processing_timer(t), and the states by name. A trigger replaces the default
--- one: with a count trigger alone, what is in a window at its end is dropped (T2).

local options = require "weir.options"
local duration = require "weir.duration"
local state = require "weir.state"
local suggest = require "weir.suggest"
local where = require "weir.where"

local huge, floor = math.huge, math.floor
local M = {}

-- What the operator in C does in place of a trigger: `native` of those that count (runtime/window/counted.c), `early`
-- of those that give results so far (runtime/window/early.c).

---@class weir.Trigger
---@field element fun(ctx: weir.TriggerContext, record: any, time: number?): string?
---@field event_time? fun(ctx: weir.TriggerContext, time: number): string?
---@field processing_time? fun(ctx: weir.TriggerContext, time: number): string?
---@field merge? fun(ctx: weir.TriggerContext, merged: table[]) needed by windows that merge (sessions)
---@field clear? fun(ctx: weir.TriggerContext)
---@field state? table<string, weir.StateDescriptor> value states
local Trigger = {}

---@class weir.TriggerContext
---@field window fun(self): number, number start and end
---@field key fun(self): weir.Scalar ...
---@field now fun(self): number
---@field watermark fun(self): number?
---@field event_timer fun(self, time: number) math.huge: the end of time
---@field processing_timer fun(self, time: number)
---@field delete_event_timer fun(self, time: number)
---@field delete_processing_timer fun(self, time: number)

local function trigger(t) return setmetatable(t, Trigger) end

local value_states = options.type("a table of value states, { name = weir.state.value() }", function(v)
  local ok, _, why = state.declarations.test(v)
  if not ok then return false, nil, why end
  for name, d in pairs(v) do
    if d.kind ~= "value" then return false, nil, ('"%s" is a %s state'):format(name, d.kind) end
    if name == "window" or name == "inner" then return false, nil, ('ctx has a "%s" already'):format(name) end
  end
  return true, v
end)

--- A trigger from a table of functions, checked; what is one already is given back.
---@private
function M.of(what, t)
  if getmetatable(t) == Trigger then return t end
  if type(t) ~= "table" then
    where.fail("%s takes a trigger such as weir.trigger.count(100), or a table of functions, not %s", what,
      options.shown(t))
  end
  return trigger(options.check(what, t, {
    element = options.fn, event_time = options.fn:optional(), processing_time = options.fn:optional(),
    merge = options.fn:optional(), clear = options.fn:optional(), state = value_states:optional(),
  }))
end

---------------------------------------------------------------- the end of the window

local function last(ctx)
  local _, stop = ctx:window()
  return stop - 1
end

local function watermark(ctx) return ctx:watermark() or -huge end

--- Fires when the watermark passes the window's end, and at each record that is late but allowed (L5). The
--- default of windows of event time.
---@return weir.Trigger
function M.event_time()
  return trigger {
    element = function(ctx)
      if last(ctx) <= watermark(ctx) then return "fire" end
      ctx:event_timer(last(ctx))
    end,
    event_time = function(ctx, time) -- T5
      if time == last(ctx) then return "fire" end
    end,
    merge = function(ctx) -- M10
      if last(ctx) > watermark(ctx) then ctx:event_timer(last(ctx)) end
    end,
    clear = function(ctx) ctx:delete_event_timer(last(ctx)) end,
  }
end

--- Fires when the clock passes the window's end. The default of windows of processing time.
---@return weir.Trigger
function M.processing_time()
  return trigger {
    element = function(ctx) ctx:processing_timer(last(ctx)) end,
    processing_time = function() return "fire" end, -- T4
    merge = function(ctx)
      if last(ctx) > ctx:now() then ctx:processing_timer(last(ctx)) end
    end,
    clear = function(ctx) ctx:delete_processing_timer(last(ctx)) end,
  }
end

--- Never fires: the default of the global window.
---@return weir.Trigger
function M.never()
  return trigger { element = function() end, merge = function() end }
end

--- Fires when the input ends (T13).
---@return weir.Trigger
function M.end_of_stream()
  return trigger {
    native = { every = 0, at_end = true },
    element = function(ctx) ctx:event_timer(huge) end,
    event_time = function(_, time)
      if time == huge then return "fire" end
    end,
    merge = function(ctx) ctx:event_timer(huge) end,
    clear = function(ctx) ctx:delete_event_timer(huge) end,
  }
end

---------------------------------------------------------------- counting and comparing

local function count_of(n, partial)
  return trigger {
    native = { every = n, at_end = partial },
    state = { count = state.value() },
    element = function(ctx)
      local count = (ctx.count:get() or 0) + 1
      if count >= n then
        ctx.count:clear()
        return "fire"
      end
      ctx.count:set(count)
      if partial then ctx:event_timer(huge) end
    end,
    event_time = function(ctx, time)
      if partial and time == huge and ctx.count:get() then return "fire" end
    end,
    merge = function(ctx, merged) -- M9
      local count = ctx.count:get() or 0
      for _, w in ipairs(merged) do count = count + (w.count or 0) end
      if count > 0 then ctx.count:set(count) end
    end,
  }
end

--- Fires at every n-th record of a window (T1).
---@param n integer
---@return weir.Trigger
function M.count(n)
  return count_of(options.value("weir.trigger.count", "the count", n, options.integer_in(1, 2 ^ 53)), false)
end

--- The trigger of count windows that give what is left when the input ends.
---@private
function M.count_to_end(n) return count_of(n, true) end

---@class weir.DeltaOptions
---@field threshold number
---@field fn fun(last: any, record: any): number how far the record is from the one at the last firing

--- Fires when a record is further than `threshold` from the one at the last firing; the first only begins (T8).
---@param opts weir.DeltaOptions
---@return weir.Trigger
function M.delta(opts)
  local o = options.check("weir.trigger.delta", opts, { threshold = options.number, fn = options.fn })
  return trigger {
    state = { last = state.value() },
    element = function(ctx, rec)
      local before = ctx.last:get()
      if before == nil then
        ctx.last:set(rec)
      elseif o.fn(before, rec) > o.threshold then
        ctx.last:set(rec)
        return "fire"
      end
    end,
  }
end

---------------------------------------------------------------- again and again

-- The first multiple of `interval` behind `time` (T6, T7: floor division), not behind the window's last ms.
local function next_firing(ctx, time, interval)
  return math.min(time - time % interval + interval, last(ctx))
end

local function earliest(ctx, merged)
  local at
  for _, w in ipairs(merged) do
    if w.next and (not at or w.next < at) then at = w.next end
  end
  return at and math.min(at, last(ctx))
end

local function continuous_event(interval)
  return trigger {
    early = { every = interval, time = "event" },
    state = { next = state.value() },
    element = function(ctx, _, time)
      if last(ctx) <= watermark(ctx) then return "fire" end
      if last(ctx) < huge then ctx:event_timer(last(ctx)) end
      if ctx.next:get() == nil then
        local at = next_firing(ctx, time, interval)
        ctx.next:set(at)
        ctx:event_timer(at)
      end
    end,
    event_time = function(ctx, time)
      if time == ctx.next:get() and time < last(ctx) then
        local at = next_firing(ctx, time, interval)
        ctx.next:set(at)
        ctx:event_timer(at)
        return "fire"
      end
      if time == last(ctx) then return "fire" end
    end,
    merge = function(ctx, merged)
      if last(ctx) > watermark(ctx) and last(ctx) < huge then ctx:event_timer(last(ctx)) end
      local at = earliest(ctx, merged)
      if at then
        ctx.next:set(at)
        ctx:event_timer(at)
      end
    end,
    clear = function(ctx)
      ctx:delete_event_timer(last(ctx))
      if ctx.next:get() then ctx:delete_event_timer(ctx.next:get()) end
    end,
  }
end

local function continuous_processing(interval)
  return trigger {
    state = { next = state.value() },
    element = function(ctx)
      if ctx.next:get() == nil then
        local at = next_firing(ctx, ctx:now(), interval)
        ctx.next:set(at)
        ctx:processing_timer(at)
      end
    end,
    processing_time = function(ctx, time)
      if time ~= ctx.next:get() then return end
      local at = next_firing(ctx, time, interval)
      if at > time then
        ctx.next:set(at)
        ctx:processing_timer(at)
      end
      return "fire"
    end,
    merge = function(ctx, merged)
      local at = earliest(ctx, merged)
      if at then
        ctx.next:set(at)
        ctx:processing_timer(at)
      end
    end,
    clear = function(ctx)
      if ctx.next:get() then ctx:delete_processing_timer(ctx.next:get()) end
    end,
  }
end

local each_time = options.one_of("event", "processing"):default "processing"

--- Fires each time event time passes a multiple of `every`, and at the window's end (T6). Multiples are counted from
--- 1970 in both directions: with "10s", what follows a record of -15 s is -10 s.
---@param every weir.Duration
---@return weir.Trigger
function M.continuous_event_time(every)
  return continuous_event(options.value("weir.trigger.continuous_event_time", "the interval", every,
    duration.positive))
end

--- Fires each time the clock passes a multiple of `every` (T7).
---@param every weir.Duration
---@return weir.Trigger
function M.continuous_processing_time(every)
  return continuous_processing(options.value("weir.trigger.continuous_processing_time", "the interval", every,
    duration.positive))
end

---------------------------------------------------------------- of other triggers

local functions = { "element", "event_time", "processing_time" }

-- Has one of the inner triggers this function? One that none has is not there: a timer that it would hear is refused.
local function has(t, name)
  for _, inner in ipairs(t.inner) do
    if inner[name] then return true end
  end
  return false
end

-- Gives trigger `t` what `make(name)` makes of each function that its inner ones have.
local function of_inner(t, make)
  for _, name in ipairs(functions) do
    if has(t, name) then t[name] = make(name) end
  end
end

-- Calls one function of each inner trigger; gives what they said.
local function ask(t, name, ctx, ...)
  local said = {}
  for i, inner in ipairs(t.inner) do
    if inner[name] then said[i] = inner[name](ctx.inner[i], ...) end
  end
  return said
end

local function pass_on(t)
  function t.merge(ctx, merged)
    for i, inner in ipairs(t.inner) do
      local theirs = {}
      for n, w in ipairs(merged) do theirs[n] = w.inner[i] end
      inner.merge(ctx.inner[i], theirs)
    end
    if t.merge_own then t.merge_own(ctx, merged) end
  end
  for _, inner in ipairs(t.inner) do
    if not inner.merge then t.merge = nil end -- M7
  end
  function t.clear(ctx) ask(t, "clear", ctx) end
  return trigger(t)
end

local function inner_of(what, given)
  if type(given) ~= "table" or #given < 2 then where.fail("%s takes a list of two or more triggers", what) end
  local list = {}
  for i, t in ipairs(given) do list[i] = M.of(what, t) end
  return list
end

local function fires(said) return said == "fire" or said == "fire_and_purge" end
local function purges(said) return said == "purge" or said == "fire_and_purge" end

local function both(fire, purge)
  if fire then return purge and "fire_and_purge" or "fire" end
  return purge and "purge" or nil
end

--- Fires when the other would, and drops the contents then (T3).
---@param other weir.Trigger
---@return weir.Trigger
function M.purging(other)
  local t = { inner = { M.of("weir.trigger.purging", other) } }
  local native = t.inner[1].native
  t.native = native and { every = native.every, at_end = native.at_end, purge = true }
  of_inner(t, function(name)
    return function(ctx, ...)
      local said = ask(t, name, ctx, ...)[1]
      return said == "fire" and "fire_and_purge" or said
    end
  end)
  return pass_on(t)
end

--- Fires whenever one of them does.
---
---   weir.trigger.any { weir.trigger.count(1000), weir.trigger.event_time() }
---@param triggers weir.Trigger[]
---@return weir.Trigger
function M.any(triggers)
  local t = { inner = inner_of("weir.trigger.any", triggers) }
  of_inner(t, function(name)
    return function(ctx, ...)
      local said, fire, purge = ask(t, name, ctx, ...), false, false
      for i = 1, #t.inner do fire, purge = fire or fires(said[i]), purge or purges(said[i]) end
      return both(fire, purge)
    end
  end)
  return pass_on(t)
end

--- Fires when each of them has fired since the last time.
---
---   weir.trigger.all { weir.trigger.count(10), weir.trigger.continuous_processing_time "1s" }
---@param triggers weir.Trigger[]
---@return weir.Trigger
function M.all(triggers)
  local t = { inner = inner_of("weir.trigger.all", triggers), state = { done = state.value() } }
  local full = 2 ^ #t.inner - 1
  of_inner(t, function(name)
    return function(ctx, ...)
      local said, purge = ask(t, name, ctx, ...), false
      local before = ctx.done:get() or 0
      local done = before
      for i = 1, #t.inner do
        purge = purge or purges(said[i])
        if fires(said[i]) and floor(done / 2 ^ (i - 1)) % 2 == 0 then done = done + 2 ^ (i - 1) end
      end
      if done == full then
        ctx.done:clear()
        return both(true, purge)
      end
      if done ~= before then ctx.done:set(done) end
      return both(false, purge)
    end
  end)
  function t.merge_own(ctx) ctx.done:clear() end
  return pass_on(t)
end

---@class weir.EarlyOptions
---@field every weir.Duration how often the result so far is given
---@field time? "processing"|"event" what `every` is measured in; default "processing"

--- Results so far every while, and the full one at the end of the window (of event time).
---
---   :trigger(weir.trigger.early { every = "10s" })
---@param opts weir.EarlyOptions|weir.Duration
---@return weir.Trigger
function M.early(opts)
  local o = options.check("weir.trigger.early", opts, { every = duration.positive, time = each_time }, "every")
  if o.time == "event" then return continuous_event(o.every) end
  local t = M.any { continuous_processing(o.every), M.event_time() }
  t.early = o
  return t
end

---@class weir.TimeoutOptions
---@field timeout weir.Duration of processing time
---@field reset? boolean each record begins the timeout anew; default false
---@field clear? boolean the other trigger's state goes when the timeout fires; default true

--- Fires when the other does, or when `timeout` of processing time has passed since the first record (T9).
---@param other weir.Trigger
---@param opts weir.TimeoutOptions|weir.Duration
---@return weir.Trigger
function M.timeout(other, opts)
  local what = "weir.trigger.timeout"
  local inner = M.of(what, other)
  local o = options.check(what, opts, {
    timeout = duration.positive, reset = options.boolean:default(false), clear = options.boolean:default(true),
  }, "timeout")
  local t = { inner = { inner }, state = { at = state.value() } }
  local function stop(ctx)
    local at = ctx.at:get()
    if at then
      ctx:delete_processing_timer(at)
      ctx.at:clear()
    end
    if inner.clear then inner.clear(ctx.inner[1]) end
    ctx.inner[1].clear_states()
  end
  function t.element(ctx, rec, time)
    local said = inner.element(ctx.inner[1], rec, time)
    if fires(said) then
      stop(ctx)
      return said
    end
    local at = ctx.at:get()
    if at and o.reset then
      ctx:delete_processing_timer(at)
      at = nil
    end
    if not at then
      at = ctx:now() + o.timeout
      ctx.at:set(at)
      ctx:processing_timer(at)
    end
    return said
  end
  local function due(name)
    return function(ctx, time)
      local said = ask(t, name, ctx, time)[1]
      if o.clear then stop(ctx) end
      return purges(said) and "fire_and_purge" or "fire"
    end
  end
  t.event_time, t.processing_time = due "event_time", due "processing_time"
  t.clear = stop
  return trigger(t) -- M7: it does not merge
end

return suggest.strict("weir.trigger", M, { "of", "count_to_end" })
