local options = require "weir.options"
local duration = require "weir.duration"

local declared = {
  path = options.string,
  size = options.bytes:default(7),
  every = duration.positive:optional(),
  mode = options.one_of("fast", "slow"):default "fast",
  n = options.integer_in(1, 9):optional(),
  names = options.list_of(options.string, "a list of names"):optional(),
}

local function check(given, main)
  return options.check("thing", given, declared, main)
end

local function message(given)
  local ok, err = pcall(check, given)
  assert.is_false(ok)
  return (err:gsub("^.-:%d+: ", ""))
end

describe("options", function()
  it("are given back with defaults filled in, converted, in a table of their own", function()
    local given = { path = "x", size = "64k", every = "2s", names = "one" }
    local o = check(given)
    assert.same({ path = "x", size = 65536, every = 2000, mode = "fast", names = { "one" } }, o)
    assert.are_not.equal(given, o)
    assert.equal(7, check({ path = "x" }).size)
  end)

  it("may be the main one alone", function()
    assert.equal("x", check("x", "path").path)
  end)

  it("say what is unknown, and what was probably meant", function()
    assert.equal('thing: unknown option "pth"; did you mean "path"?', message { pth = "x" })
    assert.equal('thing: unknown option "zzzzzz"; there is every, mode, n, names, path, size',
      message { path = "x", zzzzzz = 1 })
    assert.equal('thing: unknown option 1; there is every, mode, n, names, path, size', message { "x" })
  end)

  it("say what is missing", function()
    assert.equal('thing: option "path" is missing: give a string that is not empty', message {})
    assert.equal('thing: option "path" is missing: give a string that is not empty', message(nil))
  end)

  it("say what is wrong with a value", function()
    assert.equal('thing: option "path" must be a string that is not empty, not 5', message { path = 5 })
    assert.equal('thing: option "path" must be a string that is not empty, not ""', message { path = "" })
    assert.equal('thing: option "n" must be a whole number from 1 to 9, not 10', message { path = "x", n = 10 })
    assert.equal('thing: option "n" must be a whole number from 1 to 9, not 1.5', message { path = "x", n = 1.5 })
    assert.equal('thing: option "mode" must be one of "fast", "slow", not "slwo"; did you mean "slow"?',
      message { path = "x", mode = "slwo" })
    assert.equal('thing: option "every" must be a positive duration such as "10s", "1h30m" or 500 (ms), not 0',
      message { path = "x", every = 0 })
    assert.equal('thing: option "names" must be a list of names, not a table', message { path = "x", names = {} })
    assert.equal('thing: option "names" must be a list of names, not a table',
      message { path = "x", names = { "a", b = "c" } })
    assert.equal('thing takes a table of options, not 5', message(5))
  end)

  it("raise at the line that called, however deep they are checked", function()
    local chunk = loadstring("local check = ...\n\ncheck { pth = 1 }", "@user.lua")
    local ok, err = pcall(chunk, require("weir.sources").tcp_lines)
    assert.is_false(ok)
    assert.matches("^user%.lua:3: weir%.tcp_lines: unknown option", err)
  end)

  it("read sizes", function()
    local function size(v) return (select(2, options.bytes.test(v))) end
    assert.equal(1024, size "1k")
    assert.equal(16 * 2 ^ 20, size "16MiB")
    assert.equal(1.5 * 2 ^ 30, size "1.5 GB")
    assert.equal(12, size(12))
    assert.is_false((options.bytes.test "12x"))
    assert.is_false((options.bytes.test(0)))
  end)
end)
