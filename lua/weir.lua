-- SPDX-License-Identifier: Apache-2.0
--- Weir: stateful stream processing. `local weir = require "weir"` is all a job needs.
---
---   local weir = require "weir"
---   local job = weir.job { name = "hello" }
---   job:source(weir.from { { user = "ann" }, { user = "bob" }, { user = "ann" } })
---     :key_by "user"
---     :count()
---     :sink(weir.print())
---   return job

local async = require "weir.async"
local functions = require "weir.functions"
local formats = require "weir.formats"
local options = require "weir.options"
local sinks = require "weir.sinks"
local sources = require "weir.sources"
local suggest = require "weir.suggest"

-- Each Lua state of a job has what is loaded here: a module that few jobs use is loaded when one of its functions
-- is called.
local function when_called(module)
  return setmetatable({}, { __index = function(_, name)
    return function(...) return require(module)[name](...) end
  end })
end

local weir = {
  version = "0.1.0",
  job = require("weir.job").new, checkpoint = require("weir.checkpoint").new,

  files = sources.files, stdin = sources.stdin, tcp_lines = sources.tcp_lines,
  kafka = when_called("weir.kafka").kafka,
  from = sources.from, sequence = sources.sequence, generate = sources.generate, nexmark = sources.nexmark,

  print = sinks.print, stdout = sinks.stdout, file_sink = sinks.file_sink, rolling_files = sinks.rolling_files,
  tcp_sink = sinks.tcp_sink, sink = sinks.sink, discard = sinks.discard, collect = sinks.collect,
  checksum = sinks.checksum,
  kafka_sink = when_called("weir.kafka_sink").kafka_sink,

  lines = formats.lines, json = formats.json, csv = formats.csv, bytes = formats.bytes,
  avro = formats.avro, msgpack = formats.msgpack,

  process_function = functions.process_function,
  co_process_function = functions.co_process_function,
  broadcast_function = functions.broadcast_function,

  state = require "weir.state",
  watermark = require "weir.watermark",
  window = require "weir.window",
  agg = require "weir.agg",
  trigger = require "weir.trigger", triggers = require "weir.trigger",
  evictor = require "weir.evictor",
  text = require "weir.text",
  async = { sleep = async.sleep },
  http = require "weir.http",
  pairs = require("weir.pairs").pairs,
  duration = require("weir.duration").ms,
  null = require("weir.null"),
}

-- Those that a script calls while it draws; the others are called for records.
for name, fn in pairs(weir) do
  if type(fn) == "function" and name ~= "pairs" and name ~= "duration" then
    weir[name] = options.counted("weir." .. name, fn, 0)
  end
end

return setmetatable(weir, {
  __index = function(_, name)
    local names = {}
    for n in pairs(weir) do names[#names + 1] = n end
    require("weir.where").fail("weir has no %s%s", tostring(name), suggest.hint(name, names))
  end,
  __newindex = function(_, name)
    require("weir.where").fail("weir.%s cannot be set: keep what is yours in a local", tostring(name))
  end,
})
