-- SPDX-License-Identifier: Apache-2.0
--- Patterns: one thing followed by another in the records of a key.
---
---   local patterns = require "weir.patterns"
---   logins:key_by "user":process(patterns.followed_by {
---     steps = { function(r) return r.failed end, function(r) return not r.failed end },
---     within = "5m",
---     match = function(failed, ok) return { user = ok.user, after = ok.ts - failed.ts } end,
---   })

local weir = require "weir"
local options = require "weir.options"
local duration = require "weir.duration"

local M = {}

---@class weir.patterns.FollowedByOptions
---@field steps (fun(record: any, ...: any): any)[] two to ten predicates; each gets the record, then those that
--- matched the steps before
---@field within weir.Duration event time from the first step to the last
---@field match? fun(...: any): any makes the result of the matched records; default { matched = list }
---@field timeout_to? string side output for what began and was not completed: { matched = list }

local steps = options.type("a list of two to ten functions", function(v)
  if type(v) ~= "table" or #v < 2 or #v > 10 then return false end
  for _, step in ipairs(v) do
    if type(step) ~= "function" then return false end
  end
  return true, v
end)

--- Waits, per key, for records that fulfil the steps one after the other; others may come in between. One
--- attempt runs at a time: it begins with the first record that fulfils step one, and the next one begins
--- behind its end.
---@param opts weir.patterns.FollowedByOptions
---@return weir.ProcessFunction
function M.followed_by(opts)
  local o = options.check("patterns.followed_by", opts, {
    steps = steps, within = duration.positive,
    match = options.fn:default(function(...) return { matched = { ... } } end),
    timeout_to = options.string:optional(),
  })

  local function give_up(ctx, attempt)
    if o.timeout_to then ctx:side(o.timeout_to, { matched = attempt.matched }) end
    ctx.attempt:clear()
  end

  return weir.process_function {
    state = { attempt = weir.state.value() },
    element = function(ctx, rec)
      local time = ctx:timestamp() or error("patterns.followed_by needs event time: put :watermarks(…) before", 0)
      local attempt = ctx.attempt:get()
      if attempt and time > attempt.until_ms then
        give_up(ctx, attempt)
        attempt = nil
      end
      local matched = attempt and attempt.matched or {}
      if not o.steps[#matched + 1](rec, unpack(matched)) then return end
      matched[#matched + 1] = rec
      if #matched < #o.steps then
        local until_ms = attempt and attempt.until_ms or time + o.within
        ctx.attempt:set { matched = matched, until_ms = until_ms }
        ctx:event_timer(until_ms)
        return
      end
      ctx.attempt:clear()
      local result = o.match(unpack(matched))
      if result ~= nil then ctx:emit(result) end
    end,
    timer = function(ctx, time)
      local attempt = ctx.attempt:get()
      if attempt and attempt.until_ms <= time then give_up(ctx, attempt) end
    end,
  }
end

return M
