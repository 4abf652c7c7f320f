-- SPDX-License-Identifier: Apache-2.0
--- Tests of jobs: the engine inside of a spec. `weir test` runs specs; `local kit = require "weir.test"`.
---
---   local kit = require "weir.test"
---
---   describe("visits", function()
---     it("tells when a user comes back", function()
---       local t = kit.job("visits.lua")
---       t:feed { { user = "ann", ts = 0 }, { user = "ann", ts = 42000 } }
---       assert.same({ { user = "ann", away_s = 42 } }, t:output())
---     end)
---   end)
---
--- The job is planned and built as for a run, with real tasks, state and timers, in one thread. What a test
--- feeds takes the place of its sources, what it collects that of its sinks, and time stands still until the
--- test moves it. User functions run in Lua states of their own: what a test wants to know of them it learns by
--- `output`, `state` and `timers`, not by a local that a function writes.

local carry = require "weir.internal.carry"
local codec = require "weir.internal.codec"
local duration = require "weir.duration"
local harness = require "weir.internal.harness"
local jsontext = require "weir.jsontext"
local options = require "weir.options"
local suggest = require "weir.suggest"
local where = require "weir.where"

local fail = where.fail

local M = {}

---------------------------------------------------------------- what can be fed beside plain records

local At, Watermark, Idle = {}, {}, {}

--- A record with its event time, for `feed` and `interleave`.
---
---   t:feed { kit.at(1000, { user = "ann" }), kit.at(2000, { user = "bob" }) }
---@param time number ms
---@param record any
function M.at(time, record)
  return setmetatable({ time = options.value("kit.at", "the time", time, options.integer), record = record }, At)
end

--- A watermark among records, for `feed` and `interleave`.
---@param time number ms
function M.watermark(time)
  return setmetatable({ time = options.value("kit.watermark", "the time", time, options.integer) }, Watermark)
end

--- An input falls idle, or is active again, among records, for `feed` and `interleave`.
---@param idle? boolean default true
function M.idle(idle)
  return setmetatable({ idle = idle ~= false }, Idle)
end

---------------------------------------------------------------- making

