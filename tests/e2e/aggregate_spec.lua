--- Sums where numbers and exact integers meet under one key, and rows of which only a part is read.

local script = require "support.script"

local function run(text, options)
  local out, code, err = script.try(script.head .. text, "-q " .. (options or ""))
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

describe("a smallest or largest value", function()
  local orders = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 }, { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } }

  -- The values, v1 and so on, in each order; what comes last.
  local function each_order(values, operator, wanted)
    for _, order in ipairs(orders) do
      local list = {}
      for i, n in ipairs(order) do list[i] = ('{ k = "a", ts = %d, v = %s }'):format(i, values[n]) end
      local out = run(('job:source(weir.from { %s }):map(function(r) if r.v == "nan" then r.v = 0 / 0 end return r end)%s'
        .. ':map(function(r) return r.v end):sink(weir.print { format = "raw" })'):format(table.concat(list, ","), operator))
      assert.equal(wanted, out:match "([^\n]*)\n$", operator .. table.concat(order))
    end
  end

  it("is the same in whatever order numbers and texts come: texts are above numbers", function()
    local values = { '"abc"', "5", "7.5" }
    each_order(values, ':key_by "k":min "v"', "5")
    each_order(values, ':key_by "k":max "v"', "abc")
    each_order(values, ':key_by "k":min_by "v"', "5")
    each_order(values, ':key_by "k":max_by "v"', "abc")
  end)

  it("is not NaN where there is a number", function()
    local window = ':watermarks(weir.watermark.ascending { field = "ts" }):key_by "k":window(weir.window.%s)'
    for _, keyed in ipairs { ':key_by "k"', window:format 'tumbling "1s"', window:format 'session "1s"',
      window:format 'sliding { size = "10ms", slide = "10ms" }' } do
      each_order({ '"nan"', "5", "7.5" }, keyed .. ':min "v"', "5")
      each_order({ '"nan"', "5", "7.5" }, keyed .. ':max "v"', "7.5")
    end
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
