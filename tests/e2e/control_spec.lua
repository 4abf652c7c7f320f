--- A running job is listed, watched, saved, stopped and cancelled by others.

local place = require "support.place"
local shell = require "support.shell"

local write = place.write

local folder, running
before_each(function()
  folder, running = place.make(), {}
end)
after_each(function()
  for _, job in ipairs(running) do job:kill() end
  place.remove()
end)

--- A weir that sees only the jobs of this test.
local function weir(command)
  return place.sh("$W " .. command)
end

local function done(command)
  local out, code, err = weir(command)
  assert.equal(0, code, err)
  return out
end

local function refused(status, text, command)
  local out, code, err = weir(command)
  assert.equal(status, code, out .. err)
  assert.truthy(err:find(text, 1, true), err)
  assert.equal("", out)
end

local Job = {}
Job.__index = Job

--- Runs `weir run` beside the test; its standard output, then "exit N", are read line by line.
local function start(options, prefix)
  local job = setmetatable({}, Job)
  job.pipe = io.popen(("cd %s && { WEIR_RUNTIME_DIR=%s/run %s %s run %s 2>err & echo $!; wait $!; echo exit $?; } 2>/dev/null")
    :format(folder, folder, prefix or "", shell.weir, options))
  job.pid = assert(job.pipe:read "*l")
  running[#running + 1] = job
  return job
end

--- Blocks until the job has printed something, so it runs and its socket is there.
function Job:await_line()
  local line = self.pipe:read "*l"
  assert(line and not line:find "^exit %d", shell.read(folder .. "/err"))
  return line
end

--- Blocks until it has ended; gives what it printed meanwhile, and its exit code.
function Job:await_end()
  local rest = self.pipe:read "*a"
  self.pipe:close()
  self.pipe = nil
  return rest:match "^(.-)exit (%d+)\n$"
end

function Job:kill()
  if not self.pipe then return end
  os.execute("kill -9 " .. self.pid .. " 2>/dev/null")
  self:await_end()
end

local endless = [[
local weir = require "weir"
local job = weir.job { name = "endless", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate or 2000), fn = function(i) return { k = i % 7, v = i } end })
  :key_by "k":sum "v":uid "sums":sink(weir.print())
return job
]]

--- Sums by key and window of a second, from 40,000 records; each window is summed by its parts where it was drained.
local windows = [[
local weir = require "weir"
local job = weir.job { name = "windows", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = 40000, fn = function(i) return { k = i % 5, v = i, ts = i } end })
  :watermarks(weir.watermark.ascending { field = "ts" })
  :key_by "k":window(weir.window.tumbling "1s"):aggregate { n = weir.agg.count(), sum = weir.agg.sum "v" }:uid "windows"
  :sink(weir.print())
return job
]]

local function results(text)
  local sums, lines = {}, 0
  for k, n, sum, window in text:gmatch '"k":(%d+),"n":(%d+),"sum":(%d+).-"window_start":(%d+)' do
    local key = k .. "@" .. window
    local s = sums[key] or { n = 0, sum = 0, times = 0 }
    sums[key] = { n = s.n + n, sum = s.sum + sum, times = s.times + 1 }
    lines = lines + 1
  end
  return sums, lines
end

local function all_windows()
  local out = done "run -q job.lua"
  local sums, lines = results(out)
  assert.equal(200, lines)
  return sums
end

describe("weir list", function()
  it("shows nothing when nothing runs, also without a folder", function()
    assert.equal("", done "list")
    assert.equal("[]\n", done "list --json")
  end)

  it("shows the jobs that run, and not one that was killed", function()
    write("job.lua", endless)
    local a, b = start "-q job.lua", start "-q --dir state job.lua"
    a:await_line()
    b:await_line()
    local out = done "list"
    assert.truthy(out:find("endless%-" .. a.pid .. " +running .- " .. folder:gsub("%p", "%%%0") .. "/job.lua\n"), out)
    assert.truthy(out:find("endless-" .. b.pid, 1, true), out)
    b:kill()
    local json = done "list --json"
    assert.truthy(json:find('"pid":' .. a.pid, 1, true), json)
    assert.falsy(json:find('"pid":' .. b.pid, 1, true), json)
    assert.equal("endless-" .. a.pid .. ".sock\n", (shell.run("ls " .. folder .. "/run")))
  end)

  it("says how it is used", function()
    refused(2, "weir list takes no operands", "list x")
    assert.truthy(done("stop --help"):find("--savepoint[=FILE]", 1, true))
  end)
end)

