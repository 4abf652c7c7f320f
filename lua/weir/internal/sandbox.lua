-- SPDX-License-Identifier: Apache-2.0
--- The world of the user's script: what of Lua it may use, and where its modules come from.
---
--- Time and chance come from the engine only, so that a run can be repeated: os.time, os.clock
--- and math.random answer from the subtask's clock and seed. With --unsafe everything is open.

local M = {}

local host = weir_host -- luacheck: ignore

-- An error at the script's line, also where pcall stands between it and us: level 2 would be pcall's.
local function fail(...)
  return require("weir.where").fail(...)
end

-- What the engine answers with; set by `connect` in a subtask, constant while the graph is drawn.
local world = { now_ms = function() return 0 end, random = nil }

--- Lets time and chance come from a subtask.
function M.connect(now_ms, random)
  world.now_ms, world.random = now_ms, random
end

-- Set in the state of a sink, whose functions write to the world: io, os, and the modules that are installed.
local opened = false

--- Opens the world to the script of this state.
function M.open_world() opened = true end

local function forbidden(name, instead)
  return function()
    fail("%s is closed to job scripts%s; --unsafe opens it", name, instead and " (" .. instead .. ")" or "")
  end
end

-- A library of which nothing is open: each of its functions says so when it is called.
local function closed(library)
  return setmetatable({}, { __index = function(_, name) return forbidden(library .. "." .. tostring(name)) end })
end

-- Addresses differ from run to run, so texts never show them.
local function masked_tostring(v)
  local text = tostring(v)
  local ty = type(v)
  if ty == "table" or ty == "function" or ty == "thread" or ty == "userdata" then
    return (text:gsub("0x%x+", "0x"))
  end
  return text
end

local function ordered_pairs(t)
  local mt = getmetatable(t)
  if mt and type(mt) == "table" and rawget(mt, "__pairs") then return mt.__pairs(t) end
  for k in next, t do
    local ty = type(k)
    if ty ~= "string" and ty ~= "number" and ty ~= "boolean" then return next, t, nil end
  end
  return require("weir.pairs").pairs(t)
end

local function copy(t)
  local out = {}
  for k, v in next, t do out[k] = v end
  return out
end

local function random(...)
  local u = world.random and world.random() or math.random()
  local n = select("#", ...)
  if n == 0 then return u end
  local low, high = 1, (...)
  if n >= 2 then low, high = ... end
  if high < low then fail "bad argument to 'random' (interval is empty)" end
  return low + math.floor(u * (high - low + 1))
end

