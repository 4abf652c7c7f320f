local draw = require "support.draw"

local source = 'local s = job:source(weir.from { { a = 1 } }) '

local function uids(text)
  local _, _, job = draw.plan(text)
  local out = {}
  for i, node in ipairs(job.nodes) do out[i] = node.uid end
  return out
end

describe("P15: a derived uid", function()
  it("is made of kind, name and the names of the inputs", function()
    assert.same({ "from", "map<from>", "count:words<map>", "discard<words>" },
      uids(source .. 's:map(print):key_by("a"):count():name "words":sink(weir.discard())'))
  end)

  it("does not see the helpers that compute keys and channels", function()
    assert.same("count<from>", uids(source .. 's:key_by(print):count():sink(weir.discard())')[3])
    assert.same("map<from>", uids(source .. 's:partition(print):map(print):sink(weir.discard())')[3])
  end)

  it("names all inputs and side outputs", function()
    assert.same("filter<map,from.bad>", uids(source .. [[
      local p = s:process(print):name "from"
      s:map(print):union(p:side_output "bad"):filter(print):sink(weir.discard())]])[4])
  end)

  it("does not change when an operator is inserted elsewhere", function()
    local before = uids(source .. 's:filter(print):sink(weir.discard()) s:key_by("a"):count():sink(weir.discard())')
    local after = uids(source .. [[
      s:filter(print):map(print):sink(weir.discard())
      s:key_by("a"):count():sink(weir.discard())]])
    assert.equal("count<from>", before[4])
    assert.equal("count<from>", after[5])
  end)

  it("tells twins apart by their order, and gets out of the way of uids that the script gives", function()
    local function twins(second)
      return uids(source .. 's:map(print):sink(weir.discard()) s:map(print)' .. second .. ':sink(weir.discard())')
    end
    assert.same({ "map<from>", "map<from>#2" }, { twins("")[2], twins("")[4] })
    assert.same({ "map<from>", "other" }, { twins(':uid "other"')[2], twins(':uid "other"')[4] })
    assert.same({ "from#2", "from" }, { uids(source .. 's:map(print):uid "from":sink(weir.discard())')[1],
      uids(source .. 's:map(print):uid "from":sink(weir.discard())')[2] })
  end)
end)

describe("warnings", function()
  local function warnings(text, settings)
    return (select(2, draw.plan(text, settings)))
  end

  it("name operators that keep state under a derived uid", function()
    assert.same({
      'job.lua:1: operator "count" keeps state under the derived uid "count<from>": renaming it or its inputs would '
        .. 'lose the state; pin it with :uid "…"',
    }, warnings(source .. 's:key_by("a"):count():sink(weir.discard())'))
    assert.same({}, warnings(source .. 's:key_by("a"):count():uid "n":sink(weir.discard())'))
    assert.same({}, warnings(source .. 's:map(print):sink(weir.discard())'))
  end)

  it("name results that would never come", function()
    assert.matches('emits at the end of input only',
      warnings 'job:source(weir.generate {}):key_by("a"):count({ emit = "final" }):uid "n":sink(weir.discard())'[1])
  end)

  it("name dead letters that nobody reads because the job said so", function()
    local found = warnings(source .. 's:map(print):on_error "fail":sink(weir.discard()):on_error "fail"',
      { on_error = "dead_letter" })
    assert.equal(1, #found)
    assert.matches('nobody reads the dead letters of operator "from"', found[1])
  end)
end)
