--- A savepoint is one file with which a job goes on: elsewhere, at any parallelism, as often as one likes.

local place = require "support.place"
local shell = require "support.shell"

local write, weir, done, sorted = place.write, place.weir, place.done, place.sorted

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function refused(code_expected, what, arguments)
  local out, code, err = weir(arguments)
  assert.equal(code_expected, code, out .. err)
  assert.truthy(err:find(what, 1, true), err)
end

--- Leaves a folder `state` with checkpoints of a job that was killed in its middle.
local function killed(options, arguments)
  place.dies(weir, ("run -q --dir state --checkpoint-every 20ms --fault checkpoint.complete:4=kill %s job.lua rate=20000 %s")
    :format(options or "", arguments or ""))
end

local sum = [[
local weir = require "weir"
local job = weir.job { name = "sum", max_parallelism = 128 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = 60000, fn = function(i) return { k = "key " .. i % 997, v = i } end })
  :key_by "k":sum("v", { emit = "final" })
  :sink(weir.print())
return job
]]

describe("a savepoint", function()
  for _, p in ipairs { { 1, 1 }, { 1, 3 }, { 3, 2 }, { 2, 128 } } do
    it(("is gone on with in another folder, from parallelism %d to %d"):format(p[1], p[2]), function()
      write("job.lua", sum)
      local expected = done "run -q job.lua"
      killed("-p " .. p[1])
      local out = done "savepoint --dir state -o there.weir"
      assert.truthy(out:match '^there.weir: checkpoint %d+ of job "sum", %d+ bytes\n$', out)
      shell.run(("mkdir %s/elsewhere && mv %s/there.weir %s/job.lua %s/elsewhere && rm -r %s/state")
        :format(folder, folder, folder, folder, folder))
      local max = p[2] == 128 and "--max-parallelism 128 " or ""
      for _, dir in ipairs { "", "--dir elsewhere/state --checkpoint-every 20ms " } do
        assert.equal(sorted(expected),
          sorted((done(("run -q --from elsewhere/there.weir %s%s-p %d elsewhere/job.lua"):format(dir, max, p[2])))))
      end
    end)
  end

  it("is named after job and checkpoint, and told in JSON", function()
    write("job.lua", (sum:gsub('"sum"', '"a job"', 1)))
    killed()
    local out = done "savepoint --dir state --json"
    local bytes, checkpoint, file = out:match '^{"bytes":(%d+),"checkpoint":(%d+),"file":"([^"]+)","job":"a job"}\n$'
    assert.equal("a-job-" .. checkpoint .. ".weir", file)
    assert.equal(tonumber(bytes), #shell.read(folder .. "/" .. file))
  end)

  it("C31: with --dir begins a line of its own there, which is gone on with by the same command after a crash, or without it", function()
    write("job.lua", sum)
    local expected = done "run -q job.lua"
    killed()
    done "savepoint --dir state -o x.weir"
    local again = "run -q --from x.weir --dir other --checkpoint-every 20ms job.lua "
    place.dies(weir, again .. "rate=20000 --fault checkpoint.complete:3=kill")
    shell.run(("cp -r %s/other %s/alone"):format(folder, folder))
    assert.equal(sorted(expected), sorted((done(again))))
    assert.equal("", (done(again))) -- it has finished
    os.remove(folder .. "/x.weir")
    assert.equal(sorted(expected), sorted((done "run -q --dir alone job.lua")))
  end)

  it("is not mixed up with other checkpoints of the folder, which are left behind with --resume=never", function()
    write("job.lua", sum)
    local expected = done "run -q job.lua"
    killed()
    done "savepoint --dir state -o x.weir"
    refused(2, "state has checkpoints that do not come from x.weir, the last being ", "run -q --from x.weir --dir state job.lua")
    refused(2, "--from and --resume=state both say where to begin", "run -q --from x.weir --dir new --resume=state job.lua")
    assert.equal(sorted(expected), sorted((done "run -q --from x.weir --dir state --resume=never job.lua")))
  end)

  it("has the rows that sinks had not committed yet, also when it was edited", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "numbers", max_parallelism = 128 }
      job:source(weir.generate { rate = tonumber(job.args.rate), count = 6000, fn = function(i) return { k = i % 97, v = i } end })
        :key_by "k":map(function(rec) return ("%d"):format(rec.v) end)
        :sink(weir.file_sink { path = "out", format = weir.lines(), guarantee = "exactly_once" }):uid "out"
      return job]])
    write("same.lua", "return function() end")
    for _, edited in ipairs { false, true } do
      killed("-p 2")
      done "savepoint --dir state -o x.weir"
      assert.truthy(shell.run(("grep -c logs/ %s/x.weir"):format(folder)):match "^[1-9]")
      if edited then done "savepoint edit x.weir same.lua -o y.weir" end
      shell.run(("rm -r %s/state"):format(folder))
      done(("run -q --from %s --dir state -p 3 job.lua"):format(edited and "y.weir" or "x.weir"))
      local lines = {}
      for name in shell.run(("cd %s && ls out out.? 2>/dev/null"):format(folder)):gmatch "%S+" do
        local length = tonumber(shell.read(folder .. "/" .. name .. ".commit"):match "length (%d+)")
        for line in shell.read(folder .. "/" .. name):sub(1, length):gmatch "%d+" do lines[#lines + 1] = tonumber(line) end
      end
      table.sort(lines)
      assert.equal(6000, #lines)
      for n, line in ipairs(lines) do assert.equal(n - 1, line) end
      shell.run(("rm -r %s/state %s/out*"):format(folder, folder))
    end
  end)

  it("can be a folder of checkpoints, or one in it", function()
    write("job.lua", sum)
    local expected = done "run -q job.lua"
    killed()
    local newest = shell.run(("ls -d %s/state/chk-*/manifest | sort -V | tail -1"):format(folder)):match "(chk%-%d+)/manifest"
    for _, from in ipairs { "state", "state/", "state/" .. newest, "state/" .. newest .. "/" } do
      assert.equal(sorted(expected), sorted((done("run -q --from " .. from .. " job.lua"))))
    end
  end)

  it("that is none, is damaged or not there is one clear error", function()
    write("job.lua", sum)
    killed()
    done "savepoint --dir state -o x.weir"
    refused(2, 'job.lua: this is no savepoint: it does not begin with "WEIRSAVE"', "run -q --from job.lua job.lua")
    refused(2, "no.weir: cannot be read: No such file or directory", "run -q --from no.weir job.lua")
    refused(1, "nowhere: cannot be read: No such file or directory", "savepoint --dir nowhere")
    refused(1, "cannot write no/x.weir.part: No such file or directory", "savepoint --dir state -o no/x.weir")
    refused(1, "'' names no file", "savepoint --dir state -o ''")
    refused(1, "'no/' names no file", "savepoint --dir state -o no/")
    refused(1, "state is no file that a savepoint could take the place of", "savepoint --dir state -o state")
    refused(1, "cannot write y.weir.part: No space left on device", "savepoint --dir state -o y.weir --fault savepoint.write:1=28")
    refused(2, "a savepoint of what?", "savepoint")
    refused(2, "'look' is no command of weir savepoint", "savepoint look x.weir")
    shell.run(("cd %s && printf X | dd of=x.weir bs=1 seek=400 conv=notrunc"):format(folder))
    refused(2, "x.weir: chk-", "run -q --from x.weir job.lua")
    shell.run(("cd %s && truncate -s 5000 x.weir"):format(folder))
    refused(2, "x.weir: the savepoint was cut off, or its end is damaged", "run -q --from x.weir job.lua")
    shell.run(("mkdir %s/empty"):format(folder))
    refused(1, "empty: there is no checkpoint", "savepoint --dir empty")
  end)

  it("of a job that has ended says so, and who begins there ends at once, with nothing doubled", function()
    write("job.lua", (sum:gsub("weir.print%(%)", 'weir.file_sink { path = "out", guarantee = "exactly_once" }')))
    done "run -q --dir state job.lua"
    done "savepoint --dir state -o x.weir"
    assert.truthy(done "savepoint info x.weir":find "finished +the job had ended")
    done "savepoint ls x.weir"
    done "savepoint diff x.weir state"
    local before = shell.read(folder .. "/out")
    for _, options in ipairs { "--dir elsewhere", "--dir elsewhere", "-p 3" } do
      local out, err = done("run -q --log-level info --from x.weir " .. options .. " job.lua")
      assert.equal("", out)
      assert.truthy(err:find("sum has finished already; without that savepoint the same command runs it again", 1, true), err)
      assert.equal(before, shell.read(folder .. "/out"))
    end
    write("fix.lua", "return function() end")
    refused(2, "x.weir: the job had ended, there is nothing to change", "savepoint edit x.weir fix.lua -o y.weir")
  end)
end)
