--- A job that is killed goes on where its last checkpoint left it, at any parallelism.

local place = require "support.place"
local shell = require "support.shell"

local write, run, killed, sorted = place.write, place.run, place.killed, place.sorted

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

--- The arguments that make the job slow enough for that, of those that it knows.
local function slowly()
  local text = shell.read(folder .. "/job.lua")
  return (text:find("args.rate", 1, true) and "rate=20000 " or "")
    .. (text:find("args.loops", 1, true) and "loops=3000" or "")
end

--- Runs until the checkpoint with this number holds.
local function run_and_kill(options, number)
  killed("--dir state " .. options, slowly(), "checkpoint.complete", number)
end

local sum = [[
local weir = require "weir"
local job = weir.job { name = "sum", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = 60000, fn = function(i) return { k = "key " .. i % 997, v = i } end })
  :key_by "k":sum("v", { emit = "final" })
  :sink(weir.print())
return job
]]

describe("a job with --dir that is killed", function()
  for _, p in ipairs { { 1, 1 }, { 1, 3 }, { 3, 2 }, { 2, 2 } } do
    it(("goes on with the sums that it had, from parallelism %d to %d"):format(p[1], p[2]), function()
      write("job.lua", sum)
      local expected, code, err = run ""
      assert.equal(0, code, err)
      run_and_kill("--checkpoint-every 20ms -p " .. p[1], 4)
      local out, code2, err2 = run("--dir state --checkpoint-every 50ms -p " .. p[2])
      assert.equal(0, code2, err2)
      assert.equal(sorted(expected), sorted(out))
    end)
  end

  for _, p in ipairs { { 1, 1 }, { 1, 2 }, { 2, 1 } } do
    it(("J11: asks again for what was under way, from parallelism %d to %d"):format(p[1], p[2]), function()
      write("job.lua", [[
        local weir = require "weir"
        local job = weir.job { name = "asks", max_parallelism = 128 }
        local rate = job.args.rate and 1000 -- only of the run that is killed
        job:source(weir.generate { rate = rate, count = 3000, fn = function(i) return { k = i % 3, v = i, s = "x" } end })
          :rebalance():async { capacity = 1000, order = "unordered", fn = function(rec)
            weir.async.sleep((20 + rec.v % 30) .. "ms")
            return rec
          end }
          :key_by "k":sum("v", { emit = "final" }):sink(weir.print())
        return job
      ]])
      local expected, code, err = run ""
      assert.equal(0, code, err)
      run_and_kill("--checkpoint-every 20ms -p " .. p[1], 3)
      local out, code2, err2 = run("--dir state --checkpoint-every 50ms -p " .. p[2])
      assert.equal(0, code2, err2)
      assert.equal(sorted(expected), sorted(out))
    end)
  end

  it("takes its checkpoints behind the table of a lookup join, and goes on with it", function()
    write("job.lua", [[
      local weir, joins = require "weir", require "weir.joins"
      local job = weir.job { name = "lookup", max_parallelism = 128 }
      local users = job:source(weir.generate { rate = 20000, count = 4000, fn = function(i) return { id = i, w = i % 5 } end })
      job:source(weir.generate { rate = tonumber(job.args.rate), count = 60000, fn = function(i) return { k = i % 3, user = i % 4000 } end })
        :connect(users:broadcast()):process(joins.lookup { by = "user", key = "id", missing = "fail",
          join = function(l, r) return { k = l.k, w = r.w } end }):uid "lookup"
        :key_by "k":sum("w", { emit = "final" }):sink(weir.print())
      return job
    ]])
    local expected, code, err = run ""
    assert.equal(0, code, err)
    run_and_kill("--checkpoint-every 20ms", 12) -- some of those before were put off
    local out, code2, err2 = run("--dir state --checkpoint-every 20ms")
    assert.equal(0, code2, err2)
    assert.equal(sorted(expected), sorted(out))
  end)

  it("and had finished is not run again", function()
    write("job.lua", 'local weir = require "weir"\nlocal job = weir.job "one"\n'
      .. 'job:source(weir.from { 1, 2 }):sink(weir.print())\nreturn job\n')
    assert.equal("1\n2\n", (run "--dir state"))
    assert.equal("", (run "--dir state"))
    assert.equal("1\n2\n", (run "--dir state --resume=never"))
  end)

  it("and had finished is refused where its input has no end now", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "counts"
      job:source(weir.generate { count = tonumber(job.args.count), fn = function(i) return i end }):sink(weir.print())
      return job
    ]])
    assert.equal("0\n1\n", (run("--dir state", "count=2")))
    assert.equal("", (run("--dir state", "count=2")))
    place.done "savepoint --dir state -o x.weir"
    for from, advice in pairs {
      ["--dir state"] = "--resume=never begins anew, as does another folder than state",
      ["--from x.weir"] = "it begins anew without --from x.weir",
      ["--dir new --resume=state"] = "it begins anew without --resume state",
    } do
      local out, code, err = run(from)
      assert.equal(2, code)
      assert.equal("", out)
      assert.truthy(err:find('the job "counts" has finished, and has nothing to go on from now that its input has no end: ' .. advice, 1, true), err)
    end
    assert.equal("0\n1\n2\n", (run("--dir state --resume=never", "count=3")))
  end)

  it("goes on from the checkpoint before when a byte of the last one is another", function()
    write("job.lua", sum)
    local expected = run ""
    run_and_kill("--checkpoint-every 50ms", 4)
    shell.run(([[cd %s/state && last=$(ls -d chk-*/manifest | sort -t- -k2 -n | tail -1) && dir=${last%%/manifest} &&
      printf X | dd of=$dir/1-0.state bs=1 seek=300 conv=notrunc 2>/dev/null]]):format(folder))
    local out, code, err = run "--dir state --checkpoint-every 1h --log-level warn"
    assert.equal(0, code, err)
    assert.truthy(err:find("is damaged, the one before is taken", 1, true), err)
    assert.equal(sorted(expected), sorted(out))
  end)
