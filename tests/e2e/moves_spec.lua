--- Chains that move strings without looking at them: whatever stands between, the records that come out are
--- those that the same functions make of plain tables.

local dice = require "support.dice"
local script = require "support.script"
local shell = require "support.shell"

local head = script.head

-- Rows with two strings (short, empty, longer than a short copy) and two numbers.
local function rows(n)
  local list = {}
  for i = 1, n do
    local long = ("x"):rep(i % 7 * 9)
    list[i] = { a = "a" .. i, b = i % 3 == 0 and "" or long .. i, n = i, m = i / 2 }
  end
  return list
end

local literal = script.literal

-- Operators, and the same on a plain record: a list of records, in order.
local operators = {
  { "map(function(r) return { a = r.a, b = r.b, n = r.n + 1, m = r.m } end)",
    function(r) return { { a = r.a, b = r.b, n = r.n + 1, m = r.m } } end },
  { "map(function(r) return { a = r.b, b = r.a, n = r.n, m = r.m } end)",
    function(r) return { { a = r.b, b = r.a, n = r.n, m = r.m } } end },
  { "map(function(r) return { a = r.a, b = r.a, n = r.n, m = r.m } end)",
    function(r) return { { a = r.a, b = r.a, n = r.n, m = r.m } } end },
  { "map(function(r) return { b = r.b, n = r.n, m = r.m, a = 'const' } end)",
    function(r) return { { b = r.b, n = r.n, m = r.m, a = "const" } } end },
  { "filter(function(r) return r.n % 2 == 0 end)",
    function(r) return r.n % 2 == 0 and { r } or {} end },
  { "filter(function(r) return r.b ~= '' end)",
    function(r) return r.b ~= "" and { r } or {} end },
  { "filter(function(r) return r.a ~= nil end)", function(r) return { r } end },
  { "flat_map(function(r, emit) emit(r) if r.n % 5 == 0 then emit { a = r.a, b = r.b, n = 0, m = r.m } end end)",
    function(r) return r.n % 5 == 0 and { r, { a = r.a, b = r.b, n = 0, m = r.m } } or { r } end },
  { "flat_map(function(r, emit) local t = { a = r.a, b = 'x', n = r.n, m = 1 } emit(t) t.b = r.b emit(t) end)",
    function(r) return { { a = r.a, b = "x", n = r.n, m = 1 }, { a = r.a, b = r.b, n = r.n, m = 1 } } end },
  { "process(function(ctx, r) ctx:emit { a = r.a, b = r.b .. '!', n = r.n, m = r.m } end)",
    function(r) return { { a = r.a, b = r.b .. "!", n = r.n, m = r.m } } end },
  { "map(function(r) r.m = r.n return r end)",
    function(r) return { { a = r.a, b = r.b, n = r.n, m = r.n } } end },
  { "map(function(r) if r.n % 3 == 0 then return { a = r.a, b = r.b, n = r.n, m = 3 } end return r end)",
    function(r) return { r.n % 3 == 0 and { a = r.a, b = r.b, n = r.n, m = 3 } or r } end },
}

-- The model copies what a function may change.
local function copy(r) return { a = r.a, b = r.b, n = r.n, m = r.m } end

