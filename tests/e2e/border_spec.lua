--- What crosses the border between Lua and rows, and what is refused there, by one clear error.

local script = require "support.script"

local head = [[
local weir = require "weir"
local job = weir.job "test"
local P = weir.print()
local function from(...) return job:source(weir.from { ... }) end
local function keyed(fn, state)
  return from({ k = 1 }, { k = 1 }, { k = 1 }):key_by "k":process(weir.process_function { state = state, element = fn })
end
]]

local refused = {
  { "a cycle", "t.a = { b = t }", "a record cannot hold a cycle: a table that contains itself (field a.b)" },
  { "a function", "t.f = print", "a record cannot hold a function (field f)" },
  { "a coroutine", "t.deep = { { c = coroutine.create(print) } }", "a record cannot hold a thread (field deep[1].c)" },
  { "a table as a key", "t[{}] = 1", "a record cannot hold a table as a map key" },
  { "a function as a key", "t[print] = 1", "a record cannot hold a function" },
  { "two keys of one value", "t[1LL], t[0LL + 1] = 1, 2", "a record cannot hold a map with two keys 1LL" },
  { "a name of the engine's own", 't["\\0011"] = 1', "a record cannot hold a field whose name begins with the byte 1" },
  { "such a name further in", 't.a = { ["\\1v"] = 1 }', "a record cannot hold a field whose name begins with the byte 1" },
}

