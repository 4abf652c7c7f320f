-- SPDX-License-Identifier: Apache-2.0
--- Where C enters Lua: drawing a job, building a stage, the verbs.

local host = weir_host -- luacheck: ignore
local ffi = require "ffi"
local border = require "weir.internal.border"
local codec = require "weir.internal.codec"

local M = {}

-- A hot chain is one long trace with everything inlined, and a job has many: larger limits than Lua's own.
jit.opt.start("maxtrace=4000", "maxrecord=10000", "maxirconst=2000", "maxside=300", "maxsnap=2000",
  "maxmcode=16384", "sizemcode=64", "hotloop=20", "hotexit=5", "instunroll=8", "loopunroll=20")

local function script_name()
  return host.file "script:name"
end

-- The script as a function in its sandbox.
local function load_script()
  local name, text = script_name(), host.file "script:text"
  local environment = require("weir.internal.sandbox").environment(name)
  local carried = host.file "script:carried"
  if carried then return require("weir.internal.carry").unpack(carried, environment) end
  if text:byte(1) == 27 then error(name .. " is bytecode; a job is Lua text", 0) end
  text = text:gsub("^#![^\n]*", "") -- a script may begin with #!
  local fn, err = loadstring(text, "@" .. name)
  if not fn then error(err, 0) end
  return setfenv(fn, environment)
end

-- Runs the script; gives the job that it drew. To be called with the compiler off: what runs once is not worth
-- compiling, and tables with dozens of setters are what the compiler of Debian 12 is least sure of.
local function run_script()
  local job_module = require "weir.job"
  local name = script_name()
  job_module.prepare { args = codec.decode_value(host.file "script:args") }
  local script = load_script()
  local result = script()
  local job = job_module.is(result) and result or job_module.current()
  if result ~= nil and not job_module.is(result) and type(result) ~= "boolean" then
    error(("%s: a script returns its job, not a %s"):format(name, type(result)), 0)
  end
  if not job then
    error(name .. ": the script drew no job: it begins with weir.job { … } and ends with return job", 0)
  end
  return job
end

