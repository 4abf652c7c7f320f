-- SPDX-License-Identifier: Apache-2.0
--- The output of `weir test --json`: a busted output handler that writes a line of JSON for each test and one
--- for the whole.
---
---   {"file": "jobs/x_spec.lua", "line": 12, "name": "x counts", "seconds": 0.004, "status": "success"}
---   {"failed": 0, "passed": 1, "pending": 0, "seconds": 0.02}

local jsontext = require "weir.jsontext"

-- Where a test failed: what its message begins with, else its own line.
local function place_of(trace, message)
  local file, line = (message or ""):match "^([^\n:]+):(%d+):"
  if file then return file, tonumber(line) end
  if type(trace) ~= "table" then return nil, nil end
  return trace.short_src, trace.currentline
end

local function text_of(message)
  if message == nil or type(message) == "string" then return message end
  if type(message) == "table" and message.message then return text_of(message.message) end
  return tostring(message)
end

local counted_as = { success = "passed", pending = "pending" }

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local counts = { passed = 0, failed = 0, pending = 0 }
  local told = {} -- element → message of its failure

  local function write(record)
    io.write(jsontext.encode(record), "\n")
  end

  local function add(element, status, message, trace)
    message = text_of(message)
    local file, line = place_of(trace or element.trace, message)
    local count = counted_as[status] or "failed"
    counts[count] = counts[count] + 1
    write {
      file = file, line = line, name = handler.getFullName(element), status = status, message = message,
      seconds = element.duration,
    }
  end

  local function on_failure(element, _, message, trace)
    told[element] = { message = message, trace = trace }
    return nil, true
  end

  busted.subscribe({ "failure", "it" }, on_failure)
  busted.subscribe({ "error", "it" }, on_failure)
  busted.subscribe({ "test", "end" }, function(element, _, status)
    local why = told[element] or {}
    add(element, status, why.message, why.trace)
    return nil, true
  end)

  -- What fails outside of a test: a file that cannot be loaded, a setup.
  local function on_error(element, _, message, trace)
    if element.descriptor ~= "it" then add(element, "error", message, trace) end
    return nil, true
  end
  busted.subscribe({ "failure" }, on_error)
  busted.subscribe({ "error" }, on_error)

  busted.subscribe({ "suite", "end" }, function()
    counts.seconds = handler.getDuration()
    write(counts)
    io.flush()
    return nil, true
  end)
  return handler
end
