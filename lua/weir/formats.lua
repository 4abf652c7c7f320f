-- SPDX-License-Identifier: Apache-2.0
--- Formats: how bytes become records, and records bytes. Declarations only; the work is done in C.

local duration = require "weir.duration"
local options = require "weir.options"
local suggest = require "weir.suggest"
local where = require "weir.where"

local M = {}

---@class weir.Format
---@field kind "lines"|"json"|"csv"|"text"|"bytes"|"avro"|"msgpack"
local Format = {}
Format.__index = Format

local function format(kind, o)
  o.kind = kind
  return setmetatable(o, Format)
end

--- Each line is a record: { line =, path =, offset = } from files, { line = } from elsewhere.
--- As the format of a sink: the field `line` of each record, or the record itself if it is a string.
---@return weir.Format
function M.lines(opts)
  return format("lines", options.check("weir.lines", opts, {}))
end

--- Each line is a JSON value. Whole numbers beyond 2^53 are exact (int64_t, uint64_t); null is `weir.null`.
---@return weir.Format
function M.json(opts)
  return format("json", options.check("weir.json", opts, {}))
end

--- The whole message is a string, which has to be UTF-8: of messages (weir.kafka, weir.kafka_sink), not of streams
--- of bytes.
---@return weir.Format
function M.text(opts)
  return format("text", options.check("weir.text", opts, {}))
end

--- The whole message is a string of any bytes: of messages (weir.kafka, weir.kafka_sink), not of streams of bytes.
---@return weir.Format
function M.bytes(opts)
  return format("bytes", options.check("weir.bytes", opts, {}))
end

---@class weir.CsvOptions
---@field header? boolean the first line of each file names the columns; default true, false with `columns`
---@field columns? string[] the names of the columns, in order
---@field separator? string one character; default ","
---@field quote? string one character; default '"'
---@field types? table<string, "number"|"integer"|"boolean"|"string"> of columns; an empty field that is no
--- string is missing, a field that is not of its type makes the row malformed; default: all are strings

local names_of_types = { number = true, integer = true, boolean = true, string = true }
local types = options.type('a table such as { amount = "number" } (number, integer, boolean, string)', function(v)
  if type(v) ~= "table" then return false end
  for column, name in pairs(v) do
    if type(column) ~= "string" then return false end
    if not names_of_types[name] then return false, nil, ('"%s" is %s'):format(column, options.shown(name)) end
  end
  return true, v
end)
local character = options.type("one character, and no line end", function(v)
  return type(v) == "string" and #v == 1 and v ~= "\n" and v ~= "\r", v
end)

--- Comma-separated values with quoting ("" inside quotes is one quote). Values are strings, or what `types` says.
---
---   weir.files { path = "in/*.csv", format = weir.csv { separator = ";" } }
---@param opts? weir.CsvOptions
---@return weir.Format
function M.csv(opts)
  local o = options.check("weir.csv", opts, {
    header = options.boolean:optional(),
    columns = options.list_of(options.string, "a list of names"):optional(),
    separator = character:default ",",
    quote = character:default '"',
    types = types:optional(),
  })
  if o.header == nil then o.header = o.columns == nil end
  if o.separator == o.quote then where.fail 'weir.csv: options "separator" and "quote" are the same' end
  local seen = {}
  for _, name in ipairs(o.columns or {}) do
    if seen[name] then where.fail('weir.csv: option "columns" names "%s" twice', name) end
    seen[name] = true
  end
  for name in require("weir.pairs").pairs(o.columns and o.types or {}) do
    if not seen[name] then
      where.fail('weir.csv: option "types" names "%s", which is none of the columns%s', name,
        suggest.hint(name, o.columns))
    end
  end
  if not o.header and not o.columns then
    where.fail 'weir.csv: without a header line the option "columns" must name the columns'
  end
  return format("csv", o)
end

---@class weir.AvroOptions
---@field schema? string of the records: an Avro schema, as JSON text. Without a registry messages are of it, too
---@field schema_file? string a file that holds it, in place of `schema`
---@field writer_schema? string that messages were written with, where it is another and there is no registry
---@field registry? string address of a schema registry: messages begin with a byte 0 and the number of their schema;
--- `schema` may be missing then, and records are as they were written
---@field subject? string of a sink with a registry: what `schema` is registered under; without `schema`, whose
--- latest version messages are written with
---@field timeout? weir.Duration of a question to the registry; default 5 s. A source waits for the answer, once for
--- each schema that is new to a subtask; other tasks and checkpoints do not