end)

describe("a checkpoint", function()
  it("that takes longer than --checkpoint-timeout is given up, which fails the job unless it may fail", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "slow"
      job:source(weir.generate { count = 20, fn = function(i) return { v = i } end })
        :map(function(rec)
          local x = 0
          for i = 1, 1e7 do x = (x + i) % 7 end
          return { v = rec.v, x = x < 0 }
        end):sink(weir.print())
      return job
    ]])
    local late = "--log-level warn --checkpoint-every 20ms --checkpoint-timeout 1ms "
    local _, code, err = run(late .. "--dir state --restart none")
    assert.equal(1, code, err)
    assert.truthy(err:find("it took longer than its timeout: generate → generate_fn → map → print [1] had no part of it yet",
      1, true), err)
    local out, code2, err2 = run(late .. "--dir more --checkpoint-failures 1000000")
    assert.equal(0, code2, err2)
    assert.equal(20, select(2, out:gsub("\n", "")))
  end)

  it("C13, C18: is not begun before --checkpoint-min-pause is over", function()
    write("job.lua", sum)
    for pause, some in pairs { ["0"] = true, ["1h"] = false } do
      local _, code, err = run(("--dir %s --log-level debug --checkpoint-every 1ms --checkpoint-min-pause %s"):format(pause, pause),
        "rate=60000")
      assert.equal(0, code, err)
      assert.equal(some, err:find " holds: " ~= nil, err)
    end
  end)
end)

