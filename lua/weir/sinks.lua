-- SPDX-License-Identifier: Apache-2.0
--- Sinks: where records go. Each constructor gives a declaration for `stream:sink`.

local options = require "weir.options"
local duration = require "weir.duration"
local formats = require "weir.formats"
local where = require "weir.where"

local M = {}

---@class weir.Sink
---@field kind string the stage that writes
---@field name string
---@field options table as in the plan
---@field steps? table[] native operators in front of it: { kind =, name =, options =, parallelism = }
---@field parallelism? integer its own, whatever the job's
---@field by? function what it gives for a record goes to the stage beside it
---@field by_names? string[] of the values that it gives; default: one, "1"
---@field guarantee "none"|"at_least_once"|"exactly_once" what holds of its records after a crash, with checkpoints
---@field fn? table functions of the script's that it runs
---@field logged? boolean its records go to the epoch log: it commits at checkpoints, or at the end of bounded input
local Sink = {}
Sink.__index = Sink

local function sink(kind, name, o, guarantee)
  return setmetatable({ kind = kind, name = name, options = o, guarantee = guarantee }, Sink)
end
M.make = sink

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
  }, "format"), "none")
end

---@class weir.StdoutOptions
---@field format? weir.Format default weir.json()

--- Standard output for programs: `weir run job.lua < in > out`. A closed pipe ends the job in order.
---@param opts? weir.StdoutOptions|weir.Format
---@return weir.Sink
function M.stdout(opts)
  return sink("stdout", "stdout", options.check("weir.stdout", opts, {
    format = formats.type:default(formats.json()),
  }, "format"), "none")
end

---@class weir.FileSinkOptions
---@field path string the file; with several subtasks each writes `path`.0, `path`.1 …
---@field format? weir.Format default weir.json()
---@field append? boolean go on behind what is there instead of replacing it; default false
---@field guarantee? "none"|"exactly_once" default "none"
---@field log_max? integer|string exactly once: bytes that may be logged and not committed although they could be,
--- before the job is held back; default "256MiB"

--- Plain files, written by I/O threads.
---
---   stream:sink(weir.file_sink { path = "out/result.ndjson" })
---
--- With `guarantee = "exactly_once"` each line is there once, whatever crashes: lines appear when the checkpoint that
--- covers them is complete (without checkpoints at the end of the input). Beside each file lies `path`.commit, which
--- says how much of it is committed; the subtasks write `path`, `path`.1, `path`.2 …. CSV needs its columns, the same
--- in each run of the job: `weir.csv { columns = { "id", "net" }, header = true }`; each file begins with the header.
---@param opts weir.FileSinkOptions|string
---@return weir.Sink
function M.file_sink(opts)
  local o = options.check("weir.file_sink", opts, {
    path = options.string,
    format = formats.type:default(formats.json()),
    append = options.boolean:default(false),
    guarantee = options.one_of("none", "exactly_once"):default "none",
    log_max = options.bytes:optional(),
  }, "path")
  local guarantee = o.guarantee
  o.guarantee = nil
  if guarantee == "none" then return sink("file", "file_sink", o, guarantee) end
  if o.format.kind == "csv" and not o.format.columns then
    where.fail('weir.file_sink: guarantee = "exactly_once" needs the columns of CSV: '
      .. "weir.csv { columns = { … }, header = true }")
  end
  local s = sink("file_once", "file_sink", o, guarantee)
  s.logged = true
  return s
end

---@class weir.RollOptions each may be left out; `false` in place of all: only the end of the input
---@field size? integer|string bytes of the file, for packed ones nearly; default "128MiB"
---@field rows? integer
---@field open_for? weir.Duration since its first row; default "10m"
---@field idle_for? weir.Duration since its last row; default "1m"

