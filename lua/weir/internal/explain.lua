-- SPDX-License-Identifier: Apache-2.0
--- `weir check --explain`: the loops that will be generated, before any row was seen.
---
--- The real generator runs on a stage that is never entered. What it cannot know yet is the shape of the
--- rows: fields that the functions name are taken to be strings, and each text says what it took.

local ffi = require "ffi"
local chain = require "weir.internal.chain"
local loops = require "weir.internal.loops"
local names = require "weir.internal.names"
local row_encode = require "weir.internal.row_encode"

local M = {}

local lines = { line = "", offset = 0, path = "" }
local reads_lines = { files = true, stdin = true, tcp = true }

-- A record as it may reach the stage.
local function sample(vertex, plan, stage, input)
  if plan == vertex.stages[2] and reads_lines[vertex.stages[1].kind]
    and vertex.stages[1].options.format == "lines" then
    return lines
  end
  local functions = {}
  for k, node in ipairs(stage.ops) do functions[k] = loops.function_of(node, k == 1 and input or 0) end
  local record = {}
  for _, root in ipairs(stage.roots) do
    for name in pairs(names.wanted(stage, root, functions) or {}) do record[name] = "" end
  end
  return next(record) and record or { value = "" }
end

-- A stage that looks like one that runs, and is not: nothing is behind its ports.
local function hollow(plan, nodes)
  local count = math.max(1, #plan.outs)
  local outs, pointers = ffi.new("struct wr_out[?]", count), ffi.new("struct wr_out *[?]", count)
  for i = 0, count - 1 do pointers[i] = outs + i end
  local shared = ffi.new "struct wr_lua"
  shared.outs = pointers
  local entry = chain.new(shared, plan, nodes)
  return entry.stage, { outs, pointers, shared }
end

local opening = { ["function"] = 1, ["do"] = 1, ["then"] = 1, ["repeat"] = 1 }
local closing = { ["end"] = 1, ["until"] = 1, ["elseif"] = 1 }

-- How many blocks a line opens and closes, and whether it begins with the end of one.
local function blocks(line)
  local code = line:gsub('"[^"]*"', ""):gsub("'[^']*'", "")
  local delta, first = 0, code:match "^%a+"
  for word in code:gmatch "[%a_][%w_]*" do
    delta = delta + (opening[word] or 0) - (closing[word] or 0)
  end
  return delta, closing[first] == 1 or first == "else"
end

local function indented(text)
  local out, depth = {}, 0
  for line in text:gmatch "[^\n]+" do
    local delta, ends = blocks(line)
    out[#out + 1] = ("  "):rep(depth - (ends and 1 or 0)) .. line
    depth = depth + delta
  end
  return table.concat(out, "\n")
end

local function fields(record)
  local out = {}
  for name in pairs(record) do out[#out + 1] = name end
  table.sort(out)
  return table.concat(out, ", ")
end

--- The generated text of every Lua stage of a plan.
---@param job weir.Job
---@param plan table
---@return string
function M.text(job, plan)
  local out = {}
  for _, vertex in ipairs(plan.vertices) do
    for _, stage_plan in ipairs(vertex.stages) do
      if stage_plan.kind == "lua" then
        local stage, keep = hollow(stage_plan, job.nodes)
        for input = 0, math.max(1, vertex.inputs) - 1 do
          local record = sample(vertex, stage_plan, stage, input)
          out[#out + 1] = ("---- %s%s, for rows { %s } ----\n%s\n"):format(stage_plan.name,
            vertex.inputs == 2 and (", input %d"):format(input + 1) or "", fields(record),
            indented(chain.text(stage, input, row_encode.learn(record))))
        end
        keep[1] = nil
      end
    end
  end
  return table.concat(out, "\n")
end

return M
