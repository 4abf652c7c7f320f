-- SPDX-License-Identifier: Apache-2.0
--- Handles to keyed state: `ctx.<name>:get()` and their kin. The values lie in C
--- (state/store.h) as rows; a handle is a few functions made once per stage, whose readers
--- and writers learn the shapes of the values as sites do (`weir.internal.rows`).

local ffi = require "ffi"
local border = require "weir.internal.border"
local rows = require "weir.internal.rows"
local keys = require "weir.internal.keys"

border.declare "state"

local C = border.C
local format, concat = string.format, table.concat

local M = {}

-- A function that stores into a variable of the function around it, and is called both before and after that
-- one returned. Never compiled: a trace that was recorded when the variable still lay on the stack goes on to
-- store without the collector's write barrier, and what it stored is freed while it is in use.
local function setter(fn)
  jit.off(fn)
  return fn
end

---------------------------------------------------------------- versions

local TAG = 2 ^ 24 -- what a version is worth in the shape of a value (state/store.h)
local SHAPE = TAG - 1

-- The key at hand and a value, for messages.
local function shown(v)
  if type(v) == "cdata" then return (tostring(v):gsub("U?LL$", "")) end
  return require("weir.jsontext").encode(v)
end

local function key_text(S)
  local len = ffi.new "uint32_t[1]"
  local p = C.wr_store_key(S, len)
  if p == nil or len[0] == 0 then return "" end
  local parts = { keys.get(p) }
  for i, part in ipairs(parts) do parts[i] = shown(part) end
  return " at key " .. (#parts > 1 and "[" .. concat(parts, ",") .. "]" or parts[1])
end

-- What tells the values of older declarations from those of this one, and brings them up; state i at `at`
-- (`rows.place`).
local function versions_of(S, name, descriptor, at, i)
  local version = descriptor.version or 1
  local V = { index = version - 1, tag = (version - 1) * TAG }
  V.places = { read = rows.place(at, i, 1), write = rows.place(at, i, 2) }

  --- Is it a value of another version?
  function V.is_other(p)
    return math.floor(p.shape / TAG) ~= V.index
  end

  --- The value of an older version as one of this; nil: it is to go.
  function V.upgrade(p)
    local from = math.floor(p.shape / TAG) + 1
    if from > version then
      error(format("state '%s'%s was saved as version %d, and is declared as version %d", name, key_text(S), from,
        version), 0)
    end
    local old = rows.decoder(bit.band(p.shape, SHAPE))(ffi.cast(border.u8p, p.body))
    local text = shown(old) -- migrate may change it
    local ok, new = pcall(descriptor.migrate, old, from)
    local why = new
    if ok and new ~= nil then
      ok, why = pcall(rows.encode, new, true) -- what cannot be in a record shows here, where its origin is known
    end
    if ok then return new end
    error(format("migrate of state '%s' from version %d to %d failed%s, value %s: %s", name, from, version,
      key_text(S), text, tostring(why)), 0)
  end
  return V
end

---------------------------------------------------------------- readers

local SHAPES_PER_READER = 6

-- A function from a value in state to a record, specialised to the shapes it has met; `at` is its place
-- (`rows.place`), `old` makes the record of a value of another version.
local function reader(at, on_change, V, old)
  local known, ids = {}, {}
  local E = rows.environment()
  E.decode = rows.decode

  local function learn(id)
    known[id] = true
    ids[#ids + 1] = id
    rows.learned(at, id)
    local row_text = require "weir.internal.row_text"
    local text = { row_text.PRELUDE, "local general = E.general", "return function(p)", "local id = p.shape" }
    for _, shape_id in ipairs(ids) do
      local out = {}
      local value = row_text.decode_text(rows.shape(bit.band(shape_id, SHAPE)), "b", out, nil)
      text[#text + 1] = format("if id == %d then local b = cast(u8p, p.body) %s return %s end",
        shape_id, concat(out, "\n"), value)
    end
    text[#text + 1] = "return general(p)\nend"
    on_change(rows.generate(concat(text, "\n"), "=state", E))
  end

  local function general(p)
    local id = p.shape
    if V.is_other(p) then return old(p) end
    if not known[id] and #ids < SHAPES_PER_READER then learn(id) end
    return rows.decoder(bit.band(id, SHAPE))(ffi.cast(border.u8p, p.body))
  end
  E.general = general
  on_change(general)
  local hint = rows.hint(at)
  if hint and math.floor(hint / TAG) == V.index then learn(hint) end
end

-- A site that writes into state, at its place; `room` is the text of the C call that gives the body's place.
local function writer(at, S, room, params, general, on_change, known)
  local E = rows.environment(nil, S, S)
  E.keys_put = keys.put
  rows.site {
    E = E,
    at = at,
    known = known,
    params = params,
    place = function(text, shape)
      text[#text + 1] = format("local b = %s if b == nil then E.no_memory() end", room(shape))
    end,
    finish = function() end,
    write = general,
    on_change = on_change,
    refused = function(message) error(message, 0) end,
  }
  E.no_memory = function() error(border.error_text(), 0) end
end

local function put_body(p, body)
  if p == nil then error(border.error_text(), 0) end
  ffi.copy(p, body, #body)
end

-- Called where a method was given nothing: with a dot it took its argument for the handle.
local function check_colon(self, method, level)
  if type(self) == "table" and self[method] then return end
  error(format("a method of a state is called with a colon: ctx.state:%s(…)", method), (level or 2) + 1)
end

---------------------------------------------------------------- kinds

local kinds = {}

-- Value access that reducing and aggregating states share.
local function value_access(S, i, known, V)
  local read, write
  local function set(v)
    if v == nil then C.wr_state_clear(S, i) else write(v) end
  end
  reader(V.places.read, setter(function(fn) read = fn end), V, function(p)
    local new = V.upgrade(p)
    set(new)
    return new
  end)
  writer(V.places.write, S, function(shape) return format("C.wr_state_put(S, %d, %d, n)", i, shape + V.tag) end, "",
    function(id, body) put_body(C.wr_state_put(S, i, id + V.tag, #body), body) end,
    setter(function(fn) write = fn end), known)
  local function get()
    local p = C.wr_state_get(S, i)
    if p == nil then return nil end
    return read(p)
  end
  local function bring_up()
    local p = C.wr_state_get(S, i)
    if p ~= nil and V.is_other(p) then set(V.upgrade(p)) end
  end
  return get, set, bring_up
end

function kinds.value(S, i, _, known, V)
  local get, set, bring_up = value_access(S, i, known, V)
  return {
    get = function(_) return get() end,
    set = function(self, v)
      if v == nil then check_colon(self, "set") end
      return set(v)
    end,
    update = function(self, fn)
      if fn == nil then check_colon(self, "update") end
      return set(fn(get()))
    end,
    clear = function(_) C.wr_state_clear(S, i) end,
  }, bring_up
end

function kinds.reducing(S, i, descriptor, _, V)
  local get, set, bring_up = value_access(S, i, nil, V)
  local fn = descriptor.fn
  return {
    get = function(_) return get() end,
    add = function(self, v)
      if v == nil then
        check_colon(self, "add")
        error("cannot add nil to a reducing state", 2)
      end
      local old = get()
      if old == nil then return set(v) end
      local new = fn(old, v)
      if new == nil then error("the function of a reducing state returned nil", 2) end
      set(new)
    end,
    clear = function(_) C.wr_state_clear(S, i) end,
  }, bring_up
end

function kinds.aggregating(S, i, descriptor, _, V)
  local get, set, bring_up = value_access(S, i, nil, V)
  local init, add, result = descriptor.init, descriptor.add, descriptor.result
  return {
    get = function(_)
      local acc = get()
      if acc == nil then return nil end
      if result then return result(acc) end
      return acc
    end,
    add = function(self, v)
      if v == nil then check_colon(self, "add") end
      local acc = get()
      if acc == nil then acc = init() end
      local new = add(acc, v)
      if new == nil then new = acc end
      set(new)
    end,
    clear = function(_) C.wr_state_clear(S, i) end,
  }, bring_up
end

function kinds.list(S, i, _, known, V)
  local read, write
  reader(V.places.read, setter(function(fn) read = fn end), V, V.upgrade)
  writer(V.places.write, S, function(shape) return format("C.wr_list_add(S, %d, %d, n)", i, shape + V.tag) end, "",
    function(id, body) put_body(C.wr_list_add(S, i, id + V.tag, #body), body) end,
    setter(function(fn) write = fn end), known)

  local function has_other()
    local cursor = ffi.new "uint64_t[1]"
    while true do
      local p = C.wr_list_next(S, i, cursor)
      if p == nil then return false end
      if V.is_other(p) then return true end
    end
  end
  -- A list is written anew as a whole.
  local function bring_up()
    if not has_other() then return end
    local list, n, cursor = {}, 0, ffi.new "uint64_t[1]"
    while true do
      local p = C.wr_list_next(S, i, cursor)
      if p == nil then break end
      local v
      if V.is_other(p) then v = V.upgrade(p) else v = read(p) end
      if v ~= nil then
        n = n + 1
        list[n] = v
      end
    end
    C.wr_state_clear(S, i)
    for k = 1, n do write(list[k]) end
  end

  local function step(cursor)
    local p = C.wr_list_next(S, i, cursor)
    if p == nil then return nil end
    return read(p)
  end
  local function all()
    local list, n = {}, 0
    local cursor = ffi.new "uint64_t[1]"
    while true do
      local p = C.wr_list_next(S, i, cursor)
      if p == nil then return list end
      n = n + 1
      list[n] = read(p)
    end
  end
  local handle = {
    get = function(_) return all() end,
    all = function(_) return all() end,
    iter = function(_) return step, ffi.new "uint64_t[1]" end,
    count = function(_) return C.wr_list_count(S, i) end,
    clear = function(_) C.wr_state_clear(S, i) end,
  }
  function handle.add(self, v)
    if v == nil then
      check_colon(self, "add")
      error("cannot add nil to a list state", 2) -- S2
    end
    write(v)
  end
  local function check_list(self, method, list)
    if list == nil then check_colon(self, method, 3) end
    if type(list) ~= "table" then error("a list state is set to a list, not to " .. type(list), 3) end
  end
  function handle.add_all(self, list)
    check_list(self, "add_all", list)
    for k = 1, #list do write(list[k]) end
  end
  function handle.set(self, list)
    check_list(self, "set", list)
    C.wr_state_clear(S, i)
    for k = 1, #list do write(list[k]) end
  end
  return handle, bring_up
end

function kinds.map(S, i, _, known, V)
  local read, write
  reader(V.places.read, setter(function(fn) read = fn end), V, V.upgrade)
  local function room(shape) return format("C.wr_map_put(S, %d, k, klen, %d, n)", i, shape + V.tag) end
  writer(V.places.write, S, room, ", k, klen",
    function(id, body, k, klen) put_body(C.wr_map_put(S, i, k, klen, id + V.tag, #body), body) end,
    setter(function(fn) write = fn end), known)
  local put_key = keys.put
  local key_out, klen_out = ffi.new "const uint8_t *[1]", ffi.new "uint32_t[1]"

  local function step(cursor)
    local p = C.wr_map_next(S, i, cursor, key_out, klen_out)
    if p == nil then return nil end
    return keys.get(key_out[0]), read(p)
  end
  local function write_back(new, k, n)
    if new == nil then C.wr_map_remove(S, i, k, n) else write(new, k, n) end
  end
  local function bring_up()
    local changes, cursor = {}, ffi.new "uint64_t[1]"
    while true do
      local p = C.wr_map_next(S, i, cursor, key_out, klen_out)
      if p == nil then break end
      if V.is_other(p) then
        changes[#changes + 1] = { key = ffi.string(key_out[0], klen_out[0]), value = V.upgrade(p) }
      end
    end
    for _, change in ipairs(changes) do
      write_back(change.value, ffi.cast(border.cu8p, change.key), #change.key)
    end
  end
  return {
    get = function(self, key)
      if key == nil then check_colon(self, "get") end
      local k, n = put_key(key)
      local p = C.wr_map_get(S, i, k, n)
      if p == nil then return nil end
      if V.index > 0 and V.is_other(p) then
        local new = V.upgrade(p)
        k, n = put_key(key)
        write_back(new, k, n)
        return new
      end
      return read(p)
    end,
    put = function(self, key, v)
      local k, n = put_key(key)
      if v == nil then
        check_colon(self, "put")
        C.wr_map_remove(S, i, k, n)
      else
        write(v, k, n)
      end
    end,
    remove = function(self, key)
      if key == nil then check_colon(self, "remove") end
      local k, n = put_key(key)
      return C.wr_map_remove(S, i, k, n) ~= 0
    end,
    contains = function(self, key)
      if key == nil then check_colon(self, "contains") end
      local k, n = put_key(key)
      return C.wr_map_get(S, i, k, n) ~= nil
    end,
    iter = function(_) return step, ffi.new "uint64_t[1]" end,
    keys = function(_)
      local list, cursor = {}, ffi.new "uint64_t[1]"
      while C.wr_map_next(S, i, cursor, key_out, klen_out) ~= nil do
        list[#list + 1] = keys.get(key_out[0])
      end
      return list
    end,
    count = function(_) return C.wr_map_count(S, i) end,
    is_empty = function(_) return C.wr_map_count(S, i) == 0 end,
    clear = function(_) C.wr_state_clear(S, i) end,
  }, bring_up
end

---------------------------------------------------------------- stages

local changing_methods = { put = true, remove = true, clear = true } -- of a map, which broadcast state is

-- Broadcast state as the other side sees it (S17).
local function read_only(handle, name)
  local view = {}
  for method, fn in next, handle do
    view[method] = fn
    if changing_methods[method] then
      view[method] = function()
        error(format("broadcast state '%s' can only be changed by the broadcast function", name), 2)
      end
    end
  end
  return view
end

-- As long as there may be older values, what looks at a list or map as a whole brings it up before.
local WHOLE = {
  list = { "get", "all", "iter", "count", "add", "add_all" }, map = { "iter", "keys", "count", "is_empty", "contains" },
}

local function bring_up_before(handle, kind, bring_up, L)
  for _, method in ipairs(WHOLE[kind] or {}) do
    local plain = handle[method]
    handle[method] = function(...)
      if L.migrating ~= 0 then bring_up() end
      return plain(...)
    end
  end
end

local function make(S, i, name, descriptor, known, stage, at)
  local kind = kinds[descriptor.kind]
  if not kind then error("unknown kind of state: " .. tostring(descriptor.kind)) end
  local V = versions_of(S, name, descriptor, at, i)
  -- what migrate makes may have other names than what the script's functions write
  local ok, handle, bring_up = pcall(kind, S, i, descriptor, V.index == 0 and known or nil, V)
  if not ok then error(format("state '%s': %s", name, handle)) end
  if V.index > 0 then
    bring_up_before(handle, descriptor.kind, bring_up, stage.L)
    stage.bring_up = stage.bring_up or {}
    table.insert(stage.bring_up, bring_up)
  end
  return handle
end

--- Brings values of older versions up, key by key, a few at a time; `L.migrating` is 0 when all are done.
---@param stage table
---@return fun(keys: integer)
local function migrating(stage)
  local S, L, keyed = stage.store, stage.L, stage.plan.key ~= nil
  local cursor = ffi.new "uint64_t[1]"
  L.migrating = 1
  return function(count)
    for _ = 1, count do
      local rc = C.wr_store_next(S, cursor)
      if rc < 0 then error(border.error_text(), 0) end
      if rc == 0 then
        L.migrating = 0
        break
      end
      for _, bring_up in ipairs(stage.bring_up) do bring_up() end
    end
    if keyed then C.wr_store_unset_key(S) else C.wr_store_set_one_key(S) end
  end
end

--- Makes the handles of a stage's root operator, in the order of the plan's states.
function M.prepare(stage)
  local node, plan = stage.ops[1], stage.plan
  local fn = node.fn
  if stage.store then
    stage.handles = {}
    if node.kind == "reduce" then
      M.prepare_reduce(stage, node)
    else
      local known = type(fn) == "table" and require("weir.internal.names").of_states(node.kind, fn) or {}
      for i, entry in ipairs(plan.states or {}) do
        local descriptor = type(fn) == "table" and fn.state and fn.state[entry.name]
        if descriptor then
          stage.handles[entry.name] = make(stage.store, i - 1, entry.name, descriptor, known[entry.name], stage,
            rows.AT_STATE)
        end
      end
      if stage.bring_up then stage.migrate = migrating(stage) end
    end
  end
  if stage.broadcast and type(fn) == "table" and fn.broadcast_state then
    local declared = {}
    for name in next, fn.broadcast_state do declared[#declared + 1] = name end
    table.sort(declared)
    local full, view = {}, {}
    for i, name in ipairs(declared) do
      full[name] = make(stage.broadcast, i - 1, name, fn.broadcast_state[name], nil, stage, rows.AT_BROADCAST)
      view[name] = read_only(full[name], name)
    end
    stage.broadcast_handles = function(input) return input == 1 and full or view end
  end
end

local function reduced(fn, old, rec)
  local new = fn(old, rec)
  if new == nil then error("the function of reduce returned nil", 0) end
  return new
end

--- Reduce: the running value is state 0. With `emit = "final"` the store is walked at the end of event time.
function M.prepare_reduce(stage, node)
  local S = stage.store
  local get, set = value_access(S, 0, nil, versions_of(S, "value", {}, rows.AT_STATE, 0))
  if (node.options or {}).emit == "final" then
    stage.L.walks_at_end = 1
    stage.reducer = function(fn, rec)
      local old = get()
      if old == nil then set(rec) else set(reduced(fn, old, rec)) end
      return nil
    end
    stage.timer = function(ctx) ctx:emit(get()) end
  else
    stage.reducer = function(fn, rec)
      local old = get()
      local new = rec
      if old ~= nil then new = reduced(fn, old, rec) end
      set(new)
      return new
    end
  end
end

return M
