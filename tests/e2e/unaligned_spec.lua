--- Checkpoints of a job that is slow behind its queues: barriers overtake what waits, and what they overtook comes
--- again behind a restart, at any parallelism, once.

local place = require "support.place"
local shell = require "support.shell"

local write, run = place.write, place.run

local folder, job
before_each(function() folder = place.make() end)
after_each(function()
  if job then
    os.execute(("kill -9 %s 2>/dev/null"):format(job.pid))
    job.pipe:close()
    job = nil
  end
  place.remove()
end)

local COUNT, KEYS, WINDOW = 6000, 40, 500

--- Each record takes a while in a keyed operator, in front of which the source fills the queues; behind it are
--- windows. Every 50th comes late by more than a window: in each run the same of a key.
local slow = [[
local weir = require "weir"
local job = weir.job { name = "slow", max_parallelism = 128, checkpoint = weir.checkpoint { unaligned_after = 0 } }
local loops = tonumber(job.args.loops or 40000)
job:source(weir.sequence { from = 1, to = tonumber(job.args.count or ]] .. COUNT .. [[) })
  :map(function(i) return { k = i % ]] .. KEYS .. [[, v = i, ts = i % 50 == 0 and i - 2000 or i } end)
  :watermarks(weir.watermark.bounded { field = "ts", delay = "1s" })
  :rebalance():map(function(rec) rec.pad = ("x"):rep(rec.v % 7 * 10) return rec end):uid "pad"
  :key_by "k":process(weir.process_function {
    state = { seen = weir.state.value() },
    element = function(ctx, rec)
      local x = 0
      for i = 1, loops do x = x + (i + rec.v) % 7 end
      local seen = (ctx.seen:get() or 0) + 1
      ctx.seen:set(seen)
      ctx:emit { k = rec.k, v = rec.v, seen = seen, w = math.floor(rec.ts / ]] .. WINDOW .. [[), x = x < 0 }
    end,
  }):uid "slow"
  :key_by "k":window(weir.window.tumbling { size = ]] .. WINDOW .. [[ }):allowed_lateness "1h"
  :aggregate { last = weir.agg.max "seen", n = weir.agg.count(), sum = weir.agg.sum "v", w = weir.agg.min "w" }
  :uid "windows"
  :sink(weir.file_sink { path = job.args.out or "out", format = weir.json(), guarantee = "exactly_once" }):uid "out"
return job
]]

--- What is committed, by key and window: how many records, their sum, and the highest count that the operator
--- before had for one of the key. A window that late records come to says so again: the last word counts.
local function committed(path)
  local n, sum, seen = {}, {}, {}
  for name in shell.run(("cd %s && ls %s %s.[0-9] 2>/dev/null"):format(folder, path, path)):gmatch "%S+" do
    local note = shell.read(folder .. "/" .. name .. ".commit") or ""
    local text = shell.read(folder .. "/" .. name):sub(1, tonumber(note:match "length (%d+)") or 0)
    for line in text:gmatch "[^\n]+" do
      local k, last, records, total, w = line:match '"k":(%d+),"last":(%d+),"n":(%d+),"sum":(%d+),"w":(%-?%d+)'
      local id = k .. "@" .. w
      if (n[id] or 0) < tonumber(records) then n[id], sum[id] = tonumber(records), tonumber(total) end
      seen[k] = math.max(seen[k] or 0, tonumber(last))
    end
  end
  local records, total = 0, 0
  for id in pairs(n) do records, total = records + n[id], total + sum[id] end
  return records, total, seen
end

local function all_once()
  local records, total, seen = committed "out"
  assert.equal(COUNT, records)
  assert.equal(COUNT * (COUNT + 1) / 2, total)
  for k = 0, KEYS - 1 do assert.equal(COUNT / KEYS, seen[tostring(k)]) end
end

--- Kills it behind the completion of a checkpoint whose barriers overtook records.
local function killed(options, point)
  local _, err = place.dies(run, options .. " --log-level debug --fault " .. point .. "=kill", "loops=400000")
  assert.truthy(err:find "holds: %d+ bytes, [1-9]%d* in flight %(unaligned%)", err)
end

describe("a checkpoint whose barriers overtake", function()
  for _, case in ipairs { { 1, 1 }, { 2, 2 }, { 1, 3 }, { 3, 2 }, { 3, 1 } } do
    local name = "C9: loses and doubles nothing when a job is killed with %d subtasks and goes on with %d"
    it(name:format(case[1], case[2]), function()
      write("job.lua", slow)
      killed("--dir state --checkpoint-every 20ms -p " .. case[1], "checkpoint.complete:3")
      killed("--dir state --checkpoint-every 20ms -p " .. case[2], "checkpoint.published:3")
      local _, code, err = run("--dir state --checkpoint-every 100ms -p " .. case[2], "")
      assert.equal(0, code, err)
      all_once()
    end)
  end
end)

