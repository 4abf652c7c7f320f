-- SPDX-License-Identifier: Apache-2.0
--- A job under the hands of a test (runtime/harness/harness.h), as a Lua object: plan, records, state and
--- timers as Lua values instead of bytes. `weir.test` is what tests see of it.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local keys = require "weir.internal.keys"
local rows = require "weir.internal.rows"

border.declare "harness"

local C = ffi.C
local cast, ffistr = ffi.cast, ffi.string
local i64 = border.i64

local M = {}

--- What the program said for the jobs of tests: --seed, --lua-path and others, by name.
---@type table<string, string|number|boolean>
M.settings = { seed = 1 }

---@class weir.internal.Harness
---@field plan table as it runs
---@field inputs { name: string, uid: string, vertex: integer, parallelism: integer, turn: integer }[]
---@field outputs { names: string[], sink: string }[]
local methods = {}
local Harness = { __index = methods }

local function check(rc)
  if rc < 0 then error(ffistr(C.wr_harness_error()), 0) end
end

---------------------------------------------------------------- what takes the place of sources and sinks

local function each_stage(plan, fn)
  for v, vertex in ipairs(plan.vertices) do
    for s, stage in ipairs(vertex.stages) do fn(stage, vertex, v, s) end
  end
end

-- The tags of the outputs that lead to a stage.
local function tags_to(plan, vertex_at, stage_at)
  local tags = {}
  each_stage(plan, function(stage, _, v)
    for _, out in ipairs(stage.outs) do
      for _, target in ipairs(out.targets) do
        local edge = target.edge and plan.edges[target.edge + 1]
        if edge and edge.to + 1 == vertex_at and stage_at == 1
          or target.stage and v == vertex_at and target.stage + 1 == stage_at then
          tags[#tags + 1] = out.tag
        end
      end
    end
  end)
  return tags
end

local function take_sources(plan)
  local inputs = {}
  for v, vertex in ipairs(plan.vertices) do
    if vertex.inputs == 0 then
      local stage = vertex.stages[1]
      stage.kind, stage.options = "feed", {}
      inputs[#inputs + 1] = {
        name = stage.operators[1].name, uid = stage.operators[1].uid, vertex = v - 1,
        parallelism = vertex.parallelism, turn = 0,
      }
    end
  end
  return inputs
end

local made = 0 -- harnesses of this state: their sinks are told apart by it

local function take_sinks(plan)
  local outputs = {}
  made = made + 1
  each_stage(plan, function(stage, _, v, s)
    if #stage.outs > 0 then return end
    local operator = stage.operators[1]
    local names = { operator.uid, operator.name }
    if stage.kind == "collect" and stage.options.name then table.insert(names, 1, stage.options.name) end
    local tags = tags_to(plan, v, s)
    local sink = ("harness %d: %d"):format(made, #outputs + 1)
    stage.kind, stage.options = "collect", { name = sink }
    local main = false
    for _, tag in ipairs(tags) do
      main = main or tag == ""
      if tag ~= "" then names[#names + 1] = tag end
    end
    outputs[#outputs + 1] = { names = names, sink = sink, main = main }
  end)
  return outputs
end

---------------------------------------------------------------- making

local function c_strings(list)
  local array = ffi.new("const char *[?]", math.max(#list, 1))
  for i, text in ipairs(list) do array[i - 1] = text end
  return array
end

local setting_names = { "seed", "lua_path", "lua_memory", "unsafe", "state_backend", "state_memory" }

local function program_options(given)
  local out = {}
  local function add(name, value)
    if value == nil or value == false then return end
    out[#out + 1] = name
    out[#out + 1] = type(value) == "number" and ("%.0f"):format(value) or tostring(value)
  end
  for _, name in ipairs(setting_names) do
    if given[name] == nil then add(name, M.settings[name]) end
  end
  for name, value in pairs(given) do add(name, value) end
  return out
end

---@class weir.internal.HarnessOptions
---@field path string the script, or a name for packed functions
---@field carried? string packed functions (internal/carry.lua)
---@field args? string[] "key=value"
---@field options? table<string, string|number|boolean> of the program, names with underscores
---@field now number processing time in the beginning, ms
---@field seed number

-- Calls `fn` with the script as C wants it.
local function with_script(o, fn)
  local args, options = o.args or {}, program_options(o.options or {})
  local script = ffi.new "struct wr_harness_script"
  local arg_array, option_array = c_strings(args), c_strings(options)
  script.path = o.path
  if o.carried then script.carried, script.carried_len = cast("const uint8_t *", o.carried), #o.carried end
  script.args, script.arg_count = arg_array, #args
  script.options, script.option_count = option_array, #options / 2
  return fn(script)
end

--- Draws a job, puts feeds and collectors in the place of its sources and sinks, and builds its tasks.
---@param o weir.internal.HarnessOptions
---@return weir.internal.Harness
function M.new(o)
  local h = with_script(o, function(script) return C.wr_harness_new(script) end)
  if h == nil then error(ffistr(C.wr_harness_error()), 0) end
  h = ffi.gc(h, C.wr_harness_free)
  local len = ffi.new "uint32_t[1]"
  local bytes = C.wr_harness_plan(h, len)
  local plan = codec.decode_value(ffistr(bytes, len[0]))
  for _, edge in ipairs(plan.edges) do edge.timeout = nil end
  local self = setmetatable({
    h = h, plan = plan, inputs = take_sources(plan), outputs = take_sinks(plan), len = len,
  }, Harness)
  local encoded = codec.encode_value(plan)
  check(C.wr_harness_build(h, encoded, #encoded, o.now, o.seed))
  self:settle()
  return self
end

--- Frees everything; the collector does so for a harness that nobody holds.
function methods:close()
  if not self.h then return end
  C.wr_harness_free(ffi.gc(self.h, nil))
  self.h = nil
end

---------------------------------------------------------------- feeding

local ROW, WATERMARK, IDLE, ACTIVE, END = 0, 1, 2, 3, 4

-- `list` is flat: word, time or false, value, …
local function send(self, input, subtask, list)
  local bytes = codec.encode_value(list)
  check(C.wr_harness_feed(self.h, input.vertex, subtask, bytes, #bytes))
end

local function send_all(self, input, word, time)
  for subtask = 0, input.parallelism - 1 do send(self, input, subtask, { word, time, false }) end
end

--- Records go to the subtasks of the input in turn.
---@param input table
---@param records any[]
---@param times (number|false)[] event times
function methods:feed(input, records, times)
  local lists, p = {}, input.parallelism
  for i, record in ipairs(records) do
    local list = lists[input.turn]
    if not list then
      list = {}
      lists[input.turn] = list
    end
    local n = #list
    list[n + 1], list[n + 2], list[n + 3] = ROW, times[i], record
    input.turn = (input.turn + 1) % p
  end
  for subtask = 0, p - 1 do
    if lists[subtask] then send(self, input, subtask, lists[subtask]) end
  end
end

function methods:watermark(input, time)
  input.watermark = time
  send_all(self, input, WATERMARK, time)
end

function methods:idle(input, idle)
  input.idle = idle
  send_all(self, input, idle and IDLE or ACTIVE, false)
end

function methods:finish(input)
  input.ended = true
  send_all(self, input, END, false)
end

function methods:settle() check(C.wr_harness_settle(self.h)) end
function methods:stir(steps) check(C.wr_harness_stir(self.h, steps)) end
function methods:reseed(seed) C.wr_harness_reseed(self.h, seed) end
function methods:random(n) return C.wr_harness_random(self.h, n) end
function methods:time(ms) check(C.wr_harness_time(self.h, ms)) end
-- Time passes for rows that wait for it.
function methods:await_end()
  local rc = 1
  while rc == 1 and not self:ended() do
    rc = C.wr_harness_pass(self.h)
    check(rc)
  end
end
function methods:now() return tonumber(C.wr_harness_now(self.h)) end
function methods:ended() return C.wr_harness_ended(self.h) == 1 end

--- Everything is taken down and built again; what the tasks kept goes through the row format. Inputs say again
--- how far event time has come: that is the test's, as it would be a source's.
function methods:restart()
  self:settle()
  check(C.wr_harness_restart(self.h))
  for _, input in ipairs(self.inputs) do
    if input.watermark then self:watermark(input, input.watermark) end
    if input.idle then self:idle(input, true) end
    if input.ended then self:finish(input) end
  end
  self:settle()
end

--- Other functions come in at a barrier. As M.new, without `now` and `seed`.
function methods:reload(o)
  self:settle()
  check(with_script(o, function(script) return C.wr_harness_reload(self.h, script) end))
  self:settle()
end

---------------------------------------------------------------- results

local EXACT = 9007199254740992LL

-- Whole numbers as tests write them.
local function plain(v)
  if type(v) == "cdata" and ffi.istype(i64, v) and v >= -EXACT and v <= EXACT then return tonumber(v) end
  if type(v) ~= "table" or v == codec.null then return v end
  for k, each in next, v do
    local p = plain(each)
    if p ~= each then v[k] = p end
  end
  return v
end

local kinds = { [0] = "insert", "update_before", "update_after", "delete" }

--- What a sink has got since the last call: { record =, timestamp =, kind = } in order.
function methods:take(output)
  local p = C.wr_harness_take(self.h, output.sink, self.len)
  local list, at, stop = {}, 0, self.len[0]
  while at < stop do
    local e = cast("const struct wr_elem *", p + at)
    local record = rows.decoder(bit.band(e.tag, 0xffffff))(cast(border.u8p, p + at + rows.HEAD))
    list[#list + 1] = {
      record = plain(record), timestamp = e.ts ~= border.TS_NONE and tonumber(e.ts) or nil,
      kind = kinds[bit.band(bit.rshift(e.tag, 24), 3)],
    }
    at = at + e.len
  end
  return list
end

local f64p = border.f64p

local function window_of(item)
  if item.ns_len ~= 16 then return nil end
  local bounds = cast(f64p, item.ns)
  return { start = bounds[0], stop = bounds[1] }
end

local function key_of(item)
  local parts = { keys.get(item.key) }
  return #parts == 1 and parts[1] or parts
end

local function value_of(item)
  return plain(rows.decoder(item.shape)(cast(border.u8p, item.body)))
end

-- Canonical bytes of a key, a list for one of several parts.
local function key_bytes(key)
  if type(key) ~= "table" then
    local p, n = keys.put(key)
    return ffistr(p, n)
  end
  local parts = { "t", string.char(#key) }
  for i, part in ipairs(key) do
    local p, n = keys.put(part)
    parts[i + 2] = ffistr(p, n)
  end
  return table.concat(parts)
end

local function look(self, stage, key, broadcast)
  local bytes = key ~= nil and key_bytes(key) or nil
  local items = C.wr_harness_look(self.h, stage.vertex, stage.stage, bytes, bytes and #bytes or 0,
    broadcast and 1 or 0, self.len)
  if items == nil then error(ffistr(C.wr_harness_error()), 0) end
  return items, self.len[0]
end

local function put_item(entry, item, kind)
  if kind == "map" then
    entry.value = entry.value or {}
    entry.value[(keys.get(item.map_key))] = value_of(item)
  elseif kind == "list" then
    entry.value = entry.value or {}
    entry.value[tonumber(item.position) + 1] = value_of(item)
  else
    entry.value = value_of(item)
  end
end

--- What a stage keeps in a state: { key =, window =, value = } for each key and window.
---@param stage { vertex: integer, stage: integer }
---@param number integer of the state, from 0
---@param kind string
---@param key any nil: all keys
---@param broadcast boolean?
function methods:states(stage, number, kind, key, broadcast)
  local items, count = look(self, stage, key, broadcast)
  local entries, by_address = {}, {}
  for i = 0, count - 1 do
    local item = items[i]
    if item.timer < 0 and item.state == number then
      local address = ffistr(item.key, item.key_len) .. ffistr(item.ns, item.ns_len)
      local entry = by_address[address]
      if not entry then
        entry = { key = not broadcast and key_of(item) or nil, window = window_of(item) }
        by_address[address] = entry
        entries[#entries + 1] = entry
      end
      put_item(entry, item, kind)
    end
  end
  return entries
end

--- The timers of a stage, by time: { key =, time =, kind = "event"|"processing", window = }.
function methods:timers(stage, key)
  local items, count = look(self, stage, key)
  local timers = {}
  for i = 0, count - 1 do
    local item = items[i]
    if item.timer >= 0 then
      timers[#timers + 1] = {
        key = key_of(item), time = tonumber(item.time), kind = item.timer == 0 and "event" or "processing",
        window = window_of(item),
      }
    end
  end
  return timers
end

--- Event time of a stage: the lowest of its subtasks; nil before the first watermark.
function methods:event_time(stage)
  local ms = C.wr_harness_watermark(self.h, stage.vertex, stage.stage)
  return ms ~= border.TS_NONE and tonumber(ms) or nil
end

--- Records that came too late for a stage, and those of them that nobody reads.
function methods:late(stage)
  local counts = ffi.new "int64_t[2]"
  C.wr_harness_late(self.h, stage.vertex, stage.stage, counts, counts + 1)
  return tonumber(counts[0]), tonumber(counts[1])
end

--- The stage of the operator with this uid or name, its states and where its watermarks come from.
function methods:stage(name)
  local found
  each_stage(self.plan, function(stage, _, v, s)
    for i, operator in ipairs(stage.operators) do
      if operator.uid == name or not found and operator.name == name then
        found = { vertex = v - 1, stage = s - 1, plan = stage, first = i == 1 }
      end
    end
  end)
  return found
end

--- Does the job make watermarks of its own for what comes from this input?
function methods:own_watermarks(input)
  local seen, waiting = {}, { { input.vertex + 1, 1 } }
  while #waiting > 0 do
    local v, s = unpack(table.remove(waiting))
    local stage = self.plan.vertices[v].stages[s]
    if not seen[stage] then
      seen[stage] = true
      if stage.kind == "watermarks" or stage.kind == "lua_watermarks" then return stage.name end
      for _, out in ipairs(stage.outs) do
        for _, target in ipairs(out.targets) do
          local edge = target.edge and self.plan.edges[target.edge + 1]
          waiting[#waiting + 1] = edge and { edge.to + 1, 1 } or { v, target.stage + 1 }
        end
      end
    end
  end
  return nil
end

return M