describe("a job with --checkpoint-mode none", function()
  it("takes no checkpoint and goes on from none, whatever its script and its folder have", function()
    write("job.lua", (sum:gsub('max_parallelism = 128', '%0, checkpoint = weir.checkpoint { dir = "state", every = "20ms" }')))
    local expected, code, err = run("--checkpoint-mode none")
    assert.equal(0, code, err)
    assert.truthy(err:find("none are taken (mode none), and state stays as it is: the job begins anew", 1, true), err)
    assert.equal("", place.sh "ls -d state 2>/dev/null")
    killed("", slowly(), "checkpoint.complete", 4)
    local before = place.sh "find state -type f | sort | xargs cksum"
    local out, code2, err2 = run("--checkpoint-mode none")
    assert.equal(0, code2, err2)
    assert.same(sorted(expected), sorted(out))
    assert.equal(before, (place.sh "find state -type f | sort | xargs cksum"))
  end)

  it("may be said by the script, and a flag says otherwise", function()
    write("job.lua", (sum:gsub('max_parallelism = 128', '%0, checkpoint = weir.checkpoint { dir = "state", mode = "none" }')))
    local _, code, err = run ""
    assert.equal(0, code, err)
    assert.equal("", place.sh "ls -d state 2>/dev/null")
    local _, code2, err2 = run "--checkpoint-mode exactly_once"
    assert.equal(0, code2, err2)
    assert.equal("state\n", place.sh "ls -d state 2>/dev/null")
  end)

  it("is not what a reload brings: the job keeps the mode that it began with", function()
    local function version(mode)
      write("job.lua", ([[
        local weir = require "weir"
        local job = weir.job { name = "keeps", checkpoint = weir.checkpoint { every = "20ms"%s } }
        job:source(weir.generate { rate = 1000 }):sink(weir.file_sink {
          path = "out", format = weir.json(), guarantee = "exactly_once" }):uid "out"
        return job]]):format(mode))
    end
    version ""
    place.sh("$W run -q --dir state job.lua 2>err & echo $! >pid; " .. shell.await("[ -s out.commit ]", "$(cat pid)"))
    version ', mode = "none"'
    local said, code = place.sh "$W reload --yes keeps job.lua 2>&1"
    local stopped, left = place.sh("$W stop keeps 2>&1; " .. shell.await("! kill -0 $(cat pid) 2>/dev/null", "$(cat pid)"))
    assert.equal(0, code, said)
    assert.equal(0, left)
    assert.truthy(stopped:find("stopped, checkpoint %d+ holds"), stopped)
  end)

  it("is refused a checkpoint to go on from, and sinks that need some", function()
    write("job.lua", sum)
    local _, code, err
    for _, dir in ipairs { "", "--dir state " } do
      _, code, err = run("--checkpoint-mode none --resume state/chk-1 " .. dir)
      assert.equal(2, code)
      assert.truthy(err:find("which --checkpoint-mode=none never does", 1, true), err)
    end
    write("job.lua", 'local weir = require "weir"\nlocal job = weir.job "echo"\n'
      .. 'job:source(weir.generate { rate = 1 })\n'
      .. '  :sink(weir.file_sink { path = "out", format = weir.json(), guarantee = "exactly_once" })\nreturn job\n')
    _, code, err = run("--checkpoint-mode none --dir state")
    assert.equal(2, code)
    assert.truthy(err:find('has no end: its checkpoint mode is "none": say another, and run the job with --dir DIR', 1, true), err)
  end)
end)

describe("a job that is killed at any step of a checkpoint", function()
  for _, point in ipairs(place.CHECKPOINT_STEPS) do
    it(("C26: goes on from the last one that holds: %s"):format(point), function()
      write("job.lua", sum)
      local expected = run ""
      for _, n in ipairs { 1, 3 } do
        shell.run(("rm -rf %s/state"):format(folder))
        killed("-p 2 --dir state --checkpoint-every 20ms", slowly(), point, n)
        local out, code, err = run "-p 2 --dir state --checkpoint-every 50ms"
        assert.equal(0, code, err)
        assert.equal(sorted(expected), sorted(out))
      end
    end)
  end
end)