describe("a job is meant by", function()
  it("name, id, process or beginning, and an ambiguous or unknown one is an error with the list", function()
    write("job.lua", endless)
    refused(2, "no job 'endless' is running", "info endless")
    local a = start "-q job.lua"
    a:await_line()
    local id = "endless-" .. a.pid
    for _, what in ipairs { "endless", id, a.pid, "end" } do
      assert.truthy(done("info --json " .. what):find('"id":"' .. id .. '"', 1, true))
    end
    refused(2, "no job 'x' is running; these are: " .. id, "info x")
    refused(2, "which job? weir stop JOB", "stop")
    refused(2, "one job at a time?", "cancel a b")
    local b = start "-q job.lua"
    b:await_line()
    local ids = { id, "endless-" .. b.pid }
    table.sort(ids)
    refused(2, "'endless' may mean several jobs: " .. table.concat(ids, ", "), "info endless")
    done("info " .. b.pid)
  end)
end)

describe("what is no name of a job", function()
  it("is one error that says so: a path, and nothing at all, which would be what each id begins with", function()
    write("job.lua", endless)
    start("-q --dir state job.lua"):await_line()
    for _, verb in ipairs { "savepoint", "stop", "cancel", "info", "checkpoint" } do
      for _, path in ipairs { "../state", "./endless", "/tmp" } do
        refused(2, ("'%s' is a path; a job is meant by its id, its process or its name"):format(path), verb .. " " .. path)
      end
      refused(2, "the name of the job is empty", verb .. " ''")
    end
    refused(2, "'state' is running; these are: endless-", "savepoint state")
    done "cancel endless"
  end)
end)

describe("weir info and weir top", function()
  it("tell of each operator, with its counters and rates", function()
    write("job.lua", endless)
    local job = start "-q -p 2 --dir state --checkpoint-every 1h job.lua"
    job:await_line()
    local text = done "info endless"
    assert.truthy(text:find('job "endless", process ' .. job.pid .. ", running for", 1, true), text)
    assert.truthy(text:find("checkpoint  none\n", 1, true), text)
    assert.truthy(text:find "\nsum +2 +%d+ +%d+ +0 +0\n", text)
    done "checkpoint endless"
    assert.truthy(done("info endless"):find "checkpoint  1, [%d.]+ m?s ago, [%d.]+ k?B in ")
    local top = done "top --once --interval 100ms endless"
    assert.truthy(top:find "^endless%-%d+ running for .-, checkpoint 1, ", top)
    assert.truthy(top:find "\nOPERATOR +SUBTASKS +IN/s +OUT/s +BUSY +BACK%-PRESSURE +QUEUED +LAG\n", top)
    local rate, unit = top:match "\ngenerate +2 +0 +([%d.]+)( ?k?)"
    assert.truthy(tonumber(rate) * (unit == " k" and 1000 or 1) > 100, top)
    assert.falsy(top:find("\027", 1, true))
  end)

  it("top ends when its job does", function()
    write("job.lua", endless)
    local job = start "-q job.lua"
    job:await_line()
    local top = io.popen(("WEIR_RUNTIME_DIR=%s/run %s top --interval 50ms endless 2>&1; echo exit $?"):format(folder, shell.weir))
    assert(top:read "*l")
    done "cancel endless"
    assert.truthy(top:read("*a"):find "the job has ended\nexit 1\n$")
    top:close()
  end)

  it("top ends when nobody reads it any more", function()
    write("job.lua", endless)
    local job = start "-q job.lua"
    job:await_line()
    place.sh "{ timeout 20 $W top --interval 50ms endless; echo $? >code; } | head -1; while ! test -s code; do sleep 0.02; done"
    assert.equal("0\n", place.read "code")
    done "cancel endless"
  end)
end)

