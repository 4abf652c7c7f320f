-- SPDX-License-Identifier: Apache-2.0
--- Joins of two keyed streams, as functions for `a:connect(b):key_by(…):process(…)`.
---
---   local joins = require "weir.joins"
---   orders:connect(payments):key_by "order"
---     :process(joins.interval { lower = "0s", upper = "1h", kind = "left" })
---
--- Time is event time: every record needs a timestamp, so both streams have `:watermarks(…)`. A result is
--- what `join(left, right)` gives, by default { left =, right = }; nil gives no result.

local weir = require "weir"
local options = require "weir.options"
local duration = require "weir.duration"
local where = require "weir.where"

local max = math.max

local M = {}

local function both(left, right) return { left = left, right = right } end

local kinds = options.one_of("inner", "left", "right", "full")
local tag = options.string:optional()

local function time_of(ctx)
  return ctx:timestamp() or error("a join needs event time: put :watermarks(…) on both streams", 0)
end

local function is_late(ctx, time)
  local watermark = ctx:watermark()
  return watermark ~= nil and time < watermark
end

-- Buffers: a map state from a time to the records of that time, each { rec =, met = }.
local function add(buffer, time, rec, met)
  local list = buffer:get(time) or {}
  list[#list + 1] = { rec = rec, met = met }
  buffer:put(time, list)
end

---------------------------------------------------------------- interval

---@class weir.joins.IntervalOptions
---@field lower weir.Duration the right record's time is at least the left one's plus this (may be negative)
---@field upper weir.Duration … and at most the left one's plus this
---@field lower_exclusive? boolean default false
---@field upper_exclusive? boolean default false
---@field kind? "inner"|"left"|"right"|"full" left and right: records without a partner come with nil for it, once
--- no partner can come any more; default inner
---@field join? fun(left: any, right: any): any
---@field late_to? string side output for records behind the watermark; without it they are counted and dropped

-- Meets the other side's records in [from, to]; tells if there were any.
local function meet(ctx, buffer, from, to, time, deliver, mark)
  local found = false
  for other, list in buffer:iter() do
    if other >= from and other <= to then
      found = true
      for _, entry in ipairs(list) do
        deliver(ctx, entry.rec, max(time, other))
        entry.met = true
      end
      if mark then buffer:put(other, list) end
    end
  end
  return found
end

--- Pairs of records whose times are near each other: left.time + lower ≤ right.time ≤ left.time + upper. A
--- result has the later of the two times.
---@param opts weir.joins.IntervalOptions
---@return weir.ProcessFunction
function M.interval(opts)
  local o = options.check("joins.interval", opts, {
    lower = duration.any, upper = duration.any,
    lower_exclusive = options.boolean:optional(), upper_exclusive = options.boolean:optional(),
    kind = kinds:default "inner", join = options.fn:default(both), late_to = tag,
  })
  if o.lower > o.upper then where.fail("joins.interval: lower is above upper") end
  local lower = o.lower_exclusive and o.lower + 1 or o.lower
  local upper = o.upper_exclusive and o.upper - 1 or o.upper
  local left_stays, right_stays = max(upper, 0), max(-lower, 0)
  local alone_left = o.kind == "left" or o.kind == "full"
  local alone_right = o.kind == "right" or o.kind == "full"
  local mark = o.kind ~= "inner"

  local function emit(ctx, left, right, time)
    local result = o.join(left, right)
    if result ~= nil then ctx:emit(result, time) end
  end

  -- What had no partner goes out alone when its time in the buffer is over.
  local function drop(ctx, buffer, time, alone, swap)
    local list = buffer:get(time)
    if not list then return end
    for _, entry in ipairs(alone and list or {}) do
      if not entry.met then
        if swap then emit(ctx, nil, entry.rec, time) else emit(ctx, entry.rec, nil, time) end
      end
    end
    buffer:remove(time)
  end

  return weir.co_process_function {
    state = { left = weir.state.map(), right = weir.state.map() },
    element1 = function(ctx, rec)
      local time = time_of(ctx)
      if is_late(ctx, time) then return ctx:late(rec, o.late_to) end
      local met = meet(ctx, ctx.right, time + lower, time + upper, time,
        function(c, other, at) emit(c, rec, other, at) end, mark)
      add(ctx.left, time, rec, met)
      ctx:event_timer(time + left_stays)
    end,
    element2 = function(ctx, rec)
      local time = time_of(ctx)
      if is_late(ctx, time) then return ctx:late(rec, o.late_to) end
      local met = meet(ctx, ctx.left, time - upper, time - lower, time,
        function(c, other, at) emit(c, other, rec, at) end, mark)
      add(ctx.right, time, rec, met)
      ctx:event_timer(time + right_stays)
    end,
    timer = function(ctx, time)
      drop(ctx, ctx.left, time - left_stays, alone_left, false)
      drop(ctx, ctx.right, time - right_stays, alone_right, true)
    end,
  }
end

---------------------------------------------------------------- windows

---@class weir.joins.CogroupOptions
---@field size weir.Duration of the windows
---@field slide? weir.Duration sliding windows; default: tumbling, slide = size
---@field offset? weir.Duration of the windows' starts; default 0
---@field lateness? weir.Duration a window takes records, and is made again, so long after its end; default 0
---@field late_to? string side output for records all of whose windows are over
---@field fn fun(left: any[], right: any[], emit: fun(record: any), window: { from: number, to: number })

local cogroup_options = {
  size = duration.positive, slide = duration.positive:optional(), offset = duration.any:default(0),
  lateness = duration.not_negative:default(0), late_to = tag,
}

local WINDOWS_MAX = 100000 -- of one record

-- Both sides of a window are lists in maps by the window's start; a timer at its last ms makes it.
local function cogroup(what, o)
  local size, slide = o.size, o.slide or o.size
  if size / slide > WINDOWS_MAX then
    where.fail("%s: a record would be in %.0f windows, more than %d: take a larger slide", what, size / slide,
      WINDOWS_MAX)
  end

  local function make(ctx, from)
    local window = { from = from, to = from + size }
    o.fn(ctx.left:get(from) or {}, ctx.right:get(from) or {}, function(rec)
      ctx:emit(rec, window.to - 1)
    end, window)
  end

  local function take(name)
    return function(ctx, rec)
      local time, watermark = time_of(ctx), ctx:watermark()
      local late, any = true, false
      local from = time - (time - o.offset) % slide
      while from > time - size do
        any = true
        if not watermark or from + size - 1 + o.lateness > watermark then
          late = false
          local list = ctx[name]:get(from) or {}
          list[#list + 1] = rec
          ctx[name]:put(from, list)
          ctx:event_timer(from + size - 1 + o.lateness)
          if watermark and from + size - 1 <= watermark then make(ctx, from) else ctx:event_timer(from + size - 1) end
        end
        from = from - slide
      end
      if late and any then ctx:late(rec, o.late_to) end
    end
  end

  return weir.co_process_function {
    state = { left = weir.state.map(), right = weir.state.map() },
    element1 = take "left",
    element2 = take "right",
    timer = function(ctx, time)
      local from, over = time + 1 - size, time + 1 - size - o.lateness
      if (from - o.offset) % slide == 0 and (ctx.left:contains(from) or ctx.right:contains(from)) then
        make(ctx, from)
      end
      if (over - o.offset) % slide == 0 then
        ctx.left:remove(over)
        ctx.right:remove(over)
      end
    end,
  }
end

--- Windows of both streams: `fn` gets the records of each side (perhaps none, J8) when a window ends.
---@param opts weir.joins.CogroupOptions
---@return weir.ProcessFunction
function M.cogroup(opts)
  local declared = { fn = options.fn }
  for name, kind in pairs(cogroup_options) do declared[name] = kind end
  return cogroup("joins.cogroup", options.check("joins.cogroup", opts, declared))
end

---@class weir.joins.WindowOptions
---@field size weir.Duration of the windows
---@field slide? weir.Duration sliding windows; default: tumbling
---@field offset? weir.Duration default 0
---@field lateness? weir.Duration default 0
---@field late_to? string
---@field kind? "inner"|"left"|"right"|"full" default inner
---@field join? fun(left: any, right: any): any

--- All pairs of records that share a window; with kind left, right or full also those of a window that has
--- none of the other side.
---@param opts weir.joins.WindowOptions
---@return weir.ProcessFunction
function M.window(opts)
  local declared = { kind = kinds:default "inner", join = options.fn:default(both) }
  for name, kind in pairs(cogroup_options) do declared[name] = kind end
  local o = options.check("joins.window", opts, declared)
  local alone_left = o.kind == "left" or o.kind == "full"
  local alone_right = o.kind == "right" or o.kind == "full"
  o.fn = function(left, right, emit)
    local function send(l, r)
      local result = o.join(l, r)
      if result ~= nil then emit(result) end
    end
    for _, l in ipairs(left) do
      for _, r in ipairs(right) do send(l, r) end
      if #right == 0 and alone_left then send(l, nil) end
    end
    if #left == 0 and alone_right then
      for _, r in ipairs(right) do send(nil, r) end
    end
  end
  return cogroup("joins.window", o)
end

---------------------------------------------------------------- versions

---@class weir.joins.TemporalOptions
---@field kind? "inner"|"left" left: also records before the first version; default inner
---@field join? fun(left: any, right: any): any
---@field late_to? string side output for records behind the watermark

--- The right stream is a table of versions: each left record meets the version that was valid at its time,
--- the right record with the greatest time up to its own. Left records wait until the watermark has passed
--- their time, so that no version can come in between.
---@param opts? weir.joins.TemporalOptions
---@return weir.ProcessFunction
function M.temporal(opts)
  local o = options.check("joins.temporal", opts, {
    kind = options.one_of("inner", "left"):default "inner", join = options.fn:default(both), late_to = tag,
  })

  local function newest(versions, time)
    local best
    for at in versions:iter() do
      if at <= time and (not best or at > best) then best = at end
    end
    return best
  end

  return weir.co_process_function {
    state = { waiting = weir.state.map(), versions = weir.state.map() },
    element1 = function(ctx, rec)
      local time = time_of(ctx)
      if is_late(ctx, time) then return ctx:late(rec, o.late_to) end
      add(ctx.waiting, time, rec)
      ctx:event_timer(time)
    end,
    element2 = function(ctx, rec)
      local time = time_of(ctx)
      if is_late(ctx, time) then return ctx:late(rec, o.late_to) end
      ctx.versions:put(time, rec)
      ctx:event_timer(time)
    end,
    timer = function(ctx, time)
      local valid = newest(ctx.versions, time)
      local version = valid and ctx.versions:get(valid)
      for _, entry in ipairs(ctx.waiting:get(time) or {}) do
        if version ~= nil or o.kind == "left" then
          local result = o.join(entry.rec, version)
          if result ~= nil then ctx:emit(result) end
        end
      end
      ctx.waiting:remove(time)
      -- no left record can ask for what was valid before
      for _, at in ipairs(ctx.versions:keys()) do
        if valid and at < valid then ctx.versions:remove(at) end
      end
    end,
  }
end

---------------------------------------------------------------- a table

---@class weir.joins.LookupOptions
---@field by string field of the stream's records that is looked up; a record without it has no partner
---@field key string field of the table's records; of several with the same value the last one counts
---@field missing? "drop"|"keep"|"fail" a record without partner gives no result (default), a result with nil for
--- the partner, or an error, which on_error deals with
---@field join? fun(record: any, partner: any): any

local function is_absent(v) return v == nil or v == weir.null end

-- A number is not the text that shows it: said where the table has the other of the two.
local function other_type(partners, key)
  local other = type(key) == "number" and ("%.14g"):format(key) or type(key) == "string" and tonumber(key)
  if not other or not partners:get(other) then return "" end
  return (", but the %s %s: records and table must agree in the field's type"):format(
    type(other) == "string" and "text" or "number", other)
end

--- Each record with the one of a table that has its key; null is no key. The table is a stream with an end, such
--- as a file, which is read whole before the first record, and then held by each subtask. The stream needs neither
--- key nor time.
---
---   local users = job:source(weir.files { path = "users.csv", format = weir.csv { header = true } })
---   visits:connect(users:broadcast()):process(joins.lookup { by = "user", key = "id", missing = "keep" })
---@param opts weir.joins.LookupOptions
---@return weir.ProcessFunction
function M.lookup(opts)
  local o = options.check("joins.lookup", opts, {
    by = options.string, key = options.string, join = options.fn:default(both),
    missing = options.one_of("drop", "keep", "fail"):default "drop",
  })
  return weir.broadcast_function {
    complete = true,
    broadcast_state = { partners = weir.state.map() },
    broadcast = function(ctx, rec)
      if is_absent(rec[o.key]) then
        error(("joins.lookup: a record of the table has no field %q"):format(o.key), 0)
      end
      ctx.partners:put(rec[o.key], rec)
    end,
    element = function(ctx, rec)
      local key = rec[o.by]
      local partner
      if not is_absent(key) then partner = ctx.partners:get(key) end
      if partner == nil and o.missing ~= "keep" then
        if o.missing == "drop" then return end
        error(("joins.lookup: nothing in the table has %s = %s%s"):format(o.key, tostring(key),
          other_type(ctx.partners, key)), 0)
      end
      local result = o.join(rec, partner)
      if result ~= nil then ctx:emit(result) end
    end,
  }
end

---------------------------------------------------------------- all with all

---@class weir.joins.RegularOptions
---@field kind? "inner"|"left"|"right"|"full" left and right: records without a partner come with nil for it, and
--- are taken back when one comes; default inner
---@field ttl? weir.Duration a record is forgotten so long after it came, or last found or lost its partners
--- (processing time); default: never
---@field join? fun(left: any, right: any): any gives the same for the same records: results are taken back by it

-- A record as text that is the same for equal ones.
local function canonical(v)
  local ty = type(v)
  if ty == "number" then return ("%.17g"):format(v) end
  if ty == "string" then return #v .. ":" .. v end
  if ty ~= "table" or v == weir.null then return ty:sub(1, 1) .. tostring(v) end
  local names = {}
  for name in pairs(v) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) < type(b)
  end)
  local out = {}
  for i, name in ipairs(names) do out[i] = canonical(name) .. "=" .. canonical(v[name]) end
  return "{" .. table.concat(out, ",") .. "}"
