-- SPDX-License-Identifier: Apache-2.0
--- Which field names can the records of an operator have?
---
--- A site (`weir.internal.rows`) must write every field of a record, so it has to know that
--- there are no others than those it tests for. Walking the record tells, but forces the
--- table to be built. Where the bytecode of the user's function shows the names - records
--- made by a table constructor, or the input with fields set by constant names - the answer
--- is known before the first record, and the tracer can drop the table.
---
--- A forward abstract interpretation over the bytecode of one function. A register holds
--- SCALAR, UNKNOWN, REC (the record parameter), OUT (the parameter that emits: `emit` or
--- `ctx`), EMIT (ctx.emit), or the place where a table was made. A table whose further life
--- cannot be seen (it is stored, passed to a function, merged with another value) is *open*:
--- its names are unknown. Everything that is not understood makes open, so the answer errs
--- on the slow side only.

local util = require "jit.util"
local bcnames = require("jit.vmdef").bcnames
local band, rshift = bit.band, bit.rshift

local M = {}

local UNKNOWN, SCALAR, REC, OUT, EMIT = 0, -1, -2, -3, -4

local names = {} -- opcode → name
for i = 0, #bcnames / 6 - 1 do
  names[i] = bcnames:sub(i * 6 + 1, i * 6 + 6):gsub(" ", "")
end

local function set(list)
  local s = {}
  for name in list:gmatch "%S+" do s[name] = true end
  return s
end

-- Read their operands, and leave a value that is no table in A.
local scalars = set [[NOT UNM LEN ADDVN SUBVN MULVN DIVVN MODVN ADDNV SUBNV MULNV DIVNV MODNV ADDVV SUBVV MULVV
  DIVVV MODVV POW KSTR KSHORT KNUM KPRI CAT KCDATA]]
-- Compare, then skip the jump behind them or not.
local compares = set [[ISLT ISGE ISLE ISGT ISEQV ISNEV ISEQS ISNES ISEQN ISNEN ISEQP ISNEP IST ISF]]
local unknowns = set [[UGET GGET TGETV TGETB TGETR TGETS]]

local FR2 = 1 -- arguments of a call start behind the frame's slots (GC64)

---@class weir.internal.Analysis
---@field reads table<string, true>|nil names of the record that are read; nil = any
---@field adds table<string, true>|nil names that are set on the record; nil = open
---@field made table<string, true>|nil names of the records made here that go out; nil = open
---@field passes boolean the record itself goes out

