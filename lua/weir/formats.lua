-- SPDX-License-Identifier: Apache-2.0
--- Formats: how bytes become records, and records bytes. Declarations only; the work is done in C.

local options = require "weir.options"
local suggest = require "weir.suggest"
local where = require "weir.where"

local M = {}

---@class weir.Format
---@field kind "lines"|"json"|"csv"|"text"|"bytes"
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

--- The whole message is a string, which has to be UTF-8: of messages (weir.kafka), not of streams of bytes.
---@return weir.Format
function M.text(opts)
  return format("text", options.check("weir.text", opts, {}))
end

--- The whole message is a string of any bytes: of messages (weir.kafka), not of streams of bytes.
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

local function type_of(kinds, instead)
  return options.type("a format such as weir.json()", function(v)
    if getmetatable(v) ~= Format then return false end
    return kinds[v.kind] == true, v, instead:format(v.kind)
  end)
end

--- The type of the option `format` of what reads and writes streams of bytes.
M.type = type_of({ lines = true, json = true, csv = true }, "weir.%s is of messages")
--- The same of what comes and goes in messages.
M.message = type_of({ json = true, csv = true, text = true, bytes = true }, "weir.%s is of streams")

return M
