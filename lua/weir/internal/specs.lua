-- SPDX-License-Identifier: Apache-2.0
--- `weir test`: finds specs and has busted run them, in this Lua state, with `require "weir.test"` at hand.
---
--- Busted is a package of the machine. It is looked for where Lua looks for modules, and where Debian puts
--- those of Lua 5.1, which LuaJIT runs.

local codec = require "weir.internal.codec"
local harness = require "weir.internal.harness"

local M = {}

local function machine_paths()
  local arch = jit.arch:gsub("^x64$", "x86_64"):gsub("^arm64$", "aarch64")
  package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
    .. ";/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua"
  package.cpath = package.cpath .. ";/usr/lib/" .. arch .. "-linux-gnu/lua/5.1/?.so;/usr/local/lib/lua/5.1/?.so"
end

-- Modules beside the specs are found as those beside a script.
local function search_path(lua_path)
  if lua_path then package.path = lua_path .. ";" .. package.path end
end

local function need_busted()
  local ok, err = pcall(require, "busted.compatibility")
  if ok then return end
  if not tostring(err):find("module 'busted.compatibility' not found", 1, true) then error(err, 0) end
  error("weir test needs busted, which is not on this machine: apt-get install lua-busted "
    .. "(or luarocks --lua-version 5.1 install busted)", 0)
end

-- Busted ends the program, and its runner remembers how when it is loaded; we are told instead.
local function run_busted(arguments)
  local ended = {}
  require("busted.compatibility").exit = function(code)
    ended.code = code
    error(ended, 0)
  end
  _G.arg = arguments
  arguments[0] = "weir test"
  local ok, err = pcall(function() require "busted.runner" { standalone = false } end)
  if not ok and err ~= ended then error(err, 0) end
  return ended.code or 0
end

local function check_exists(path)
  local file = io.open(path, "r")
  if not file then error(("there is no file or folder %s"):format(path), 0) end
  file:close()
end

--- Runs the specs among files and folders; gives how many tests failed.
---@param bytes string tagged options of the program
---@param paths string[]
---@return integer
function M.run(bytes, paths)
  local o = codec.decode_value(bytes)
  for _, path in ipairs(paths) do check_exists(path) end
  harness.settings = {
    seed = o.seed, lua_path = o.lua_path, lua_memory = o.lua_memory, unsafe = o.unsafe,
    state_backend = o.state_backend, state_memory = o.state_memory,
  }
  machine_paths()
  search_path(o.lua_path)
  need_busted()
  local arguments = {
    "--helper=weir.internal.spec_count", "--pattern=_spec%.lua$", ("--seed=%.0f"):format(o.seed % 2 ^ 31),
  }
  if o.json then arguments[#arguments + 1] = "--output=weir.internal.spec_report" end
  if not o.color then arguments[#arguments + 1] = "--output=plainTerminal" end
  if o.filter then arguments[#arguments + 1] = "--filter=" .. o.filter end
  for _, path in ipairs(paths) do arguments[#arguments + 1] = path end
  local failures = run_busted(arguments)
  if require("weir.internal.spec_count").begun == 0 then
    error(o.filter and ("no test matches %s"):format(o.filter)
      or "no specs there: files called *_spec.lua hold tests", 0)
  end
  return failures
end

return M