describe("weir checkpoint", function()
  it("waits for one, and says its number and size", function()
    write("job.lua", endless)
    start("-q --dir state --checkpoint-every 1h job.lua"):await_line()
    assert.truthy(done("checkpoint endless"):find "^endless%-%d+: checkpoint 1 holds, [%d.]+ k?B in [%d.]+ m?s\n$")
    assert.truthy(done("checkpoint --json endless"):find '^{"checkpoint":2,"bytes":%d+,"in_flight_bytes":0,"unaligned":false,"seconds":[%d.]+}\n$')
    assert.equal(0, (select(2, shell.run(("test -e %s/state/chk-2/manifest"):format(folder)))))
  end)

  it("of a job that takes none, or cannot take one, is an error, and the job goes on", function()
    write("job.lua", endless)
    local job = start "-q job.lua"
    job:await_line()
    refused(1, "the job takes no checkpoints: it was started without --dir", "checkpoint endless")
    refused(2, "takes no checkpoints: it was started without --dir", "savepoint endless")
    job:await_line()
    done "cancel endless"
    job = start "-q --dir state --checkpoint-every 1h --checkpoint-failures 5 --fault blob.sync:2=28 job.lua"
    job:await_line()
    refused(1, "the checkpoint was not taken: a task could not take its snapshot: ", "checkpoint endless")
    job:await_line()
    assert.truthy(done("checkpoint endless"):find("checkpoint 2 holds", 1, true))
  end)

  it("is asked for by fifty at once", function()
    write("job.lua", endless)
    start("-q --dir state --checkpoint-every 1h job.lua"):await_line()
    local out = shell.run(([[cd %s && for i in $(seq 50); do WEIR_RUNTIME_DIR=%s/run %s checkpoint endless & done; wait]])
      :format(folder, folder, shell.weir))
    assert.equal(50, (select(2, out:gsub("endless%-%d+: checkpoint %d+ holds", ""))), out)
  end)
end)