---@class weir.RollingFilesOptions
---@field path string the folder; it is made, its parents are not
---@field format? weir.Format default weir.json(); CSV has its header in each file
---@field bucket? string|fun(record: any): string the folder below `path`: pieces of the record's time in UTC, %Y %m
--- %d %H %M %S %j, and of its fields, {name}; or what a function gives; default: all in `path`
---@field time? "event"|"processing" of the bucket; default "event", the record's time (`:watermarks`)
---@field roll? weir.RollOptions|false when a file is long enough
---@field compression? "none"|"gzip"|"zstd" default "none"
---@field level? integer of the compression, 1 to 9 (gzip) or 19 (zstd)
---@field suffix? string of the files; default that of format and compression: ".json.gz"
---@field open_max? integer open files a subtask, one a bucket; the one longest unused is finished first; default 64

local conversions = { Y = true, m = true, d = true, H = true, M = true, S = true, j = true }

local function add_text(pieces, text)
  local last = pieces[#pieces]
  if last and last.text then last.text = last.text .. text else pieces[#pieces + 1] = { text = text } end
end

-- "day=%Y-%m-%d/{country}" as a list of { text = }, { time = } and { field = }.
local function pieces_of(pattern)
  local pieces, at = {}, 1
  while at <= #pattern do
    local text, after = pattern:match("^([^%%{}]+)()", at)
    local conversion = pattern:match("^%%(.?)", at)
    local field, behind = pattern:match("^{([^{}]+)}()", at)
    if text then
      add_text(pieces, text)
    elseif conversion == "%" then
      add_text(pieces, "%")
    elseif conversion and conversions[conversion] then
      pieces[#pieces + 1] = { time = "%" .. conversion }
    elseif field then
      pieces[#pieces + 1] = { field = field }
    elseif conversion then
      return nil, ("it has %%%s, and there are %%Y %%m %%d %%H %%M %%S %%j and %%%%"):format(conversion)
    else
      return nil, "a field is written {name}"
    end
    at = after or behind or at + 2
  end
  return pieces
end

local function is_path(pattern)
  local path = pattern:gsub("%%.", "x"):gsub("{[^{}]*}", "x")
  for name in (path .. "/"):gmatch "([^/]*)/" do
    if name == "" or name:sub(1, 1) == "." then return false end
  end
  return true
end

local bucket_type = options.type('a pattern such as "%Y-%m-%d/{country}" or a function', function(v)
  if type(v) == "function" then return true, v end
  if type(v) ~= "string" or v == "" then return false end
  if not is_path(v) then return false, nil, "it must be a path of names, below the sink's" end
  local pieces, why = pieces_of(v)
  return pieces ~= nil, pieces, why
end)

local roll_type = options.type("a table of bounds, or false", function(v)
  return v == false or type(v) == "table", v
end)

local function roll_of(given)
  if given == false then return {} end
  return options.check('weir.rolling_files: option "roll"', given or {}, {
    size = options.bytes:default(128 * 2 ^ 20),
    rows = options.integer_in(1, 2 ^ 53):optional(),
    open_for = duration.positive:default(600000),
    idle_for = duration.positive:default(60000),
  })
end

local suffixes = { gzip = ".gz", zstd = ".zst", none = "", lines = ".txt", json = ".json", csv = ".csv" }

--- Files in buckets: folders by time, by field, or by a function. A file is open until it is long, old or idle
--- enough (`roll`); then a new one begins.
---
---   stream:sink(weir.rolling_files { path = "archive", bucket = "%Y-%m-%d/%H", compression = "gzip" })
---
--- **Exactly once** with checkpoints (`--dir`), if the sources can be read again: a file is staged out of sight in
--- `path`/.weir-… and appears in its bucket, by rename and under a name that is never used again, when a checkpoint
--- holds all of its rows; after any crash nothing is there twice, in part, or missing, at whatever parallelism the
--- job goes on. So files appear with checkpoints, and a restart finishes those that were open; a savepoint carries
--- their rows along. Each checkpoint ends a member (gzip) or frame (zstd) of a packed file, as the formats allow.
--- Without checkpoints a file appears as it is finished, by a bound of `roll` or the end of the input, and a job that
--- fails leaves what was open in the staging folder. Kept apart by `uid`: give the sink one, so that a changed job
--- still knows its files.
---@param opts weir.RollingFilesOptions|string
---@return weir.Sink
function M.rolling_files(opts)
  local o = options.check("weir.rolling_files", opts, {
    path = options.string,
    format = formats.type:default(formats.json()),
    bucket = bucket_type:optional(),
    time = options.one_of("event", "processing"):default "event",
    roll = roll_type:optional(),
    compression = options.one_of("none", "gzip", "zstd"):default "none",
    level = options.integer_in(1, 19):optional(),
    suffix = options.string:optional(),
    open_max = options.integer_in(1, 4096):default(64),
  }, "path")
  o.roll = roll_of(o.roll)
  if o.level and o.compression == "none" then where.fail 'weir.rolling_files: option "level" needs compression' end
  if o.compression == "gzip" and (o.level or 1) > 9 then where.fail "weir.rolling_files: gzip has levels 1 to 9" end
  if o.suffix and o.suffix:find "/" then where.fail 'weir.rolling_files: option "suffix" is part of a name' end
  o.suffix = o.suffix or suffixes[o.format.kind] .. suffixes[o.compression]
  local by = type(o.bucket) == "function" and o.bucket or nil
  if by then o.bucket = { { given = "\1" .. "1" } } end
  local s = sink("rolling_files", "rolling_files", o, "exactly_once")
  s.by = by
  return s
end

---@class weir.SinkFunctions
---@field name? string default "sink"
---@field open? fun(sink: table) connects; `sink` is a table of this subtask's own, in which it may keep what it likes,
--- with job, uid, subtask (from 0), parallelism, and fresh: the job begins anew and not at a checkpoint
---@field last_committed fun(sink: table, log: string): integer?, string? the number stored with `log`, nil if there is
--- none; nil and a reason: it cannot be told, which fails the job
---@field commit fun(sink: table, log: string, epoch: integer, rows: fun(): any, string, integer?): boolean?, string?
--- stores all of `rows` and the number `epoch` for `log`, both or neither. `for rec, kind, time in rows do` gives the
--- records. false or nil and a reason: it could not be done now and is tried again; an error fails the job
---@field close? fun(sink: table)
---@field log_max? integer|string bytes that may be logged and not committed although they could be, before the job is
--- held back; default "256MiB"

--- A sink of your own, exactly once: any target that can store a number together with records, both or neither.
---
--- What the sink is given between two checkpoints is logged; when a checkpoint is complete, `commit` is handed the
--- records up to it, with a number that rises. After a restart `last_committed` tells what had been stored, and
--- only what is missing comes again. Without checkpoints there is one commit, at the end of bounded input.
---
---   job:source(weir.files "orders/*.json"):sink(weir.sink {
---     open = function(sink) sink.db = require("luasql.sqlite3").sqlite3():connect "orders.db" end,
---     last_committed = function(sink, log) … end,
---     commit = function(sink, log, epoch, rows) … end,
---   }):uid "orders_db"
---
--- The functions run in a Lua state and on a thread of the sink's own, one for each subtask, and may block. There, and
--- not where the graph is drawn, `io`, `os` and `require` of installed modules are open, also of modules in C: require
--- them within these functions. (jobs/to_sqlite.lua is a whole one.)
---@param functions weir.SinkFunctions
---@return weir.Sink
function M.sink(functions)
  local o = options.check("weir.sink", functions, {
    name = options.string:default "sink",
    open = options.fn:optional(),
    last_committed = options.fn,
    commit = options.fn,
    close = options.fn:optional(),
    log_max = options.bytes:optional(),
  })
  local s = sink("lua_sink", o.name, { log_max = o.log_max }, "exactly_once")
  o.name, o.log_max = nil, nil
  s.fn, s.logged = o, true
  return s
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
  }, "port"), "none")
end

--- Drops all records; counts them.
---@return weir.Sink
function M.discard(opts)
  return sink("discard", "discard", options.check("weir.discard", opts, {}), "none")
end

---@class weir.CollectOptions
---@field name? string tells several apart; default "collect"

--- Keeps all records in memory, for tests.
---@param opts? weir.CollectOptions
---@return weir.Sink
function M.collect(opts)
  return sink("collect", "collect", options.check("weir.collect", opts, {
    name = options.string:default "collect",
  }, "name"), "none")
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
  local s = sink("print", "print", { format = "raw" }, "none")
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
