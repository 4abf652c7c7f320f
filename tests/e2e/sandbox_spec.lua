--- What of Lua a job's script may use, and what it is told about the rest.

local script = require "support.script"

local head = script.head

-- Runs `body` in a function of a subtask; what it returns is printed.
local function answer(body, options, prepare)
  local out, code, err = script.try(head .. "job:source(weir.from { { i = 1 } }):map(function(r)\n"
    .. "local function run() " .. body .. " end local ok, v = pcall(run) return { ok = ok, v = tostring(v) } end)"
    .. ":sink(weir.print())", "-q " .. (options or ""), prepare)
  assert.equal(0, code, err)
  return out
end

local function closed(body, words)
  local out = answer(body)
  assert.is_truthy(out:find('"ok":false', 1, true), body .. " is open: " .. out)
  assert.is_truthy(out:find(words, 1, true), body .. ": " .. out)
end

local function put(folder, name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

describe("the sandbox", function()
  it("closes modules that leave Lua, by a message that names the way out", function()
    for _, name in ipairs { "ffi", "jit", "jit.util", "debug", "weir.internal.codec", "weir.internal.rows" } do
      closed(("require '%s'"):format(name), ("module '%s' is closed to job scripts; --unsafe opens it"):format(name))
    end
  end)

  it("closes files, commands and the environment", function()
    for _, name in ipairs { "os.execute", "os.exit", "os.remove", "os.rename", "os.getenv", "io.open", "io.popen", "io.write",
      "dofile", "loadfile", "collectgarbage", "getfenv", "setfenv", "debug.getinfo", "debug.sethook", "jit.off" } do
      closed(name .. "('x')", name .. " is closed to job scripts")
    end
    assert.matches('"v":"nilnil"', answer "return tostring(package) .. tostring(weir_host)")
  end)

  it("closes bytecode, also by the methods of strings", function()
    closed("string.dump(run)", "string.dump is closed to job scripts")
    closed("('').dump(run)", "string.dump is closed to job scripts")
    assert.matches("bytecode is closed to job scripts", answer "local _, why = load('\\27LJ') return why")
    assert.matches("bytecode is closed to job scripts",
      answer "local n = 0 local _, why = load(function() n = n + 1 return n == 1 and '\\27LJ' or nil end) return why")
  end)

  it("keeps the engine's own string functions out of reach", function()
    assert.matches("the metatable of strings is closed", answer "return getmetatable('')")
    closed("setmetatable('', {}).x = 1", "table expected")
    assert.matches('"v":"ABC"', answer "string.upper = nil return ('abc'):upper()")
  end)

  it("lets a script add methods to strings", function()
    assert.matches('"v":"<abc>"', answer "function string.quoted(s) return '<' .. s .. '>' end return ('abc'):quoted()")
  end)

  it("finds modules beside the script and on --lua-path, and tells where it looked", function()
    local function modules(folder)
      put(folder, "near.lua", "return { x = 'near' }")
      assert(os.execute("mkdir " .. folder .. "/lib"))
      put(folder, "lib/far.lua", "return { x = 'far' .. require('near').x }")
    end
    local text = head .. "local far = require 'far'\n"
      .. "job:source(weir.from { { i = 1 } }):map(function() return { x = far.x } end):sink(weir.print())"
    local out, code, err = script.try(text, "-q --lua-path='%s/lib/?.lua'", modules)
    assert.equal(0, code, err)
    assert.equal('{"x":"farnear"}\n', out)
    out, code, err = script.try(text, "-q", modules)
    assert.equal(2, code)
    assert.equal("", out)
    assert.is_truthy(err:find("module 'far' not found; looked for:\n  far.lua", 1, true), err)
  end)

  it("tells of modules that require each other, and lets one that failed be tried again", function()
    local function modules(folder)
      put(folder, "a.lua", "return require 'b'")
      put(folder, "b.lua", "\nreturn require 'a'")
      put(folder, "once.lua", "tries = (tries or 0) + 1 if tries % 2 == 1 then error 'not yet' end return tries")
    end
    local out, code, err = script.try(head .. "require 'a'", "-q", modules)
    assert.equal(2, code)
    assert.equal("", out)
    assert.is_truthy(err:find("b.lua:2: module 'a' requires itself", 1, true), err)
    out, code, err = script.try(head .. "local ok, first = pcall(require, 'once') local second = require 'once'\n"
      .. "job:source(weir.from { { ok, first, second } }):sink(weir.print())", "-q", modules)
    assert.equal(0, code, err)
    assert.matches('%[false,".*not yet",2%]', out)
  end)

  it("is open with --unsafe", function()
    assert.matches('"v":"8"', answer("return require('ffi').sizeof 'double'", "--unsafe"))
    assert.matches('"v":"function"', answer("return type(os.execute) == type(io.open) and type(debug.getinfo)", "--unsafe"))
  end)

  it("gives chance by the seed only, and no addresses", function()
    local body = "return math.random() .. ' ' .. math.random(1000) .. tostring({}) .. tostring(print)"
    local first = answer(body, "--seed=7")
    assert.equal(first, answer(body, "--seed=7"))
    assert.not_equal(first, answer(body, "--seed=8"))
  end)
end)

describe("what draws the graph", function()
  it("comes back for a function that uses it while records flow", function()
    assert.matches('"v":"1500 true"', answer "return weir.duration '1500ms' .. ' ' .. tostring(weir.state.value() ~= nil)")
    assert.matches('"v":"function"', answer "return type(require('weir.watermark').ascending)")
    assert.matches('"v":"null a"', answer "return tostring(weir.null) .. ' ' .. ('a b'):match '%a'")
    assert.matches("weir has no filess; did you mean", answer "return weir.filess")
  end)

  it("leaves the job its name and arguments", function()
    assert.matches('"v":"test"', answer "return job.name .. (job.args.x or '')")
    closed("return job:source(weir.from {})", "source")
  end)
end)

describe("a script that takes too much memory", function()
  local bottomless = "local t = {} while true do t[#t + 1] = { #t } end"

  it("fails the job with the limit and the option that raises it, whatever the policy", function()
    for _, policy in ipairs { "fail", "skip", "dead_letter" } do
      local out, code, err = script.try(head .. "job:source(weir.from { { i = 1 } }):map(function() " .. bottomless
        .. " end):sink(weir.print())", "-q --lua-memory=16MB --on-error=" .. policy)
      assert.equal(1, code, err)
      assert.equal("", out)
      assert.matches("out of Lua memory: %d+ of 16777216 bytes held;.*raise %-%-lua%-memory", err)
    end
  end)

  it("fails the job before compiled code has gone far beyond the limit", function()
    local _, code, err = script.try(head .. "job:source(weir.from { { i = 1 } }):map(function() local t = {} "
      .. "for i = 1, 1e9 do t[i] = { i } end end):sink(weir.print())", "-q --lua-memory=100M")
    assert.equal(1, code, err)
    local held = tonumber(err:match "out of Lua memory: (%d+) of 104857600 bytes held")
    assert.is_true(held and held < 150e6, err)
  end)

  it("fails so with one huge string too", function()
    local _, code, err = script.try(head .. "job:source(weir.from { { i = 1 } }):map(function() local t = ('x'):rep(1e6)"
      .. " while true do t = t .. t end end):sink(weir.print())", "-q --lua-memory=16MB")
    assert.equal(1, code, err)
    assert.matches("out of Lua memory", err)
  end)

  -- The variables of a function are separate objects: whichever of them is refused, the job fails in order.
  for _, variables in ipairs { 3, 35 } do
    it("fails so with functions of " .. variables .. " variables", function()
      local names, values = {}, {}
      for i = 1, variables do names[i], values[i] = "v" .. i, i end
      names, values = table.concat(names, ","), table.concat(values, ",")
      local text = head .. ("local kept = {} job:source(weir.from { { i = 1 } }):map(function(r) while true do "
        .. "local %s = %s kept[#kept + 1] = function() %s = %s end end end):sink(weir.print())")
        :format(names, values, names, values)
      for bytes = 2e6, 2e6 + 400, 40 do
        local _, code, err = script.try(text, ("-q --lua-memory=%d"):format(bytes))
        assert.equal(1, code, err)
        assert.matches("out of Lua memory", err)
      end
    end)
  end

  it("fails so in compiled code, record by record", function()
    for _, keeps in ipairs {
      "local t = {} for i = 1, n % 2000 do t[i] = i * 7919 % 104729 end table.sort(t) keep[#keep + 1] = t",
      "local t = {} for i = 1, n % 3000 do t[i] = 'z' .. i end keep[#keep + 1] = table.concat(t, ',')",
      "keep[#keep + 1] = { n }", "keep[#keep + 1] = 1LL * n", "keep['k' .. n] = n",
    } do
      for _, limit in ipairs { "1MiB", "2MiB", "5MiB" } do
        local _, code, err = script.try(head .. "local keep = {} job:source(weir.sequence { from = 1, to = 3e6 })"
          .. ":map(function(n) " .. keeps .. " return n end):sink(weir.discard())", "-q --lua-memory=" .. limit)
        assert.equal(1, code, keeps .. ": " .. err)
        assert.matches("out of Lua memory", err)
      end
    end
  end)

  it("goes on where only garbage was too much", function()
    local out, code, err = script.try(head .. "job:source(weir.sequence { from = 1, to = 20000 })"
      .. ":map(function(n) local t = {} for i = 1, 2000 do t[i] = 'x' .. i .. n % 7 end return #t end)"
      .. ":filter(function(n) return n ~= 2000 end):sink(weir.print())", "-q --lua-memory=3MiB")
    assert.equal(0, code, err)
    assert.equal("", out)
  end)

  it("is an error of the script while the graph is drawn", function()
    local _, code, err = script.try(bottomless, "-q --lua-memory=16MB")
    assert.equal(2, code, err)
    assert.matches("out of Lua memory", err)
  end)
end)
