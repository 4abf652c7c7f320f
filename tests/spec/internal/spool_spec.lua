--- Texts that are given back place by place (lua/weir/internal/spool.lua).

local spools = require "weir.internal.spool"

local function all_of(spool, place)
  local out = {}
  spool:each(place, function(text) out[#out + 1] = text end)
  return out
end

describe("a spool", function()
  local path, spool
  before_each(function()
    path = os.tmpname()
    spool = spools.new(path)
  end)
  after_each(function()
    spool:close()
    os.remove(path)
  end)

  it("gives what it holds by place, in the order in which it came", function()
    local first, second = spool:places(2), spool:places(1)
    assert.equal(first + 2, second)
    spool:add(second, "a", "", "b")
    spool:add(first, "", "", "")
    spool:add(second, "c", "d", "e")
    assert.same({ "ab", "cde" }, all_of(spool, second))
    assert.same({ "" }, all_of(spool, first))
    assert.same({}, all_of(spool, first + 1))
  end)

  it("gives the same of more than it holds, from a file without a name", function()
    local places, expected, long = 7, {}, ("x"):rep(1000)
    assert.equal(0, spool:places(places))
    for i = 1, 20000 do
      local place, part = i * i % places, long:sub(1, i % 1000)
      expected[place] = expected[place] or {}
      table.insert(expected[place], i .. part)
      spool:add(place, tostring(i), "", part)
    end
    assert.is_nil(io.open(path))
    for place = 0, places - 1 do assert.same(expected[place] or {}, all_of(spool, place)) end
  end)

  it("takes a text that is longer than all it holds", function()
    spool:places(1)
    local long = ("long"):rep(2 ^ 21)
    for _, text in ipairs { "before", long, "behind" } do spool:add(0, text, "", "") end
    local out = all_of(spool, 0)
    assert.equal(3, #out)
    assert.equal("before", out[1])
    assert.is_true(out[2] == long)
    assert.equal("behind", out[3])
  end)

  it("says which file it cannot make", function()
    spool = spools.new "no/such/folder/file"
    spool:places(1)
    local ok, err = pcall(function() for _ = 1, 10 do spool:add(0, ("x"):rep(2 ^ 20), "", "") end end)
    assert.is_false(ok)
    assert.equal("no/such/folder/file: No such file or directory", err)
  end)
end)
