-- SPDX-License-Identifier: Apache-2.0
--- The planner: from the drawn graph to the plan that the C side runs (runtime/cluster/PLAN.md).
---
---   operators ─chain─▶ vertices (one task each) ─cut─▶ stages (one C or Lua loop each)
---
--- Pure: the same graph and settings give the same plan. A vertex is a tree of operators that pass records
--- on in place (rows P12, P13); within it, neighbouring Lua operators are fused into one stage. Indexes in
--- the plan are 0-based, positions in the script's graph (operator ids) count from 1.

local check = require "weir.check"
local fingerprint = require "weir.fingerprint"
local merge = require "weir.merge"
local where = require "weir.where"

local M = {}

---@class weir.PlanSettings what the program's options say
---@field parallelism? integer default 1
---@field max_parallelism? integer
---@field on_error? "fail"|"skip"|"dead_letter"
---@field seed? integer
---@field checkpoint_mode? string what the user says of it
---@field checkpoints? boolean is the job that is run given a folder for checkpoints
---@field format? string of print sinks that say none
---@field kafka_queue_memory? integer bytes that a subtask of a source of Kafka may have fetched

local lua_kinds = {
  map = true, filter = true, flat_map = true, process = true, reduce = true, co_map = true, co_flat_map = true,
  co_process = true, broadcast_process = true, key_select = true, partition_fn = true, window_process = true,
  watermark_fn = true, async = true,
}

-- Those that are a stage of a kind of their own.
local own_stage = { watermark_fn = "lua_watermarks", async = "lua_async" }

-- A fused stage is one Lua function, and that holds at most 200 locals: some for itself, up to six for each
-- operator, one for each of its outputs.
local STAGE_LOCALS_MAX = 140
local OPERATOR_LOCALS = 6

---------------------------------------------------------------- settings of each operator

--- Number of key groups where none was asked for (P4).
---@param parallelism integer
---@return integer
function M.default_max_parallelism(parallelism)
  local n = 128
  while n < parallelism + math.floor(parallelism / 2) and n < 32768 do n = n * 2 end
  return n
end

-- settings[id] = { parallelism, max_parallelism, on_error, slot_group }
local function settle(job, given, policy_of)
  local settled = {}
  for id, node in ipairs(job.nodes) do
    local s = {}
    local before = node.inputs[1] and settled[node.inputs[1].node]
    s.parallelism = node.parallelism or node.inherit and before.parallelism or node.single and 1
      or job.options.parallelism or given.parallelism or 1
    s.max_parallelism = node.max_parallelism or node.inherit and before.max_parallelism
      or job.options.max_parallelism or given.max_parallelism or nil
    if s.max_parallelism and s.parallelism > s.max_parallelism then
      where.fail_at(node.where, 'operator "%s": parallelism %d is more than max parallelism %d', node.name,
        s.parallelism, s.max_parallelism)
    end
    s.on_error = policy_of(node)
    s.slot_group = node.slot_group
    for _, each in ipairs(check.inputs(node)) do
      local group = settled[each.input.node].slot_group
      if node.slot_group == nil then
        s.slot_group = (s.slot_group == nil or s.slot_group == group) and group or "default"
      end
    end
    s.slot_group = s.slot_group or "default"
    settled[id] = s
  end
  return settled
end

---------------------------------------------------------------- links between operators

-- Every input of every operator as { from, to, tag, input, partition, key }, in the order of the readers.
local function links_of(job, settled)
  local links = {}
  for id, node in ipairs(job.nodes) do
    for _, each in ipairs(check.inputs(node)) do
      local input = each.input
      local same = settled[input.node].parallelism == settled[id].parallelism
      if input.partition == "forward" and not same then
        where.fail_at(node.where, 'operator "%s": forward needs the same parallelism on both sides, here %d and %d; '
          .. 'use rebalance or rescale', node.name, settled[input.node].parallelism, settled[id].parallelism)
      end
      links[#links + 1] = {
        from = input.node, to = id, tag = input.tag, input = each.number, key = input.key,
        partition = input.partition or (same and "forward" or "rebalance"),
      }
    end
  end
  return links
end

