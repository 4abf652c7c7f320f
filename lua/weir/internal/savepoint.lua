-- SPDX-License-Identifier: Apache-2.0
--- A savepoint as Lua values (runtime/savepoint/look.h): its operators, and what they know, a key group at a time.
--- `weir.savepoint` is what users see of it.

local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"
local keys = require "weir.internal.keys"
local rows = require "weir.internal.rows"

ffi.cdef(require "weir.internal.savepoint_cdef")

local C = ffi.C
local cast, ffistr = ffi.cast, ffi.string
local i64 = border.i64

local M = {}

local KINDS = { [0] = "value", "list", "map", "reducing", "aggregating" }
local BROADCAST = C.WR_LOOK_BROADCAST

---@class weir.internal.Savepoint
---@field path string
---@field job string
---@field operators weir.internal.SavedOperator[]
local methods = {}
local Savepoint = { __index = methods }

---@class weir.internal.SavedState
---@field name string
---@field kind "value"|"list"|"map"|"reducing"|"aggregating"
---@field index integer its number in the operator
---@field broadcast boolean
---@field version integer of its declaration
---@field layout? string what an operator in C keeps it for
---@field ttl_ms? integer its time to live

---@class weir.internal.SavedOperator
---@field uid string
---@field name string
---@field states weir.internal.SavedState[]
---@field vertex integer
---@field stage integer
---@field parallelism integer
---@field max_parallelism integer

local function check(rc)
  if rc < 0 then error(border.error_text(), 0) end
end

local function number(v)
  return v == nil and 0 or tonumber(v)
end

---------------------------------------------------------------- opening

local function states_of(saved)
  local out = {}
  for _, broadcast in ipairs { false, true } do
    for i, s in ipairs(broadcast and saved.broadcast or saved.states) do
      out[#out + 1] = {
        name = s.name, kind = KINDS[number(s.kind)] or "unknown", index = i - 1, broadcast = broadcast,
        version = number(s.version) + 1, layout = s.layout, ttl_ms = s.ttl and number(s.ttl),
      }
    end
  end
  return out
end

local function operators_of(manifest)
  local out = {}
  for v, vertex in ipairs(manifest.vertices) do
    for s, stage in ipairs(vertex.stages) do
      out[#out + 1] = {
        uid = stage.uid, name = stage.name, states = states_of(stage), vertex = v - 1, stage = s - 1,
        parallelism = number(vertex.parallelism), max_parallelism = number(vertex.max_parallelism),
      }
    end
  end
  return out
end

--- Opens a savepoint, or a folder of checkpoints. All of it was read, and holds.
---@param path string
---@return weir.internal.Savepoint
function M.open(path)
  local h = C.wr_look_open(path)
  if h == nil then error(border.error_text(), 0) end
  h = ffi.gc(h, C.wr_look_close)
  local len = ffi.new "uint32_t[1]"
  local manifest = codec.decode_value(ffistr(C.wr_look_manifest(h, len), len[0]))
  return setmetatable({
    h = h, path = path, manifest = manifest, len = len,
    items = ffi.new "const struct wr_look_item *[1]", bytes = ffi.new "const uint8_t *[1]",
    job = manifest.job, script = manifest.script, origin = manifest.origin, finished = manifest.finished,
    checkpoint = number(manifest.checkpoint), time = number(manifest.time),
    lineage = bit.tohex(cast("uint64_t", manifest.lineage), 16),
    operators = operators_of(manifest),
  }, Savepoint)
end

function methods:close()
  C.wr_look_close(ffi.gc(self.h, nil))
  self.h = nil
end

---------------------------------------------------------------- looking

--- The items of a key group: an array of `struct wr_look_item` from 0 on, and how many. Borrowed until the next.
function methods:group(operator, broadcast, group)
  check(C.wr_look_group(self.h, operator.vertex, operator.stage + (broadcast and BROADCAST or 0), group, self.items,
    self.len))
  return self.items[0], self.len[0]
end

--- Calls fn(item) for all that an operator keeps by key, group by group, keys together.
---@param operator weir.internal.SavedOperator
---@param broadcast boolean
---@param fn fun(item: ffi.cdata*)
function methods:each(operator, broadcast, fn)
  for group = 0, broadcast and 0 or operator.max_parallelism - 1 do
    local items, count = self:group(operator, broadcast, group)
    for i = 0, count - 1 do fn(items[i]) end
  end
end

