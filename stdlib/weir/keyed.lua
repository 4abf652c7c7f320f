-- SPDX-License-Identifier: Apache-2.0
--- What one often does with the records of a key, as functions for `stream:key_by(…):process(…)`.
---
---   local keyed = require "weir.keyed"
---   clicks:key_by "id":process(keyed.deduplicate { within = "1h" })

local weir = require "weir"
local options = require "weir.options"
local duration = require "weir.duration"

local M = {}

local function time_of(ctx, what)
  return ctx:timestamp() or error(what .. " needs event time: put :watermarks(…) before :key_by", 0)
end

-- A copy of a record with one more field.
local function with(rec, name, value)
  if type(rec) ~= "table" then rec = { value = rec } end
  local out = {}
  for k, v in pairs(rec) do out[k] = v end
  out[name] = value
  return out
end

-- The record of a key with the least (sign −1) or greatest time so far, as changes.
local function by_time(o, sign)
  return weir.process_function {
    state = { kept = weir.state.value { ttl = o.within } },
    element = function(ctx, rec)
      local time, kept = time_of(ctx, "keyed.deduplicate"), ctx.kept:get()
      if kept and (sign * time < sign * kept.time or sign < 0 and time == kept.time) then return end
      if kept then ctx:emit(kept.rec, kept.time, "update_before") end
      ctx.kept:set { rec = rec, time = time }
      ctx:emit(rec, time, kept and "update_after" or "insert")
    end,
  }
end

---@class weir.keyed.DeduplicateOptions
---@field keep? "first"|"last"|"earliest"|"latest" default first
---@field within? weir.Duration a key is forgotten so long (processing time; default: never) after its first
--- record, or after what is kept was last replaced. last: needed; the last record of each such stretch of event
--- time is given at its end
---@field late_to? string last: side output for records whose stretch is over

--- One record a key: the first that came, at once; the last of each stretch of time; or that with the earliest
--- or latest event time so far, which is taken back (update_before) when a better one comes (update_after).
---@param opts? weir.keyed.DeduplicateOptions
---@return weir.ProcessFunction
function M.deduplicate(opts)
  local o = options.check("keyed.deduplicate", opts, {
    keep = options.one_of("first", "last", "earliest", "latest"):default "first", within = duration.positive:optional(),
    late_to = options.string:optional(),
  })
  if o.keep == "first" then
    return weir.process_function {
      state = { seen = weir.state.value { ttl = o.within } },
      element = function(ctx, rec)
        if ctx.seen:get() then return end
        ctx.seen:set(true)
        ctx:emit(rec)
      end,
    }
  end
  if o.keep ~= "last" then return by_time(o, o.keep == "latest" and 1 or -1) end
  local within = o.within
    or require("weir.where").fail 'keyed.deduplicate: keep = "last" needs within = …: when is a record the last?'
  return weir.process_function {
    state = { last = weir.state.map() },
    element = function(ctx, rec)
      local time, watermark = time_of(ctx, "keyed.deduplicate"), ctx:watermark()
      local stretch = time - time % within
      if watermark and stretch + within - 1 <= watermark then return ctx:late(rec, o.late_to) end
      local last = ctx.last:get(stretch)
      if not last or time >= last.time then ctx.last:put(stretch, { rec = rec, time = time }) end
      if not last then ctx:event_timer(stretch + within - 1) end
    end,
    timer = function(ctx, time)
      local stretch = time + 1 - within
      local last = ctx.last:get(stretch)
      ctx.last:remove(stretch)
      ctx:emit(last.rec, last.time)
    end,
  }
end

---@class weir.keyed.TopOptions
---@field n integer how many
---@field by string numeric field to rank by
---@field order? "most"|"least" default most
---@field changes? boolean gives the records themselves as they come among the n best (insert) and drop out of them
--- (delete), in place of the whole list; default false
---@field retract? boolean records may be taken back (kind delete or update_before), so all of them are kept, not
--- only the n best; default false: such a record is an error

