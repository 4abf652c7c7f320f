--- What a user sees who made a mistake: the message on standard error, nothing on standard output, the exit code.

local shell = require "support.shell"

local folder

local function run(script, options, job)
  local path = folder .. "/job.lua"
  local file = assert(io.open(path, "w"))
  file:write('local weir = require "weir" local job = weir.job ', job or '"test"', "\n", script)
  file:close()
  local out, code, err = shell.run(shell.weir .. " run " .. (options or "") .. " " .. path)
  return out, code, (err:gsub(folder:gsub("%p", "%%%0") .. "/", ""))
end

local function refused(script, message)
  local out, code, err = run(script)
  assert.is_truthy(err:find(message, 1, true), err)
  assert.equal(2, code)
  assert.equal("", out)
end

describe("a script that is wrong", function()
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("is refused for an unknown option", function()
    refused('job:source(weir.files { pth = "x" }):sink(weir.print())',
      'job.lua:2: weir.files: unknown option "pth"; did you mean "path"?')
  end)

  it("is not given an argument that it does not know", function()
    local job = 'job:source(weir.from { job.args.word or "none", job.args["n"] }):sink(weir.print())'
    local function given(script, arguments)
      run(script)
      local out, code, err = shell.run(("%s run %s/job.lua %s"):format(shell.weir, folder, arguments))
      return out, code, err
    end
    local _, code, err = given(job, "wrod=x")
    assert.equal(2, code)
    assert.truthy(err:find("job.lua: the script knows no argument 'wrod'; did you mean 'word'?", 1, true), err)
    _, code, err = given(job, "other=x")
    assert.equal(2, code)
    assert.truthy(err:find("the script knows no argument 'other'; it knows n, word", 1, true), err)
    assert.equal('"x"\n', (given(job, "word=x")))
    local any = 'local key = "wo" .. "rd" job:source(weir.from { job.args[key] or "none" }):sink(weir.print())'
    assert.equal('"x"\n', (given(any, "word=x more=1")))
  end)

  it("is refused for columns of CSV that make no sense", function()
    refused('job:source(weir.stdin(weir.csv { columns = { "a", "b", "a" } })):sink(weir.print())',
      'job.lua:2: weir.csv: option "columns" names "a" twice')
    refused('job:source(weir.stdin(weir.csv { types = { a = "int" } })):sink(weir.print())', '"a" is "int"')
  end)

  it("is refused for a misspelt method", function()
    refused('\njob:source(weir.from { 1 })\n  :fliter(print)',
      'job.lua:4: stream has no method "fliter"; did you mean "filter"?')
  end)

  it("is refused for a source without a sink", function()
    refused('job:source(weir.stdin())', 'job.lua:2: source "stdin" leads nowhere')
  end)

  it("is refused for a uid that is taken", function()
    refused('local s = job:source(weir.from { 1 }):uid "u"\ns:map(print):uid "u":sink(weir.discard())',
      'job.lua:3: uid "u" is taken by operator "from" (job.lua:2)')
  end)

  it("is refused for state without a key", function()
    refused('job:source(weir.from { 1 }):process(weir.process_function {\n'
      .. '  state = { n = weir.state.value() }, element = print }):sink(weir.discard())',
      'stream:process: the state "n" is kept per key, and this stream has no key: put :key_by(…) before it')
  end)

  it("is refused for a record that cannot be one, with the field's path", function()
    refused('job:source(weir.from { { a = { b = print } } }):sink(weir.discard())', "a.b")
  end)

  it("is refused when it cannot be read as Lua", function()
    refused("job:source(", "job.lua:2:")
  end)

  it("is refused when it draws nothing", function()
    local path = folder .. "/empty.lua"
    assert(io.open(path, "w")):close()
    local _, code, err = shell.run(shell.weir .. " run " .. path)
    assert.equal(2, code)
    assert.is_truthy(err:find("the script drew no job", 1, true), err)
  end)

  it("is refused when it draws another graph the second time", function()
    refused('job:source(weir.from { 1 }):name("n" .. math.random(1e9)):sink(weir.discard())',
      "the script draws another graph when it runs again: operator 1 was values")
  end)

  it("is refused when it assigns what is set by a method, or by nothing", function()
    refused("job.parallelism = 4", 'job.lua:2: job has no field "parallelism" to be set')
    refused("job:source(weir.from { 1 }).parallelism = 4",
      "job.lua:2: stream has no field \"parallelism\" to be set; parallelism is a method: stream:parallelism(…)")
    refused("weir.parallelism = 4", "job.lua:2: weir.parallelism cannot be set")
  end)

  it("is refused for a value that cannot be a record, at the line of its source, by check as well", function()
    refused("\njob:source(weir.from { 1, print }):sink(weir.print())",
      "job.lua:3: weir.from: a record cannot hold a function (field [2])")
    local _, code = shell.run(shell.weir .. " check " .. folder .. "/job.lua")
    assert.equal(2, code)
  end)

  it("is shown the line of what it raised, be it no text", function()
    refused("\nerror { code = 5 }", 'job.lua:3: the script raised {"code":5}')
    refused("error()", "job.lua:2: the script raised nil")
  end)

  it("is told its own line where it calls through pcall", function()
    refused("error(select(2, pcall(weir.text.words, 5)), 0)", "job.lua:2: the words of a text, not of a number")
    refused("error(select(2, pcall(os.execute, 'ls')), 0)", "job.lua:2: os.execute is closed to job scripts")
    refused("error(select(2, pcall(require, 'nosuch')), 0)", "job.lua:2: module 'nosuch' not found")
  end)

  it("is refused when nobody has heard of the file", function()
    local _, code, err = shell.run(shell.weir .. " run " .. folder .. "/none.lua")
    assert.equal(2, code)
    assert.is_truthy(err:find("none.lua", 1, true), err)
  end)
end)