local function model(list, chain)
  for _, op in ipairs(chain) do
    local out = {}
    for _, r in ipairs(list) do
      for _, made in ipairs(operators[op][2](copy(r))) do out[#out + 1] = made end
    end
    list = out
  end
  local lines = {}
  for i, r in ipairs(list) do
    lines[i] = ('{"a":"%s","b":"%s","m":%s,"n":%d}'):format(r.a, r.b, ("%.14g"):format(r.m), r.n)
  end
  return script.lines(lines)
end

describe("strings that a chain only moves", function()
  local below = dice(1)
  local function random(n) return below(n) + 1 end

  for case = 1, 24 do
    local chain, text = {}, {}
    for i = 1, random(4) do
      chain[i] = random(#operators)
      text[i] = ":" .. operators[chain[i]][1]
    end
    it("arrive as they were: case " .. case .. ", operators " .. table.concat(chain, " "), function()
      local out = script.run(head .. "job:source(weir.from(" .. literal(rows(200)) .. "))\n" ..
        table.concat(text, "\n") .. "\n:sink(weir.print())", "-q")
      assert.equal(model(rows(200), chain), out)
    end)
  end

  for case = 1, 24 do
    local chains, text, all = {}, {}, {}
    for b = 1, 1 + random(2) do
      chains[b] = {}
      text[b] = "branches[" .. b .. "] = s"
      for i = 1, random(3) do
        chains[b][i] = random(#operators)
        text[b] = text[b] .. ":" .. operators[chains[b][i]][1]
      end
      all[b] = table.concat(chains[b], " ")
    end
    it("and records of branches that run in one stage: case " .. case .. ", operators " .. table.concat(all, " | "),
      function()
        local front = case % 2 == 0 and ":filter(function() return true end)" or "" -- they have one table, or each its own
        local out = script.run(head .. "local s, branches = job:source(weir.from(" .. literal(rows(200)) .. "))" .. front .. ", {}\n"
          .. table.concat(text, "\n") .. "\nfor b, branch in ipairs(branches) do\n"
          .. "branch:map(function(r) return { a = b .. ' ' .. r.a, b = r.b, n = r.n, m = r.m } end)\n"
          .. ":sink(weir.print()) end", "-q")
        local lines = {}
        for b, chain in ipairs(chains) do
          lines[b] = model(rows(200), chain):gsub('"a":"', '"a":"' .. b .. " ")
        end
        assert.equal(shell.sorted(table.concat(lines)), out)
      end)
  end

  -- Each changes what it is given, so that the last would see it.
  local changes = {
    ["sets a field"] = ":map(function(r) r.k = 6 return r end)",
    ["sets a field of a table in it"] = ":filter(function(r) r.inner.k = 6 return true end)",
    ["sets an element of a list in it"] = ":process(weir.process_function { element = function(ctx, r) r.list[1] = 6 end })",
    ["hands a list in it to a function"] = ":map(function(r) table.insert(r.list, 6) return { a = 1 } end)",
    ["hands it to a function"] = ":flat_map(function(r, emit) rawset(r, 'k', 6) emit(r) end)",
    ["changes it further behind"] = ":filter(function(r) return r.k == 5 end):map(function(r) return { x = r.inner } end)"
      .. ":map(function(r) r.x.k = 6 return r end)",
  }
  for what, change in pairs(changes) do
    for _, front in ipairs { ":map(function(r) return r end)", ":flat_map(function(r, emit) emit { k = r.k, inner = r.inner, list = r.list } end)" } do
      it("are not seen by another branch where one " .. what .. ", behind " .. front:match "%w+", function()
        local out = script.run(head .. "local s = job:source(weir.from { { k = 5, inner = { k = 5 }, list = { 5, 5 } } })" .. front
          .. "\ns" .. change .. ":sink(weir.discard())\n"
          .. "s:map(function(r) return { k = r.k, i = r.inner.k, l = r.list[1], n = #r.list } end):sink(weir.print())\n"
          .. "s:filter(function(r) return r.k == 5 end):map(function(r) return r.inner end):sink(weir.print())", "-q")
        assert.equal('{"i":5,"k":5,"l":5,"n":2}\n{"k":5}\n', out)
      end)
    end
  end

  local failing = ":map(function(r) return { a = r.a, b = r.b, n = r.n, m = r.m } end)"
    .. ":map(function(r) if r.n == 150 then error 'planted' end return { a = r.a, b = r.b, n = r.n, m = r.m } end)"

  it("are strings in the message of a function that fails behind", function()
    local _, code, err = script.try(head .. "job:source(weir.from(" .. literal(rows(200)) .. "))" .. failing
      .. ":sink(weir.print())", "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find('record: {"a":"a150","b":"","m":75,"n":150}', 1, true), err)
  end)

  it("are strings in dead letters", function()
    local out = script.run(head .. "local s = job:source(weir.from(" .. literal(rows(200)) .. "))" .. failing
      .. ":on_error 'dead_letter' s:sink(weir.discard()) "
      .. "s:side_output 'dead_letter':map(function(d) return d.record end):sink(weir.print())", "-q")
    assert.equal('{"a":"a150","b":"","m":75,"n":150}\n', out)
  end)
end)
