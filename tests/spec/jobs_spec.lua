local planner = require "weir.plan"
local job_module = require "weir.job"

describe("each job of jobs/", function()
  for path in io.popen("ls jobs/*.lua"):lines() do
    it(path .. " is planned without a warning, the same each time", function()
      local function drawn()
        job_module.prepare { args = {} }
        local job = dofile(path)
        return job, planner.make(job, { parallelism = 2 })
      end
      local job, plan, warnings = drawn()
      assert.same({}, warnings)
      local again, second = drawn()
      assert.same(plan, second)
      assert.is_nil(planner.difference(planner.fingerprint(job), planner.fingerprint(again)))
      assert.equal(path:match "([%w_]+)%.lua$", job.name)
    end)

    it(path .. " says at its top how to run it", function()
      local file = assert(io.open(path))
      local text = file:read "*a"
      file:close()
      assert.matches("^%-%-%- " .. path:match "([%w_]+)%.lua$" .. ": ", text)
      assert.matches("%-%-%-   weir run [^\n]*" .. path:gsub("%p", "%%%0"), text)
    end)
  end
end)
