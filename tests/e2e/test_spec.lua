--- `weir test`: finding specs, exit codes, what is printed, and what it says when busted is not there.

local place = require "support.place"
local shell = require "support.shell"

local passing = [[
local kit = require "weir.test"
describe("doubling", function()
  it("doubles", function()
    local t = kit.harness(function(stream) return stream:map(function(rec) return { n = 2 * rec.n } end) end)
    t:feed { n = 1 }
    assert.same({ { n = 2 } }, t:output())
  end)
  it("is fast: 10,000 records", function()
    local t = kit.harness(function(stream) return stream:key_by("k"):count() end)
    local records = {}
    for i = 1, 10000 do records[i] = { k = i % 100 } end
    t:feed(records)
    assert.equal(10000, #t:output())
  end)
end)
]]

local failing = [[
local kit = require "weir.test"
describe("counting", function()
  local function test()
    local n = 0
    return kit.harness(function(stream) return stream:map(function() n = n + 1 return { n = n } end) end)
  end
  it("works without a restart", function()
    local t = test()
    t:feed { { k = 1 }, { k = 2 } }
    assert.same({ { n = 1 }, { n = 2 } }, t:output())
  end)
  it("hides its state in a local", function()
    local t = test()
    t:feed { k = 1 }
    t:restart()
    t:feed { k = 2 }
    assert.same({ { n = 1 }, { n = 2 } }, t:output())
  end)
  it("breaks", function()
    local t = kit.harness(function(stream)
      return stream:map(function(rec)
        return { n = rec.a.b }
      end)
    end)
    t:feed { a = 1 }
  end)
end)
]]

describe("weir test", function()
  local write, folder = place.write, nil

  local function run(arguments, environment)
    local out, code, err = shell.run(("%s %s test %s"):format(environment or "", shell.weir,
      (arguments:gsub("FOLDER", folder))))
    local plain = folder:gsub("%p", "%%%0")
    return out:gsub(plain, "FOLDER"), code, (err:gsub(plain, "FOLDER"))
  end

  before_each(function() folder = place.make() end)
  after_each(place.remove)

  it("runs the specs of a folder and those below it, and no other files", function()
    os.execute("mkdir -p " .. folder .. "/below")
    write("a_spec.lua", passing)
    write("below/b_spec.lua", passing)
    write("job.lua", "error 'not run'")
    local out, code = run "FOLDER"
    assert.equal(0, code)
    assert.matches("4 successes / 0 failures / 0 errors", out)
  end)

  it("runs what is in the current folder when it is given none", function()
    write("a_spec.lua", passing)
    local out, code = place.weir "test"
    assert.equal(0, code)
    assert.matches("2 successes / 0 failures / 0 errors", out)
  end)

  it("gives 1 when a test fails, and names the lines of spec and function", function()
    write("f_spec.lua", failing)
    local out, code = run "--no-color FOLDER"
    assert.equal(1, code)
    assert.matches("1 success / 1 failure / 1 error", out)
    assert.is_truthy(out:find("FOLDER/f_spec.lua:17: Expected objects to be the same", 1, true), out)
    assert.is_truthy(out:find("FOLDER/f_spec.lua:25: stream → map → output [1/1]: ", 1, true)
      or out:find("FOLDER/f_spec.lua:25: ", 1, true), out)
    assert.is_truthy(out:find("FOLDER/f_spec.lua:22: attempt to index field 'a'", 1, true), out)
    assert.is_truthy(out:find('record: {"a":1}', 1, true), out)
  end)

  it("writes a line of JSON for each test, and one for the whole", function()
    write("f_spec.lua", failing)
    local out, code = run "--json FOLDER"
    assert.equal(1, code)
    assert.matches('"file": "FOLDER/f_spec.lua", "line": 17, "message": "FOLDER/f_spec.lua:17: Expected', out)
    assert.matches('"name": "counting works without a restart", "seconds": [%d.e-]+, "status": "success"', out)
    assert.matches('{"failed": 2, "passed": 1, "pending": 0, "seconds": [%d.e-]+}\n$', out)
  end)

  it("runs the tests whose names match a filter", function()
    write("f_spec.lua", failing)
    local out, code = run "--filter='without a' FOLDER"
    assert.equal(0, code)
    assert.matches("1 success / 0 failures / 0 errors", out)
    local _, none, err = run "--filter=nothing FOLDER"
    assert.equal(2, none)
    assert.equal("weir: no test matches nothing\n", err)
  end)

  it("gives 2 when there is nothing to run", function()
    local _, code, err = run "FOLDER/missing"
    assert.equal(2, code)
    assert.equal("weir: there is no file or folder FOLDER/missing\n", err)
    _, code, err = run "FOLDER"
    assert.equal(2, code)
    assert.matches("no specs there: files called %*_spec.lua hold tests", err)
    _, code = run "--nonsense FOLDER"
    assert.equal(2, code)
  end)

  it("gives 1 for a spec that cannot be loaded", function()
    write("bad_spec.lua", "x = = 1")
    local out, code = run "FOLDER"
    assert.equal(1, code)
    assert.matches("bad_spec.lua:1: unexpected symbol", out)
  end)

  it("takes what is random from --seed", function()
    write("r_spec.lua", [[
      local kit = require "weir.test"
      it("draws", function()
        local t = kit.harness(function(stream)
          return stream:process(function(ctx) ctx:emit { r = ctx:random() } end)
        end)
        t:feed { k = 1 }
        print("drawn " .. t:output()[1].r)
      end)]])
    local function drawn(seed) return (run("--seed=" .. seed .. " FOLDER")):match "drawn (%S+)" end
    assert.equal(drawn(3), drawn(3))
    assert.not_equal(drawn(3), drawn(4))
  end)

  it("lets specs require what lies on --lua-path", function()
    write("helper.lua", "return { three = 3 }")
    write("h_spec.lua", 'it("is", function() assert.equal(3, require("helper").three) end)')
    local _, code = run "--lua-path='FOLDER/?.lua' FOLDER"
    assert.equal(0, code)
  end)

  it("finds the specs of jobs/, and they pass", function()
    local out, code = run "--json jobs/"
    assert.equal(0, code, out)
    for path in io.popen("ls jobs/spec/*_spec.lua"):lines() do assert.is_truthy(out:find(path, 1, true), path) end
  end)

  it("says how to get busted where it is missing", function()
    write("a_spec.lua", passing)
    write("busted_is_not_here.lua", "")
    local empty = "unshare -r -m sh -c"
    local out, code, err = shell.run(("%s 'mount -t tmpfs none /usr/share/lua/5.1 && exec %s test %s'"):format(empty,
      shell.weir, folder))
    if err:find "unshare" or err:find "mount" then return end -- a machine that lets nobody hide a folder
    assert.equal(2, code, out)
    assert.matches("weir test needs busted, which is not on this machine: apt%-get install lua%-busted", err)
  end)
end)
