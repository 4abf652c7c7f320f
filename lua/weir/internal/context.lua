-- SPDX-License-Identifier: Apache-2.0
--- What a process function sees of the world (`ctx`), and what happens when user code fails.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local rows = require "weir.internal.rows"
local keys = require "weir.internal.keys"

local C = border.C
local format, concat = string.format, table.concat
local type, tonumber, tostring = type, tonumber, tostring

local M = {}

---------------------------------------------------------------- showing values

--- A value as short JSON-like text for messages.
---@param v any
---@param limit? integer bytes, default 400
---@return string
function M.show(v, limit)
  limit = limit or 400
  local out, size = {}, 0
  local function put(s)
    out[#out + 1] = s
    size = size + #s
  end
  local function walk(x, depth)
    if size > limit then return end
    local ty = type(x)
    if ty == "string" then
      put(format("%q", x):gsub("\\\n", "\\n"):gsub("%z", "\\0"))
    elseif ty == "table" and x ~= codec.null then
      if depth > 8 then return put "…" end
      local n = codec.list_length(x)
      put(n and "[" or "{")
      local names = {}
      for k in next, x do
        names[#names + 1] = k
        if #names > limit then break end -- more than can be shown, of what may fill the memory
      end
      table.sort(names, function(a, b)
        if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
        return type(a) < type(b)
      end)
      for i, k in ipairs(names) do
        if i > 1 then put "," end
        if not n then
          local kt = type(k)
          walk(kt == "string" and k or (kt == "number" or kt == "boolean") and tostring(k) or kt, depth + 1)
          put ":"
        end
        walk(x[k], depth + 1)
        if size > limit then break end
      end
      put(n and "]" or "}")
    elseif ty == "number" and x == math.floor(x) and math.abs(x) < 1e15 then
      put(format("%d", x))
    elseif ty == "cdata" then
      put((tostring(x):gsub("U?LL$", "")))
    elseif ty == "function" or ty == "userdata" or ty == "thread" then
      put(ty)
    else
      put(tostring(x))
    end
  end
  walk(v, 1)
  local text = concat(out)
  if #text > limit then text = text:sub(1, limit) .. "…" end
  return text
end

---------------------------------------------------------------- failures

local FATAL = {} -- field of an error object that has been described and only travels upwards

local function is_described(err)
  return type(err) == "table" and rawget(err, FATAL)
end

local function operator_text(node)
  return format("operator '%s' (%s)", node.name, node.where or "?")
end

local TRACEBACK_MAX = 12

-- User frames of a thread's stack: the generated code and the engine are left out.
-- Where an instruction failed, the innermost function has lost its place; the message has it.
local function user_traceback(thread, err)
  local lines, level = {}, 0
  while true do
    local info = debug.getinfo(thread, level, "Sln")
    if not info then break end
    if #lines == TRACEBACK_MAX then
      lines[#lines + 1] = "    …"
      break
    end
    local source = info.source
    if info.what ~= "C" and source:sub(1, 1) == "@" and not source:find("^@lua/weir") then
      local line = info.currentline
      if line < 0 then line = type(err) == "string" and tonumber(err:match "^[^\n]-:(%d+): ") or info.linedefined end
      lines[#lines + 1] = format("    %s:%d: in %s", info.short_src, line,
        info.name and ("function '" .. info.name .. "'") or "a function")
    end
    level = level + 1
  end
  return #lines > 0 and "\n  traceback:\n" .. concat(lines, "\n") or ""
end

local function current_key(stage)
  if stage.store and not stage.keyless and C.wr_store_has_key(stage.store) ~= 0 then
    return M.show({ keys.get(C.wr_store_key(stage.store, ffi.new "uint32_t[1]")) }):sub(2, -2)
  end
end

-- The record as operator k was meant to see it: fields that no function reads are not decoded in the
-- loop, and those that are only moved are tokens, but both belong into messages and dead letters.
local function whole(stage, k, rec)
  local row = stage.L.row
  if rec == nil or row == nil then return rec end
  local seen = stage.seen[stage.L.input][bit.band(ffi.cast(border.elemp, row).tag, 0xffffff)]
  if not (seen and seen.partial[k]) then
    return require("weir.internal.moves").whole(rec, seen and seen.tokens[k], row)
  end
  return rows.decoder(bit.band(ffi.cast(border.elemp, row).tag, 0xffffff))(row + rows.HEAD)
end

-- What the function raised: a text, without a place in a generated loop or a module of ours in front, or
-- any other value as it would be shown in a record. A table's own __tostring is the script's, and may fail in
-- its turn.
---@param err any
---@return string
function M.error_text(err)
  if type(err) == "string" then return (err:gsub("^weir:.-:%d+: ", ""):gsub('^%[string "weir[%w.]*"%]:%d+: ', "")) end
  local meta = type(err) == "table" and debug.getmetatable(err)
  if meta and rawget(meta, "__tostring") then
    local ok, text = pcall(tostring, err)
    if ok and type(text) == "string" then return text end
  end
  return M.show(err)
end

local function describe_failure(stage, k, err, rec, trace)
  local node = stage.ops[k]
  local text = format("%s failed in subtask %d: %s", operator_text(node), stage.L.subtask, M.error_text(err))
  if rec ~= nil then text = text .. "\n  record: " .. M.show(whole(stage, k, rec)) end
  local key = current_key(stage)
  if key then text = text .. "\n  key: " .. key end
  return text .. (trace or "")
end

-- The depth of a thread's stack.
local function depth(thread)
  local low, high = 0, 256
  while debug.getinfo(thread, high, "f") do low, high = high, high * 2 end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if debug.getinfo(thread, middle, "f") then low = middle else high = middle end
  end
  return low
end

-- The innermost operator on the stack, and its record. A function that calls itself without end has the operator
-- far below it.
local NEAR = 200
local function failing(stage, thread)
  local deepest = depth(thread)
  local level = 0
  while level <= deepest do
    local k = stage.pushes[debug.getinfo(thread, level, "f").func]
    if k then
      local _, rec = debug.getlocal(thread, level, 1)
      return k, rec
    end
    level = level == NEAR and math.max(level, deepest - NEAR) + 1 or level + 1
  end
end

--- The text for an error that ended the thread in which the script's functions run.
---@return string
function M.describe(stage, thread, err)
  if is_described(err) then return err.text end
  local k, rec = failing(stage, thread)
  return describe_failure(stage, k or stage.doing or 1, err, rec, user_traceback(thread, err))
end

-- A record as a whole row element, for dead letters; nil when it cannot be one.
local function element(stage, rec)
  if rec == nil then return nil end
  local ok, id, body = pcall(rows.encode, rec)
  if not ok then return nil end
  local head = ffi.new("struct wr_elem")
  head.len = 16 + #body
  head.tag = bit.bor(id, stage.L.kind)
  head.ts = stage.L.ts
  return ffi.string(head, 16) .. body
end

--- Gives the stage its functions for failures.
function M.errors(stage)
  --- A call of operator k failed under its policy; in coroutine `co`, if that is given.
  function stage.failed(k, err, rec, co)
    if is_described(err) then error(err, 0) end
    if stage.policies[k] == "fail" then
      error({ [FATAL] = true, text = describe_failure(stage, k, err, rec, co and user_traceback(co, err)) }, 0)
    end
    local text = M.error_text(err)
    local row = element(stage, whole(stage, k, rec)) or ""
    if C.wr_lua_bad_row(stage.L, k - 1, row, #row, text, #text) ~= 0 then
      error({ [FATAL] = true, text = border.error_text() }, 0)
    end
  end

  --- The function of operator k broke its contract.
  function stage.misuse(k, what, rec)
    return stage.failed(k, what, rec)
  end

  function stage.unknown_tag(k, tag)
    error(format("operator '%s' emits to the side output '%s', which nobody reads (side_output \"%s\")",
      stage.ops[k].name, tostring(tag), tostring(tag)), 0)
  end

  --- The key of a row could not be made; C has the reason.
  function stage.bad_key(row)
    local text = border.error_text()
    local head = ffi.cast(border.elemp, row)
    if C.wr_lua_bad_row(stage.L, 0, row, head.len, text, #text) ~= 0 then
      error({ [FATAL] = true, text = border.error_text() }, 0)
    end
  end

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
  error(format('a record\'s kind is "insert", "update_before", "update_after" or "delete", not %s', M.show(kind)), 3)
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

--- The context of operator k in one chunk; `out` and `side` deliver what it emits.
function M.new(stage, k, out, side, input)
  local L, S = stage.L, stage.store
  local node = stage.ops[k]
  local ctx = base_context(stage)

  function ctx.emit(_, rec, ts, kind)
    if rec == nil then error("cannot emit nil", 2) end
    if ts == nil and kind == nil then return out(rec) end
    local time_before, kind_before = L.ts, L.kind
    if ts ~= nil then L.ts = check_time(ts, "a record's time") end
    if kind ~= nil then L.kind = kind_bits[kind] or unknown_kind(kind) end
    out(rec)
    L.ts, L.kind = time_before, kind_before
  end
  function ctx.side(_, tag, rec) side(tag, rec) end
  local read_tags = {}
  for _, link in ipairs(stage.links[k]) do read_tags[link.tag or ""] = true end
  local said_late
  function ctx.late(_, rec, tag)
    local read = tag ~= nil and read_tags[tag] == true
    C.wr_lua_late(L, k - 1, read and 0 or 1)
    if read then return side(tag, rec) end
    if not said_late then
      said_late = true
      stage.note(format("operator '%s' drops late records, this is the first: time %.0f, watermark %.0f; record: %s",
        node.name, tonumber(L.ts), tonumber(L.watermark), M.show(rec)))
    end
  end
  function ctx.timestamp()
    local ts = L.ts
    if ts == border.TS_NONE then return nil end
    return tonumber(ts)
  end
  local kinds = { [0] = "insert", "update_before", "update_after", "delete" }
  function ctx.kind() return kinds[bit.rshift(L.kind, 24)] end

  if S and stage.keyed[input or 0] ~= false and k == 1 then
    local klen = ffi.new "uint32_t[1]"
    function ctx.key() return keys.get(C.wr_store_key(S, klen)) end
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
  else
    local function unkeyed(what)
      return function()
        error(format("%s needs a keyed stream: put :key_by(…) before operator '%s'", what, node.name), 2)
      end
    end
    ctx.key = unkeyed "ctx:key()"
    ctx.event_timer, ctx.delete_event_timer = unkeyed "a timer", unkeyed "a timer"
    ctx.processing_timer, ctx.delete_processing_timer = ctx.event_timer, ctx.event_timer
  end
  for name, handle in next, stage.broadcast_handles and k == 1 and stage.broadcast_handles(input) or {} do
    ctx[name] = handle
  end
  return ctx
end

return M
