--- Every job of jobs/ on its data gives what a program written independently of Weir gave (golden/).

local http = require "support.http"
local shell = require "support.shell"

local golden = "tests/e2e/golden/"

local function expect(name, command)
  local out, code, err = shell.run(shell.weir .. " run " .. command)
  assert.equal(0, code, err)
  assert.equal(shell.read(golden .. name .. ".out"), shell.sorted(out))
end

for _, parallelism in ipairs { 1, 2, 3 } do
  describe("at parallelism " .. parallelism, function()
    local p = "-p " .. parallelism .. " "

    it("word_count counts each word once, at the end", function()
      expect("word_count", p .. "jobs/word_count.lua")
    end)

    it("word_count prints every change with updates=true", function()
      expect("word_count_updates", p .. "jobs/word_count.lua updates=true")
    end)

    it("top_words ranks the words of each minute", function()
      expect("top_words", p .. "jobs/top_words.lua")
    end)

    it("clean_csv prints good rows and files bad ones with their reason", function()
      local folder = shell.folder()
      expect("clean_csv", p .. "jobs/clean_csv.lua bad=" .. folder .. "/bad.ndjson")
      local bad = shell.sorted(shell.read(folder .. "/bad.ndjson"))
      shell.remove(folder)
      local _, lines = bad:gsub("\n", "")
      assert.equal(4, lines, bad)
      for _, reason in ipairs { "amount is no number: twelve", "account is empty", "unknown currency: XXX" } do
        assert.is_truthy(bad:find(reason, 1, true), reason)
      end
    end)

    it("archive files whole records by the hour", function()
      local folder = shell.folder()
      local _, code, err = shell.run(("%s run %s jobs/archive.lua out=%s/out"):format(shell.weir, p, folder))
      assert.equal(0, code, err)
      local out = shell.run(("cd %s/out && for d in *-*-*/*; do echo $d; gzip -dc $d/*.json.gz | sort; done")
        :format(folder))
      shell.remove(folder)
      assert.equal(shell.read(golden .. "archive.out"), out)
    end)

    it("sessions_by_hand cuts visits at gaps", function()
      expect("sessions_by_hand", p .. "jobs/sessions_by_hand.lua")
    end)

    it("enrich adds the tax by broadcast rules", function()
      expect("enrich", p .. "jobs/enrich.lua")
    end)

    it("unix_filter copies matching lines through a pipe", function()
      expect("unix_filter", p .. "jobs/unix_filter.lua match=ERROR <jobs/data/app.log")
    end)

    it("sensor_alerts tells hot and silent sensors", function()
      expect("sensor_alerts", p .. "jobs/sensor_alerts.lua")
    end)
  end)
end

describe("status_of", function()
  it("tells the status of each address, and why there is none, after three attempts", function()
    local server = http.start()
    finally(server.stop)
    local function asks(path) return server.url .. path end
    local lines = { asks "/say/hello", "http://127.0.0.1:1/", asks "/flaky/1/once", asks "/flaky/9/often", "no address",
      asks "/status/404" }
    local out, code, err = shell.run(("printf '%%s\\n' '%s' | %s run jobs/status_of.lua"):format(
      table.concat(lines, "' '"), shell.weir))
    assert.equal(0, code, err)
    local at = 0
    for line in out:gmatch "[^\n]+" do
      at = at + 1
      assert.is_truthy(line:find(('"url":"%s"'):format(lines[at]), 1, true), line)
    end
    assert.equal(#lines, at)
    local expected = { '"bytes":5', "[Cc]onnect", '"status":200', '"error"', "http://host/path", '"status":404' }
    at = 0
    for line in out:gmatch "[^\n]+" do
      at = at + 1
      assert.matches(expected[at], line)
    end
  end)
end)

describe("every job", function()
  it("is checked without a warning, and drawn", function()
    for path in io.popen("ls jobs/*.lua"):lines() do
      local out, code, err = shell.run(shell.weir .. " check " .. path)
      assert.equal(0, code, path .. ": " .. err)
      assert.is_truthy(out:find("no warnings", 1, true), path .. ": " .. out)
      out, code, err = shell.run(shell.weir .. " check --explain " .. path)
      assert.equal(0, code, path .. ": " .. err)
      local chained = not path:find "word_count" and not path:find "status_of" and not path:find "to_sqlite"
      if chained then assert.is_truthy(out:find("local function push1(rec)", 1, true), out) end
      out, code, err = shell.run(shell.weir .. " graph " .. path)
      assert.equal(0, code, path .. ": " .. err)
      assert.matches("^[%w_]+ %(logical%)\n", out)
    end
  end)
end)