describe("a source that is killed in the middle of its input", function()
  --- Counts by word, slowly enough to be killed on the way.
  local function words(source)
    return ([[
local weir = require "weir"
local job = weir.job { name = "words", max_parallelism = 128 }
local loops = tonumber(job.args.loops or 0)
job:source(%s)
  :map(function(rec)
    local x = 0
    for i = 1, loops do x = (x + i) %% 7 end
    return { word = rec.word or rec.line, x = x }
  end)
  :key_by "word":count { emit = "final" }
  :sink(weir.print())
return job
]]):format(source)
  end

  local function lines(n, header)
    local out = { header }
    for i = 1, n do out[#out + 1] = ("w%d,%d"):format(i % 1000, i) end
    return table.concat(out, "\n") .. "\n"
  end

  local cases = {
    { "lines of files, cut into splits", "lines", 'weir.files { path = "in", split_size = 50000 }' },
    { "CSV with a header", "csv", 'weir.files { path = "in", format = weir.csv() }' },
    { "packed CSV", "csv.gz", 'weir.files { path = "in", format = weir.csv() }' },
    { "files side by side", "lines", 'weir.files { path = "in", interleave = 3 }' },
  }
  for _, case in ipairs(cases) do
    for _, p in ipairs { { 1, 1 }, { 2, 3 } } do
      it(("reads %s on, each record once, from parallelism %d to %d"):format(case[1], p[1], p[2]), function()
        shell.run("mkdir " .. folder .. "/in")
        for i = 1, 5 do
          write("in/f" .. i, lines(6000, case[2] ~= "lines" and "word,n" or nil))
          if case[2] == "csv.gz" then shell.run(("gzip -n %s/in/f%d"):format(folder, i)) end
        end
        write("job.lua", words(case[3]))
        local expected, code, err = run ""
        assert.equal(0, code, err)
        run_and_kill("--checkpoint-every 5ms -p " .. p[1], 2)
        local out, code2, err2 = run("--dir state --checkpoint-every 1h -p " .. p[2])
        assert.equal(0, code2, err2)
        assert.equal(sorted(expected), sorted(out))
      end)
    end
  end

  it("is measured over both runs", function()
    write("job.lua", [[
local weir = require "weir"
local job = weir.job { name = "measured", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = 60000, fn = function(n) return { n = n } end })
  :measure { checksum = true, sum = "n" }
  :sink(weir.print())
return job
]])
    local expected = run ""
    run_and_kill("--checkpoint-every 20ms", 4)
    local out, code, err = run "--dir state --checkpoint-every 1h"
    assert.equal(0, code, err)
    assert.equal(expected, out)
  end)

  it("C30: has the rows of an input that had ended in the state of who read it", function()
    write("job.lua", [[
local weir = require "weir"
local job = weir.job { name = "side", max_parallelism = 128 }
local side = job:source(weir.generate { count = 5000, fn = function(n) return { key = n, value = "side-" .. n } end })
local main = job:source(weir.generate { rate = tonumber(job.args.rate), count = 50000, fn = function(n) return { key = n % 5000 } end })
main:key_by "key":connect(side:key_by "key"):process(weir.co_process_function {
  state = { value = weir.state.value(), waiting = weir.state.list() },
  element1 = function(ctx, rec)
    local value = ctx.value:get()
    if value then ctx:emit { value = value } else ctx.waiting:add(rec) end
  end,
  element2 = function(ctx, line)
    ctx.value:set(line.value)
    for _ in ctx.waiting:iter() do ctx:emit { value = line.value } end
    ctx.waiting:clear()
  end,
}):uid "lookup"
  :key_by "value":count { emit = "final" }
  :sink(weir.print())
return job
]])
    local expected = run "-p 2"
    for number = 1, 3 do
      shell.run(("rm -rf %s/state"):format(folder))
      run_and_kill("--checkpoint-every 5ms -p 2", number)
      local out, code, err = run "--dir state --checkpoint-every 1h -p 2"
      assert.equal(0, code, err)
      assert.equal(sorted(expected), sorted(out))
    end
  end)
end)

