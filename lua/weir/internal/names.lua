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
--- SCALAR, UNKNOWN, REC (the record parameter), the value of a field of it, OUT (the parameter
--- that emits: `emit` or `ctx`), EMIT (ctx.emit), a field of ctx (a handle to state) or a
--- method of one, or the place where a table was made; places that meet in one register become
--- one. A table whose further life cannot be seen (it is stored, passed to a function, merged
--- with something unknown) is *open*: its names are unknown. Everything that is not understood
--- makes open, so the answer errs on the slow side only.
---
--- The same walk tells which fields are only *moved*: read, and put into a record that goes out,
--- without anybody looking at the value (`weir.internal.moves`).

local border = require "weir.internal.border"
local util = require "jit.util"
local bcnames = require("jit.vmdef").bcnames
package.loaded["jit.vmdef"] = nil -- the rest of it is large, and every subtask has a Lua state
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
-- Which operands an instruction looks at. Truth and comparison with nil see no difference between strings.
local looks = {
  d = set [[UNM LEN]],
  b = set [[ADDVN SUBVN MULVN DIVVN MODVN ADDNV SUBNV MULNV DIVNV MODNV]],
  bc = set [[ADDVV SUBVV MULVV DIVVV MODVV POW]],
  range = set [[CAT]],
  ad = set [[ISLT ISGE ISLE ISGT ISEQV ISNEV]],
  a = set [[ISEQS ISNES ISEQN ISNEN]],
  c = set [[TGETV TGETR TSETV TSETR]],
  abc = set [[FORI]],
}
local unknowns = set [[UGET GGET TGETV TGETB TGETR TGETS]]

local FR2 = 1 -- arguments of a call start behind the frame's slots (GC64)

---@class weir.internal.Analysis
---@field reads table<string, true>|nil names of the record that are read; nil = any
---@field adds table<string, true>|nil names that are set on the record; nil = open
---@field made table<string, true>|nil names of the records made here that go out; nil = open
---@field passes boolean the record itself goes out
---@field stored table<string, table<string, true>|false> names of what is written to each state; false = any
---@field seen table<string, true>|nil names of the record whose values are looked at; nil = any
---@field gives table<string, table<string|false, true>>|nil for each name of `made`: the fields whose values
--- are moved there; false among them = something else

