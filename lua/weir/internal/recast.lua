-- SPDX-License-Identifier: Apache-2.0
--- A savepoint that is written anew from another one (runtime/savepoint/recast.h): what is to be changed is
--- said by a plan of operators (`weir.savepoint_edit`), everything else goes over as it is.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local rows = require "weir.internal.rows"
local saved = require "weir.internal.savepoint"

local C = ffi.C
local cast, ffistr = ffi.cast, ffi.string
local cu8p, i64 = border.cu8p, border.i64
local KIND_NUMBERS = { value = 0, list = 1, map = 2, reducing = 3, aggregating = 4 }
local BLOCK_TASK, BLOCK_OPERATOR, BLOCK_NAMES = 1, 2, 10
local BROADCAST = C.WR_LOOK_BROADCAST
local LOWEST = -0x8000000000000000LL

local M = {}

local function check(rc)
  if rc < 0 then error(border.error_text(), 0) end
end

--- Numbers without a fraction as integers, all the way down: what positions are made of.
function M.integers(v)
  if type(v) == "number" and v % 1 == 0 and math.abs(v) <= 2 ^ 53 then return i64(v) end
  if type(v) ~= "table" or v == codec.null then return v end
  local out = {}
  for k, inner in pairs(v) do out[k] = M.integers(inner) end
  return out
end

--- Integers as numbers where those hold them exactly.
function M.numbers(v)
  if type(v) == "cdata" then
    local n = tonumber(v) -- of two integers beyond 2^53 the nearest number is 2^53
    return math.abs(n) <= 2 ^ 53 and ffi.typeof(v)(n) == v and n or v
  end
  if type(v) ~= "table" or v == codec.null then return v end
  local out = {}
  for k, inner in pairs(v) do out[k] = M.numbers(inner) end
  return out
end

---------------------------------------------------------------- a value that was nowhere

local Fresh = ffi.typeof "struct { uint32_t shape, key_len, entry_len; }" -- then key, key of a map's entry, body
local freshp = ffi.typeof("const $ *", Fresh)
local FRESH = ffi.sizeof(Fresh)
local fresh = Fresh()

