-- SPDX-License-Identifier: Apache-2.0
--- `weir doctor`: why a chain is slow, seen from inside its Lua state.
---
--- Attached to one subtask's state before the first row, it hears of every trace that is compiled or
--- aborted, and of every thousandth instruction that the interpreter runs (a count hook never fires in
--- compiled code). At the end it says where the interpreter was, why the compiler gave up there, and what
--- to write instead. Costs a few percent; nothing of it is there without --doctor.

local util = require "jit.util"
local vmdef = require "jit.vmdef"
local where = require "weir.where"
local format, concat = string.format, table.concat

local M = {}

local HOOK_EVERY = 1000 -- instructions between two looks at the interpreter
local INTERPRETED_NS = 1.2 -- of one simple instruction; what it calls comes on top
local REASONS_MAX, PLACES_MAX = 8, 3 -- said of one stage
local WARM_ROWS = 10000 -- the compiler is still busy with its first traces before
local BUSY = 1e5 -- instructions in the interpreter that are worth a word

-- What to do about a reason, by a part of its text. First match wins; false = the compiler tries again by
-- itself, and that is no news.
local hints = {
  { "bytecode FNEW", "a function is made for each record; make it once, outside, and pass what it needs" },
  { "bytecode UCLO", "a closure is made for each record; make the function once, outside" },
  { "bytecode VARG", "variable arguments in a hot loop; name the arguments" },
  { "bytecode ISNEXT", false }, -- becomes a plain loop when it first runs
  { "string.gmatch", "patterns are not compiled; weir.text.words splits without them" },
  { "string.gsub", "patterns are not compiled; string.find with plain = true and string.sub are" },
  { "string.match", "patterns are not compiled; string.find with plain = true and string.sub are" },
  { "string.find", "patterns are not compiled; give string.find a start and plain = true" },
  { "next", "pairs and next are not compiled; keep a list, or name the fields" },
  { "unpack", "unpack is not compiled here; name the elements" },
  { "setmetatable", "make objects once, outside of the loop" },
  { "coroutine", "coroutines are not compiled; keep what they remember in state" },
  { "NYI", "this is not compiled; do it once outside of the loop, or in another way" },
  { "blacklisted", "a loop in it was given up: see the reasons above" },
  { "leaving loop", false }, { "inner loop", false }, { "retry recording", false },
  { "down-recursion", false }, { "loop unroll limit", false }, { "hook called", false },
  { "failed to allocate mcode", "too much machine code: fewer, smaller functions" },
  { "trace too long", "the chain is too long for one trace; cut it with :start_chain()" },
  { "too many snapshots", "too many branches for one trace; cut the chain with :start_chain()" },
}

-- A text, false (no news), or nil (nobody knows better).
local function hint_for(reason)
  for _, pair in ipairs(hints) do
    if reason:find(pair[1], 1, true) then return pair[2] end
  end
  return nil
end

local function function_text(func)
  local info = util.funcinfo(func)
  if info.ffid then return vmdef.ffnames[info.ffid] end
  return info.loc or "a C function"
end

local function opcode_name(number)
  return vmdef.bcnames:sub(number * 6 + 1, number * 6 + 6):match "%S+"
end

local function reason_text(err, info)
  if type(err) ~= "number" then return tostring(err) end
  if type(info) == "function" then info = function_text(info) end
  local text = format(vmdef.traceerr[err], info)
  return (text:gsub("bytecode (%d+)", function(n) return "bytecode " .. opcode_name(tonumber(n)) end))
end

-- Is a loop of this function, or the function itself, given up for good?
local function given_up(func)
  if not util.funcinfo(func).bytecodes then return false end
  local pc = 0
  while true do
    local ins = util.funcbc(func, pc)
    if not ins then return false end
    local op = opcode_name(bit.band(ins, 0xff))
    if op == "ILOOP" or op == "IFORL" or op == "IITERL" or op == "IFUNCF" then return true end
    pc = pc + 1
  end
end

-- "jobs/x.lua:12"; nil in our own modules, which run rarely, or are known to be compiled.
local function place_text(func, pc)
  local at = util.funcinfo(func, pc)
  if not at.source then return function_text(func) end
  if where.is_ours(at.source) then return nil end
  return at.source:gsub("^[@=]", "") .. ":" .. at.currentline
end

---@class weir.internal.Patient what is known of one state
---@field compiled integer traces
---@field aborted table<string, { count: integer, place: string, reason: string, func: function }>
---@field events { row: number, place: string, reason: string, func: function }[] the aborts in their order
---@field heard function
---@field looks table<string, integer> times that the interpreter was found at a place

local EVENTS_MAX = 1000 -- aborts that are remembered one by one

