--- What `weir doctor` says of the aborts that it hears of (lua/weir/internal/doctor.lua). When the compiler records
--- depends on where code lies in memory, so that the rare ones are told to the doctor here as the compiler tells them.

local doctor = require "weir.internal.doctor"
local vmdef = require "jit.vmdef"

local NYI_BYTECODE, LEAVES_LOOP
for number, text in pairs(vmdef.traceerr) do
  if text == "NYI: bytecode %s" or text == "NYI: bytecode %d" then NYI_BYTECODE = number end
  if text == "leaving loop in root trace" then LEAVES_LOOP = number end
end

local function opcode(name)
  return (vmdef.bcnames:find(name, 1, true) - 1) / 6
end

-- The report of a state in which one trace was aborted, at the first instruction of `func`, at row 90,000 of 100,000.
local function report_of(func, err, info)
  local patient = doctor.attach(function() return 90000 end)
  jit.attach(patient.heard)
  patient.aborted, patient.events = {}, {}
  patient.heard("abort", 1, func, 1, err, info)
  return doctor.report(patient, {
    name = "map", ops = {}, subtask = 0, parallelism = 1, rows = 100000, lua_ns = 1e6, collect_ns = 0,
  })
end

local CLEAN = "all of it runs compiled; nothing to advise"
local STEADY = "no trace was aborted after warm-up"

describe("the doctor", function()
  it("advises a function that makes a function for each record", function()
    local report = report_of(loadstring("return function(n) return function() return n end end", "=user")(),
      NYI_BYTECODE, opcode "FNEW")
    assert.is_truthy(report:find("user:1: NYI: bytecode FNEW (1 times)", 1, true), report)
    assert.is_truthy(report:find("after warm-up, at row 90000: user:1: NYI: bytecode FNEW", 1, true), report)
    assert.is_nil(report:find(CLEAN, 1, true))
  end)

  it("has nothing to say of a text that is just being loaded", function()
    local report = report_of(loadstring("return function() end", "=encode"), NYI_BYTECODE, opcode "FNEW")
    assert.is_truthy(report:find(CLEAN, 1, true), report)
    assert.is_truthy(report:find(STEADY, 1, true), report)
  end)

  it("has nothing to say where the compiler tries again", function()
    local report = report_of(loadstring("return function() end", "=user")(), LEAVES_LOOP)
    assert.is_truthy(report:find(CLEAN, 1, true), report)
    assert.is_truthy(report:find(STEADY, 1, true), report)
  end)
end)
