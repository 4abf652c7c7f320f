-- SPDX-License-Identifier: Apache-2.0
--- Graphs for people and tools: a job as it was drawn (logical) and as it runs (physical), as a text tree,
--- Graphviz, Mermaid or JSON.
---
--- Both kinds become one model first, { title, nodes = { id, label, notes, role }, edges = { from, to,
--- label } }, and every notation is written from that model.

local check = require "weir.check"
local jsontext = require "weir.jsontext"

local M = {}

---------------------------------------------------------------- models

local function shown_key(names)
  local out = {}
  for i, name in ipairs(names) do out[i] = name:byte() == 1 and "fn " .. name:sub(2) or name end
  return table.concat(out, ", ")
end

local function label_of(partition, key, tag, input)
  local out = {}
  if partition then
    out[#out + 1] = key and ("%s(%s)"):format(partition, shown_key(key)) or partition
  end
  if tag and tag ~= "" then out[#out + 1] = "side output " .. tag end
  if input == 1 then out[#out + 1] = "input 2" end
  return table.concat(out, ", ")
end

-- What a sink promises of its records after a crash, with checkpoints of this mode: where barriers wait for nobody,
-- rows that came between them come again. Without checkpoints nobody knows what was written.
local function promised(node, mode)
  if mode == "none" then return node.guarantee and mode end
  local exactly = node.guarantee == "exactly_once"
  return exactly and mode == "at_least_once" and mode or node.guarantee
end

local guarantees = {
  none = "guarantee: none", at_least_once = "guarantee: at least once", exactly_once = "guarantee: exactly once",
}

--- The operators as they were drawn.
---@param job weir.Job
---@param mode? "exactly_once"|"at_least_once"|"none" of its checkpoints
---@return table model
function M.logical(job, mode)
  local nodes, edges = {}, {}
  for id, node in ipairs(job.nodes) do
    local notes = {}
    if node.verb ~= node.name then notes[#notes + 1] = node.verb end
    if node.role then notes[#notes + 1] = node.role end
    if node.guarantee then notes[#notes + 1] = guarantees[promised(node, mode)] end
    if node.parallelism then notes[#notes + 1] = "parallelism " .. node.parallelism end
    if not node.uid_derived then notes[#notes + 1] = "uid " .. node.uid end
    nodes[id] = {
      id = id, label = node.name, notes = notes, role = node.role or "operator", place = node.where,
    }
    for _, each in ipairs(check.inputs(node)) do
      local input = each.input
      edges[#edges + 1] = {
        from = input.node, to = id,
        label = label_of(input.partition, input.key and input.key.names, input.tag, each.number),
      }
    end
  end
  return { title = job.name .. " (logical)", nodes = nodes, edges = edges }
end

local function stage_note(stage)
  return stage.kind == stage.name and stage.kind or ("%s: %s"):format(stage.kind, stage.name)
end

-- The side output that an edge of the plan carries.
local function tag_of(plan, number)
  for _, vertex in ipairs(plan.vertices) do
    for _, stage in ipairs(vertex.stages) do
      for _, out in ipairs(stage.outs) do
        for _, target in ipairs(out.targets) do
          if target.edge == number then return out.tag end
        end
      end
    end
  end
end

--- The tasks as they run: chains, subtasks, exchanges.
---@param plan table
---@return table model
function M.physical(plan)
  local nodes, edges = {}, {}
  for i, vertex in ipairs(plan.vertices) do
    local notes = {}
    for j, stage in ipairs(vertex.stages) do notes[j] = "[" .. stage_note(stage) .. "]" end
    nodes[i] = {
      id = i, label = ("%s ×%d"):format(vertex.name, vertex.parallelism), notes = notes,
      role = vertex.inputs == 0 and "source" or "operator",
    }
  end
  for i, edge in ipairs(plan.edges) do
    edges[i] = {
      from = edge.from + 1, to = edge.to + 1,
      label = label_of(edge.partition, edge.key, tag_of(plan, i - 1), edge.input),
    }
  end
  local title = ("%s (physical, %s)"):format(plan.job.name, plan.job.bounded and "bounded" or "without end")
  return { title = title, nodes = nodes, edges = edges }
end

---------------------------------------------------------------- text

local function children_of(model)
  local children, has_input = {}, {}
  for _, edge in ipairs(model.edges) do
    children[edge.from] = children[edge.from] or {}
    table.insert(children[edge.from], edge)
    has_input[edge.to] = true
  end
  return children, has_input
end

local function width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

--- A tree from the sources down. What has several inputs is drawn below the first; the others point to it.
---@param model table
---@return string
function M.text(model)
  local children, has_input = children_of(model)
  local rows, drawn = {}, {}
  local function row(left, node, again)
    local notes = {}
    for i, note in ipairs(again and {} or node.notes) do notes[i] = note end
    if not again and node.place then notes[#notes + 1] = node.place end
    rows[#rows + 1] = { left .. node.label .. (again and " (drawn above)" or ""), table.concat(notes, "  ") }
  end
  local function draw(node, lead, branch, edge)
    local arrow = edge and edge.label ~= "" and "─" .. edge.label .. "─▶ " or edge and "─ " or ""
    local again = drawn[node.id]
    row(lead .. branch .. arrow, node, again)
    if again then return end
    drawn[node.id] = true
    local below = lead .. (branch == "├" and "│ " or branch == "└" and "  " or "")
    local out = children[node.id] or {}
    for i, each in ipairs(out) do
      draw(model.nodes[each.to], below, i == #out and "└" or "├", each)
    end
  end
  for _, node in ipairs(model.nodes) do
    if not has_input[node.id] then draw(node, "", "", nil) end
  end
  local widest = 0
  for _, r in ipairs(rows) do
    if r[2] ~= "" then widest = math.max(widest, width(r[1])) end
  end
  local out = { model.title }
  for _, r in ipairs(rows) do
    out[#out + 1] = r[2] == "" and r[1] or r[1] .. (" "):rep(widest - width(r[1]) + 2) .. r[2]
  end
  return table.concat(out, "\n") .. "\n"
end

---------------------------------------------------------------- Graphviz and Mermaid

local shapes = { source = "cds", sink = "note", operator = "box" }

local function dot_string(s)
  return '"' .. s:gsub('["\\]', "\\%0"):gsub("\n", "\\n") .. '"'
end

--- Graphviz: `weir graph --format=dot job.lua | dot -Tsvg`.
---@param model table
---@return string
function M.dot(model)
  local out = {
    "digraph " .. dot_string(model.title) .. " {",
    "  rankdir=LR; node [fontname=sans]; edge [fontname=sans];",
  }
  for _, node in ipairs(model.nodes) do
    local label = node.label .. (#node.notes > 0 and "\n" .. table.concat(node.notes, "\n") or "")
    out[#out + 1] = ("  n%d [shape=%s, label=%s];"):format(node.id, shapes[node.role], dot_string(label))
  end
  for _, edge in ipairs(model.edges) do
    out[#out + 1] = ("  n%d -> n%d%s;"):format(edge.from, edge.to,
      edge.label ~= "" and " [label=" .. dot_string(edge.label) .. "]" or "")
  end
  out[#out + 1] = "}\n"
  return table.concat(out, "\n")
end

local function mermaid_string(s)
  return '"' .. s:gsub('"', "#quot;"):gsub("\n", "<br>") .. '"'
end

--- Mermaid: for a page of documentation.
---@param model table
---@return string
function M.mermaid(model)
  local out = { "flowchart LR" }
  for _, node in ipairs(model.nodes) do
    local label = node.label .. (#node.notes > 0 and "\n" .. table.concat(node.notes, "\n") or "")
    out[#out + 1] = ("  n%d[%s]"):format(node.id, mermaid_string(label))
  end
  for _, edge in ipairs(model.edges) do
    out[#out + 1] = ("  n%d -->%s n%d"):format(edge.from,
      edge.label ~= "" and "|" .. mermaid_string(edge.label) .. "|" or "", edge.to)
  end
  return table.concat(out, "\n") .. "\n"
end

---------------------------------------------------------------- JSON

local function logical_json(job, mode)
  local nodes = jsontext.list()
  for id, node in ipairs(job.nodes) do
    local inputs = jsontext.list()
    for i, each in ipairs(check.inputs(node)) do
      inputs[i] = {
        node = each.input.node, tag = each.input.tag, input = each.number, partition = each.input.partition,
        key = each.input.key and each.input.key.as,
      }
    end
    nodes[id] = {
      id = id, kind = node.kind, name = node.name, uid = node.uid, uid_derived = node.uid_derived,
      where = node.where, role = node.role or "operator", parallelism = node.parallelism, inputs = inputs,
      guarantee = promised(node, mode),
    }
  end
  return { job = job.name, nodes = nodes }
end

local function physical_json(plan)
  local vertices, edges = jsontext.list(), jsontext.list()
  for i, vertex in ipairs(plan.vertices) do
    local stages = jsontext.list()
    for j, stage in ipairs(vertex.stages) do
      local operators = jsontext.list()
      for k, op in ipairs(stage.operators) do operators[k] = { id = op.id, name = op.name, uid = op.uid } end
      stages[j] = { kind = stage.kind, name = stage.name, operators = operators }
    end
    vertices[i] = {
      name = vertex.name, uid = vertex.uid, parallelism = vertex.parallelism,
      max_parallelism = vertex.max_parallelism, slot_group = vertex.slot_group, stages = stages,
    }
  end
  for i, edge in ipairs(plan.edges) do
    edges[i] = {
      from = edge.from, to = edge.to, input = edge.input, partition = edge.partition, name = edge.name,
      key = edge.key and shown_key(edge.key),
    }
  end
  return { bounded = plan.job.bounded, vertices = vertices, edges = edges }
end

--- Both graphs as one JSON object on one line. Vertices count from 0, operators from 1, as in the plan.
---@param job weir.Job
---@param plan table
---@param view? "logical"|"physical"
---@param mode? "exactly_once"|"at_least_once"|"none" of its checkpoints
---@return string
function M.json(job, plan, view, mode)
  local out = { job = job.name }
  if view ~= "physical" then out.logical = logical_json(job, mode) end
  if view ~= "logical" then out.physical = physical_json(plan) end
  return jsontext.encode(out) .. "\n"
end

return M
