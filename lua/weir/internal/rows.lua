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
local next, byte = next, string.byte
local count_fields = weir_host.count -- luacheck: ignore

local M = {}

local HIDDEN = 1 -- first byte of the names that the engine gives to fields of its own
M.HIDDEN = HIDDEN

local SHAPES_SEEN_MAX = 64 -- beyond, the tagged encoding
local HEAD = 16            -- bytes of an element in front of its body
M.HEAD = HEAD

---------------------------------------------------------------- builders

-- What generates text, learns shapes and reads bytecode is large, and a state does so a few times in its life:
-- loaded for that, and dropped after it.
local BUILDERS = {
  "weir.internal.analysis", "weir.internal.branches", "weir.internal.loops", "weir.internal.moves",
  "weir.internal.names", "weir.internal.row_encode", "weir.internal.row_text", "weir.internal.sparse", "jit.util",
}

local encode -- of weir.internal.row_encode, while that is loaded

local function row_text() return require "weir.internal.row_text" end

--- Lets go of the modules that build. What they built holds none of them.
function M.drop_builders()
  for _, name in ipairs(BUILDERS) do package.loaded[name] = nil end
  encode = nil
end

--- The body of any record as a string, with the id of its shape: the general path. Errors on what cannot be in a
--- record.
---@param rec any
---@param tagged? boolean do not learn, use the tagged encoding
---@param extra? table<string, any> hidden fields beside those of the record
---@return integer shape, string body
function M.encode(rec, tagged, extra)
  encode = encode or require("weir.internal.row_encode").encode
  return encode(rec, tagged, extra)
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

---------------------------------------------------------------- decoding

--- Field of a row with hidden fields that holds the whole record, where it has no fields or too many shapes.
M.VALUE_FIELD = "\1v"

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

---------------------------------------------------------------- what the functions before knew

-- Functions that come into a running stage are made for what passed it before, so that its first rows need not wait
-- until they have learned it. A place is a number: where it is, and the how-manieth there.
local PLACES, IDS = 2 ^ 16, 2 ^ 24
local hints, hinted = {}, {}

--- Where loops for rows of an input are (0, 1), where timers, and where the values of keyed and broadcast state.
M.AT_TIMERS, M.AT_STATE, M.AT_BROADCAST = 2, 3, 4

---@param at integer
---@param id integer of the shape that the loop is for, or the number of the state
---@param number integer 0 is the loop itself
---@return integer place
function M.place(at, id, number) return (at * IDS + id) * PLACES + number end

local function untold() end

--- Told of each shape that a place meets for the first time.
M.learned = untold

--- From here on `tell` hears what is learned; `known` is what it was told by the functions before, pairs of doubles.
---@param tell fun(place: integer, id: integer)
---@param known string
function M.remember(tell, known)
  M.learned = tell
  local pairs_of = ffi.cast("const double *", known)
  for i = 0, #known / 16 - 1 do
    local place, id = pairs_of[2 * i], pairs_of[2 * i + 1]
    if hints[place] == nil then hinted[#hinted + 1] = place end
    hints[place] = hints[place] == nil and id
  end
end

--- The shape that passed a place before; nil where there were several, whose order is not known.
---@return integer?
function M.hint(place) return hints[place] or nil end

--- The loops that the functions before had, the last `most` of them: calls `each` with where, and shape.
function M.hinted_loops(most, each)
  local list = {}
  for _, place in ipairs(hinted) do
    if place % PLACES == 0 then list[#list + 1] = place / PLACES end
  end
  for i = math.max(1, #list - most + 1), #list do each(math.floor(list[i] / IDS), list[i] % IDS) end
end

---------------------------------------------------------------- sites

---@class weir.internal.Site
---@field put fun(rec: any, …) writes a record; replaced whenever the site learns
---@field on_change fun(put: function) told of every replacement

--- A place that writes records.
---@param options table E (environment), at (its number: `rows.place`), place(out, shape) and finish(out) (text
--- that makes room for `n` body bytes as `b`, and completes), write(shape, body, …) (the general path), params (text of
--- further parameters, ", a, b"), known (set of all names its records can have, or nil), tokens (names that hold
--- tokens, `weir.internal.moves`), from (the input's shape) and whole(rec) (the record without tokens),
--- hidden (fields that the engine adds: names (name → parameter), count, and fields(…), which gives the fields
--- of the parameters' values or nil and why not), on_change(put),
--- refused(message, rec) (called when a value cannot be in a record)
function M.site(options)
  for name in next, options.known or {} do
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
      M.learned(options.at, id)
      if site.seen_count > SHAPES_SEEN_MAX then
        site.tagged = true
        if options.on_tagged then options.on_tagged(SHAPES_SEEN_MAX) end
      elseif id ~= border.SHAPE_ANY then
        if row_text().add(site, M.shape(id)) then rebuild() end
      end
    end
    return options.write(id, body, a, b)
  end

  local hint = M.hint(options.at)
  if hint and row_text().expect(site, M.shape(hint)) then
    site.seen[hint], site.seen_count = true, 1
    M.learned(options.at, hint)
  end
  rebuild()
  return site
end

return M
