--- Exactly-once sinks by epoch log: killed at each step and run again, each record is in the target once.

local place = require "support.place"
local shell = require "support.shell"

local write, run = place.write, place.run

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function killed(options, args, point)
  place.dies(run, options .. " --fault " .. point .. "=kill", args)
end

local COUNT = 6000

local numbers = [[
local weir = require "weir"
local job = weir.job { name = "numbers", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = ]] .. COUNT .. [[, fn = function(i) return { k = i % 97, v = i } end })
  :key_by "k":map(function(rec) return ("%d"):format(rec.v) end)
  :sink(weir.file_sink { path = "out", format = weir.lines(), guarantee = "exactly_once" }):uid "out"
return job
]]

--- What is committed: the lines of all files, each cut where its note says. Checks that none stands there twice.
local function committed()
  local seen, count = {}, 0
  for name in shell.run(("cd %s && ls out out.? 2>/dev/null"):format(folder)):gmatch "%S+" do
    local note = shell.read(folder .. "/" .. name .. ".commit") or ""
    local text = shell.read(folder .. "/" .. name):sub(1, tonumber(note:match "length (%d+)") or 0)
    for line in text:gmatch "[^\n]+" do
      assert.is_nil(seen[line], ("%s stands there twice"):format(line))
      seen[line] = true
      count = count + 1
    end
  end
  return count, seen
end

local function all_once()
  local count, seen = committed()
  assert.equal(COUNT, count)
  for i = 0, COUNT - 1 do assert.truthy(seen[tostring(i)], i .. " is missing") end
end

describe("an exactly-once sink", function()
  it("C24: commits once at the end of its input when there are no checkpoints", function()
    write("job.lua", numbers)
    local _, code, err = run("-p 2", "")
    assert.equal(0, code, err)
    all_once()
    assert.truthy(shell.read(folder .. "/out.commit"):find "mark %x+ 1 out\n")
  end)

  it("shows nothing of a job without checkpoints that failed", function()
    write("job.lua", (numbers:gsub("return %(\"%%d\"%)", 'if rec.v == 5999 then error "no" end %0')))
    local _, code = run("", "")
    assert.equal(1, code)
    assert.equal(0, (committed()))
  end)

  it("is refused for input without end when there are no checkpoints", function()
    write("job.lua", (numbers:gsub("count = %d+, ", "")))
    local _, code, err = run("", "")
    assert.equal(2, code)
    assert.truthy(err:find('job.lua:5: sink "file_sink" commits at checkpoints, or at the end of its input, and source '
      .. '"generate" has no end: run the job with --dir', 1, true), err)
  end)

  it("C24: commits what is left behind the last checkpoint when the input has ended, and only then is finished", function()
    write("job.lua", numbers)
    local _, code, err = run("--dir state --checkpoint-every 1h -p 2", "")
    assert.equal(0, code, err)
    all_once()
    assert.equal("", (shell.run(("ls %s/state/logs"):format(folder)):gsub("%S+-[01]-0\n", "")))
  end)
end)

describe("an exactly-once sink beside one whose output nobody reads any more", function()
  it("has all rows up to a last checkpoint, from which the job goes on", function()
    write("job.lua", (numbers:gsub("job:source(%b())", "local all = job:source%1\nall:sink(weir.print())\nall")
      :gsub("count = %d+", "count = tonumber(job.args.count)")))
    local out = place.sh "{ $W run -q --dir state --checkpoint-every 1h job.lua rate=2000 2>err; echo $? >code; } | head -1"
    assert.equal('{"k":0,"v":0}\n', out)
    assert.equal("130\n", shell.read(folder .. "/code"), shell.read(folder .. "/err"))
    local before = committed()
    assert.truthy(before > 0)
    local _, code, err = run("--dir state", "count=" .. before + 1000)
    assert.equal(0, code, err)
    local count, seen = committed()
    assert.equal(before + 1000, count)
    for i = 0, count - 1 do assert.truthy(seen[tostring(i)], i .. " is missing") end
  end)
end)