describe("a record cannot hold", function()
  for _, case in ipairs(refused) do
    local name, change, message = case[1], case[2], case[3]

    for place, after in pairs { ["when it goes out"] = ":sink(P)", ["when it is keyed by a function"] =
      ":key_by(function(r) return r.n end):process(function(ctx, r) ctx:emit(r) end):sink(P)" } do
      local text = head .. "from(1, 2, 3):map(function(n) local t = { n = n } if n == 2 then " .. change .. " end return t end)"
        .. ":name 'made'" .. after

      it(name .. ", " .. place .. ": the error names the operator and the field", function()
        local out, code, err = script.try(text, "-q")
        assert.equal(1, code, out)
        assert.is_truthy(err:find(message, 1, true), err)
        assert.is_nil(err:find("0x", 1, true), err)
        assert.is_nil(err:find("weir.internal", 1, true), err)
      end)

      it(name .. ", " .. place .. ": the others arrive under skip", function()
        assert.equal('{"n":1}\n{"n":3}\n', script.run(text, "-q --on-error=skip"))
      end)
    end

    it(name .. ", in state", function()
      local _, code, err = script.try(head .. "keyed(function(ctx) local t = {} " .. change
        .. " ctx.v:set(t) end, { v = weir.state.value() }):sink(P)", "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find(message, 1, true), err)
    end)
  end
end)

local results = {
  { "a record emitted twice and changed in between is two records",
    [[from(1, 2):flat_map(function(n, emit)
      local t = { n = n }
      emit(t) t.n, t.x = n * 10, "new" emit(t) t.n = nil emit(t)
    end):sink(P)]], { '{"n":1}', '{"n":10,"x":"new"}', '{"x":"new"}', '{"n":2}', '{"n":20,"x":"new"}', '{"x":"new"}' } },
  { "a record kept from an earlier call stays as it was",
    [[local last
    from({ n = 1, s = "a" }, { n = 2, s = "b" }, { n = 3, s = "c" }):rebalance():map(function(r)
      local out = { n = r.n, was = last and last.s, before = last }
      last = r
      return out
    end):map(function(r) return { n = r.n, was = r.was, s = r.before and r.before.s } end):sink(P)]],
    { '{"n":1}', '{"n":2,"s":"a","was":"a"}', '{"n":3,"s":"b","was":"b"}' } },
  { "a filter that changes its record lets the changed one pass",
    [[from({ a = 1, c = "k" }, { a = 2, c = "l" }):rebalance():filter(function(r) r.a = nil r.b = r.c .. "!" return true end)
      :sink(P)]], { '{"b":"k!","c":"k"}', '{"b":"l!","c":"l"}' } },
  { "the input changed and emitted again is a record of its own",
    [[from({ a = 1 }, { a = 2 }):process(function(ctx, r) ctx:emit(r) r.a = r.a + 10 ctx:emit(r) r.b = true ctx:emit(r) end)
      :sink(P)]], { '{"a":1}', '{"a":11}', '{"a":11,"b":true}', '{"a":2}', '{"a":12}', '{"a":12,"b":true}' } },
  { "metatables do not cross, and what they answer is no field",
    [[local shapes = { { n = 1, y = 2 }, { n = 1, z = 3 } }
    from(1, 2, 3, 4, 5, 6):map(function(i)
      local t = {} for k, v in pairs(shapes[i % 2 + 1]) do t[k] = v end
      return setmetatable(t, { __index = function() return 7 end, __len = function() return 99 end })
    end):rebalance():map(function(r) r.missing = r.q == nil return r end):sink(P)]],
    { '{"missing":true,"n":1,"z":3}', '{"missing":true,"n":1,"y":2}', '{"missing":true,"n":1,"z":3}',
      '{"missing":true,"n":1,"y":2}', '{"missing":true,"n":1,"z":3}', '{"missing":true,"n":1,"y":2}' } },
  { "int64 and uint64 stay exact, and so do -0, 2^53 and huge numbers",
    [[from(1):map(function(n) return { a = 0x7fffffffffffffffLL, b = -1ULL, c = -0.0, d = 2 ^ 53, e = n + 1LL } end)
      :map(function(r) return { a = r.a + 0, b = r.b, neg = 1 / r.c < 0, d = r.d + 2, e = r.e * 2 } end):sink(P)]],
    { '{"a":9223372036854775807,"b":18446744073709551615,"d":9007199254740994,"e":4,"neg":true}' } },
  { "numbers of one value are one key, whatever their type",
    [[from(1, 1LL, 1ULL, 0, -0.0, 2 ^ 53, 9007199254740992LL, "1", true, "", 18446744073709551615ULL)
      :map(function(v) return { k = v } end):key_by "k":count { emit = "final" }:sink(P)]],
    { '{"count":3,"k":1}', '{"count":2,"k":0}', '{"count":2,"k":9007199254740992}', '{"count":1,"k":"1"}',
      '{"count":1,"k":true}', '{"count":1,"k":""}', '{"count":1,"k":18446744073709551615}' } },
  { "and so they are where a function makes the key",
    [[from(1, 1LL, 1ULL, 0, -0.0, 2 ^ 53, 9007199254740992LL, "1", true, "", 18446744073709551615ULL)
      :key_by(function(v) return v end):count { emit = "final" }:sink(P)]],
    { '{"count":3,"key":1}', '{"count":2,"key":0}', '{"count":2,"key":9007199254740992}', '{"count":1,"key":"1"}',
      '{"count":1,"key":true}', '{"count":1,"key":""}', '{"count":1,"key":18446744073709551615}' } },
  { "keys of map state compare by value as well",
    [[keyed(function(ctx)
      local m = ctx.m
      m:put(1, "a") m:put(1LL, "b") m:put("1", "c") m:put(-0.0, "z") m:put(true, "t") m:put("", "e")
      ctx:emit { count = m:count(), one = m:get(1), zero = m:get(0), text = m:get "1", empty = m:get "" }
      m:clear()
    end, { m = weir.state.map() }):sink(P)]],
    { ('{"count":5,"empty":"e","one":"b","text":"c","zero":"z"}\n'):rep(3):match "(.*)\n" } },
  { "a value read from state is a copy",
    [[keyed(function(ctx)
      local v = ctx.v:get() or { n = 0, list = {} }
      v.n, v.list[#v.list + 1] = v.n + 1, v.n
      ctx.v:set(v)
      v.n = 100
      ctx:emit(ctx.v:get())
    end, { v = weir.state.value() }):sink(P)]],
    { '{"list":[0],"n":1}', '{"list":[0,1],"n":2}', '{"list":[0,1,2],"n":3}' } },
  { "hidden names and odd names of fields live side by side",
    [[from({ [""] = 1, ["\0"] = 2, a = 3 }):key_by(function(r) return r.a, r[""] end, "x", "y")
      :process(function(ctx, r) ctx:emit { r = r, key = { ctx:key() } } end):sink(P)]],
    { '{"key":[3,1],"r":{"":1,"\\u0000":2,"a":3}}' } },
}

describe("at the border", function()
  for _, case in ipairs(results) do
    for p = 1, 2 do
      it(case[1] .. ", with parallelism " .. p, function()
        local text = head .. case[2]
        if case[2]:find("local last", 1, true) then p = 1 end
        local lines = {}
        for _, line in ipairs(case[3]) do lines[#lines + 1] = line end
        assert.equal(script.lines(lines), script.run(text, "-q -p " .. p))
      end)
    end
  end

  it("NaN and tables are no keys of map state", function()
    for key, why in pairs { ["0/0"] = "a map key cannot be NaN",
      ["{}"] = "a map key must be a string, number, integer or boolean, not table",
      ["weir.null"] = "a map key must be a string, number, integer or boolean, not null" } do
      local _, code, err = script.try(head .. "keyed(function(ctx) ctx.m:put(" .. key
        .. ", 1) end, { m = weir.state.map() }):sink(P)", "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find(why, 1, true), err)
    end
  end)
end)

-- Shapes change from record to record, and bad ones are first, last, in the middle and side by side.
describe("bad records between records of changing shapes", function()
  local COUNT = 600
  local text = head .. [[
    local bad = { [1] = true, [2] = true, [300] = true, [301] = true, [600] = true }
    local function shaped(n)
      local r = { n = n }
      for i = 0, 6 do if math.floor(n / 2 ^ i) % 2 == 1 then r["f" .. i] = n % 3 == 0 and "s" .. n or n end end
      return r
    end
    local ways = {
      function(r) r.bad = print return r end,
      function(r) error("planted " .. r.n) end,
      function(r) r.bad = { r } r.bad[1].again = r.bad return r end,
    }
    local s = job:source(weir.sequence { to = 600 }):map(shaped)
    local function op(r) if bad[r.n] then return ways[r.n % 3 + 1](r) end r.ok = true return r end
    local KIND = job.args.kind
    if KIND == "map" then s = s:map(op)
    elseif KIND == "flat_map" then s = s:flat_map(function(r, emit) emit(op(r)) end)
    elseif KIND == "process" then s = s:process(function(ctx, r) ctx:emit(op(r)) end)
    else
      s = s:key_by(function(r) return r.n % 5 end):process(weir.process_function {
        state = { v = weir.state.value() },
        element = function(ctx, r) local out = op(r) ctx.v:set(out) ctx:emit(ctx.v:get()) end,
      })
    end
    s = s:name "op":uid "op"
    if job.args.letters then
      s:on_error "dead_letter":side_output "dead_letter":map(function(d) return "dead" end):sink(weir.print { format = "raw" })
    end
    s:rebalance():map(function(r) return r.n .. " " .. tostring(r.ok) end):sink(weir.print { format = "raw" })]]

  local function expected(dead)
    local lines = {}
    for n = 1, COUNT do
      local bad = n <= 2 or n == 300 or n == 301 or n == 600
      if not bad then lines[#lines + 1] = n .. " true" elseif dead then lines[#lines + 1] = "dead" end
    end
    return script.lines(lines)
  end

  for _, kind in ipairs { "map", "flat_map", "process", "keyed" } do
    for p = 1, 3, 2 do
      it(("%s: none is lost or doubled under skip, with parallelism %d"):format(kind, p), function()
        local out, code, err = script.try(text, "-q --on-error=skip -p " .. p, nil, "kind=" .. kind)
        assert.equal(0, code, err)
        assert.equal(expected(false), require("support.shell").sorted(out))
      end)
      it(("%s: each bad one is a dead letter, with parallelism %d"):format(kind, p), function()
        local out, code, err = script.try(text, "-q -p " .. p, nil, "letters=1 kind=" .. kind)
        assert.equal(0, code, err)
        assert.equal(expected(true), require("support.shell").sorted(out))
      end)
    end
  end
end)

describe("records larger than what one generated function holds", function()
  local summed = [[
    local function summed(v)
      if type(v) ~= "table" then return type(v) == "number" and v or #v, 1 end
      local sum, count = 0, 0
      for _, each in pairs(v) do
        local s, c = summed(each)
        sum, count = sum + s, count + c
      end
      return sum, count
    end
    local function told(r)
      local sum, count = summed(r)
      return count .. " " .. sum
    end]]

  for _, c in ipairs { { 40, 5 }, { 47, 6 }, { 30, 6 }, { 20, 30 } } do
    local wide, shapes = c[1], c[2]
    it(("pass through functions and state: %d shapes of %d fields"):format(shapes, wide), function()
      local out = script.run(head .. summed .. ([[

        job:source(weir.sequence { to = 60 }):map(function(n)
            local r = { n = n }
            for i = 2, %d do r["f" .. n %% %d .. "_" .. i] = i %% 2 == 0 and n or "s" end
            return r
          end):key_by(function(r) return r.n %% 3 end):process(weir.process_function {
            state = { v = weir.state.value() },
            element = function(ctx, r) ctx.v:set(r) ctx:emit(ctx.v:get()) end,
          }):map(told):sink(weir.print { format = "raw" })]]):format(wide, shapes), "-q -p 2")
      local lines = {}
      for n = 1, 60 do
        local even = math.floor(wide / 2)
        lines[n] = wide .. " " .. n + even * n + (wide - 1 - even)
      end
      assert.equal(script.lines(lines), out)
    end)
  end

  it("pass through functions and state: hundreds of records in one", function()
    local out = script.run(head .. summed .. [[

      job:source(weir.sequence { to = 5 }):map(function(n)
          local r = { n = n }
          for i = 1, 16 do
            r["a" .. i] = {}
            for k = 1, 16 do r["a" .. i]["b" .. k] = { x = n, y = { z = 1 } } end
          end
          return r
        end):key_by(function(r) return r.n % 3 end):process(weir.process_function {
          state = { v = weir.state.value() },
          element = function(ctx, r) ctx.v:set(r) ctx:emit(ctx.v:get()) end,
        }):map(told):sink(weir.print { format = "raw" })]], "-q -p 2")
    local lines = {}
    for n = 1, 5 do lines[n] = 513 .. " " .. n + 256 * n + 256 end
    assert.equal(script.lines(lines), out)
  end)

  it("come from JSON", function()
    local parts = {}
    for i = 1, 16 do
      local inner = {}
      for k = 1, 16 do inner[k] = ('"b%d":{"x":%d}'):format(k, k) end
      parts[i] = ('"a%d":{%s}'):format(i, table.concat(inner, ","))
    end
    local text = "{" .. table.concat(parts, ",") .. "}"
    local out, code, err = script.try(head .. summed .. [[

      job:source(weir.files { path = job.args.path, format = weir.json() }):map(told):sink(weir.print { format = "raw" })]],
      "-q", function(folder)
        local f = assert(io.open(folder .. "/in.json", "w"))
        f:write(text, "\n", text, "\n")
        f:close()
      end, "path=%s/in.json")
    assert.equal(0, code, err)
    assert.equal("256 2176\n256 2176\n", out)
  end)
end)
