-- SPDX-License-Identifier: Apache-2.0
--- The same graph each time the script runs: what an operator must agree in, and who differs.
---
--- The script draws its graph when the job is planned and once more in every subtask. Functions are found
--- by their place in the graph, so a script that draws another one would run the wrong functions.

local M = {}

--- The keyed states of an operator, as the plan has them; nil if it has none.
---@param node weir.Node
---@return table[]?
function M.states(node)
  if node.states then return { { name = "value", kind = node.states } } end
  local fn = type(node.fn) == "table" and node.fn or {}
  local states = require("weir.state").sorted(fn.state)
  return #states > 0 and states or nil
end

local function inputs_text(inputs)
  local out = {}
  for i, input in ipairs(inputs or {}) do
    out[i] = input.node .. (input.tag ~= "" and "." .. input.tag or "")
      .. (input.partition and " " .. input.partition or "")
      .. (input.key and "(" .. table.concat(input.key.names, ",") .. ")" or "")
  end
  return table.concat(out, ", ")
end

--- What an operator must agree in each time the script runs, as text.
---@param node weir.Node
---@return string
function M.sign(node)
  local out = { node.kind, ' "', node.name, '"', node.where and " at " .. node.where or "" }
  if #node.inputs > 0 then out[#out + 1] = " from " .. inputs_text(node.inputs) end
  if node.inputs2 then out[#out + 1] = " and " .. inputs_text(node.inputs2) end
  for _, state in ipairs(M.states(node) or {}) do
    out[#out + 1] = ("; state %s %s"):format(state.name, state.kind)
  end
  return table.concat(out)
end

--- The whole graph as a list of such texts, by operator id.
---@param job weir.Job
---@return string[]
function M.of(job)
  local out = {}
  for id, node in ipairs(job.nodes) do out[id] = M.sign(node) end
  return out
end

local function differs(id, first, now)
  if first == now then return nil end
  return ("the script draws another graph when it runs again: operator %d was %s, and is now %s. It must draw the "
    .. "same graph each time; what it draws may depend on job.args only"):format(id, first or "not there",
    now or "missing")
end

--- Compares two fingerprints: nil, or a message that names the first operator that differs.
---@param first string[]
---@param now string[]
---@return string?
function M.difference(first, now)
  for id = 1, math.max(#first, #now) do
    local message = differs(id, first[id], now[id])
    if message then return message end
  end
end

--- In a subtask: are the operators of its stage the ones that were planned? nil, or a message.
---@param operators table[] of the stage in the plan
---@param job weir.Job as drawn now
---@return string?
function M.verify(operators, job)
  for _, op in ipairs(operators) do
    local node = job.nodes[op.id]
    local message = differs(op.id, op.sign, node and M.sign(node))
    if message then return message end
  end
end

return M
