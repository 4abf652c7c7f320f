-- SPDX-License-Identifier: Apache-2.0
--- What a function does with the record that it is given and with those that it makes, seen in its bytecode.
---
--- A forward abstract interpretation of one function. A register holds one of these:
---
---   UNKNOWN, SCALAR   anything at all; what is no table
---   REC               the record that the function is given
---   OUT, EMIT         the parameter that emits (`emit` or `ctx`); ctx.emit
---   { keys … }        a table made here, by the instruction that makes it (a *place*): the names that are set on
---                     it, the values put there (`held`), whether others may know the table (`open`), and whether
---                     a value was taken out of it again (`peeked`); where two meet, they become one
---   { field }         the value of a field of the record
---   { handle }        a field of ctx: a handle to state, or a method
---   { method, of }    a method of a handle
---   { lost, count }   one of several of these, where ways meet
---
--- What is stored, passed to a function or mixed with something unknown *escapes*: its further life cannot be seen,
--- so nothing is claimed of it. Neither is anything of a function with an instruction that is not understood. The
--- answer errs on the slow side only.

local util = require "jit.util"
local bcnames = require("jit.vmdef").bcnames
package.loaded["jit.vmdef"] = nil -- the rest of it is large, and every subtask has a Lua state
local band, rshift = bit.band, bit.rshift

local UNKNOWN, SCALAR, REC, OUT, EMIT = 0, -1, -2, -3, -4

local STEPS_MAX = 20000
local FR2 = 1 -- arguments of a call start behind the frame's slots (GC64)
local JUMP_BIAS = 0x8000
local MODE_NONE, MODE_VAR = 0, 3 -- what an operand is

---@class weir.internal.Analysis
---@field reads table<string, true>|nil names of the record that are read; nil = any
---@field adds table<string, true>|nil names that are set on the record; nil = open
---@field made table<string, true>|nil names of the records made here that go out; nil = open
---@field passes boolean the record itself goes out
---@field stored table<string, table<string, true>|false> names of what is written to each state; false = any
---@field seen table<string, true>|nil names of the record whose values are looked at; nil = any
---@field gives table<string, table<string|false, true>>|nil for each name of `made`: the fields whose values
--- are moved there; false among them = something else
---@field changes boolean the record, or a table in it, may be changed

---@class weir.internal.Walk
---@field fn function
---@field slots integer registers of the function
---@field returns boolean what is returned goes out
---@field pc integer of the instruction at hand
---@field regs table<integer, any> what the registers hold in front of it
---@field states table<integer, table<integer, any>> the same for every instruction that was jumped to
---@field work integer[] instructions to go on from (again)
---@field left integer instructions that may still be looked at
---@field failed boolean there is something that is not understood
---@field places table<integer, table> by the instruction that makes the table
---@field interned table<string, table> values for fields, handles and methods, so that equal ones are one
---@field sent table<any, true> values that went out
---@field written table<string, any[]|false> values by state; false = any
---@field reads table<string, true>|nil
---@field adds table<string, true>|nil
---@field seen table<string, true>
---@field changes boolean
local Walk = {}
Walk.__index = Walk

---------------------------------------------------------------- values

local function is_place(v) return type(v) == "table" and v.keys ~= nil end

-- The place that a place has become.
local function find(place)
  while place.into do place = place.into end
  return place
end

local function hold(place, name, v)
  local values = place.held[name]
  if not values then
    values = {}
    place.held[name] = values
  end
  values[v] = true
end

local function unify(a, b)
  a, b = find(a), find(b)
  if a == b then return a end
  b.into = a
  for name in pairs(b.keys) do a.keys[name] = true end
  for name, values in pairs(b.held) do
    for v in pairs(values) do hold(a, name, v) end
  end
  a.open = a.open or b.open
  a.peeked = a.peeked or b.peeked
  return a
end

-- One of several things. What of it is a table is lost from sight if the register is read, but many registers are
-- dead where ways meet.
local function either(a, b)
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

