local text = require "weir.text"

local function words(s)
  local out = {}
  for word in text.words(s) do out[#out + 1] = word end
  return out
end

-- What the words are, said by a pattern.
local function expected(s)
  local out = {}
  for word in s:gmatch "[%w\128-\255]+" do out[#out + 1] = word end
  return out
end

describe("words", function()
  it("are runs of ASCII letters, digits and bytes from 0x80 up", function()
    assert.same({ "The", "sea", "2", "don", "t", "naïve", "x", "y" }, words "The sea-2: don't naïve x_y!")
    assert.same({}, words "")
    assert.same({}, words " .,;\0")
    assert.same({ "a" }, words "a")
  end)

  it("agree with a pattern on random bytes", function()
    math.randomseed(7)
    for _ = 1, 300 do
      local bytes = {}
      for i = 1, math.random(0, 60) do bytes[i] = string.char(math.random(0, 255)) end
      local s = table.concat(bytes)
      assert.same(expected(s), words(s))
    end
  end)

  it("are whole however long they are", function()
    local long = ("Abc9"):rep(1000)
    assert.same({ "x", long, "y" }, words("x " .. long .. ",y"))
    for word in text.lower_words("-" .. long) do assert.equal(long:lower(), word) end
  end)

  it("are lower-cased in ASCII on demand", function()
    local out = {}
    for word in text.lower_words "The SEA Ünder 1Ab" do out[#out + 1] = word end
    assert.same({ "the", "sea", "Ünder", "1ab" }, out)
  end)

  it("may be walked twice at the same time", function()
    local out = {}
    for a in text.words "a b" do
      for b in text.words "c d" do out[#out + 1] = a .. b end
    end
    assert.same({ "ac", "ad", "bc", "bd" }, out)
  end)

  it("may be given to a function", function()
    local out = {}
    text.each_word("one, two", function(word) out[#out + 1] = word end)
    assert.same({ "one", "two" }, out)
  end)
end)

describe("ordered pairs", function()
  local pairs = require("weir.pairs").pairs

  it("walk numbers, then strings, then booleans, each in order", function()
    local out = {}
    for k, v in pairs { b = 1, a = 2, [10] = 3, [2] = 4, [true] = 5, [false] = 6 } do
      out[#out + 1] = tostring(k) .. v
    end
    assert.same({ "24", "103", "a2", "b1", "false6", "true5" }, out)
  end)

  it("leave out what was removed on the way", function()
    local t, out = { a = 1, b = 2, c = 3 }, {}
    for k in pairs(t) do
      out[#out + 1] = k
      t.b = nil
    end
    assert.same({ "a", "c" }, out)
  end)

  it("refuse keys that have no order", function()
    assert.has_error(function() pairs { [{}] = 1 } end)
  end)
end)