-- Text only: bytecode could break out of the sandbox.
local function checked_load(chunk, name, mode, env, own)
  if type(chunk) == "function" then
    local parts = {}
    for piece in chunk do
      if piece == "" then break end
      parts[#parts + 1] = piece
    end
    chunk = table.concat(parts)
  end
  if type(chunk) ~= "string" then fail("load: text expected, got %s", type(chunk)) end
  if chunk:byte(1) == 27 or mode == "b" then return nil, "bytecode is closed to job scripts" end
  local fn, err = loadstring(chunk, name or "=(load)")
  if not fn then return nil, err end
  return setfenv(fn, env or own)
end

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

-- Module `name` from the bundle or, while the graph is drawn, from the script's folder and --lua-path.
local function find_module(name, folder)
  local text = host.file("module:" .. name)
  if text then return text, host.file("path:" .. name) end
  if not host.drawing then return nil end
  local relative = name:gsub("%.", "/")
  local tried = {}
  local path = folder .. "?.lua;" .. folder .. "?/init.lua" .. (host.lua_path and ";" .. host.lua_path or "")
  for pattern in path:gmatch "[^;]+" do
    local file = pattern:gsub("%?", relative)
    text = read_file(file)
    if text then
      host.add("module:" .. name, text)
      host.add("path:" .. name, file)
      return text, file
    end
    tried[#tried + 1] = "\n  " .. file
  end
  return nil, table.concat(tried)
end

-- Methods of strings: ours cannot be replaced, what the script adds to `string` is found behind them.
-- Without it ("x").dump and getmetatable("").__index would be the real library.
local string_metatable = getmetatable ""
local function close_strings(library)
  local methods = copy(string)
  methods.dump = library.dump
  string_metatable.__index = setmetatable(methods, { __index = library })
  string_metatable.__metatable = "the metatable of strings is closed to job scripts"
end

-- Does a call of `require` for this module enclose the one that asks? One that failed does not, and may be tried
-- again.
local function enclosed(load_fn, name)
  local level = 3
  while true do
    local info = debug.getinfo(level, "f")
    if not info then return false end
    if info.func == load_fn and select(2, debug.getlocal(level, 1)) == name then return true end
    level = level + 1
  end
end

--- Makes the environment that a script at `path` runs in.
---@param path string
---@return table env
function M.environment(path)
  if host.unsafe then
    local env = setmetatable({}, { __index = _G })
    env._G = env
    return env
  end
  local folder = path:match "^(.*/)" or ""
  local loaded, loading = {}, {}
  local env = {
    assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs,
    pcall = pcall, rawequal = rawequal, rawget = rawget, rawset = rawset, select = select,
    setmetatable = setmetatable, tonumber = tonumber, tostring = masked_tostring, type = type,
    unpack = unpack, xpcall = xpcall, _VERSION = _VERSION,
    coroutine = copy(coroutine), string = copy(string), table = copy(table), math = copy(math), bit = copy(bit),
    dofile = forbidden "dofile", loadfile = forbidden "loadfile",
    collectgarbage = forbidden("collectgarbage", "the engine steps the collector"),
  }
  env._G = env
  env.string.dump = forbidden "string.dump"
  close_strings(env.string)
  env.math.random = random
  env.math.randomseed = function() end
  if host.drawing then env.pairs = ordered_pairs end
  env.os = {
    time = function(t)
      if t then return os.time(t) end
      return math.floor(world.now_ms() / 1000)
    end,
    clock = function() return world.now_ms() / 1000 end,
    date = function(format, time) return os.date(format, time or math.floor(world.now_ms() / 1000)) end,
    difftime = os.difftime,
    execute = forbidden "os.execute", exit = forbidden "os.exit", remove = forbidden "os.remove",
    rename = forbidden "os.rename", tmpname = forbidden "os.tmpname", setlocale = forbidden "os.setlocale",
    getenv = forbidden("os.getenv", "use job.args"),
  }
  if opened then
    local exit, setlocale = env.os.exit, env.os.setlocale
    env.os = copy(os)
    env.os.exit, env.os.setlocale = exit, setlocale
  end
  env.io = opened and copy(io) or closed "io"
  env.debug, env.jit = closed "debug", closed "jit"
  env.print = function(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = masked_tostring((select(i, ...))) end
    io.stderr:write(table.concat(parts, "\t"), "\n") -- standard output belongs to the records
  end
  env.load = function(chunk, name, mode, own) return checked_load(chunk, name, mode, own, env) end
  env.loadstring = env.load
  env.setfenv = forbidden "setfenv"
  env.getfenv = forbidden "getfenv"
  env.module = forbidden("module", "return a table instead")

  local function load_module(name)
    if type(name) ~= "string" then fail("require: a name expected, got %s", type(name)) end
    if loaded[name] ~= nil then return loaded[name] end
    if name == "ffi" or name == "jit" or name == "debug" or name:find "^jit%." or name:find "^weir%.internal" then
      fail("module '%s' is closed to job scripts; --unsafe opens it", name)
    end
    if name == "bit" or name == "string" or name == "table" or name == "math" then return env[name] end
    if host.embedded(name) then return require(name) end
    if loading[name] and enclosed(load_module, name) then
      fail("module '%s' requires itself: it is required here while it is being loaded", name)
    end
    local text, where = find_module(name, folder)
    if not text and opened then return require(name) end
    if not text then fail("module '%s' not found%s", name, where and "; looked for:" .. where or "") end
    if text:byte(1) == 27 then fail("module '%s' is bytecode, which is closed to job scripts", name) end
    local fn, err = loadstring(text, "@" .. where)
    if not fn then error(err, 0) end
    loading[name] = true
    local value = setfenv(fn, env)(name)
    loading[name] = nil
    if value == nil then value = true end
    loaded[name] = value
    return value
  end
  env.require = load_module
  return env
end

return M
