--- Fields that are only moved (lua/weir/internal/analysis.lua, moves.lua). What is claimed here decides whether a
--- function could meet a token where a string belongs, so every way of looking at a value must be seen.

local names = require "weir.internal.names"

local function somewhere() end
local kept

-- The fields that a function looks at, and where it puts the others: "seen: a b; to: x=c".
local function told(kind, fn)
  local known = names.of(kind, fn)
  if not known then return "unknown" end
  if not known.seen then return "all" end
  local seen, to = {}, {}
  for name in pairs(known.seen) do seen[#seen + 1] = name end
  for name, origins in pairs(known.gives or {}) do
    local from = {}
    for origin in pairs(origins) do from[#from + 1] = tostring(origin) end
    table.sort(from)
    to[#to + 1] = name .. "=" .. table.concat(from, "|")
  end
  table.sort(seen)
  table.sort(to)
  return "seen: " .. table.concat(seen, " ") .. "; to: " .. table.concat(to, " ")
end

describe("a field that is only moved", function()
  it("goes from the record into one that goes out", function()
    assert.equal("seen: ; to: u=user", told("map", function(r) return { u = r.user } end))
    assert.equal("seen: n; to: n=false u=user", told("map", function(r) return { u = r.user, n = r.n + 1 } end))
    assert.equal("seen: ; to: a=x b=x", told("flat_map", function(r, emit)
      for _ = 1, 3 do emit { a = r.x, b = r.x } end
    end))
    assert.equal("seen: ; to: k=a|b", told("process", function(ctx, r)
      if somewhere() then ctx:emit { k = r.a } else ctx:emit { k = r.b } end
    end))
    assert.equal("seen: n; to: ", told("filter", function(r) return r.n > 5 end))
  end)

  it("may be asked whether it is there", function()
    assert.equal("seen: ; to: u=user", told("map", function(r)
      if r.user == nil or not r.user then return { u = r.user } end
      return { u = r.user }
    end))
  end)
end)

describe("a field is looked at", function()
  local cases = {
    ["compared with a constant"] = function(r) if r.a == "x" then return { a = r.a } end return { a = r.a } end,
    ["compared with a variable"] = function(r) if r.a == kept then return { a = r.a } end return { a = r.a } end,
    ["ordered"] = function(r) if r.a < kept then return { a = r.a } end return { a = r.a } end,
    ["concatenated"] = function(r) return { a = r.a, b = "x" .. r.a } end,
    ["measured"] = function(r) return { a = r.a, n = #r.a } end,
    ["calculated with"] = function(r) return { a = r.a, n = r.a * 2 } end,
    ["negated"] = function(r) return { a = r.a, n = -r.a } end,
    ["an argument"] = function(r) somewhere(r.a) return { a = r.a } end,
    ["called as a method"] = function(r) return { a = r.a, b = r.a:upper() } end,
    ["called"] = function(r) r.a() return { a = r.a } end,
    ["indexed"] = function(r) return { a = r.a, b = r.a.x } end,
    ["indexed by a number"] = function(r) return { a = r.a, b = r.a[1] } end,
    ["indexed by a variable"] = function(r) return { a = r.a, b = r.a[kept] } end,
    ["a key"] = function(r) return { a = r.a, b = kept[r.a] } end,
    ["a key that is set"] = function(r) kept[r.a] = 1 return { a = r.a } end,
    ["kept in an upvalue"] = function(r) kept = r.a return { a = r.a } end,
    ["put into another table"] = function(r) kept.x = r.a return { a = r.a } end,
    ["put into a table that is passed on"] = function(r) local t = { a = r.a } somewhere(t) return { a = r.a } end,
    ["put into a table and taken out again"] = function(r)
      local t = { a = r.a }
      if t.a == "x" then return { a = 1 } end
      return t
    end,
    ["put into a table within a table"] = function(r) return { a = { b = r.a } } end,
    ["one of two things"] = function(r) local a = r.a or "none" return { a = a } end,
    ["a bound of a loop"] = function(r) for _ = 1, r.a do somewhere() end return { a = r.a } end,
    ["returned as the record"] = function(r) return r.a end,
    ["set on the record"] = function(r) r.a = "x" return { a = r.a } end,
    ["moved within the record"] = function(r) r.b = r.a return r end,
  }
  for how, fn in pairs(cases) do
    it("when it is " .. how, function()
      local known = names.of("map", fn)
      assert.is_true(not known or not known.seen or known.seen.a == true)
    end)
  end

  it("when it is written to state", function()
    assert.equal("seen: a; to: a=a", told("process", function(ctx, r) ctx.s:set(r.a) ctx:emit { a = r.a } end))
    assert.equal("seen: a; to: a=a", told("process", function(ctx, r) ctx.s:set { x = r.a } ctx:emit { a = r.a } end))
    assert.equal("seen: a; to: a=a", told("process", function(ctx, r) ctx.m:put(r.a, 1) ctx:emit { a = r.a } end))
  end)

  it("when the record itself is passed on, whichever field it is", function()
    assert.equal("all", told("map", function(r) somewhere(r) return { a = r.a } end))
    assert.equal("all", told("map", function(r) kept = r return { a = r.a } end))
    assert.equal("all", told("map", function(r) return { a = r.a, b = r[kept] } end))
  end)
end)
