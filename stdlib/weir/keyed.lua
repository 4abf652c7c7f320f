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

---@class weir.keyed.DeduplicateOptions
---@field keep? "first"|"last" default first
---@field within? weir.Duration first: a key is forgotten so long after its first record (processing time;
--- default: never). last: needed; the last record of each such stretch of event time is given at its end
---@field late_to? string last: side output for records whose stretch is over

--- One record a key: the first at once, or the last of each stretch of time.
---@param opts? weir.keyed.DeduplicateOptions
---@return weir.ProcessFunction
function M.deduplicate(opts)
  local o = options.check("keyed.deduplicate", opts, {
    keep = options.one_of("first", "last"):default "first", within = duration.positive:optional(),
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

--- The n best records of a key so far: { top = list }, best first, whenever the list changes. Of equals the
--- earlier one ranks first.
---@param opts weir.keyed.TopOptions
---@return weir.ProcessFunction
function M.top(opts)
  local o = options.check("keyed.top", opts, {
    n = options.integer_in(1, 10000), by = options.string, order = options.one_of("most", "least"):default "most",
  })
  local n, by, sign = o.n, o.by, o.order == "most" and 1 or -1
  return weir.process_function {
    state = { top = weir.state.value() },
    element = function(ctx, rec)
      local value = rec[by]
      if type(value) ~= "number" then error(("keyed.top: field %q is no number"):format(by), 0) end
      local top = ctx.top:get() or {}
      local at = #top + 1
      while at > 1 and sign * top[at - 1][by] < sign * value do at = at - 1 end
      if at > n then return end
      table.insert(top, at, rec)
      top[n + 1] = nil
      ctx.top:set(top)
      ctx:emit { top = top }
    end,
  }
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
---@field max? integer at most so many are filled in, then a longer gap stays one; default 1000
---@field as? string field that is true in records that were filled in; default "filled"

--- Fills gaps: where a key has no record for more than `every`, the last one is repeated at each step up to
--- the next record.
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
