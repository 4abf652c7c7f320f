-- SPDX-License-Identifier: Apache-2.0
--- Other versions of a script in a job that runs: real processes, reached over their sockets. Records come by a
--- pipe into which the test writes, so the job waits for the test and not the test for the clock.

local place = require "support.place"
local script = require "support.script"
local shell = require "support.shell"

local write, read, sh = place.write, place.read, place.sh

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function await(condition) return shell.await(condition, "$job") end

local reachable = await "$W info job >/dev/null 2>&1"

-- A pipe into the job: `steps` are shell commands, which reach it as "job" by $W; what they print on standard
-- output is its input, which ends behind the last of them. Gives what the job printed, its exit code, and what was
-- said on both standard errors. (The shell becomes the last command of a list: one whose output goes elsewhere would
-- close the pipe as it begins, so the last is `:`.)
local function drive(steps, options)
  return sh(("mkfifo pipe; $W run -q %s job.lua <pipe & job=$!; ( %s; %s; : ) >pipe; wait $job"):format(options or "",
    reachable, table.concat(steps, "; ")))
end

local function records(from, to, keys)
  local out = {}
  for i = from, to do out[#out + 1] = ('{"k":%d,"i":%d}\n'):format(i % keys, i) end
  return table.concat(out)
end

-- The versions of the counting job: in the function itself, in a module, in what is emitted.
local function version(n)
  write("rules.lua", ("return { version = %d }"):format(n))
  write("job.lua", ([[
local weir = require "weir"
local rules = require "rules"
local job = weir.job "job"
job:source(weir.stdin { format = weir.json() })
  :key_by "k"
  :%s
  :sink(weir.stdout { format = weir.json() })
return job
]]):format(script.counting(("ctx:emit { k = rec.k, n = n, f = %d, m = rules.version }"):format(n))))
  return ("cp job.lua job%d.lua; cp rules.lua rules%d.lua"):format(n, n)
end

local function prepare_versions(count)
  for n = count, 1, -1 do
    version(n)
    assert(os.execute(("cd %s && cp job.lua job.%d && cp rules.lua rules.%d"):format(folder, n, n)))
  end
end

local function use(n) return ("cp job.%d job.lua && cp rules.%d rules.lua"):format(n, n) end
local bring_in = "$W reload --yes job job.lua >>said 2>&1 || echo reload failed >>said"

-- Counts of each key are 1, 2, 3 …, and its version never goes back; gives the number of rows and of switches.
local function check_rows(out, switches)
  local keys, rows = {}, 0
  for line in out:gmatch "[^\n]+" do
    local f, k, m, n = line:match '"f":(%d+),"k":(%d+),"m":(%d+),"n":(%d+)'
    f, n = tonumber(f), tonumber(n)
    local key = keys[k] or { n = 0, f = f, switches = 0 }
    keys[k] = key
    assert.equal(tostring(f), m, "function and module are of one version")
    assert.equal(key.n + 1, n, "nothing lost, nothing doubled")
    if f ~= key.f then
      key.switches = key.switches + 1
      assert.is_true(f > key.f, "the version goes back")
    end
    key.n, key.f, rows = n, f, rows + 1
  end
  for _, key in pairs(keys) do assert.equal(switches, key.switches) end
  return rows
end

describe("weir reload", function()
  for _, p in ipairs { 1, 2, 3 } do
    it(("switches each key once, and loses and doubles nothing, at parallelism %d"):format(p), function()
      prepare_versions(3)
      write("some", records(1, 20000, 100))
      local out, code, err = drive({ "cat some", use(2), bring_in, "cat some", use(3), bring_in, "cat some" },
        "-p " .. p)
      assert.equal(0, code, err)
      assert.falsy(read "said":find "reload failed", read "said")
      assert.truthy(read "said":find("~ operator count: code", 1, true), read "said")
      assert.equal(60000, check_rows(out, 2))
    end)
  end

  it("goes back and forth by rollback", function()
    prepare_versions(2)
    write("some", records(1, 5000, 10))
    local rollback = "$W rollback --yes job >>said 2>&1 || echo reload failed >>said"
    local out, code, err = drive { "cat some", use(2), bring_in, "cat some", rollback, "cat some", rollback }
    assert.equal(0, code, err)
    assert.falsy(read "said":find "reload failed", read "said")
    local seen = {}
    for f in out:gmatch '"f":(%d)' do
      if seen[#seen] ~= f then seen[#seen + 1] = f end
    end
    assert.equal("1", seen[1])
    assert.equal("2", seen[2])
    assert.equal("1", seen[3])
    local last = 0
    for n in out:gmatch '"k":1,"m":%d,"n":(%d+)' do last = tonumber(n) end
    assert.equal(1500, last)
  end)

  it("is told by weir info as the script that is in use", function()
    prepare_versions(2)
    local told = "$W info --json job | grep -o '\"script\":\"[^\"]*\",\"version\":[0-9]*' | sed 's|/[^\"]*/||' >>told"
    local _, code, err = drive {
      told, "cp job.2 other.lua", "$W reload --yes job other.lua >said", told, "$W rollback --yes job >>said", told,
    }
    assert.equal(0, code, err)
    assert.equal([["script":"job.lua","version":1
"script":"other.lua","version":2
"script":"job.lua","version":1
]], read "told")
  end)

  it("refuses what is broken, and the job does not notice", function()
    prepare_versions(1)
    local function broken(name, text) write(name, text) return ("cp %s job.lua"):format(name) end
    local good = read "job.1"
    local steps = { "cat some" }
    for i, text in ipairs {
      "local weir = require 'weir' this is no Lua",
      "error 'at load'",
      "require 'no_such_module'",
      "while true do local x = {} x = nil end",
      (good:gsub("value%(%)", "list()")),
      (good:gsub("n = weir.state.value%(%)", "other = weir.state.value()")),
      (good:gsub('weir.job "job"', 'weir.job "another"')),
    } do
      if i ~= 4 then -- an endless one is bounded, but by more time than a test has
        steps[#steps + 1] = broken("broken" .. i, text)
        steps[#steps + 1] = ("echo %d: >>said; %s"):format(i, bring_in)
      end
    end
    steps[#steps + 1] = "cat some"
    write("some", records(1, 1000, 10))
    local out, code, err = drive(steps)
    assert.equal(0, code, err)
    assert.equal(2000, check_rows(out, 0))
    local said = read "said"
    for _, expected in ipairs { "job.lua:1:", "at load", "module 'no_such_module' not found",
      "was declared as value, and is now declared as list", "- state count.n", "state would be dropped",
      'draws job "another"' } do
      assert.truthy(said:find(expected, 1, true), expected .. " is not in\n" .. said)
    end
    local _, refused = said:gsub("reload failed", "")
    assert.equal(6, refused)
  end)

  it("is told of another one whose script does not come to an end, and the job can be cancelled", function()
    version(1)
    write("endless.lua", "while true do end")
    local out, code, err = drive({ await("{ $W reload --yes job endless.lua >/dev/null 2>&1 & }; $W reload --yes job job.lua 2>&1 "
      .. "| grep -q 'script is being drawn; one that draws longer than 30 s is given up'"),
      "$W cancel job >&2" })
    assert.equal("", out)
    assert.is_nil(err:find("waited in vain", 1, true), err)
    assert.truthy(err:find("job%-%d+: cancelled"), err)
    assert.equal(130, code, err)
  end)

  it("of which no savepoint can be made refuses to be changed with one", function()
    prepare_versions(2)
    write("said", "")
    drive({ use(2), "$W reload --yes --savepoint job job.lua >>said 2>&1; echo exit $? >>said" }, "")
    assert.truthy(read "said":find("takes no checkpoints: it was started without %-%-dir, or in checkpoint mode none\nexit 2\n"), read "said")
  end)

  it("without --yes and a terminal only says what would change", function()
    prepare_versions(2)
    write("some", records(1, 10, 10))
    local out = drive { "cat some", use(2), "$W reload job job.lua >>said 2>&1; echo \"exit $?\" >>said", "cat some" }
    assert.equal(20, check_rows(out, 0))
    assert.truthy(read "said":find("~ operator count: code", 1, true))
    assert.truthy(read "said":find("say --yes", 1, true))
    assert.truthy(read "said":find("exit 2", 1, true))
  end)

  it("asks on a terminal, and takes yes for an answer", function()
    prepare_versions(2)
    write("some", records(1, 10, 10))
    local function answer(text)
      return ("printf '%s\\n' | script -qec \"$W reload job job.lua\" /dev/null >>said 2>&1; echo exit $? >>said"):format(text)
    end
    local out, code, err = drive { "cat some", use(2), answer "n", "cat some", answer "y", "cat some" }
    assert.equal(0, code, err)
    assert.equal(30, check_rows(out, 1))
    local refused, taken = read "said":match "^(.-exit 2)(.*)$"
    assert.truthy(refused and refused:find("bring it in? [y/N]", 1, true) and refused:find("nothing was changed", 1, true), read "said")
    assert.truthy(taken:find("is in use", 1, true) and taken:find("exit 0", 1, true), taken)
  end)

  it("--watch brings the script in whenever it or a module of it is saved, and is not stopped by a broken one", function()
    prepare_versions(2)
    write("some", records(1, 1, 10))
    write("broken", "return {")
    local function saved(name, as) return ("cp %s new; mv new %s"):format(name, as) end
    local function counted(n, text, file) return await(("[ $(grep -c '%s' %s) -ge %d ]"):format(text, file, n)) end
    local function in_use(n) return counted(n, "is in use", "watched") end
    local function given(n) return "cat some; " .. counted(n, '"k":1,', "out") end
    local _, code, err = sh(([[mkfifo pipe; $W run -q job.lua <pipe >out & job=$!
      ( %s; $W reload --watch job.lua >watched 2>&1 & echo $! >watch; %s ) >pipe
      wait $job; code=$?; while kill -0 $(cat watch) 2>/dev/null; do sleep 0.01; done; exit $code]]):format(reachable,
      table.concat({
        in_use(1), given(1), saved("rules.2", "rules.lua"), in_use(2), given(2),
        saved("broken", "rules.lua"), counted(1, "rules.lua:1:", "watched"), given(3),
        saved("rules.2", "rules.lua"), in_use(3), saved("job.2", "job.lua"), in_use(4), given(4),
      }, "; ")))
    assert.equal(0, code, err)
    local seen = {}
    for f, m, n in read "out":gmatch '"f":(%d),"k":1,"m":(%d),"n":(%d+)' do seen[#seen + 1] = f .. m .. n end
    assert.same({ "111", "122", "123", "224" }, seen)
  end)

  it("takes functions back that fail, and gives the record to those before", function()
    prepare_versions(2)
    for n = 1, 2 do -- what fails has not touched its state yet
      write("job." .. n, (read("job." .. n):gsub("local n = ", "local m = rules.version\n      local n = ")
        :gsub("f = %d, m = rules.version", "f = m, m = m")))
    end
    write("rules.2", "return setmetatable({}, { __index = function(t, name) error 'new rules are wrong' end })")
    assert(os.execute(("cd %s && cp job.1 job.lua"):format(folder)))
    write("some", records(1, 1000, 10))
    local out, code, err = drive({ "cat some", use(2), bring_in, "cat some" }, "-p 2")
    assert.equal(0, code, err)
    assert.equal(2000, check_rows(out, 0))
    assert.truthy(err:find("new functions failed, those before go on", 1, true), err)
    assert.truthy(err:find("new rules are wrong", 1, true), err)
  end)
end)

-- A job that reads numbers at a pace of its own, with checkpoints; `more` is what its function does with them.
local function paced(more, rest)
  return ([[
local weir = require "weir"
local job = weir.job "job"
job:source(weir.generate { rate = 50000, fn = function(i) return { k = i %% 10, i = i } end }):parallelism(1)
  :key_by "k"
  :%s
  %s
return job
]]):format(script.counting(more), rest or ':sink(weir.file_sink { path = "out", format = weir.json(), guarantee = "exactly_once" }):parallelism(1)')
end

describe("a job with checkpoints", function()
  local function says(text, file) return await(("grep -q '%s' %s 2>/dev/null"):format(text, file)) end
  local grows = "cp out before; " .. await "[ $(wc -c <out) -gt $(wc -c <before) ]"

  -- Runs job.lua, does the steps, and stops it; the log is in "log".
  local function run_with(steps, options)
    local _, code, err = sh(([[
      $W run -q --dir state --checkpoint-every 50ms %s job.lua 2>log & job=$!
      %s; { %s; $W stop job; } >said 2>&1; wait $job]]):format(options or "", reachable, table.concat(steps, "; ")))
    assert.equal(0, code, err .. read "log" .. read "said")
  end

  -- Records 0, 1, 2 … are there once each, and the counts of each key are 1, 2, 3 ….
  local function check_once()
    local seen, rows, last, counts = {}, 0, -1, {}
    for line in read "out":sub(1, tonumber(read "out.commit":match "length (%d+)")):gmatch "[^\n]+" do
      local i, k, n = line:match '"i":(%d+),"k":(%d+),"n":(%d+)'
      i, n = tonumber(i), tonumber(n)
      assert.is_nil(seen[i], "record " .. i .. " is there twice")
      assert.equal((counts[k] or 0) + 1, n)
      seen[i], rows, last, counts[k] = true, rows + 1, math.max(last, i), n
    end
    assert.equal(last + 1, rows)
  end

  local good = paced 'ctx:emit { k = rec.k, i = rec.i, n = n, v = 1 }'
  local bad = paced [[
    if rec.i % 100 == 0 then error "too bad" end
    ctx:emit { k = rec.k, i = rec.i, n = n, v = 2 }]]

  for _, way in ipairs { { "functions that are swapped", "" }, { "a graph that is built anew", "-p 2" } } do
    it(("goes back by itself when new code fails, and each record is in the output once: %s"):format(way[1]), function()
      write("good.lua", good)
      write("bad.lua", bad)
      write("job.lua", good)
      run_with { says('"i":1000,', "out"), "cp bad.lua job.lua",
        "$W reload --yes --probation 1h " .. way[2] .. " job job.lua", says("is run again", "log"), grows, grows }
      check_once()
      assert.truthy(read "log":find("too bad", 1, true))
      assert.falsy(read "out":find('"v":2', 1, true), "what is on trial is not committed")
    end)
  end

  it("is built anew where more than functions change, and goes on with its state", function()
    write("job.lua", good)
    run_with { says('"i":1000,', "out"), "$W reload --yes -p 3 job job.lua", grows, grows,
      "$W reload --yes -p 1 job job.lua", grows, grows }
    check_once()
    assert.truthy(read "said":find("built anew", 1, true), read "said")
  end)

  it("has a savepoint of either side of a reload and of a rollback, if they are asked for", function()
    write("better.lua", (good:gsub("v = 1", "v = 2")))
    write("job.lua", good)
    run_with { says('"i":1000,', "out"), "cp better.lua job.lua",
      "$W reload --yes --savepoint=it.weir job job.lua", "$W rollback --yes --savepoint --json job >json", grows }
    check_once()
    local said = read "said"
    local before, after = said:match "it%-before.weir: checkpoint (%d+) of job%-%d+, .*it%-after.weir: checkpoint (%d+) of"
    assert.truthy(before and tonumber(before) < tonumber(after), said)
    for name in read "json":match '"savepoints":(%b[])':gmatch '"file":"(job%-%d+.weir)"' do
      assert.equal("count\n", sh("$W savepoint ls --json " .. name .. " | grep -o count | head -1"))
    end
    -- each is one to go on from; the counts of the second are those of the first, and more
    local function count(name) return tonumber((sh("$W savepoint get " .. name .. " count n 1"))) end
    assert.truthy(count "it-before.weir" <= count "it-after.weir")
  end)

  it("with another type of a column is another job, whatever the column is called", function()
    local function typed(name, kind)
      write("job.lua", ([[
local weir = require "weir"
local job = weir.job "job"
job:source(weir.stdin { format = weir.csv { header = false, columns = { %q }, types = { %s = %q } } }):uid "in"
  :sink(weir.stdout { format = weir.json() }):uid "out"
return job
]]):format(name, name, kind))
    end
    for _, name in ipairs { "where", "code", "sign" } do
      typed(name, "string")
      assert(os.execute(("cp %s/job.lua %s/other.lua"):format(folder, folder)))
      typed(name, "number")
      drive { "cp other.lua job.lua", "$W reload job job.lua >said 2>&1", "echo 1" }
      assert.truthy(read "said":find("~ operator in: options", 1, true), read "said")
    end
  end)

  it("that cannot be saved is not changed", function()
    write("better.lua", (good:gsub("v = 1", "v = 2")))
    write("job.lua", good)
    run_with { says('"i":1000,', "out"), "cp better.lua job.lua",
      "$W reload --yes --savepoint=no/such/it job job.lua; echo exit $?" }
    assert.truthy(read "said":find("no/such/it%-before.weir.-\nexit 2\n"), read "said")
    assert.falsy(read "said":find("in use", 1, true))
  end)

  it("keeps what comes in, behind a checkpoint", function()
    write("good.lua", good)
    write("better.lua", (good:gsub("v = 1", "v = 2")))
    write("job.lua", good)
    run_with { says('"i":1000,', "out"), "cp better.lua job.lua", "$W reload --yes job job.lua",
      says('"v":2', "out"), says("version 2 is kept", "log") }
    check_once()
  end)

  -- Reads files as they come, so that a test says when there is a record.
  local function watching(emits)
    return good:gsub("weir.generate %b{}", 'weir.files { path = "in/*.ndjson", format = weir.json(), watch = true, every = "10ms" }')
      :gsub("ctx:emit %b{}", function() return emits end)
  end
  local function put(name, i) return ("echo '{\"k\":1,\"i\":%d}' >in/.%s && mv in/.%s in/%s.ndjson"):format(i, name, name, name) end
  -- So many checkpoints are begun and hold from here on.
  local hold = "for n in 1 2 3; do $W checkpoint job >/dev/null; done"

  for _, way in ipairs { { "functions that are swapped", "" }, { "a graph that is built anew", "-p 2" } } do
    it("is on probation until its new code has met a record, whatever checkpoints hold: " .. way[1], function()
      write("job.lua", watching 'ctx:emit { k = rec.k, i = rec.i, n = n, v = 1 }')
      write("bad.lua", watching 'error "too bad"')
      sh "mkdir in"
      run_with { put("a", 0), says('"i":0,', "out"), "cp job.lua good.lua; cp bad.lua job.lua",
        "$W reload --yes --probation 1h " .. way[2] .. " job job.lua", hold, "cp log before",
        put("b", 1), says("is run again", "log"), says('"i":1,', "out") }
      check_once()
      assert.falsy(read "before":find("is kept", 1, true), read "before")
      assert.falsy(read "log":find("version 2 is kept", 1, true), read "log")
      assert.equal(2, select(2, read "out":gsub('"v":1', "")))
    end)

    it("goes back to where its new code came in, whatever held behind that: " .. way[1], function()
      write("job.lua", watching 'ctx:emit { k = rec.k, i = rec.i, n = n, v = 1 }')
      write("bad.lua", watching 'if rec.i == 2 then error "too bad" end ctx:emit { k = rec.k, i = rec.i, n = n, v = 2 }')
      sh "mkdir in"
      -- the other subtask never has a record, so that the probation goes on
      local way_of = way[2] == "" and "" or "-p 3"
      run_with({ put("a", 0), says('"i":0,', "out"), "cp bad.lua job.lua",
        "$W reload --yes --probation 1h " .. way_of .. " job job.lua", put("b", 1), hold, hold,
        put("c", 2), says("is run again", "log"), says('"i":2,', "out") }, "-p 2")
      check_once()
      assert.falsy(read "out":find('"v":2', 1, true), "what was on trial is dropped")
    end)

    it("ends its probation at the next reload, to which it goes back when that fails: " .. way[1], function()
      write("job.lua", watching 'ctx:emit { k = rec.k, i = rec.i, n = n, v = 1 }')
      write("2.lua", watching 'ctx:emit { k = rec.k, i = rec.i, n = n, v = 2 }')
      write("3.lua", watching 'error "too bad"')
      sh "mkdir in"
      run_with { put("a", 0), says('"i":0,', "out"),
        "cp 2.lua job.lua", "$W reload --yes --probation 1h " .. way[2] .. " job job.lua", hold, put("b", 1),
        "cp 3.lua job.lua", "$W reload --yes --probation 1h job job.lua",
        says("version 2 is kept", "log"), says('"i":1,', "out"),
        put("c", 2), says("version 3 failed, and version 2 is run again", "log"), says('"i":2,', "out") }
      check_once()
      assert.equal(1, select(2, read "out":gsub('"v":1', "")))
    end)
  end
end)

describe("a job that failed and waits to be run again", function()
  local COUNT = 3000

  -- Sums by key; `check` is what the function does to a record first.
  local function sums(check, rate)
    return ([[
local weir = require "weir"
local job = weir.job "job"
job:source(weir.generate { rate = %d, count = %d, fn = function(i) return { k = i %% 3, v = i } end })
  :map(function(rec)
    %s
    return rec
  end)
  :key_by "k":sum("v", { emit = "final" })
  :sink(weir.stdout { format = weir.json() })
return job
]]):format(rate or COUNT, COUNT, check)
  end

  local function begin(steps, options)
    return sh(("$W run -q --restart-delay 1h --checkpoint-every 20ms %s job.lua & job=$!; %s; %s; wait $job"):format(options,
      reachable, table.concat(steps, "; ")))
  end

  local function right(out)
    local expected = {}
    for k = 0, 2 do
      local sum = 0
      for i = k, COUNT - 1, 3 do sum = sum + i end
      expected[k + 1] = ('{"k":%d,"v":%d}\n'):format(k, sum)
    end
    assert.equal(table.concat(expected), shell.sorted(out))
  end

  local restarting = await "$W info --json job 2>/dev/null | grep -q restarting"

  for _, way in ipairs { { "from its last checkpoint", "--dir state" }, { "from the beginning", "--restart exponential" } } do
    it("is run again at once with a version that is brought in then, " .. way[1], function()
      write("job.lua", sums "if rec.v >= 1000 then error 'no' end")
      write("good.lua", sums "")
      local out, code, err = begin({ restarting, "$W reload --yes job good.lua >said" }, way[2])
      assert.equal(0, code, err)
      right(out)
      assert.truthy(read "said":find "version 2 is in use, [%d.]+ m?s after it was asked for", read "said")
    end)
  end

  it("goes back to the version before", function()
    local RATE = COUNT / 4 -- the reload is asked for before the end
    write("job.lua", sums("", RATE))
    write("bad.lua", sums("if rec.v >= 1500 then error 'no' end", RATE))
    local out, code, err = begin({ "$W reload --yes --probation 1ms job bad.lua >said", restarting, "$W rollback --yes job >said" },
      "--dir state")
    assert.equal(0, code, err)
    right(out)
    assert.truthy(read "said":find("version 1 is in use", 1, true), read "said")
  end)

  it("waits on where the version that is brought in has no place for its state", function()
    write("job.lua", sums "if rec.v >= 1000 then error 'no' end")
    write("other.lua", (sums "":gsub('emit = "final" }%)', '%0:uid "others"')))
    local _, code, err = begin({ restarting, "$W reload --yes job other.lua || $W cancel job" }, "--dir state")
    assert.equal(130, code, err)
    assert.truthy(err:find("state would be dropped", 1, true), err)
  end)
end)