local function is_taken_back(ctx)
  local kind = ctx:kind()
  return kind == "delete" or kind == "update_before"
end

local function rank_of(rec, by)
  local value = rec[by]
  if type(value) ~= "number" or value ~= value then error(("keyed.top: field %q is no number"):format(by), 0) end
  return value
end

-- What only comes: more than the n best need not be kept.
local function top_of_all(o)
  local n, by, sign = o.n, o.by, o.order == "most" and 1 or -1
  return weir.process_function {
    state = { top = weir.state.value() },
    element = function(ctx, rec)
      if is_taken_back(ctx) then
        error("keyed.top: a record is taken back (" .. ctx:kind() .. "); with retract = true that can be done", 0)
      end
      local value, top = rank_of(rec, by), ctx.top:get() or {}
      local at = #top + 1
      while at > 1 and sign * top[at - 1][by] < sign * value do at = at - 1 end
      if at > n then return end
      table.insert(top, at, rec)
      local out = top[n + 1]
      top[n + 1] = nil
      ctx.top:set(top)
      if not o.changes then return ctx:emit({ top = top }, nil, "insert") end
      if out ~= nil then ctx:emit(out, nil, "delete") end
      ctx:emit(rec, nil, "insert")
    end,
  }
end

-- Do two records hold the same?
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for name, v in pairs(a) do
    if not same(v, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

-- What comes and is taken back. An entry is { rec =, number = of its coming }: the n best lie in a list, the others
-- in a map by number, which is gone through only when something is taken back.
local function top_of_changes(o)
  local n, by, sign = o.n, o.by, o.order == "most" and 1 or -1

  local function is_better(a, b)
    local x, y = sign * a.rec[by], sign * b.rec[by]
    if x ~= y then return x > y end
    return a.number < b.number
  end

  -- The list takes the entry, and gives the one that drops out of it.
  local function insert(top, entry)
    local at = #top + 1
    while at > 1 and is_better(entry, top[at - 1]) do at = at - 1 end
    table.insert(top, at, entry)
    return table.remove(top, n + 1)
  end

  -- The list loses the record; gives its entry, and the best of the others, which takes the last place.
  local function remove(top, others, rec)
    local gone, next_best
    for at, each in ipairs(top) do
      if same(each.rec, rec) then
        gone = table.remove(top, at)
        break
      end
    end
    if not gone then return end
    for _, each in others:iter() do
      if not next_best or is_better(each, next_best) then next_best = each end
    end
    if next_best then
      others:remove(next_best.number)
      top[n] = next_best
    end
    return gone, next_best
  end

  local function remove_other(others, rec)
    for number, each in others:iter() do
      if same(each.rec, rec) then return others:remove(number) end
    end
  end

  local function send(ctx, top, gone, come)
    ctx.top:set(top)
    if not o.changes then
      local list = {}
      for i, each in ipairs(top) do list[i] = each.rec end
      return ctx:emit({ top = list }, nil, "insert")
    end
    if gone then ctx:emit(gone.rec, nil, "delete") end
    if come then ctx:emit(come.rec, nil, "insert") end
  end

  return weir.process_function {
    state = { top = weir.state.value(), others = weir.state.map(), number = weir.state.value() },
    element = function(ctx, rec)
      local top = ctx.top:get() or {}
      rank_of(rec, by)
      if is_taken_back(ctx) then
        local gone, come = remove(top, ctx.others, rec)
        if not gone then return remove_other(ctx.others, rec) end
        return send(ctx, top, gone, come)
      end
      local entry = { rec = rec, number = (ctx.number:get() or 0) + 1 }
      ctx.number:set(entry.number)
      local out = insert(top, entry)
      if out then ctx.others:put(out.number, out) end
      if out ~= entry then send(ctx, top, out, entry) end
    end,
  }
end

--- The n best records of a key so far: { top = list }, best first, whenever the list changes, or its changes. Of
--- equals the earlier one ranks first. A record that is taken back and is not there is passed over.
---@param opts weir.keyed.TopOptions
---@return weir.ProcessFunction
function M.top(opts)
  local o = options.check("keyed.top", opts, {
    n = options.integer_in(1, 10000), by = options.string, order = options.one_of("most", "least"):default "most",
    changes = options.boolean:default(false), retract = options.boolean:default(false),
  })
  return (o.retract and top_of_changes or top_of_all)(o)
end

---@class weir.keyed.LastOptions
---@field n integer how many
---@field as? string name of the list; default "last"

--- Each record with the last n records of its key, itself among them, oldest first.
---@param opts weir.keyed.LastOptions|integer
---@return weir.ProcessFunction
function M.last(opts)
  local o = options.check("keyed.last", opts, {
    n = options.integer_in(1, 10000), as = options.string:default "last",
  }, "n")
  return weir.process_function {
    state = { ring = weir.state.value() },
    element = function(ctx, rec)
      local ring = ctx.ring:get() or {}
      if #ring == o.n then table.remove(ring, 1) end
      ring[#ring + 1] = rec
      ctx.ring:set(ring)
      ctx:emit(with(rec, o.as, ring))
    end,
  }
end

---@class weir.keyed.RunningOptions
---@field fn "count"|"sum"|"avg"|"min"|"max"
---@field field? string a number; not for count
---@field rows? integer over the last so many records, this one included; default: all
---@field within? weir.Duration over the records of so long a time up to this one's; in place of `rows`
---@field as? string name of the result; default "running"

local folds = {
  count = function(list) return #list end,
  sum = function(list)
    local sum = 0
    for _, v in ipairs(list) do sum = sum + v end
    return sum
  end,
  min = function(list)
    local least = list[1]
    for _, v in ipairs(list) do least = math.min(least, v) end
    return least
  end,
  max = function(list)
    local most = list[1]
    for _, v in ipairs(list) do most = math.max(most, v) end
    return most
  end,
}
function folds.avg(list) return folds.sum(list) / #list end

local function number_of(rec, field)
  local value = rec[field]
  if type(value) ~= "number" then error(("keyed.running: field %q is no number"):format(tostring(field)), 0) end
  return value
end

-- Over all records: what is kept does not grow.
local function running_all(o)
  return weir.process_function {
    state = { total = weir.state.value() },
    element = function(ctx, rec)
      local v = o.fn == "count" and 1 or number_of(rec, o.field)
      local t = ctx.total:get() or { count = 0, sum = 0, min = v, max = v }
      t = { count = t.count + 1, sum = t.sum + v, min = math.min(t.min, v), max = math.max(t.max, v) }
      ctx.total:set(t)
      ctx:emit(with(rec, o.as, o.fn == "avg" and t.sum / t.count or t[o.fn]))
    end,
  }
end

--- Each record with an aggregate over its key's records up to it: all of them, the last `rows`, or those of a
--- stretch of event time, (time − within, time]. With `within`, records of a key must come in order of time; what
--- comes later than that is given, but what was over before it came is not counted.
---@param opts weir.keyed.RunningOptions
---@return weir.ProcessFunction
function M.running(opts)
  local o = options.check("keyed.running", opts, {
    fn = options.one_of("count", "sum", "avg", "min", "max"), field = options.string:optional(),
    rows = options.integer_in(1, 1000):optional(), within = duration.positive:optional(),
    as = options.string:default "running",
  })
  local fail = require("weir.where").fail
  if o.fn ~= "count" and not o.field then fail("keyed.running: %s needs field = …", o.fn) end
  if o.rows and o.within then fail "keyed.running: rows and within exclude each other" end
  if not o.rows and not o.within then return running_all(o) end
  local fold = folds[o.fn]
  return weir.process_function {
    state = { ring = weir.state.value() },
    element = function(ctx, rec)
      local ring = ctx.ring:get() or { values = {}, times = {} }
      local values, times = ring.values, ring.times
      local time = o.within and time_of(ctx, "keyed.running") or 0
      while #values > 0 and (o.rows and #values >= o.rows or o.within and times[1] <= time - o.within) do
        table.remove(values, 1)
        table.remove(times, 1)
      end
      values[#values + 1] = o.fn == "count" and 1 or number_of(rec, o.field)
      times[#times + 1] = time
      ctx.ring:set(ring)
      ctx:emit(with(rec, o.as, fold(values)))
    end,
  }
end

---@class weir.keyed.SessionizeOptions
---@field gap weir.Duration a session ends when nothing came for longer than this
---@field as? string name of the field; default "session"

--- Marks each record with its session: the event time at which the session began. Records of a key must come
--- in order of time up to `gap`; earlier ones count to the present session.
---@param opts weir.keyed.SessionizeOptions
---@return weir.ProcessFunction
function M.sessionize(opts)
  local o = options.check("keyed.sessionize", opts, {
    gap = duration.positive, as = options.string:default "session",
  })
  return weir.process_function {
    state = { session = weir.state.value() },
    element = function(ctx, rec)
      local time = time_of(ctx, "keyed.sessionize")
      local session = ctx.session:get()
      if not session or time > session.last + o.gap then session = { from = time, last = time } end
      session.last = math.max(session.last, time)
      ctx.session:set(session)
      ctx:event_timer(session.last + o.gap)
      ctx:emit(with(rec, o.as, session.from))
    end,
    timer = function(ctx, time)
      local session = ctx.session:get()
      if session and session.last + o.gap <= time then ctx.session:clear() end
    end,
  }
end

---@class weir.keyed.FillOptions
---@field every weir.Duration one record is expected in each such step
---@field max? integer a gap of more steps stays as it is, with none of them filled in; default 1000
---@field as? string field that is true in records that were filled in; default "filled"

--- Fills gaps: where a key has no record for more than `every`, the last one is repeated at each step up to
--- the next record, unless that takes more than `max`.
---@param opts weir.keyed.FillOptions
---@return weir.ProcessFunction
function M.fill(opts)
  local o = options.check("keyed.fill", opts, {
    every = duration.positive, max = options.integer_in(1, 1000000):default(1000),
    as = options.string:default "filled",
  })
  return weir.process_function {
    state = { last = weir.state.value(), time = weir.state.value() },
    element = function(ctx, rec)
      local time = time_of(ctx, "keyed.fill")
      local before = ctx.time:get()
      if before and time <= before then return ctx:emit(rec) end
      if before then
        local missing = math.ceil((time - before) / o.every) - 1
        if missing > 0 and missing <= o.max then
          local copy = with(ctx.last:get(), o.as, true)
          for i = 1, missing do ctx:emit(copy, before + i * o.every) end
        end
      end
      ctx.last:set(rec)
      ctx.time:set(time)
      ctx:emit(rec)
    end,
  }
end

---@class weir.keyed.RateOptions
---@field field string a number that grows, such as a counter
---@field per? weir.Duration default "1s"
---@field as? string name of the result; default "rate"

--- How fast a number changes: each record but a key's first, with the change since the one before divided
--- by the event time between them. Records that are not later than the one before are passed over.
---@param opts weir.keyed.RateOptions|string
---@return weir.ProcessFunction
function M.rate(opts)
  local o = options.check("keyed.rate", opts, {
    field = options.string, per = duration.positive:default(1000), as = options.string:default "rate",
  }, "field")
  return weir.process_function {
    state = { value = weir.state.value(), time = weir.state.value() },
    element = function(ctx, rec)
      local time, now = time_of(ctx, "keyed.rate"), rec[o.field]
      if type(now) ~= "number" then error(("keyed.rate: field %q is no number"):format(o.field), 0) end
      local before, at = ctx.value:get(), ctx.time:get()
      if at and time <= at then return end
      ctx.value:set(now)
      ctx.time:set(time)
      if at then ctx:emit(with(rec, o.as, (now - before) / (time - at) * o.per)) end
    end,
  }
end

return M