local function contents(path)
  local file, why = io.open(path, "rb")
  if not file then where.fail('weir.avro: option "schema_file": %s', why) end
  local text = file:read "*a"
  file:close()
  if not text then where.fail('weir.avro: option "schema_file": %s cannot be read', path) end
  return text
end

local function check_schema(option, text)
  local reason = text and require("weir.internal.schemas").schema_wrong("avro", text)
  if reason then where.fail('weir.avro: option "%s": %s', option, reason) end
end

local address = options.type('an address such as "http://localhost:8081"', function(v)
  return type(v) == "string" and v:find "^https?://[^/%s]" ~= nil and not v:find "[%c ]", v
end)

--- Messages of Avro. A record has the schema's fields: numbers (a long beyond 2^53 is int64_t), strings (string,
--- bytes, fixed and enum), lists, maps and records. A decimal is its text, "12.30"; other logical types are what
--- carries them: a timestamp-millis is a number of milliseconds. A field that is null is missing; elsewhere null is
--- `weir.null`. With a schema of their own, records get its defaults for fields that were not written, lose what it
--- has not, and numbers are promoted. On the way out, a missing field is null or its default, and what does not fit
--- is an error.
---
---   weir.avro { registry = "http://localhost:8081" }
---   weir.avro { schema_file = "order.avsc" }
---@param opts weir.AvroOptions
---@return weir.Format
function M.avro(opts)
  local o = options.check("weir.avro", opts, {
    schema = options.string:optional(),
    schema_file = options.string:optional(),
    writer_schema = options.string:optional(),
    registry = address:optional(),
    subject = options.string:optional(),
    timeout = duration.positive:default(5000),
  })
  if o.schema and o.schema_file then where.fail 'weir.avro: options "schema" and "schema_file" are one too many' end
  check_schema("schema", o.schema)
  if o.schema_file then
    o.schema = contents(o.schema_file)
    check_schema("schema_file", o.schema)
    o.schema_file = nil
  end
  check_schema("writer_schema", o.writer_schema)
  if not o.schema and not o.registry then where.fail 'weir.avro: give a "schema", a "schema_file" or a "registry"' end
  if o.registry and o.writer_schema then
    where.fail 'weir.avro: with a "registry" messages say which schema wrote them: no "writer_schema"'
  elseif o.subject and not o.registry then
    where.fail 'weir.avro: option "subject" is of a "registry"'
  end
  return format("avro", o)
end

--- Messages of MessagePack: maps whose keys are strings are records, whole numbers beyond 2^53 are exact (int64_t,
--- uint64_t), null is `weir.null`. Extension types, timestamps among them, are refused.
---@return weir.Format
function M.msgpack(opts)
  return format("msgpack", options.check("weir.msgpack", opts, {}))
end

local function type_of(kinds, instead)
  return options.type("a format such as weir.json()", function(v)
    if getmetatable(v) ~= Format then return false end
    return kinds == nil or kinds[v.kind] == true, v, instead and instead:format(v.kind)
  end)
end

--- The type of the option `format` of what reads and writes streams of bytes.
M.type = type_of({ lines = true, json = true, csv = true }, "weir.%s is of messages")
--- The same of what comes and goes in messages.
M.message = type_of({ json = true, csv = true, text = true, bytes = true, avro = true, msgpack = true },
  "weir.%s is of streams")
--- The same of messages that a sink writes: any.
M.written = type_of(nil)

--- Gives a format of messages again; where it is CSV with a line of names, which no message is, an error at the line of
--- the script.
---@param what string the constructor
---@param option string
---@param given weir.Format
---@return weir.Format
function M.of_messages(what, option, given)
  if given.kind == "csv" and not given.columns then
    where.fail('%s: option "%s": no message is a header line: weir.csv needs the option "columns"', what, option)
  elseif given.kind == "csv" and given.header then
    where.fail('%s: option "%s": no message is a header line: weir.csv with header = true is of files', what, option)
  end
  return given
end

return M
