--- kafka: kills a job between two topics as kill -9 does, at random times, again and again, and begins it again at
--- this or that parallelism; and kills brokers of the three under it. In the end readers of what is committed must
--- find each row once, as worked out by input.lua, and the rows of a key in order: read by kcat.
--- usage: luajit tests/crash/kafka.lua BUILD-FOLDER [KILLS] [--tap]   (SEED= in the environment)
---
--- Each life of the job gets records of its own, written by kcat beside it. Steps are met and waited for as in run.lua.

package.path = "tests/crash/?.lua;tests/?.lua;" .. package.path
local kafka = require "support.kafka"
local process = require "process"
local steps_of = require "steps"

local build, kills, tap = arg[1] or "build", tonumber(arg[2]) or 100, arg[3] == "--tap"
local seed = tonumber(os.getenv "SEED") or os.time()
local ALL_FROM = 100 -- kills, from which each step must have been met
local RECORDS_PER_KILL, LOOPS, STAY_US = 8000, 10000, 300
local KILLS_PER_BROKER = 5
local PATIENCE, END_PATIENCE = 120, 20 -- looks for rows, half a second apart; seconds until a job ends that is told to
local INPUT_PARTITIONS, OUTPUT_PARTITIONS = 5, 4

--- The steps of this job, in the order in which a process meets them first.
local STEPS = {
  "kafka.claim", "log.append", "checkpoint.trigger", "log.sealed", "blob.open", "blob.write", "blob.sync",
  "blob.sync_folder", "checkpoint.ack", "blob.rename", "checkpoint.published", "checkpoint.complete", "commit.begin",
  "kafka.begin", "kafka.send", "kafka.marker", "kafka.commit", "commit.done", "log.cut", "blob.remove",
  "checkpoint.removed",
}

math.randomseed(seed)
local folder = io.popen("mktemp -d"):read "*l"
local log, shown = nil, folder .. "/steps" -- log: of the life of the job that began last

