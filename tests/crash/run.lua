--- run: kills a job as kill -9 does, at random times, again and again, and begins it again with the same folder, at
--- this or that parallelism and with other ways to take checkpoints and to keep state; in the end its files must
--- have each row once, as worked out by input.lua.
--- usage: luajit tests/crash/run.lua BUILD-FOLDER [KILLS] [--tap]   (SEED= in the environment)
---
--- The process shows at which step of its protocols each of its threads is, and stays STAY_US at each, so that
--- steps of a few instructions are met, too. In the second half of the kills those that nobody met yet are waited
--- for; the report says how many were.

package.path = "tests/crash/?.lua;" .. package.path
local process = require "process"
local steps_of = require "steps"

local build, kills, tap = arg[1] or "build", tonumber(arg[2]) or 200, arg[3] == "--tap"
local seed = tonumber(os.getenv "SEED") or os.time()
local ALL_FROM = 100 -- kills, from which each step must have been met, and epochs written again
local RECORDS_PER_KILL, LOOPS, STAY_US = 16000, 5000, 300

--- The steps of this job, in the order in which a process meets them first.
local STEPS = {
  "rolling.recovered", "rolling.truncate", "rolling.remove", "rolling.open", "rolling.write", "checkpoint.trigger",
  "rolling.sync", "rolling.sync_folder", "rolling.barrier", "blob.open", "blob.write", "blob.sync",
  "blob.sync_folder", "checkpoint.ack", "blob.rename", "checkpoint.published", "checkpoint.complete",
  "rolling.marked", "rolling.folder", "rolling.rename", "rolling.finished", "blob.remove", "checkpoint.removed",
}

math.randomseed(seed)
local folder = io.popen("mktemp -d"):read "*l"
local log, shown, out = folder .. "/log", folder .. "/steps", folder .. "/out"

local function shell(command)
  local pipe = io.popen(command)
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function leave(why)
  io.stderr:write(("%s\nseed %d; what it left is in %s\n"):format(why, seed, folder))
  print "not ok - a job that is killed at any time writes each row once"
  os.exit(1)
end

local function one_of(list) return list[math.random(#list)] end

local function start(loops, parallelism)
  return process.start({
    build .. "/weir", "run", "-q", "--restart", "none", "--dir", folder .. "/state", "--checkpoint-every", "30ms",
    "--checkpoint-incremental", one_of { "always", "off" }, "--state-backend", one_of { "memory", "rocksdb" },
    "--unaligned-after", one_of { "1ms", "1h" },
    "-p", tostring(parallelism), "--fault-steps", shown .. ":" .. STAY_US, "tests/crash/job.lua",
    "input=" .. folder .. "/input", "out=" .. out, "loops=" .. loops,
  }, log)
end

---------------------------------------------------------------- main

local steps = steps_of.new(STEPS, shown)
local again, parallelisms = 0, { 0, 0, 0 }

local began = os.time()
shell(("luajit tests/crash/input.lua %d %s/input %s/expected"):format(kills * RECORDS_PER_KILL, folder, folder))
for i = 1, kills do
  local p = math.random(3)
  steps:begin()
  parallelisms[p] = parallelisms[p] + 1
  local pid = start(LOOPS, p)
  if i > kills / 2 and steps:unmet() then
    steps:aim()
  else -- a quarter of them while it begins
    process.pass(math.random(4) == 1 and math.random(60000) or math.random(500000))
  end
  local killed, code = process.kill(pid)
  if not killed then leave(("kill %d: the job had ended with %d:\n%s"):format(i, code, read(log))) end
  local passed = steps:count()
  if passed "rolling.truncate" + passed "rolling.remove" > 0 then again = again + 1 end
  if process.is_terminal(2) then io.stderr:write(("\r%d of %d kills"):format(i, kills)) end
end
if process.is_terminal(2) then io.stderr:write "\r\27[K" end
local code = process.wait(start(0, math.random(3)))
if code ~= 0 then leave(("the last run ended with %d:\n%s"):format(code, read(log))) end

shell(("find %s -type f ! -path '*/.*' -exec grep -hv ^k, {} + | LC_ALL=C sort >%s/rows"):format(out, folder))
shell(("LC_ALL=C sort -o %s/expected %s/expected"):format(folder, folder))
local difference = shell(("diff %s/rows %s/expected | head -20"):format(folder, folder))
if difference ~= "" then leave("rows that are there (<) and that must be (>):\n" .. difference) end
local hidden = shell(("find %s -type f -path '*/.weir*' ! -path '*/marks/*'"):format(out))
local rows = tonumber((shell(("wc -l <%s/rows"):format(folder))))

local mark = tap and "# " or ""
print(("%s%d kills in %d s, %d records; runs at parallelism 1, 2, 3: %s; %d kills waited for a step; seed %d")
  :format(mark, kills, os.time() - began, kills * RECORDS_PER_KILL, table.concat(parallelisms, ", "), steps.aimed,
  seed))
steps:print(mark)
print(("%sepochs written again: %d"):format(mark, again))
print(("%srows: %d, each as expected"):format(mark, rows))

local bad = hidden ~= "" and "files are left:\n" .. hidden
  or kills >= ALL_FROM and again == 0 and "no epoch was written again"
  or kills >= ALL_FROM and steps:unmet() and "a step was not met: " .. steps:unmet()
if bad then leave(bad) end
shell("rm -rf " .. folder)
print "ok - a job that is killed at any time writes each row once"
