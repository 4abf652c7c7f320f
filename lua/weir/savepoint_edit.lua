-- SPDX-License-Identifier: Apache-2.0
--- `weir savepoint edit FILE fix.lua -o NEW`: the script returns a function, which says what is to be changed:
---
---   return function(sp)
---     local visits = sp:operator "visits"
---     visits:map("last", function(value, key) return { n = value.n + 1 } end)
---     visits:rename "sessions"
---   end
---
--- `sp.args` has what stands behind on the command line as key=value, `sp.job` is the job's name and may be set,
--- `sp.time` is when the savepoint was taken, in ms.
---
--- It only says so; then the savepoint is walked once, a key group at a time, and written anew. What it puts and loads
--- waits for that in a file beside the new one once it is more than some MB.

local codec = require "weir.internal.codec"
local jsontext = require "weir.jsontext"
local positions = require "weir.internal.positions"
local recast = require "weir.internal.recast"
local rows = require "weir.internal.rows"
local saved = require "weir.internal.savepoint"
local spools = require "weir.internal.spool"
local suggest = require "weir.suggest"
local where = require "weir.where"

local M = {}

local fail = where.fail

local KINDS = { value = true, list = true, map = true, reducing = true, aggregating = true }

local function text(what, v)
  if type(v) == "string" and v ~= "" then return v end
  fail("%s is a string, not %s", what, type(v) == "string" and '""' or type(v))
end

local function callable(what, v)
  if type(v) ~= "function" then fail("%s is a function, not a %s", what, type(v)) end
  return v
end

---------------------------------------------------------------- a state

local function state_of(operator, s)
  return {
    name = s.name, kind = s.kind, layout = s.layout, index = s.index, broadcast = s.broadcast, version = s.version,
    ttl_ms = s.ttl_ms, new_version = s.version, max_parallelism = operator.max_parallelism,
  }
end

-- What a function is told beside value and key.
local function place_of(item, position, kind)
  return {
    entry = saved.map_key(item), position = kind == "list" and position or nil, window = saved.window(item),
    version = item.version,
  }
end

---------------------------------------------------------------- records of a file

