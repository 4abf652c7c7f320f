-- SPDX-License-Identifier: Apache-2.0
--- The verbs that are written in Lua. Each gives the text that goes to standard output.

local graph = require "weir.graph"
local jsontext = require "weir.jsontext"

local M = {}

local notations = { text = graph.text, dot = graph.dot, mermaid = graph.mermaid }

---@class weir.GraphOptions
---@field format? "text"|"dot"|"mermaid"|"json" default text
---@field view? "logical"|"physical" default both
---@field json? boolean the same as format = "json"
---@field mode? "exactly_once"|"at_least_once"|"none" of checkpoints, default that of the job

--- `weir graph`: the job as it was drawn and as it runs.
---@param job weir.Job
---@param plan table
---@param opts? weir.GraphOptions
---@return string
function M.graph(job, plan, opts)
  opts = opts or {}
  local mode = opts.mode or (job.options.checkpoint or {}).mode
  if opts.json or opts.format == "json" then return graph.json(job, plan, opts.view, mode) end
  local write = notations[opts.format or "text"]
  if not write then error("unknown notation of graphs: " .. tostring(opts.format), 0) end
  local out = {}
  if opts.view ~= "physical" then out[#out + 1] = write(graph.logical(job, mode)) end
  if opts.view ~= "logical" then out[#out + 1] = write(graph.physical(plan)) end
  return table.concat(out, "\n")
end

local function counts(job, plan)
  local subtasks, stages = 0, 0
  for _, vertex in ipairs(plan.vertices) do
    subtasks = subtasks + vertex.parallelism
    stages = stages + #vertex.stages
  end
  return { operators = #job.nodes, tasks = #plan.vertices, stages = stages, subtasks = subtasks }
end

---@class weir.CheckOptions
---@field warnings? string[] as the planner gave them
---@field files? { name: string, bytes: integer }[] of the bundle, the script first
---@field hash? string of the bundle
---@field explain? boolean show the generated code of each chain
---@field json? boolean

local function plural(n, noun)
  return ("%d %s%s"):format(n, noun, n == 1 and "" or "s")
end

local function explained(job, plan)
  return "\n" .. require("weir.internal.explain").text(job, plan)
end

--- `weir check`: everything was built; says what, lists the bundle's files and the warnings.
---@param job weir.Job
---@param plan table
---@param opts? weir.CheckOptions
---@return string
function M.check(job, plan, opts)
  opts = opts or {}
  local n = counts(job, plan)
  local files, warnings = opts.files or {}, opts.warnings or {}
  if opts.json then
    return jsontext.encode {
      job = job.name, bounded = plan.job.bounded,
      operators = n.operators, tasks = n.tasks, subtasks = n.subtasks,
      files = jsontext.list(files), hash = opts.hash, warnings = jsontext.list(warnings),
    } .. "\n"
  end
  local out = {
    ("%s: %s in %s, %s; %s"):format(job.name, plural(n.operators, "operator"), plural(n.tasks, "task"),
      plural(n.subtasks, "subtask"), plan.job.bounded and "ends with its input" or "runs without end"),
  }
  if #files > 0 then out[#out + 1] = "bundle" .. (opts.hash and " " .. opts.hash or "") .. ":" end
  for _, file in ipairs(files) do
    out[#out + 1] = file.bytes and ("  %s (%d bytes)"):format(file.name, file.bytes) or "  " .. file.name
  end
  for _, warning in ipairs(warnings) do out[#out + 1] = "warning: " .. warning end
  if #warnings == 0 then out[#out + 1] = "no warnings" end
  return table.concat(out, "\n") .. "\n" .. (opts.explain and explained(job, plan) or "")
end

return M
