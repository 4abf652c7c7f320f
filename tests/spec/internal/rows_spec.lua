-- Rows that Lua writes and reads, held against C's check of the same bytes and against the record itself.

local ffi = require "ffi"
local bit = require "bit"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local rows = require "weir.internal.rows"

local C, null = ffi.C, codec.null

ffi.cdef [[
  struct spec_bytes { uint8_t *data; size_t len, cap; bool failed; };
  int wr_row_verify(const struct wr_shape *s, const uint8_t *body, size_t len);
  void wr_row_json(const struct wr_elem *e, struct spec_bytes *out);
  void wr_bytes_deinit(struct spec_bytes *b);
]]

local RECORDS = 10000

---------------------------------------------------------------- random records

-- Numbers from a seed, so that a failure comes again (SplitMix64).
local function generator(seed)
  local state = ffi.new("uint64_t", seed)
  local function bits()
    state = state + 0x9e3779b97f4a7c15ULL
    local z = state
    z = bit.bxor(z, bit.rshift(z, 30)) * 0xbf58476d1ce4e5b9ULL
    z = bit.bxor(z, bit.rshift(z, 27)) * 0x94d049bb133111ebULL
    return bit.bxor(z, bit.rshift(z, 31))
  end
  return bits, function(n) return tonumber(bits() % n) + 1 end
end

local odd_numbers = {
  0, -0.0, 1, -1, 0 / 0, 1 / 0, -1 / 0, 2 ^ 53, -2 ^ 53, 2 ^ 63, 2 ^ 64, 5e-324, 1.7976931348623157e308, 0.1, 1e21, 255, 256,
}

