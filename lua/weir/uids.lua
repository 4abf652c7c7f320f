-- SPDX-License-Identifier: Apache-2.0
--- Uids: the names under which state is found again.
---
--- A script pins them with `:uid "…"`. A derived uid is made of what the operator is, its name and the names
--- of its inputs, not of its position, so that inserting an operator elsewhere changes nothing (P15):
--- `count<flat_map>`, `process:dedup<orders,payments>`. Two operators that agree in all of it are told
--- apart by their order in the script: `map<files>`, `map<files>#2`.

local where = require "weir.where"

local M = {}

-- Helpers that only compute a key or a channel are invisible: their input is the name that counts, and their dead
-- letters are those of the operator behind them.
local function input_name(job, input)
  local node = job.nodes[input.node]
  if node.helper and input.tag ~= "" then return nil end
  while node.helper do
    input = node.inputs[1]
    node = job.nodes[input.node]
  end
  return input.tag ~= "" and node.name .. "." .. input.tag or node.name
end

local function derived(job, node)
  local inputs = {}
  for _, list in ipairs { node.inputs, node.inputs2 or {} } do
    for _, input in ipairs(list) do inputs[#inputs + 1] = input_name(job, input) end
  end
  return node.verb .. (node.name ~= node.verb and ":" .. node.name or "")
    .. (#inputs > 0 and "<" .. table.concat(inputs, ",") .. ">" or "")
end

--- Gives every operator without a uid a derived one. Two operators with the same uid are an error at the
--- line of the second.
---@param job weir.Job
function M.assign(job)
  local owner, count = {}, {}
  for _, node in ipairs(job.nodes) do
    if not node.uid_derived then
      local first = owner[node.uid]
      if first then
        where.fail_at(node.where, 'uid "%s" is taken by operator "%s" (%s); each operator needs its own',
          node.uid, first.name, first.where or "?")
      end
      owner[node.uid] = node
    end
  end
  for _, node in ipairs(job.nodes) do
    if node.uid_derived then
      local base = derived(job, node)
      local uid
      repeat
        count[base] = (count[base] or 0) + 1
        uid = count[base] == 1 and base or base .. "#" .. count[base]
      until not owner[uid]
      node.uid, owner[uid] = uid, node
    end
  end
end

return M