-- P12: one edge in, forward, the same parallelism and slot group, and neither end objects.
local function chainable(job, settled, link)
  local from, to = job.nodes[link.from], job.nodes[link.to]
  return link.partition == "forward"
    and #to.inputs + #(to.inputs2 or {}) == 1
    and to.chain == nil and from.chain ~= "never"
    and settled[link.from].parallelism == settled[link.to].parallelism
    and settled[link.from].slot_group == settled[link.to].slot_group
end

---------------------------------------------------------------- vertices and stages

-- Rows that fail in a stage leave by one port: an operator whose dead letters are read has a stage alone. So has
-- one that makes watermarks, or waits, which is a stage of its own kind.
local function stands_alone(graph, id)
  if own_stage[graph.job.nodes[id].kind] then return true end
  if graph.settled[id].on_error ~= "dead_letter" then return false end
  for _, link in ipairs(graph.out[id]) do
    if link.tag == "dead_letter" then return true end
  end
  return false
end

local function locals_of(graph, id)
  local tags, count = {}, OPERATOR_LOCALS
  for _, link in ipairs(graph.out[id]) do
    if not tags[link.tag] then count = count + 1 end
    tags[link.tag] = true
  end
  return count
end

local function fuses(graph, stage, from, to)
  return stage.lua and lua_kinds[graph.job.nodes[to].kind] and not graph.job.nodes[to].all
    and stage.locals + locals_of(graph, to) <= STAGE_LOCALS_MAX
    and graph.settled[from].on_error == graph.settled[to].on_error
    and not stands_alone(graph, from) and not stands_alone(graph, to)
end

-- Operators in Lua that read the same output of a stage run in one stage: one Lua state, and one walk over the
-- rows. The stage behind `link.from` that the reader of `link` can join, or nil.
local function beside(graph, vertex, link)
  local node = graph.job.nodes[link.to]
  if not lua_kinds[node.kind] or node.all or node.key then return nil end
  if stands_alone(graph, link.to) then return nil end
  for _, stage in ipairs(vertex.stages) do
    local other = stage.reads
    if stage.lua and other and other.from == link.from and other.tag == link.tag
      and not stands_alone(graph, other.to) and graph.settled[stage.ids[1]].on_error == graph.settled[link.to].on_error
      and stage.locals + locals_of(graph, link.to) <= STAGE_LOCALS_MAX then
      return stage
    end
  end
end

