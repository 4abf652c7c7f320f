-- SPDX-License-Identifier: Apache-2.0
--- Sources: where records come from. Each constructor gives a declaration for `job:source`.

local options = require "weir.options"
local duration = require "weir.duration"
local formats = require "weir.formats"
local where = require "weir.where"

local M = {}

---@class weir.Source
---@field kind string the stage that reads
---@field name string
---@field bounded boolean it ends by itself
---@field options table as in the plan
---@field single? boolean it can only be read by one subtask
---@field fn? function made from the records of the stage by this function
---@field decodes? boolean the stage can fail at a record before that function has it
local Source = {}
Source.__index = Source

local function source(fields)
  return setmetatable(fields, Source)
end

local MAX_LINE = 2 ^ 29 -- a row has a gigabyte at most, with all that stands beside the line

local max_line = options.type('a size up to "512MiB"', function(v)
  local ok, bytes = options.bytes.test(v)
  return ok and bytes <= MAX_LINE, bytes
end):default(16 * 2 ^ 20)

---@class weir.FilesOptions
---@field path string|string[] files, folders or globs: "books/*.txt"
---@field format? weir.Format default weir.lines()
---@field watch? boolean go on and take each file that is closed in, or moved into, the folder; default false
---@field every? weir.Duration with `watch`: how often the folder is scanned besides; default 10 s
---@field compression? "auto"|"none"|"gzip"|"zstd" of all files; default auto: by the first bytes of each
---@field split_size? integer|string files larger than this are shared among subtasks; default "16MiB"
---@field interleave? integer splits that a subtask reads side by side, a batch of each in turn; default 1
---@field timestamp? "modified" records have the time at which their file was changed last
---@field max_line? integer|string a longer line is malformed input; default "16MiB"

--- Files: every byte is read once, whatever the parallelism. Lines become { line =, path =, offset = }. With
--- `interleave` and aligned watermarks behind it, files that are each sorted by time give a stream that nearly is.
---
---   job:source(weir.files { path = "books/*.txt" })
---   job:source(weir.files { path = "inbox", watch = true, format = weir.json() })
---@param opts weir.FilesOptions|string
---@return weir.Source
function M.files(opts)
  local o = options.check("weir.files", opts, {
    path = options.list_of(options.string, "a path, a glob or a list of them"),
    format = formats.type:default(formats.lines()),
    watch = options.boolean:default(false),
    every = duration.positive:optional(),
    compression = options.one_of("auto", "none", "gzip", "zstd"):default "auto",
    split_size = options.bytes:default(16 * 2 ^ 20),
    interleave = options.integer_in(1, 256):optional(),
    timestamp = options.one_of "modified":optional(),
    max_line = max_line,
  }, "path")
  if o.every and not o.watch then where.fail 'weir.files: option "every" needs watch = true' end
  if o.watch then o.every = o.every or 10000 end
  return source { kind = "files", name = "files", bounded = not o.watch, options = o }
end

---@class weir.StdinOptions
---@field format? weir.Format default weir.lines(): { line = }
---@field max_line? integer|string default "16MiB"
---@field wal? boolean keep a write-ahead log; default false

--- Standard input, by one subtask: `weir run job.lua < file`.
---
--- With `wal` lines are written to a log beside the job's checkpoints (`--dir`), and on the disk, before they become
--- records: from there on each is taken exactly once, whatever happens to the process. The next run reads on in the
--- log where its checkpoint is, then takes what standard input brings as further lines, whether it is the same file or
--- another. What was read and not logged yet is lost with a crash, and so is a last line without its end. The log
--- is removed as far as no kept checkpoint needs it. A savepoint has the lines of it that were not taken yet.
---@param opts? weir.StdinOptions|weir.Format
---@return weir.Source
function M.stdin(opts)
  local o = options.check("weir.stdin", opts, {
    format = formats.type:default(formats.lines()), max_line = max_line, wal = options.boolean:default(false),
  }, "format")
  local kind = o.wal and "logged_stdin" or "stdin"
  return source { kind = kind, name = "stdin", bounded = true, single = true, options = o }