--- Adds it to a spool, for its key group; `state` is a change of weir.savepoint_edit that has its places there.
---@param spool weir.internal.Spool
---@param state table
---@param key string canonical bytes
---@param value any
---@param entry? string canonical bytes of a map's key
function M.add(spool, state, key, value, entry)
  local shape, body = rows.encode(value)
  local group = state.broadcast and 0 or C.wr_look_group_of(key, #key, state.max_parallelism)
  fresh.shape, fresh.key_len, fresh.entry_len = shape, #key, entry and #entry or 0
  spool:add(state.places + group, ffistr(fresh, FRESH), entry and key .. entry or key, body)
end

-- Key and entry, of which a state has one value; canonical bytes say where they end.
local function address_of(text)
  local head = cast(freshp, text)
  return text:sub(FRESH + 1, FRESH + head.key_len + head.entry_len)
end

---@class weir.internal.Recast
---@field changed integer values that are others now
---@field removed integer
---@field added integer
local methods = {}
local Recast = { __index = methods }

---@param path string of the new savepoint
---@param from weir.internal.Savepoint
---@param spool weir.internal.Spool values that were nowhere
---@param time_anew? boolean no watermark goes over
function M.new(path, from, spool, time_anew)
  local h = C.wr_recast_new(path)
  if h == nil then error(border.error_text(), 0) end
  return setmetatable({
    h = ffi.gc(h, C.wr_recast_free), from = from, spool = spool, time_anew = time_anew,
    changed = 0, removed = 0, added = 0,
    first = ffi.new "uint32_t[1]", last = ffi.new "uint32_t[1]", bytes = ffi.new "uint64_t[1]",
    item_made = ffi.new "struct wr_look_item",
  }, Recast)
end

---------------------------------------------------------------- what goes over

-- Broadcast state is in every subtask, and counts once.
function methods:count(what)
  if not self.again then self[what] = self[what] + 1 end
end

-- A value under the hands of a state's function; `state` is a change of weir.savepoint_edit.
function methods:value(state, item, position)
  local version, shape, body = state.new_version, state.map(item, position)
  if not shape then
    self:count "removed"
    return
  end
  if shape == item.shape and version == item.version and body == saved.body_bytes(item) then
    return check(C.wr_recast_item(self.h, item, state.to))
  end
  self:count "changed"
  check(C.wr_recast_value(self.h, item, state.to, version, shape, body, #body))
end

-- Is it the value of a key that another one was put for?
local function is_replaced(state, item)
  if not state.replaced or item.ns_len > 0 then return false end
  return state.replaced[saved.key_bytes(item) .. (item.map_key ~= nil and saved.map_key_bytes(item) or "")]
end

function methods:item(change, by_index, item, position)
  if item.timer >= 0 then
    local time = item.time
    if change.map_timers then
      time = change.map_timers(item)
      if time == nil then
        self:count "removed"
        return
      end
      if time ~= item.time then self:count "changed" end
    end
    return check(C.wr_recast_timer(self.h, item, time))
  end
  local state = by_index[item.state]
  if not state or state.cleared or is_replaced(state, item) then
    self:count "removed"
  elseif state.map then
    self:value(state, item, position)
  else
    check(C.wr_recast_item(self.h, item, state.to))
  end
end

-- A value as it came out of the spool.
function methods:put(state, group, text)
  local it, head = self.item_made, cast(freshp, text)
  local key = cast(cu8p, text) + FRESH
  local entry = key + head.key_len
  local body = entry + head.entry_len
  it.key, it.key_len = key, head.key_len
  it.ns, it.ns_len = cast(cu8p, ""), 0
  it.map_key, it.map_key_len = state.kind == "map" and entry or nil, head.entry_len
  it.group, it.state, it.version = group, state.to, state.new_version
  check(C.wr_recast_fresh(self.h, it, head.shape, body, #text - (body - cast(cu8p, text))))
  self:count "added"
end

-- What was put and loaded for a key group: all elements of a list, else of each key (and entry) the last value.
function methods:fill(state, group)
  local texts, at = {}, {}
  self.spool:each(state.places + group, function(text)
    if state.kind == "list" then return self:put(state, group, text) end
    local address = address_of(text)
    at[address] = at[address] or #texts + 1
    texts[at[address]] = text
  end)
  for _, text in ipairs(texts) do self:put(state, group, text) end
end

-- What an operator of the old savepoint knows of a key group.
function methods:keep(change, by_index, broadcast, group)
  local items, count = self.from:group(change.operator, broadcast, group)
  local hash, positions = nil, {}
  for i = 0, count - 1 do
    local item = items[i]
    if hash ~= item.hash then hash, positions = item.hash, {} end
    local position = (positions[item.state] or 0) + 1
    positions[item.state] = position
    self:item(change, by_index, item, position)
  end
end

-- Keyed or broadcast state of an operator, of the key groups that a subtask has.
function methods:store(change, stage, broadcast, first, last)
  local by_index, filled = {}, {}
  for _, state in ipairs(change.states) do
    if state.broadcast == broadcast then
      if state.index then by_index[state.index] = state end
      if state.places then filled[#filled + 1] = state end
    end
  end
  check(C.wr_recast_store(self.h, stage + (broadcast and BROADCAST or 0), first, last))
  for group = first, last do
    if change.operator then self:keep(change, by_index, broadcast, group) end
    for _, state in ipairs(filled) do self:fill(state, group) end
  end
  check(C.wr_recast_store_end(self.h))
end

---------------------------------------------------------------- a subtask

local function block(self, kind, stage, bytes)
  check(C.wr_recast_block(self.h, kind, stage, bytes, #bytes))
end

-- What a watermark strategy keeps of its splits: [[name or null, time, watermark], …] (time/marker.h).
local function is_marks(value)
  for _, mark in ipairs(type(value) == "table" and value or {}) do
    if type(mark) ~= "table" or #mark ~= 3 or type(mark[2]) ~= "cdata" or type(mark[3]) ~= "cdata" then return false end
  end
  return type(value) == "table" and #value > 0
end

local function own_of(self, change, subtask)
  if not change.own then
    local bytes = change.operator and self.from:own(change.operator, subtask) or ""
    return self.time_anew and bytes ~= "" and is_marks(codec.decode_value(bytes)) and "" or bytes
  end
  local value = change.own[subtask + 1]
  return value ~= nil and value ~= codec.null and codec.encode_value(M.integers(value)) or ""
end

-- What the subtask knew of its stages, for those that stay. Where the first does not, its channels are of no use.
local function task_bytes(self, vertex, subtask)
  local first = vertex.all[1].operator
  local task = first and self.from:task(first, subtask)
  local out = { channels = {} }
  for field, default in pairs { passed = LOWEST, watermarks = LOWEST, ended = false } do
    if not task or task[field] then
      out[field] = {}
      for i, change in ipairs(vertex.all) do
        local anew = not task or self.time_anew and field ~= "ended"
        if anew then out[field][i] = default else out[field][i] = task[field][change.operator.stage + 1] end
      end
    end
  end
  if task and not vertex.headless then out.channels = task.channels end
  if self.time_anew then
    for _, channel in ipairs(out.channels) do channel[1] = LOWEST end
  end
  return codec.encode_value(out)
end

function methods:subtask(vertex, number, subtask, again)
  local id = ("chk-%d/%d-%d.state"):format(self.from.checkpoint, number, subtask)
  local operator = vertex.all[1].operator
  if operator then check(C.wr_recast_named(self.h, self.from.h, operator.vertex, subtask)) end
  check(C.wr_recast_blob(self.h, id))
  block(self, BLOCK_TASK, 0, task_bytes(self, vertex, subtask))
  for stage, change in ipairs(vertex.all) do
    local names = change.operator and self.from:names(change.operator, subtask) or ""
    if names ~= "" then block(self, BLOCK_NAMES, stage - 1, names) end
  end
  for stage, change in ipairs(vertex.all) do
    local own = own_of(self, change, subtask)
    if own ~= "" then block(self, BLOCK_OPERATOR, stage - 1, own) end
  end
  C.wr_recast_groups(vertex.max_parallelism, vertex.parallelism, subtask, self.first, self.last)
  local first, last = self.first[0], self.last[0]
  for stage, change in ipairs(vertex.all) do
    self.again = false
    self:store(change, stage - 1, false, first, last)
    self.again = again
    self:store(change, stage - 1, true, 0, 0)
  end
  if operator and not vertex.headless then
    check(C.wr_recast_under_way(self.h, self.from.h, operator.vertex, subtask))
  end
  check(C.wr_recast_blob_end(self.h, self.bytes))
  return id, self.bytes[0]
end

---------------------------------------------------------------- the manifest

local function states_list(change, broadcast)
  local out = {}
  for _, state in ipairs(change.states) do
    if state.broadcast == broadcast and state.to then
      out[state.to + 1] = {
        name = state.name, kind = i64(KIND_NUMBERS[state.kind]), layout = state.layout,
        ttl = state.ttl_ms and i64(state.ttl_ms),
        version = state.new_version > 1 and i64(state.new_version - 1) or nil,
      }
    end
  end
  return out
end

local function vertex_record(vertex, tasks)
  local stages = {}
  for i, change in ipairs(vertex.all) do
    stages[i] = {
      uid = change.uid, name = change.name, states = states_list(change, false), broadcast = states_list(change, true),
    }
  end
  return {
    name = vertex.name, parallelism = i64(vertex.parallelism), max_parallelism = i64(vertex.max_parallelism),
    stages = stages, tasks = tasks,
  }
end

-- What the manifest says of rows on their way to the subtask; nil: none are in its blob.
function methods:in_flight(vertex, subtask)
  local operator = vertex.all[1].operator
  if not operator or vertex.headless then return nil end
  return self.from.manifest.vertices[operator.vertex + 1].tasks[subtask + 1].in_flight
end

--- Writes all of it, and gives the file its name.
---@param vertices table[] { name, parallelism, max_parallelism, ended (by subtask), all = changes by stage }
---@param head table { job, sources, identity }
function methods:write(vertices, head)
  local from = self.from.manifest
  local records = {}
  for number, vertex in ipairs(vertices) do
    local tasks, head_stage, again = {}, vertex.all[1], false
    if head_stage.operator then
      check(C.wr_recast_log(self.h, self.from.h, head_stage.operator.uid, head_stage.uid))
    end
    for subtask = 0, vertex.parallelism - 1 do
      if vertex.ended[subtask + 1] then
        tasks[subtask + 1] = { blob = false, bytes = i64(0) }
      else
        local id, bytes = self:subtask(vertex, number - 1, subtask, again)
        again = true
        tasks[subtask + 1] = { blob = id, bytes = cast(i64, bytes), in_flight = self:in_flight(vertex, subtask) }
      end
    end
    records[number] = vertex_record(vertex, tasks)
  end
  local manifest = codec.encode_value {
    checkpoint = from.checkpoint, finished = false, job = head.job, lineage = from.lineage, origin = head.identity,
    script = from.script, sources = head.sources, time = from.time, version = from.version, vertices = records,
  }
  check(C.wr_recast_publish(self.h, manifest, #manifest))
end

--- Gives the file up; once it was written that does nothing.
function methods:close()
  C.wr_recast_free(ffi.gc(self.h, nil))
  self.h = nil
end

return M