-- One function: `rec` and `out` are the parameters' registers, or nil. `returns`: what is returned goes out.
local function analyse(fn, rec, out, returns)
  local info = util.funcinfo(fn)
  if not info.bytecodes or info.isvararg then return nil end
  local states, work = {}, {}
  local keys, open = {}, {} -- by place
  local reads, adds = {}, {}
  local sent = {} -- values that went out
  local failed = false
  local handles, methods = {}, {} -- interned: { handle = name }, { method = name, of = name }
  local written = {} -- state → list of values
  local fields, seen = {}, {} -- interned { field = name }; names that are looked at
  local held = {} -- place → name → set of the values put there
  local peeked = {} -- places out of which a value was taken again
  local parent = {}

  local function find(v)
    while parent[v] do v = parent[v] end
    return v
  end

  local function is_place(v) return type(v) == "number" and v > 0 end

  local function hold(place, name, v)
    held[place] = held[place] or {}
    held[place][name] = held[place][name] or {}
    held[place][name][v] = true
  end

  local function unify(a, b)
    a, b = find(a), find(b)
    if a == b then return a end
    parent[b] = a
    for name in pairs(keys[b]) do keys[a][name] = true end
    for name, values in pairs(held[b] or {}) do
      for v in pairs(values) do hold(a, name, v) end
    end
    open[a] = open[a] or open[b]
    peeked[a] = peeked[a] or peeked[b]
    return a
  end

  local function escape(v)
    if v == REC then
      open[REC] = true
      reads = nil
    elseif v == OUT or v == EMIT then
      failed = true
    elseif type(v) == "table" then
      if v.field then seen[v.field] = true else written[v.handle or v.of] = false end
    elseif is_place(v) then
      open[find(v)] = true
    end
  end

  -- What a register holds where two ways meet.
  local function merge(a, b)
    if a == b then return a end
    if is_place(a) and is_place(b) then return unify(a, b) end
    -- a value that is a scalar on one way is none the worse for being a table on the other
    if a == SCALAR and (is_place(b) or b == REC) then return b end
    if b == SCALAR and (is_place(a) or a == REC) then return a end
    -- One of several things; what of it is a table is lost from sight if the register is read, but many
    -- registers are dead where ways meet.
    local members, count = {}, 0
    for _, v in ipairs { a, b } do
      for member in pairs(type(v) == "table" and v.lost or { [v] = true }) do
        if not members[member] then count = count + 1 end
        members[member] = true
      end
    end
    for _, v in ipairs { a, b } do
      if type(v) == "table" and v.lost and v.count == count then return v end
    end
    return { lost = members, count = count }
  end

  -- `handle:set(v)`, `:add(v)` and `:put(k, v)` copy what they are given.
  local function write(name, v)
    if v == REC then reads = nil end -- all of it is kept
    if type(v) == "table" then escape(v) end
    if written[name] == nil then written[name] = {} end
    if written[name] then table.insert(written[name], v) end
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
      local before = old[r] or UNKNOWN
      local now = merge(before, regs[r] or UNKNOWN)
      if now ~= before then
        old[r] = now
        changed = true
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
    local function get(r)
      local v = regs[r] or UNKNOWN
      if type(v) ~= "table" or not v.lost then return v end
      for member in pairs(v.lost) do escape(member) end
      return UNKNOWN
    end
    local function look(r)
      local v = regs[r]
      for member in pairs(type(v) == "table" and (v.lost or { [v] = true }) or {}) do
        if type(member) == "table" and member.field then seen[member.field] = true end
      end
    end
    local follow = true

    if looks.d[op] then look(d)
    elseif looks.b[op] then look(b)
    elseif looks.bc[op] then look(b) look(c)
    elseif looks.range[op] then for r = b, c do look(r) end
    elseif looks.ad[op] then look(a) look(d)
    elseif looks.a[op] then look(a)
    elseif looks.c[op] then look(c)
    elseif looks.abc[op] then look(a) look(a + 1) look(a + 2)
    end

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
          hold(pc, k, SCALAR)
        end
      end
      regs[a] = pc
    elseif op == "TGETS" then
      local name = constant(c)
      local base = get(b)
      if base == REC then
        if reads then reads[name] = true end
        fields[name] = fields[name] or { field = name }
        regs[a] = fields[name]
      elseif base == OUT then
        if name == "emit" then
          regs[a] = EMIT
        else
          if name == "side" then failed = true end
          handles[name] = handles[name] or { handle = name }
          regs[a] = handles[name]
        end
      elseif type(base) == "table" and base.handle then
        local id = base.handle .. "\0" .. name
        methods[id] = methods[id] or { method = name, of = base.handle }
        regs[a] = methods[id]
      else
        if is_place(base) then peeked[find(base)] = true end
        escape(type(base) == "table" and base or UNKNOWN)
        regs[a] = UNKNOWN
      end
    elseif op == "TGETV" or op == "TGETB" or op == "TGETR" then
      if get(b) == REC then reads = nil end
      if get(b) == OUT then failed = true end
      if is_place(get(b)) then peeked[find(get(b))] = true end
      regs[a] = UNKNOWN
    elseif op == "TSETS" then
      local base, name, v = get(b), constant(c), get(a)
      if is_place(base) then hold(find(base), name, v) end
      if v ~= SCALAR and not (is_place(base) and type(v) == "table" and v.field) then escape(v) end
      if base == REC then adds[name] = true
      elseif is_place(base) then keys[find(base)][name] = true
      else escape(base) end
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
        if args < 2 or args > 4 or get(from) ~= OUT then return nil end
        send(get(from + 1))
        for i = 2, args - 1 do escape(get(from + i)) end -- ctx:emit(record, time, kind)
      elseif type(fv) == "table" and fv.method and get(from) == handles[fv.of] then
        local at = fv.method == "put" and 2 or (fv.method == "set" or fv.method == "add") and 1
        for i = 1, args - 1 do
          local v = get(from + i)
          if i == at then write(fv.of, v) elseif v ~= SCALAR then escape(v) end
        end
        if fv.method == "set" and args < 2 then written[fv.of] = false end
      else
        if type(fv) == "table" and (fv.method or fv.field) then escape(fv) end
        for i = 0, args - 1 do
          local v = get(from + i)
          local method = v == OUT and i == 0 and type(fv) == "table" and fv.handle -- ctx:event_timer(…)
          if not method and v ~= SCALAR then escape(v) end
        end
      end
      for r = a, info.stackslots do regs[r] = UNKNOWN end -- results; what lay behind is dead
    elseif op == "CALLM" then -- the last arguments are what another call gave
      local fv = get(a)
      if fv == OUT then return nil end
      if fv == EMIT then send(UNKNOWN) elseif type(fv) == "table" then escape(fv) end
      for r = a + 1 + FR2, a + c + FR2 do
        if get(r) == OUT and fv ~= EMIT and type(fv) ~= "table" then return nil end
        if get(r) ~= SCALAR and get(r) ~= OUT then escape(get(r)) end
      end
      for r = a, info.stackslots do regs[r] = UNKNOWN end
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

  -- A value put into a table is looked at, if only by those who get the table, unless it just goes out.
  local function look_into(place)
    for _, values in pairs(held[place] or {}) do
      for v in pairs(values) do
        if type(v) == "table" and v.field then seen[v.field] = true end
      end
    end
  end
  for place in pairs(held) do
    if open[find(place)] or peeked[find(place)] then look_into(place) end
  end
  for name in pairs(adds) do seen[name] = true end

  local result = { reads = reads, adds = not open[REC] and adds or nil, made = {}, passes = false, stored = {} }
  result.gives = {}
  for v in pairs(sent) do
    if type(v) == "table" and v.field then seen[v.field] = true end
    if v == UNKNOWN or type(v) == "table" or is_place(v) and open[find(v)] then
      result.made = nil
    elseif v == REC then
      result.passes = true
    elseif is_place(v) and result.made then
      for name in pairs(keys[find(v)]) do result.made[name] = true end
    end
    for name, values in pairs(is_place(v) and held[find(v)] or {}) do
      result.gives[name] = result.gives[name] or {}
      for value in pairs(values) do
        result.gives[name][type(value) == "table" and value.field or false] = true
      end
    end
  end
  if not result.made then
    for v in pairs(sent) do look_into(is_place(v) and find(v) or v) end
    result.gives = nil
  end
  for name, values in pairs(written) do
    local known = {}
    for _, v in ipairs(values or {}) do
      if is_place(v) then look_into(find(v)) end
      if is_place(v) and known and not open[find(v)] then
        for field in pairs(keys[find(v)]) do known[field] = true end
      elseif v ~= SCALAR then
        known = false
      end
    end
    result.stored[name] = values and known or false
  end
  if reads then result.seen = seen end
  return result