describe("a query of Nexmark that is killed", function()
  for q, count in pairs { q3 = 6e6, q5 = 8e6, q8 = 10e6, q11 = 6e6, q18 = 2e6 } do
    it(("gives the checksum of one that is not: %s"):format(q), function()
      local job = ("%s run -q %%s jobs/nexmark/%s.lua count=%d sink=checksum %%s"):format(shell.weir, q, count)
      local expected = shell.run(job:format("-p 2", ""))
      local _, died, why = shell.run(job:format(("-p 2 --dir %s/state --checkpoint-every 5ms --fault %s"):format(folder,
        "checkpoint.complete:2=kill"), ""))
      assert.equal(137, died, why)
      local out, code, err = shell.run(job:format(("-p 3 --dir %s/state --checkpoint-every 1h"):format(folder), ""))
      assert.equal(0, code, err)
      assert.equal(expected, out)
    end)
  end
end)

describe("state that a changed job has no place for", function()
  local function job(uid, kind)
    return ([[
local weir = require "weir"
local job = weir.job { name = "changed", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = 100000, fn = function(i) return { k = i %% 10 } end })
  :key_by "k":process(weir.process_function {
    state = { n = weir.state.%s() },
    element = function(ctx, rec) %s end,
  }):uid "%s"
  :sink(weir.print())
return job
]]):format(kind, kind == "value" and "ctx.n:set((ctx.n:get() or 0) + 1)" or "ctx.n:add(1)", uid)
  end

  it("is an error that names it, unless it may be dropped (C33)", function()
    write("job.lua", job("counter", "value"))
    run_and_kill("--checkpoint-every 50ms", 3)
    write("job.lua", job("other", "value"))
    local _, code, err = run "--dir state"
    assert.equal(2, code)
    assert.truthy(err:find('"counter"', 1, true) and err:find("--allow-dropped-state", 1, true), err)
    local _, code2, err2 = run "--dir state --allow-dropped-state"
    assert.equal(0, code2, err2)
  end)

  it("because it is of another kind is an error that says both", function()
    write("job.lua", job("counter", "value"))
    run_and_kill("--checkpoint-every 50ms", 3)
    write("job.lua", job("counter", "list"))
    local _, code, err = run "--dir state"
    assert.equal(2, code)
    assert.truthy(err:find("state 'n' of operator \"counter\" is declared as list, and was saved as value", 1, true),
      err)
  end)
end)

