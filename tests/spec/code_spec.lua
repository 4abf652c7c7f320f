--- The letters that stand for the code of an operator (lua/weir/internal/code.lua): equal where a reload would change
--- nothing, others where it would.

local job_module = require "weir.job"
local planner = require "weir.plan"

-- Of the operator "op" of a script. Globals of the script are its own, as in the program.
local function code_of(text)
  job_module.prepare { args = {} }
  local script = assert(loadstring('local weir = require "weir" local job = weir.job "test" ' .. text
    .. ' job:source(weir.from { { a = 1 } }):map(fn):name "op":sink(weir.print()) return job', "@job.lua"))
  local plan = planner.make(setfenv(script, setmetatable({}, { __index = _G }))())
  for _, vertex in ipairs(plan.vertices) do
    for _, stage in ipairs(vertex.stages) do
      for _, op in ipairs(stage.operators) do
        if op.name == "op" then return op.code end
      end
    end
  end
end

local base = "local factor = 2 local list = { 1, { 2 } } local function twice(x) return factor * x + list[1] end "
local calls = "local function fn(r) return { a = twice(r.a) } end"

describe("the code of an operator", function()
  it("is the same wherever in the file its functions stand", function()
    assert.equal(code_of(base .. calls), code_of("\n\n" .. base .. "\n" .. calls))
  end)

  local cases = {
    ["the function itself"] = { base .. calls, base .. calls:gsub("a = twice", "b = twice") },
    ["a function that it calls"] = { base .. calls, base:gsub("x %+", "x -") .. calls },
    ["a value that it closes over"] = { base .. calls, base:gsub("factor = 2", "factor = 3") .. calls },
    ["a table that it closes over"] = { base .. calls, base:gsub("{ 2 }", "{ 3 }") .. calls },
    ["a global function that it calls"] = {
      "function twice(x) return 2 * x end " .. calls, "function twice(x) return 3 * x end " .. calls,
    },
    ["a global value"] = { "limit = 1 local function fn() return { a = limit } end",
      "limit = 2 local function fn() return { a = limit } end" },
    ["a global function that a function made in it calls"] = {
      "function twice(x) return 2 * x end local function fn(r) return { a = (function() return twice(r.a) end)() } end",
      "function twice(x) return 3 * x end local function fn(r) return { a = (function() return twice(r.a) end)() } end",
    },
  }
  for what, versions in pairs(cases) do
    it("is another one where " .. what .. " is", function()
      assert.equal(code_of(versions[1]), code_of(versions[1]))
      assert.is_true(code_of(versions[1]) ~= code_of(versions[2]))
    end)
  end
end)
