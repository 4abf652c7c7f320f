--- A window operator in Lua on its own: records, watermarks and clock fed by hand, so that every step of a
--- window's life can be looked at without a process and without waiting.
---
---   windows.run('w.tumbling(10)', "process(ids)", "a@1 b@11 wm9") → "[0,10)a@9"
---
--- Steps: `a@5` a record with id "a" and time 5 · `x/a@5` of key "x" · `a` without a time · `wm9` a watermark ·
--- `pt9` the clock. Results: what `ids` emits, "[start,end)ids", with @ the timestamp, for keys other than "k"
--- behind "key:"; "late:a" for late records, which are "dropped:a" if nobody reads them; "none:a" for those that no
--- window takes though they are not late.

local ffi = require "ffi"
local border = require "weir.internal.border"
local draw = require "support.draw"
local plan = require "weir.plan"
local shell = require "support.shell"

--- Hands declarations of a header to the FFI: text from each beginning to the first ";" behind its braces or
--- arguments.
local function declare(path, beginnings)
  local text = shell.read(path)
  for _, beginning in ipairs(beginnings) do
    local from = assert(text:find(beginning, 1, true), beginning)
    ffi.cdef(text:match("^[^({]*%b{};", from) or assert(text:match("^[^({;]*%b();", from), beginning))
  end
end

declare("runtime/state/store.h", {
  "enum wr_state_kind {", "enum wr_ttl_update {", "struct wr_state_desc {", "struct wr_store_options {",
  "struct wr_store *wr_store_new(", "void wr_store_free(", "uint64_t wr_store_keys(",
})
declare("runtime/record/key.h", { "uint64_t wr_key_hash(" })

local M = {}

-- What reaches out of the operator: the stage's deadline and counters.
local late_dropped, no_window
border.C = setmetatable({
  wr_lua_timer_added = function() end,
  wr_lua_late = function(_, _, dropped) late_dropped = dropped == 1 end,
  wr_lua_no_window = function() no_window = true end,
}, { __index = ffi.C })
local C = ffi.C
local keys = require "weir.internal.keys"

local head = [[
  local w, t, e, agg = weir.window, weir.trigger, weir.evictor, weir.agg
  local function ids(ctx, records)
    local text = {}
    for i, r in ipairs(records) do text[i] = r.id end
    local from, to = ctx:window()
    local key = ctx:key()
    ctx:emit(((key ~= "k" and key) and key .. ":" or "") .. "[" .. from .. "," .. to .. ")" .. table.concat(text))
  end
  local keyed = job:source(weir.from { { k = "k" } }):key_by "k"
  local last = ]]

local function store_of(states)
  local descs = ffi.new("struct wr_state_desc[?]", #states)
  for i, state in ipairs(states) do
    descs[i - 1].name, descs[i - 1].kind = state.name, "WR_STATE_" .. state.kind:upper()
  end
  local options = ffi.new("struct wr_store_options", {
    operator_uid = "w", states = descs, state_count = #states, max_parallelism = 128, group_last = 127,
  })
  return C.wr_store_new(options)
end

local Bench = {}
Bench.__index = Bench

-- Counts how often the merging set of a key is written or cleared.
function Bench:count_merging_writes(merging)
  self.merging_writes = 0
  for _, name in ipairs(merging and { "set", "clear" } or {}) do
    local method = merging[name]
    merging[name] = function(...)
      self.merging_writes = self.merging_writes + 1
      return method(...)
    end
  end
end

--- An operator from the text of a script, which draws it on `keyed` and gives it to `last`. `late`: is the side
--- output "late" read?
---@param text string
---@param late? boolean
function M.new(text, late)
  local job = draw.job(head .. text .. (late and ' last:side_output "late":sink(weir.discard())' or "")
    .. ' last:sink(weir.discard())')
  local described = plan.make(job)
  local b = setmetatable({ out = {} }, Bench)
  for _, vertex in ipairs(described.vertices) do
    for _, stage in ipairs(vertex.stages) do
      local node = job.nodes[stage.operators[1].id]
      if node.kind == "window_process" then b.plan, b.node = stage, node end
    end
  end
  assert(b.plan, "no window in Lua was drawn")
  local L = ffi.new "struct wr_lua"
  b.L, b.store = L, store_of(b.plan.states)
  L.store, L.watermark, L.now_ms = b.store, border.TS_NONE, 0
  local links = {}
  for _, link in ipairs(b.plan.options.links) do links[#links + 1] = { tag = link.tag, port = link.port } end
  b.notes = {}
  local stage = {
    L = L, store = b.store, ops = { b.node }, plan = b.plan, links = { links }, keyed = { [0] = true },
    note = function(note) b.notes[#b.notes + 1] = note end,
  }
  require("weir.internal.state").prepare(stage)
  b:count_merging_writes(stage.handles.merging)
  b.contents = stage.handles.contents
  local function out(v)
    local ts = L.ts == 0x7fffffffffffffffLL and "max" or tostring(tonumber(L.ts))
    b.out[#b.out + 1] = (type(v) == "table" and require("weir.internal.failures").show(v) or tostring(v)) .. "@" .. ts
  end
  local function side(tag, v) b.out[#b.out + 1] = tag .. ":" .. v.id end
  b.window = require("weir.internal.window").new(stage, 1, out, side)
  return b
end

function Bench:free() C.wr_store_free(self.store) end

--- Entries of the store: 0 when nothing was left behind.
function Bench:left() return tonumber(C.wr_store_keys(self.store)) end

--- Records that the window of the last one holds; of windows that do not merge.
function Bench:held() return self.contents:count() end

--- A record of key `key`.
function Bench:put(key, record, ts)
  local p, n = keys.put(key)
  C.wr_store_set_key(self.store, p, n, C.wr_key_hash(p, n))
  self.L.ts = ts or border.TS_NONE
  late_dropped, no_window = false, false
  self.window.take(record)
  if late_dropped then self.out[#self.out + 1] = "dropped:" .. record.id end
  if no_window then self.out[#self.out + 1] = "none:" .. record.id end
end

function Bench:fire(kind, upto)
  local time = ffi.new "int64_t[1]"
  while C.wr_timer_next(self.store, kind, upto, time) ~= 0 do
    self.L.ts = kind == 0 and time[0] or border.TS_NONE
    self.window.timer(tonumber(time[0]), kind)
  end
end

function Bench:watermark(wm)
  self.L.watermark = wm
  self:fire(0, wm)
end

function Bench:time(ms)
  self.L.now_ms = ms
  self:fire(1, ms - 1) -- I7
end

--- Carries out steps; gives what came out since the last call, between spaces.
function Bench:steps(text)
  for step in text:gmatch "%S+" do
    local wm, pt = step:match "^wm(%-?%w+)$", step:match "^pt(%d+)$"
    if wm then
      self:watermark(wm == "max" and 0x7fffffffffffffffLL or tonumber(wm))
    elseif pt then
      self:time(tonumber(pt))
    else
      local key, id, ts = step:match "^(%w-)/?(%w+)@?(%-?%d*)$"
      if not step:find("/", 1, true) then key, id = "k", key .. id end
      self:put(key, { id = id, k = key, n = tonumber(id:match "%d+") or #id }, tonumber(ts))
    end
  end
  local out = table.concat(self.out, " ")
  self.out = {}
  return out
end

--- Steps over one operator: `keyed:window(WINDOW)REST`.
function M.run(window, rest, steps, late)
  local b = M.new(("keyed:window(%s):%s"):format(window, rest), late)
  local ok, out = pcall(b.steps, b, steps)
  b:free()
  if not ok then error(out, 0) end
  return out
end

return M