describe("a function that fails", function()
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  local script = 'local good = job:source(weir.from { { a = 1 }, { b = 2 }, { a = 3 } })\n'
    .. '  :map(function(r) return { a = r.a + 1 } end):name "add"'

  it("fails the job, with script, line, operator, subtask and record", function()
    local _, code, err = run(script .. ":sink(weir.print())")
    assert.equal(1, code)
    for _, part in ipairs { "operator 'add'", "subtask 0", "job.lua:3: attempt to perform arithmetic", '{"b":2}' } do
      assert.is_truthy(err:find(part, 1, true), part .. " is missing in: " .. err)
    end
    assert.is_nil(err:find("lua/weir", 1, true), err)
  end)

  it("is shown with its place wherever it lies, also in folders that are called like ours", function()
    for _, path in ipairs { "lua/weird.lua", "lua/weir/job.lua", "stdlib/weir/job.lua" } do
      local base = shell.folder()
      local full = base .. "/" .. path
      assert(os.execute("mkdir -p " .. full:match "^(.*)/"))
      local file = assert(io.open(full, "w"))
      file:write [[local weir = require "weir" local job = weir.job "test"
        local function check(r) return r.a.b end
        job:source(weir.from { { a = false } }):map(function(r) return { a = check(r) } end):sink(weir.print())]]
      file:close()
      local _, _, err = shell.run(("cd %s && %s run -q %s"):format(base, shell.weir, path))
      shell.remove(base)
      assert.is_truthy(err:find("operator 'map' (" .. path .. ":3) failed", 1, true), err)
      assert.is_truthy(err:find("traceback:\n    " .. path .. ":2: in function 'check'", 1, true), err)
    end
  end)

  it("shows the record when the stack or the memory is full", function()
    local endless = "local function f(x) return f(x + 1) + 1 end "
    local _, code, err = run(endless .. "job:source(weir.from { { a = 1 } }):map(function(r) return f(r.a) end)"
      .. ":sink(weir.print())")
    assert.equal(1, code)
    assert.matches("operator 'map' %(job.lua:2%) failed in subtask 0: job.lua:2: stack overflow.*record: {\"a\":1}", err)
    _, code, err = run(endless .. "job:source(weir.from { { a = 1 } }):map(function(r) return r end)"
      .. ":map(function(r) return f(r.a) end):name 'deep':sink(weir.print())")
    assert.equal(1, code)
    assert.matches("operator 'deep' .-stack overflow.*record: {\"a\":1}.*traceback:\n    job.lua:2: in function 'f'", err)
    _, code, err = run("job:source(weir.from { { a = 1 } }):map(function(r) local t = {} while true do t[#t + 1] = { r } end end)"
      .. ":sink(weir.print())", "--lua-memory=20M")
    assert.equal(1, code)
    assert.matches("operator 'map' .- out of Lua memory.*raise %-%-lua%-memory.*record: {\"a\":1}", err)
    _, code, err = run("job:source(weir.from { { a = 1 } }):map(function(r) while true do r[#r + 1] = { r } end end)"
      .. ":sink(weir.print())", "--lua-memory=20M")
    assert.equal(1, code)
    assert.matches("operator 'map' .- out of Lua memory.*record: {", err)
  end)

  it("shows no key where there is none, in close", function()
    local _, code, err = run('job:source(weir.from { { a = 1 } }):key_by "a":process(weir.process_function {'
      .. " element = print, close = function() error 'late' end }):sink(weir.print())")
    assert.equal(1, code)
    assert.matches("job.lua:2: late", err)
    assert.is_nil(err:find("key:", 1, true), err)
  end)

  it("fails for a timer that no function hears", function()
    local _, code, err = run('job:source(weir.from { { a = 1 } }):key_by "a"'
      .. ":process(function(ctx) ctx:event_timer(5) end):sink(weir.print())")
    assert.equal(1, code)
    assert.matches("job.lua:2: operator 'process' has no timer function", err)
  end)

  it("skips the record under on_error = skip, and counts it", function()
    local out, code, err = run(script .. ":sink(weir.print())", "--on-error=skip")
    assert.equal(0, code)
    assert.equal('{"a":2}\n{"a":4}\n', out)
    assert.is_truthy(err:find("1 skipped", 1, true), err)
  end)

  it("delivers the record with its error to the dead letters", function()
    local out, code = run(script .. ':on_error "dead_letter"\n'
      .. 'good:side_output "dead_letter":map(function(d) return { op = d.operator, why = d.error, rec = d.record } end)'
      .. ':sink(weir.print())\ngood:sink(weir.discard())')
    assert.equal(0, code)
    assert.matches('^{"op":"add","rec":{"b":2},"why":"[^"]*attempt to perform arithmetic[^"]*"}\n$', out)
  end)
end)

