-- SPDX-License-Identifier: Apache-2.0
--- Rows of a known shape (record/row.h): generates, per shape, the Lua text that makes a
--- record out of a body and a body out of a record. The text is put into the loops of a
--- chain (`weir.internal.chain`), where the tracer compiles it together with the user's
--- functions, so that temporary records are never built.
---
--- A *site* is a place that writes records: it learns the shapes that pass it and keeps a
--- function for them. What fits none of its shapes is learned, and after a bound written in
--- the tagged encoding, which is slower, counted, and never wrong.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local sparse = require "weir.internal.sparse"

local C, T = border.C, border.T
local null = codec.null
local istype = ffi.istype
local format, concat = string.format, table.concat
local type, next, sort, byte = type, next, table.sort, string.byte
local host = weir_host -- luacheck: ignore
local all_keys, count_fields = host.keys, host.count

local M = {}

local SHAPES_PER_SITE = 6   -- beyond, one nullable shape with all fields is tried
local SHAPES_SEEN_MAX = 64  -- beyond, the tagged encoding
local INLINE_FIELDS_MAX = 48 -- locals of a Lua function are limited to 200
M.INLINE_FIELDS_MAX = INLINE_FIELDS_MAX
local HEAD = 16             -- bytes of an element in front of its body
M.HEAD = HEAD
local SHORT = 32            -- WR_ROW_SLACK: what may be copied beyond the end of a row

---------------------------------------------------------------- shapes

local shapes = {}

---@class weir.internal.Shape
---@field id integer
---@field fields {name: string, type: integer, child: integer}[]
---@field index table<string, integer>

--- What C knows of shape `id`, as a Lua table.
---@param id integer
---@return weir.internal.Shape
function M.shape(id)
  local known = shapes[id]
  if known then return known end
  local s = C.wr_shape(id)
  local fields, index = {}, {}
  for i = 0, s.count - 1 do
    local f = s.fields[i]
    local name = ffi.string(f.name, f.name_len)
    fields[i + 1] = { name = name, type = f.type, child = f.child }
    index[name] = i + 1
  end
  known = {
    id = id, fields = fields, index = index, count = #fields,
    nullable = s.nullable == 1, scalar = s.scalar == 1,
    slots_at = s.slots_at, fixed_len = s.fixed_len, hidden = s.hidden,
  }
  shapes[id] = known
  return known
end

local function intern(fields, nullable, scalar)
  local n = #fields
  local specs = ffi.new("struct wr_field_spec[?]", n > 0 and n or 1)
  for i = 1, n do
    local f = fields[i]
    specs[i - 1].name = f.name
    specs[i - 1].name_len = #f.name
    specs[i - 1].type = f.type
    specs[i - 1].child = f.child or 0
  end
  return C.wr_shape_intern(specs, n, nullable and 1 or 0, scalar and 1 or 0)
end

local shape_of_table

local NOTHING = {}
local HIDDEN = 1 -- first byte of the names that the engine gives to fields of its own

-- Type and child shape of one value; nil when it cannot be in a row of its own type (then tagged).
local function type_of(v, depth)
  local ty = type(v)
  if ty == "number" then return T.F64, 0 end
  if ty == "string" then return T.STR, 0 end
  if ty == "boolean" then return T.BOOL, 0 end
  if v == null then return T.NULL, 0 end
  if ty == "table" then
    if codec.list_length(v) then return T.LIST, 0 end
    local child = shape_of_table(v, depth + 1)
    if child then return T.ROW, child end
    return T.MAP, 0
  end
  if ty == "cdata" then
    if istype(border.i64, v) then return T.I64, 0 end
    if istype(border.u64, v) then return T.U64, 0 end
  end
  return T.ANY, 0 -- refused when it is encoded, with the field's path
end

-- Deep records are tagged from here on: their shapes would be trees that hardly ever repeat.
local ROW_DEPTH_MAX = 4

