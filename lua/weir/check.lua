-- SPDX-License-Identifier: Apache-2.0
--- What can only be judged when the whole graph is drawn: errors at the line that drew the operator, and
--- warnings for `weir check`.

local where = require "weir.where"
local uids = require "weir.uids"

local M = {}

--- Does the operator keep state or timers?
---@param node weir.Node
---@return boolean
function M.stateful(node)
  local fn = type(node.fn) == "table" and node.fn or {}
  return node.states ~= nil or node.kind == "async" or fn.timer ~= nil or next(fn.state or {}) ~= nil
    or next(fn.broadcast_state or {}) ~= nil
end

--- All inputs of a node, each with its number 0 or 1.
function M.inputs(node)
  local out = {}
  for _, input in ipairs(node.inputs) do out[#out + 1] = { input = input, number = 0 } end
  for _, input in ipairs(node.inputs2 or {}) do out[#out + 1] = { input = input, number = 1 } end
  return out
end

-- read[id][tag] = true: someone reads that output.
local function readers(job)
  local read = {}
  for _, node in ipairs(job.nodes) do read[node.id] = {} end
  for _, node in ipairs(job.nodes) do
    for _, each in ipairs(M.inputs(node)) do
      read[each.input.node][each.input.tag] = true
    end
  end
  return read
end

local function check_ends(job, read)
  local sources = 0
  for _, node in ipairs(job.nodes) do
    if node.role == "source" then sources = sources + 1 end
    if node.role ~= "sink" and next(read[node.id]) == nil then
      where.fail_at(node.where, '%s "%s" leads nowhere: end the stream with :sink(…), weir.discard() drops its '
        .. "records", node.role or "operator", node.name)
    end
  end
  if sources == 0 then
    where.fail_at(job.where or nil, 'job "%s" has no source: begin with job:source(weir.files { path = … })',
      job.name)
  end
end

local function check_dead_letters(job, read, policy_of)
  for _, node in ipairs(job.nodes) do
    if node.on_error == "dead_letter" and not read[node.id].dead_letter then
      where.fail_at(node.where, 'nobody reads the dead letters of operator "%s": add '
        .. 'stream:side_output("dead_letter"), or take on_error "skip"', node.name)
    end
    for _, each in ipairs(M.inputs(node)) do
      local from = job.nodes[each.input.node]
      if each.input.tag == "dead_letter" and not from.helper and policy_of(from) ~= "dead_letter" then
        where.fail_at(each.input.where, 'operator "%s" has no dead letters: its errors %s; add :on_error '
          .. '"dead_letter" to it', from.name, policy_of(from) == "skip" and "are skipped" or "fail the job")
      end
    end
  end
end

-- All operators from which records come to these inputs: id → node.
local function ancestors(job, inputs, found)
  for _, input in ipairs(inputs) do
    local node = job.nodes[input.node]
    if not found[node.id] then
      found[node.id] = node
      ancestors(job, node.inputs, found)
      ancestors(job, node.inputs2 or {}, found)
    end
  end
  return found
end

-- A stream that is read to its end first must have one, and may not come from what is held back for it.
local function check_complete(job)
  for _, node in ipairs(job.nodes) do
    if type(node.fn) == "table" and node.fn.complete then
      local held = ancestors(job, node.inputs, {})
      for id, from in pairs(ancestors(job, node.inputs2, {})) do
        if from.role == "source" and not from.bounded then
          where.fail_at(node.where, 'operator "%s" reads its broadcast stream to the end first (complete), but '
            .. 'source "%s" has no end', node.name, from.name)
        elseif held[id] then
          where.fail_at(node.where, 'operator "%s" reads its broadcast stream to the end first (complete), but both '
            .. 'its streams come from "%s", which cannot be held back and read at once: read it twice', node.name,
            from.name)
        end
      end
    end
  end
end

-- What two operators would take from each other, or write over each other.
local function check_shared(job)
  local reader, writers = nil, {}
  for _, node in ipairs(job.nodes) do
    if node.kind == "stdin" or node.kind == "logged_stdin" then
      if reader then
        where.fail_at(node.where, "standard input is read by another source already (%s), and each of its lines comes "
          .. "once: draw both streams from one source", reader.where or reader.name)
      end
      reader = node
    elseif node.kind == "file" or node.kind == "file_once" then
      local path = node.options.path
      local other = writers[path]
      local both_append = other and node.kind == "file" and other.kind == "file" and node.options.append
        and other.options.append -- whole lines each: nothing is lost
      if other and not both_append then
        where.fail_at(node.where, 'sink "%s" writes the file "%s", and so does another one (%s): give each its own, or '
          .. "one sink the union of their streams", node.name, path, other.where or other.name)
      end
      writers[path] = node
    end
  end
end

-- The sources without end from which the records of a sink come that commits at checkpoints, or at the end.
local function without_end(job, node)
  if not node.logged then return nil end
  for _, from in pairs(ancestors(job, node.inputs, {})) do
    if from.role == "source" and not from.bounded then return from end
  end
end

local needs_checkpoints = 'sink "%s" commits at checkpoints, or at the end of its input, and source "%s" has no end: %s'

local function check_guarantees(job, remedy)
  for _, node in ipairs(job.nodes) do
    local from = without_end(job, node)
    if from then where.fail_at(node.where, needs_checkpoints, node.name, from.name, remedy) end
  end
end

-- A log of what was read lies beside the checkpoints.
local function check_logs(job, remedy)
  for _, node in ipairs(job.nodes) do
    if node.options.wal then
      where.fail_at(node.where, 'operator "%s": wal = true keeps its log beside the checkpoints: %s', node.name, remedy)
    end
  end
end

--- Checks the drawn graph and gives every operator its uid.
---@param job weir.Job
---@param policy_of fun(node: weir.Node): string
---@param remedy? string the job is about to run without checkpoints: what to do where some are needed
function M.graph(job, policy_of, remedy)
  uids.assign(job)
  local read = readers(job)
  check_ends(job, read)
  check_shared(job)
  check_complete(job)
  check_dead_letters(job, read, policy_of)
  if not remedy then return end
  check_guarantees(job, remedy)
  check_logs(job, remedy)
end

--- What is allowed, and probably not meant. In order of drawing.
---@param job weir.Job
---@param policy_of fun(node: weir.Node): string
---@return string[]
function M.warnings(job, policy_of)
  local out = {}
  local read = readers(job)
  local bounded = true
  for _, node in ipairs(job.nodes) do
    if node.role == "source" and not node.bounded then bounded = false end
  end
  local function warn(node, text, ...)
    out[#out + 1] = (node.where and node.where .. ": " or "") .. text:format(...)
  end
  for _, node in ipairs(job.nodes) do
    if node.uid_derived and M.stateful(node) then
      warn(node, 'operator "%s" keeps state under the derived uid "%s": renaming it or its inputs would lose '
        .. 'the state; pin it with :uid "…"', node.name, node.uid)
    end
    if node.options.emit == "final" and not bounded then
      warn(node, 'operator "%s" emits at the end of input only (emit = "final"), and the input has no end',
        node.name)
    end
    if policy_of(node) == "dead_letter" and node.on_error == nil and not node.inherit
      and not read[node.id].dead_letter then
      warn(node, 'nobody reads the dead letters of operator "%s": its failed records are counted and dropped',
        node.name)
    end
  end
  return out
end

return M
