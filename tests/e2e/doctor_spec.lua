--- Hot chains run compiled: the doctor finds nothing to say about the jobs of jobs/ on enough rows, and finds
--- what is planted. Counts instructions of the interpreter, never time.

local shell = require "support.shell"

local folder

-- Instructions of the interpreter a row: less than warming up costs, spread over the rows, and the way into
-- the compiled inner loop of a flat_map. A chain that is not compiled takes a thousand.
local INTERPRETED_MAX = 200

-- `path` repeated, with the times of each copy behind those of the last.
local function repeated(path, times)
  local text = shell.read(path)
  local target = folder .. "/" .. path:match "[^/]+$"
  local file = assert(io.open(target, "w"))
  for i = 0, times - 1 do
    file:write((text:gsub('"ts":(%d+)', function(ts) return ('"ts":%.0f'):format(ts + i * 86400000) end)))
  end
  file:close()
  return target
end

local function doctor(command)
  local _, code, err = shell.run(shell.weir .. " doctor " .. command)
  assert.equal(0, code, err)
  return err
end

local jobs = {
  top_words = "chat.ndjson", sessions_by_hand = "clicks.ndjson", sensor_alerts = "sensors.ndjson",
  enrich = "orders.ndjson",
}

describe("weir doctor", function()
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  local function assert_compiled(command)
    local report, looked = doctor(command), 0
    for count in report:gmatch "([%d.]+) a row" do
      looked = looked + 1
      assert.is_true(tonumber(count) < INTERPRETED_MAX, report)
    end
    assert.is_true(looked > 0, report)
  end

  for job, data in pairs(jobs) do
    it("finds that " .. job .. " stays in compiled code", function()
      assert_compiled("jobs/" .. job .. ".lua input=" .. repeated("jobs/data/" .. data, 3000))
    end)
  end

  it("finds that unix_filter stays in compiled code", function()
    assert_compiled("jobs/unix_filter.lua match=ERROR <" .. repeated("jobs/data/app.log", 4000))
  end)

  -- What is still given up when half of the rows are through, with operator, file, line and reason. One thing is
  -- let pass: at the end of a buffer a site of many strings leaves its trace, once in thousands of rows, and has
  -- too many values in registers to be compiled from there. Where batches end depends on the load of the machine,
  -- and a trace begun at such an edge may be given up: one run of six must have none.
  local function assert_steady(command)
    local late
    for _ = 1, 6 do
      local report = doctor(command)
      assert.is_truthy(report:find("after warm-up", 1, true), report)
      late = {}
      for line in report:gmatch "after warm%-up, at row [^\n]*" do
        if not line:find ": encode:%d+: NYI: register coalescing too complex" then late[#late + 1] = line end
      end
      if #late == 0 then return end
    end
    assert.equal("", table.concat(late, "\n"))
  end

  for job, data in pairs(jobs) do
    it("sees no trace aborted by " .. job .. " after warm-up", function()
      assert_steady("jobs/" .. job .. ".lua input=" .. repeated("jobs/data/" .. data, 4000))
    end)
  end

  it("sees no trace aborted by unix_filter after warm-up", function()
    assert_steady("jobs/unix_filter.lua match=ERROR <" .. repeated("jobs/data/app.log", 4000))
  end)

  it("sees no trace aborted by clean_csv after warm-up", function()
    assert_steady(("jobs/clean_csv.lua input=%s bad=%s/bad.ndjson"):format(
      repeated("jobs/data/payments.csv", 4000), folder))
  end)

  for path in shell.run "ls jobs/nexmark/q*.lua":gmatch "[^\n]+" do
    it("sees no trace aborted by " .. path .. " after warm-up", function()
      assert_steady(path .. " count=100000 sink=discard")
    end)
  end

  it("tells what is aborted after warm-up", function()
    local path = folder .. "/late.lua"
    local file = assert(io.open(path, "w"))
    file:write [[
local weir = require "weir"
local job = weir.job "late"
local function wasteful(n)
  local f = function() return n end
  return { n = f() }
end
job:source(weir.sequence { to = 100000 })
  :map(function(n)
    if n > 80000 then return wasteful(n) end
    return { n = n }
  end):name "turning":sink(weir.discard())
]]
    file:close()
    local report = doctor(path)
    assert.is_truthy(report:find('after warm%-up, at row %d+: [^\n]*late.lua:4: NYI: bytecode FNEW'), report)
  end)

  it("names line, operator, reason and a hint for what is planted", function()
    local path = folder .. "/slow.lua"
    local file = assert(io.open(path, "w"))
    file:write [[
local weir = require "weir"
local job = weir.job "slow"
job:source(weir.sequence { to = 20000 })
  :map(function(n)
    local f = function() return n end
    return { n = f() }
  end):name "wasteful":sink(weir.discard())
]]
    file:close()
    local report = doctor(path)
    assert.is_truthy(report:find('slow.lua:5 in operator "wasteful": NYI: bytecode FNEW', 1, true), report)
    assert.is_truthy(report:find("a function is made for each record; make it once, outside", 1, true), report)
  end)

  it("is also an option of run", function()
    local _, code, err = shell.run(shell.weir .. " run --doctor jobs/enrich.lua")
    assert.equal(0, code, err)
    assert.is_truthy(err:find("doctor: broadcast, subtask 0 of 1", 1, true), err)
  end)
end)