-- What a register holds where two ways meet.
local function merge(a, b)
  if a == b then return a end
  if is_place(a) and is_place(b) then return unify(a, b) end
  -- a value that is a scalar on one way is none the worse for being a table on the other
  if a == SCALAR and (is_place(b) or b == REC) then return b end
  if b == SCALAR and (is_place(a) or a == REC) then return a end
  return either(a, b)
end

function Walk:place()
  local place = self.places[self.pc]
  if place then return place, false end
  place = { keys = {}, held = {}, open = false, peeked = false }
  self.places[self.pc] = place
  return place, true
end

function Walk:intern(id, v)
  local known = self.interned[id]
  if known then return known end
  self.interned[id] = v
  return v
end

function Walk:escape(v)
  if v == REC then
    self.reads, self.adds, self.changes = nil, nil, true
  elseif v == OUT or v == EMIT then
    self.failed = true
  elseif is_place(v) then
    find(v).open = true
  elseif type(v) == "table" then
    if v.field then self.seen[v.field] = true else self.written[v.handle or v.of] = false end
  end
end

-- A value is handed to a function that is not looked into: were it a table of the record, it could be changed there.
function Walk:hand(v)
  if v == UNKNOWN or type(v) == "table" and v.field or is_place(v) then self.changes = true end
  self:escape(v)
end

-- What a register holds, for an instruction that makes use of it.
function Walk:get(r)
  local v = self.regs[r] or UNKNOWN
  if type(v) ~= "table" or not v.lost then return v end
  for member in pairs(v.lost) do self:escape(member) end
  return UNKNOWN
end

-- The instruction tells different strings in the register apart.
function Walk:look(r)
  local v = self.regs[r]
  if type(v) ~= "table" then return end
  for member in pairs(v.lost or { [v] = true }) do
    if type(member) == "table" and member.field then self.seen[member.field] = true end
  end
end

-- Looks at the operands that are registers; `modes` tells what each of them is (lj_bc.h).
function Walk:look_at(modes, a, d, b, c)
  local mode_a, mode_b, mode_c = band(modes, 7), band(rshift(modes, 3), 15), band(rshift(modes, 7), 15)
  if mode_a == MODE_VAR then self:look(a) end
  if mode_b == MODE_VAR then self:look(b) end
  if mode_c == MODE_VAR then self:look(mode_b == MODE_NONE and d or c) end
end

function Walk:send(v)
  if v == OUT or v == EMIT then self.failed = true else self.sent[v] = true end
end

-- All fields of a record are looked at, though it is not changed.
function Walk:show(v)
  if v == REC then self.reads = nil elseif is_place(v) then find(v).peeked = true else self:escape(v) end
end

