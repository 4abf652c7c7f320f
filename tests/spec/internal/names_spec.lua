--- The names of a record's fields, seen in bytecode (lua/weir/internal/names.lua, analysis.lua). What is claimed here decides
--- whether a field can be lost, so every case in which the table could get other fields must say "unknown".

local names = require "weir.internal.names"

local function sorted(t)
  if t == nil then return "unknown" end
  if t == false then return "any" end
  local out = {}
  for k in pairs(t) do out[#out + 1] = k end
  table.sort(out)
  return table.concat(out, " ")
end

local function made(kind, fn)
  local known = names.of(kind, fn)
  return sorted(known and known.made)
end

local function somewhere() end
local kept

describe("the names of records made in a function", function()
  it("are those of its table constructors, on every way", function()
    assert.equal("a b", made("map", function(r) return { a = r.x, b = 1 } end))
    assert.equal("a b c", made("map", function(r)
      if r.a then return { a = 1 } end
      return { b = 2, c = r.q }
    end))
    assert.equal("i v", made("flat_map", function(r, emit) for i = 1, 3 do emit { i = i, v = r.v } end end))
    assert.equal("n user", made("process", function(ctx, r) ctx:emit { user = r.user, n = 1 } end))
  end)

  it("include names set later, also where two tables meet in one variable", function()
    assert.equal("a b c", made("map", function(r)
      local t
      if r.x then t = { a = 1 } else t = { b = 2 } end
      t.c = 3
      return t
    end))
  end)

  it("are unknown if a name is computed", function()
    assert.equal("unknown", made("map", function(r) local t = { a = 1 } t[r.k] = 2 return t end))
    assert.equal("unknown", made("map", function(r) return { [r.k] = 2 } end))
    assert.equal("unknown", made("map", function(r) local t = { a = 1 } t[1] = r.x return t end))
  end)

  it("are unknown if another function has seen the table", function()
    assert.equal("unknown", made("map", function() local t = { a = 1 } somewhere(t) return t end))
    assert.equal("unknown", made("map", function() local t = { a = 1 } kept = t return t end))
    assert.equal("unknown", made("map", function(r) local t = { a = 1 } r.x.t = t return t end))
    assert.equal("unknown", made("map", function() return setmetatable({ a = 1 }, {}) end))
  end)

  it("are unknown if an alias could be changed", function()
    assert.equal("unknown", made("map", function(r)
      local t = { a = 1 }
      local u = r.flag and t or r.other
      u[r.k] = 1
      return t
    end))
    assert.equal("unknown", made("map", function(r)
      local t, u = { a = 1 }, { b = 1 }
      for _ = 1, 3 do t, u = u, t end
      u[r.k] = 1
      return t
    end))
  end)

  it("are unknown if the record comes from elsewhere", function()
    assert.equal("unknown", made("map", function() return (somewhere()) end))
    assert.equal("unknown", made("map", function(r) return r.nested end))
    assert.equal("unknown", made("process", function(ctx) ctx:emit(ctx.s:get()) end))
  end)

  it("include those that ctx:late is given, which a side output may read", function()
    assert.equal("a b", made("process", function(ctx, r) ctx:late({ a = r.x }, "late") ctx:emit { b = 1 } end))
    assert.equal("unknown", made("process", function(ctx) ctx:late(somewhere()) end))
    assert.is_nil(names.of("process", function(ctx, r) ctx:late(r, "late") end).seen)
  end)

  it("are those of the kind of operator that is asked for", function()
    local function fn(r) return { a = r.x } end
    assert.equal("", made("filter", fn))
    assert.equal("a", made("map", fn))
  end)

  it("are not claimed for what is not understood", function()
    assert.is_nil(names.of("map", function(...) return ... end))
    assert.is_nil(names.of("map", function(r) return somewhere(r) end))
    assert.is_nil(names.of("flat_map", function(r, emit) somewhere(emit) end))
    assert.is_nil(names.of("map", function(r)
      local t = { a = 1 } -- luacheck: ignore 241 (only read by name)
      return { f = function() t.b = r end }
    end))
  end)
end)

describe("the record that a function is given", function()
  it("keeps its names if it is only read, and has those that are set on it", function()
    local known = names.of("filter", function(r) return r.a > 5 and r.b.c == 1 end)
    assert.equal("a b", sorted(known.reads))
    assert.equal("", sorted(known.adds))
    known = names.of("map", function(r) r.x = 1 return r end)
    assert.equal("x", sorted(known.adds))
    assert.is_true(known.passes)
  end)

  it("may be read and changed in any way once it is passed on", function()
    local known = names.of("filter", function(r) somewhere(r) return true end)
    assert.is_nil(known.reads)
    assert.is_nil(known.adds)
    known = names.of("filter", function(r) return r[kept] end)
    assert.is_nil(known.reads)
    known = names.of("process", function(ctx, r) ctx.last:set(r) ctx:emit { n = r.n } end)
    assert.is_nil(known.reads)
    known = names.of("process", function(ctx, r) ctx.all:add(r) ctx:emit { n = r.n } end)
    assert.is_nil(known.reads)
  end)
end)

describe("what is written to state", function()
  it("has the names of its constructors, also where branches meet", function()
    local known = names.of("process", function(ctx, r)
      local s = ctx.stats:get()
      if s then s = { n = s.n + 1, last = r.ts } else s = { n = 1, last = r.ts } end
      ctx.stats:set(s)
      ctx.m:put(r.k, { a = 1 })
      ctx.l:add { b = 1 }
      ctx.v:set(5)
    end)
    assert.equal("last n", sorted(known.stored.stats))
    assert.equal("a", sorted(known.stored.m))
    assert.equal("b", sorted(known.stored.l))
    assert.equal("", sorted(known.stored.v))
  end)

  it("is unknown if it was read from there, or if the handle is passed on", function()
    local known = names.of("process", function(ctx)
      local v = ctx.a:get() or { n = 0 }
      v.n = v.n + 1
      ctx.a:set(v)
      somewhere(ctx.b)
    end)
    assert.equal("any", sorted(known.stored.a))
    assert.equal("any", sorted(known.stored.b))
    known = names.of("process", function(ctx, r)
      somewhere(ctx.b)
      ctx.b:set { n = r.n }
    end)
    assert.equal("any", sorted(known.stored.b))
    assert.equal("n", sorted(known.seen))
  end)

  it("is unknown if another call gives it; the rest of the function is still read", function()
    local known = names.of("process", function(ctx, r)
      if somewhere(r.ts, ctx.a:get()) then ctx.a:set { n = 1 } end
      ctx.b:set(somewhere())
      ctx:event_timer(somewhere(r.ts))
      ctx:emit(somewhere())
    end)
    assert.equal("n", sorted(known.stored.a))
    assert.equal("any", sorted(known.stored.b))
    assert.equal("unknown", sorted(known.made))
    assert.equal("ts", sorted(known.reads))
    assert.equal("ts", sorted(known.seen))
    assert.is_nil(names.of("process", function(ctx) somewhere(ctx, somewhere()) end))
    assert.is_nil(names.of("flat_map", function(_, emit) emit(somewhere()) end))
    assert.is_nil(names.of("process", function(_, r) somewhere(r, somewhere()) end).reads)
  end)
end)
