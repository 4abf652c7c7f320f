--- Exactly-once sinks by epoch log: killed at each step and run again, each record is in the target once.

local shell = require "support.shell"

local folder
before_each(function() folder = shell.folder() end)
after_each(function() shell.remove(folder) end)

local function write(name, text)
  local f = assert(io.open(folder .. "/" .. name, "w"))
  f:write(text)
  f:close()
end

local function run(options, args)
  return shell.run(("cd %s && %s run -q %s job.lua %s"):format(folder, shell.weir, options, args or ""))
end

local function killed(options, args, point)
  local _, code, err = run(options .. " --fault " .. point .. "=kill", args)
  assert.equal(137, code, ("the job was not killed at %s\n%s"):format(point, err))
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
  it("commits once at the end of its input when there are no checkpoints", function()
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

  it("commits what is left behind the last checkpoint when the input has ended, and only then is finished", function()
    write("job.lua", numbers)
    local _, code, err = run("--dir state --checkpoint-every 1h -p 2", "")
    assert.equal(0, code, err)
    all_once()
    assert.equal("", (shell.run(("ls %s/state/logs"):format(folder)):gsub("%S+-[01]-0\n", "")))
  end)
end)

describe("an exactly-once sink that is killed", function()
  local moves = { { 1, 1 }, { 1, 3 }, { 3, 2 } }
  local function goes_on(point, p)
    it(("at %s goes on with each record once, from parallelism %d to %d"):format(point, p[1], p[2]), function()
      write("job.lua", numbers)
      killed("--dir state --checkpoint-every 10ms -p " .. p[1], "rate=20000", point)
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
  -- those of checkpoints and files around them
  for i, point in ipairs {
    "blob.sync:1", "blob.sync:3", "blob.sync_folder:4", "blob.write:3", "checkpoint.ack:2", "checkpoint.published:2",
    "file.write:3", "file.write:4", "file.fsync:2", "file.fsync:5", "blob.remove:3", "checkpoint.removed:2",
  } do
    goes_on(point, moves[i % 3 + 1])
  end
end)