-- The fields of a line of CSV; none of them goes on in the next line.
local function csv_fields(line)
  local out, at = {}, 1
  while at <= #line + 1 do
    if line:sub(at, at) == '"' then
      local stop = at
      repeat stop = line:find('"', stop + 1, true) or #line + 1
        local doubled = line:sub(stop + 1, stop + 1) == '"'
        if doubled then stop = stop + 1 end
      until not doubled
      if stop > #line then error("a quoted field is not closed in its line", 0) end
      if not line:match("^,", stop + 1) and stop < #line then error("text follows a closing quote", 0) end
      out[#out + 1] = line:sub(at + 1, stop - 1):gsub('""', '"')
      at = stop + 2
    else
      local stop = line:find(",", at, true) or #line + 1
      out[#out + 1] = line:sub(at, stop - 1)
      at = stop + 1
    end
  end
  return out
end

local function csv_records(file)
  local names
  return function(line)
    local fields = csv_fields(line)
    if not names then
      names = fields
      return nil
    end
    if #fields ~= #names then error(("%d fields, where there are %d columns"):format(#fields, #names), 0) end
    local record = {}
    for i, name in ipairs(names) do record[name] = fields[i] end
    return record
  end, file
end

local function records_of(path)
  return path:match "%.csv$" and csv_records() or jsontext.decode
end

local function each_record(file, path, fn)
  local record_of, number = records_of(path), 0
  local function take(line)
    local record = record_of(line)
    if record ~= nil then fn(record) end
  end
  for line in file:lines() do
    number = number + 1
    line = line:gsub("\r$", "")
    if number == 1 then line = line:gsub("^\239\187\191", "") end -- a byte order mark
    if line ~= "" then
      local ok, err = pcall(take, line)
      if not ok then
        file:close()
        where.fail_at(nil, "%s:%d: %s", path, number, tostring(err))
      end
    end
  end
  file:close()
end

-- Shape and body of the value that the function gives, or nil.
local function encoded(fn, value, key, at)
  local new = fn(value, key, at)
  if new ~= nil then return rows.encode(new) end
end

-- Raises what went wrong in a function of the script, or with what it gave: then its text has no line of its own.
local function fail_in(fn, err, place, ...)
  local info = debug.getinfo(fn, "S")
  err = tostring(err)
  if not err:find(info.short_src, 1, true) then err = ("%s:%d: %s"):format(info.short_src, info.linedefined, err) end
  where.fail_at(nil, "%s: %s", place:format(...), err)
end

---------------------------------------------------------------- an operator

---@class weir.SavepointOperator
---@field uid string
---@field name string
local Operator = {}
Operator.__index = Operator

local function find_state(self, name)
  text("the name of a state", name)
  local names = {}
  for _, state in ipairs(self.change.states) do
    if not state.dropped then
      if state.name == name then return state end
      names[#names + 1] = state.name
    end
  end
  fail('operator "%s" has no state "%s"%s', self.uid, name, #names > 0 and suggest.hint(name, names) or "; it has none")
end

--- The names of its states.
---@return string[]
function Operator:states()
  local names = {}
  for _, state in ipairs(self.change.states) do
    if not state.dropped then names[#names + 1] = state.name end
  end
  return names
end

--- Its state belongs to the operator of this uid from now on.
---@param uid string
function Operator:rename(uid)
  text("a uid", uid)
  if self.sp.by_uid[uid] and self.sp.by_uid[uid] ~= self then fail('there is an operator "%s" already', uid) end
  for subtask = 0, self.change.operator and self.parallelism - 1 or -1 do
    if self.sp.from:names(self.change.operator, subtask) ~= "" then
      fail('sink "%s" has rows that are not committed yet, under its uid: it cannot be renamed', self.uid)
    end
  end
  self.sp.by_uid[self.uid] = nil
  self.sp.by_uid[uid] = self
  self.uid, self.change.uid = uid, uid
end

--- Leaves all that it knows behind: its state, its timers, its positions.
function Operator:drop()
  self.change.dropped = true
  self.sp.by_uid[self.uid] = nil
end

-- What windows keep is a form of their own, which an operator in C believes.
local function check_open(self, state)
  if state.layout and not state.layout:match "^[%a_]+$" and not state.layout:match "^[%a_]+, field " then
    fail('state "%s" of operator "%s" is in a form of its own (%s): it can be dropped, not changed', state.name,
      self.uid, state.layout)
  end
end

--- Leaves a state behind.
---@param name string
function Operator:drop_state(name)
  find_state(self, name).dropped = true
end

--- Leaves the values of a state behind, those that were put or loaded before included; the state stays, and can be
--- loaded anew.
---@param name string
function Operator:clear(name)
  local state = find_state(self, name)
  state.cleared, state.places = true, nil
end

--- Gives a state another name.
---@param name string
---@param new string
function Operator:rename_state(name, new)
  local state = find_state(self, name)
  text("the name of a state", new)
  for _, other in ipairs(self.change.states) do
    if other ~= state and not other.dropped and other.name == new then
      fail('operator "%s" has a state "%s" already', self.uid, new)
    end
  end
  state.name = new
end

--- Each value that the savepoint has of a state becomes what the function makes of it; nil leaves it behind. `at` has
--- entry (key in a map), position (in a list), window ({ start =, stop = }) and version. What is put or loaded stays as
--- it is.
---@param name string
---@param fn fun(value: any, key: any, at: table): any
---@param opts? { version: integer } of the state's declaration that the values are made for
function Operator:map(name, fn, opts)
  local state = find_state(self, name)
  check_open(self, state)
  callable("what values are mapped with", fn)
  local before, uid = state.map_with, self.uid
  state.map_with = before and function(value, key, at)
    local new = before(value, key, at)
    if new ~= nil then return fn(new, key, at) end
  end or fn
  if opts and opts.version then state.new_version = opts.version end
  state.map = function(item, position)
    local value, key = saved.value(item), saved.key(item)
    local ok, shape, body = pcall(encoded, state.map_with, value, key, place_of(item, position, state.kind))
    if ok then return shape, body end
    fail_in(fn, shape, '"%s.%s" at key %s, value %s', uid, name, self.sp.from:key_json(item),
      self.sp.from:value_json(item))
  end
end

--- Each timer moves to the time that the function gives for it; nil removes it.
---@param fn fun(time: number, key: any, at: { kind: "event"|"processing", window: table? }): number?
function Operator:map_timers(fn)
  callable("what timers are mapped with", fn)
  local uid = self.uid
  self.change.map_timers = function(item)
    local at = { kind = item.timer == 0 and "event" or "processing", window = saved.window(item) }
    local was = tonumber(item.time)
    local ok, time = pcall(fn, was, saved.key(item), at)
    if ok and time == was then return item.time end -- the end of time is no whole number of a double
    local good = time == nil or type(time) == "number" and time % 1 == 0 and math.abs(time) <= 2 ^ 53
    if ok and good then return time end
    if ok then time = ("the time of a timer is a whole number of milliseconds, not %s"):format(tostring(time)) end
    fail_in(fn, time, 'a timer of "%s" at key %s, time %s', uid, self.sp.from:key_json(item),
      tostring(was))
  end
end

--- A state that the operator did not have.
---@param name string
---@param kind "value"|"list"|"map"|"reducing"|"aggregating"
---@param opts? { version: integer, broadcast: boolean }
function Operator:add(name, kind, opts)
  text("the name of a state", name)
  if not KINDS[kind] then
    fail('a state is a "value", "list", "map", "reducing" or "aggregating", not %s', tostring(kind))
  end
  for _, other in ipairs(self.change.states) do
    if not other.dropped and other.name == name then fail('operator "%s" has a state "%s" already', self.uid, name) end
  end
  local state = state_of(self.change, { name = name, kind = kind, broadcast = opts and opts.broadcast or false,
    version = opts and opts.version or 1 })
  state.max_parallelism = self.max_parallelism
  table.insert(self.change.states, state)
end

local function canonical(what, key)
  local ok, bytes = pcall(saved.canonical, key)
  if not ok then fail("%s: %s", what, tostring(bytes)) end
  return bytes
end

local function entry_of(state, entry)
  if state.kind == "map" then return canonical("the key of a map's entry", entry) end
  if entry ~= nil then fail('state "%s" is a %s: only values of a map have an entry', state.name, state.kind) end
end

-- Of a state that is going to have values: where they wait for the key groups to be written.
local function make_places(self, state)
  for _, ended in ipairs(self.vertex.ended) do
    if ended then fail('operator "%s" had ended in a part of its subtasks: nothing can be put into it', self.uid) end
  end
  state.places = state.places or self.sp.spool:places(state.broadcast and 1 or state.max_parallelism)
end

local function check_key(self, state, key)
  if state.broadcast and key ~= true then
    fail('state "%s" of operator "%s" is broadcast: its only key is true', state.name, self.uid)
  end
end

local function has_values(state) return state.index and not state.cleared end

--- Sets what a key has: the value, an entry of its map, or one element more of its list. What is said later in the
--- script holds, be it put or loaded. A time to live begins with the edit.
---@param name string
---@param key any a string, number, boolean, or a list of them for a key of several fields; of broadcast state true
---@param value any
---@param entry? any of a map
function Operator:put(name, key, value, entry)
  local state = find_state(self, name)
  check_open(self, state)
  local k, e = canonical("a key", key), entry_of(state, entry)
  if value == nil then fail("put sets a value; to remove one, map it to nil") end
  check_key(self, state, key)
  make_places(self, state)
  local ok, err = pcall(recast.add, self.sp.spool, state, k, value, e)
  if not ok then fail("%s", err) end
  if has_values(state) and state.kind ~= "list" then
    state.replaced = state.replaced or {}
    state.replaced[k .. (e or "")] = true
  end
end

--- Fills a state that is empty from a file: lines of JSON, or .csv with a line of names. The function is called once
--- for each record, in the order of the file, and gives key, value and, for a map, entry; without a key or a value the
--- record is passed over. Of several values of a key (of a map: of an entry) the last one holds, in this file, in
--- another one that is loaded later, or put; each one of a list is an element more.
---@param name string
---@param path string
---@param fn fun(record: table): any, any, any
function Operator:load(name, path, fn)
  local state = find_state(self, name)
  check_open(self, state)
  text("the path of a file", path)
  callable("what makes key and value of a record", fn)
  if has_values(state) then fail('state "%s" has values: clear it first, or add one of another name', name) end
  make_places(self, state)
  local file, err = io.open(path, "r")
  if not file then fail("%s", err) end
  each_record(file, path, function(record)
    local key, value, entry = fn(record)
    if key ~= nil and value ~= nil then
      check_key(self, state, key)
      local e = state.kind == "map" and saved.canonical(entry) or nil
      recast.add(self.sp.spool, state, saved.canonical(key), value, e)
    end
  end)
end

-- Where the source is, as tables that a later seek may change.
local function source_of(self)
  local source = positions.source(self:own(), self:to_come())
  if source then return source end
  fail('operator "%s" is no source whose positions are known; own() gives all it keeps', self.uid)
end

---@class weir.Position
---@field split string its name: "orders[3]", the path of a file, "lane 0"
---@field subtask? integer that has it; nil: it is still to be given out
---@field next integer|string|{ timestamp: number } what is read next: an offset, "earliest", "latest", the first record
--- of that time or behind it; of a file a byte, of a lane a number
---@field stop? integer in front of which it ends
---@field topic? string
---@field partition? integer
---@field path? string of a file
---@field step? integer from one number of a lane to its next

--- Where a source is: what it reads next of each split.
---@return weir.Position[]
function Operator:positions()
  return positions.list(source_of(self))
end

--- Sets what a source reads next of a split, which is named as positions() and `weir savepoint info` do: "orders[3]".
--- Of a partition `next` is an offset, "earliest", "latest" or { timestamp = ms since 1970 }: the first record that is
--- not older, which the brokers are asked for when the job begins. Of a lane of a source that counts it is a number, of
--- a file "earliest". State stays as it is: what was read before and is read again comes into it twice unless it is
--- cleared.
---@param split string
---@param next integer|string|{ timestamp: integer }
function Operator:seek(split, next)
  local source = source_of(self)
  local reason = positions.seek(source, split, next)
  if reason then fail('"%s": %s', self.uid, reason) end
  self.change.own, self.change.to_come = source.values, source.to_come
end

--- All that the operator keeps for itself, by subtask, as tables: to look at, change, and set.
---@return any[]
function Operator:own()
  local out, change = {}, self.change
  if change.own then return change.own end
  for subtask = 0, change.operator and change.operator.parallelism - 1 or -1 do
    local bytes = self.sp.from:own(change.operator, subtask)
    out[subtask + 1] = bytes ~= "" and recast.numbers(codec.decode_value(bytes)) or codec.null
  end
  return out
end

--- Sets what own() gives; a subtask whose place is empty keeps nothing.
---@param list any[] by subtask
function Operator:set_own(list)
  if type(list) ~= "table" then fail("what is kept is a list, one a subtask, not a %s", type(list)) end
  if #list > self.parallelism then
    fail('operator "%s" had %d subtasks: no place for %d', self.uid, self.parallelism, #list)
  end
  local own = {}
  for i = 1, self.parallelism do own[i] = list[i] == nil and codec.null or list[i] end
  self.change.own = own
end

--- What a source keeps beside its subtasks, as a table: files that none of them has begun, partitions that were given
--- out; nil if it keeps no such thing.
---@return table?
function Operator:to_come()
  local bytes = self.sp.from:enumerator(self.change.operator and self.change.operator.uid)
  if self.change.to_come ~= nil then return self.change.to_come end
  return bytes and recast.numbers(codec.decode_value(bytes))
end

--- Sets what to_come() gives.
---@param value table
function Operator:set_to_come(value)
  if self:to_come() == nil then fail('operator "%s" is no source that keeps anything beside its subtasks', self.uid) end
  self.change.to_come = value
end

---------------------------------------------------------------- a savepoint

---@class weir.EditedSavepoint
---@field job string its name: may be set
---@field args table<string, string> key=value operands of the command
---@field time number when it was taken, in ms
local Edited = {}
Edited.__index = Edited

--- The operator of this uid.
---@param uid string
---@return weir.SavepointOperator
function Edited:operator(uid)
  text("a uid", uid)
  local found, uids = self.by_uid[uid], {}
  if found then return found end
  for known in pairs(self.by_uid) do uids[#uids + 1] = known end
  table.sort(uids)
  fail('%s has no operator "%s"%s', self.from.path, uid, suggest.hint(uid, uids))
end

--- All operators, in the order of the job.
---@return weir.SavepointOperator[]
function Edited:operators()
  local out = {}
  for i, operator in ipairs(self.all) do out[i] = operator end
  return out
end

--- Event time begins anew: the watermarks of all operators are forgotten, so that records which a source is set back to
--- are not late. State, open windows and timers stay as they are.
function Edited:restart_time()
  for _, vertex in ipairs(self.from.manifest.vertices) do
    for _, task in ipairs(vertex.tasks) do
      if task.in_flight then
        fail("%s has rows that barriers overtook, and watermarks between them: take a savepoint of the job",
          self.from.path)
      end
    end
  end
  self.time_anew = true
end

--- An operator that the savepoint does not have, to put state into.
---@param uid string
---@param opts? { max_parallelism: integer } default: that of the others
---@return weir.SavepointOperator
function Edited:add_operator(uid, opts)
  text("a uid", uid)
  if self.by_uid[uid] then fail('there is an operator "%s" already', uid) end
  local first = self.vertices[1]
  local max = opts and opts.max_parallelism or first and first.max_parallelism or 128
  if type(max) ~= "number" or max % 1 ~= 0 or max < 1 or max > 32768 then
    fail("max_parallelism is a whole number from 1 to 32768, not %s", tostring(max))
  end
  local change = { uid = uid, name = uid, states = {}, max_parallelism = max }
  local vertex = { name = uid, parallelism = 1, max_parallelism = max, ended = {}, all = { change } }
  local operator = setmetatable({
    sp = self, uid = uid, name = uid, change = change, vertex = vertex, parallelism = 1, max_parallelism = max,
  }, Operator)
  self.by_uid[uid] = operator
  self.all[#self.all + 1] = operator
  self.vertices[#self.vertices + 1] = vertex
  return operator
end

local function edited(from, spool, args)
  local self = setmetatable({
    from = from, spool = spool, job = from.job, time = from.time, args = args, by_uid = {}, all = {}, vertices = {},
  }, Edited)
  for _, operator in ipairs(from.operators) do
    local vertex = self.vertices[operator.vertex + 1]
    if not vertex then
      local record = from.manifest.vertices[operator.vertex + 1]
      vertex = {
        name = record.name, parallelism = operator.parallelism, max_parallelism = operator.max_parallelism,
        ended = {}, all = {},
      }
      for i, task in ipairs(record.tasks) do vertex.ended[i] = task.blob == false end
      self.vertices[operator.vertex + 1] = vertex
    end
    local change = { uid = operator.uid, name = operator.name, operator = operator, states = {} }
    for i, s in ipairs(operator.states) do change.states[i] = state_of(operator, s) end
    vertex.all[operator.stage + 1] = change
    local it = setmetatable({
      sp = self, uid = operator.uid, name = operator.name, change = change, vertex = vertex,
      parallelism = operator.parallelism, max_parallelism = operator.max_parallelism,
    }, Operator)
    self.by_uid[operator.uid] = it
    self.all[#self.all + 1] = it
  end
  return self
end

---------------------------------------------------------------- what the script said, as a plan

-- Numbers of the states that stay.
local function settle_states(change)
  local next_number = { [false] = 0, [true] = 0 }
  for _, state in ipairs(change.states) do
    if state.dropped then
      state.cleared, state.places = true, nil
    else
      state.to = next_number[state.broadcast]
      next_number[state.broadcast] = state.to + 1
    end
  end
end

-- The enumerators of sources that stay, under the uids that they have now.
local function sources_of(sp)
  local out = {}
  for _, operator in ipairs(sp.all) do
    local change = operator.change
    local bytes = change.operator and not change.dropped and sp.from:enumerator(change.operator.uid)
    if bytes then
      local state = change.to_come ~= nil and recast.integers(change.to_come) or codec.decode_value(bytes)
      out[#out + 1] = { uid = change.uid, state = state }
    end
  end
  return out
end

-- Vertices with the operators that stay.
local function settle(sp)
  local vertices = {}
  for _, vertex in ipairs(sp.vertices) do
    local kept = {}
    for _, change in ipairs(vertex.all) do
      settle_states(change)
      if not change.dropped then kept[#kept + 1] = change end
    end
    vertex.headless = kept[1] ~= vertex.all[1]
    vertex.all = kept
    if #kept > 0 then vertices[#vertices + 1] = vertex end
  end
  return vertices
end

---------------------------------------------------------------- the script

local function read(path)
  local file, err = io.open(path, "rb")
  if not file then error(err, 0) end
  local script = file:read "*a"
  file:close()
  if not script then error(path .. " cannot be read", 0) end
  if script:byte(1) == 27 then error(path .. " is bytecode; a script is Lua text", 0) end
  return (script:gsub("^#![^\n]*", ""))
end

local function function_of(path)
  local fn, err = loadstring(read(path), "@" .. path)
  if not fn then error(err, 0) end
  local result = setfenv(fn, require("weir.internal.sandbox").environment(path))()
  if type(result) ~= "function" then
    error(("%s returns a %s; it should return function(savepoint) … end"):format(path, type(result)), 0)
  end
  return result
end

local function arguments(operands)
  local args = {}
  for i = 3, #operands do
    local name, value = operands[i]:match "^([^=]+)=(.*)$"
    if not name then error(("'%s': arguments of a script are written key=value"):format(operands[i]), 0) end
    args[name] = value
  end
  return args
end

local function rewrite(from, spool, operands, output)
  local sp = edited(from, spool, arguments(operands))
  function_of(operands[2])(sp)
  if type(sp.job) ~= "string" or sp.job == "" then error("the name of a job is a string", 0) end
  local vertices = settle(sp)
  local out = recast.new(output, from, spool, sp.time_anew)
  local ok, err = pcall(out.write, out, vertices, {
    job = sp.job, sources = sources_of(sp), identity = ("%s-%d"):format(from.lineage, from.checkpoint),
  })
  local counts = { changed = out.changed, removed = out.removed, added = out.added }
  out:close()
  if not ok then error(err, 0) end
  return counts
end

--- Writes the changed savepoint; gives what was changed.
---@param operands string[] file, script, key=value …
---@param output string path of the new one
---@return { changed: integer, removed: integer, added: integer }
function M.edit(operands, output)
  local from = saved.open(operands[1])
  if from.finished then error(("%s: the job had ended, there is nothing to change"):format(operands[1]), 0) end
  local spool = spools.new(output .. ".load.part")
  collectgarbage("setpause", 150) -- each key group is garbage behind it, and no four of them should be kept
  local ok, result = pcall(rewrite, from, spool, operands, output)
  spool:close()
  return ok and result or error(result, 0)
end

return M