local function random_double(bits, below)
  if below(2) == 1 then return odd_numbers[below(#odd_numbers)] end
  local hold = ffi.new("uint64_t[1]", bits())
  if bit.band(hold[0], 0x7ff0000000000000ULL) == 0x7ff0000000000000ULL then return 0 / 0 end -- Lua must see no other NaN
  return ffi.cast("double *", hold)[0]
end

local function random_string(below)
  local n = ({ 0, 1, 3, 20, 200 })[below(5)]
  local chars = {}
  for i = 1, n do chars[i] = string.char(below(4) == 1 and below(256) - 1 or 96 + below(26)) end
  return table.concat(chars)
end

local random_value

local function random_scalar(bits, below)
  local kind = below(7)
  if kind == 1 then return random_string(below) end
  if kind == 2 then return below(2) == 1 end
  if kind == 3 then return null end
  if kind == 4 then return ffi.cast("int64_t", bits()) end
  if kind == 5 then return bits() end
  return random_double(bits, below)
end

local function random_key(bits, below)
  local kind = below(4)
  if kind == 1 then return below(2) == 1 end
  if kind == 2 then
    local v = random_double(bits, below)
    return v == v and v or 7
  end
  return random_string(below)
end

local function random_table(bits, below, depth)
  local t, n = {}, below(6) - 1
  local kind = below(4)
  if kind == 1 then
    for i = 1, n do t[i] = random_value(bits, below, depth - 1) end
  elseif kind == 2 then
    for _ = 1, n do t[random_key(bits, below)] = random_value(bits, below, depth - 1) end
  else
    for i = 1, n do t[string.char(96 + i)] = random_value(bits, below, depth - 1) end
  end
  return t
end

function random_value(bits, below, depth)
  if depth > 0 and below(4) == 1 then return random_table(bits, below, depth) end
  return random_scalar(bits, below)
end

-- Fields mostly keep their type, as they do in life; else every record would have a shape of its own.
local usual = {
  function(_, below) return random_string(below) end,
  random_double,
  function(bits) return ffi.cast("int64_t", bits()) end,
  function(_, below) return below(2) == 1 end,
  function(bits, below) return { bits(), { random_string(below) }, null } end,
  function(bits, below) return { id = random_double(bits, below), name = random_string(below) } end,
  function(bits, below) return { [below(1000) / 8] = bits(), [true] = random_string(below) } end,
  function(bits) return bits() end,
}
local field_names = { "user", "amount", "ts", "item", "a b", "", "\0", "end" }

local function random_record(bits, below)
  local kind = below(20)
  if kind == 1 then return random_value(bits, below, 6) end
  local rec = {}
  if kind == 2 then
    for i = 1, 250 + below(20) do rec["f" .. i] = i end
    return rec
  end
  for i = 1, below(8) do
    local fill = below(30) == 1 and random_value or usual[i]
    if below(5) > 1 then rec[field_names[i]] = fill(bits, below, 3) end
  end
  return rec
end

---------------------------------------------------------------- the naive model

local function double_bits(v)
  return ffi.cast("uint64_t *", ffi.new("double[1]", v))[0]
end

local function equal(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) == "number" then return double_bits(a) == double_bits(b) end
  if type(a) == "cdata" then return tostring(a) == tostring(b) end -- "-1LL" and "1ULL" name their types
  if type(a) ~= "table" or a == null or b == null then return a == b end
  for k, v in pairs(a) do
    if b[k] == nil or not equal(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function verified(id, body, len)
  if C.wr_row_verify(C.wr_shape(id), body, len) ~= 0 then return border.error_text() end
end

-- An 8-aligned copy of a body that is a Lua string.
local function body_at(body)
  local hold = ffi.new("uint64_t[?]", #body / 8 + 1)
  ffi.copy(hold, body, #body)
  return ffi.cast("uint8_t *", hold), hold
end

local function round_trip(rec, tagged)
  local id, body = rows.encode(rec, tagged)
  local p, hold = body_at(body)
  assert.is_nil(verified(id, p, #body))
  local back = rows.decoder(id)(p)
  assert(hold)
  return equal(rec, back), id, body, back
end

local function json(id, body)
  local hold = ffi.new("uint64_t[?]", #body / 8 + 2)
  local e = ffi.cast("struct wr_elem *", hold)
  e.len, e.tag, e.ts = #body + 16, id, 0
  ffi.copy(e + 1, body, #body)
  local out = ffi.new("struct spec_bytes")
  C.wr_row_json(e, out)
  local text = ffi.string(out.data, out.len)
  C.wr_bytes_deinit(out)
  return text
end

---------------------------------------------------------------- specs

describe("a record", function()
  it("comes back exactly from the row of its shape, and from the tagged encoding, 10,000 times", function()
    local bits, below = generator(1)
    local shaped = 0
    for i = 1, RECORDS do
      local rec = random_record(bits, below)
      local same, id = round_trip(rec, false)
      if not same then error(("record %d does not come back from shape %d"):format(i, id)) end
      if id ~= border.SHAPE_ANY then shaped = shaped + 1 end
      if not round_trip(rec, true) then error(("record %d does not come back from the tagged encoding"):format(i)) end
    end
    assert.is_true(shaped > RECORDS / 2)
  end)

  it("has the same bytes in whatever order its fields were set", function()
    local bits, below = generator(2)
    for _ = 1, 500 do
      local rec, other, names = random_record(bits, below), {}, {}
      if type(rec) == "table" and rec ~= null then
        for k in pairs(rec) do names[#names + 1] = k end
        for i = #names, 1, -1 do other[names[i]] = rec[names[i]] end
        local id, body = rows.encode(rec)
        local id2, body2 = rows.encode(other)
        assert.equal(id, id2)
        assert.is_true(body == body2)
      end
    end
  end)

  it("is what C prints", function()
    local rec = { user = "ann", amount = 2.5, big = 9007199254740993LL, list = { 1, "x", null }, nested = { ok = true } }
    local _, id, body = round_trip(rec)
    assert.equal('{"amount":2.5,"big":9007199254740993,"list":[1,"x",null],"nested":{"ok":true},"user":"ann"}', json(id, body))
    _, id, body = round_trip(rec, true)
    assert.equal('{"amount":2.5,"big":9007199254740993,"list":[1,"x",null],"nested":{"ok":true},"user":"ann"}', json(id, body))
    _, id, body = round_trip("just text")
    assert.equal('"just text"', json(id, body))
  end)

  it("keeps integers beyond 2^53, NaN, infinities, -0, NUL and bytes that are no UTF-8", function()
    local rec = {
      i = 9007199254740993LL, least = -0x8000000000000000LL, u = 18446744073709551615ULL, nan = 0 / 0, inf = 1 / 0,
      minf = -1 / 0, zero = -0.0, nul = "a\0b", bad = "\255\254", empty = "", null = null,
    }
    assert.is_true((round_trip(rec)))
    assert.is_true((round_trip(rec, true)))
    local _, _, _, back = round_trip(rec)
    assert.equal(-math.huge, 1 / back.zero)
  end)

  it("keeps more than 255 fields, and names that are data", function()
    local rec = {}
    for i = 1, 1000 do rec["field " .. i .. "\0\255"] = i % 2 == 0 and i or tostring(i) end
    assert.is_true((round_trip(rec)))
    for i = 1, 4000 do rec["more" .. i] = i end
    assert.is_true((round_trip(rec)))
  end)
end)

describe("what no record can hold", function()
  local function refused(rec, words)
    for _, tagged in ipairs { false, true } do
      local ok, message = pcall(rows.encode, rec, tagged)
      assert.is_false(ok)
      assert.truthy(message:find(words, 1, true), message)
    end
  end

  it("is refused with the path of the field", function()
    refused({ user = { callback = print } }, "user.callback")
    refused({ user = { callback = print } }, "a function")
    refused({ items = { 1, { x = io.stdout } } }, "items[2].x")
    refused({ t = coroutine.create(print) }, "(field t)")
    refused({ p = ffi.new "int[2]" }, "cdata other than int64_t and uint64_t")
  end)

  it("is a table that contains itself", function()
    local loop = { a = { b = {} } }
    loop.a.b.c = loop.a
    refused(loop, "a cycle")
  end)

  it("is a table nested deeper than 64 levels, and not one of 64", function()
    local function nested(levels)
      local t = { 1 }
      for _ = 2, levels do t = { t } end
      return t
    end
    assert.is_true((round_trip(nested(64), true)))
    refused(nested(65), "more than 64 levels")
    refused({ deep = nested(64) }, "more than 64 levels")
  end)
end)

describe("a site", function()
  -- A site whose room is one buffer of this spec.
  local function site_of(known, at)
    local last = { hold = ffi.new("uint64_t[?]", 4096) }
    last.body = ffi.cast("uint8_t *", last.hold)
    local E = rows.environment()
    local site = rows.site {
      E = E, known = known, at = at,
      O = { room = function(n, id) last.id, last.len, last.inline = id, n, true return last.body end },
      place = function(out, id) out[#out + 1] = ("local b = O.room(n, %d)"):format(id) end,
      finish = function() end,
      write = function(id, body)
        last.id, last.len, last.inline = id, #body, false
        ffi.copy(last.body, body, #body)
      end,
      on_change = function() end,
      refused = function(message) error(message, 0) end,
    }
    return site, last
  end

  -- Records of a few flat shapes, so that the site writes them by generated text. Where no field changes its
  -- type, the site unites the shapes into one with missing fields.
  local function flat_record(bits, below, stable)
    local rec = { user = random_string(below), amount = random_double(bits, below) }
    if below(3) == 1 then rec.flag = below(2) == 1 end
    if below(3) == 1 then rec.note = random_string(below) end
    if below(4) == 1 then rec.big = ffi.cast("int64_t", bits()) end
    if below(4) == 1 then rec.u = bits() end
    if stable then return rec end
    if below(6) == 1 then rec.amount = random_string(below) end
    if below(9) == 1 then rec.gone = null end
    return below(20) == 1 and random_string(below) or rec
  end

  it("writes what C accepts and what reads back, by generated text after the first of a shape", function()
    for seed = 1, 20 do
      local bits, below = generator(seed)
      local names = { user = true, amount = true, flag = true, note = true, big = true, u = true, gone = true }
      local site, last = site_of(seed % 3 == 0 and names or nil)
      local stable, inline, nullable = seed % 2 == 0, 0, false
      for i = 1, 500 do
        local rec = flat_record(bits, below, stable)
        ffi.fill(last.body, 4096 * 8, 0xaa)
        site.put(rec)
        assert.is_nil(verified(last.id, last.body, last.len))
        if not equal(rec, rows.decoder(last.id)(last.body)) then
          error(("seed %d: record %d does not come back from shape %d"):format(seed, i, last.id))
        end
        if last.inline then inline = inline + 1 end
        nullable = nullable or rows.shape(last.id).nullable
      end
      assert.is_true(inline > (stable and 400 or 50))
      assert.is_true(nullable or not stable)
    end
  end)

  it("writes at once what it was told that the functions before had met, unless there were several shapes", function()
    local _, id = pcall(rows.encode, { user = "u", amount = 1 })
    local _, other = pcall(rows.encode, { user = "u" })
    local told = {}
    local one, several, elsewhere = rows.place(0, 1, 1), rows.place(0, 1, 2), rows.place(0, 1, 3)
    local known = ffi.new("double[6]", one, id, several, id, several, other)
    rows.remember(function(place, shape) told[#told + 1] = { place, shape } end, ffi.string(known, 48))
    for place, inline in pairs { [one] = true, [several] = false, [elsewhere] = false } do
      local site, last = site_of({ user = true, amount = true }, place)
      site.put { user = "x", amount = 2 }
      assert.equal(inline, last.inline)
      assert.equal(id, last.id)
      site.put { user = "y", amount = 3 }
      assert.is_true(last.inline)
    end
    table.sort(told, function(a, b) return a[1] < b[1] end)
    assert.same({ { one, id }, { several, id }, { elsewhere, id } }, told)
    rows.remember(function() end, "")
  end)

  it("writes records whose field names are data in the tagged encoding after a bound", function()
    local site, last = site_of()
    for i = 1, 200 do
      site.put { ["name" .. i] = i }
      assert.is_true(equal({ ["name" .. i] = i }, rows.decoder(last.id)(last.body)))
    end
    assert.equal(border.SHAPE_ANY, last.id)
    local shapes = C.wr_shape_count()
    for i = 201, 2000 do site.put { ["name" .. i] = i } end
    assert.equal(shapes, C.wr_shape_count())
  end)
end)