local function new_stage(vertex, graph, id)
  local stage = {
    index = #vertex.stages, lua = lua_kinds[graph.job.nodes[id].kind], ids = { id }, locals = locals_of(graph, id),
    roots = {}, -- the operators that get the stage's input
  }
  vertex.stages[#vertex.stages + 1] = stage
  return stage
end

-- Watermarks that are aligned bid their source wait, so they must be in one chain with it.
local function check_alignment(graph)
  for id, node in ipairs(graph.job.nodes) do
    local head = graph.job.nodes[graph.vertex_of[id].head]
    if node.options.align and head.role ~= "source" then
      where.fail_at(node.where, 'operator "%s": align is about a source, and there is none in its chain: put '
        .. ":watermarks(…) directly behind the source, with its parallelism", node.name)
    end
  end
end

-- Every operator gets its vertex and its stage; readers come behind what they read.
local function place(job, settled, links)
  local graph = {
    job = job, settled = settled, links = links, out = {}, vertices = {}, vertex_of = {}, stage_of = {},
  }
  local into = {}
  for id in ipairs(job.nodes) do graph.out[id] = {} end
  for _, link in ipairs(links) do
    table.insert(graph.out[link.from], link)
    into[link.to] = into[link.to] or link
    link.chained = chainable(job, settled, link)
  end
  for id in ipairs(job.nodes) do
    local link = into[id]
    if link and link.chained then
      local vertex, stage = graph.vertex_of[link.from], graph.stage_of[link.from]
      graph.vertex_of[id] = vertex
      if not fuses(graph, stage, link.from, id) then stage = beside(graph, vertex, link) end
      if stage then
        stage.ids[#stage.ids + 1] = id
        stage.locals = stage.locals + locals_of(graph, id)
      else
        stage = new_stage(vertex, graph, id)
        stage.reads = link
      end
      if stage.reads and stage.reads.from == link.from then stage.roots[#stage.roots + 1] = id end
      graph.stage_of[id] = stage
    else
      local vertex = { index = #graph.vertices, head = id, stages = {} }
      graph.vertices[#graph.vertices + 1] = vertex
      graph.vertex_of[id] = vertex
      graph.stage_of[id] = new_stage(vertex, graph, id)
      graph.stage_of[id].roots[1] = id
    end
  end
  return graph
end

---------------------------------------------------------------- what is said of each

local function same_names(a, b)
  return table.concat(a, "\0") == table.concat(b, "\0")
end

local stateful_kinds = {
  process = true, co_process = true, broadcast_process = true, reduce = true, aggregate = true,
  window = true, window_process = true, interval_aggregate = true,
}

-- What the state of an operator in C is made for: these options must be the same when it is restored.
local laid_out_by = {
  aggregate = { "fn", "field" },
  window = { "window", "time", "size", "slide", "offset", "gap", "early_time", "every", "purge", "aggregates" },
  interval_aggregate = { "from", "to", "kind", "aggregates" },
}

local function aggregates_text(list)
  local out = {}
  for i, a in ipairs(list) do out[i] = ("%s = %s(%s)"):format(a.as or "?", a.fn or "?", a.field or "") end
  return table.concat(out, ", ")
end

local function layout_of(node, options)
  local out = {}
  for _, name in ipairs(node.states and laid_out_by[node.kind] or {}) do
    local v = options[name]
    if type(v) == "table" then
      out[#out + 1] = aggregates_text(v)
    elseif v ~= nil then
      out[#out + 1] = name == "fn" and v or name .. " " .. tostring(v)
    end
  end
  return #out > 0 and table.concat(out, ", ") or nil
end

local function describe_key(stage, node)
  if not stateful_kinds[node.kind] or not (node.key or node.key2 or node.all) then return end
  stage.states = fingerprint.states(node)
  local layout = layout_of(node, stage.options or {})
  if layout then stage.states[1].layout = layout end
  if node.all then return end
  if node.inputs2 and not (node.key and node.key2) then
    stage.key = (node.key or node.key2).names
    stage.keyed_inputs = node.key and 1 or 2
  else
    stage.key = node.key.names
    if node.key2 and not same_names(node.key.names, node.key2.names) then stage.key2 = node.key2.names end
  end
end

-- Ports: main outputs first, then side outputs, each in order of drawing; port 0 is a main one.
local function ports_of(graph, stage)
  local outs, port_of, links = {}, {}, {}
  local function port(id, tag)
    local name = id .. "\0" .. tag
    if not port_of[name] then
      outs[#outs + 1] = { tag = tag, targets = {} }
      port_of[name] = #outs
      if stage.lua then links[#links + 1] = { from = id, tag = tag, port = #outs - 1 } end
    end
    return outs[port_of[name]]
  end
  local function pass(main)
    for _, id in ipairs(stage.ids) do
      for _, link in ipairs(graph.out[id]) do
        if (link.tag == "") == main and graph.stage_of[link.to] ~= stage then
          local stage_to = not link.edge and graph.stage_of[link.to]
          if not stage_to or stage_to.roots[1] == link.to then
            table.insert(port(id, link.tag).targets,
              stage_to and { stage = stage_to.index } or { edge = link.edge })
          end
        end
      end
    end
  end
  pass(true)
  if #outs == 0 and graph.job.nodes[stage.ids[#stage.ids]].role ~= "sink" then
    outs[1] = { tag = "", targets = {} }
  end
  pass(false)
  for _, id in ipairs(stage.ids) do
    for _, link in ipairs(graph.out[id]) do
      if graph.stage_of[link.to] == stage then links[#links + 1] = { from = id, tag = link.tag, to = link.to } end
    end
  end
  return outs, links
end

local function copy(t)
  local out = {}
  for k, v in pairs(t) do out[k] = v end
  return out
end

local function without_meta(v)
  if type(v) ~= "table" then return v end
  local out = {}
  for k, each in pairs(v) do out[k] = without_meta(each) end
  return out
end

-- A format is said to the C side as its kind, and the rest of it beside: { format = "csv", csv = { … } }.
local function native_options(given)
  local out = without_meta(given)
  local format = out.format
  if type(format) == "table" then
    out.format = format.kind
    format.kind = nil
    if next(format) ~= nil then out[out.format] = format end
  end
  return out
end

local function channels_of(graph, node)
  local channels
  for _, link in ipairs(graph.out[node.id]) do
    local n = graph.settled[link.to].parallelism
    if channels and channels ~= n then
      where.fail_at(node.where, "a partitioned stream leads to operators of parallelism %d and %d: they must agree, "
        .. "or each needs a partition of its own", channels, n)
    end
    channels = n
  end
  return channels
end

local function describe_operator(graph, node)
  local op = {
    id = node.id, name = node.name, uid = node.uid, where = node.where, sign = fingerprint.sign(node),
    on_error = graph.settled[node.id].on_error,
  }
  if lua_kinds[node.kind] then op.code = require("weir.internal.code").of(node) end
  if node.kind == "partition_fn" then op.channels = channels_of(graph, node) end
  return op
end

-- "a → b", and where a chain branches "a → (b → c, d)". `within` says which links belong to it.
local function tree_name(graph, id, within)
  local names = {}
  for _, link in ipairs(graph.out[id]) do
    if within(link) then names[#names + 1] = tree_name(graph, link.to, within) end
  end
  local name = graph.job.nodes[id].name
  if #names == 0 then return name end
  return name .. " → " .. (#names == 1 and names[1] or "(" .. table.concat(names, ", ") .. ")")
end

local function stage_name(graph, stage)
  local names = {}
  for i, id in ipairs(stage.roots) do
    names[i] = tree_name(graph, id, function(link) return graph.stage_of[link.to] == stage end)
  end
  return table.concat(names, ", ")
end

-- The fields of a source's records that its readers read, sorted; nil: any may be.
local function reads_of(graph, id)
  local names, loops = require "weir.internal.names", require "weir.internal.loops"
  local view, functions, all = { ops = graph.job.nodes, links = {} }, {}, {}
  for _, node in ipairs(graph.job.nodes) do
    functions[node.id] = lua_kinds[node.kind] and loops.function_of(node, 0)
    view.links[node.id] = {}
    for i, link in ipairs(graph.out[node.id]) do
      local fused = graph.stage_of[link.to] == graph.stage_of[node.id]
      view.links[node.id][i] = { to = fused and link.to or nil }
    end
  end
  for _, link in ipairs(graph.out[id]) do
    local stage = graph.stage_of[link.to]
    if not link.chained or not stage.lua or graph.settled[link.to].on_error == "dead_letter" then return nil end
    local wanted = names.wanted(view, link.to, functions)
    if not wanted then return nil end
    for name in pairs(wanted) do all[name] = true end
  end
  local list = {}
  for name in pairs(all) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function describe_stage(graph, stage)
  local node = graph.job.nodes[stage.ids[1]]
  local outs, links = ports_of(graph, stage)
  local operators = {}
  for i, id in ipairs(stage.ids) do
    operators[i] = describe_operator(graph, graph.job.nodes[id])
  end
  local described = {
    kind = own_stage[node.kind] or stage.lua and "lua" or node.kind,
    name = stage_name(graph, stage),
    operators = operators,
    on_error = graph.settled[node.id].on_error,
    outs = outs,
  }
  if stage.lua then
    described.options = own_stage[node.kind] and without_meta(node.options) or { on_end = node.options.on_end }
    described.options.roots, described.options.links = copy(stage.roots), links
  elseif node.kind == "values" then
    described.options = copy(node.options)
  else
    described.options = native_options(node.options)
    if node.projects then described.options.reads = reads_of(graph, node.id) end
    -- a sink's functions are no others in a running job: it is built anew
    if node.kind == "lua_sink" then described.options.functions = require("weir.internal.code").of(node) end
    if node.kind == "kafka" then described.options.queue_memory = graph.kafka_queue_memory end
    if node.kind == "print" then described.options.format = described.options.format or graph.format end
  end
  describe_key(described, node)
  if type(node.fn) == "table" and node.fn.broadcast_state then
    described.broadcast = require("weir.state").sorted(node.fn.broadcast_state)
  end
  return described
end

local function describe_vertex(graph, vertex)
  local head = graph.job.nodes[vertex.head]
  local settled = graph.settled[vertex.head]
  local stages = {}
  for i, stage in ipairs(vertex.stages) do stages[i] = describe_stage(graph, stage) end
  return {
    name = tree_name(graph, vertex.head, function(link) return link.chained end),
    uid = head.uid,
    parallelism = settled.parallelism,
    max_parallelism = settled.max_parallelism or M.default_max_parallelism(settled.parallelism),
    max_derived = not settled.max_parallelism or nil,
    slot_group = settled.slot_group,
    inputs = head.role == "source" and 0 or head.inputs2 and 2 or 1,
    second_first = type(head.fn) == "table" and head.fn.complete or nil,
    stages = stages,
  }
end

-- Rows of a key may become one, unless somebody wants those that are late as they came.
local function merge_of(graph, link)
  local node = graph.job.nodes[link.to]
  for _, out in ipairs(graph.out[link.to]) do
    if out.tag ~= "" and out.tag == node.options.late then return nil end
  end
  return link.partition == "hash" and merge.of(node, link.input, link.key.names) or nil
end

local function describe_edge(graph, link)
  local from, to = graph.job.nodes[link.from], graph.job.nodes[link.to]
  return {
    name = from.name .. " → " .. to.name,
    from = graph.vertex_of[link.from].index, to = graph.vertex_of[link.to].index,
    input = link.input,
    partition = link.partition,
    key = link.key and link.key.names,
    merge = merge_of(graph, link),
    timeout = from.buffer_timeout or graph.job.options.buffer_timeout,
  }
end

---------------------------------------------------------------- the plan

local strictness = { skip = 1, dead_letter = 2, fail = 3 }

-- What happens at errors of each operator. A helper fails for those that it was drawn for: the strictest of them says.
local function policies(job, given)
  local strictest, said = {}, {}
  for id = #job.nodes, 1, -1 do
    local node = job.nodes[id]
    said[id] = strictest[id] or node.on_error or job.options.on_error or given.on_error or "fail"
    for _, each in ipairs(check.inputs(node)) do
      local before = each.input.tag == "" and each.input.node
      if before and job.nodes[before].helper
        and strictness[said[id]] > (strictest[before] and strictness[strictest[before]] or 0) then
        strictest[before] = said[id]
      end
    end
  end
  return function(node) return said[node.id] end
end

-- What helps a job that is about to run without checkpoints and needs some; nil: it has some, or nobody runs it.
local function without_checkpoints(checkpoint, given)
  if given.checkpoints == nil then return nil end
  if (given.checkpoint_mode or checkpoint.mode) == "none" then
    return 'its checkpoint mode is "none": say another, and run the job with --dir DIR'
  end
  return not (given.checkpoints or checkpoint.dir) and "run the job with --dir DIR" or nil
end

--- Plans a job. Errors name the line of the script.
---@param job weir.Job
---@param given? weir.PlanSettings
---@return table plan as in runtime/cluster/PLAN.md
---@return string[] warnings
function M.make(job, given)
  given = given or {}
  if not require("weir.job").is(job) then
    where.fail_at(nil, "the script drew no job: it begins with weir.job { … } and ends with return job")
  end
  local policy_of = policies(job, given)
  local checkpoint = job.options.checkpoint
  check.graph(job, policy_of, without_checkpoints(checkpoint or {}, given))
  local settled = settle(job, given, policy_of)
  local links = links_of(job, settled)
  local graph = place(job, settled, links)
  check_alignment(graph)
  graph.format, graph.kafka_queue_memory = given.format, given.kafka_queue_memory
  local edges, bounded = {}, true
  for _, link in ipairs(links) do
    if not link.chained then
      link.edge = #edges
      edges[#edges + 1] = describe_edge(graph, link)
    end
  end
  local vertices = {}
  for i, vertex in ipairs(graph.vertices) do vertices[i] = describe_vertex(graph, vertex) end
  for _, node in ipairs(job.nodes) do
    if node.role == "source" and not node.bounded then bounded = false end
  end
  return {
    version = 1,
    job = {
      name = job.name, bounded = bounded, seed = job.options.seed or given.seed or 0,
      max_parallelism = job.options.max_parallelism or given.max_parallelism,
      options = checkpoint and require("weir.checkpoint").flags(checkpoint),
    },
    vertices = vertices, edges = edges,
  }, check.warnings(job, policy_of)
end

--- The same graph each time the script runs: see `weir.fingerprint`.
M.fingerprint, M.difference, M.verify = fingerprint.of, fingerprint.difference, fingerprint.verify

return M