--- The same of one key.
function methods:each_of_key(operator, broadcast, key, fn)
  local group = broadcast and 0 or C.wr_look_group_of(key, #key, operator.max_parallelism)
  local items, count = self:group(operator, broadcast, group)
  for i = 0, count - 1 do
    if broadcast or M.key_bytes(items[i]) == key then fn(items[i]) end
  end
end

local function taken(p, len)
  return p ~= nil and ffistr(p, len[0]) or ""
end

local BLOCK_TASK, BLOCK_OPERATOR, BLOCK_NAMES = 1, 2, 10

local function block(self, operator, kind, stage, subtask)
  check(C.wr_look_own(self.h, operator.vertex, kind, stage, subtask, self.bytes, self.len))
  return self.len[0] > 0 and ffistr(self.bytes[0], self.len[0]) or ""
end

--- What an operator keeps for itself (the position of a source), by subtask: tagged bytes, or "".
function methods:own(operator, subtask)
  return block(self, operator, BLOCK_OPERATOR, operator.stage, subtask)
end

--- The blobs that an operator names (rows that a sink has not committed yet), each with a NUL behind it.
function methods:names(operator, subtask)
  return block(self, operator, BLOCK_NAMES, operator.stage, subtask)
end

--- What a subtask has said of itself: { channels =, passed =, … by stage }, or nil if it had ended.
function methods:task(operator, subtask)
  local bytes = block(self, operator, BLOCK_TASK, 0, subtask)
  return bytes ~= "" and codec.decode_value(bytes) or nil
end

--- What the sources of an operator had still to give out: tagged bytes, or nil.
function methods:enumerator(uid)
  for _, source in ipairs(self.manifest.sources) do
    if source.uid == uid then return codec.encode_value(source.state) end
  end
end

--- Bytes that the checkpoint wrote, and those of earlier ones that it goes on from.
function methods:written()
  local own, older = 0, 0
  for vertex = 0, #self.manifest.vertices - 1 do
    own = own + number(C.wr_look_bytes(self.h, vertex, 0))
    older = older + number(C.wr_look_bytes(self.h, vertex, 1))
  end
  return own, older
end

--- Bytes that the state of an operator takes in the file.
function methods:packed(operator, broadcast)
  return number(C.wr_look_packed(self.h, operator.vertex, operator.stage + (broadcast and BROADCAST or 0)))
end

---------------------------------------------------------------- items

function M.key_bytes(item) return ffistr(item.key, item.key_len) end
function M.map_key_bytes(item) return ffistr(item.map_key, item.map_key_len) end
function M.namespace_bytes(item) return ffistr(item.ns, item.ns_len) end
function M.body_bytes(item) return ffistr(item.body, item.body_len) end

local function one_or_list(...)
  return select("#", ...) > 1 and { ... } or (...)
end

--- Nil for the one key of an operator without key_by; a list for a key of several fields.
function M.key(item)
  if item.key_len == 0 then return nil end
  return one_or_list(keys.get(item.key))
end

function M.map_key(item)
  if item.map_key == nil then return nil end
  return one_or_list(keys.get(item.map_key))
end

--- The window that a value belongs to.
---@return { start: number, stop: number }|nil
function M.window(item)
  if item.ns_len ~= 16 then return nil end
  local bounds = cast(border.f64p, item.ns)
  return { start = bounds[0], stop = bounds[1] }
end

function M.value(item)
  return rows.decoder(item.shape)(cast(border.u8p, item.body))
end

function methods:value_json(item) return taken(C.wr_look_json(self.h, item, self.len), self.len) end

function methods:key_json(item)
  if item.key_len == 0 then return "null" end
  return taken(C.wr_look_key_json(self.h, item.key, item.key_len, self.len), self.len)
end

function methods:map_key_json(item)
  return taken(C.wr_look_key_json(self.h, item.map_key, item.map_key_len, self.len), self.len)
end

function methods:tagged_json(bytes)
  return taken(C.wr_look_value_json(self.h, bytes, #bytes, self.len), self.len)
end

function methods:shape_text(shape) return taken(C.wr_look_shape_text(self.h, shape, self.len), self.len) end

--- Canonical bytes of a key: a scalar, or a list of them. Errors on what can be no key.
function M.canonical(key)
  if type(key) ~= "table" then
    local p, n = keys.put(key)
    return ffistr(p, n)
  end
  local parts = {}
  for i, part in ipairs(key) do
    local p, n = keys.put(part)
    parts[i] = ffistr(p, n)
  end
  if #parts < 2 or #parts > 16 then error("a key of several fields has 2 to 16 of them", 0) end
  return "t" .. string.char(#parts) .. table.concat(parts)
end

--- An integer of text that no number holds exactly.
function M.integer(text)
  local chunk = text:match "^%-?%d+$" and loadstring("return " .. text .. "LL")
  return chunk and cast(i64, chunk())
end

return M