end

---@class weir.TcpLinesOptions
---@field host? string default "localhost"
---@field port integer the source connects to it and reads until it is closed
---@field retries? integer attempts to connect after the first; -1 = for ever; default 0
---@field retry_every? weir.Duration default "500ms"
---@field format? weir.Format default weir.lines(): { line = }
---@field max_line? integer|string default "16MiB"
---@field wal? boolean keep a write-ahead log; default false

--- Lines from a TCP server, by one subtask, for trying things out (`nc -lk 9000`); ends with the connection. `wal`:
--- as of `weir.stdin`; lines that the server has sent and that were not logged yet are lost with a crash, since it is
--- not told what has come.
---@param opts weir.TcpLinesOptions
---@return weir.Source
function M.tcp_lines(opts)
  local o = options.check("weir.tcp_lines", opts, {
    host = options.string:default "localhost",
    port = options.integer_in(1, 65535),
    retries = options.integer_in(-1, 2 ^ 31):default(0),
    retry_every = duration.positive:default(500),
    format = formats.type:default(formats.lines()),
    max_line = max_line,
    wal = options.boolean:default(false),
  }, "port")
  local kind = o.wal and "logged_tcp" or "tcp"
  return source { kind = kind, name = "tcp_lines", bounded = true, single = true, options = o }
end

--- The given values, in order, by one subtask.
---
---   job:source(weir.from { { user = "ann", n = 1 }, { user = "bob", n = 2 } })
---@param values any[]
---@return weir.Source
function M.from(values)
  if type(values) ~= "table" then
    where.fail("weir.from takes a list of records, not %s", options.shown(values))
  end
  local n = #values
  for k in pairs(values) do
    if type(k) ~= "number" or k < 1 or k > n or k % 1 ~= 0 then
      where.fail("weir.from takes a list of records; it has the key %s (a single record is written { { … } })",
        options.shown(k))
    end
  end
  return source { kind = "values", name = "from", bounded = true, single = true, options = { values = values } }
end

---@class weir.SequenceOptions
---@field from? integer first number; default 1
---@field to integer last number

--- The whole numbers `from` to `to`, each a record, shared among the subtasks.
---
---   job:source(weir.sequence { to = 1000 }):map(function(n) return { id = n } end)
---@param opts weir.SequenceOptions
---@return weir.Source
function M.sequence(opts)
  local o = options.check("weir.sequence", opts, {
    from = options.integer:default(1), to = options.integer,
  }, "to")
  if o.to < o.from - 1 then where.fail("weir.sequence: it ends at %.0f, before it begins at %.0f", o.to, o.from) end
  return source { kind = "sequence", name = "sequence", bounded = true, options = o }
end

---@class weir.GenerateOptions
---@field fn? fun(n: integer): any the n-th record, from 0; the number itself if left out
---@field fields? table<string, weir.FieldPattern> instead of fn: records made in C, for load
---@field distinct? integer with fields: records repeat after so many; they are made once and copied
---@field count? integer how many; without end if left out
---@field rate? number records a second over all subtasks, each when it is due; else as fast as possible

---@class weir.FieldPattern what a field of the n-th record is: one of random, cycle and due
---@field random? integer a random number below this one; the same for the same n
---@field cycle? integer n modulo this one
---@field every? integer with cycle: n is divided by this one first
---@field due? boolean when the record is due, in ns of the machine's steady clock; needs a rate
---@field prefix? string makes it a string: the prefix, then the number

local pattern_options = {
  random = options.integer_in(1, 2 ^ 53):optional(), cycle = options.integer_in(1, 2 ^ 53):optional(),
  every = options.integer_in(1, 2 ^ 53):optional(), due = options.boolean:optional(),
  prefix = options.string:optional(),
}

