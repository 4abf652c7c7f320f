-- SPDX-License-Identifier: Apache-2.0
--- Windowed streams: what `stream:window(…)` gives, until `aggregate` and its kin make an operator of it.
---
--- Results are records with the key's fields, the aggregates, `window_start` and `window_end` (ms). Their
--- timestamp is the last millisecond of the window (L12).

local options = require "weir.options"
local duration = require "weir.duration"
local agg = require "weir.agg"
local evictor = require "weir.evictor"
local state = require "weir.state"
local trigger = require "weir.trigger"
local window = require "weir.window"
local where = require "weir.where"

local fail = where.fail
local M = {}

---@class weir.WindowedStream
local methods = {}
M.methods = methods

local AGGREGATES_MAX = 32

--- How long a window is kept behind its end, by event time; default 0. Each record that comes for it until then
--- gives another result, of all that the window holds.
---@param lateness weir.Duration
---@return weir.WindowedStream
function methods:allowed_lateness(lateness)
  self.lateness = options.value("windowed:allowed_lateness", "the lateness", lateness, duration.not_negative)
  if self.lateness > 0 and self.window.time == "none" then
    fail "windowed:allowed_lateness: a record is late by event time, and a window that counts, or has no end, has none"
  end
  return self
end

--- The tag of the side output that gets the records which no window takes any more; default "late". They are
--- counted, and dropped if nobody reads it.
---
---   local counts = stream:window(weir.window.tumbling "1m"):late_to("too_late"):count()
---   counts:side_output("too_late"):sink(weir.print())
---@param tag string
---@return weir.WindowedStream
function methods:late_to(tag)
  self.late = options.value("windowed:late_to", "the tag", tag, options.string)
  return self
end

--- When windows give results, in place of the default: see `weir.trigger`.
---@param given weir.Trigger
---@return weir.WindowedStream
function methods:trigger(given)
  self.firing = trigger.of("windowed:trigger", given)
  return self
end

--- What is dropped from the contents before or after a result is made of them: see `weir.evictor`.
---@param given weir.Evictor
---@return weir.WindowedStream
function methods:evictor(given)
  self.dropping = evictor.of("windowed:evictor", given)
  return self
end

---------------------------------------------------------------- the operator in Lua

local defaults = { event = trigger.event_time, processing = trigger.processing_time, none = trigger.never }

local function trigger_states(t, prefix, out)
  for name, d in pairs(t.state or {}) do out[prefix .. name] = d end
  for i, inner in ipairs(t.inner or {}) do trigger_states(inner, prefix .. i .. ".", out) end
end

local function copy_states(declared, prefix, out)
  for name, d in pairs(declared or {}) do out[prefix .. name] = d end
end

-- `spec`: what the operator does with contents (internal/window.lua).
local function scripted(self, what, verb, spec)
  local w = self.window
  spec.assign, spec.merging, spec.join, spec.time = w.assign, w.merging, w.join, w.time
  spec.lateness, spec.late, spec.stagger, spec.size = self.lateness, self.late, w.stagger, w.size
  spec.trigger = self.firing or w.trigger or defaults[w.time]()
  spec.evictor = self.dropping or w.evictor
  if w.merging and not spec.trigger.merge then
    fail("%s: the windows merge, and the trigger has no merge function, so it cannot (M7)", what)
  end
  local own_state = w.merging and next(spec.window_state or {})
  if own_state then
    fail('%s: the state "%s" belongs to a window, and windows that merge have none (M8): declare it as global_state',
      what, own_state)
  end
  if w.merging and spec.add and not spec.evictor and not spec.merge then
    fail("%s: the windows merge, and %s has no merge function", what, spec.unmergeable)
  end
  if spec.evictor then spec.pick = nil end
  local states = { contents = spec.add and not spec.evictor and state.value() or state.list() }
  if spec.pick then states.pending = state.list() end
  if spec.evictor then states.times = state.list() end
  if w.merging then states.merging = state.value() end
  trigger_states(spec.trigger, "trigger.", states)
  copy_states(spec.window_state, "window.", states)
  copy_states(spec.global_state, "global.", states)
  return self.operator("window_process", verb, {
    fn = { window = spec, state = states }, late = self.late, all = not self.key, emits = spec.process ~= nil,
    options = { on_end = w.on_end },
  })
end

---------------------------------------------------------------- results

-- Adds the key and the bounds of the window to a result; the global window has none.
local function with_bounds(record, start, stop)
  if stop < math.huge then record.window_start, record.window_end = start, stop end
end

