--- Sums where numbers and exact integers meet under one key, and rows of which only a part is read.

local shell = require "support.shell"

local function run(script, options)
  local folder = shell.folder()
  local f = assert(io.open(folder .. "/job.lua", "w"))
  f:write('local weir = require "weir"\nlocal job = weir.job "test"\n', script, "\nreturn job\n")
  f:close()
  local out, code, err = shell.run(("%s run -q %s %s/job.lua"):format(shell.weir, options or "", folder))
  shell.remove(folder)
  assert.equal(0, code, err)
  return out
end

local function sums(values)
  return run(('job:source(weir.from { %s }):key_by "k":sum "v":sink(weir.print())'):format(values))
end

describe("a sum", function()
  it("counts numbers and integers of one key together", function()
    assert.equal('{"k":"a","v":1}\n{"k":"a","v":4}\n{"k":"a","v":6}\n',
      sums '{ k = "a", v = 1 }, { k = "a", v = 3LL }, { k = "a", v = 2 }')
  end)

  it("of integers is exact beyond 2^53", function()
    assert.equal('{"k":"a","v":9007199254740993}\n{"k":"a","v":9007199254740995}\n',
      sums '{ k = "a", v = 9007199254740993LL }, { k = "a", v = 2LL }')
  end)

  it("of an integer and whole numbers is exact, and a number once one is not whole", function()
    assert.equal('{"k":"a","v":9007199254740993}\n{"k":"a","v":9007199254740994}\n{"k":"a","v":9007199254740995}\n',
      sums '{ k = "a", v = 9007199254740993LL }, { k = "a", v = 1 }, { k = "a", v = 1 }')
    assert.equal('{"k":"a","v":2}\n{"k":"a","v":9007199254740995}\n{"k":"a","v":9007199254740996}\n',
      sums '{ k = "a", v = 2 }, { k = "a", v = 9007199254740993LL }, { k = "a", v = 1 }')
    assert.equal('{"k":"a","v":3}\n{"k":"a","v":3.5}\n{"k":"a","v":5.5}\n',
      sums '{ k = "a", v = 3LL }, { k = "a", v = 0.5 }, { k = "a", v = 2LL }')
  end)

  it("of integers goes on as a number where it outgrows its type", function()
    assert.equal('{"k":"a","v":9223372036854775807}\n{"k":"a","v":9.223372036854776e+18}\n',
      sums '{ k = "a", v = 9223372036854775807LL }, { k = "a", v = 1LL }')
  end)
end)

describe("a record that is written to state", function()
  it("is kept whole, although the function reads one field of it", function()
    local out = run [[
job:source(weir.from { { id = 1, text = "one" } })
  :key_by "id"
  :process(weir.process_function {
    state = { last = weir.state.value(), all = weir.state.list() },
    element = function(ctx, rec)
      ctx.last:set(rec)
      ctx.all:add(rec)
      ctx:emit { id = rec.id, last = ctx.last:get().text, first = ctx.all:get()[1].text }
    end,
  })
  :sink(weir.print())]]
    assert.equal('{"first":"one","id":1,"last":"one"}\n', out)
  end)
end)
