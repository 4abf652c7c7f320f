-- SPDX-License-Identifier: Apache-2.0
--- How a job takes its checkpoints, where the script says so: what the program is not told otherwise.

local options = require "weir.options"
local duration = require "weir.duration"

local M = {}
local Checkpoint = {}

local DAY_US = 86400e6

local function time(least_us, expect)
  return options.type(expect .. ' up to a day, such as "10s", "5m" or 500 (ms)', function(v)
    local us = duration.parse_us(v)
    return us ~= nil and us >= least_us and us <= DAY_US, us and ("%.0fus"):format(us)
  end):optional()
end

-- What is right of a type, as the text that a flag would be given.
local function as_text(type, text)
  return options.type(type.expect, function(v) return type.test(v), type.test(v) and text(v) end):optional()
end

local function number(min, max)
  return as_text(options.integer_in(min, max), function(v) return ("%.0f"):format(v) end)
end

local declared = {
  every = time(0, "a duration"),
  mode = options.one_of("exactly_once", "at_least_once", "none"):optional(),
  dir = options.string:optional(),
  min_pause = time(0, "a duration"),
  timeout = time(1000, "a duration from a millisecond"),
  unaligned_after = time(0, "a duration"),
  failures = number(0, 1000000),
  retain = number(1, 1000),
  incremental = options.one_of("on", "off", "always"):optional(),
  pack_logs = as_text(options.boolean, tostring),
}
local flags = { dir = "dir", unaligned_after = "unaligned-after" }
for name in pairs(declared) do flags[name] = flags[name] or "checkpoint-" .. name:gsub("_", "-") end

---@class weir.CheckpointOptions
---@field every? weir.Duration time between two checkpoints, default "10s"; 0: only when the job is stopped or asked
---@field mode? "exactly_once"|"at_least_once"|"none" exactly_once: channels wait for each other; none: no checkpoints
---@field dir? string folder of the checkpoints, made if its parent is there; a relative one is in the current folder
---@field min_pause? weir.Duration shortest time between the end of one and the next, default 0
---@field timeout? weir.Duration one that takes longer is given up, default "10m"
---@field unaligned_after? weir.Duration one that takes longer saves records in front of its barriers, too
---@field failures? integer how many may fail in a row before the job does, default 0
---@field retain? integer complete ones that are kept, default 2
---@field incremental? "on"|"off"|"always" only what has changed since the last; on: where state is large, the default
---@field pack_logs? boolean logs of exactly-once sinks are packed, default false: less to write, more processor time

--- How a job takes checkpoints. Each option is one of the program, too (`--dir`, `--checkpoint-every`, …), and
--- holds where neither a flag, nor the environment, nor weir.toml says otherwise.
---
---   local job = weir.job { name = "visits", checkpoint = weir.checkpoint { dir = "state", every = "1m" } }
---@param opts weir.CheckpointOptions
---@return weir.Checkpoint
function M.new(opts)
  return setmetatable(options.check("weir.checkpoint", opts, declared), Checkpoint)
end

---@class weir.Checkpoint made by weir.checkpoint

--- Type of the option of a job.
M.option = options.type("weir.checkpoint { … }", function(v) return getmetatable(v) == Checkpoint, v end)

--- The program's options that are set by it: texts by name.
---@param checkpoint weir.Checkpoint
---@return table<string, string>
function M.flags(checkpoint)
  local set = {}
  for name, value in pairs(checkpoint) do set[flags[name]] = value end
  return set
end

return M
