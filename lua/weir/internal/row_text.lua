-- SPDX-License-Identifier: Apache-2.0
--- The text that makes a record out of a row's body and a body out of a record: what
--- `weir.internal.rows` and `weir.internal.loops` put into generated functions.
---
--- All of it runs only when a function is generated. It is large, and there may be a thousand states: it is
--- loaded for that, and dropped after it (`rows.drop_builders`), so that no function in here may be kept.

local border = require "weir.internal.border"
local row_encode = require "weir.internal.row_encode"
local rows = require "weir.internal.rows"
local sparse = require "weir.internal.sparse"

local T = border.T
local format, concat = string.format, table.concat
local next, sort = next, table.sort
local count_fields = weir_host.count -- luacheck: ignore

local M = {}

local HEAD, VALUE_FIELD = rows.HEAD, rows.VALUE_FIELD
local SHAPES_PER_SITE = 6    -- beyond, one nullable shape with all fields is tried
local INLINE_FIELDS_MAX = 48 -- locals of a Lua function are limited to 200
local DECODE_LOCALS_MAX = 100 -- one for each nested record and each field that may be missing
local DECODE_VALUES_MAX = 1000 -- the length of a jump is limited as well
local SITE_LOCALS_MAX = 180
local SHORT = 32             -- WR_ROW_SLACK: what may be copied beyond the end of a row
local NOTHING = {}

local function key_text(name)
  return "[" .. format("%q", name):gsub("\\\n", "\\n"):gsub("%z", "\\0"):gsub("\r", "\\r") .. "]"
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

---------------------------------------------------------------- decoding

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
    return M.decode_text(rows.shape(f.child), nested, out)
  end
  return format("tagged_get(%s + cast(i32p, %s + %d)[0])", b, b, at)
end

-- Locals and values of the text that makes a record of `shape` with those nested in it; nil: a loop makes it.
local function inline_cost(shape, wanted)
  if shape.count > INLINE_FIELDS_MAX then return nil end
  if sparse.is(shape) and not (wanted and not sparse.is { nullable = true, count = count_fields(wanted) }) then
    return nil
  end
  local locals, values = 0, 0
  for i = shape.hidden + 1, shape.count do
    local f = shape.fields[i]
    if not wanted or wanted[f.name] then
      values = values + 1
      if shape.nullable then locals = locals + 1 end
      if f.type == T.ROW then
        local more_locals, more_values = inline_cost(rows.shape(f.child))
        locals, values = locals + 1 + (more_locals or 0), values + (more_values or 0)
      end
    end
  end
  if locals > DECODE_LOCALS_MAX or values > DECODE_VALUES_MAX then return nil end
  return locals, values
end

--- Is a record of `shape` made by text, field by field? Else by a loop.
---@param shape weir.internal.Shape
---@param wanted? table<string, true> the fields that are made
---@return boolean
function M.is_inline(shape, wanted)
  return inline_cost(shape, wanted) ~= nil
end

--- Appends to `out` the statements, and gives the expression, that make the record of `shape` from the
--- body named `b`. `wanted` (a set of names) leaves out fields that nobody reads; `tokens` (name → token)
--- stand for fields that are only moved.
function M.decode_text(shape, b, out, wanted, tokens)
  if not M.is_inline(shape, wanted) then return format("E.decode(%d, %s)", shape.id, b) end
  if shape.scalar then return value_text(shape, 0, b, out) end
  local wrapped = shape.index[VALUE_FIELD] -- a record that is no table, keyed by a function
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

-- True when a site can test for the shape in generated text: nested and tagged fields need learning.
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
  if not shape.scalar and not shape.index[VALUE_FIELD] then
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

--- The text of the function of a site (`rows.site`) for the shapes it knows; E: its environment, which is given
--- what the text needs.
---@return string
function M.site(site, E)
  local body, names, declared = {}, {}, {}
  local function name_of(name)
    if not names[name] then
      names[name] = "r" .. #declared + 1
      declared[#declared + 1] = name
    end
  end
  local whole = { [VALUE_FIELD] = "rec" }
  for name, parameter in next, site.hidden and site.hidden.names or NOTHING do
    names[name], whole[name] = parameter, parameter
  end
  local scalars, records = {}, {}
  for _, shape in ipairs(site.shapes) do
    if shape.scalar or shape.index[VALUE_FIELD] then
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
    if shape.scalar or shape.index[VALUE_FIELD] then return nil end
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
  local id = row_encode.intern(fields, true, false)
  return id ~= 0 and rows.shape(id) or nil
end

-- Has the function of a site room for these shapes, one of them new? It has a local for each name, and in the branch
-- of a shape two for each field.
local function fits(site, shapes, new)
  local seen, count, widest = {}, 0, new.count
  local function name(n)
    if not seen[n] then count = count + 1 end
    seen[n] = true
  end
  for _, shape in ipairs(shapes) do
    widest = math.max(widest, shape.count)
    for i = 1, shape.count do name(shape.fields[i].name) end
  end
  for i = 1, new.count do name(new.fields[i].name) end
  for n in next, site.known or NOTHING do name(n) end
  return count + 2 * widest <= SITE_LOCALS_MAX
end

--- Makes room for `shape` among those that a site knows; one that has none is written by the general path.
---@return boolean? changed its function is to be generated anew
function M.add(site, shape)
  if not inlinable(shape) then return end
  if #site.shapes < SHAPES_PER_SITE and fits(site, site.shapes, shape) then
    site.shapes[#site.shapes + 1] = shape
    return true
  end
  local both
  if not site.united then
    site.united = true
    local all = union(site.shapes)
    both = all and union { all, shape }
  elseif #site.shapes == 1 and site.shapes[1].nullable then
    both = union { site.shapes[1], shape }
    if both == site.shapes[1] then return end
  end
  if not both or not fits(site, NOTHING, both) then return end
  site.shapes = { both }
  return true
end

--- Makes room for a shape that passed the same site of the functions before, if what this one is given can be of it.
---@return boolean? known
function M.expect(site, shape)
  local hidden = site.hidden and site.hidden.names or NOTHING
  if shape.nullable or shape.hidden ~= (site.hidden and site.hidden.count or 0) then return end
  for i = 1, shape.scalar and 0 or shape.count do
    local f = shape.fields[i]
    if i <= shape.hidden then
      if not hidden[f.name] then return end
    elseif site.tokens[f.name] and f.type ~= T.STR or site.known and not site.known[f.name] then
      return
    end
  end
  return M.add(site, shape)
end

return M