describe("an exactly-once sink of CSV", function()
  local csv = numbers:gsub("weir.lines%(%)", 'weir.csv { columns = { "v", "k" }, header = true }'):gsub(":map%b()", "")

  it("has its header once a file, and each row once, when it is killed", function()
    write("job.lua", csv)
    killed("--dir state --checkpoint-every 10ms -p 2", "rate=3000", "commit.done:4")
    local _, code, err = run("--dir state --checkpoint-every 50ms -p 2", "")
    assert.equal(0, code, err)
    local seen, count = {}, 0
    for _, name in ipairs { "out", "out.1" } do
      local lines = shell.read(folder .. "/" .. name):gmatch "[^\n]+"
      assert.equal("v,k", lines())
      for line in lines do
        local v, k = line:match "^(%d+),(%d+)$"
        assert.equal(v % 97, tonumber(k), line)
        assert.is_nil(seen[v], line)
        seen[v], count = true, count + 1
      end
    end
    assert.equal(COUNT, count)
  end)

  it("leaves a record that has no column for a field to the policy for failed ones", function()
    write("job.lua", (csv:gsub('key_by "k"', '%0:map(function(rec) if rec.v %% 1000 == 999 then rec.w = 1 end return rec end)')))
    local _, code, err = run("", "")
    assert.equal(1, code)
    assert.truthy(err:find("the record has fields that are no columns", 1, true), err)
    _, code, err = run("--on-error skip", "")
    assert.equal(0, code, err)
    local _, lines = shell.read(folder .. "/out"):gsub("\n", "")
    assert.equal(1 + COUNT - COUNT / 1000, lines)
  end)

  it("needs its columns", function()
    write("job.lua", (csv:gsub("columns = %b{}, ", "")))
    local _, code, err = run("", "")
    assert.equal(2, code)
    assert.truthy(err:find('job.lua:5: weir.file_sink: guarantee = "exactly_once" needs the columns of CSV', 1, true), err)
  end)
end)

describe("weir graph", function()
  it("says what an exactly-once sink promises in the mode of checkpoints of flag or script", function()
    local function promised(options)
      local out, code, err = shell.run(("cd %s && %s graph %s job.lua"):format(folder, shell.weir, options))
      assert.equal(0, code, err)
      return out:match "guarantee: ([%a ]+)  uid out"
    end
    write("job.lua", numbers)
    assert.equal("exactly once", promised "")
    assert.equal("at least once", promised "--checkpoint-mode at_least_once")
    write("job.lua", (numbers:gsub('name = "numbers",', '%0 checkpoint = weir.checkpoint { mode = "at_least_once" },')))
    assert.equal("at least once", promised "")
    assert.equal("exactly once", promised "--checkpoint-mode exactly_once")
  end)
end)

describe("an exactly-once sink that is killed", function()
  local moves = { { 1, 1 }, { 1, 3 }, { 3, 2 } }
  local function goes_on(point, p, options)
    options = options or ""
    it(("at %s goes on with each record once, from parallelism %d to %d%s"):format(point, p[1], p[2], options), function()
      write("job.lua", numbers)
      killed(("--dir state --checkpoint-every 10ms -p %d%s"):format(p[1], options), "rate=3000", point)
      local _, code, err = run("--dir state --checkpoint-every 50ms -p " .. p[2], "")
      assert.equal(0, code, err)
      all_once()
    end)
  end

  -- the steps of the log and of a commit, the n-th time that they are reached
  for _, point in ipairs {
    "log.append:2", "log.cut:1", "log.sealed:2", "checkpoint.complete:1", "commit.begin:2", "commit.mark:4", "commit.done:1",
  } do
    for _, p in ipairs(moves) do goes_on(point, p) end
  end
  -- what was packed is read by a run that packs nothing
  for i, point in ipairs { "log.cut:1", "log.sealed:2", "commit.begin:2" } do
    goes_on(point, moves[i], " --checkpoint-pack-logs")
  end
  -- those of checkpoints and files around them
  for i, point in ipairs {
    "blob.sync:1", "blob.sync:3", "blob.sync_folder:4", "blob.write:3", "checkpoint.ack:2", "checkpoint.published:2",
    "file.write:3", "file.write:4", "file.fsync:2", "file.fsync:5", "blob.remove:3", "checkpoint.removed:2",
  } do
    goes_on(point, moves[i % 3 + 1])
  end
end)

