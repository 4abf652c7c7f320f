-- SPDX-License-Identifier: Apache-2.0
--- Functions of a test on their way into the Lua states of subtasks: packed with the values that they close
--- over, and unpacked into new ones, as often as a state is made.
---
--- A packed function is its bytecode, which keeps the file's name and lines, and its upvalues; two functions
--- that share a local still share it on the other side. Tables go along, with what hangs under them. What
--- belongs to a module of the program or to Lua's library goes by name instead: the same place is looked up on
--- the other side, where the sandbox decides what Lua's library is.

local codec = require "weir.internal.codec"
local host = weir_host -- luacheck: ignore

local type, getmetatable = type, getmetatable
local getinfo, getupvalue, upvalueid = debug.getinfo, debug.getupvalue, debug.upvalueid

local M = {}

---------------------------------------------------------------- what goes by name

local libraries = { "string", "table", "math", "bit", "coroutine", "os", "io", "debug", "package", "jit" }

-- Object → { module, step, … }: "f" and a field's name, "u" and an upvalue's number, "m" for a metatable.
local known = setmetatable({}, { __mode = "k" })
local walked = {}

-- What only tests load is known as a whole: its inside is the test's.
local function is_closed(name)
  return name == "weir.test" or name == "weir.internal.harness" or name == "weir.internal.carry"
end

