-- SPDX-License-Identifier: Apache-2.0
--- Async functions: a coroutine for each record that was begun, driven by what C says is due
--- (script/async_stage.c).
---
--- A function waits by yielding a question to the driver, which puts it to C and goes on with other records.
--- Nothing of a record is kept here but its coroutine and the number of its attempt: rows, results, times and
--- order lie in C. No C function that is called from here calls back.

local ffi = require "ffi"
local bit = require "bit"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local context = require "weir.internal.context"
local rows = require "weir.internal.rows"

border.declare "async"

local C = border.C
local create, resume, yield, running = coroutine.create, coroutine.resume, coroutine.yield, coroutine.running

local M = {}

local BEGIN, WAKE, ANSWER, TIMEOUT = 1, 2, 3, 4 -- enum wr_due
local DONE, WAIT = {}, {}                       -- what coroutines of ours yield first
local SPENT_EVERY = 16                          -- things done between two looks at the clock

local current -- the worker whose coroutine runs

---------------------------------------------------------------- called by the async function

-- Yields a question: a function (L, slot) → error text or nil. Gives what the driver resumes with.
local function wait(what, question)
  local worker = current
  if not worker then
    error(what .. " waits, and may be called only in the function of stream:async", 4)
  elseif not worker.co then
    error(what .. " waits, which on_timeout may not", 4)
  elseif running() ~= worker.co then
    error(what .. " waits, and may not be called in a coroutine of the script's own", 4)
  end
  return yield(WAIT, question)
end

function M.sleep(ms)
  wait("weir.async.sleep", function(L, slot) C.wr_async_sleep(L, slot, ms, 0) end)
end

--- [error, status, body, name, value, …], or nil and why there is none.
function M.get(url, o)
  local request = ffi.new "struct wr_async_get"
  request.url, request.headers = url, o.headers
  request.timeout_ms, request.redirects_max, request.body_max = o.timeout, o.redirects, o.body_max
  local answer, why = wait("weir.http.get", function(L, slot)
    if C.wr_async_get(L, slot, request) ~= 0 then return border.error_text() end
    return nil
  end)
  if answer and answer[1] ~= "" then return nil, answer[1] end
  return answer, why
end

---------------------------------------------------------------- the driver

