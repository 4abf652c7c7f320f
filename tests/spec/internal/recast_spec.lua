--- Positions as a script sees them, and back (lua/weir/internal/recast.lua).

local recast = require "weir.internal.recast"

describe("an integer of a position", function()
  it("is a number where that holds it exactly, and comes back as it was", function()
    for _, v in ipairs { 0LL, -1LL, 9007199254740991LL, 9007199254740992LL, -9007199254740992LL, 7ULL } do
      local seen = recast.numbers { at = v }.at
      assert.equal("number", type(seen))
      assert.is_true(recast.integers { at = seen }.at == v)
    end
  end)

  it("stays what it is where no number holds it", function()
    for _, v in ipairs { 9007199254740993LL, -9007199254740993LL, 9007199254740994LL, 9007199254740993ULL,
      0x7fffffffffffffffLL, 0xffffffffffffffffULL } do
      local seen = recast.numbers { at = v }.at
      assert.equal("cdata", type(seen))
      assert.is_true(recast.integers { at = seen }.at == v)
    end
  end)
end)
