-- SPDX-License-Identifier: Apache-2.0
--- Sources of Kafka: `weir.kafka`. Declarations only; the work is done in C (runtime/kafka).

local duration = require "weir.duration"
local formats = require "weir.formats"
local kafka_options = require "weir.kafka_options"
local options = require "weir.options"
local sources = require "weir.sources"
local where = require "weir.where"

local M = {}

---@class weir.KafkaOptions
---@field brokers string|string[] "host:port" of some brokers
---@field topic? string one of topic, topics and pattern
---@field topics? string[]
---@field pattern? string of whole names, a POSIX extended regular expression: "orders-.*"; topics that come later, too
---@field start? weir.KafkaPlace where partitions are read from, unless a checkpoint says it; default "earliest". New
--- ones are read from their beginning
---@field stop? weir.KafkaPlace where they end, and then the job: "latest" is what there is now; default: they do not.
--- At a checkpoint the same one stays what it was, another one is looked up again
---@field format? weir.Format|fun(bytes: string, message: table): any of values; default weir.json(). weir.csv needs
--- `columns`; a function makes a record of the bytes of one, weir.null for a tombstone, beside which it is given the
--- message as `meta` has it
---@field key_format? weir.Format of keys, with `meta`; default weir.text(), where `format` is a function weir.bytes()
---@field meta? boolean records are { value =, key =, topic =, partition =, offset =, timestamp =, headers = }
---@field isolation? "read_committed"|"read_uncommitted" default the first: records of transactions that are open or
--- were aborted are not seen
---@field group? string to which positions are told when a checkpoint holds, and before the source ends, with
--- checkpoints (`--dir`) only; and of `start = "committed"`
---@field commit? boolean tell it; default true where there is a group
---@field out_of_range? "fail"|"earliest"|"latest" what to do where records were removed before they were read;
--- default "fail". A topic that was made anew, or cut, and is longer than what was read is read on and not noticed
---@field discover? weir.Duration how often new partitions and topics are looked for; default 10 s
---@field wait? boolean wait for brokers and topics that are not there when the job begins; default false
---@field timeout? weir.Duration and else for so long; default 10 s
---@field properties? table<string, string|number|boolean> of librdkafka

---@alias weir.KafkaPlace "earliest"|"latest"|"committed"|{ timestamp: integer }|{ offsets: weir.KafkaOffsets }

---@alias weir.KafkaOffsets table<integer, integer>|table<string, table<integer, integer>> by partition, or topic and it

local function whole(v)
  return type(v) == "number" and v % 1 == 0 and v >= 0 and v <= 2 ^ 53
end

