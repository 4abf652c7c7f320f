-- SPDX-License-Identifier: Apache-2.0
--- A chain: the fused operators of one Lua stage as generated loops.
---
--- For every shape of input row one loop is generated (`weir.internal.loops`). C enters once per batch.
---
--- Stages are trees: an operator's output goes, by tag, to further operators or to ports. A stage that reads
--- what a native stage gives out may have several roots, each of which gets every row.

local ffi = require "ffi"
local border = require "weir.internal.border"
local rows = require "weir.internal.rows"
local context = require "weir.internal.context"

local C = border.C
local running = coroutine.running

local M = {}

local function loops_of() return require "weir.internal.loops" end

-- Many subtasks never allocate much again, so that what building took would stay: collected, unless the script
-- holds so much that looking through it takes longer than building did.
local SMALL_HEAP_KB = 4096
local function drop_building()
  rows.drop_builders()
  if collectgarbage "count" < SMALL_HEAP_KB then collectgarbage() end
end

-- Keys whose values of older versions are brought up behind a batch of rows, and each millisecond.
local MIGRATED_A_BATCH, MIGRATED_A_STEP = 32, 512

local LOOPS_BEFORE = 8 -- so many of those that the functions before had are made beforehand

local luap = ffi.typeof "struct wr_lua *"

--- Builds the stage and gives the functions that C calls.
---@param L_ptr userdata `struct wr_lua *`
---@param plan table the stage's part of the plan
---@param nodes table operators by id, as the script drew them
---@param known? string what the functions before had learned (`rows.remember`); nil: only the text is wanted
---@return table entry {rows, timers, open}
function M.new(L_ptr, plan, nodes, known)
  local L = ffi.cast(luap, L_ptr)
  if known then rows.remember(function(place, id) C.wr_lua_learned(L, place, id) end, known) end
  local stage = { L = L, plan = plan, name = plan.name, ops = {}, links = {}, roots = {}, pushes = {},
    keyed = {}, policies = {},
    steps = { [0] = {}, {} }, seen = { [0] = {}, {} } } -- by input and shape
  local number = {}
  for i, op in ipairs(plan.operators) do
    local node = nodes[op.id]
    stage.ops[i] = node
    number[op.id] = i
    stage.links[i] = {}
    stage.policies[i] = op.on_error or "fail"
    if stage.policies[i] ~= "fail" then stage.guarded = true end
  end
  for i, root in ipairs(plan.options.roots) do stage.roots[i] = number[root] end
  if stage.roots[1] ~= 1 then error("the first root operator must come first in a stage's plan") end
  for _, link in ipairs(plan.options.links or {}) do
    table.insert(stage.links[number[link.from]],
      { tag = link.tag, to = link.to and number[link.to], port = link.port })
  end
  if plan.key then
    local inputs = plan.keyed_inputs or 3
    stage.keyed[0] = bit.band(inputs, 1) ~= 0
    stage.keyed[1] = bit.band(inputs, 2) ~= 0
  end
  stage.store = L.store ~= nil and L.store or nil
  stage.broadcast = L.broadcast ~= nil and L.broadcast or nil
  context.errors(stage)
  if stage.store or stage.broadcast then require("weir.internal.state").prepare(stage) end
  if stage.ops[1].kind == "window_process" then stage.timer = require("weir.internal.window").timer end

  local marks = plan.kind == "lua_watermarks" and require("weir.internal.marks").new(stage) or {}
  stage.mark = marks.mark

  local loops = { [0] = {}, [1] = {} }
  local timers

  -- While loops and sites are still learned, the tracer cannot follow the way of a record as a whole, so it
  -- begins at the functions inside. Those traces would cut the loop's for ever: they are dropped, and as the
  -- loop is the first to be hot again, it is traced around them.
  local generation = 0
  local function settle()
    if rows.generation ~= generation then
      generation = rows.generation
      jit.flush()
      drop_building()
    end
  end

  local function on_rows()
    settle()
    rows.thread = running()
    local input = L.input
    local by_shape = loops[input]
    while L.row < L["end"] do
      local id = bit.band(ffi.cast(border.elemp, L.row).tag, 0xffffff)
      local loop = by_shape[id]
      if not loop then
        loop = loops_of().rows(stage, input, id)
        by_shape[id] = loop
      end
      loop()
      settle()
      if L.row < L["end"] and C.wr_stage_spent(L.stage) ~= 0 then return 1 end
    end
    if L.migrating ~= 0 then stage.migrate(MIGRATED_A_BATCH) end
    return 0
  end

  local function on_migrate()
    stage.migrate(MIGRATED_A_STEP)
    settle()
  end

  local function has_timers()
    return stage.timer or type(stage.ops[1].fn) == "table" and stage.ops[1].fn.timer
  end

  -- What would otherwise be done while the first rows wait.
  local function make_ready()
    rows.hinted_loops(LOOPS_BEFORE, function(at, id)
      if at == rows.AT_TIMERS then
        if has_timers() then timers = loops_of().timers(stage) end
      else
        loops[at][id] = loops_of().rows(stage, at, id)
      end
    end)
    settle()
  end

  local function on_timers(kind, upto)
    if not timers then
      if not has_timers() then return 0 end
      timers = loops_of().timers(stage)
    end
    settle()
    rows.thread = running()
    L.kind = 0
    stage.due = kind -- for messages
    local rc = timers(kind, ffi.cast("int64_t *", upto)[0])
    stage.due = nil
    settle()
    return rc
  end

  -- `open` and `close` belong to no record and no key.
  local function each_operator(name)
    return function()
      stage.keyless = true
      for k, node in ipairs(stage.ops) do
        stage.doing = k
        if type(node.fn) == "table" and node.fn[name] then node.fn[name](context.open_context(stage, k)) end
      end
      stage.keyless, stage.doing = nil, nil
    end
  end

  rows.drop_builders() -- preparing the state loaded some

  return {
    rows = on_rows, timers = on_timers, open = each_operator "open", close = each_operator "close", ready = make_ready,
    periodic = marks.periodic or function() end, migrate = on_migrate,
    describe = function(thread, err) return context.describe(stage, thread, err) end,
    stage = stage,
  }
end

--- The text of the loop that rows of shape `id` will take, for `weir check --explain`.
function M.text(stage, input, id)
  stage.keep_text = true
  loops_of().rows(stage, input, id)
  return stage.text
end

return M
