-- SPDX-License-Identifier: Apache-2.0
--- What happens when user code fails: which operator, with which record, and the text that says so. Loaded at
--- the first failure, since most subtasks never have one.

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
    if info.what ~= "C" and source:sub(1, 1) == "@" then
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

-- Of the row at hand: its shape, and what its loop knows of the records in it; nil: no row is at hand.
local function at_hand(stage)
  local row = stage.L.row
  if row == nil then return nil end
  local id = bit.band(ffi.cast(border.elemp, row).tag, 0xffffff)
  return id, stage.seen[stage.L.input][id]
end

-- The record as operator k was meant to see it: fields that no function reads are not decoded in the loop, and those
-- that are only moved are tokens, but both belong into messages and dead letters. `strings`: it has no tokens any more.
local function whole(stage, k, rec, strings)
  if rec == nil then return nil end
  local id, seen = at_hand(stage)
  if seen and seen.partial[k] then return rows.decoder(id)(stage.L.row + rows.HEAD) end
  if not seen or strings then return rec end
  return require("weir.internal.moves").whole(rec, seen.tokens[k], stage.L.row)
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

-- What is due, if that is what failed: the window with its bounds, or the timer.
local function due_text(stage)
  if not stage.due or not stage.due_time then return "" end
  if stage.due_window then
    local start, stop = stage.due_window()
    return stop < math.huge and format("\n  window: %.0f to %.0f", start, stop) or ""
  end
  return format("\n  timer: %s time %.0f", stage.due == 0 and "event" or "processing", tonumber(stage.due_time[0]))
end

local function describe_failure(stage, k, err, rec, trace)
  local node = stage.ops[k]
  local text = format("%s failed in subtask %d: %s", operator_text(node), stage.L.subtask, M.error_text(err))
  if rec ~= nil then text = text .. "\n  record: " .. M.show(rec) end
  local key = current_key(stage)
  if key then text = text .. "\n  key: " .. key end
  return text .. due_text(stage) .. (trace or "")
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
  k = k or stage.doing or 1
  return describe_failure(stage, k, err, whole(stage, k, rec), user_traceback(thread, err))
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

local function failed(stage, k, err, rec, co)
  if stage.policies[k] == "fail" then
    error({ [FATAL] = true, text = describe_failure(stage, k, err, rec, co and user_traceback(co, err)) }, 0)
  end
  local text = M.error_text(err)
  local row = element(stage, rec) or ""
  if C.wr_lua_bad_row(stage.L, k - 1, row, #row, text, #text) ~= 0 then
    error({ [FATAL] = true, text = border.error_text() }, 0)
  end
end

--- A call of operator k failed under its policy; in coroutine `co`, if that is given.
function M.failed(stage, k, err, rec, co)
  if is_described(err) then error(err, 0) end
  return failed(stage, k, err, whole(stage, k, rec), co)
end

--- What operator k gave, `rec`, which has strings in place of its tokens, cannot go out.
function M.refused(stage, k, err, rec)
  return failed(stage, k, err, whole(stage, k, rec, true))
end

--- The key of a row could not be made; C has the reason.
function M.bad_key(stage, row)
  local text = border.error_text()
  local head = ffi.cast(border.elemp, row)
  if C.wr_lua_bad_row(stage.L, 0, row, head.len, text, #text) ~= 0 then
    error({ [FATAL] = true, text = border.error_text() }, 0)
  end
end

return M