-- As the plan has them: a list sorted by name.
local function patterns(fields, rate)
  local out = {}
  for name, given in pairs(fields) do
    local what = ('weir.generate: field "%s"'):format(tostring(name))
    local o = options.check(what, given, pattern_options)
    local kinds = (o.random and 1 or 0) + (o.cycle and 1 or 0) + (o.due and 1 or 0)
    if type(name) ~= "string" or kinds ~= 1 then where.fail("%s takes one of random, cycle and due", what) end
    if o.due and not rate then where.fail("%s: nothing is due without a rate", what) end
    out[#out + 1] = {
      name = name, kind = o.random and "random" or o.cycle and "cycle" or "due",
      below = o.random or o.cycle, every = o.every, prefix = o.prefix,
    }
  end
  table.sort(out, function(a, b) return a.name < b.name end)
  return out
end

--- Records made by a function or, faster, by patterns; for tests, demonstrations and measurements.
---
--- At a rate, what is due within a fourth of the buffer timeout, a millisecond at most, goes out together; with a
--- timeout of 0 each record does when it is due.
---
---   job:source(weir.generate { rate = 1000, fn = function(n) return { id = n, user = "u" .. n % 10 } end })
---   job:source(weir.generate { count = 1e6, fields = { user = { random = 500, prefix = "u" }, n = { cycle = 9 } } })
---@param opts weir.GenerateOptions
---@return weir.Source
function M.generate(opts)
  local o = options.check("weir.generate", opts, {
    fn = options.fn:optional(),
    fields = options.table:optional(),
    distinct = options.integer_in(1, 2 ^ 24):optional(),
    count = options.integer_in(0, 2 ^ 53):optional(),
    rate = options.type("a positive number", function(v) return type(v) == "number" and v > 0, v end):optional(),
  }, "fn")
  if o.fn and o.fields then where.fail "weir.generate takes fn or fields, not both" end
  if o.distinct and not o.fields then where.fail 'weir.generate: option "distinct" needs fields' end
  return source {
    kind = "sequence", name = "generate", bounded = o.count ~= nil, fn = o.fn,
    options = {
      from = 0, count = o.count, rate = o.rate, distinct = o.distinct,
      fields = o.fields and patterns(o.fields, o.rate),
    },
  }
end

---@class weir.NexmarkOptions
---@field rate? integer events a second of event time; default 100000
---@field count? integer how many events; without end if left out
---@field first? integer number of the first event; default 0
---@field lite? boolean auctions come without itemName, description, reserve and extra
---@field from? "generator"|"memory" generated when they are taken (default), or before the job runs: about 230
--- bytes of memory an event

--- The events of the Nexmark benchmark: persons, auctions and bids as 1 : 3 : 46, with event time and
--- watermarks. Only a bid has a bidder, only an auction a seller, only a person a name. The stream is a function
--- of the rate alone, whatever the parallelism.
---
---   job:source(weir.nexmark { count = 1e6 }):filter(function(event) return event.bidder ~= nil end)
---@param opts? weir.NexmarkOptions
---@return weir.Source
function M.nexmark(opts)
  local o = options.check("weir.nexmark", opts, {
    rate = options.integer_in(1, 1e9):default(100000),
    count = options.integer_in(0, 1e12):optional(),
    first = options.integer_in(0, 1e12):default(0),
    lite = options.boolean:default(false),
    from = options.one_of("generator", "memory"):default "generator",
  })
  if o.from == "memory" and not o.count then where.fail 'weir.nexmark: from = "memory" needs a count' end
  return source { kind = "nexmark", name = "nexmark", bounded = o.count ~= nil, options = o, projects = true }
end

--- A source that another module declares.
---@param fields { kind: string, name: string, bounded: boolean, options: table, fn?: function, decodes?: boolean }
---@return weir.Source
function M.declared(fields) return source(fields) end

--- Is `v` a source?
function M.is(v) return getmetatable(v) == Source end

return M