--- Begins to watch the state that this runs in.
---@param rows fun(): number rows that have come so far
---@return weir.internal.Patient
function M.attach(rows)
  local patient = { compiled = 0, aborted = {}, events = {}, looks = {}, looked = 0 }
  function patient.heard(what, _, func, pc, err, info)
    if what == "stop" then
      patient.compiled = patient.compiled + 1
    elseif what == "abort" then
      local reason, place = reason_text(err, info), place_text(func, pc)
      if not place then return end
      if #patient.events < EVENTS_MAX then
        patient.events[#patient.events + 1] = { row = rows(), reason = reason, place = place, func = func }
      end
      local key = place .. "\0" .. reason
      local entry = patient.aborted[key]
      if not entry then
        entry = { count = 0, place = place, reason = reason, func = func }
        patient.aborted[key] = entry
      end
      entry.count = entry.count + 1
    end
  end
  jit.attach(patient.heard, "trace")
  debug.sethook(function()
    local at = debug.getinfo(2, "Sl")
    local place = at and at.what ~= "C" and at.source:gsub("^[@=]", "") .. ":" .. at.currentline
      or "built-in functions"
    patient.looks[place] = (patient.looks[place] or 0) + 1
    patient.looked = patient.looked + 1
  end, "", HOOK_EVERY)
  return patient
end

-- The operator whose function holds a line: "operator "add"", or "" for generated code and modules.
local function operator_at(nodes, place)
  local file, line = place:match "^(.*):(%d+)$"
  for _, node in ipairs(file and nodes or {}) do
    for _, fn in pairs(type(node.fn) == "table" and node.fn or { node.fn }) do
      local at = type(fn) == "function" and debug.getinfo(fn, "S")
      local n = tonumber(line)
      if at and at.source == "@" .. file and at.linedefined <= n and n <= at.lastlinedefined then
        return format(' in operator "%s"', node.name)
      end
    end
  end
  return ""
end

local function sorted(t, before)
  local out = {}
  for _, v in pairs(t) do out[#out + 1] = v end
  table.sort(out, before)
  return out
end

local function count_text(n)
  if n >= 1e6 then return format("%.1f M", n / 1e6) end
  if n >= 1e4 then return format("%.0f k", n / 1e3) end
  return format("%.0f", n)
end

-- Is an abort worth a word? One in which the compiler tries again is none, and none is that of a chunk which is just
-- being loaded, as generated text is when a site learns its rows: its functions are made once.
local function is_news(abort)
  local loads = abort.reason:find "FNEW$" and util.funcinfo(abort.func).linedefined == 0
  return not loads and hint_for(abort.reason) ~= false or given_up(abort.func)
end

-- What the compiler could not compile, or has given up, when half of the rows were through.
local function late_aborts(patient, stage)
  local out = {}
  for _, event in ipairs(patient.events) do
    if is_news(event) and event.row > stage.rows / 2 and event.row > WARM_ROWS then
      out[#out + 1] = format("  after warm-up, at row %.0f: %s%s: %s", event.row, event.place,
        operator_at(stage.ops, event.place), event.reason)
    end
  end
  if #out == 0 and stage.rows > WARM_ROWS then out[1] = "  no trace was aborted after warm-up" end
  return out
end

-- Most first; of equal ones that of the lower place.
local function by(field)
  return function(a, b)
    if a[field] ~= b[field] then return a[field] > b[field] end
    return a.place < b.place
  end
end

-- Adds why the compiler gave up, and what to write instead; gives the number of reasons.
local function say_reasons(out, patient, stage)
  local said = 0
  for _, entry in ipairs(sorted(patient.aborted, by "count")) do
    if is_news(entry) and said < REASONS_MAX then
      said = said + 1
      local hint, lost = hint_for(entry.reason), given_up(entry.func)
      out[#out + 1] = format("  %s%s: %s (%d times%s)", entry.place, operator_at(stage.ops, entry.place),
        entry.reason, entry.count, lost and "; a loop was given up" or "")
      if hint then out[#out + 1] = "    " .. hint end
    end
  end
  return said
end

-- Adds where the interpreter was most; gives the number of places.
local function say_places(out, patient, stage)
  local places, said = {}, 0
  for place, n in pairs(patient.looks) do places[#places + 1] = { place = place, n = n * HOOK_EVERY } end
  table.sort(places, by "n")
  for i = 1, math.min(PLACES_MAX, #places) do
    if places[i].n >= BUSY then
      said = said + 1
      out[#out + 1] = format("  interpreted most: %s%s, %s instructions", places[i].place,
        operator_at(stage.ops, places[i].place), count_text(places[i].n))
    end
  end
  return said
end

--- What was found in a stage, as text.
---@param patient weir.internal.Patient
---@param stage table { name, ops, subtask, parallelism, rows, lua_ns, collect_ns }
---@return string
function M.report(patient, stage)
  debug.sethook()
  jit.attach(patient.heard)
  local interpreted = patient.looked * HOOK_EVERY
  local interpreter_ns = math.min(interpreted * INTERPRETED_NS, stage.lua_ns)
  local out = {
    format("doctor: %s, subtask %d of %d: %s rows", stage.name, stage.subtask, stage.parallelism,
      count_text(stage.rows)),
    format("  %.1f ms in Lua, at least %.1f of them interpreted, the rest compiled code and C; collector %.1f ms",
      stage.lua_ns / 1e6, interpreter_ns / 1e6, stage.collect_ns / 1e6),
    format("  %d traces compiled; %s instructions interpreted%s", patient.compiled, count_text(interpreted),
      stage.rows > 0 and format(", %.1f a row", interpreted / stage.rows) or ""),
  }
  local said = say_reasons(out, patient, stage) + say_places(out, patient, stage)
  if said == 0 then out[#out + 1] = "  all of it runs compiled; nothing to advise" end
  for _, line in ipairs(late_aborts(patient, stage)) do out[#out + 1] = line end
  return concat(out, "\n") .. "\n"
end

return M