describe("an option that is wrong", function()
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("is refused as a seed that no number of Lua holds, and the largest that one does is good", function()
    local script = "job:source(weir.from { 1 }):sink(weir.print())"
    local _, code, err = run(script, "--seed=9223372036854775807")
    assert.equal(2, code)
    assert.is_truthy(err:find("--seed=9223372036854775807: allowed is 0 to 9007199254740992", 1, true), err)
    local out
    out, code = run(script, "-q --seed=9007199254740992")
    assert.equal(0, code)
    assert.equal("1\n", out)
  end)

  it("is warned of where it has no effect, be it the script's", function()
    local script = "job:source(weir.from { 1 }):sink(weir.print())"
    local without = 'checkpoint: none are taken without --dir: --checkpoint-every has no effect'
    local out, code, err = run(script, "-q --checkpoint-every=1s")
    assert.equal(0, code)
    assert.equal("1\n", out)
    assert.is_truthy(err:find(without, 1, true), err)
    err = select(3, run(script, "-q --checkpoint-pack-logs --unaligned-after=1s"))
    for _, option in ipairs { "checkpoint-pack-logs", "unaligned-after" } do
      assert.is_truthy(err:find("--" .. option .. " has no effect", 1, true), err)
    end
    code, err = select(2, run(script, "-q", '{ name = "test", checkpoint = weir.checkpoint { every = "1s" } }'))
    assert.equal(0, code)
    assert.is_truthy(err:find(without, 1, true), err)
    for _, options in ipairs {
      "--checkpoint-every=1s --dir=" .. folder .. "/checkpoints", "--checkpoint-every=1s --checkpoint-mode=none",
      "--state-memory=1M --state-backend=rocksdb", "",
    } do
      code, err = select(2, run(script, "-q " .. options))
      assert.same({ 0, "" }, { code, err })
    end
    err = select(3, run(script, "-q --state-memory=1M"))
    assert.is_truthy(err:find("--state-memory has no effect without --state-backend=rocksdb", 1, true), err)
  end)
end)