local function step_on(path, kind, name)
  local out = { unpack(path) }
  out[#out + 1], out[#out + 2] = kind, name
  return out
end

local function sorted_names(t)
  local names = {}
  for name in next, t do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- Everything that is reached from a module's value gets its path; the nearest one wins.
local function walk(module, value)
  local queue, first = { { value, { module } } }, 1
  while queue[first] do
    local object, path = queue[first][1], queue[first][2]
    queue[first], first = nil, first + 1
    local ty = type(object)
    if (ty == "table" or ty == "function") and not known[object] then
      known[object] = path
      if ty == "table" and not is_closed(module) then
        for _, name in ipairs(sorted_names(object)) do
          queue[#queue + 1] = { rawget(object, name), step_on(path, "f", name) }
        end
        local mt = getmetatable(object)
        if type(mt) == "table" then queue[#queue + 1] = { mt, step_on(path, "m", 0) } end
      elseif ty == "function" and not is_closed(module) then
        local i = 1
        while true do
          local name, upvalue = getupvalue(object, i)
          if not name then break end
          queue[#queue + 1] = { upvalue, step_on(path, "u", i) }
          i = i + 1
        end
      end
    end
  end
end

local function walk_library()
  if walked._G then return end
  walked._G = true
  known[_G] = { "_G" }
  for _, name in ipairs(sorted_names(_G)) do
    if type(_G[name]) == "function" then known[_G[name]] = { "_G", "f", name } end
  end
  for _, name in ipairs(libraries) do
    known[_G[name]] = { "_G", "f", name }
    for _, field in ipairs(sorted_names(_G[name])) do
      local fn = _G[name][field]
      if type(fn) == "function" and not known[fn] then known[fn] = { "_G", "f", name, "f", field } end
    end
  end
end

local function walk_modules()
  walk_library()
  for _, name in ipairs(sorted_names(package.loaded)) do
    if not walked[name] and host.embedded(name) then
      walked[name] = true
      walk(name, package.loaded[name])
    end
  end
end

---------------------------------------------------------------- packing

local function place_of(fn)
  local info = getinfo(fn, "S")
  return info.what == "C" and "a function in C" or ("the function at %s:%d"):format(info.short_src, info.linedefined)
end

local function refuse(holder, what)
  error(("%s: %s cannot go along into the Lua states of subtasks; make it inside of the function"):format(holder,
    what), 0)
end

local put

-- Numbers of the nodes of `v`, or the value itself: { n = 3 } or { v = "text" }.
local function put_table(pack, t, holder)
  local node = { kind = "table" }
  local number = pack.add(t, node)
  local keys, values = {}, {}
  for k, v in next, t do
    keys[#keys + 1] = put(pack, k, holder)
    values[#keys] = put(pack, v, holder)
  end
  node.keys, node.values = keys, values
  local mt = getmetatable(t)
  if type(mt) == "table" then node.meta = put(pack, mt, holder) end
  return { n = number }
end

local function put_function(pack, fn)
  local holder = place_of(fn)
  if getinfo(fn, "S").what == "C" then refuse(holder, "it") end
  local node = { kind = "function", code = string.dump(fn) }
  local number = pack.add(fn, node)
  local cells, i = {}, 1
  while true do
    local name, value = getupvalue(fn, i)
    if not name then break end
    local id = upvalueid(fn, i)
    local cell = pack.cells[id]
    if not cell then
      cell = pack.add(nil, { kind = "cell" })
      pack.cells[id] = cell
      pack.nodes[cell].value = put(pack, value, ("%s, its local '%s'"):format(holder, name))
    end
    cells[i] = cell
    i = i + 1
  end
  node.cells = cells
  return { n = number }
end

function put(pack, v, holder)
  local ty = type(v)
  if ty ~= "table" and ty ~= "function" then
    if ty == "userdata" or ty == "thread" then refuse(holder, "a " .. ty) end
    local ok = pcall(codec.encode_value, v)
    if not ok then refuse(holder, "a " .. ty) end
    return { v = v }
  end
  if v == codec.null then return { v = v } end
  if pack.numbers[v] then return { n = pack.numbers[v] } end
  if known[v] then return { n = pack.add(v, { kind = "known", path = known[v] }) } end
  if ty == "table" then return put_table(pack, v, holder) end
  return put_function(pack, v)
end

--- The bytes of a function with all that it needs. Errors say which local of which function cannot go along.
---@param fn function
---@return string
function M.pack(fn)
  walk_modules()
  local pack = { nodes = {}, numbers = {}, cells = {} }
  function pack.add(object, node)
    local number = #pack.nodes + 1
    pack.nodes[number] = node
    if object ~= nil then pack.numbers[object] = number end
    return number
  end
  put(pack, fn, place_of(fn))
  return codec.encode_value(pack.nodes)
end

---------------------------------------------------------------- unpacking

local function look_up(path, env)
  local at
  if path[1] == "_G" then at = env else at = require(path[1]) end
  for i = 2, #path, 2 do
    local kind, name = path[i], path[i + 1]
    if kind == "f" then
      at = rawget(at, name) or at[name]
    elseif kind == "u" then
      local _, value = getupvalue(at, name)
      at = value
    else
      at = getmetatable(at)
    end
    if at == nil then
      error(("%s is closed to the functions of a job"):format(path[#path]), 0)
    end
  end
  return at
end

--- The function of packed bytes, with upvalues of its own, its globals those of `env`.
---@param bytes string
---@param env table
---@return function
function M.unpack(bytes, env)
  local nodes = codec.decode_value(bytes)
  local made = {}
  for i, node in ipairs(nodes) do
    if node.kind == "table" then
      made[i] = {}
    elseif node.kind == "known" then
      made[i] = look_up(node.path, env)
    elseif node.kind == "function" then
      made[i] = setfenv(assert(loadstring(node.code)), env)
    end
  end
  local function value_of(ref)
    if ref.n then return made[ref.n] end
    return ref.v
  end
  local owners = {} -- cell → the function and the number of the upvalue that is it
  for i, node in ipairs(nodes) do
    if node.kind == "table" then
      for k, key in ipairs(node.keys) do rawset(made[i], value_of(key), value_of(node.values[k])) end
      if node.meta then setmetatable(made[i], value_of(node.meta)) end
    elseif node.kind == "function" then
      for k, cell in ipairs(node.cells) do
        if owners[cell] then
          debug.upvaluejoin(made[i], k, owners[cell][1], owners[cell][2])
        else
          owners[cell] = { made[i], k }
          debug.setupvalue(made[i], k, value_of(nodes[cell].value))
        end
      end
    end
  end
  return made[1]
end

return M