--- A weir that sees only the jobs of this test.
local function try(command)
  return shell.run(("cd %s && WEIR_RUNTIME_DIR=%s/run %s %s"):format(folder, folder, shell.weir, command))
end

local function weir(command)
  local out, code, err = try(command)
  assert.equal(0, code, out .. err)
  return out
end

--- Runs the job beside the test; returns when others can reach it.
local function start(options)
  local command = "cd %s && { WEIR_RUNTIME_DIR=%s/run %s run -q --dir state -p 2 %s >/dev/null 2>err & echo $!; }"
  job = { pipe = io.popen(command:format(folder, folder, shell.weir, options)) }
  job.pid = job.pipe:read "*l"
  for _ = 1, 1000 do
    if (try "list"):find "slow%-" then return end
  end
  error("the job does not run: " .. shell.read(folder .. "/err"))
end

--- Has checkpoints taken until the barriers of one overtook records.
local function overtaken()
  for _ = 1, 100 do
    local said = weir "checkpoint --json slow"
    if said:find '"in_flight_bytes":[1-9]%d*,"unaligned":true' then return end
  end
  error "no checkpoint had anything under way"
end

--- A job whose slow operator has full queues in front of it, over one kind of edges.
local function behind(edge)
  return ([[
local weir = require "weir"
local job = weir.job { name = "slow", checkpoint = weir.checkpoint { unaligned_after = 0 } }
job:source(weir.sequence { from = 1, to = 100000000 }):%s:map(function(i)
  local x = 0
  for n = 1, 3000 do x = x + (n + i) %% 7 end
  return x
end):sink(weir.discard())
return job
]]):format(edge)
end

describe("barriers overtake", function()
  it("where records may go to any subtask", function()
    write("job.lua", behind "rebalance()")
    start "--checkpoint-every 1h job.lua"
    overtaken()
  end)

  for _, case in ipairs {
    { "P11: nothing where a function says which subtask", "partition(function(i, n) return i % n end)" },
    { "C9: nothing where a record goes to every subtask", "broadcast()" },
    { "C9: nothing where records go to subtasks that are near", "rescale()" },
  } do
    it(case[1], function()
      write("job.lua", behind(case[2]))
      start "--checkpoint-every 1h job.lua"
      for _ = 1, 5 do
        local said = weir "checkpoint --json slow"
        assert.truthy(said:find('"in_flight_bytes":0,"unaligned":false', 1, true), said)
      end
    end)
  end
end)

describe("a running job under back-pressure", function()
  before_each(function() write("job.lua", slow) end)

  it("makes savepoints of which every part was aligned", function()
    start "--checkpoint-every 1h job.lua count=100000000 loops=3000"
    overtaken()
    weir "savepoint slow -o one.weir"
    assert.falsy(weir("savepoint info one.weir"):find "under way")
  end)

  it("C8: has checkpoints that are complete while the queues are full, and says what is in them", function()
    start "--checkpoint-every 1h job.lua count=100000000 loops=1000000"
    overtaken()
    assert.truthy(weir("checkpoint slow"):find "holds, [%d.]+ k?B in [%d.]+ m?s, [%d.]+ [kM]?B of rows under way\n$")
    assert.truthy(weir("info --json slow"):find '"in_flight_bytes":%d+,"unaligned":true,')
    assert.truthy(weir("top --once slow"):find "of rows under way")
  end)

  it("leaves a folder of which a savepoint is made, with what was under way, and is gone on with anywhere", function()
    start "--checkpoint-every 1h job.lua count=100000000 loops=1000000"
    overtaken()
    os.execute("kill -9 " .. job.pid)
    assert.truthy(weir("savepoint --dir state -o one.weir"):find "^one.weir: checkpoint")
    local info = weir "savepoint info one.weir"
    assert.truthy(info:find "under way", info)
    weir 'savepoint ls one.weir'
    write("none.lua", "return function(sp) end")
    weir "savepoint edit one.weir none.lua -o two.weir"
    assert.truthy(weir("savepoint info two.weir"):find "under way")
    local sums = {}
    for _, name in ipairs { "one", "two" } do
      weir(("run --from %s.weir --dir %s.d -p 3 job.lua count=1 loops=1 out=%s.out"):format(name, name, name))
      local records, total, seen = committed(name .. ".out")
      for _, n in pairs(seen) do records = records - n end
      assert.equal(0, records) -- what the slow operator has counted is in windows, once
      sums[#sums + 1] = total
    end
    assert.equal(sums[1], sums[2])
    assert.truthy(sums[1] > 0)
  end)
end)