-- Message handler: the error of a script with the user's frames.
function M.script_error(err)
  local lines = {}
  local level = 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    local source = info.source
    if info.what ~= "C" and source:sub(1, 1) == "@" then
      lines[#lines + 1] = ("\n    %s:%d"):format(info.short_src, info.currentline)
    end
    level = level + 1
  end
  local text = err
  if type(err) ~= "string" then
    local first = lines[1] and lines[1]:gsub("^%s+", "") .. ": " or ""
    text = ("%sthe script raised %s"):format(first, require("weir.internal.failures").error_text(err))
  end
  if #lines > 1 then text = text .. "\n  called from:" .. table.concat(lines, "", 2) end
  return text
end

local function settings()
  return codec.decode_value(host.file "script:settings")
end

-- The plan's bytes. What cannot be encoded are values of weir.from: said at its line.
local function encode(plan, job)
  local ok, bytes = pcall(codec.encode_value, plan)
  if ok then return bytes end
  for _, node in ipairs(job.nodes) do
    local good, why = pcall(codec.encode_value, node.options.values)
    if not good then require("weir.where").fail_at(node.where, "weir.from: %s", why) end
  end
  error(bytes, 0)
end

-- The texts of the script and of what it required.
local function texts()
  local out = { host.file "script:text" }
  for _, name in ipairs(host.names()) do
    if name:find "^module:" then out[#out + 1] = host.file(name) end
  end
  return out
end

local function check_arguments()
  local args = codec.decode_value(host.file "script:args")
  local problem = next(args) ~= nil and not host.file "script:carried"
    and require("weir.internal.arguments").unknown(args, texts())
  if problem then error(script_name() .. ": " .. problem, 0) end
end

-- Drawn twice: a script that draws another graph the second time would do so in a subtask, too.
local function draw()
  jit.off()
  local planner = require "weir.plan"
  local job = run_script()
  check_arguments()
  local plan, warnings = planner.make(job, settings())
  local first = planner.fingerprint(job)
  local difference = planner.difference(first, planner.fingerprint(run_script()))
  if difference then error(script_name() .. ": " .. difference, 0) end
  jit.on()
  return job, plan, warnings, encode(plan, job)
end

--- Draws the job and gives the plan's bytes and the warnings, one a line.
function M.draw()
  local _, _, warnings, bytes = draw()
  return bytes, table.concat(warnings, "\n")
end

-- Adds the doctor's watch to a stage; its report follows the stage's end.
local function watched(entry)
  local doctor = require "weir.internal.doctor"
  local stage, close = entry.stage, entry.close
  local L = stage.L
  L.doctor = 1
  local patient = doctor.attach(function() return L.counts[0] end)
  function entry.close()
    local text = doctor.report(patient, {
      name = stage.name, ops = stage.ops, subtask = L.subtask, parallelism = L.parallelism,
      rows = L.counts[0], lua_ns = L.lua_ns, collect_ns = L.collect_ns,
    })
    io.stderr:write(text)
    return close()
  end
end

-- What functions may ask of `weir` while rows flow. All else draws the graph.
local at_run_time = { version = true, text = true, pairs = true, null = true }

-- A subtask has drawn its graph for the functions in it and never draws again: what did it makes room, and
-- is loaded anew should a function ask for it after all.
local function shed(job, waits)
  for name in pairs(job) do
    if name ~= "args" and name ~= "name" then job[name] = nil end
  end
  setmetatable(job, nil)
  local api = package.loaded.weir
  for name in pairs(api or {}) do
    if not at_run_time[name] then api[name] = nil end
  end
  for name in pairs(package.loaded) do
    if name == "weir" or name:find "^weir%.%a+$" and name ~= "weir.null" then package.loaded[name] = nil end
  end
  if api and waits then
    rawset(api, "http", require "weir.http")
    rawset(api, "async", { sleep = require("weir.async").sleep })
  end
  if api then
    setmetatable(api, { __index = function(_, name) return require("weir")[name] end })
  end
  collectgarbage()
end

-- Runs the script for the functions of a stage: its operators by id.
local function draw_again(operators, waits)
  local job = run_script()
  local difference = require("weir.fingerprint").verify(operators, job)
  if difference then error(script_name() .. ": " .. difference, 0) end
  local nodes = {}
  for _, op in ipairs(operators) do nodes[op.id] = job.nodes[op.id] end
  shed(job, waits)
  return nodes
end

-- Time and chance of a subtask, for what the sandbox answers.
local function connect(shared)
  local L = ffi.cast("struct wr_lua *", shared)
  require("weir.internal.sandbox").connect(function() return tonumber(L.now_ms) end,
    function() return border.C.wr_lua_random(L) end)
end

--- Builds the stage of a subtask: the entry functions that C calls.
---@param shared userdata `struct wr_lua *`
---@param plan_bytes string the stage's part of the plan
---@param known string what the functions before had learned, empty if there were none
function M.stage(shared, plan_bytes, known)
  jit.off()
  local plan = codec.decode_value(plan_bytes)
  connect(shared)
  local waits = plan.kind == "lua_async"
  local nodes = draw_again(plan.operators, waits)
  local entry = require(waits and "weir.internal.async" or "weir.internal.chain").new(shared, plan, nodes, known)
  if settings().doctor then watched(entry) end
  package.loaded["weir.internal.boot"] = nil -- a subtask is built once
  jit.on()
  return entry
end

--- Builds a sink of the script's: what C calls on the sink's thread. Its functions may block, and see more of the
--- world than others (weir.internal.sandbox).
---@param plan_bytes string the stage's part of the plan
---@param about_bytes string what the sink may know of itself
function M.sink(plan_bytes, about_bytes)
  jit.off()
  local plan, about = codec.decode_value(plan_bytes), codec.decode_value(about_bytes)
  require("weir.internal.sandbox").open_world()
  local nodes = draw_again(plan.operators)
  local entry = require("weir.internal.sink").new(nodes[plan.operators[1].id], about)
  package.loaded["weir.internal.boot"] = nil
  jit.on()
  return entry
end

local function bundle_files()
  local files, i = {}, 1
  files[1] = { name = script_name(), bytes = #host.file "script:text" }
  for _, name in ipairs(host.names()) do
    local module = name:match "^module:(.*)$"
    if module then
      i = i + 1
      files[i] = { name = host.file("path:" .. module), bytes = #host.file(name) }
    end
  end
  return files
end

--- The verbs written in Lua: graph, check.
---@param verb string
---@param options string tagged options of the verb
---@return string text for standard output
---@return string warnings
function M.cli(verb, options)
  local opts = codec.decode_value(options)
  local job, plan, warnings = draw()
  opts.warnings = warnings
  opts.files = bundle_files()
  opts.hash = host.hash()
  if opts.strict and #warnings > 0 then
    error("--strict: " .. table.concat(warnings, "\n"), 0)
  end
  return require("weir.cli")[verb](job, plan, opts)
end

--- The pairs of a .lua config file: it returns a table.
---@return string tagged list of {key, value, origin}
function M.config(path)
  local fn, err = loadfile(path)
  if not fn then error(err, 0) end
  local t = setfenv(fn, {})()
  if type(t) ~= "table" then error(path .. ": a config file returns a table of options", 0) end
  local out, names = {}, {}
  for k in pairs(t) do names[#names + 1] = tostring(k) end
  table.sort(names)
  for i, k in ipairs(names) do out[i] = { k, tostring(t[k]) } end
  return codec.encode_value(out)
end

return M
