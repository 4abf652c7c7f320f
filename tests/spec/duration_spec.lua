local duration = require "weir.duration"

describe("a duration", function()
  it("is text with units, parts added up", function()
    assert.equal(10000, duration.parse "10s")
    assert.equal(300000, duration.parse "5m")
    assert.equal(5400000, duration.parse "1h30m")
    assert.equal(129600000, duration.parse "1d 12h")
    assert.equal(604800000, duration.parse "1w")
    assert.equal(250, duration.parse "250ms")
    assert.equal(1500, duration.parse "1.5s")
    assert.equal(1500, duration.parse " 1.5 s ")
  end)

  it("is milliseconds when it is a number, or text without a unit", function()
    assert.equal(42, duration.parse(42))
    assert.equal(42, duration.parse "42")
    assert.equal(0, duration.parse(0))
  end)

  it("has microseconds where they count", function()
    assert.equal(100, duration.parse_us "100us")
    assert.equal(2500, duration.parse_us(2.5))
    assert.equal(2500, duration.parse_us "2ms500us")
    assert.is_nil(duration.parse "100us")
  end)

  it("may be negative", function()
    assert.equal(-3000, duration.parse "-3s")
  end)

  it("is nothing else", function()
    for _, v in ipairs { "", "s", "10x", "10 apples", "1h-3m", "--3s", "1e3", "3s!", "10S", {}, true, 0 / 0, 1 / 0 } do
      assert.is_nil(duration.parse_us(v), tostring(v))
    end
  end)

  it("says of one that is too large that it is", function()
    for _, v in ipairs { "100000000d", "104250d", "-104250d", 1e300, 1 / 0 } do
      assert.equal("it is too large: at most 104249d", (select(2, duration.parse_us(v))), tostring(v))
      assert.equal("it is too large: at most 104249d", (select(2, duration.parse(v))), tostring(v))
    end
    assert.equal(104249 * 86400000, duration.parse "104249d")
    assert.is_nil((select(2, duration.parse "soon")))
  end)

  it("is written as it is read", function()
    for _, ms in ipairs { 1, 999, 1000, 61000, 5400000, 86400000 * 3 + 5, 0.1, 12.75, 0 } do
      assert.equal(ms * 1000, duration.parse_us(duration.text(ms)), duration.text(ms))
    end
    assert.equal("1h30m", duration.text(5400000))
    assert.equal("-2s500ms", duration.text(-2500))
  end)
end)