-- Shape of a table whose keys are all strings, with the hidden fields of `extra`; nil if it is none (a map, too
-- deep, no shape left, or to be refused when it is encoded).
function shape_of_table(t, depth, extra)
  if depth > ROW_DEPTH_MAX then return nil end
  local fields, count, record = all_keys(t)
  if not record or count == 0 or count > border.FIELDS_MAX then return nil end
  for i = 1, count do
    local name = fields[i]
    local first = byte(name) or 0
    if first == HIDDEN or extra and first < HIDDEN then return nil end -- hidden fields lead their shape
    local ty, child = type_of(t[name], depth)
    fields[i] = { name = name, type = ty, child = child }
  end
  for name, v in next, extra or NOTHING do
    fields[#fields + 1] = { name = name, type = (type_of(v, depth)), child = 0 }
  end
  local id = intern(fields, false, false)
  if id == 0 then return nil end
  return id
end

--- The shape of a record, learned; nil if only the tagged encoding can carry it.
---@param rec any
---@return integer?
function M.learn(rec)
  if type(rec) == "table" and rec ~= null then
    if codec.list_length(rec) then return nil end
    return shape_of_table(rec, 1)
  end
  local ty = type_of(rec, 1)
  if ty == T.ANY then return nil end
  local id = intern({ { name = "", type = ty } }, false, true)
  return id ~= 0 and id or nil
end

---------------------------------------------------------------- decoding

local function key_text(name)
  return "[" .. format("%q", name):gsub("\\\n", "\\n"):gsub("%z", "\\0"):gsub("\r", "\\r") .. "]"
end
M.key_text = key_text

--- Field of a row with hidden fields that holds the whole record, where it has no fields or too many shapes.
M.VALUE_FIELD = "\1v"

-- Shape of a row that holds the record `extra[M.VALUE_FIELD]` as one value beside hidden fields.
local function wrapped_shape(extra, tagged)
  local fields = {}
  for name, v in next, extra do
    local ty, child = type_of(v, 1)
    if tagged and type(v) == "table" and v ~= null then ty, child = T.ANY, 0 end
    fields[#fields + 1] = { name = name, type = ty, child = child }
  end
  local id = intern(fields, false, false)
  if id == 0 then error(border.error_text(), 0) end
  return id
end

-- The names that generated text may use; the chunk begins with M.PRELUDE.
M.PRELUDE = [[
local E = ...
local C, cast, ffistr, copy = E.C, E.cast, E.ffistr, E.copy
local u8p, u32p, i32p, f64p, i64p, u64p, elemp = E.u8p, E.u32p, E.i32p, E.f64p, E.i64p, E.u64p, E.elemp
local band, bor, lshift, type, tonumber, istype = E.band, E.bor, E.lshift, type, tonumber, E.istype
local I64, U64, null, tagged_get, tagged_put, more = E.I64, E.U64, E.null, E.tagged_get, E.tagged_put, E.more
local L, S, BS = E.L, E.S, E.BS
]]

local running, yield = coroutine.running, coroutine.yield

-- Lets the stage's thread rest until its outputs were emptied. What the script calls in a coroutine of its own, or
-- across a C function such as string.gsub, cannot rest: its output grows on.
local function rest(L)
  if running() ~= M.thread then return end
  L.resting = 1
  if not pcall(yield) then L.resting = 0 end
end
jit.off(rest)

--- The values that M.PRELUDE takes out of E.
function M.environment(L, S, BS)
  local function more(out, need)
    if C.wr_lua_full(L) ~= 0 then rest(L) end
    local p = C.wr_out_more(out, need)
    if p == nil then error(border.error_text(), 0) end
    return p
  end
  return {
    C = C, cast = ffi.cast, ffistr = ffi.string, copy = ffi.copy,
    u8p = border.u8p, u32p = border.u32p, i32p = border.i32p, f64p = border.f64p, i64p = border.i64p,
    u64p = border.u64p, elemp = border.elemp, band = bit.band, bor = bit.bor, lshift = bit.lshift,
    istype = istype, I64 = border.i64, U64 = border.u64, null = null,
    tagged_get = codec.decode_raw, tagged_put = codec.encode_value, more = more, L = L, S = S, BS = BS,
  }
end

local generated = {}

--- How many texts were generated so far.
M.generation = 0

--- The function that generated text gives, made with the environment E. It is kept as long as the state,
--- also when another takes its place.
---@param text string
---@param name string
---@param E table
---@return function
function M.generate(text, name, E)
  M.generation = M.generation + 1
  local chunk, err = loadstring(text, name)
  if not chunk then error("generated text does not load: " .. err .. "\n" .. text) end
  local fn = chunk(E)
  generated[#generated + 1] = fn
  return fn
end

local value_text

-- Text of the value of slot `i` (0-based) in the body whose name is `b`.
function value_text(shape, i, b, out)
  local f = shape.fields[i + 1]
  local at = shape.slots_at + 8 * i
  if f.type == T.F64 then return format("cast(f64p, %s + %d)[0]", b, at) end
  if f.type == T.BOOL then return format("(%s[%d] == 1)", b, at) end
  if f.type == T.I64 then return format("cast(i64p, %s + %d)[0]", b, at) end
  if f.type == T.U64 then return format("cast(u64p, %s + %d)[0]", b, at) end
  if f.type == T.NULL then return "null" end
  if f.type == T.STR or f.type == T.BYTES then
    return format("ffistr(%s + cast(i32p, %s + %d)[0], cast(i32p, %s + %d)[0])", b, b, at, b, at + 4)
  end
  if f.type == T.ROW then
    local nested = b .. "_" .. i
    out[#out + 1] = format("local %s = %s + cast(i32p, %s + %d)[0]", nested, b, b, at)
    return M.decode_text(M.shape(f.child), nested, out)
  end
  return format("tagged_get(%s + cast(i32p, %s + %d)[0])", b, b, at)
end

--- Is a record of `shape` made by text, field by field? Else by a loop.
---@param shape weir.internal.Shape
---@param wanted? table<string, true> the fields that are made
---@return boolean
function M.is_inline(shape, wanted)
  if shape.count > INLINE_FIELDS_MAX then return false end
  if not sparse.is(shape) then return true end
  return wanted ~= nil and not sparse.is { nullable = true, count = count_fields(wanted) }
end

--- Appends to `out` the statements, and gives the expression, that make the record of `shape` from the
--- body named `b`. `wanted` (a set of names) leaves out fields that nobody reads; `tokens` (name → token)
--- stand for fields that are only moved.
function M.decode_text(shape, b, out, wanted, tokens)
  if not M.is_inline(shape, wanted) then return format("E.decode(%d, %s)", shape.id, b) end
  if shape.scalar then return value_text(shape, 0, b, out) end
  local wrapped = shape.index[M.VALUE_FIELD] -- a record that is no table, keyed by a function
  if wrapped then return value_text(shape, wrapped - 1, b, out) end
  local parts = {}
  for i = shape.hidden, shape.count - 1 do
    local f = shape.fields[i + 1]
    if not wanted or wanted[f.name] then
      local text
      local token = tokens and tokens[f.name] and tostring(tokens[f.name])
      if shape.nullable then
        local name = format("%s_n%d", b, i)
        local inner = {}
        local value = token or value_text(shape, i, b, inner)
        out[#out + 1] = format("local %s", name)
        out[#out + 1] = format("if band(cast(i32p, %s + %d)[0], %d) == 0 then %s %s = %s end",
          b, 4 * math.floor(i / 32), bit.tobit(bit.lshift(1, i % 32)), concat(inner, " "), name, value)
        text = name
      else
        text = token or value_text(shape, i, b, out)
      end
      parts[#parts + 1] = format("%s = %s", key_text(f.name), text)
    end
  end
  return "{ " .. concat(parts, ", ") .. " }"
end

-- Shapes with very many fields: a loop instead of text.
local cast = ffi.cast
function M.decode(id, b)
  local shape = M.shape(id)
  local rec = {}
  for i = shape.hidden, shape.count - 1 do
    local f = shape.fields[i + 1]
    local missing = shape.nullable
      and bit.band(cast(border.u32p, b)[math.floor(i / 32)], bit.lshift(1, i % 32)) ~= 0
    if not missing then
      local slot = cast(border.u8p, b) + shape.slots_at + 8 * i
      local v
      if f.type == T.F64 then v = cast(border.f64p, slot)[0]
      elseif f.type == T.BOOL then v = slot[0] == 1
      elseif f.type == T.I64 then v = cast(border.i64p, slot)[0]
      elseif f.type == T.U64 then v = cast(border.u64p, slot)[0]
      elseif f.type == T.NULL then v = null
      else
        local at = cast(border.u8p, b) + cast(border.u32p, slot)[0]
        if f.type == T.STR or f.type == T.BYTES then v = ffi.string(at, cast(border.u32p, slot)[1])
        elseif f.type == T.ROW then v = M.decoder(f.child)(at)
        else v = codec.decode_raw(at) end
      end
      if shape.scalar then return v end
      rec[f.name] = v
    end
  end
  return rec
end

local decoders = {}

--- A function body pointer → record, for places outside the generated loops.
---@param id integer
---@return fun(body: ffi.cdata*): any
function M.decoder(id)
  local known = decoders[id]
  if known then return known end
  local out = {}
  local value = M.decode_text(M.shape(id), "b", out, nil)
  local text = M.PRELUDE .. "return function(b)\n" .. concat(out, "\n") .. "\nreturn " .. value .. "\nend"
  local E = M.environment()
  E.decode = M.decode
  known = M.generate(text, "=decode", E)
  decoders[id] = known
  return known
end

---------------------------------------------------------------- encoding

local type_test = {
  [T.F64] = 'type(%s) == "number"',
  [T.STR] = 'type(%s) == "string"',
  [T.BOOL] = 'type(%s) == "boolean"',
  [T.I64] = 'type(%s) == "cdata" and istype(I64, %s)',
  [T.U64] = 'type(%s) == "cdata" and istype(U64, %s)',
  [T.NULL] = '%s == null',
}

local function test_text(f, v)
  return (type_test[f.type]:gsub("%%s", v))
end

--- true when a site can test for the shape in generated text: nested and tagged fields need learning.
local function inlinable(shape)
  if shape.count > INLINE_FIELDS_MAX then return false end
  for i = 1, shape.count do
    if not type_test[shape.fields[i].type] then return false end
  end
  return true
end

-- Statements that write the body of `shape` at `b`, its values being locals v1…; n1… their lengths.
local function write_text(shape, out, b, strings_at, tokens, block)
  for w = 0, shape.slots_at / 8 - 1 do
    local bits = {}
    for i = w * 64, math.min(shape.count, w * 64 + 64) - 1 do bits[#bits + 1] = i end
    for half = 0, 1 do
      local terms = {}
      for _, i in ipairs(bits) do
        if math.floor((i % 64) / 32) == half then
          terms[#terms + 1] = format("(v%d == nil and %d or 0)", i + 1, bit.tobit(bit.lshift(1, i % 32)))
        end
      end
      out[#out + 1] = format("cast(i32p, %s + %d)[0] = %s", b, w * 8 + half * 4,
        #terms == 0 and "0" or #terms == 1 and terms[1] or "bor(" .. concat(terms, ", ") .. ")")
    end
  end
  local at = strings_at
  for i = 1, shape.count do
    local f = shape.fields[i]
    local slot = shape.slots_at + 8 * (i - 1)
    local v = "v" .. i
    local line
    if f.type == T.F64 then line = format("cast(f64p, %s + %d)[0] = %s", b, slot, v)
    elseif f.type == T.BOOL then line = format("cast(f64p, %s + %d)[0] = 0 %s[%d] = %s and 1 or 0", b, slot, b, slot, v)
    elseif f.type == T.I64 then line = format("cast(i64p, %s + %d)[0] = %s", b, slot, v)
    elseif f.type == T.U64 then line = format("cast(u64p, %s + %d)[0] = %s", b, slot, v)
    elseif f.type == T.NULL then line = format("cast(f64p, %s + %d)[0] = 0", b, slot)
    elseif not block then
      local from = tokens[f.name] and format("row + (cast(i32p, row + %s)[0] + %d)", v, HEAD) or v
      line = format("cast(i32p, %s + %d)[0] = %s cast(i32p, %s + %d)[0] = n%d copy(%s + %s, %s, n%d)",
        b, slot, at, b, slot + 4, i, b, at, from, i)
      if not shape.nullable then at = at .. " + n" .. i end
    end
    if shape.nullable then
      local strings = f.type == T.STR
      line = format("if %s ~= nil then %s %s else cast(f64p, %s + %d)[0] = 0 end", v, line,
        strings and format("at = at + n%d", i) or "", b, slot)
    end
    out[#out + 1] = line
  end
end

-- Where a record takes exactly the strings of the input row with it, in their order, they are one block of
-- bytes. Gives for each string field of `shape` the token of the input's field, or nil.
local function block_of(site, shape)
  local from, wanted = site.from, {}
  if not from or from.nullable or shape.nullable or from.count > INLINE_FIELDS_MAX then return nil end
  for i = from.hidden, from.count - 1 do
    local f = from.fields[i + 1]
    if f.type >= T.STR then wanted[#wanted + 1] = i end
  end
  if #wanted == 0 or from.hidden > 0 then return nil end
  local tokens, n = {}, 0
  for i = 1, shape.count do
    local f = shape.fields[i]
    if f.type == T.STR then
      n = n + 1
      local roots = site.tokens[f.name]
      local root = roots and next(roots)
      if not root or next(roots, root) or from.index[root] ~= (wanted[n] or -1) + 1 then return nil end
      tokens[i] = HEAD + from.slots_at + 8 * wanted[n]
    end
  end
  return n == #wanted and tokens or nil
end

-- The strings of the input as one block behind the fixed part; `tail` names its bytes.
local function write_block(site, shape, block, out)
  local delta = shape.fixed_len - site.from.fixed_len
  for i = 1, shape.count do
    if block[i] then
      out[#out + 1] = format("cast(i64p, b + %d)[0] = cast(i64p, row + %d)[0] + %d",
        shape.slots_at + 8 * (i - 1), block[i], delta)
    end
  end
  out[#out + 1] = format("local to, at = b + %d, row + %d", shape.fixed_len, HEAD + site.from.fixed_len)
  out[#out + 1] = format("if tail <= %d then", SHORT)
  for w = 0, SHORT - 8, 8 do out[#out + 1] = format("cast(i64p, to + %d)[0] = cast(i64p, at + %d)[0]", w, w) end
  out[#out + 1] = "else copy(to, at, tail) end"
end

-- One branch of a site: `if <is this shape> then <write> return end`.
local function branch_text(site, shape, names, out)
  local tests, tokens = {}, site.tokens
  local hidden = site.hidden and site.hidden.names or NOTHING
  for i = 1, shape.count do
    local f = shape.fields[i]
    local v = shape.scalar and "rec" or names[f.name]
    local test = tokens[f.name] and format('type(%s) == "number"', v) or test_text(f, v)
    if hidden[f.name] and f.type == T.F64 then test = format("%s and %s == %s", test, v, v) end -- NaN is no key
    if shape.nullable and not hidden[f.name] then test = format("(%s == nil or %s)", v, test) end
    tests[#tests + 1] = test
  end
  if not shape.scalar and not shape.index[M.VALUE_FIELD] then
    if site.known then
      for name, v in next, names do
        if not shape.index[name] then tests[#tests + 1] = v .. " == nil" end
      end
    elseif shape.nullable then
      local terms = {}
      for i = 1, shape.count do terms[i] = format("(%s == nil and 0 or 1)", names[shape.fields[i].name]) end
      tests[#tests + 1] = format("count + %d == %s", shape.hidden, concat(terms, " + "))
    else
      tests[#tests + 1] = format("count == %d", shape.count - shape.hidden)
    end
  end
  out[#out + 1] = "if " .. concat(tests, " and ") .. " then"
  local length, any = { tostring(shape.fixed_len) }, false
  local block = block_of(site, shape)
  if next(tokens) ~= nil then out[#out + 1] = "local row = L.row" end
  for i = 1, shape.count do
    local f = shape.fields[i]
    local v = shape.scalar and "rec" or names[f.name]
    out[#out + 1] = format("local v%d = %s", i, v)
    if f.type == T.STR and not block then
      any = true
      local len = tokens[f.name] and format("cast(i32p, row + (v%d + 4))[0]", i) or format("#v%d", i)
      out[#out + 1] = shape.nullable and format("local n%d = v%d == nil and 0 or %s", i, i, len)
        or format("local n%d = %s", i, len)
      length[#length + 1] = "n" .. i
    end
  end
  if block then
    out[#out + 1] = format("local tail = cast(i32p, row)[0] - %d", HEAD + site.from.fixed_len)
    out[#out + 1] = format("local n = tail + %d", shape.fixed_len)
  elseif any then
    out[#out + 1] = format("local n = band(%s + 7, -8)", concat(length, " + "))
  else
    out[#out + 1] = format("local n = %d", shape.fixed_len)
  end
  site.place(out, shape.id)
  if any then out[#out + 1] = "cast(f64p, b + (n - 8))[0] = 0" end -- the padding is zero
  if shape.nullable then out[#out + 1] = format("local at = %d", shape.fixed_len) end
  write_text(shape, out, "b", shape.nullable and "at" or tostring(shape.fixed_len), tokens, block)
  if block then write_block(site, shape, block, out) end
  site.finish(out)
  out[#out + 1] = "return end"
end

-- The text of a site's function for the shapes it knows.
local function site_text(site, E)
  local body, names, declared = {}, {}, {}
  local function name_of(name)
    if not names[name] then
      names[name] = "r" .. #declared + 1
      declared[#declared + 1] = name
    end
  end
  local whole = { [M.VALUE_FIELD] = "rec" }
  for name, parameter in next, site.hidden and site.hidden.names or NOTHING do
    names[name], whole[name] = parameter, parameter
  end
  local scalars, records = {}, {}
  for _, shape in ipairs(site.shapes) do
    if shape.scalar or shape.index[M.VALUE_FIELD] then
      scalars[#scalars + 1] = shape
    else
      records[#records + 1] = shape
      for i = 1, shape.count do name_of(shape.fields[i].name) end
    end
  end
  if site.known and #records > 0 then
    local extra = {}
    for name in next, site.known do extra[#extra + 1] = name end
    sort(extra)
    for _, name in ipairs(extra) do name_of(name) end
  end
  for _, shape in ipairs(scalars) do branch_text(site, shape, whole, body) end
  local loops = #records == 1 and sparse.is(records[1]) and not site.hidden and next(site.tokens) == nil
  if loops then
    local plan = sparse.plan(records[1])
    E.plan, E.measure, E.write = plan, sparse.measure, sparse.write
    body[#body + 1] = 'if type(rec) == "table" then local n = measure(rec, plan) if n then'
    site.place(body, records[1].id)
    body[#body + 1] = "write(b, rec, plan, n)"
    site.finish(body)
    body[#body + 1] = "return end end"
  elseif #records > 0 then
    body[#body + 1] = 'if type(rec) == "table" then'
    for _, name in ipairs(declared) do
      body[#body + 1] = format("local %s = rec%s", names[name], key_text(name))
    end
    if not site.known then body[#body + 1] = "local count = fields(rec)" end
    for _, shape in ipairs(records) do branch_text(site, shape, names, body) end
    body[#body + 1] = "end"
  end
  return concat({
    M.PRELUDE,
    "local slow, fields, O = E.slow, E.fields, E.O",
    loops and "local plan, measure, write = E.plan, E.measure, E.write" or "",
    "return function(rec" .. site.params .. ")",
    concat(body, "\n"),
    "return slow(rec" .. site.params .. ")",
    "end",
  }, "\n")
end

-- All fields of all shapes in one nullable shape; nil if a name has two types.
local function union(list)
  local types, fields = {}, {}
  for _, shape in ipairs(list) do
    if shape.scalar or shape.index[M.VALUE_FIELD] then return nil end
    for i = 1, shape.count do
      local f = shape.fields[i]
      if types[f.name] == nil then
        types[f.name] = f.type
        fields[#fields + 1] = { name = f.name, type = f.type, child = f.child }
      elseif types[f.name] ~= f.type then
        return nil
      end
    end
  end
  if #fields > INLINE_FIELDS_MAX then return nil end
  local id = intern(fields, true, false)
  return id ~= 0 and M.shape(id) or nil
end

-- Value of the field in a record with hidden fields.
local function value_of(shape, name, rec, extra)
  if shape.scalar then return rec end
  local v = extra and extra[name]
  if v == nil then v = rec[name] end
  return v
end

-- Generic writer of a learned shape: values by name, strings and tagged bytes measured first.
-- `depth`: levels of the record above its fields.
local function body_of(shape, rec, depth, extra)
  local at = shape.fixed_len
  local parts = {}
  for i = 1, shape.count do
    local f = shape.fields[i]
    local v = value_of(shape, f.name, rec, extra)
    if v ~= nil then
      local bytes
      if f.type == T.STR then bytes = v
      elseif f.type == T.ROW then
        at = bit.band(at + 7, -8)
        bytes = body_of(M.shape(f.child), v, depth + 1)
      elseif f.type == T.LIST or f.type == T.MAP or f.type == T.ANY then
        bytes = codec.encode_value(v, depth)
      end
      if bytes then
        parts[i] = { at = at, bytes = bytes }
        at = at + #bytes
      end
    end
  end
  local len = bit.band(at + 7, -8)
  local hold = ffi.new("uint8_t[?]", len)
  local b = cast(border.u8p, hold)
  for i = 1, shape.count do
    local f = shape.fields[i]
    local v = value_of(shape, f.name, rec, extra)
    local slot = b + shape.slots_at + 8 * (i - 1)
    if v == nil then
      local w = cast(border.u32p, b) + math.floor((i - 1) / 32)
      w[0] = bit.bor(w[0], bit.lshift(1, (i - 1) % 32))
    elseif f.type == T.F64 then cast(border.f64p, slot)[0] = v
    elseif f.type == T.BOOL then slot[0] = v and 1 or 0
    elseif f.type == T.I64 then cast(border.i64p, slot)[0] = v
    elseif f.type == T.U64 then cast(border.u64p, slot)[0] = v
    elseif f.type ~= T.NULL then
      local part = parts[i]
      cast(border.u32p, slot)[0] = part.at
      cast(border.u32p, slot)[1] = #part.bytes
      ffi.copy(b + part.at, part.bytes, #part.bytes)
    end
  end
  return ffi.string(hold, len)
end

local any_shape

-- The body of a record beside hidden fields, whatever it is.
local function encode_beside(rec, tagged, extra)
  local id = not tagged and type(rec) == "table" and rec ~= null and shape_of_table(rec, 1, extra)
  if id then
    local ok, body = pcall(body_of, M.shape(id), rec, 1, extra)
    if ok then return id, body end
  end
  codec.encode_value(rec) -- refuses what cannot be in a record, by the way from its root
  extra[M.VALUE_FIELD] = rec
  id = wrapped_shape(extra, tagged)
  return id, body_of(M.shape(id), NOTHING, 0, extra)
end

--- The body of any record as a string, with the id of its shape: the general path.
---@param rec any
---@param tagged? boolean do not learn, use the tagged encoding
---@param extra? table<string, any> hidden fields beside those of the record
---@return integer shape, string body
function M.encode(rec, tagged, extra)
  if extra then return encode_beside(rec, tagged, extra) end
  local id = not tagged and M.learn(rec) or nil
  if id then
    local ok, body = pcall(body_of, M.shape(id), rec, M.shape(id).scalar and 0 or 1)
    if ok then return id, body end
    codec.encode_value(rec) -- is refused as well, and by the way from the record's root
    error(body, 0)
  end
  any_shape = any_shape or M.shape(border.SHAPE_ANY)
  local bytes = codec.encode_value(rec)
  local len = bit.band(any_shape.fixed_len + #bytes + 7, -8)
  local hold = ffi.new("uint8_t[?]", len)
  local b = cast(border.u8p, hold)
  cast(border.u32p, b)[0] = any_shape.fixed_len
  cast(border.u32p, b)[1] = #bytes
  ffi.copy(b + any_shape.fixed_len, bytes, #bytes)
  return border.SHAPE_ANY, ffi.string(hold, len)
end

---@class weir.internal.Site
---@field put fun(rec: any, …) writes a record; replaced whenever the site learns
---@field on_change fun(put: function) told of every replacement

--- A place that writes records.
---@param options table E (environment), place(out, shape) and finish(out) (text that makes room for `n`
--- body bytes as `b`, and completes), write(shape, body, …) (the general path), params (text of further
--- parameters, ", a, b"), known (set of all names its records can have, or nil), tokens (names that hold
--- tokens, `weir.internal.moves`), from (the input's shape) and whole(rec) (the record without tokens),
--- hidden (fields that the engine adds: names (name → parameter), count, and fields(…), which gives the fields
--- of the parameters' values or nil and why not), on_change(put),
--- refused(message, rec) (called when a value cannot be in a record)
function M.site(options)
  for name in next, options.known or NOTHING do
    if byte(name) == HIDDEN then options.known = nil end -- counted, and refused
  end
  local site = {
    shapes = {}, seen = {}, seen_count = 0, known = options.known, place = options.place,
    finish = options.finish, params = options.params or "", tagged = false, fallbacks = 0,
    tokens = options.tokens or {}, from = options.from, hidden = options.hidden,
  }
  local E = options.E

  local function rebuild()
    E.fields = count_fields
    E.slow = site.slow
    E.O = options.O
    site.put = M.generate(site_text(site, E), "=encode", E)
    options.on_change(site.put)
  end

  local function add(shape)
    if not inlinable(shape) then return end
    if #site.shapes < SHAPES_PER_SITE then
      site.shapes[#site.shapes + 1] = shape
      rebuild()
    elseif not site.united then
      site.united = true
      local all = union(site.shapes)
      local both = all and union({ all, shape })
      if both then
        site.shapes = { both }
        rebuild()
      end
    elseif #site.shapes == 1 and site.shapes[1].nullable then
      local both = union({ site.shapes[1], shape })
      if both and both ~= site.shapes[1] then
        site.shapes = { both }
        rebuild()
      end
    end
  end

  function site.slow(rec, a, b, ...)
    if options.tokens then rec = options.whole(rec) end
    local extra, bad
    if options.hidden then extra, bad = options.hidden.fields(a, b, ...) end
    if bad then return options.refused(bad, rec) end
    local ok, id, body = pcall(M.encode, rec, site.tagged, extra)
    if not ok then return options.refused(id, rec) end
    if site.tagged then
      site.fallbacks = site.fallbacks + 1
      if E.L ~= nil then E.L.fallbacks = E.L.fallbacks + 1 end
    elseif not site.seen[id] then
      site.seen[id] = true
      site.seen_count = site.seen_count + 1
      if site.seen_count > SHAPES_SEEN_MAX then
        site.tagged = true
        if options.on_tagged then options.on_tagged(SHAPES_SEEN_MAX) end
      elseif id ~= border.SHAPE_ANY then
        add(M.shape(id))
      end
    end
    return options.write(id, body, a, b)
  end

  rebuild()
  return site
end

return M