local function finish_aggregates(names)
  return function(record, start, stop, key)
    if #names == 1 then
      record[names[1]] = key()
    elseif #names > 1 then
      local parts = { key() }
      for i, name in ipairs(names) do record[name] = parts[i] end
    end
    with_bounds(record, start, stop)
  end
end

local process_type = options.type("a function, or a table with process =", function(v)
  return type(v) == "function" or type(v) == "table", v
end)

---@class weir.WindowFunction A process function of windows that has state, or is told when a window goes.
---@field process fun(ctx: weir.WindowContext, contents: any) called at each firing: with the list of records, behind
--- `reduce` or `aggregate` with what they made of them
---@field clear? fun(ctx: weir.WindowContext) the window goes
---@field state? table<string, weir.StateDescriptor> of each window, with which it goes; windows that merge have none
--- (M8)
---@field global_state? table<string, weir.StateDescriptor> of the key, over all windows: it stays

---@class weir.WindowContext What a process function of windows is given. Declared states are fields of it, by name.
---@field window fun(self): number, number start and end of the window
---@field key fun(self): weir.Scalar ...
---@field emit fun(self, record: any)
---@field side fun(self, tag: string, record: any) to a side output, see `stream:side_output`
---@field timestamp fun(self): number of what is emitted: the window's last ms
---@field now fun(self): number ms of the clock
---@field watermark fun(self): number?
---@field random fun(self): number in [0, 1)

-- The parts of a process function, into `spec`.
local function add_process(what, spec, fn)
  if fn == nil then return end
  options.value(what, "the process function", fn, process_type)
  if type(fn) == "function" then fn = { process = fn } end
  local o = options.check(what, fn, {
    process = options.fn, clear = options.fn:optional(), state = state.declarations:optional(),
    global_state = state.declarations:optional(),
  })
  for name in pairs(o.global_state or {}) do
    if o.state and o.state[name] then fail('%s: "%s" is both a state of the window and of the key', what, name) end
  end
  for _, declared in ipairs { o.state or {}, o.global_state or {} } do
    if declared.window then fail('%s: ctx has a method "window": call the state otherwise', what) end
  end
  spec.process, spec.clear, spec.window_state, spec.global_state = o.process, o.clear, o.state, o.global_state
end

