-- SPDX-License-Identifier: Apache-2.0
--- Topics of Kafka as a sink. What differs by the record is read in C from fields of its row; what functions of the
--- script give for it travels there, too, in hidden fields, made by one function beside the sink (kafka/message.h).

local duration = require "weir.duration"
local formats = require "weir.formats"
local kafka = require "weir.internal.kafka"
local kafka_options = require "weir.kafka_options"
local null = require "weir.null"
local options = require "weir.options"
local sinks = require "weir.sinks"
local where = require "weir.where"

local M = {}

---@class weir.KafkaSinkOptions
---@field brokers string|string[] "host:port", some of the cluster
---@field topic string|fun(record: any): string
---@field key? string|fun(record: any): any a field, or what a function gives: a scalar, or what `key_format` takes; nil
--- and null: no key. Records of one key stay in order
---@field key_format? weir.Format of keys: weir.text(), the default (of a number its digits), weir.bytes(),
--- weir.json(), weir.csv, weir.avro or weir.msgpack(); with the latter four a key may be a table (with weir.csv a field
--- of the record)
---@field value? string the field that is the value, in place of the whole record; nil and null: a tombstone
---@field format? weir.Format|fun(record: any): string? of the value: weir.json(), the default,
--- weir.csv with `columns`, weir.text() or weir.bytes() of strings, weir.lines(), weir.avro, weir.msgpack(), or a
--- function that gives the bytes, nil for a tombstone
---@field upsert? boolean the topic holds the last value of each key: a change is sent as its new value alone, a
--- delete as a tombstone; needs `key`; default false
---@field partitioner? "murmur2"|"crc32"|"random"|fun(record: any): integer murmur2 of the key is that of the Java
--- client, crc32 that of librdkafka ("consistent"); without key at random; a function gives a number, of which the
--- remainder by the number of partitions is taken; default "murmur2"
---@field headers? table<string, string>|fun(record: any): table<string, string>? of a number its digits
---@field timestamp? string|false|fun(record: any): integer? a field or a function, in ms; false: when it is sent;
--- default: the record's time, if it has one that is not before 1970 (Kafka knows no earlier, and the client not the
--- first millisecond: it is sent as the second) and not the end of time. A topic whose records go
--- by age, as they do by default after a week, goes by these times: its brokers remove old ones at once, unless its
--- retention.ms is -1 or its message.timestamp.type is LogAppendTime
---@field guarantee? "none"|"at_least_once"|"exactly_once" default "at_least_once"
---@field transactional_id_prefix? string exactly once: what is this job's alone on the cluster; default "weir-JOB".
--- Checkpoints know it: what they have logged is sent under the prefix that they were taken with
---@field marker_topic? string exactly once: the topic on whose first partition the number of the last epoch is kept,
--- needed where `topic` is a function; default `topic`
---@field marker_retention? weir.Duration exactly once: for how long the cluster remembers groups without members;
--- default: what a broker says of its offsets.retention.minutes, and a week where it does not
---@field log_max? integer|string exactly once: bytes that may be logged and not sent although they could be, before
--- the job is held back; default "256MiB"
---@field properties? table<string, string|number|boolean> of librdkafka, such as TLS and SASL

local name_type = options.type("the name of a topic", function(v)
  if type(v) ~= "string" or v == "" then return false end
  return kafka_options.is_topic(v), v, kafka_options.TOPIC
end)
local topic_type = options.type("the name of a topic or a function", function(v)
  if type(v) == "function" then return true, v end
  return name_type.test(v)
end)
local of_record = options.type("the name of a field or a function", function(v)
  return type(v) == "function" or type(v) == "string" and v ~= "", v
end)
local partitioners = options.one_of("murmur2", "crc32", "random")
local partitioner_type = options.type(partitioners.expect .. ", or a function", function(v)
  if type(v) == "function" then return true, v end
  return partitioners.test(v)
end)
local format_type = options.type("a format such as weir.json(), or a function", function(v)
  if type(v) == "function" then return true, v end
  return formats.written.test(v)
end)
local timestamp_type = options.type("the name of a field, a function or false", function(v)
  return v == false or type(v) == "function" or type(v) == "string" and v ~= "", v
end)

local HEADERS_MAX = 500

