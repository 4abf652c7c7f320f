-- SPDX-License-Identifier: Apache-2.0
--- What a process function sees of the world (`ctx`), and what a stage does when user code fails.

local ffi = require "ffi"
local border = require "weir.internal.border"

local C = border.C
local format = string.format
local type, tonumber, tostring = type, tonumber, tostring

local M = {}

---------------------------------------------------------------- failures

-- weir.internal.failures, loaded when a function of it is first called.
local failures = setmetatable({}, { __index = function(t, name)
  t[name] = require("weir.internal.failures")[name]
  return t[name]
end })

--- The text for an error that ended the thread in which the script's functions run.
---@return string
function M.describe(stage, thread, err) return failures.describe(stage, thread, err) end

--- Gives the stage its functions for failures.
function M.errors(stage)
  --- A call of operator k failed under its policy; in coroutine `co`, if that is given.
  function stage.failed(k, err, rec, co) return failures.failed(stage, k, err, rec, co) end

  --- What operator k gave cannot go out, or not with what goes beside it.
  function stage.refused(k, what, rec) return failures.refused(stage, k, what, rec) end

  --- The function of operator k broke its contract.
  function stage.misuse(k, what, rec) return failures.failed(stage, k, what, rec) end

  function stage.unknown_tag(k, tag)
    error(format("operator '%s' emits to the side output '%s', which nobody reads (side_output \"%s\")",
      stage.ops[k].name, tostring(tag), tostring(tag)), 0)
  end

  --- The key of a row could not be made; C has the reason.
  function stage.bad_key(row) return failures.bad_key(stage, row) end

  local noted = {}
  function stage.note(text)
    if not noted[text] then
      noted[text] = true
      C.wr_lua_note(stage.L, text)
    end
  end
end

---------------------------------------------------------------- ctx

local function check_time(t, what)
  if type(t) == "cdata" and (ffi.istype(border.i64, t) or ffi.istype(border.u64, t)) then return t end
  if type(t) == "number" and t >= -2 ^ 63 and t < 2 ^ 63 then return t end
  error(format("%s must be a number of milliseconds, not %s", what or "a timer's time",
    t ~= t and "NaN" or type(t) == "number" and tostring(t) or type(t)), 3)
end

-- A timer that nothing would hear.
local function unheard(node)
  return function()
    error(format("operator '%s' has no timer function: weir.process_function { timer = function(ctx, time) … end, … }",
      node.name), 2)
  end
end

local kind_bits = { insert = 0, update_before = 0x01000000, update_after = 0x02000000, delete = 0x03000000 }

local function unknown_kind(kind)
  error(format('a record\'s kind is "insert", "update_before", "update_after" or "delete", not %s',
    failures.show(kind)), 3)
end

-- What an operator may use before it has seen a record.
local function base_context(stage)
  local L = stage.L
  local ctx = {}
  function ctx.now() return tonumber(L.now_ms) end
  function ctx.watermark()
    local wm = L.watermark
    if wm == border.TS_NONE then return nil end
    return tonumber(wm)
  end
  function ctx.subtask() return L.subtask end
  function ctx.parallelism() return L.parallelism end
  function ctx.random() return C.wr_lua_random(L) end
  return ctx
end

function M.open_context(stage, _k)
  return setmetatable(base_context(stage), {
    __index = function(_, name)
      error(format("ctx.%s is not available in open and close: there is no record and no key", tostring(name)), 2)
    end,
  })
end

-- A time for messages.
local function time_text(ms)
  return ms == border.TS_NONE and "none" or format("%.0f", tonumber(ms))
end