--- A function for all records of a window, in a list in the order of arrival.
---
---   :process(function(ctx, records)
---     local start, stop = ctx:window()
---     ctx:emit { user = ctx:key(), visits = #records, from = start, to = stop }
---   end)
---
--- With state of each window, or of the key over all of its windows:
---
---   :process {
---     global_state = { most = weir.state.value() },
---     process = function(ctx, records)
---       if #records > (ctx.most:get() or 0) then
---         ctx.most:set(#records)
---         ctx:emit { user = ctx:key(), record = #records }
---       end
---     end,
---   }
---@param fn fun(ctx: weir.WindowContext, records: any[])|weir.WindowFunction
---@return weir.Stream
function methods:process(fn)
  local spec = {}
  options.value("windowed:process", "the process function", fn, process_type)
  add_process("windowed:process", spec, fn)
  return scripted(self, "windowed:process", "process", spec)
end

--- Folds the records of a window into one, which is the result, with `window_start` and `window_end`. A
--- process function behind it gets the record instead.
---
---   :reduce(function(a, b) return a.price >= b.price and a or b end)
---@param fn fun(a: any, b: any): any
---@param process? fun(ctx: weir.WindowContext, record: any)|weir.WindowFunction
---@return weir.Stream
function methods:reduce(fn, process)
  local what = "windowed:reduce"
  options.value(what, "its argument", fn, options.fn)
  local function reduce(a, b)
    local c = fn(a, b)
    if c == nil then error("the function of reduce returned nil", 0) end
    return c
  end
  local spec = {
    add = function(acc, rec)
      if acc == nil then return rec end
      return reduce(acc, rec)
    end,
    merge = reduce,
    finish = with_bounds,
  }
  if not process then
    spec.result = function(rec)
      if type(rec) ~= "table" then return { value = rec } end
      return rec
    end
  end
  add_process(what, spec, process)
  return scripted(self, what, "reduce", spec)
end

---------------------------------------------------------------- aggregates

local reserved = { window_start = true, window_end = true }

local function check_name(what, self, name)
  if type(name) ~= "string" or name == "" then
    fail("%s: the name of an aggregate is a string, not %s", what, options.shown(name))
  end
  if reserved[name] then fail('%s: "%s" is the name of a field that each result has', what, name) end
  for _, key in ipairs(self.key and self.key.as or {}) do
    if key == name then
      fail('%s: "%s" is the name of a key field, which each result has: take another', what, name)
    end
  end
end

-- { name = aggregate } as a list of { as, aggregate } in the order of the names.
local function checked(what, self, aggregates)
  if type(aggregates) ~= "table" or agg.is(aggregates) then
    fail("%s takes a table of aggregates, { n = weir.agg.count() }, not %s", what,
      agg.is(aggregates) and "one alone" or options.shown(aggregates))
  end
  local list = {}
  for name, given in pairs(aggregates) do
    check_name(what, self, name)
    local a = agg.of(what, given)
    if not a then
      fail('%s: "%s" must be an aggregate such as weir.agg.sum "amount", not %s', what, name,
        given == rawget(agg, name) and "the function itself: call it" or options.shown(given))
    end
    list[#list + 1] = { as = name, aggregate = a }
  end
  if #list == 0 then fail("%s: no aggregates: { n = weir.agg.count() }", what) end
  if #list > AGGREGATES_MAX then fail("%s: more than %d aggregates", what, AGGREGATES_MAX) end
  table.sort(list, function(a, b) return a.as < b.as end)
  return list
end

-- The trigger of a window without time, as the operator in C has it; nil: it has not.
local function counting(self)
  local w, t = self.window, self.firing or self.window.trigger
  return (w.kind == "global" or w.kind == "count") and not w.evictor and t and t.native or nil
end

-- The same for early results.
local function early(self)
  local w = self.window
  return w.kind == "tumbling" and w.time == "event" and self.firing and self.firing.early or nil
end

-- Can the window run in C?
local function is_native(self, list, process)
  if process or self.dropping then return false end
  if not counting(self) and not early(self) and (self.firing or not self.window.native) then return false end
  for _, each in ipairs(list) do
    if not each.aggregate.fn then return false end
  end
  return true
end

local function declared_of(list)
  local declared = {}
  for i, each in ipairs(list) do
    declared[i] = { as = each.as, fn = each.aggregate.fn, field = each.aggregate.field }
  end
  return declared
end

--- Aggregates for an operator in C that takes no others.
---@private
function M.declared(what, aggregates)
  local list = checked(what, {}, aggregates)
  for _, each in ipairs(list) do
    if not each.aggregate.fn then
      fail('%s: "%s" must be a count, sum, avg, min, max or stddev of weir.agg', what, each.as)
    end
  end
  return declared_of(list)
end

local function native(self, verb, list)
  local w, count, so_far = self.window, counting(self), early(self)
  if count then
    return self.operator("window", verb, {
      native = true, states = "value", late = self.late, all = not self.key,
      options = {
        window = "count", time = "none", every = count.every, purge = count.purge or false, at_end = count.at_end,
        aggregates = declared_of(list), key_as = self.key and self.key.as or {},
      },
    })
  end
  return self.operator("window", verb, {
    native = true, states = "value", late = self.late, all = not self.key,
    options = {
      window = w.kind, gap = w.gap, stagger = w.stagger, size = w.size, slide = w.slide, offset = w.offset,
      time = w.time, on_end = w.on_end, lateness = self.lateness, late = self.late, aggregates = declared_of(list),
      early = so_far and so_far.every, early_time = so_far and so_far.time,
      key_as = self.key and self.key.as or {},
    },
  })
end

-- Where an accumulator is large it is not read and written for every record: what it needs of records waits in a
-- list, and is added many at a time.
local function wait_in_list(spec, list)
  local large = false
  for _, each in ipairs(list) do
    if not each.aggregate.pick then return end
    large = large or each.aggregate.large
  end
  if not large then return end
  local alone = #list == 1 and list[1].aggregate.whole -- without a record around it
  function spec.pick(rec)
    if alone then return list[1].aggregate.pick(rec) end
    local picked = {}
    for _, each in ipairs(list) do picked[each.as] = each.aggregate.pick(rec) end
    return picked
  end
  function spec.fold(acc, waiting)
    for _, each in ipairs(list) do
      local as, fold = each.as, each.aggregate.fold
      local sum = acc[as]
      for i = 1, #waiting do
        local picked = waiting[i]
        if not alone then picked = picked[as] end
        sum = fold(sum, picked)
      end
      acc[as] = sum
    end
    return acc
  end
end

-- All aggregates as one: an accumulator with a field for each.
local function combined(list)
  local spec, mergeable = {}, true
  wait_in_list(spec, list)
  for _, each in ipairs(list) do
    if not each.aggregate.merge then
      spec.unmergeable = ('the aggregate "%s"'):format(each.as)
      mergeable = false
    end
  end
  function spec.init()
    local acc = {}
    for _, each in ipairs(list) do
      if each.aggregate.init then acc[each.as] = each.aggregate.init() end
    end
    return acc
  end
  function spec.add(acc, rec)
    for _, each in ipairs(list) do acc[each.as] = each.aggregate.add(acc[each.as], rec) end
    return acc
  end
  spec.merge = mergeable and function(a, b)
    for _, each in ipairs(list) do
      local x, y = a[each.as], b[each.as]
      if x == nil then
        a[each.as] = y
      elseif y ~= nil then
        a[each.as] = each.aggregate.merge(x, y)
      end
    end
    return a
  end or nil
  function spec.result(acc)
    local out = {}
    for _, each in ipairs(list) do
      local result, v = each.aggregate.result, acc[each.as]
      if result and v ~= nil then v = result(v) end
      out[each.as] = v
    end
    return out
  end
  return spec
end

-- A result has the bounds of its own window, and no room beside them for a key that is called like them.
local function check_bounds(what, self)
  local key, taken, fields, names = self.key, nil, {}, {}
  if not key or self.window.time == "none" then return end
  for i, as in ipairs(key.as) do
    taken = taken or reserved[as] and as
    fields[i] = "r." .. key.names[i]
    names[i] = ('"%s"'):format(reserved[as] and as:gsub("^window", "of") or as)
  end
  if not taken then return end
  fail('%s: a result has the "%s" of its own window, and cannot have that of the key beside it: name the key '
    .. "otherwise, key_by(%s, %s), or take a process function", what, taken, key.names[1]:byte() == 1 and "fn"
    or ("function(r) return %s end"):format(table.concat(fields, ", ")), table.concat(names, ", "))
end

local function draw(self, what, verb, aggregates, process)
  local list = checked(what, self, aggregates)
  if not process then check_bounds(what, self) end
  if is_native(self, list, process) then return native(self, verb, list) end
  local spec = combined(list)
  spec.finish = finish_aggregates(self.key and self.key.as or {})
  add_process(what, spec, process)
  return scripted(self, what, verb, spec)
end

--- One record a key and window with the aggregates as fields; see `weir.agg`. A process function behind them
--- gets that record, without key and bounds, and emits itself.
---
---   :aggregate { n = weir.agg.count(), total = weir.agg.sum "amount" }
---
---   :aggregate({ n = weir.agg.count() }, function(ctx, result)
---     local _, stop = ctx:window()
---     ctx:emit { user = ctx:key(), n = result.n, until_ms = stop }
---   end)
---@param aggregates table<string, weir.Aggregate>
---@param process? fun(ctx: weir.WindowContext, result: table)|weir.WindowFunction
---@return weir.Stream
function methods:aggregate(aggregates, process)
  return draw(self, "windowed:aggregate", "aggregate", aggregates, process)
end

--- How many records: { key…, count =, window_start =, window_end = }.
---@param opts? { as?: string }
---@return weir.Stream
function methods:count(opts)
  local o = options.check("windowed:count", opts, { as = options.string:default "count" }, "as")
  return draw(self, "windowed:count", "count", { [o.as] = agg.count() })
end

local function of_field(fn)
  local what = "windowed:" .. fn
  return function(self, field, opts)
    if type(field) == "table" and opts == nil then field, opts = field.field, field end
    options.value(what, "the field", field, options.string)
    local o = options.check(what, opts, { as = options.string:optional(), field = options.string:optional() })
    local as = o.as or field:match "[^.]+$"
    return draw(self, what, fn, { [as] = agg[fn](field) })
  end
end

--- The sum of a field: { key…, field = sum, window_start =, window_end = }.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.sum = of_field "sum"

--- The mean of a field.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.avg = of_field "avg"

--- The smallest value of a numeric field.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.min = of_field "min"

--- The largest value of a numeric field.
---@param field string
---@param opts? { as?: string }
---@return weir.Stream
methods.max = of_field "max"

local function by_field(name)
  local what = "windowed:" .. name
  return function(self, field)
    options.value(what, "the field", field, options.string)
    local pick = agg[name](field)
    return scripted(self, what, name, {
      add = pick.add, merge = pick.merge, finish = with_bounds, result = function(rec) return rec end,
    })
  end
end

--- The whole record with the smallest value of a field, with `window_start` and `window_end`; of equal ones the
--- first.
---@param field string
---@return weir.Stream
methods.min_by = by_field "min_by"

--- The whole record with the largest value of a field, with `window_start` and `window_end`; of equal ones the
--- first.
---@param field string
---@return weir.Stream
methods.max_by = by_field "max_by"

--- A windowed stream. `operator(kind, verb, fields)` draws the operator on the stream behind it.
---@private
function M.new(what, key, assigner, operator)
  return {
    key = key, operator = operator, lateness = 0, late = "late", firing = false, dropping = false,
    window = options.value(what, "its argument", assigner, window.type),
  }
end

return M
