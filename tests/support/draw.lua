--- Draws jobs from the text of a script, for the specs of the builder and the planner.
--- The script is called "job.lua", so that messages can be compared as a whole.

local job_module = require "weir.job"
local planner = require "weir.plan"

local M = {}

local head = 'local weir = require "weir" local job = weir.job "test" '

--- Runs a script; `weir` and `job` are there already, on its first line.
---@param text string
---@param args? table<string, string>
---@return weir.Job
function M.job(text, args)
  job_module.prepare { args = args or {} }
  local chunk = assert(loadstring(head .. text, "@job.lua"))
  return chunk() or job_module.current()
end

--- Runs and plans a script.
---@return table plan
---@return string[] warnings
---@return weir.Job
function M.plan(text, settings)
  local job = M.job(text)
  local plan, warnings = planner.make(job, settings)
  return plan, warnings, job
end

--- The error of a script that cannot be drawn or planned.
---@return string
function M.error(text, settings)
  local ok, err = pcall(M.plan, text, settings)
  assert(not ok, "the script was drawn without an error")
  return err
end

return M
