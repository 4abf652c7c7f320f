-- SPDX-License-Identifier: Apache-2.0
--- The generated loops of a chain.
---
--- For every shape of input row one chunk is generated: it decodes the row, calls the operators' functions one
--- inside the other, and writes what comes out to the ports. The chunk is loaded anew per shape and chain, so its
--- prototypes are its own and the tracer compiles the whole way of a record into one trace.
---
--- A module that builds: it is dropped after that (`rows.drop_builders`). What a chunk gives away must hold
--- neither the chunk nor the functions in here that are large.

local ffi = require "ffi"
local border = require "weir.internal.border"
local branches = require "weir.internal.branches"
local context = require "weir.internal.context"
local moves = require "weir.internal.moves"
local names = require "weir.internal.names"
local row_text = require "weir.internal.row_text"
local rows = require "weir.internal.rows"

local format, concat = string.format, table.concat

local M = {}

-- Operators that call their function with a record; the text between the function and its outputs.
-- {K} is the operator's number in the stage, {ERR} what to do with an error object `err`.
local bodies = {
  map = {
    call = "local ok, v = true, f{K}(rec)",
    guarded = "local ok, v = pcall(f{K}, rec)",
    after = [[if v == nil then
return misuse({K}, "a map function returned nil; use filter or flat_map to drop records", rec)
end
out{K}(v)]],
  },
  filter = {
    call = "local ok, v = true, f{K}(rec)",
    guarded = "local ok, v = pcall(f{K}, rec)",
    after = "if v then out{K}(rec) end",
  },
  flat_map = {
    call = "f{K}(rec, emit{K})",
    guarded = "local ok, v = pcall(f{K}, rec, emit{K})",
  },
  process = {
    call = "f{K}(ctx{K}, rec)",
    guarded = "local ok, v = pcall(f{K}, ctx{K}, rec)",
  },
  reduce = {
    call = "local ok, v = true, reduce{K}(f{K}, rec)",
    guarded = "local ok, v = pcall(reduce{K}, f{K}, rec)",
    after = "if v ~= nil then out{K}(v) end",
  },
  key_select = { -- {H}: the parts of the key
    call = "local ok, {H}, more = true, f{K}(rec)",
    guarded = "local ok, {H}, more = pcall(f{K}, rec)",
    failure = "h1",
    after = [[if more ~= nil then
return misuse({K}, more_parts({N}), rec)
end
out{K}(rec, {H})]],
  },
  partition_fn = {
    call = "local ok, h1 = true, f{K}(rec, {N})",
    guarded = "local ok, h1 = pcall(f{K}, rec, {N})",
    failure = "h1",
    after = [[if type(h1) ~= "number" or h1 % 1 ~= 0 or h1 < 0 or h1 >= {N} then
return misuse({K}, no_channel(h1, {N}), rec)
end
out{K}(rec, h1)]],
  },
}
bodies.watermark_fn = {
  call = "mark{K}(f{K}, rec)",
  guarded = "local ok, v = pcall(mark{K}, f{K}, rec)",
}
bodies.co_map, bodies.co_flat_map = bodies.map, bodies.flat_map
bodies.co_process, bodies.broadcast_process = bodies.process, bodies.process
bodies.window_process = bodies.process

--- The function that operator `node` runs for input `input` (0, 1) or nil for its timer.
function M.function_of(node, input)
  local fn = node.fn
  if node.kind == "window_process" then return require("weir.internal.window").take end
  if type(fn) ~= "table" then return fn end
  if node.kind == "broadcast_process" then
    if input == 1 then return fn.broadcast end
    return fn.element
  end
  if node.kind == "co_process" then
    if input == 1 then return fn.element2 end
    return fn.element1
  end
  if node.kind == "co_map" or node.kind == "co_flat_map" then
    return fn[input + 1]
  end
  return fn.element
end

---------------------------------------------------------------- one generated chunk

local Chunk = {}
Chunk.__index = Chunk

local function subst(text, k, more)
  return (text:gsub("{K}", tostring(k)):gsub("{(%u)}", more or {}))
end

-- What the function of an operator gives beside its record, to go into hidden fields of the row.
local function hidden_of(stage, k)
  local kind, o = stage.ops[k].kind, stage.ops[k].options or {}
  if kind == "key_select" then
    return require("weir.internal.hidden").key_fields(o.parts, o.names), { N = tostring(o.parts) }
  elseif kind == "partition_fn" then
    return require("weir.internal.hidden").channel_field(), { N = tostring(stage.plan.operators[k].channels or 1) }
  end
end

