--- Reading JSON for our own tools.

local jsontext = require "weir.jsontext"
local null = require "weir.null"

describe("a text of JSON", function()
  it("gives the value that it stands for", function()
    assert.same({ a = { 1, -2.5, 1e3, true, false, "x" }, b = {}, c = { d = "" } },
      jsontext.decode ' {"a": [1, -2.5, 1e3 , true,false, "x"], "b":[ ], "c" : {"d":""} } ')
    assert.same({}, jsontext.decode "{}")
    assert.equal(null, jsontext.decode "null")
    assert.equal('"\\/\b\f\n\r\té€😀', jsontext.decode [["\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00"]])
  end)

  it("holds integers exactly", function()
    for text, value in pairs {
      ["9007199254740991"] = 9007199254740991, ["9007199254740992"] = 9007199254740992,
      ["9007199254740993"] = 9007199254740993LL, ["-9007199254740993"] = -9007199254740993LL,
      ["9223372036854775807"] = 9223372036854775807LL, ["-9223372036854775808"] = -9223372036854775807LL - 1,
      ["9223372036854775808"] = 9223372036854775808ULL, ["18446744073709551615"] = 18446744073709551615ULL,
      ["1e300"] = 1e300, ["-0"] = 0, ["0.5"] = 0.5, ["-2E-3"] = -0.002,
    } do
      local got = jsontext.decode(text)
      assert.equal(type(value), type(got))
      assert.equal(tostring(value + 0), tostring(got + 0), text)
    end
  end)

  it("comes back as it was written", function()
    for _, text in ipairs { '{"a": [1, 2.5, {"b": "\\n"}], "c": true}', '"é"', "-17" } do
      assert.equal(text, jsontext.encode(jsontext.decode(text)))
    end
  end)

  it("that is none is refused, with the place", function()
    for text, at in pairs {
      [""] = 1, ["{"] = 2, ["[1,]"] = 4, ['{"a" 1}'] = 5, ['{"a":1,}'] = 8, ["nul"] = 1, ["1 2"] = 3, ['"a'] = 3,
      ['"\\x"'] = 2, ['"\\u12"'] = 2, ["[1 2]"] = 3, ["--1"] = 1, ["{a:1}"] = 2,
      ["01"] = 1, ["-00"] = 1, ["1."] = 1, ["1.e3"] = 1, ["1e"] = 1, ["18446744073709551616"] = 1,
      ["-9223372036854775809"] = 1,
    } do
      local ok, err = pcall(jsontext.decode, text)
      assert.is_false(ok, text)
      assert.equal(("this is no JSON at byte %d: "):format(at), err:match "^this is no JSON at byte %d+: ", text)
    end
  end)
end)