-- { [partition] = offset } of one topic, appended to a list.
local function add_offsets(list, topic, offsets)
  for partition, offset in require("weir.pairs").pairs(offsets) do
    if not whole(partition) or not whole(offset) then return false end
    list[#list + 1] = { topic = topic, partition = partition, offset = offset }
  end
  return true
end

-- A place as the plan has it; nil if it is none.
local function place(v, words, topics)
  if words[v] then return { at = v } end
  if type(v) ~= "table" then return nil end
  if next(v) == "timestamp" and not next(v, "timestamp") and whole(v.timestamp) then
    return { at = "timestamp", ms = v.timestamp }
  end
  if next(v) ~= "offsets" or next(v, "offsets") or type(v.offsets) ~= "table" then return nil end
  local list = {}
  if #topics == 1 and type(next(v.offsets)) == "number" then
    return add_offsets(list, topics[1], v.offsets) and { at = "offsets", offsets = list } or nil
  end
  for topic, offsets in require("weir.pairs").pairs(v.offsets) do
    if type(topic) ~= "string" or type(offsets) ~= "table" or not add_offsets(list, topic, offsets) then return nil end
  end
  return { at = "offsets", offsets = list }
end

local PLACES = 'a time { timestamp = ms since 1970 }, or offsets { offsets = { [partition] = offset } }, '
  .. 'of several topics { offsets = { [topic] = { [partition] = offset } } }'

local declared = {
  brokers = kafka_options.brokers,
  topic = options.string:optional(),
  topics = options.list_of(options.string, "a list of names"):optional(),
  pattern = kafka_options.pattern:optional(),
  start = options.any:default "earliest",
  stop = options.any:optional(),
  format = options.type("a format such as weir.json(), or a function", function(v)
    if type(v) == "function" then return true, v end
    return formats.message.test(v)
  end):default(formats.json()),
  key_format = formats.message:optional(),
  meta = options.boolean:default(false),
  isolation = options.one_of("read_committed", "read_uncommitted"):default "read_committed",
  group = options.string:optional(),
  commit = options.boolean:optional(),
  out_of_range = options.one_of("fail", "earliest", "latest"):default "fail",
  discover = duration.positive:default(10000),
  wait = options.boolean:default(false),
  timeout = duration.positive:default(10000),
  properties = kafka_options.properties:optional(),
}

local function topics_of(o)
  if (o.topic and 1 or 0) + (o.topics and 1 or 0) + (o.pattern and 1 or 0) ~= 1 then
    where.fail "weir.kafka takes one of topic, topics and pattern"
  end
  local topics, seen = o.topic and { o.topic } or o.topics, {}
  for _, topic in ipairs(topics or {}) do
    if not kafka_options.is_topic(topic) then
      where.fail("weir.kafka: %s is no topic: %s", options.shown(topic), kafka_options.TOPIC)
    elseif seen[topic] then
      where.fail('weir.kafka: option "topics" names "%s" twice', topic)
    end
    seen[topic] = true
  end
  return topics
end

-- Offsets are of topics that are read.
local function check_offsets(option, offsets, topics)
  local read = {}
  for _, topic in ipairs(topics or {}) do read[topic] = true end
  for _, at in ipairs(offsets or {}) do
    if topics and not read[at.topic] then
      where.fail('weir.kafka: option "%s" has offsets of "%s", which is not read', option, at.topic)
    end
  end
end

-- What is known of both without a broker: an end in front of the beginning is a slip.
local function check_order(start, stop)
  if not stop or start.at ~= stop.at then return end
  if start.at == "timestamp" and stop.ms < start.ms then
    where.fail "weir.kafka: the time of `stop` is before the one of `start`"
  end
  for _, from in ipairs(start.offsets or {}) do
    for _, to in ipairs(stop.offsets) do
      if from.topic == to.topic and from.partition == to.partition and to.offset < from.offset then
        where.fail('weir.kafka: partition %d of topic "%s" is to end at offset %d, in front of %d, where it begins',
          from.partition, from.topic, to.offset, from.offset)
      end
    end
  end
end

local function check_places(o, topics)
  local start = place(o.start, { earliest = true, latest = true, committed = true }, topics or {})
  local stop = o.stop ~= nil and place(o.stop, { latest = true }, topics or {}) or nil
  if not start then
    where.fail('weir.kafka: option "start" is "earliest", "latest", "committed", %s; not %s', PLACES,
      options.shown(o.start))
  elseif o.stop ~= nil and not stop then
    where.fail('weir.kafka: option "stop" is "latest", %s; not %s', PLACES, options.shown(o.stop))
  elseif start.at == "committed" and not o.group then
    where.fail 'weir.kafka: start = "committed" needs the option "group"'
  elseif o.commit and not o.group then
    where.fail 'weir.kafka: option "commit" needs the option "group"'
  end
  check_offsets("start", start.offsets, topics)
  check_offsets("stop", stop and stop.offsets, topics)
  check_order(start, stop)
  return start, stop
end

-- The function of a format, and of what it makes a record.
local function by_function(fn, meta)
  if not meta then return function(message) return fn(message.value, message) end end
  return function(message)
    message.value = fn(message.value, message)
    return message
  end
end

--- Topics of Kafka, each record exactly once in the job's state: positions are in its checkpoints, and partitions are
--- shared among its subtasks by the job. A record's time is its timestamp in the topic, and a record without a value (a
--- tombstone) is `weir.null`. What cannot be decoded follows `on_error`; its dead letter has topic, partition, offset,
--- timestamp, key and value as they are.
---
---   job:source(weir.kafka { brokers = "localhost:9092", topic = "orders" })
---   job:source(weir.kafka { brokers = "localhost:9092", topic = "orders", stop = "latest", format = weir.bytes() })
---@param opts weir.KafkaOptions
---@return weir.Source
function M.kafka(opts)
  local o = options.check("weir.kafka", opts, declared)
  local topics = topics_of(o)
  local start, stop = check_places(o, topics)
  local fn = type(o.format) == "function" and o.format
  local format = formats.of_messages("weir.kafka", "format", fn and formats.bytes() or o.format)
  if o.key_format and not (o.meta or fn) then
    where.fail 'weir.kafka: option "key_format" needs meta = true: records have no key without'
  end
  local key = formats.of_messages("weir.kafka", "key_format", o.key_format or fn and formats.bytes() or formats.text())
  return sources.declared {
    kind = "kafka", name = "kafka", bounded = stop ~= nil, fn = fn and by_function(fn, o.meta) or nil, decodes = true,
    options = {
      brokers = o.brokers, topics = topics, pattern = o.pattern, start = start, stop = stop, bounded = stop ~= nil,
      format = format, key = { format = key.kind, [key.kind] = key },
      meta = o.meta or fn and true or false, isolation = o.isolation,
      group = o.group, commit = o.group ~= nil and o.commit ~= false, out_of_range = o.out_of_range,
      discover = o.discover, wait = o.wait, timeout = o.timeout,
      properties = kafka_options.checked("weir.kafka", kafka_options.CONSUMER, o.properties),
    },
  }
end

return M