-- (name NUL length NUL bytes)*, by name.
local function packed(headers)
  local parts = {}
  for name, value in require("weir.pairs").pairs(headers) do
    if #parts == HEADERS_MAX then error(("a message has %d headers at most"):format(HEADERS_MAX), 0) end
    local text = kafka.text(value)
    if type(name) ~= "string" or name == "" or name:find "%z" or not text then
      error(("headers are names and strings, not %s = %s"):format(options.shown(name), options.shown(value)), 0)
    end
    parts[#parts + 1] = name .. "\0" .. #text .. "\0" .. text
  end
  return table.concat(parts)
end

local headers_type = options.type("a table of strings by name, or a function", function(v)
  if type(v) == "function" then return true, v end
  if type(v) ~= "table" then return false end
  local ok, text = pcall(packed, v)
  return ok, text, not ok and text or nil
end)

-- What the function of an option may give.
local results = {
  topic = { says = "the name of a topic", string = true },
  key = {
    says = "a string, a number or a boolean (with key_format = weir.json() a table, too), or nil",
    string = true, number = true, boolean = true, cdata = true, none = true,
  },
  format = { says = "the bytes of the value, a string, or nil", string = true, number = true, none = true },
  partitioner = { says = "a number", number = true, cdata = true },
  headers = { says = "a table of strings by name, or nil", table = true, none = true },
  timestamp = { says = "milliseconds since 1970, or nil", number = true, cdata = true, none = true },
}

-- The function of an option as one for a hidden field, which is never nil: false says that there is nothing.
local function hidden(option, fn, pack)
  local may = results[option]
  return function(record)
    local v = fn(record)
    if (v == nil or v == null) and may.none then return false end
    if pack and option == "key" then return pack(v) end
    if not may[type(v)] or v ~= v or v == null then
      error(("the function of option \"%s\" must give %s; not %s"):format(option, may.says, options.shown(v)), 0)
    end
    if pack then return pack(v) end
    return v == false and "false" or v -- a key; as it is false would be none
  end
end

-- One function that gives what each of up to six gives.
local function together(fns)
  local a, b, c, d, e, f = unpack(fns)
  local by_count = {
    a,
    function(r) return a(r), b(r) end,
    function(r) return a(r), b(r), c(r) end,
    function(r) return a(r), b(r), c(r), d(r) end,
    function(r) return a(r), b(r), c(r), d(r), e(r) end,
    function(r) return a(r), b(r), c(r), d(r), e(r), f(r) end,
  }
  return by_count[#fns]
end

local function check_guarantee(o)
  local once = o.guarantee == "exactly_once"
  for _, name in ipairs { "transactional_id_prefix", "marker_topic", "marker_retention", "log_max" } do
    if o[name] and not once then
      where.fail('weir.kafka_sink: option "%s" is of guarantee = "exactly_once"', name)
    end
  end
  if once and type(o.topic) == "function" and not o.marker_topic then
    where.fail('weir.kafka_sink: guarantee = "exactly_once" needs option "marker_topic" where the topic differs by '
      .. "record: on its first partition the number of the last epoch is kept")
  end
end

-- What the library would refuse when it begins.
local function check_acks(o)
  local acks = o.properties["acks"] or o.properties["request.required.acks"]
  if acks and acks ~= "all" and acks ~= "-1" and o.guarantee ~= "none" then
    where.fail('weir.kafka_sink: the property "acks" is "all" with guarantee = "%s": leave it away, or '
      .. 'take guarantee = "none"', o.guarantee)
  end
end

local function check_format(option, format)
  formats.of_messages("weir.kafka_sink", option, format)
  if format.registry and not format.subject then
    where.fail('weir.kafka_sink: option "%s": weir.avro with a "registry" needs the option "subject": what its schema '
      .. "is under", option)
  end
end

local of_whole_records = { csv = true, avro = true, msgpack = true }

local function check_value(o)
  if type(o.format) ~= "function" then
    check_format("format", o.format)
    if o.value and of_whole_records[o.format.kind] then
      where.fail('weir.kafka_sink: option "value" has no meaning with weir.%s: the record is the value', o.format.kind)
    end
  elseif o.value then
    where.fail 'weir.kafka_sink: option "value" has no meaning where "format" is a function'
  end
end

local function check_key(o)
  for _, name in ipairs { "upsert", "key_format" } do
    if o[name] and not o.key then where.fail('weir.kafka_sink: option "%s" needs "key"', name) end
  end
  if not o.key_format then return end
  check_format("key_format", o.key_format)
  if type(o.key) == "function" and o.key_format.kind == "csv" then
    where.fail 'weir.kafka_sink: key_format = weir.csv is of a field that is a record: option "key" names it'
  end
end

-- The options as the plan has them: names of fields, and hidden ones for functions. A hidden field has the name of its
-- option: records that one script has logged may be sent by another one, which has other functions.
local function planned(o)
  local fns, names = {}, {}
  local function field(name, option, given, pack)
    if type(given) == "function" then
      fns[#fns + 1], names[#names + 1] = hidden(option, given, pack), option
      given = "\1" .. option
    end
    o[name] = given
  end
  if type(o.topic) == "function" then
    field("topic_field", "topic", o.topic)
    o.topic = nil
  end
  local kind = o.key_format and o.key_format.kind
  local coded = kind and kind ~= "text" and kind ~= "bytes"
  field("key_field", "key", o.key, coded and require("weir.internal.codec").encode_value)
  o.key = coded and { format = kind, [kind] = o.key_format } or nil
  o.key_format = nil
  if type(o.format) == "function" then
    field("value_field", "format", o.format)
    o.format = formats.lines()
  else
    field("value_field", "value", o.value)
  end
  if type(o.partitioner) == "function" then
    field("number_field", "partitioner", o.partitioner)
    o.partitioner = "number"
  end
  if type(o.headers) == "function" then
    field("headers_field", "headers", o.headers, packed)
    o.headers = nil
  end
  if o.timestamp == false then
    o.timestamp = "now"
  else
    field("timestamp_field", "timestamp", o.timestamp)
    o.timestamp = nil
  end
  o.value = nil
  return fns, names
end

--- A topic of Kafka, or several: one message a record.
---
---   alerts:sink(weir.kafka_sink { brokers = "localhost:9092", topic = "alerts", key = "account" })
---
--- **At least once**, the default: a checkpoint is complete when all messages before it are acknowledged; what was sent
--- behind it comes again after a crash. **None**: messages that are given up are counted as skipped, and the job goes
--- on. **Exactly once**, with checkpoints (`--dir`) and sources that can be read again: records go to a log, and when a
--- checkpoint is complete they are sent in one short transaction with its number; after any crash and at any
--- parallelism each is in the topics once, for readers with isolation.level=read_committed. No transaction is open
--- between two checkpoints. A second process of the same job makes the first stop, which writes nothing more.
---
--- As the target of records that failed:
---
---   job:source(weir.stdin(weir.json())):map(parse):on_error("dead_letter"):side_output("dead_letter")
---     :sink(weir.kafka_sink { brokers = "localhost:9092", topic = "failed" })
---@param opts weir.KafkaSinkOptions
---@return weir.Sink
function M.kafka_sink(opts)
  local o = options.check("weir.kafka_sink", opts, {
    brokers = kafka_options.brokers,
    topic = topic_type,
    key = of_record:optional(),
    key_format = formats.message:optional(),
    value = options.string:optional(),
    format = format_type:default(formats.json()),
    upsert = options.boolean:default(false),
    partitioner = partitioner_type:default "murmur2",
    headers = headers_type:optional(),
    timestamp = timestamp_type:optional(),
    guarantee = options.one_of("none", "at_least_once", "exactly_once"):default "at_least_once",
    transactional_id_prefix = options.string:optional(),
    marker_topic = name_type:optional(),
    marker_retention = duration.positive:optional(),
    log_max = options.bytes:optional(),
    properties = kafka_options.properties:optional(),
  })
  check_guarantee(o)
  check_value(o)
  check_key(o)
  o.properties = kafka_options.checked("weir.kafka_sink", kafka_options.PRODUCER, o.properties)
  check_acks(o)
  local once = o.guarantee == "exactly_once"
  local fns, names = planned(o)
  local s = sinks.make(once and "kafka_once" or "kafka_sink", "kafka_sink", o, o.guarantee)
  if #fns > 0 then s.by, s.by_names = together(fns), names end
  s.logged = once or nil
  return s
end

return M
