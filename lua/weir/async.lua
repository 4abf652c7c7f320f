-- SPDX-License-Identifier: Apache-2.0
--- Functions that wait: the options of stream:async, and what such a function may call beside `weir.http`.

local options = require "weir.options"
local duration = require "weir.duration"
local where = require "weir.where"

local M = {}

---@class weir.AsyncRetry
---@field attempts integer how often at most, the first time included; 2 to 1000
---@field delay? weir.Duration before the second attempt; default "1s"
---@field factor? number by which the delay grows from attempt to attempt; default 1
---@field delay_max? weir.Duration default "1m"
---@field if_error? fun(error: any, record: any): boolean is another attempt worth it? default: yes
---@field if_result? fun(result: any, record: any): boolean is what it returned not good enough? default: it is

---@class weir.AsyncOptions
---@field fn fun(record: any, emit: fun(record: any)): any
---@field order? "ordered"|"unordered" results in the order of the records (default), or as they come, but never
--- past a watermark
---@field capacity? integer records at once, results that wait for their turn included; default 100
---@field timeout? weir.Duration from when a record is taken, over all attempts; then the record fails, or
--- `on_timeout` says what comes of it; default: none
---@field on_timeout? fun(record: any, emit: fun(record: any)): any gives the result instead; may not wait
---@field retry? weir.AsyncRetry needs a `timeout`

local retry_options = {
  attempts = options.integer_in(2, 1000),
  delay = duration.positive:default(1000),
  factor = options.type("a number of 1 or more", function(v) return type(v) == "number" and v >= 1 and v < 1e6, v end)
    :default(1),
  delay_max = duration.positive:default(60000),
  if_error = options.fn:optional(),
  if_result = options.fn:optional(),
}

local async_options = {
  fn = options.fn,
  order = options.one_of("ordered", "unordered"):default "ordered",
  capacity = options.integer_in(1, 1000000):default(100),
  timeout = duration.positive:optional(),
  on_timeout = options.fn:optional(),
  retry = options.table:optional(),
}

--- The functions of an async operator, and its options as the plan has them. Called by stream:async.
function M.check(opts)
  local o = options.check("stream:async", opts, async_options, "fn")
  if o.retry then
    o.retry = options.check("stream:async: retry", o.retry, retry_options)
    if not o.timeout then
      where.fail "stream:async: retry needs a timeout, which covers all attempts: when is it enough?"
    end
  end
  if o.on_timeout and not o.timeout then where.fail "stream:async: on_timeout needs a timeout" end
  return { run = o.fn, on_timeout = o.on_timeout, retry = o.retry },
    { ordered = o.order == "ordered", capacity = o.capacity, timeout = o.timeout }
end

--- Waits so long while other records are handled. Only in the function of stream:async.
---@param time weir.Duration
function M.sleep(time)
  require("weir.internal.async").sleep(options.value("weir.async.sleep", "the time", time, duration.not_negative))
end

return M