describe("weir stop", function()
  for _, p in ipairs { { 1, 1 }, { 2, 2 }, { 2, 3 } } do
    it(("C27: ends nothing early: with what comes behind it all windows are whole, from parallelism %d to %d"):format(p[1], p[2]), function()
      write("job.lua", windows:gsub("tonumber%(job.args.rate%)", "tonumber(job.args.rate or 1e7)"))
      local expected = all_windows()
      local job = start(("-q -p %d --dir state --checkpoint-every 1h job.lua rate=10000"):format(p[1]))
      local first = job:await_line() .. "\n"
      assert.truthy(done("stop windows"):find "^windows%-%d+: stopped, checkpoint 1 holds, ")
      local rest, code = job:await_end()
      assert.equal("0", code)
      local out = first .. rest .. done(("run -q -p %d --dir state job.lua"):format(p[2]))
      assert.same(expected, (results(out)))
      assert.equal("", done "list")
    end)
  end

  it("C27: with --drain windows fire, and the job that goes on does not give them again", function()
    write("job.lua", windows:gsub("tonumber%(job.args.rate%)", "tonumber(job.args.rate or 1e7)"))
    local expected = all_windows()
    local job = start "-q -p 2 --dir state --checkpoint-every 1h job.lua rate=10000"
    local first = job:await_line() .. "\n"
    done "stop --drain windows"
    local rest, code = job:await_end()
    assert.equal("0", code)
    local out = first .. rest
    local drained = results(out)
    local sums, lines = results(out .. done "run -q -p 2 --dir state job.lua")
    local again = 0
    for key, sum in pairs(sums) do
      assert.equal(expected[key].n, sum.n, key)
      assert.equal(expected[key].sum, sum.sum, key)
      again = again + (sum.times - 1)
      assert.truthy(sum.times == 1 or drained[key], key)
    end
    assert.truthy(again > 0 and again <= 2 * 5, again) -- the windows that were open: one a key, or two
    assert.equal(200 + again, lines)
  end)

  for _, order in ipairs { "ordered", "unordered" } do
    it(("C27: what waits for an answer is asked again, and given once: %s"):format(order), function()
      write("job.lua", ([[
        local weir = require "weir"
        local job = weir.job { name = "asks", max_parallelism = 128 }
        job:source(weir.generate { rate = tonumber(job.args.rate or 1e7), count = 6000, fn = function(i) return { v = i } end })
          :rebalance():async { capacity = 50, order = "%s", fn = function(rec)
            weir.async.sleep((1 + rec.v %% 10) .. "ms")
            return rec
          end }:sink(weir.print())
        return job
      ]]):format(order))
      local expected = shell.sorted(done "run -q job.lua")
      local job = start "-q -p 2 --dir state --checkpoint-every 1h job.lua rate=5000"
      local first = job:await_line() .. "\n"
      done "stop asks"
      assert.equal(expected, shell.sorted(first .. job:await_end() .. done "run -q --dir state job.lua"))
    end)
  end

  it("with --savepoint makes a file from which the job goes on elsewhere", function()
    write("job.lua", windows:gsub("tonumber%(job.args.rate%)", "tonumber(job.args.rate or 1e7)"))
    local expected = all_windows()
    local job = start "-q --dir state --checkpoint-every 1h job.lua rate=10000"
    local first = job:await_line() .. "\n"
    assert.truthy(done("stop --savepoint=x.weir windows"):find "\nx.weir: savepoint, [%d.]+ kB\n$")
    local out = first .. job:await_end() .. done "run -q --from x.weir -p 3 job.lua"
    assert.same(expected, (results(out)))
  end)

  it("C27: with --drain and --savepoint leaves an endless job that goes on from its folder and from the file", function()
    write("job.lua", endless)
    local sums, last = {}, 0
    local function take(text)
      for k, v in text:gmatch '"k":(%d),"v":(%d+)' do
        sums[tonumber(k)] = tonumber(v)
        last = last + 1
      end
    end
    local job = start "-q --dir state --checkpoint-every 1h job.lua"
    take(job:await_line())
    assert.truthy(done("stop --drain --savepoint=x.weir endless"):find "\nx.weir: savepoint, [%d.]+ k?B\n$")
    local rest, code = job:await_end()
    assert.equal("0", code)
    take(rest)
    for _, from in ipairs { "--dir state", "--from x.weir --dir other" } do
      local again = start(("-q %s job.lua"):format(from))
      local k = last % 7
      assert.equal(('{"k":%d,"v":%d}'):format(k, (sums[k] or 0) + last), again:await_line())
      done "stop endless"
      assert.equal("0", select(2, again:await_end()))
    end
  end)

  it("C29: is one at a time", function()
    write("job.lua", (endless:gsub(':key_by "k"', ':map(function(rec) repeat until io.open "go" return rec end)%0', 1)))
    local said, code, err = place.sh(([[
      $W run -q --unsafe --dir state --checkpoint-every 1h job.lua >out 2>err & job=$!
      %s; $W stop endless >one 2>&1 & first=$!; $W stop endless >two 2>&1 & second=$!
      %s; touch go; wait $first; wait $second; cat one two; wait $job]]):format(
      shell.await("$W info endless >info 2>&1", "$job"), shell.await("grep -q 'being stopped already' one two", "$job")))
    assert.equal(0, code, err)
    assert.equal(1, select(2, said:gsub("stopped, checkpoint 1 holds", "")), said)
    assert.equal(1, select(2, said:gsub("the job is being stopped already", "")), said)
  end)

  it("with --savepoint where no file can be is refused, and the job goes on", function()
    write("job.lua", endless)
    local job = start "-q --dir state --checkpoint-every 1h job.lua"
    job:await_line()
    for name, why in pairs {
      ["no/x.weir"] = "cannot write no/x.weir.part: No such file or directory", ["state"] = "state is no file that",
      ["state/"] = "'state/' names no file", [".."] = "'..' names no file",
    } do
      refused(2, why, "stop --savepoint=" .. name .. " endless")
      refused(2, why, "savepoint endless -o " .. name)
    end
    for _ = 1, 100 do job:await_line() end
    assert.truthy(done("checkpoint endless"):find("checkpoint 1 holds", 1, true)) -- none was taken for nothing
  end)

  it("without checkpoints needs --drain, which ends the input", function()
    write("job.lua", windows)
    local job = start "-q job.lua rate=10000"
    local first = job:await_line() .. "\n"
    refused(1, "the job takes no checkpoints, so what it holds would be lost: stop it with --drain, or cancel it", "stop windows")
    assert.truthy(done("stop --drain windows"):find "^windows%-%d+: stopped\n$")
    local rest, code = job:await_end()
    assert.equal("0", code)
    local n = 0
    for _, sum in pairs((results(first .. rest))) do n = n + sum.n end
    assert.truthy(n > 1000 and n < 40000, n)
  end)

  it("is refused where the last checkpoint cannot be taken, and the job goes on", function()
    write("job.lua", endless)
    local job = start "-q --dir state --checkpoint-every 1h --checkpoint-failures 5 --fault blob.sync:2=28 job.lua"
    job:await_line()
    refused(1, "the job was not stopped: its last checkpoint was not taken: a task could not take its snapshot", "stop endless")
    for _ = 1, 100 do job:await_line() end
    done "stop endless"
    assert.equal("0", select(2, job:await_end()))
  end)

  it("by a signal does the same", function()
    write("job.lua", windows:gsub("tonumber%(job.args.rate%)", "tonumber(job.args.rate or 1e7)"))
    local expected = all_windows()
    local job = start "-q --dir state --checkpoint-every 1h job.lua rate=10000"
    local first = job:await_line() .. "\n"
    os.execute("kill -TERM " .. job.pid)
    local rest, code = job:await_end()
    assert.equal("130", code)
    assert.same(expected, (results(first .. rest .. done "run -q --dir state job.lua")))
  end)
end)

