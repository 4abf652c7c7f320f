--- Sources and sinks as a user meets them: files, packed files, pipes, folders, malformed input.

local place = require "support.place"
local script = require "support.script"
local shell = require "support.shell"

local write = place.write

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

-- Runs a job whose paths are relative to the folder; `before` and `behind` stand around it in the shell.
local function run(text, given)
  given = given or {}
  write("job.lua", script.head .. text)
  return place.sh(("%s $W run %s job.lua %s"):format(given.before or "", given.options or "", given.behind or ""))
end

local function says(text, file) return shell.await(("grep -q '%s' %s"):format(text, file), "$job") end

local function prints(wanted, text, given)
  local out, code, err = run(text, given)
  assert.equal(0, code, err)
  assert.equal(wanted, out)
end

describe("sources and sinks", function()
  it("read each line once at any parallelism, however files are cut and packed", function()
    local lines = {}
    for i = 1, 20000 do lines[i] = ("line %d%s"):format(i, ("x"):rep(i % 50)) end
    local text = table.concat(lines, "\n") .. "\n"
    write("a.txt", text)
    write("b.txt", text)
    shell.run(("gzip %s/b.txt"):format(folder))
    local wanted = shell.sorted(text .. text)
    for _, parallelism in ipairs { 1, 2, 7 } do
      local out, code = run([[
        job:source(weir.files { path = "*.txt*", split_size = 10007 })
          :map(function(r) return r.line end)
          :sink(weir.stdout { format = weir.lines() })]], { options = "-p " .. parallelism })
      assert.equal(0, code)
      assert.is_true(wanted == shell.sorted(out), "the lines are not those of the files")
    end
  end)

  it("are a unix filter", function()
    prints("a\nc\n", [[
      job:source(weir.stdin()):filter(function(r) return r.line ~= "b" end):sink(weir.stdout { format = weir.lines() })]],
      { before = "printf 'a\\nb\\nc' |" })
  end)

  it("end in order and quietly when nobody reads any more", function()
    local out, code, err = run([[
      job:source(weir.generate { fn = function(n) return { n = n } end }):sink(weir.print())]],
      { behind = "2>err; echo $? >code; } | head -2; cat err >&2; exit $(cat code)", before = "{" })
    assert.equal('{"n":0}\n{"n":1}\n', out)
    assert.equal(0, code, err)
    assert.is_nil(err:find("error", 1, true), err)
  end)

  it("convert columns of CSV and tell which row is wrong", function()
    write("in.csv", 'name,amount,paid\n"Ann, B.",1.5,true\nBob,,false\n')
    local text = [[
      job:source(weir.files { path = "in.csv", format = weir.csv { types = { amount = "number", paid = "boolean" } } })
        :sink(weir.print())]]
    prints('{"amount":1.5,"name":"Ann, B.","paid":true}\n{"name":"Bob","paid":false}\n', text)
    write("in.csv", "name,amount,paid\nAnn,much,true\n")
    local _, code, err = run(text)
    assert.equal(1, code)
    assert.is_truthy(err:find("in.csv, byte 17", 1, true), err)
    assert.is_truthy(err:find("column 2 ('amount') is no number", 1, true), err)
  end)

  it("skip malformed lines of JSON when told to, and count them", function()
    write("in.json", '{"a":1}\n{"a":\n{"a":9007199254740993,"b":{"c":[null]}}\n')
    local text = [[job:source(weir.files { path = "in.json", format = weir.json() }):on_error "skip":sink(weir.print())]]
    local out, code, err = run(text)
    assert.equal(0, code, err)
    assert.equal('{"a":1}\n{"a":9007199254740993,"b":{"c":[null]}}\n', out)
    assert.is_truthy(err:find("in.json, byte 8", 1, true), err)
  end)

  it("give the rows of a packed file that ends early, and then tell", function()
    local lines = {}
    for i = 1, 50000 do lines[i] = ("%d %d\n"):format(i, i * 7919 % 100003) end
    write("a", table.concat(lines))
    shell.run(("gzip -c %s/a | head -c 100000 > %s/a.gz"):format(folder, folder))
    local out, code, err = run([[
      job:source(weir.files "a.gz"):on_error "skip":map(function(r) return r.line end):sink(weir.print "raw")]])
    assert.equal(0, code, err)
    assert.equal(table.concat(lines):sub(1, #out), out)
    assert.is_true(#out > 100000)
    assert.is_truthy(err:find("a.gz, byte " .. #out, 1, true), err)
    assert.is_truthy(err:find("gzip: the data ends early", 1, true), err)
  end)

  it("print tables, by the program's option and by the script's", function()
    local rows = 'job:source(weir.from { { n = 1, s = "a" }, { n = 20, s = "b" } })'
    prints(" n  s\n--  -\n 1  a\n20  b\n", rows .. ":sink(weir.print())", { options = "--format=table" })
    prints(" n  s\n--  -\n 1  a\n20  b\n", rows .. ':sink(weir.print "table")')
    prints("1\ta\n20\tb\n", rows .. ":sink(weir.print())", { options = "--format=raw" })
  end)

  it("write a file for each subtask, as CSV", function()
    prints("", [[
      job:source(weir.sequence { to = 4 }):map(function(n) return { n = n, half = n / 2 } end)
        :sink(weir.file_sink { path = "out", format = weir.csv() })]], { options = "-p 2" })
    assert.equal("half,n\n0.5,1\n1.5,3\n", shell.read(folder .. "/out.0"))
    assert.equal("half,n\n1,2\n2,4\n", shell.read(folder .. "/out.1"))
  end)

  it("take each file that comes into a watched folder once", function()
    os.execute("mkdir " .. folder .. "/in")
    write("in/first", "1\n")
    local out, code, err = run([[
      job:source(weir.files { path = "in", watch = true }):map(function(r) return r.line end):sink(weir.print "raw")]],
      { behind = ([[>out 2>err & job=$!
        %s; echo 2 > in/second
        %s; echo 3 > .third; mv .third in/third
        %s; kill -INT $job; wait $job; code=$?; cat out; cat err >&2; exit $code]]):format(says("1", "out"),
        says("2", "out"), says("3", "out")) })
    assert.equal("1\n2\n3\n", out, err)
    assert.equal(130, code, err)
  end)

  it("fail at a standard stream that is closed, which no other file takes over", function()
    local closed = { { ">&-", 'weir.from { 1 }', "cannot write standard output: it is closed" },
      { "<&-", 'weir.stdin()', "standard input: cannot read: Bad file descriptor" } }
    for _, case in ipairs(closed) do
      for _, dir in ipairs { "", "--dir state" } do
        local _, code, err = run(("job:source(%s):sink(weir.stdout())"):format(case[2]), { options = dir, behind = case[1] })
        assert.equal(1, code)
        assert.is_truthy(err:find(case[3], 1, true), err)
        assert.is_nil(err:find("run again", 1, true), err) -- it would be closed then, too
      end
    end
    local _, code = run("job:source(weir.from { 1 }):sink(weir.file_sink 'out')", { behind = "<&- >&- 2>&-" })
    assert.equal(0, code)
    assert.equal("1\n", shell.read(folder .. "/out"))
  end)

  it("end at the second signal though a function of the script never returns", function()
    local _, code, err = run([[
      job:source(weir.from { 1, 2 }):map(function(n)
        if n == 1 then error "the first" end
        while true do n = n + 1 end
      end):on_error "skip":sink(weir.discard())]],
      { behind = ([[>out 2>err & job=$!
        %s
        while kill -INT $job 2>/dev/null; do :; done & wait $job; code=$?; cat err >&2; exit $code]])
        :format(says("the first", "err")) })
    assert.equal(130, code, err)
  end)

  it("say that no file is there", function()
    local _, code, err = run [[job:source(weir.files "nothing/*.txt"):sink(weir.print())]]
    assert.equal(1, code)
    assert.is_truthy(err:find("no file matches 'nothing/*.txt'", 1, true), err)
  end)

  it("write what cannot be written as an error of the job", function()
    local _, code, err = run [[job:source(weir.sequence { to = 9 }):sink(weir.file_sink "/dev/full")]]
    assert.equal(1, code)
    assert.is_truthy(err:find("cannot write /dev/full: No space left on device", 1, true), err)
  end)
end)
