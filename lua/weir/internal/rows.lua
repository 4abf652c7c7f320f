-- SPDX-License-Identifier: Apache-2.0
--- Rows of a known shape (record/row.h): per shape, Lua text is generated that makes a
--- record out of a body and a body out of a record (`weir.internal.row_text`). The text is put
--- into the loops of a chain (`weir.internal.loops`), where the tracer compiles it together with
--- the user's functions, so that temporary records are never built.
---
--- A *site* is a place that writes records: it learns the shapes that pass it and keeps a
--- function for them. What fits none of its shapes is learned, and after a bound written in
--- the tagged encoding, which is slower, counted, and never wrong.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"

local C, T = border.C, border.T
local null = codec.null
local istype = ffi.istype
local concat = table.concat
local type, next, byte = type, next, string.byte
local host = weir_host -- luacheck: ignore
local all_keys, count_fields = host.keys, host.count

local M = {}

local SHAPES_SEEN_MAX = 64 -- beyond, the tagged encoding
local HEAD = 16            -- bytes of an element in front of its body
M.HEAD = HEAD

---------------------------------------------------------------- builders

-- What generates text and reads bytecode is large, and a state does so a few times in its life: loaded for that,
-- and dropped after it.
local BUILDERS = {
  "weir.internal.loops", "weir.internal.moves", "weir.internal.names", "weir.internal.row_text",
  "weir.internal.sparse", "jit.util",
}

local function row_text() return require "weir.internal.row_text" end

--- Lets go of the modules that build. What they built holds none of them.
function M.drop_builders()
  for _, name in ipairs(BUILDERS) do package.loaded[name] = nil end
end

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

--- The id of the shape of `fields`, or 0 and an error.
---@return integer
function M.intern(fields, nullable, scalar)
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
  local id = M.intern(fields, false, false)
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
  local id = M.intern({ { name = "", type = ty } }, false, true)
  return id ~= 0 and id or nil
end

---------------------------------------------------------------- decoding

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
  local id = M.intern(fields, false, false)
  if id == 0 then error(border.error_text(), 0) end
  return id
end

local running, yield = coroutine.running, coroutine.yield

-- Lets the stage's thread rest until its outputs were emptied. What the script calls in a coroutine of its own, or
-- across a C function such as string.gsub, cannot rest: its output grows on.
local function rest(L)
  if running() ~= M.thread then return end
  L.resting = 1
  if not pcall(yield) then L.resting = 0 end
end
jit.off(rest)

--- The values that the PRELUDE of generated text takes out of E.
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
  local value = row_text().decode_text(M.shape(id), "b", out, nil)
  local text = row_text().PRELUDE .. "return function(b)\n" .. concat(out, "\n") .. "\nreturn " .. value .. "\nend"
  local E = M.environment()
  E.decode = M.decode
  known = M.generate(text, "=decode", E)
  decoders[id] = known
  return known
end

---------------------------------------------------------------- encoding

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
    site.put = M.generate(row_text().site(site, E), "=encode", E)
    options.on_change(site.put)
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
        if row_text().add(site, M.shape(id)) then rebuild() end
      end
    end
    return options.write(id, body, a, b)
  end

  rebuild()
  return site
end

return M