local function new_driver(stage, fn)
  local L = stage.L
  local due = ffi.new "struct wr_async_due"
  local retry = fn.retry
  local workers, idle = {}, {} -- by slot; free ones
  local attempts = {}          -- by slot, behind the first
  local last = {}              -- by slot: no other attempt follows

  local function record(row)
    local head = ffi.cast(border.elemp, row)
    L.ts, L.kind = head.ts, bit.band(head.tag, 0x03000000)
    return rows.decoder(bit.band(head.tag, 0xffffff))(row + rows.HEAD)
  end

  local function add_result(slot, rec)
    local id, body = rows.encode(rec)
    local place = C.wr_async_result(L, slot, id, #body)
    if place == nil then error(border.error_text(), 0) end
    ffi.copy(place, body, #body)
  end

  local function done(slot)
    attempts[slot], last[slot] = nil, nil
    C.wr_async_done(L, slot)
  end

  local function new_emit(worker)
    return function(rec)
      if rec == nil then error("cannot emit nil", 2) end
      if current ~= worker then error("emit belongs to a record that is done", 2) end
      add_result(worker.slot, rec)
    end
  end

  local function new_worker()
    local worker = {}
    local emit = new_emit(worker)
    worker.co = create(function(rec)
      while true do rec = yield(DONE, fn.run(rec, emit)) end
    end)
    return worker
  end

  -- May there be another attempt? J14: once the input has ended one more, at once.
  local function may_retry(slot)
    return retry and (attempts[slot] or 0) + 1 < retry.attempts and not last[slot]
  end

  local function try_again(slot)
    local n = attempts[slot] or 0
    attempts[slot] = n + 1
    local delay = C.wr_async_ending(L) ~= 0 and 0 or math.min(retry.delay * retry.factor ^ n, retry.delay_max)
    C.wr_async_sleep(L, slot, delay, 1)
  end

  -- The attempt failed: another one, if it is worth it and there is time; else what the policy says.
  local function failed(slot, err, rec, co)
    if may_retry(slot) then
      local ok, again = true, true
      if retry.if_error then ok, again = pcall(retry.if_error, err, rec) end
      if ok and again then return try_again(slot) end
      if not ok then err, co = again, nil end
    end
    stage.failed(1, err, rec, co)
    C.wr_async_drop(L, slot)
    done(slot)
  end

  -- What the function returned is a result, unless it is to be tried again.
  local function returned(slot, result, rec)
    if retry and retry.if_result and may_retry(slot) then
      local ok, again = pcall(retry.if_result, result, rec)
      if not ok then return failed(slot, again, rec) end
      if again then return try_again(slot) end
    end
    if result ~= nil then
      local ok, why = pcall(add_result, slot, result)
      if not ok then return failed(slot, why, rec) end
    end
    done(slot)
  end

  local function unknown(value)
    return ("the async function yielded %s: only weir.http.get, weir.async.sleep and the like may wait in it")
      :format(type(value) == "string" and ("%q"):format(value) or value == nil and "nothing" or "a " .. type(value))
  end

  -- Runs the worker's coroutine until it waits or is done.
  local function go_on(worker, rec, ...)
    local a, b = ...
    while true do
      current = worker
      local ok, what, value = resume(worker.co, a, b)
      current = nil
      local slot = worker.slot
      if ok and what == WAIT then
        local refused = value(L, slot)
        if not refused then return end
        a, b = nil, refused
      else
        workers[slot] = nil
        if ok and what == DONE then
          idle[#idle + 1] = worker
          return returned(slot, value, rec())
        end
        return failed(slot, ok and unknown(what) or what, rec(), worker.co)
      end
    end
  end

  local function begin(slot, rec)
    local worker = table.remove(idle) or new_worker()
    worker.slot = slot
    workers[slot] = worker
    last[slot] = C.wr_async_ending(L) ~= 0 or nil
    L.counts[0] = L.counts[0] + (attempts[slot] and 0 or 1)
    return go_on(worker, function() return rec end, rec)
  end

  local function timed_out(slot, rec)
    workers[slot] = nil
    if not fn.on_timeout then
      stage.failed(1, ("no result after %g s (timeout)"):format(stage.plan.options.timeout / 1000), rec)
    else
      local worker = { slot = slot }
      current = worker
      local ok, result = pcall(fn.on_timeout, rec, new_emit(worker))
      current = nil
      if ok and result ~= nil then ok, result = pcall(add_result, slot, result) end
      if not ok then
        stage.failed(1, result, rec)
        C.wr_async_drop(L, slot)
      end
    end
    done(slot)
  end

  local function one()
    local what, slot, row = due.what, due.slot, due.row
    if what == BEGIN then return begin(slot, record(row)) end
    if what == TIMEOUT then return timed_out(slot, record(row)) end
    local function rec() return record(row) end
    local answer = what == ANSWER and codec.decode_raw(due.answer) or nil
    assert(what == ANSWER or what == WAKE)
    return go_on(workers[slot], rec, answer)
  end

  return function()
    local left = SPENT_EVERY
    while C.wr_async_next(L, due) ~= 0 do
      one()
      left = left - 1
      if left == 0 then
        left = SPENT_EVERY
        if C.wr_stage_spent(L.stage) ~= 0 then return 1 end
      end
    end
    return 0
  end
end

--- Builds the stage and gives the functions that C calls, as weir.internal.chain does.
---@param L_ptr userdata `struct wr_lua *`
---@param plan table the stage's part of the plan
---@param nodes table operators by id, as the script drew them
---@return table entry
function M.new(L_ptr, plan, nodes)
  local op = plan.operators[1]
  local stage = {
    L = ffi.cast("struct wr_lua *", L_ptr), plan = plan, name = plan.name, ops = { nodes[op.id] }, links = { {} },
    pushes = {}, policies = { op.on_error or "fail" }, seen = { [0] = {}, {} },
  }
  context.errors(stage)
  local function nothing() end
  return {
    rows = new_driver(stage, stage.ops[1].fn), timers = nothing, open = nothing, close = nothing,
    periodic = nothing, ready = nothing,
    describe = function(thread, err) return context.describe(stage, thread, err) end,
    stage = stage,
  }
end

return M