describe("weir savepoint JOB", function()
  it("makes a file of a checkpoint that is taken now, and the job goes on", function()
    write("job.lua", endless)
    local job = start "-q --dir state --checkpoint-every 1h job.lua"
    job:await_line()
    assert.truthy(done("savepoint endless -o now.weir"):find "^now.weir: checkpoint 1 of endless%-%d+, ")
    assert.truthy(done("savepoint --json endless"):find '^{"bytes":%d+,"checkpoint":2,"file":"endless%-2.weir"}\n$')
    job:await_line()
    assert.truthy(done("savepoint ls now.weir"):find("sums", 1, true))
  end)
end)

describe("weir cancel", function()
  it("ends a job at once", function()
    write("job.lua", endless)
    local job = start "-q --dir state --checkpoint-every 1h job.lua"
    job:await_line()
    assert.truthy(done("cancel --json endless"):find '"status":"cancelled"')
    assert.equal("130", select(2, job:await_end()))
    assert.equal(1, (select(2, shell.run(("test -e %s/state/chk-1/manifest"):format(folder)))))
  end)

  it("ends a job whose function does not return", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "spins" }
      job:source(weir.generate { rate = 1000, fn = function(i) return { v = i } end })
        :map(function(r) while r.v > 20 do end return r end):sink(weir.print())
      return job
    ]])
    local job = start "-q --buffer-timeout 0 job.lua"
    job:await_line()
    assert.truthy(done("cancel spins"):find "^spins%-%d+: cancelled\n$")
    assert.equal("130", select(2, job:await_end()))
    assert.equal("", done "list")
  end)
end)

describe("a job that failed and waits to be run again", function()
  it("answers, and is stopped", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "fails" }
      job:source(weir.generate { rate = 1000, fn = function(i) return { v = i } end })
        :map(function(r) if r.v > 100 then error "enough" end return r end):sink(weir.print())
      return job
    ]])
    local job = start "-q --dir state --restart-delay 1h --checkpoint-every 1h job.lua"
    job:await_line()
    local status
    repeat status = done("info --json fails"):match '"status":"(%a+)"' until status == "restarting"
    refused(1, "the job has failed and is about to be run again", "checkpoint fails")
    done "stop fails"
    assert.equal("0", select(2, job:await_end()))
  end)
end)

