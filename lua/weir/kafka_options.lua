-- SPDX-License-Identifier: Apache-2.0
--- Options that sources and sinks of Kafka share.

local kafka = require "weir.internal.kafka"
local options = require "weir.options"
local suggest = require "weir.suggest"
local where = require "weir.where"

local M = { CONSUMER = kafka.CONSUMER, PRODUCER = kafka.PRODUCER }

--- What is said of a name that is none of a topic.
M.TOPIC = "a topic has 1 to 249 letters, digits, '.', '_' and '-'"

--- Can a topic have this name?
---@param name string
---@return boolean
function M.is_topic(name)
  return #name <= 249 and name:match "^[%w._-]+$" ~= nil and name ~= "." and name ~= ".."
end

--- The option `brokers`: a list of "host:port", or one string of them; kept as one string.
M.brokers = options.type('a list of brokers such as "localhost:9092"', function(v)
  if type(v) == "table" then
    for _, broker in ipairs(v) do
      if type(broker) ~= "string" then return false end
    end
    v = table.concat(v, ",")
  end
  if type(v) ~= "string" then return false end
  for broker in (v .. ","):gmatch "([^,]*)," do
    local port = broker:match "^%s*[^%s,]+:(%d+)%s*$"
    if broker:match "^%s*$" or broker:find "%c" or broker:find ":" and not broker:find "//" and not port
      or port and (tonumber(port) < 1 or tonumber(port) > 65535) then
      return false, nil, ('"%s" is none'):format(broker)
    end
  end
  return true, v
end)

--- The type of the option `properties`.
M.properties = options.type('a table such as { ["fetch.wait.max.ms"] = 100 }', function(v)
  return type(v) == "table", v
end)

--- The type of the option `pattern`.
M.pattern = options.type('a pattern of topics such as "orders-.*"', function(v)
  if type(v) ~= "string" or v == "" or v:find "%z" then return false end
  local reason = kafka.no_pattern(v)
  return reason == nil, v, reason
end)

local function text_of(v)
  if type(v) == "boolean" then return tostring(v) end
  if type(v) == "number" then return v % 1 == 0 and ("%.0f"):format(v) or ("%.14g"):format(v) end
  return type(v) == "string" and not v:find "%z" and v or nil
end

--- Checks the properties of a client by what librdkafka says of them, and raises at the script's line what it would
--- not take.
---@param what string the constructor: "weir.kafka"
---@param role integer CONSUMER or PRODUCER
---@param properties table<string, string|number|boolean>?
---@return table<string, string> properties as the plan has them
function M.checked(what, role, properties)
  local out = {}
  for name, value in require("weir.pairs").pairs(properties or {}) do
    local text = text_of(value)
    if type(name) ~= "string" or name:find "%z" then
      where.fail('%s: option "properties" has a key that is no name: %s', what, options.shown(name))
    elseif not text then
      where.fail('%s: the property "%s" is a string, a number or a boolean, not %s', what, name, options.shown(value))
    end
    local reason = kafka.wrong(role, name, text)
    if reason then
      local guess = reason:find "has no property" and suggest.nearest(name, kafka.names(role))
      where.fail("%s: %s%s", what, reason, guess and ('; did you mean "%s"?'):format(guess) or "")
    end
    out[name] = text
  end
  return out
end

return M
