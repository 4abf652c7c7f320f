--- Records by patterns, and what measure says of them, in whole jobs.

local script = require "support.script"

local function run(text, options) return script.try(script.head .. text, "-q " .. (options or "")) end

local fields = 'fields = { n = { cycle = 10 }, user = { random = 50, prefix = "u" } }'

describe("records by patterns", function()
  it("are the same set at any parallelism", function()
    local text = ("job:source(weir.generate { count = 1001, %s }):global():measure { checksum = true, sum = 'n' }"
      .. ":parallelism(1):sink(weir.print())"):format(fields)
    local one = run(text, "-p 1")
    assert.is_truthy(one:match '"rows":1001,"sum":4500')
    assert.equal(one, (run(text, "-p 4")))
  end)

  it("can be read by functions", function()
    local out = run("job:source(weir.generate { count = 3, fields = { n = { cycle = 2 } } })"
      .. ":map(function(r) return r.n end):sink(weir.print())")
    assert.equal("0\n1\n0\n", out)
  end)

  it("repeat after as many as are distinct", function()
    local out = run(("job:source(weir.generate { count = 40, distinct = 4, %s }):key_by 'user'"
      .. ":count { emit = 'final' }:map(function(r) return r.count end):sink(weir.print())"):format(fields))
    for count in out:gmatch "%d+" do assert.equal(0, count % 10) end
    assert.is_truthy(#out > 0)
  end)

  it("refuse what makes no sense, at the line of the script", function()
    for given, message in pairs {
      ["fields = { n = {} }"] = 'field "n" takes one of random, cycle and due',
      ["fields = { n = { random = 1, cycle = 1 } }"] = 'field "n" takes one of random, cycle and due',
      ["fields = { t = { due = true } }"] = "nothing is due without a rate",
      ["distinct = 3"] = 'option "distinct" needs fields',
      ["fields = { n = { cycle = 1 } }, fn = print"] = "takes fn or fields, not both",
    } do
      local _, code, err = run(("job:source(weir.generate { count = 1, %s }):sink(weir.print())"):format(given))
      assert.equal(2, code)
      assert.is_truthy(err:find("job.lua:2", 1, true), err)
      assert.is_truthy(err:find(message, 1, true), err)
    end
  end)
end)

describe("measure", function()
  it("has a checksum that does not depend on the order, but on each record", function()
    local function checksum(list)
      return run(("job:source(weir.from { %s }):measure { checksum = true }:sink(weir.print())"):format(list))
    end
    assert.equal(checksum "{ a = 1 }, { a = 2 }", checksum "{ a = 2 }, { a = 1 }")
    assert.is_not.equal(checksum "{ a = 1 }, { a = 2 }", checksum "{ a = 1 }, { a = 3 }")
  end)

  it("times records from when they were due", function()
    local out = run("job:source(weir.generate { count = 50, rate = 10000, fields = { at = { due = true } } })"
      .. ":measure { latency_from = 'at' }:sink(weir.print())", "--buffer-timeout=0")
    local p50, max = out:match '"p50_us":([%d.]+)', out:match '"max_us":([%d.]+)'
    assert.is_truthy(tonumber(p50) > 0 and tonumber(p50) <= tonumber(max), out)
  end)

  it("counts none when nothing arrives", function()
    assert.equal('{"rows":0}\n', (run "job:source(weir.from {}):measure():sink(weir.print())"))
  end)
end)