local function no_channel(channel, n)
  return format("partition function returned %s; it must return a whole number from 0 to %d", tostring(channel),
    n - 1)
end

local function more_parts(n)
  return format("key_by function returned more than %d value%s; key_by(fn, \"name\", …) names each part", n,
    n == 1 and "" or "s")
end

-- `names.of_stage` says which field names the records of an operator can have, if that is known;
-- then a site need not count the fields of every record.
local function new_chunk(stage, shape, input)
  local self = setmetatable({
    stage = stage, shape = shape, input = input, sites = {}, lines = {}, setters = {},
    at = shape and input or rows.AT_TIMERS,
    E = rows.environment(stage.L, stage.store, stage.broadcast),
  }, Chunk)
  self.functions = {}
  for k, node in ipairs(stage.ops) do
    self.functions[k] = M.function_of(node, k == 1 and input or 0)
  end
  self.known = names.of_stage(stage, shape, self.functions)
  self.moves = moves.of_stage(stage, shape, self.functions)
  return self
end

-- A site that writes to port `port` what operator k emits, with its hidden fields as further parameters.
function Chunk:port_site(k, port, hidden, parameters)
  local stage = self.stage
  local number = #self.sites + 1
  local out = stage.L.outs[port]
  local node = stage.ops[k]
  local E = setmetatable({}, { __index = self.E })
  local moved, setters = self.moves.out[k], self.setters -- not the chunk, which is dropped
  local site = rows.site {
    E = E, O = out,
    at = rows.place(self.at, self.shape and self.shape.id or 0, number),
    known = self.known[k],
    hidden = hidden,
    params = parameters ~= "" and ", " .. parameters or nil,
    tokens = self.known[k] and moved,
    from = self.shape,
    whole = function(rec) return require("weir.internal.moves").whole(rec, moved, stage.L.row) end,
    place = function(text, shape)
      text[#text + 1] = format(
        'local q = O.p if q + (n + 16) > O["end"] then q = more(O, n + 16) end ' ..
        "local h = cast(elemp, q) h.len = n + 16 h.tag = bor(%d, L.kind) h.ts = L.ts local b = q + 16", shape)
    end,
    finish = function(text)
      text[#text + 1] = "O.p = q + (n + 16) O.rows = O.rows + 1"
    end,
    write = function(id, body)
      local need = #body + 16
      local q = out.p
      if out["end"] - q < need then q = E.more(out, need) end
      local h = ffi.cast(border.elemp, q)
      h.len, h.tag, h.ts = need, bit.bor(id, stage.L.kind), stage.L.ts
      ffi.copy(q + 16, body, #body)
      out.p = q + need
      out.rows = out.rows + 1
    end,
    on_change = function(put)
      E.current = put
      if setters[number] then setters[number](put) end
    end,
    refused = function(message, rec)
      return stage.refused(k, message, rec)
    end,
    on_tagged = function(bound)
      stage.note(format("operator '%s' emits records of more than %d shapes: their field names look like data; "
        .. "they travel in the slower tagged form from here on", node.name, bound))
    end,
  }
  self.sites[number] = site
  return number
end

function Chunk:add(line, ...)
  self.lines[#self.lines + 1] = select("#", ...) > 0 and format(line, ...) or line
end

-- Functions of operator k: deliver to its children and ports (children come first in the text).
function Chunk:operator(k)
  local stage = self.stage
  local node = stage.ops[k]
  local E = self.E
  E["f" .. k] = self.functions[k]
  self:add("local f%d = E.f%d", k, k)

  local hidden, words = hidden_of(stage, k)
  local parameters = {}
  for i = 1, hidden and hidden.count or 0 do parameters[i] = "h" .. i end
  local beside = concat(parameters, ", ")
  local values = hidden and "v, " .. beside or "v"
  local tags, last = {}, {}
  for i, link in ipairs(stage.links[k]) do last[link.tag or ""] = i end
  for i, link in ipairs(stage.links[k]) do
    local tag = link.tag or ""
    tags[tag] = tags[tag] or {}
    if link.to then
      self:operator(link.to)
      local copied = i < last[tag] and branches.may_change(stage, link.to, self.functions)
      local given = copied and branches.copy_text(tag == "" and self.known[k] or nil) or "v"
      table.insert(tags[tag], format("push%d(%s)", link.to, given))
    else
      local number = self:port_site(k, link.port, tag == "" and hidden or nil, beside)
      self:add("local put%d = E.put%d", number, number)
      table.insert(tags[tag], format("put%d(%s)", number, tag == "" and values or "v"))
    end
  end

  self:add("local function out%d(%s)", k, values)
  self:add(concat(tags[""] or {}, " "))
  self:add("end")
  local side = {}
  for tag, calls in pairs(tags) do
    if tag ~= "" and tag ~= "dead_letter" then
      side[#side + 1] = format("if tag == %q then %s return end", tag, concat(calls, " "))
    end
  end
  table.sort(side)
  self:add("local function side%d(tag, v)", k)
  self:add('if v == nil then error("cannot emit nil", 3) end')
  self:add(concat(side, " "))
  self:add("return unknown_tag(%d, tag)", k)
  self:add("end")

  if node.kind == "flat_map" or node.kind == "co_flat_map" then
    self:add("local function emit%d(v, tag)", k)
    self:add('if tag ~= nil then return side%d(tag, v) end', k)
    self:add('if v == nil then error("cannot emit nil", 2) end')
    self:add("out%d(v)", k)
    self:add("end")
  elseif node.kind == "process" or node.kind == "co_process" or node.kind == "broadcast_process" then
    self:add("local ctx%d = new_ctx(%d, out%d, side%d)", k, k, k, k)
    self:add("E.ctx%d = ctx%d", k, k)
  elseif node.kind == "window_process" then
    self:add("local ctx%d = E.new_window(%d, out%d, side%d)", k, k, k, k)
    self:add("E.ctx%d = ctx%d", k, k)
  elseif node.kind == "reduce" then
    self:add("local reduce%d = new_reduce(%d)", k, k)
    self:add("E.ctx%d = { emit = function(_, v) out%d(v) end }", k, k)
  elseif node.kind == "watermark_fn" then
    self:add("local mark%d = E.mark", k)
  end

  local body = bodies[node.kind]
  if words then words.H = beside end
  self:add("local function push%d(rec)", k)
  self:add("L.counts[%d] = L.counts[%d] + 1", k - 1, k - 1)
  if stage.guarded then
    self:add(subst(body.guarded, k, words))
    self:add("if not ok then return failed(%d, %s, rec) end", k, body.failure or "v")
  else
    self:add(subst(body.call, k, words))
  end
  if body.after then self:add(subst(body.after, k, words)) end
  self:add("end")
  self:add("E.pushes[push%d] = %d", k, k)
end

-- The loop over the rows of one shape. All of a row is in `step`, and the cursor is in C: the loop itself has
-- nothing in its slots that changes, so a trace that leaves for another branch and comes back has nothing to
-- restore.
function Chunk:loop(shape, wanted)
  local stage = self.stage
  self:add('local steps = E.steps')
  self:add('local function step()')
  self:add('local row = L.row')
  self:add('local tag = cast(i32p, row)[1]')
  self:add('if band(tag, 0xffffff) ~= %d then', shape.id)
  self:add('local other = steps[band(tag, 0xffffff)]')
  self:add('if other then return other() end return false')
  self:add('end')
  self:add('L.ts = cast(i64p, row)[1] L.kind = band(tag, 0x03000000)')
  if stage.keyed[self.input] then
    self:add('if C.wr_lua_set_key(L, row, %d) ~= 0 then bad_key(row) else', self.input)
  else
    self:add('do')
  end
  self:add('local b = row + %d', rows.HEAD)
  for i, root in ipairs(stage.roots) do -- a record for each: what one changes in it, the others do not see
    local out = {}
    local value = row_text.decode_text(shape, "b", out, wanted[i], self.moves.root[root])
    self:add('do')
    self:add(concat(out, "\n"))
    self:add('push%d(%s)', root, value)
    self:add('end')
  end
  self:add('end')
  self:add('row = row + cast(i32p, row)[0]')
  self:add('L.row = row')
  self:add('local left = L.left - 1')
  self:add('L.left = left')
  self:add('if left < 0 and C.wr_lua_spent(L) ~= 0 then return false end')
  self:add('return row < L["end"]')
  self:add('end')
  self:add('steps[%d] = step', shape.id)
  self:add('return function() local step = step while step() do end end')
end

local TIMERS_A_LOOK = 4 -- at the clock: what they cost is not known, and it costs little beside them

-- The loop over due timers, or at the end of time over all keys. Time of event timers is the output's timestamp;
-- rows that processing-time timers emit have none (I8).
function Chunk:timers()
  local guarded = self.stage.guarded
  local kind = self.stage.ops[1].kind == "window_process" and ", kind" or ""
  self:add('local time = E.time')
  self:add('local timer = E.timer')
  self:add('return function(kind, upto)')
  self:add('local left = %d', TIMERS_A_LOOK)
  local walks = self.stage.L.walks_at_end ~= 0
  local due = walks and 'C.wr_store_next(S, E.cursor)' or 'C.wr_timer_next(S, kind, upto, time)'
  self:add(walks and 'time[0] = upto' or '')
  self:add('local due = ' .. due)
  self:add('while due > 0 do')
  self:add('local t = tonumber(time[0])')
  self:add('if kind == 0 then L.ts = time[0] else L.ts = E.TS_NONE end')
  if guarded then
    self:add('local ok, v = pcall(timer, E.timer_ctx, t%s)', kind)
    self:add('if not ok then failed(1, v, nil) end')
  else
    self:add('timer(E.timer_ctx, t%s)', kind)
  end
  self:add('left = left - 1')
  self:add('if left == 0 then left = %d if C.wr_stage_spent(L.stage) ~= 0 then return 1 end end', TIMERS_A_LOOK)
  self:add('due = ' .. due)
  self:add('end')
  self:add('if due < 0 then error(E.error_text(), 0) end')
  self:add('return 0')
  self:add('end')
end

function Chunk:load(name)
  local E, stage, input = self.E, self.stage, self.input
  E.pushes = stage.pushes
  E.error_text = border.error_text
  E.decode = rows.decode
  E.failed, E.misuse, E.unknown_tag = stage.failed, stage.misuse, stage.unknown_tag
  E.new_ctx = function(k, out, side)
    return context.new(stage, k, out, side, input)
  end
  E.new_window = function(k, out, side) return require("weir.internal.window").new(stage, k, out, side) end
  E.new_reduce = function() return stage.reducer end
  E.no_channel, E.more_parts, E.copy_of = no_channel, more_parts, branches.copy
  E.mark = stage.mark
  E.bad_key = stage.bad_key
  for i, site in ipairs(self.sites) do E["put" .. i] = site.put end

  local setters = {}
  for i = 1, #self.sites do
    setters[i] = format("E.set%d = function(fn) put%d = fn end", i, i)
  end
  local text = concat({
    row_text.PRELUDE,
    "local pcall = pcall",
    "local failed, misuse, unknown_tag, bad_key = E.failed, E.misuse, E.unknown_tag, E.bad_key",
    "local new_ctx, new_reduce = E.new_ctx, E.new_reduce",
    "local no_channel, more_parts, copy_of = E.no_channel, E.more_parts, E.copy_of",
    concat(self.head, "\n"),
    concat(setters, "\n"),
    concat(self.lines, "\n"),
  }, "\n")
  if stage.keep_text then stage.text = text end
  local loaded, err = loadstring(text, "=" .. name)
  if not loaded then error("generated chain does not load: " .. err .. "\n" .. text) end
  local entry = loaded(E)
  for i = 1, #self.sites do self.setters[i] = E["set" .. i] end
  return entry
end

-- Moves what was added so far in front of the setters.
function Chunk:close_head()
  self.head = self.lines
  self.lines = {}
end

--- The loop for rows of shape `id` on `input`.
function M.rows(stage, input, id)
  local shape = rows.shape(id)
  local chunk = new_chunk(stage, shape, input)
  local wanted, partial = {}, {}
  for i, root in ipairs(stage.roots) do
    local of_root
    chunk:operator(root)
    wanted[i], of_root = names.wanted(stage, root, chunk.functions)
    for k in pairs(of_root) do partial[k] = true end
  end
  chunk:close_head()
  chunk.E.steps = stage.steps[input]
  chunk:loop(shape, wanted)
  local loop = chunk:load(format("weir:%s#%d", stage.name, id))
  stage.seen[input][id] = { partial = partial, tokens = chunk.moves.into }
  rows.learned(rows.place(input, id, 0), id)
  return loop
end

--- The loop over due timers.
function M.timers(stage)
  local chunk = new_chunk(stage, nil, 0)
  local node = stage.ops[1]
  chunk.known[1] = names.of_timer(node.fn)
  chunk:operator(1)
  chunk:close_head()
  local fn = stage.timer or node.fn.timer
  chunk.E.timer = fn
  chunk.E.time = ffi.new "int64_t[1]"
  chunk.E.cursor = ffi.new "uint64_t[1]"
  chunk.E.TS_NONE = border.TS_NONE
  chunk:timers()
  local E = chunk.E
  -- the context is made while the chunk runs
  local loop = chunk:load(format("weir:%s#timers", stage.name))
  E.timer_ctx = E.ctx1
  if stage.L.walks_at_end == 0 then stage.due_time, stage.due_window = E.time, E.ctx1.bounds end
  rows.learned(rows.place(rows.AT_TIMERS, 0, 0), 0)
  return loop
end

return M