local function leave(why)
  io.stderr:write(("%s\nseed %d; what it left is in %s\n"):format(why, seed, folder))
  print "not ok - a job between topics that is killed at any time, as brokers are, writes each row once"
  os.exit(1)
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function one_of(list) return list[math.random(#list)] end

local cluster = kafka.start(3)
local input = cluster:topic { name = "input", partitions = INPUT_PARTITIONS }
local output = cluster:topic { name = "output", partitions = OUTPUT_PARTITIONS }

local parallelisms, lives = { 0, 0, 0 }, 0

local function start(arguments)
  lives = lives + 1
  log = ("%s/log-%d"):format(folder, lives)
  local p = math.random(3)
  parallelisms[p] = parallelisms[p] + 1
  local words = {
    build .. "/weir", "run", "-q", "--restart", "none", "--dir", folder .. "/state", "--checkpoint-every", "100ms",
    "--checkpoint-incremental", one_of { "always", "off" }, "--state-backend", one_of { "memory", "rocksdb" },
    "--unaligned-after", one_of { "1ms", "1h" }, "-p", tostring(p),
    "--fault-steps", shown .. ":" .. STAY_US, "tests/crash/kafka_job.lua", "brokers=" .. cluster.brokers,
    "from=" .. input, "to=" .. output,
  }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  return process.start(words, log)
end

---------------------------------------------------------------- kills

local down          -- the broker that does not run
local down_for = 0  -- lives of the job
local brokers_killed = { 0, 0, 0 }

-- A broker that is down comes back after a life or two, else one may go; in the second life one does.
local function shake_brokers(i)
  if down then
    down_for = down_for - 1
    if down_for > 0 then return end
    cluster:up(down)
    down = nil
  elseif i == 2 or math.random(KILLS_PER_BROKER) == 1 then
    down, down_for = math.random(3), math.random(2)
    process.pass(math.random(300000))
    cluster:kill(down)
    brokers_killed[down] = brokers_killed[down] + 1
  end
end

-- In small batches, each record to any partition: each partition has records of all times.
local function feed(i)
  local part = ("%s/part"):format(folder)
  os.execute(("tail -n +%d %s/input | head -n %d >%s"):format((i - 1) * RECORDS_PER_KILL + 1, folder,
    RECORDS_PER_KILL, part))
  cluster:kcat(("-P -X enable.idempotence=true -X sticky.partitioning.linger.ms=0 -X batch.num.messages=50 -t %s -l %s")
    :format(input, part))
end

local began = os.time()
os.execute(("luajit tests/crash/input.lua %d %s/input %s/expected"):format(kills * RECORDS_PER_KILL, folder, folder))
local steps = steps_of.new(STEPS, shown)
for i = 1, kills do
  steps:begin()
  local pid = start { "loops=" .. LOOPS }
  feed(i)
  shake_brokers(i)
  if i > kills / 2 and steps:unmet() then
    steps:aim()
  else -- a quarter of them while it begins; when a broker has gone, also when others have taken over
    process.pass(math.random(4) == 1 and math.random(60000) or math.random(down and 6000000 or 2000000))
  end
  local killed, code = process.kill(pid)
  if not killed then leave(("kill %d: the job had ended with %d:\n%s"):format(i, code, read(log))) end
  steps:count()
  if process.is_terminal(2) then io.stderr:write(("\r%d of %d kills"):format(i, kills)) end
end
if process.is_terminal(2) then io.stderr:write "\r\27[K" end
if down then cluster:up(down) end

---------------------------------------------------------------- what must be there

local function rows_of(text)
  local rows = {}
  for row in text:gmatch "[^\n]+" do rows[#rows + 1] = row end
  table.sort(rows)
  return rows
end

-- Rows beyond or missing, as text; nil when they are the same.
local function difference(rows, expected)
  local out, i, j = {}, 1, 1
  while (i <= #rows or j <= #expected) and #out < 20 do
    if rows[i] == expected[j] then
      i, j = i + 1, j + 1
    elseif not rows[i] or expected[j] and expected[j] < rows[i] then
      out[#out + 1] = "missing: " .. expected[j]
      j = j + 1
    else
      out[#out + 1] = "too much: " .. rows[i]
      i = i + 1
    end
  end
  return out[1] and table.concat(out, "\n")
end

local function values(records)
  local rows = {}
  for i, record in ipairs(records) do rows[i] = record.value end
  table.sort(rows)
  return rows
end

local function check_late()
  for i = 1, lives do
    local record = ("\n" .. read(("%s/log-%d"):format(folder, i))):match "\n({[^\n]*)"
    if record then leave(("life %d: too late was %s"):format(i, record)) end
  end
end

-- A record of the far future in each partition ends all windows but its own.
local far = {}
for p = 0, INPUT_PARTITIONS - 1 do
  far[p + 1] = { partition = p, value = '{"k":-1,"v":0,"ts":1000000000000}' }
end
cluster:send(input, far)

local function keep(name, list)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  for _, r in ipairs(list) do file:write(("%d %d %s\n"):format(r.partition, r.offset, r.value)) end
  file:close()
  return list
end

-- Nothing is wrong with the job where the topic that it reads is not what was written.
local function check_input()
  local written = rows_of(read(folder .. "/input"))
  for _, record in ipairs(far) do written[#written + 1] = record.value end
  table.sort(written)
  local wrong = difference(values(keep("topic", cluster:consume(input))), written)
  if wrong then leave("records that the cluster has of the input, and must have:\n" .. wrong) end
end

local function await_end(pid)
  for _ = 1, END_PATIENCE * 50 do
    local code = process.ended(pid)
    if code then return code end
    process.pass(20000)
  end
  process.kill(pid)
  leave(("the last run was interrupted and did not end within %d s:\n%s"):format(END_PATIENCE, read(log)))
end

local expected = rows_of(read(folder .. "/expected"))
local records
local pid = start {}
for _ = 1, PATIENCE do
  process.pass(500000)
  records = cluster:consume(output)
  if #records >= #expected then break end
  local code = process.ended(pid)
  if code then leave(("the last run ended with %d:\n%s"):format(code, read(log))) end
end
os.execute("kill -INT " .. pid)
local code = await_end(pid)
if code ~= 130 then leave(("the last run was interrupted and ended with %d:\n%s"):format(code, read(log))) end
records = cluster:consume(output)
local wrong = difference(values(records), expected)
if wrong then
  keep("rows", records)
  check_input()
  check_late()
  leave("the input is whole; rows that readers of what is committed find and must find:\n" .. wrong)
end

local last = {} -- by key: { partition, start of window }
for _, record in ipairs(records) do
  local of_key = last[record.key]
  local from = tonumber(record.value:match "(%d+),%d+$")
  if of_key and (of_key[1] ~= record.partition or of_key[2] >= from) then
    leave(("key %s: a row of window %d lies in partition %d behind that of window %d in %d"):format(record.key, from,
      record.partition, of_key[2], of_key[1]))
  end
  last[record.key] = { record.partition, from }
end
local aborted = #cluster:consume(output, "read_uncommitted") - #records
cluster:close()

local mark = tap and "# " or ""
print(("%s%d kills of the job, %s of brokers 1, 2, 3 in %d s, %d records; runs at parallelism 1, 2, 3: %s")
  :format(mark, kills, table.concat(brokers_killed, ", "), os.time() - began, kills * RECORDS_PER_KILL,
  table.concat(parallelisms, ", ")))
print(("%s%d kills waited for a step; seed %d"):format(mark, steps.aimed, seed))
steps:print(mark)
print(("%srows: %d committed, each as expected and those of a key in order; %d in transactions that were aborted")
  :format(mark, #records, aborted))
if kills >= ALL_FROM and steps:unmet() then leave("a step was not met: " .. steps:unmet()) end
os.execute("rm -rf " .. folder)
print "ok - a job between topics that is killed at any time, as brokers are, writes each row once"