describe("an exactly-once sink of what comes into a watched folder", function()
  it("has each line once when it is killed, also of files that came while it was away", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "numbers"
      local loops = tonumber(job.args.loops or 0)
      job:source(weir.files { path = "in/*", watch = true, every = "10ms" }):map(function(r)
        local x = 0
        for i = 1, loops do x = (x + i) % 7 end
        return x < 7 and r.line
      end):sink(weir.file_sink { path = "out", format = weir.lines(), guarantee = "exactly_once" }):uid "out"
      return job
    ]])
    place.sh "mkdir in"
    write("in/a", shell.lines(1, 3000, "%d"))
    write("in/b", shell.lines(3001, 6000, "%d"))
    killed("-p 2 --dir state --checkpoint-every 10ms", "loops=20000", "checkpoint.complete:3")
    assert.truthy((committed()) < 6000)
    write("in/c", shell.lines(6001, 7000, "%d"))
    local _, code, err = place.sh(("$W run -q -p 3 --dir state --checkpoint-every 20ms job.lua & job=$!; %s; $W stop numbers; wait $job")
      :format(shell.await("[ $(cat out out.? | wc -l) -ge 7000 ]", "$job")))
    assert.equal(0, code, err)
    local count, seen = committed()
    assert.equal(7000, count)
    for i = 1, count do assert.truthy(seen[tostring(i)], i .. " is missing") end
  end)
end)

describe("an exactly-once sink whose target lost what it had", function()
  --- A run that is killed behind its n-th commit, whose last checkpoint knows of one; then the files are gone.
  local function lost(n)
    write("job.lua", numbers)
    killed("--dir state --checkpoint-every 10ms", "rate=3000", "commit.done:" .. n)
    shell.run(("cd %s && rm out out.commit"):format(folder))
    return run "--dir state"
  end

  it("is not taken for a new one", function()
    local _, code, err
    for n = 4, 12, 4 do -- where commits lag behind, the last checkpoint knows of none yet
      _, code, err = lost(n)
      if code ~= 0 then break end
      shell.run(("cd %s && rm -rf state out*"):format(folder))
    end
    assert.equal(1, code, err)
    assert.truthy(err:find "rows up to epoch %d+ are committed, and the target's mark is 0: it lost rows or marks", err)
    assert.equal("", (shell.run(("cd %s && ls out* 2>/dev/null"):format(folder))))

    _, code, err = run "--dir state --allow-duplicates"
    assert.equal(0, code, err)
    local count, seen = committed()
    assert.truthy(count < COUNT and seen[tostring(COUNT - 1)])
  end)
end)