---@class weir.Test A job in the hands of a test
local methods = {}
local Test = {}
Test.__index = function(_, name)
  local method = methods[name]
  if method then return method end
  local names = {}
  for n in pairs(methods) do names[#names + 1] = n end
  fail("a test has no %s%s", tostring(name), suggest.hint(name, names))
end

---@class weir.TestOptions
---@field parallelism? integer subtasks of every operator that does not say its own number; default 1
---@field max_parallelism? integer key groups
---@field on_error? "fail"|"skip"|"dead_letter" as the program's --on-error
---@field now? number processing time in the beginning, ms; default 0
---@field seed? integer of everything random; default that of `weir test --seed`
---@field time? string a field of the records that are fed: their event time, ms

local declared = {
  parallelism = options.integer_in(1, 1024):optional(),
  max_parallelism = options.integer_in(1, 32768):optional(),
  on_error = options.one_of("fail", "skip", "dead_letter"):optional(),
  now = options.integer:default(0),
  seed = options.integer:optional(),
  time = options.string:optional(),
}

-- Calls into the engine; its errors are raised at the test's line.
local function call(object, method, ...)
  if not object.h then fail "this test was closed" end
  local ok, a, b = pcall(object[method], object, ...)
  if not ok then fail("%s", a) end
  return a, b
end

local function build(o, script)
  o.seed = o.seed or harness.settings.seed
  script.options = {
    parallelism = o.parallelism, max_parallelism = o.max_parallelism, on_error = o.on_error, seed = o.seed,
  }
  script.now, script.seed = o.now, o.seed
  local ok, h = pcall(harness.new, script)
  if not ok then fail("%s", h) end
  return setmetatable({ h = h, o = o, script = script }, Test)
end

-- A script in a file, for the engine.
local function of_file(what, path, args)
  options.value(what, "the path", path, options.string)
  local list = {}
  for name, value in pairs(options.value(what, "the arguments", args or {}, options.table)) do
    list[#list + 1] = ("%s=%s"):format(tostring(name), tostring(value))
  end
  table.sort(list)
  return { path = path, args = list }
end

--- A job of a script, with its arguments. All its sources wait for what the test feeds, also weir.from; a
--- weir.generate with a function is fed its numbers. What async functions ask of a web server they really ask.
---
---   local t = kit.job("jobs/top_words.lua", { top = 1 })
---@param path string of the script
---@param args? table<string, string|number|boolean> `job.args`
---@param opts? weir.TestOptions
---@return weir.Test
function M.job(path, args, opts)
  return build(options.check("kit.job", opts, declared), of_file("kit.job", path, args))
end

local function parameter_names(fn)
  local names = {}
  for i = 1, debug.getinfo(fn, "u").nparams do names[i] = debug.getlocal(fn, i) end
  return names
end

-- Operators that a function draws, as a job.
local function of_function(what, fn)
  options.value(what, "its argument", fn, options.fn)
  local names = parameter_names(fn)
  if #names == 0 then fail("%s takes a function of streams: function(stream) return stream:map(…) end", what) end
  local info = debug.getinfo(fn, "S")
  local place = ("%s:%d"):format(info.short_src, info.linedefined)
  local function draw()
    local weir = require "weir"
    local job = weir.job { name = "harness" }
    local streams = {}
    for i, name in ipairs(names) do
      streams[i] = job:source(weir.sequence { from = 1, to = 0 }):name(name):uid(name)
    end
    local main, sides = fn(unpack(streams))
    if type(main) ~= "table" or type(main.sink) ~= "function" then
      error(what .. ": the function returns the stream whose records are the output", 0)
    end
    main:sink(weir.collect "output"):uid "output"
    for name, side in (require "weir.pairs").pairs(sides or {}) do
      side:sink(weir.collect(name)):uid("output." .. name)
    end
    for _, node in ipairs(job.nodes) do node.where = node.where or place end -- a tail call hides its line
    return job
  end
  local ok, carried = pcall(carry.pack, draw)
  if not ok then fail("%s", carried) end
  return { path = place, carried = carried }
end

--- One or a few operators instead of a whole job: `fn` gets a stream for each of its parameters, which are the
--- names of the inputs, and gives the stream whose records `output` gives; a second value may be a table of
--- more streams by name. The function and what it closes over are copied into the Lua states of subtasks.
---
---   local t = kit.harness(function(clicks) return clicks:key_by("user"):process(sessions):uid "sessions" end)
---   local t = kit.harness(function(left, right) return left:connect(right):key_by("id"):process(join) end)
---@param fn fun(...: weir.Stream): weir.Stream, table<string, weir.Stream>?
---@param opts? weir.TestOptions
---@return weir.Test
function M.harness(fn, opts)
  return build(options.check("kit.harness", opts, declared), of_function("kit.harness", fn))
end

---------------------------------------------------------------- feeding

local function input_names(t)
  local names = {}
  for i, input in ipairs(t.h.inputs) do names[i] = input.name end
  return names
end

local function find_input(t, name)
  for _, input in ipairs(t.h.inputs) do
    if input.uid == name then return input end
  end
  for _, input in ipairs(t.h.inputs) do
    if input.name == name then return input end
  end
end

local function need_input(t, name)
  if name == nil then
    if #t.h.inputs > 1 then fail("which input? The job has %s", table.concat(input_names(t), ", ")) end
    return t.h.inputs[1]
  end
  local input = find_input(t, name)
  if not input then
    fail("there is no input %s%s; the job has %s", tostring(name), suggest.hint(tostring(name), input_names(t)),
      table.concat(input_names(t), ", "))
  end
  return input
end

local function need_open(t, input)
  if input.ended then fail('input "%s" has ended', input.name) end
end

local function time_of(t, record, given)
  if given then return given end
  local field = t.o.time
  if not field then return false end
  local time = type(record) == "table" and record[field]
  if type(time) ~= "number" then fail('a record has no number in its field "%s", which is its event time', field) end
  return time
end

local function no_own_watermarks(t, input)
  local name = call(t.h, "own_watermarks", input)
  if name then
    fail('the job makes watermarks of its own behind input "%s" (%s), so those of a test end there: feed a record '
      .. "with a later time, or t:finish()", input.name, name)
  end
end

local function say_watermark(t, input, time)
  no_own_watermarks(t, input)
  if time < (input.watermark or -math.huge) then
    fail('the watermark of input "%s" goes back, from %.0f to %.0f', input.name, input.watermark, time)
  end
  call(t.h, "watermark", input, time)
end

-- Sends records and events in their order; records that follow each other go together.
local function send(t, input, list, time)
  local records, times = {}, {}
  local function flush()
    if #records > 0 then call(t.h, "feed", input, records, times) end
    records, times = {}, {}
  end
  for _, item in ipairs(list) do
    local mt = type(item) == "table" and getmetatable(item)
    if mt == Watermark then
      flush()
      say_watermark(t, input, item.time)
    elseif mt == Idle then
      flush()
      call(t.h, "idle", input, item.idle)
    else
      local record, at = item, time
      if mt == At then record, at = item.record, item.time end
      records[#records + 1], times[#times + 1] = record, time_of(t, record, at)
    end
  end
  flush()
end

local function settle(t) call(t.h, "settle") end

--- Feeds a record, or a list of them, and lets the job handle it; with several inputs the name comes first. A
--- list is handled as a whole before the job's own watermarks are looked at.
---
---   t:feed { user = "ann" }
---   t:feed({ user = "ann" }, 1000)             -- with its event time in ms
---   t:feed("orders", { { id = 1 }, { id = 2 } })
---@param input? string name or uid of the source; may be left out if there is one only
---@param records any a record or a list of records; see also kit.at and kit.watermark
---@param time? number event time of all of them, ms
function methods:feed(input, records, time)
  if type(input) ~= "string" or not find_input(self, input) then
    if type(input) == "string" and (#self.h.inputs > 1 or records ~= nil and type(records) ~= "number") then
      need_input(self, input)
    end
    input, records, time = nil, input, records
  end
  if records == nil then fail "what is to be fed? t:feed([input,] record or list [, time])" end
  if time ~= nil and type(time) ~= "number" then
    fail("the time of what is fed is a number, not a %s; several records are fed as one list", type(time))
  end
  if time ~= nil then options.value("t:feed", "the time", time, options.integer) end
  local to = need_input(self, input)
  need_open(self, to)
  local list = type(records) == "table" and getmetatable(records) == nil and codec.list_length(records) ~= nil
  send(self, to, list and records or { records }, time)
  settle(self)
end

--- Feeds several inputs in an order that the seed draws: each in its own order, some records under way while
--- others come. Gives the seed, to run the same again.
---
---   for seed = 1, 50 do
---     local t = kit.harness(join)
---     t:interleave({ left = lefts, right = rights }, seed)
---     assert.same(expected, kit.sorted(t:output()), "seed " .. seed)
---   end
---@param lists table<string, any[]> records by input; see also kit.at and kit.watermark
---@param seed? integer default: goes on behind that of the test
---@return integer seed
function methods:interleave(lists, seed)
  local open, names = {}, {}
  for name in pairs(options.value("t:interleave", "the lists", lists, options.table)) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local input = need_input(self, name)
    need_open(self, input)
    open[#open + 1] = { input = input, list = lists[name], at = 1 }
  end
  if seed then call(self.h, "reseed", seed) end
  while #open > 0 do
    local i = call(self.h, "random", #open) + 1
    local one = open[i]
    if one.at > #one.list then
      table.remove(open, i)
    else
      send(self, one.input, { one.list[one.at] })
      one.at = one.at + 1
      call(self.h, "stir", 4)
    end
  end
  settle(self)
  return seed or self.o.seed
end

--- Event time of an input, or of all, has come to `time`: no earlier records are expected.
---
---   t:watermark(60000)
---   t:watermark("left", 60000)
---@param input? string
---@param time number ms
function methods:watermark(input, time)
  if time == nil then input, time = nil, input end
  options.value("t:watermark", "the time", time, options.integer)
  for _, each in ipairs(input and { need_input(self, input) } or self.h.inputs) do
    need_open(self, each)
    say_watermark(self, each, time)
  end
  settle(self)
end

--- An input, or all, is idle and holds event time back no more; `false` lets it hold it back again.
---@param input? string
---@param idle? boolean default true
function methods:idle(input, idle)
  if type(input) == "boolean" then input, idle = nil, input end
  for _, each in ipairs(input and { need_input(self, input) } or self.h.inputs) do
    need_open(self, each)
    call(self.h, "idle", each, idle ~= false)
  end
  settle(self)
end

--- Sets processing time. Going forward all timers on the way fire, each at its time; a timer for T fires when
--- the clock passes T, at T + 1. Without an argument: gives it.
---@param time? number ms
---@return number now
function methods:processing_time(time)
  if time ~= nil then
    options.value("t:processing_time", "the time", time, options.integer)
    call(self.h, "time", time)
  end
  return call(self.h, "now")
end

--- Lets processing time pass: `t:advance "5s"`.
---@param by weir.Duration
function methods:advance(by)
  by = options.value("t:advance", "its argument", by, duration.positive)
  call(self.h, "time", call(self.h, "now") + by)
end

--- Ends the input: the last watermark goes out, pending timers fire, operators end. What async functions wait for
--- comes: answers from outside, and where there are none to wait for, time passes.
function methods:finish()
  for _, input in ipairs(self.h.inputs) do
    if not input.ended then call(self.h, "finish", input) end
  end
  settle(self)
  call(self.h, "await_end")
end

--- Takes the job down between two records and builds it again: state and timers go out and back through the row
--- format, functions run in fresh Lua states. What a function keeps in a Lua variable is lost, as it would be
--- when the job fails and starts again.
function methods:restart()
  if call(self.h, "ended") then fail "the job has ended: there is nothing to restart" end
  call(self.h, "restart")
end

--- Another version of the job comes in while it runs: at a barrier all functions change places, state and timers
--- stay. `version` is what the test began with: the path of a script, with its arguments, or a function of streams.
--- It must draw the same graph.
---@param version string|fun(...: weir.Stream): weir.Stream
---@param args? table<string, string|number|boolean> of a script
function methods:reload(version, args)
  if call(self.h, "ended") then fail "the job has ended: there is nothing to reload" end
  local script = type(version) == "function" and of_function("t:reload", version)
    or of_file("t:reload", version, args)
  if (script.carried == nil) ~= (self.script.carried == nil) then
    fail "t:reload takes what the test began with: a script, or a function of streams"
  end
  script.options = self.script.options
  call(self.h, "reload", script)
end

--- Frees the job at once instead of some time later.
function methods:close() self.h:close() end

---------------------------------------------------------------- results

local function output_names(t)
  local names = {}
  for i, output in ipairs(t.h.outputs) do names[i] = output.names[1] end
  return names
end

local function need_output(t, name)
  local found
  for _, output in ipairs(t.h.outputs) do
    local is = name == nil and output.main
    for _, each in ipairs(output.names) do is = is or each == name end
    if is and found then
      fail("several outputs are meant by %s: give each a uid; the job has %s",
        name and '"' .. name .. '"' or "the main one", table.concat(output_names(t), ", "))
    end
    found = is and output or found
  end
  if not found then
    fail("there is no %s; the job has %s", name and 'output "' .. tostring(name) .. '"' or "main output",
      table.concat(output_names(t), ", "))
  end
  return found
end

--- The records that have come to a sink since the last call, in order.
---@param name? string uid or name of the sink, or the tag of the side output that it reads; default: the sink of a
--- main output
---@return any[]
function methods:output(name)
  local records = {}
  for i, element in ipairs(call(self.h, "take", need_output(self, name))) do records[i] = element.record end
  return records
end

---@class weir.TestElement
---@field record any
---@field timestamp? number event time, ms
---@field kind string "insert", "update_before", "update_after" or "delete"

--- As `output`, with the event time of each record and what it does to its relation.
---@param name? string
---@return weir.TestElement[]
function methods:elements(name)
  return (call(self.h, "take", need_output(self, name)))
end

---------------------------------------------------------------- the inside

local function need_stage(t, uid)
  local stage = call(t.h, "stage", uid)
  if not stage then
    local uids = {}
    for _, vertex in ipairs(t.h.plan.vertices) do
      for _, each in ipairs(vertex.stages) do
        for _, operator in ipairs(each.operators) do uids[#uids + 1] = operator.uid end
      end
    end
    fail("there is no operator %s%s; the job has %s", tostring(uid), suggest.hint(tostring(uid), uids),
      table.concat(uids, ", "))
  end
  return stage
end

local function need_state(t, uid, name, which)
  local stage = need_stage(t, uid)
  local names = {}
  for i, state in ipairs(stage.plan[which] or {}) do
    if state.name == name then return stage, i - 1, state.kind end
    names[i] = state.name
  end
  fail("operator %s has no %s %s%s", uid, which == "states" and "state" or "broadcast state", tostring(name),
    #names > 0 and "; it has " .. table.concat(names, ", ") or "")
end

local function same_window(a, b)
  return a == nil and b == nil or a ~= nil and b ~= nil and a.start == (b.start or b[1]) and a.stop == (b.stop or b[2])
end

--- What an operator keeps in a keyed state: the value, a list, or a table of a map; nil if there is nothing.
--- Looking changes nothing.
---
---   assert.equal(3, t:state("sessions", "count", "ann"))
---
--- Of a window, what a trigger declares is called "trigger.NAME", or "trigger.1.NAME" where it is the first trigger
--- of another; states of a process function are "window.NAME" and "global.NAME", and the last has no window.
---
---   assert.equal(2, t:state("visits", "trigger.count", "ann", { start = 0, stop = 10 }))
---@param uid string of the operator, or its name
---@param name string of the state
---@param key any a list for a key of several parts
---@param window? { start: number, stop: number } of the state of a window
---@return any
function methods:state(uid, name, key, window)
  if key == nil then fail "of which key? t:state(uid, name, key); t:states(uid, name) gives all" end
  local stage, number, kind = need_state(self, uid, name, "states")
  for _, entry in ipairs(call(self.h, "states", stage, number, kind, key)) do
    if same_window(entry.window, window) then return entry.value end
  end
  return nil
end

local function by_text(list)
  local texts = {}
  for _, each in ipairs(list) do texts[each] = jsontext.encode(each) end
  table.sort(list, function(a, b) return texts[a] < texts[b] end)
  return list
end

---@class weir.TestEntry
---@field key any
---@field window? { start: number, stop: number }
---@field value any

--- A keyed state of all keys, sorted by key.
---@param uid string
---@param name string
---@return weir.TestEntry[]
function methods:states(uid, name)
  return by_text(call(self.h, "states", need_state(self, uid, name, "states")))
end

--- A broadcast state as a table.
---@param uid string
---@param name string
---@return table
function methods:broadcast(uid, name)
  local stage, number, kind = need_state(self, uid, name, "broadcast")
  local entry = call(self.h, "states", stage, number, kind, nil, true)[1]
  return entry and entry.value or {}
end

---@class weir.TestTimer
---@field key any
---@field time number ms
---@field kind "event"|"processing"
---@field window? { start: number, stop: number }

--- The timers of an operator, of all keys or one, sorted by time.
---@param uid string
---@param key? any
---@return weir.TestTimer[]
function methods:timers(uid, key)
  local timers = by_text(call(self.h, "timers", need_stage(self, uid), key))
  local order = {}
  for i, timer in ipairs(timers) do order[timer] = i end
  table.sort(timers, function(a, b)
    if a.time ~= b.time then return a.time < b.time end
    return order[a] < order[b]
  end)
  return timers
end

--- How far event time has come at an operator, ms; nil before the first watermark.
---@param uid string
---@return number?
function methods:event_time(uid)
  return (call(self.h, "event_time", need_stage(self, uid)))
end

--- How many records came too late for an operator, and how many of them nobody read. Begins anew at a restart.
---@param uid string
---@return integer late
---@return integer dropped
function methods:late(uid)
  return call(self.h, "late", need_stage(self, uid))
end

---------------------------------------------------------------- help

--- A list of records in an order of their own, for comparing where several subtasks decide the order.
---@param records any[]
---@return any[] the same list
function M.sorted(records)
  local texts, list = {}, {}
  for i, record in ipairs(records) do
    list[i] = { record, jsontext.encode(record) }
    texts[i] = true
  end
  table.sort(list, function(a, b) return a[2] < b[2] end)
  for i in ipairs(texts) do records[i] = list[i][1] end
  return records
end

return M
