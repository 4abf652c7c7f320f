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

  it("comes back as it was written", function()
    for _, text in ipairs { '{"a": [1, 2.5, {"b": "\\n"}], "c": true}', '"é"', "-17" } do
      assert.equal(text, jsontext.encode(jsontext.decode(text)))
    end
  end)

  it("that is none is refused, with the place", function()
    for text, at in pairs {
      [""] = 1, ["{"] = 2, ["[1,]"] = 4, ['{"a" 1}'] = 5, ['{"a":1,}'] = 8, ["nul"] = 1, ["1 2"] = 3, ['"a'] = 3,
      ['"\\x"'] = 2, ['"\\u12"'] = 2, ["[1 2]"] = 3, ["--1"] = 1, ["{a:1}"] = 2,
    } do
      local ok, err = pcall(jsontext.decode, text)
      assert.is_false(ok, text)
      assert.equal(("this is no JSON at byte %d: "):format(at), err:match "^this is no JSON at byte %d+: ", text)
    end
  end)
end)