-- One function: `rec` and `out` are the parameters' registers, or nil. `returns`: what is returned goes out.
local function analyse(fn, rec, out, returns)
  local info = util.funcinfo(fn)
  if not info.bytecodes or info.isvararg then return nil end
  local states, work = {}, {}
  local keys, open = {}, {} -- by place
  local reads, adds = {}, {}
  local sent = {} -- values that went out
  local failed = false

  local function escape(v)
    if v == REC then
      open[REC] = true
      reads = nil
    elseif v == OUT or v == EMIT then
      failed = true
    elseif v > 0 then
      open[v] = true
    end
  end

  local function flow(pc, regs)
    local old = states[pc]
    if not old then
      local copy = {}
      for r, v in pairs(regs) do copy[r] = v end
      states[pc] = copy
      work[#work + 1] = pc
      return
    end
    local changed = false
    for r = 0, info.stackslots do
      local a, b = old[r] or UNKNOWN, regs[r] or UNKNOWN
      if a ~= b and a ~= UNKNOWN then
        -- a table that is lost from sight here may be changed behind our back
        if a ~= SCALAR then escape(a) end
        if not (b == SCALAR or b == UNKNOWN) then escape(b) end
        old[r] = UNKNOWN
        changed = true
      elseif a ~= b then
        if b ~= SCALAR then escape(b) end
      end
    end
    if changed then work[#work + 1] = pc end
  end

  local first = {}
  for r = 0, info.params - 1 do first[r] = UNKNOWN end
  if rec then first[rec] = REC end
  if out then first[out] = OUT end
  flow(1, first)

  local function constant(d) return util.funck(fn, -d - 1) end

  local function send(v)
    if v == OUT or v == EMIT then failed = true else sent[v] = true end
  end

  local steps = 0
  while #work > 0 and not failed do
    steps = steps + 1
    if steps > 20000 then return nil end
    local pc = table.remove(work)
    local regs = {}
    for r, v in pairs(states[pc]) do regs[r] = v end
    local ins = util.funcbc(fn, pc)
    if not ins then return nil end
    local op = names[band(ins, 0xff)]
    local a, c, b, d = band(rshift(ins, 8), 0xff), band(rshift(ins, 16), 0xff), rshift(ins, 24), rshift(ins, 16)
    local function get(r) return regs[r] or UNKNOWN end
    local follow = true

    if op == "MOV" then
      regs[a] = get(d)
    elseif op == "TNEW" then
      keys[pc] = keys[pc] or {}
      regs[a] = pc
    elseif op == "TDUP" then
      if not keys[pc] then
        keys[pc] = {}
        for k in pairs(constant(d)) do
          if type(k) == "string" then keys[pc][k] = true else open[pc] = true end
        end
      end
      regs[a] = pc
    elseif op == "TGETS" then
      local name = constant(c)
      local base = get(b)
      if base == REC then
        if reads then reads[name] = true end
        regs[a] = UNKNOWN
      elseif base == OUT then
        regs[a] = name == "emit" and EMIT or UNKNOWN
        if name == "side" then failed = true end
      else
        regs[a] = UNKNOWN
      end
    elseif op == "TGETV" or op == "TGETB" or op == "TGETR" then
      if get(b) == REC then reads = nil end
      if get(b) == OUT then failed = true end
      regs[a] = UNKNOWN
    elseif op == "TSETS" then
      local base, name = get(b), constant(c)
      if get(a) ~= SCALAR then escape(get(a)) end
      if base == REC then adds[name] = true
      elseif base > 0 then keys[base][name] = true
      elseif base == OUT then failed = true end
    elseif op == "TSETV" or op == "TSETB" or op == "TSETR" then
      if get(a) ~= SCALAR then escape(get(a)) end
      if get(b) ~= SCALAR then escape(get(b)) end
    elseif op == "CALL" then
      local fv = get(a)
      local args = c - 1
      local from = a + 1 + FR2
      if fv == OUT then -- emit(v[, tag])
        if args ~= 1 then return nil end
        send(get(from))
      elseif fv == EMIT then -- ctx.emit(ctx, v)
        if args ~= 2 or get(from) ~= OUT then return nil end
        send(get(from + 1))
      else
        for i = 0, args - 1 do
          local v = get(from + i)
          -- methods of ctx and of its states take ctx, or are called on what ctx holds
          if not (v == OUT and i == 0) and v ~= SCALAR then escape(v) end
        end
      end
      for r = a, info.stackslots do regs[r] = UNKNOWN end -- results; what lay behind is dead
    elseif op == "RET0" then
      follow = false
    elseif op == "RET1" then
      if returns then send(get(a)) else escape(get(a) == SCALAR and UNKNOWN or get(a)) end
      follow = false
    elseif op == "RET" then
      for i = 0, d - 2 do
        local v = get(a + i)
        if i == 0 and returns then send(v) elseif v ~= SCALAR then escape(v) end
      end
      follow = false
    elseif scalars[op] then
      regs[a] = SCALAR
    elseif op == "KNIL" then
      for r = a, d do regs[r] = SCALAR end
    elseif unknowns[op] then
      regs[a] = UNKNOWN
    elseif op == "JMP" then
      for r = a, info.stackslots do regs[r] = nil end -- slots from A on are dead behind the jump
      flow(pc + 1 + d - 0x8000, regs)
      follow = false
    elseif compares[op] then
      flow(pc + 1, regs)
      flow(pc + 2, regs)
      follow = false
    elseif op == "ISTC" or op == "ISFC" then
      -- A takes D where the jump is taken; on the other way A keeps its value
      flow(pc + 2, regs)
      local taken = {}
      for r, v in pairs(regs) do taken[r] = v end
      taken[a] = get(d)
      flow(pc + 1, taken)
      follow = false
    elseif op == "FORI" or op == "FORL" then
      for r = a, a + 3 do regs[r] = SCALAR end
      flow(pc + 1, regs)
      flow(pc + 1 + d - 0x8000, regs)
      follow = false
    elseif op == "LOOP" or op == "UCLO" then
      if op == "UCLO" then
        flow(pc + 1 + d - 0x8000, regs)
        follow = false
      end
    elseif op == "ITERC" or op == "ITERN" then
      for r = a - 3, a - 1 do if get(r) ~= SCALAR then escape(get(r)) end end
      for r = a, a + b - 2 do regs[r] = UNKNOWN end
    elseif op == "ITERL" then
      flow(pc + 1 + d - 0x8000, regs)
    elseif op == "ISNEXT" then
      flow(pc + 1 + d - 0x8000, regs)
      follow = false
    elseif op == "USETS" or op == "USETN" or op == "USETP" then
      follow = true
    elseif op == "USETV" then
      if get(d) ~= SCALAR then escape(get(d)) end
    elseif op == "GSET" then
      if get(a) ~= SCALAR then escape(get(a)) end
    else
      return nil -- closures, tail calls, varargs, compiled loops
    end
    if follow then flow(pc + 1, regs) end
  end
  if failed then return nil end

  local result = { reads = reads, adds = not open[REC] and adds or nil, made = {}, passes = false }
  for v in pairs(sent) do
    if v == UNKNOWN or open[v] then
      result.made = nil
    elseif v == REC then
      result.passes = true
    elseif v > 0 and result.made then
      for name in pairs(keys[v]) do result.made[name] = true end
    end
  end
  return result
end

local roles = { -- registers of the record and of what emits; does the returned value go out?
  map = { rec = 0, returns = true }, filter = { rec = 0 }, flat_map = { rec = 0, out = 1 },
  process = { rec = 1, out = 0 },
}
roles.co_map, roles.co_flat_map, roles.co_process = roles.map, roles.flat_map, roles.process
roles.broadcast_process = roles.process

local cache = setmetatable({}, { __mode = "k" })

--- What is known of function `fn` of an operator of `kind`; nil if nothing. Must be asked before the
--- function has run often: compiled loops are no longer readable.
---@param kind string
---@param fn function
---@return weir.internal.Analysis?
function M.of(kind, fn)
  local role = roles[kind]
  if not role or type(fn) ~= "function" then return nil end
  local known = cache[fn]
  if known == nil then
    local ok, result = pcall(analyse, fn, role.rec, role.out, role.returns)
    known = ok and result or false
    cache[fn] = known
  end
  return known or nil
end

--- Names of the records that the timer of a process function emits, or nil.
function M.of_timer(fn)
  local timer = type(fn) == "table" and fn.timer
  if not timer then return nil end
  local ok, known = pcall(analyse, timer, nil, 0, false)
  return ok and known and known.made or nil
end

local function union(a, b)
  if not a or not b then return nil end
  local out = {}
  for name in pairs(a) do out[name] = true end
  for name in pairs(b) do out[name] = true end
  return out
end

-- Names of what operator `kind` gives out when its input has the names `input`.
local function output_names(kind, fn, input)
  local known = M.of(kind, fn)
  if not known then return nil end
  if kind == "filter" then return union(input, known.adds) end
  if known.passes then return union(known.made, union(input, known.adds)) end
  return known.made
end

--- For each operator of the stage: the set of all names its output can have, or nil.
---@param stage table
---@param shape? weir.internal.Shape of the input rows; nil for timers
---@param functions function[] of the operators, for this input
function M.of_stage(stage, shape, functions)
  local known = {}
  local function walk(k, input)
    known[k] = output_names(stage.ops[k].kind, functions[k], input)
    for _, link in ipairs(stage.links[k]) do
      if link.to then walk(link.to, known[k]) end
    end
  end
  local input
  if shape and not shape.scalar and not shape.index["\1v"] then
    input = {}
    for i = shape.hidden + 1, shape.count do input[shape.fields[i].name] = true end
  end
  walk(1, input)
  return known
end

--- The set of input fields that are ever read, or nil when any may be; and the operators that are given
--- the input record itself, hence without its other fields.
---@return table<string, true>? wanted
---@return table<integer, true> partial
function M.wanted(stage, functions)
  local wanted, partial = {}, {}
  local function walk(k)
    partial[k] = true
    local kind = stage.ops[k].kind
    local known = M.of(kind, functions[k])
    if not known or not known.reads or not known.adds then return false end
    for name in pairs(known.reads) do wanted[name] = true end
    if kind ~= "filter" and not known.passes then return true end
    for _, link in ipairs(stage.links[k]) do
      if not link.to or not walk(link.to) then return false end
    end
    return true
  end
  if walk(1) then return wanted, partial end
  return nil, {}
end

return M