end

--- Every pair of records with the same key, whenever they came, as a table that changes: a record that comes
--- (kind insert or update_after) adds results, one that is taken back (delete or update_before) takes them back.
--- Results are of kind insert and delete; see ctx:kind(). What is taken back and is not there, since its time
--- was over, is passed over. Without a `ttl` both streams are kept for ever. Needs no event time.
---@param opts? weir.joins.RegularOptions
---@return weir.ProcessFunction
function M.regular(opts)
  local o = options.check("joins.regular", opts, {
    kind = kinds:default "inner", ttl = duration.positive:optional(), join = options.fn:default(both),
  })

  -- Sends a result as often as the pair is there. `swap`: the first record is the right one.
  local function send(ctx, rec, other, swap, kind, times)
    local result
    if swap then result = o.join(other, rec) else result = o.join(rec, other) end
    if result == nil then return end
    for _ = 1, times do ctx:emit(result, nil, kind) end
  end

  -- One side: its records by their text, each { rec =, n = how often, alone = how many of them are out without
  -- a partner }.
  local function side(own_name, other_name, own_alone, other_alone, swap)
    -- What is alone on the other side finds a partner, or has lost its last one.
    local function partner(ctx, others, alone)
      if not other_alone then return end
      for _, text in ipairs(others:keys()) do
        local other = others:get(text)
        local now = alone and other.n or 0
        if other.alone ~= now then
          send(ctx, other.rec, nil, not swap, alone and "insert" or "delete", math.abs(now - other.alone))
          other.alone = now
          others:put(text, other)
        end
      end
    end

    local function pairs_of(ctx, rec, others, kind)
      for _, other in others:iter() do send(ctx, rec, other.rec, swap, kind, other.n) end
    end

    local function add_one(ctx, own, others, rec)
      local text = canonical(rec)
      local entry = own:get(text) or { rec = rec, n = 0, alone = 0 }
      if own:is_empty() then partner(ctx, others, false) end
      if not others:is_empty() then
        pairs_of(ctx, rec, others, "insert")
      elseif own_alone then
        send(ctx, rec, nil, swap, "insert", 1)
        entry.alone = entry.alone + 1
      end
      entry.n = entry.n + 1
      own:put(text, entry)
    end

    local function take_back(ctx, own, others, rec)
      local text = canonical(rec)
      local entry = own:get(text)
      if not entry then return end
      if entry.alone > 0 then
        send(ctx, rec, nil, swap, "delete", 1)
        entry.alone = entry.alone - 1
      else
        pairs_of(ctx, rec, others, "delete")
      end
      entry.n = entry.n - 1
      if entry.n > 0 then return own:put(text, entry) end
      own:remove(text)
      if own:is_empty() then partner(ctx, others, true) end
    end

    return function(ctx, rec)
      local kind = ctx:kind()
      local change = (kind == "insert" or kind == "update_after") and add_one or take_back
      change(ctx, ctx[own_name], ctx[other_name], rec)
    end
  end

  local alone_left = o.kind == "left" or o.kind == "full"
  local alone_right = o.kind == "right" or o.kind == "full"
  return weir.co_process_function {
    state = { left = weir.state.map { ttl = o.ttl }, right = weir.state.map { ttl = o.ttl } },
    element1 = side("left", "right", alone_left, alone_right, false),
    element2 = side("right", "left", alone_right, alone_left, true),
  }
end

return M