describe("an exactly-once sink whose job begins at an older checkpoint", function()
  --- A run that is killed behind its n-th commit; gives the numbers of the checkpoints that hold, in order.
  local function begin()
    write("job.lua", numbers)
    killed("--dir state --checkpoint-every 10ms", "rate=2000", "commit.done:3")
    local numbers_of = {}
    for n in shell.run(("cd %s/state && ls -d chk-*/manifest"):format(folder)):gmatch "chk%-(%d+)" do
      numbers_of[#numbers_of + 1] = tonumber(n)
    end
    table.sort(numbers_of)
    return numbers_of
  end

  local function damage(path)
    shell.run(("printf X | dd of=%s/%s bs=1 seek=60 conv=notrunc 2>/dev/null"):format(folder, path))
  end

  --- Lines of all files, and how many stand there more than once.
  local function counted()
    local seen, lines, twice = {}, 0, 0
    for line in shell.read(folder .. "/out"):gmatch "[^\n]+" do
      lines = lines + 1
      twice = twice + (seen[line] == 2 and 0 or seen[line] and 1 or 0)
      seen[line] = (seen[line] or 0) + 1
    end
    return lines, twice
  end

  --- The newest checkpoint is damaged, behind whose rows the target is: gives how many rows are committed.
  local function fallen_back()
    local held = begin()
    damage(("state/chk-%d/0-0.state"):format(held[#held]))
    local mark = tonumber(shell.read(folder .. "/out.commit"):match "mark %x+ (%d+) out")
    if mark <= held[#held - 1] then -- the kill came before the last commit: nothing would be doubled
      return nil
    end
    return (committed())
  end

  it("is refused when rows behind it are committed, with the two ways out", function()
    local rows = fallen_back()
    while not rows do shell.run(("rm -rf %s/state %s/out*"):format(folder, folder)) rows = fallen_back() end
    local before = shell.read(folder .. "/out.commit")
    local _, code, err = run "--dir state"
    assert.equal(1, code, err)
    assert.truthy(err:find("is restored, but rows up to epoch %d+ are committed already: they would come twice; "
      .. "%-%-skip%-committed drops as many rows as were committed since, %-%-allow%-duplicates commits them again"), err)
    assert.equal(before, shell.read(folder .. "/out.commit"))

    shell.run(("cd %s && mkdir kept && cp -r state out out.commit kept"):format(folder))
    _, code, err = run("--dir state --skip-committed", "")
    assert.equal(0, code, err)
    all_once()

    shell.run(("cd %s && rm -rf state out* && cp -r kept/* ."):format(folder))
    _, code, err = run("--dir state --allow-duplicates", "")
    assert.equal(0, code, err)
    local lines, twice = counted()
    assert.equal(COUNT + twice, lines)
    assert.truthy(twice > 0)
  end)

  it("takes no mark of the job that it was copied from for its own", function()
    local held = begin()
    shell.run(("cd %s && mkdir old && cp -r state/chk-%d state/logs state/id old"):format(folder, held[1]))
    local _, code, err = run("--dir state", "")
    assert.equal(0, code, err)
    all_once()
    -- begun on purpose at what lies behind: all that came since comes again, and nothing of it is dropped
    _, code, err = run("--dir again --resume=old --log-level warn", "")
    assert.equal(0, code, err)
    local lines, twice = counted()
    assert.equal(COUNT + twice, lines)
    assert.truthy(twice > 0)
  end)

  it("has in a savepoint what was not committed yet", function()
    write("job.lua", numbers)
    killed("--dir state --checkpoint-every 10ms -p 2", "rate=3000", "commit.begin:3")
    local _, code, err = shell.run(("cd %s && %s savepoint --dir state -o here.weir && rm -rf state"):format(folder, shell.weir))
    assert.equal(0, code, err)
    _, code, err = run("--dir elsewhere --from here.weir -p 3", "")
    assert.equal(0, code, err)
    all_once()
  end)

  it("notices each byte of a log that is another, and goes on from the checkpoint before", function()
    write("job.lua", numbers)
    killed("--dir state --checkpoint-every 10ms", "rate=3000", "commit.begin:3")
    local name, named -- the newest log that a checkpoint names
    for log in shell.run(("ls -t %s/state/logs"):format(folder)):gmatch "%S+" do
      local holds = shell.run(("cd %s/state && for f in chk-*/manifest; do grep -l %s ${f%%/*}/*.state; done"):format(folder, log))
      name, named = log, holds:match "chk%-(%d+)"
      if named then break end
    end
    assert.truthy(named)
    local size = #shell.read(folder .. "/state/logs/" .. name)
    shell.run(("cd %s && mkdir kept && cp out* kept"):format(folder))
    for _, at in ipairs { 3, 40, size / 2, size - 20 } do
      shell.run(("cd %s && rm -rf state2 && cp -r state state2 && printf '\\377' | dd of=state2/logs/%s bs=1 seek=%d conv=notrunc 2>/dev/null")
        :format(folder, name, at))
      local _, code, err = run("--dir state2 --log-level warn --restart none", "")
      local said = "checkpoint " .. named .. " is damaged, the one before is taken: chk-" .. named .. "/"
      assert.truthy(err:find(said, 1, true) and err:find(": logs/" .. name .. ": ", 1, true), err)
      if code == 0 then all_once() end
      shell.run(("cd %s && rm -rf out* && cp kept/* ."):format(folder))
    end
  end)
end)