end

local roles = { -- registers of the record and of what emits; does the returned value go out?
  map = { rec = 0, returns = true }, filter = { rec = 0 }, flat_map = { rec = 0, out = 1 },
  process = { rec = 1, out = 0 }, watermark_fn = { rec = 0 },
}
roles.key_select, roles.partition_fn = roles.filter, roles.filter
roles.co_map, roles.co_flat_map, roles.co_process = roles.map, roles.flat_map, roles.process
roles.broadcast_process = roles.process

-- Kinds whose functions give no record: their input goes on.
local passing = { filter = true, key_select = true, partition_fn = true }
M.passing = passing

-- Kept elsewhere, since this module is dropped when a chain is built and its functions cannot be read again
-- once they are compiled.
local cache = border.analyses

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

--- For each state of a process function: the names that records written to it can have. A state that any of
--- the functions writes in a way that is not understood is left out.
---@param kind string
---@param fn table the process function
---@return table<string, table<string, true>>
function M.of_states(kind, fn)
  local known, any = {}, false
  for _, part in ipairs { "element", "element1", "element2", "broadcast", "timer", "open", "close" } do
    if fn[part] then
      local analysis
      if part == "timer" or part == "open" or part == "close" then
        local ok, result = pcall(analyse, fn[part], nil, 0, false)
        analysis = ok and result
      else
        analysis = M.of(kind, fn[part])
      end
      if not analysis then any = true end
      for name, set_of in pairs(analysis and analysis.stored or {}) do
        if not set_of or known[name] == false then
          known[name] = false
        else
          known[name] = known[name] or {}
          for field in pairs(set_of) do known[name][field] = true end
        end
      end
    end
  end
  local out = {}
  for name, set_of in pairs(known) do
    if set_of and not any then out[name] = set_of end
  end
  return out
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
  if passing[kind] then return union(input, known.adds) end
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
  for _, root in ipairs(stage.roots) do walk(root, input) end
  return known
end

--- The set of input fields that operator `root` and those behind it ever read, or nil when any may be; and the
--- operators that are given the input record itself, hence without its other fields.
---@return table<string, true>? wanted
---@return table<integer, true> partial
function M.wanted(stage, root, functions)
  local wanted, partial = {}, {}
  local function walk(k)
    partial[k] = true
    local kind = stage.ops[k].kind
    local known = M.of(kind, functions[k])
    if not known or not known.reads or not known.adds then return false end
    for name in pairs(known.reads) do wanted[name] = true end
    if not passing[kind] and not known.passes then return true end
    for _, link in ipairs(stage.links[k]) do
      if not link.to or not walk(link.to) then return false end
    end
    return true
  end
  if walk(root) then return wanted, partial end
  return nil, {}
end

return M