describe("a job that cannot be reached", function()
  it("runs all the same, with a warning", function()
    write("job.lua", 'local weir = require "weir"\nlocal job = weir.job "one"\n'
      .. 'job:source(weir.from { 1, 2 }):sink(weir.print())\nreturn job\n')
    write("run", "a file")
    local out, code, err = weir "run -q job.lua"
    assert.equal(0, code)
    assert.equal("1\n2\n", out)
    assert.truthy(err:find("this job cannot be reached while it runs: .-/run is no folder"), err)
    local _, _, quiet = weir "run -q --control=no job.lua"
    assert.equal("", quiet)
    refused(2, "is no folder", "list")
  end)
end)

describe("weir.job { checkpoint = … }", function()
  --- How many are kept; one more may be about to be removed when the job is stopped.
  local function checkpoints(path)
    return select(2, shell.run(("ls %s/%s"):format(folder, path))) == 0
      and select(2, shell.run(("ls -d %s/%s/chk-*"):format(folder, path)):gsub("chk%-", "")) or nil
  end

  it("says how checkpoints are taken, where no flag, variable or weir.toml does", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "said", checkpoint = weir.checkpoint { dir = "here", every = "10ms", retain = 6 } }
      job:source(weir.generate { rate = 50, fn = function(i) return { v = i } end }):sink(weir.print())
      return job
    ]])
    for _, case in ipairs {
      { "", "here", 6 }, { "--checkpoint-retain 1", "here", 1 }, { "--dir there --checkpoint-retain=3", "there", 3 },
    } do
      shell.run(("rm -rf %s/here %s/there"):format(folder, folder))
      local job = start("-q " .. case[1] .. " job.lua")
      job:await_line()
      for _ = 1, 8 do done "checkpoint said" end
      done "stop said"
      job:await_end()
      local kept = checkpoints(case[2])
      assert.truthy(kept == case[3] or kept == case[3] + 1, case[1] .. kept)
      assert.is_nil(checkpoints(case[2] == "here" and "there" or "here"))
    end
    write("weir.toml", "checkpoint_retain = 3\n")
    shell.run(("rm -rf %s/here"):format(folder))
    local job = start "-q job.lua"
    job:await_line()
    for _ = 1, 8 do done "checkpoint said" end
    done "stop said"
    job:await_end()
    local kept = checkpoints "here"
    assert.truthy(kept == 3 or kept == 4, kept)
  end)
end)

describe("a job that has failed while one of its subtasks does not return from the script", function()
  local function await(text)
    local _, code, err = place.sh(shell.await(("grep -q '%s' err"):format(text), "$$"))
    assert.equal(0, code, err)
  end

  local function stuck(options, element)
    write("job.lua", ([[
      local weir = require "weir"
      local job = weir.job "stuck"
      job:source(weir.generate { rate = 1000, fn = function(i) return { i = i } end })
        :key_by "i":process(weir.process_function { element = function(ctx, r)
          %s
          ctx:emit(r)
        end }):sink(weir.print())
      return job
    ]]):format(element))
    local job = start("-q --workers 3 " .. options .. " job.lua >/dev/null")
    await "does not return from a function of the script"
    return job
  end

  local spins = "if r.i == 1 then while true do end end"
  local ways = {
    ["a record"] = { "-p 2", spins .. " if r.i > 200 then error 'boom' end", "boom" },
    ["a checkpoint"] = { "--dir state --checkpoint-every 50ms --checkpoint-timeout 200ms", spins, "longer than its timeout" },
  }
  for what, way in pairs(ways) do
    it("says so, answers, and is cancelled: failed by " .. what, function()
      local job = stuck(way[1], way[2])
      assert.truthy(shell.read(folder .. "/err"):find("stuck has failed: [^\n]*" .. way[3]))
      assert.truthy(done("info stuck"):find "job.lua")
      refused(1, "does not return", "reload --yes stuck job.lua")
      if way[1]:find "dir" then refused(1, "does not return", "stop stuck") end
      done "cancel stuck"
      local _, code = job:await_end()
      assert.equal("130", code)
    end)

    it("is ended by the first signal: failed by " .. what, function()
      local job = stuck(way[1], way[2])
      assert.equal(0, os.execute("kill -TERM " .. job.pid))
      local _, code = job:await_end()
      assert.equal("130", code)
    end)
  end
end)
