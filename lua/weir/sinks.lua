-- SPDX-License-Identifier: Apache-2.0
--- Sinks: where records go. Each constructor gives a declaration for `stream:sink`.

local options = require "weir.options"
local duration = require "weir.duration"
local formats = require "weir.formats"

local M = {}

---@class weir.Sink
---@field kind string the stage that writes
---@field name string
---@field options table as in the plan
---@field steps? table[] native operators in front of it: { kind =, name =, options =, parallelism = }
---@field parallelism? integer its own, whatever the job's
local Sink = {}
Sink.__index = Sink

local function sink(kind, name, o)
  return setmetatable({ kind = kind, name = name, options = o }, Sink)
end

---@class weir.PrintOptions
---@field format? "json"|"table"|"raw" default: the program's --format, else json

--- Prints records for people to standard output: JSON lines, an aligned table, or raw strings.
---
---   stream:sink(weir.print())
---@param opts? weir.PrintOptions
---@return weir.Sink
function M.print(opts)
  return sink("print", "print", options.check("weir.print", opts, {
    format = options.one_of("json", "table", "raw"):optional(),
  }, "format"))
end

---@class weir.StdoutOptions
---@field format? weir.Format default weir.json()

--- Standard output for programs: `weir run job.lua < in > out`. A closed pipe ends the job in order.
---@param opts? weir.StdoutOptions|weir.Format
---@return weir.Sink
function M.stdout(opts)
  return sink("stdout", "stdout", options.check("weir.stdout", opts, {
    format = formats.type:default(formats.json()),
  }, "format"))
end

---@class weir.FileSinkOptions
---@field path string the file; with several subtasks each writes `path`.0, `path`.1 …
---@field format? weir.Format default weir.json()
---@field append? boolean go on behind what is there instead of replacing it; default false

--- Plain files, written by I/O threads.
---
---   stream:sink(weir.file_sink { path = "out/result.ndjson" })
---@param opts weir.FileSinkOptions|string
---@return weir.Sink
function M.file_sink(opts)
  return sink("file", "file_sink", options.check("weir.file_sink", opts, {
    path = options.string,
    format = formats.type:default(formats.json()),
    append = options.boolean:default(false),
  }, "path"))
end

---@class weir.TcpSinkOptions
---@field host? string default "localhost"
---@field port integer
---@field retries? integer attempts to connect after the first; -1 = for ever; default 0
---@field retry_every? weir.Duration default "500ms"
---@field format? weir.Format default weir.json()

--- Lines to a TCP server, for trying things out.
---@param opts weir.TcpSinkOptions
---@return weir.Sink
function M.tcp_sink(opts)
  return sink("tcp_sink", "tcp_sink", options.check("weir.tcp_sink", opts, {
    host = options.string:default "localhost",
    port = options.integer_in(1, 65535),
    retries = options.integer_in(-1, 2 ^ 31):default(0),
    retry_every = duration.positive:default(500),
    format = formats.type:default(formats.json()),
  }, "port"))
end

--- Drops all records; counts them.
---@return weir.Sink
function M.discard(opts)
  return sink("discard", "discard", options.check("weir.discard", opts, {}))
end

---@class weir.CollectOptions
---@field name? string tells several apart; default "collect"

--- Keeps all records in memory, for tests.
---@param opts? weir.CollectOptions
---@return weir.Sink
function M.collect(opts)
  return sink("collect", "collect", options.check("weir.collect", opts, {
    name = options.string:default "collect",
  }, "name"))
end

---@class weir.ChecksumOptions
---@field fields string[] what of a record goes in, in order: whole numbers, strings, "#name" for a string's length,
--- "name*1000" for a number times 1000, rounded
---@field query? integer where the hash of a record begins; default 0
---@field weight? string a field by which the record's hash is multiplied
---@field last_of? string of the records with one value of this field only the last goes into the sum

--- Prints one line when bounded input ends, "rows=N sum=HEX": how many records came, and the sum of their hashes,
--- which depends neither on their order nor on the parallelism. The hash is that of the Nexmark results.
---
---   stream:sink(weir.checksum { query = 2, fields = { "auction", "price" } })
---@param opts weir.ChecksumOptions
---@return weir.Sink
function M.checksum(opts)
  local o = options.check("weir.checksum", opts, {
    fields = options.list_of(options.string, "a list of field names"),
    query = options.integer_in(0, 2 ^ 53):default(0),
    weight = options.string:optional(),
    last_of = options.string:optional(),
  }, "fields")
  local s = sink("print", "print", { format = "raw" })
  s.steps = {
    { kind = "checksum", name = "checksum", options = o },
    { kind = "checksum_total", name = "checksum_total", options = {}, parallelism = 1 },
  }
  s.parallelism = 1
  return s
end

--- Is `v` a sink?
function M.is(v) return getmetatable(v) == Sink end

return M