-- `handle:set(v)`, `:add(v)` and `:put(k, v)` copy what they are given.
function Walk:write(state, v)
  self:show(v)
  local list = self.written[state]
  if list then
    list[#list + 1] = v
  elseif list == nil then
    self.written[state] = { v }
  end
end

---------------------------------------------------------------- instructions

local opcodes = setmetatable({}, { __index = function(t, number) -- number → name
  t[number] = bcnames:sub(number * 6 + 1, number * 6 + 6):match "%S+"
  return t[number]
end })

-- Opcodes that make no difference here from another one.
local alike = {
  NOT = "KSTR", UNM = "KSTR", LEN = "KSTR", ADDVN = "KSTR", SUBVN = "KSTR", MULVN = "KSTR", DIVVN = "KSTR",
  MODVN = "KSTR", ADDNV = "KSTR", SUBNV = "KSTR", MULNV = "KSTR", DIVNV = "KSTR", MODNV = "KSTR", ADDVV = "KSTR",
  SUBVV = "KSTR", MULVV = "KSTR", DIVVV = "KSTR", MODVV = "KSTR", POW = "KSTR", KSHORT = "KSTR", KNUM = "KSTR",
  KPRI = "KSTR", KCDATA = "KSTR",
  ISLT = "IST", ISGE = "IST", ISLE = "IST", ISGT = "IST", ISEQV = "IST", ISNEV = "IST", ISEQS = "IST", ISNES = "IST",
  ISEQN = "IST", ISNEN = "IST", ISEQP = "IST", ISNEP = "IST", ISF = "IST", ISFC = "ISTC",
  GGET = "UGET", TGETB = "TGETV", TGETR = "TGETV", TSETB = "TSETV", TSETR = "TSETV", USETN = "USETS", USETP = "USETS",
  RET1 = "RET", UCLO = "JMP", ISNEXT = "JMP", FORL = "FORI", ITERN = "ITERC",
}

-- Instructions that see no difference between strings in their operands: they move them, or ask for truth or nil.
local blind = {
  MOV = true, TSETS = true, NOT = true, IST = true, ISF = true, ISTC = true, ISFC = true, ISEQP = true, ISNEP = true,
}

-- What the instructions do, by opcode; one that gives true does not go on to the next one.
local steps = {}

local function constant(w, d) return util.funck(w.fn, -d - 1) end

function steps.KSTR(w, a) w.regs[a] = SCALAR end
function steps.KNIL(w, a, d) for r = a, d do w.regs[r] = SCALAR end end
function steps.UGET(w, a) w.regs[a] = UNKNOWN end
function steps.MOV(w, a, d) w.regs[a] = w:get(d) end
function steps.USETS() end
function steps.USETV(w, _, d) w:escape(w:get(d)) end
function steps.GSET(w, a) w:escape(w:get(a)) end

function steps.CAT(w, a, _, b, c)
  for r = b, c do w:look(r) end
  w.regs[a] = SCALAR
end

function steps.TNEW(w, a) w.regs[a] = w:place() end

function steps.TDUP(w, a, d)
  local place, fresh = w:place()
  w.regs[a] = place
  for k in pairs(fresh and constant(w, d) or {}) do
    if type(k) == "string" then place.keys[k] = true else place.open = true end
    hold(place, k, SCALAR)
  end
end

local function field_of_context(w, name)
  if name == "emit" then return EMIT end
  if name == "side" then w.failed = true end
  return w:intern("h" .. name, { handle = name })
end

function steps.TGETS(w, a, _, b, c)
  local base, name = w:get(b), constant(w, c)
  local v = UNKNOWN
  if base == REC then
    if w.reads then w.reads[name] = true end
    v = w:intern("f" .. name, { field = name })
  elseif base == OUT then
    v = field_of_context(w, name)
  elseif is_place(base) then
    find(base).peeked = true
  elseif type(base) == "table" and base.handle then
    v = w:intern("m" .. base.handle .. "\0" .. name, { method = name, of = base.handle })
  elseif type(base) == "table" then
    w:escape(base)
  end
  w.regs[a] = v
end

function steps.TGETV(w, a, _, b)
  local base = w:get(b)
  if base == REC then w.reads = nil end
  if base == OUT then w.failed = true end
  if is_place(base) then find(base).peeked = true end
  w.regs[a] = UNKNOWN
end

function steps.TSETS(w, a, _, b, c)
  local base, name, v = w:get(b), constant(w, c), w:get(a)
  if is_place(base) then
    base = find(base)
    base.keys[name] = true
    hold(base, name, v)
    if type(v) == "table" and v.field then return end -- looked at only if the table is
  else
    w.changes = true
    if base ~= REC then w:escape(base) elseif w.adds then w.adds[name] = true end
  end
  w:escape(v)
end

function steps.TSETV(w, a, _, b)
  local base = w:get(b)
  if not is_place(base) then w.changes = true end
  w:escape(w:get(a))
  w:escape(base)
end

-- The results of a call; what lay behind its base is dead.
local function results(w, a)
  for r = a, w.slots do w.regs[r] = UNKNOWN end
end

-- What `ctx:late(record, tag)` is given goes out where the tag is read, and into the log.
local function late(w, v)
  w:send(v)
  w:show(v)
end

-- ctx:event_timer(…) and the like; arguments are in the registers `from` to `last`. The context itself is one.
local function call_context(w, fv, from, last)
  if fv.handle == "late" and from < last then
    late(w, w:get(from + 1))
    from = from + 1
  end
  for r = from + 1, last do w:escape(w:get(r)) end
end

-- Which argument a method of a handle to state copies into the state; 0: none. What others write is not seen.
local copied = {
  set = 1, add = 1, put = 2,
  get = 0, all = 0, iter = 0, count = 0, keys = 0, contains = 0, is_empty = 0, remove = 0, clear = 0,
}

local function call_method(w, fv, from, last)
  local at = copied[fv.method]
  if not at or from + at > last then w:escape(fv) end
  for r = from + 1, last do
    if r - from == at then w:write(fv.of, w:get(r)) else w:escape(w:get(r)) end
  end
end

-- ctx:emit(record, time, kind)
local function call_emit(w, from, last)
  local count = last - from + 1
  if count < 2 or count > 4 or w:get(from) ~= OUT then
    w.failed = true
    return
  end
  w:send(w:get(from + 1))
  for r = from + 2, last do w:escape(w:get(r)) end
end

function steps.CALL(w, a, _, _, c)
  local fv = w:get(a)
  local from, last = a + 1 + FR2, a + c - 1 + FR2
  local own = type(fv) == "table" and from <= last and w:get(from)
  if fv == OUT then -- emit(v); with a tag it is for a side output
    if from == last then w:send(w:get(from)) else w.failed = true end
  elseif fv == EMIT then
    call_emit(w, from, last)
  elseif own == OUT and fv.handle then
    call_context(w, fv, from, last)
  elseif own and fv.method and own == w.interned["h" .. fv.of] then
    call_method(w, fv, from, last)
  else
    w:escape(fv)
    for r = from, last do w:hand(w:get(r)) end
  end
  results(w, a)
end

-- The last arguments are what another call gave.
function steps.CALLM(w, a, _, _, c)
  local fv = w:get(a)
  local from, last = a + 1 + FR2, a + c + FR2
  local own = fv == EMIT or type(fv) == "table" and fv.handle
  if own and from <= last and w:get(from) == OUT then
    if fv == EMIT or fv.handle == "late" then w:send(UNKNOWN) end
    from = from + 1
  else
    w:escape(fv)
  end
  for r = from, last do w:hand(w:get(r)) end
  results(w, a)
end

function steps.RET0() return true end

-- The first value that is returned goes out or is a key, a truth, …
function steps.RET(w, a, d)
  for r = a, a + d - 2 do
    if r == a and w.returns then w:send(w:get(r)) else w:escape(w:get(r)) end
  end
  return true
end

function steps.JMP(w, _, d)
  w:flow(w.pc + 1 + d - JUMP_BIAS)
  return true
end

-- Compare, then skip the jump behind them or not.
function steps.IST(w) w:flow(w.pc + 2) end

-- A takes D where the jump is taken; on the other way A keeps its value.
function steps.ISTC(w, a, d)
  w:flow(w.pc + 2)
  w.regs[a] = w:get(d)
end

function steps.FORI(w, a, d)
  for r = a, a + 2 do w:look(r) end
  for r = a, a + 3 do w.regs[r] = SCALAR end
  w:flow(w.pc + 1 + d - JUMP_BIAS)
end

function steps.LOOP() end

function steps.ITERC(w, a, _, b)
  for r = a - 3, a - 1 do w:escape(w:get(r)) end
  for r = a, a + b - 2 do w.regs[r] = UNKNOWN end
end

function steps.ITERL(w, _, d) w:flow(w.pc + 1 + d - JUMP_BIAS) end

---------------------------------------------------------------- the way through the function

-- The registers at hand come to instruction `pc`, perhaps beside others that came before.
function Walk:flow(pc)
  local old, regs = self.states[pc], self.regs
  local changed = not old
  if not old then
    local copy = {}
    for r, v in pairs(regs) do copy[r] = v end
    self.states[pc] = copy
  else
    for r = 0, self.slots do
      local before = old[r] or UNKNOWN
      local now = merge(before, regs[r] or UNKNOWN)
      if now ~= before then
        old[r] = now
        changed = true
      end
    end
  end
  if changed then self.work[#self.work + 1] = pc end
end

-- Goes from instruction `pc` to one at which others have come by, or to an end. Ways that meet later are gone one by
-- one up to the next branch.
function Walk:go(pc)
  local regs = {}
  for r, v in pairs(self.states[pc]) do regs[r] = v end
  self.regs = regs
  repeat
    local ins, modes = util.funcbc(self.fn, pc)
    local op, a, d = opcodes[band(ins, 0xff)], band(rshift(ins, 8), 0xff), rshift(ins, 16)
    local b, c = rshift(ins, 24), band(d, 0xff)
    local act = steps[alike[op] or op]
    self.pc = pc
    self.left = self.left - 1
    if not act or self.left == 0 then self.failed = true end -- closures, tail calls, varargs, compiled loops
    if not blind[op] then self:look_at(modes, a, d, b, c) end
    if self.failed or act(self, a, d, b, c) then return end
    pc = pc + 1
  until self.states[pc]
  self:flow(pc)
end

---------------------------------------------------------------- what came of it

-- Whoever gets a table looks at the values that were put into it.
function Walk:look_into(place)
  for _, values in pairs(place.held) do
    for v in pairs(values) do
      if type(v) == "table" and v.field then self.seen[v.field] = true end
    end
  end
end

-- Names of the records made here that go out, and the fields that are moved there; nil if they may have any.
function Walk:outgoing()
  local made, gives = {}, {}
  for v in pairs(self.sent) do
    if is_place(v) and not find(v).open then
      local place = find(v)
      for name in pairs(place.keys) do made[name] = true end
      for name, values in pairs(place.held) do
        gives[name] = gives[name] or {}
        for value in pairs(values) do gives[name][type(value) == "table" and value.field or false] = true end
      end
    elseif v == UNKNOWN or type(v) == "table" then
      return nil, nil
    end
  end
  return made, gives
end

-- Names of what is in a list of written values; false if there may be any.
local function names_of(values)
  local names = {}
  for _, v in ipairs(values) do
    if v ~= SCALAR then
      if not is_place(v) or find(v).open then return false end
      for name in pairs(find(v).keys) do names[name] = true end
    end
  end
  return names
end

function Walk:result()
  local made, gives = self:outgoing()
  for v in pairs(self.sent) do
    if is_place(v) then
      if not made then self:look_into(find(v)) end
    elseif type(v) == "table" then
      self:escape(v)
    end
  end
  for _, place in pairs(self.places) do
    place = find(place)
    if place.open or place.peeked then self:look_into(place) end
  end
  for name in pairs(self.adds or {}) do self.seen[name] = true end
  local stored = {}
  for state, values in pairs(self.written) do stored[state] = values and names_of(values) end
  return {
    reads = self.reads, adds = self.adds, made = made, passes = self.sent[REC] ~= nil, stored = stored,
    seen = self.reads and self.seen, gives = gives, changes = self.changes,
  }
end

local M = {}

--- What function `fn` does; nil if that is not understood. Must be asked before the function has run often: compiled
--- loops are no longer readable.
---@param fn function
---@param rec integer? number of the parameter that is the record, from 0
---@param out integer? number of the parameter that emits: `emit` or `ctx`
---@param returns boolean? what is returned goes out
---@return weir.internal.Analysis?
function M.of(fn, rec, out, returns)
  local info = util.funcinfo(fn)
  if not info.bytecodes or info.isvararg then return nil end
  local walk = setmetatable({
    fn = fn, slots = info.stackslots, returns = returns, regs = {}, states = {}, work = {}, left = STEPS_MAX,
    failed = false, places = {}, interned = {}, sent = {}, written = {}, reads = {}, adds = {}, seen = {},
    changes = false,
  }, Walk)
  if rec then walk.regs[rec] = REC end
  if out then walk.regs[out] = OUT end
  walk:flow(1)
  while #walk.work > 0 and not walk.failed do walk:go(table.remove(walk.work)) end
  if walk.failed then return nil end
  return walk:result()
end

return M