--- What operator k does with a record that came too late: counts it, and sends it to the side output `tag` if that is
--- read. The first that is dropped is said in the log.
---@return fun(rec: any, tag: string?)
function M.late(stage, k, side)
  local L = stage.L
  local read, said = {}, false
  for _, link in ipairs(stage.links[k]) do
    if link.tag and link.tag ~= "" then read[link.tag] = true end
  end
  return function(rec, tag)
    local given = tag ~= nil and read[tag] == true
    C.wr_lua_late(L, k - 1, given and 0 or 1)
    if given then return side(tag, rec) end
    if said then return end
    said = true
    stage.note(format("operator '%s' drops late records, this is the first: time %s, watermark %s; record: %s",
      stage.ops[k].name, time_text(L.ts), time_text(L.watermark), failures.show(rec)))
  end
end

-- Key, timers and state of a stage's first operator.
local function keyed(ctx, stage, node)
  local L, S = stage.L, stage.store
  local klen = ffi.new "uint32_t[1]"
  local key_of = require("weir.internal.keys").get
  function ctx.key() return key_of(C.wr_store_key(S, klen)) end
  local function add(kind, t)
    if C.wr_timer_add(S, kind, t) ~= 0 then error(border.error_text(), 3) end
  end
  function ctx.event_timer(_, t) add(0, check_time(t)) end
  function ctx.processing_timer(_, t)
    t = check_time(t)
    add(1, t)
    C.wr_lua_timer_added(L, t)
  end
  if not (stage.timer or type(node.fn) == "table" and node.fn.timer) then
    ctx.event_timer = unheard(node)
    ctx.processing_timer = ctx.event_timer
  end
  function ctx.delete_event_timer(_, t) C.wr_timer_remove(S, 0, check_time(t)) end
  function ctx.delete_processing_timer(_, t) C.wr_timer_remove(S, 1, check_time(t)) end
  for name, handle in next, stage.handles or {} do ctx[name] = handle end
end

-- Says what is missing where there is no key.
local function unkeyed(ctx, node)
  local function refuse(what)
    return function()
      error(format("%s needs a keyed stream: put :key_by(…) before operator '%s'", what, node.name), 2)
    end
  end
  ctx.key = refuse "ctx:key()"
  ctx.event_timer = refuse "a timer"
  ctx.processing_timer, ctx.delete_event_timer = ctx.event_timer, ctx.event_timer
  ctx.delete_processing_timer = ctx.event_timer
end

--- Raises at the caller of `emit`, which was given no record; called with a dot it took that for itself.
function M.nothing_to_emit(self, ctx)
  error(self == ctx and "cannot emit nil" or "emit is called with a colon: ctx:emit(record)", 3)
end

local kinds = { [0] = "insert", "update_before", "update_after", "delete" }

--- The context of operator k in one chunk; `out` and `side` deliver what it emits.
function M.new(stage, k, out, side, input)
  local L, node = stage.L, stage.ops[k]
  local ctx = base_context(stage)

  function ctx.emit(self, rec, ts, kind)
    if rec == nil then M.nothing_to_emit(self, ctx) end
    if ts == nil and kind == nil then return out(rec) end
    local time_before, kind_before = L.ts, L.kind
    if ts ~= nil then L.ts = check_time(ts, "a record's time") end
    if kind ~= nil then L.kind = kind_bits[kind] or unknown_kind(kind) end
    out(rec)
    L.ts, L.kind = time_before, kind_before
  end
  function ctx.side(_, tag, rec) side(tag, rec) end
  local late = M.late(stage, k, side)
  function ctx.late(_, rec, tag) return late(rec, tag) end
  function ctx.timestamp()
    local ts = L.ts
    if ts == border.TS_NONE then return nil end
    return tonumber(ts)
  end
  function ctx.kind() return kinds[bit.rshift(L.kind, 24)] end

  local has_key = stage.store and stage.keyed[input or 0] ~= false and k == 1
  if has_key then keyed(ctx, stage, node) else unkeyed(ctx, node) end
  for name, handle in next, stage.broadcast_handles and k == 1 and stage.broadcast_handles(input) or {} do
    ctx[name] = handle
  end
  return ctx
end

return M