describe("a folder of checkpoints", function()
  it("belongs to one job at a time", function()
    write("job.lua", 'local weir = require "weir"\nlocal job = weir.job "echo"\n'
      .. 'job:source(weir.stdin()):sink(weir.print())\nreturn job\n')
    -- the first one runs once it has answered, and until its input is closed
    local out = shell.run(([[cd %s && mkfifo in out && { %s run -q --dir state --buffer-timeout 0 job.lua <in >out & } &&
      exec 3>in 4<out && echo here >&3 && read -r line <&4; echo "$line"
      %s run -q --dir state job.lua </dev/null 2>&1; echo "exit $?"; exec 3>&-; wait]]):format(folder, shell.weir, shell.weir))
    assert.truthy(out:find("here", 1, true), out)
    assert.truthy(out:find(") is using state", 1, true), out)
    assert.truthy(out:find("exit 2", 1, true), out)
  end)

  --- Runs job.lua with these options, which is an error of the user that says `what`; before anything runs, unless
  --- the code says otherwise.
  local function refused(options, what, args, expected)
    local out, code, err = run(options, args)
    assert.equal(expected or 2, code, out .. err)
    assert.truthy(err:find(what, 1, true), err)
  end

  it("whose checkpoints are all damaged is an error, not a new beginning", function()
    write("job.lua", sum)
    run_and_kill("--checkpoint-every 50ms", 2)
    shell.run(([[cd %s/state && for f in chk-*/manifest; do printf X | dd of=$f bs=1 seek=40 conv=notrunc; done]])
      :format(folder))
    refused("--dir state", "state: none of the checkpoints holds any more: chk-")
    refused("--dir state", "--resume=never")
    refused("--dir new --resume=state", "state: none of the checkpoints holds any more: chk-")
    local _, code, err = run "--dir state --resume=never"
    assert.equal(0, code, err)
  end)

  it("of another job is an error, whether that had ended or not", function()
    local other = (sum:gsub('"sum"', '"other"', 1))
    write("job.lua", sum)
    run_and_kill("--checkpoint-every 50ms", 2)
    write("job.lua", other)
    refused("--dir state", 'state has the checkpoints of job "sum", not of "other"')
    write("job.lua", sum)
    local expected = run ""
    assert.equal(sorted(expected), sorted((run "--dir new --resume=state")))
    assert.equal(0, select(2, run "--dir state"))
    write("job.lua", other)
    refused("--dir state", 'state has the checkpoints of job "sum", not of "other"')
  end)

  it("that is not there, is a file or has none is an error that names it, and nothing is made", function()
    write("job.lua", sum)
    write("file", "")
    shell.run(("mkdir %s/empty"):format(folder))
    refused("--dir file", "cannot keep checkpoints in file: Not a directory")
    refused("--dir not/there", "cannot keep checkpoints in not/there: No such file or directory")
    refused("--dir state --resume=empty", "empty: there is no checkpoint")
    refused("--dir state --resume=missing", "missing: cannot be read: No such file or directory")
    refused("--resume=empty", "--resume=empty needs --dir")
    assert.equal("", (shell.run(("ls -d %s/missing 2>/dev/null"):format(folder))))
  end)

  for _, point in ipairs { "blob.open", "blob.write", "blob.sync", "blob.sync_folder", "blob.rename" } do
    it(("on a full disk fails the job, or a checkpoint that may fail: %s"):format(point), function()
      write("job.lua", sum)
      local expected = run ""
      local full = ("--checkpoint-every 50ms --fault %s:2=28"):format(point)
      refused("--dir state --restart none --log-level error " .. full, "No space left on device", "rate=60000", 1)
      assert.equal("", (shell.run("find " .. folder .. "/state -name '*.part' -o -empty -name '*.state'")))
      local out, code, err = run("--dir more --checkpoint-failures 3 --log-level warn " .. full, "rate=60000")
      assert.equal(0, code, err)
      assert.truthy(err:find("No space left on device", 1, true), err)
      assert.equal(sorted(expected), sorted(out))
    end)
  end

  it("on which the end of the job cannot be written is tried again, as often as checkpoints may fail", function()
    write("job.lua", 'local weir = require "weir"\nlocal job = weir.job "one"\n'
      .. 'job:source(weir.from { 1, 2 }):sink(weir.print())\nreturn job\n')
    refused("--dir a --restart none --fault blob.rename:2=28", "No space left on device", nil, 1)
    local out, code, err = run "--dir b --checkpoint-failures 1 --fault blob.rename:2=28"
    assert.equal(0, code, err)
    assert.equal("1\n2\n", out)
    assert.equal("", (run "--dir b"))
  end)

  it("in which files may not grow any more fails the job, too", function()
    write("job.lua", sum)
    local _, code, err = shell.run(("cd %s && ulimit -f 8 && %s run -q --dir state --restart none --checkpoint-every 50ms job.lua rate=50000")
      :format(folder, shell.weir))
    assert.equal(1, code, err)
    assert.truthy(err:find("File too large", 1, true), err)
  end)

  it("that is removed while the job runs fails the job", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "endless"
      local removed
      job:source(weir.generate { rate = 10000, fn = function(i) return { v = i } end }):map(function(r)
        if r.v % 100 == 0 and not removed and io.open "state/chk-1/manifest" then
          removed = os.execute "until rm -rf state 2>/dev/null; do :; done"
        end
        return r
      end):sink(weir.discard())
      return job
    ]])
    local _, code, err = run "--unsafe --dir state --restart none --checkpoint-every 20ms"
    assert.equal(1, code, err)
    assert.truthy(err:find("No such file or directory", 1, true), err)
  end)
end)
