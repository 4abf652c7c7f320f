-- SPDX-License-Identifier: Apache-2.0
--- The job that a script draws: its operators in order of drawing, and its settings.
---
--- A script draws one job. It is drawn once to make the plan and once more in every subtask to fetch
--- that subtask's functions; `prepare` gives each drawing its arguments and forgets the last one.

local checkpoint = require "weir.checkpoint"
local options = require "weir.options"
local duration = require "weir.duration"
local sources = require "weir.sources"
local stream = require "weir.stream"
local where = require "weir.where"

local M = {}

---@class weir.Job
---@field args table<string, string> what was given on the command line as key=value
---@field name string
---@field options weir.JobOptions
---@field nodes weir.Node[] operators by id
---@field where string|false
local methods = {}
local Job = {
  __index = stream.strict("job", methods),
  __newindex = function(_, name)
    where.fail("job has no field %s to be set: its options are given to weir.job { … }", options.shown(name))
  end,
}

---@class weir.Input
---@field node integer id of the operator that feeds it
---@field tag string "" or the name of a side output
---@field partition? string as in the plan; nil: forward, or rebalance where the parallelism changes
---@field key? weir.Key
---@field where? string

---@class weir.Key
---@field names string[] fields; hidden ones ("\x011", …) where a function made the key
---@field as string[] what the parts are called in results

---@class weir.Node
---@field id integer
---@field kind string
---@field name string
---@field verb string what the script called to draw it: its name, unless it got another
---@field uid string
---@field uid_derived boolean
---@field where string? "jobs/x.lua:12"
---@field inputs weir.Input[] several are a union
---@field inputs2? weir.Input[] the second input of connected streams
---@field fn? any
---@field options table
---@field native? boolean done in C
---@field on_error? string
---@field parallelism? integer
---@field max_parallelism? integer
---@field slot_group? string
---@field chain? "start"|"never"
---@field buffer_timeout? integer microseconds
---@field key? weir.Key

local prepared = { args = {} }
local current

--- Called by the engine before a script runs: forgets an earlier job, takes the arguments.
---@param given { args: table<string, string> }?
function M.prepare(given)
  prepared = given or { args = {} }
  current = nil
end

--- The job that the script drew; nil if it drew none.
---@return weir.Job?
function M.current() return current end

---@class weir.JobOptions
---@field name? string default "job"
---@field parallelism? integer of all operators that say nothing else; before the program's --parallelism
---@field max_parallelism? integer number of key groups
---@field on_error? "fail"|"skip"|"dead_letter" what happens when an operator fails at a record
---@field buffer_timeout? weir.Duration how long a record may wait for its buffer to fill
---@field seed? integer of everything random
---@field checkpoint? weir.Checkpoint how it takes checkpoints, from weir.checkpoint { … }

--- Begins a job. `job.args` has what was given as key=value behind the script's name.
---
---   local job = weir.job { name = "word_count" }
---   job:source(weir.files { path = job.args.input }):sink(weir.print())
---   return job
---@param opts? weir.JobOptions
---@return weir.Job
function M.new(opts)
  local o = options.check("weir.job", opts, {
    name = options.string:default "job",
    parallelism = options.integer_in(1, 32768):optional(),
    max_parallelism = options.integer_in(1, 32768):optional(),
    on_error = options.one_of("fail", "skip", "dead_letter"):optional(),
    buffer_timeout = duration.timeout:optional(),
    seed = options.integer:optional(),
    checkpoint = checkpoint.option:optional(),
  }, "name")
  if o.parallelism and o.max_parallelism and o.parallelism > o.max_parallelism then
    where.fail("weir.job: parallelism %d is more than max_parallelism %d", o.parallelism, o.max_parallelism)
  end
  if current then
    where.fail("a script draws one job, and weir.job was called before (%s)", current.where or "?")
  end
  current = setmetatable({
    name = o.name, options = o, nodes = {}, args = prepared.args or {}, where = where.caller() or false,
  }, Job)
  return current
end

--- Is `v` a job?
function M.is(v) return getmetatable(v) == Job end

--- Begins a stream at a source.
---
---   job:source(weir.stdin()):sink(weir.stdout())
---@param source weir.Source
---@return weir.Stream
function methods:source(source)
  if not sources.is(source) then
    where.fail("job:source takes a source such as weir.files { path = … }, not %s", options.shown(source))
  end
  return stream.from_source(self, source)
end

return M
