-- SPDX-License-Identifier: Apache-2.0
--- Streams: what operators are drawn on. A stream is a place in the graph, not data.
---
--- A method that makes an operator draws a node into the job and gives the stream behind it. Methods that
--- only say how records travel (key_by, union, rebalance, side_output …) give a view: the same node with
--- other edges. Everything is checked here, at the line of the script that says it.

local async = require "weir.async"
local options = require "weir.options"
local functions = require "weir.functions"
local settings = require "weir.settings"
local sinks = require "weir.sinks"
local suggest = require "weir.suggest"
local watermark = require "weir.watermark"
local where = require "weir.where"
local windowed = require "weir.windowed"

local fail = where.fail
local M = {}

---@class weir.Stream: weir.SinkHandle
---@field job weir.Job
---@field inputs weir.Input[] what an operator drawn on this stream reads
---@field node weir.Node|false the operator, if this is its plain output
---@field key weir.Key|false
local methods = {}
---@class weir.ConnectedStreams
local connected = {}

--- An __index that knows methods, and raises for all other names; `advise` may say more of one.
---@param what string
---@param known table<string, function>
---@param advise? fun(name: any): string?
function M.strict(what, known, advise)
  return function(_, name)
    local method = known[name]
    if method then return method end
    local advice = advise and advise(name)
    if advice then fail("%s has no method %s%s", what, options.shown(name), advice) end
    local names = {}
    for n in pairs(known) do names[#names + 1] = n end
    local guess = type(name) == "string" and suggest.nearest(name, names)
    fail("%s has no method %s%s", what, options.shown(name),
      guess and ('; did you mean "%s"?'):format(guess) or "")
  end
end

--- A __newindex: a setting is made by calling a method, and what is assigned would be heard by nobody.
function M.closed(what, known)
  return function(_, name)
    fail("%s has no field %s to be set%s", what, options.shown(name),
      known[name] and ("; %s is a method: %s:%s(…)"):format(name, what, name) or "")
  end
end

local Stream = { __index = M.strict("stream", methods), __newindex = M.closed("stream", methods) }
local Connected = {
  __index = M.strict("connected streams", connected), __newindex = M.closed("connected streams", connected),
}
local Handle = { __index = M.strict("sink", settings), __newindex = M.closed("sink", settings) }
local Windowed = {
  __index = M.strict("windowed stream", windowed.methods, function(name)
    if methods[name] then return ": make a stream of it first, with count, aggregate, reduce or process" end
  end),
  __newindex = M.closed("windowed stream", windowed.methods),
}

---------------------------------------------------------------- drawing

local function draw(job, kind, name, fields)
  local id = #job.nodes + 1
  fields.id, fields.kind, fields.name, fields.verb = id, kind, name, name
  fields.uid_derived = true
  fields.options = fields.options or {}
  fields.where = where.caller()
  job.nodes[id] = fields
  return fields
end

local function stream_of(job, node)
  return setmetatable({ job = job, node = node, inputs = { { node = node.id, tag = "" } }, key = false }, Stream)
end

local function view(stream, inputs, key)
  return setmetatable({ job = stream.job, node = false, inputs = inputs, key = key or false }, Stream)
end

local function operator(stream, kind, name, fields)
  fields.inputs = stream.inputs
  fields.key = stream.key or nil
  return stream_of(stream.job, draw(stream.job, kind, name, fields))
end

local function each_input(stream, change)
  local out = {}
  for i, input in ipairs(stream.inputs) do
    out[i] = change { node = input.node, tag = input.tag, where = input.where }
  end
  return out
end

local function repartitioned(stream, partition)
  return view(stream, each_input(stream, function(input)
    input.partition = partition
    return input
  end))
end

--- A helper operator behind each input, chained to it: it computes a key or a channel.
local function with_helper(stream, kind, name, fn, o)
  return each_input(stream, function(input)
    local node = draw(stream.job, kind, name, {
      inputs = { input }, fn = fn, options = o, inherit = true, helper = true,
    })
    return { node = node.id, tag = "" }
  end)
end

-- The helpers of a node, and theirs, each once, into `list`.
local function helpers_of(job, node, list)
  for _, inputs in ipairs { node.inputs, node.inputs2 or {} } do
    for _, input in ipairs(inputs) do
      local from = job.nodes[input.node]
      if from.helper and not list[from] then
        list[from], list[#list + 1] = true, from
        helpers_of(job, from, list)
      end
    end
  end
  return list
end

--- The stream of a source. Called by job:source.
function M.from_source(job, source)
  local node = draw(job, source.kind, source.name, {
    inputs = {}, options = source.options, native = true, role = "source",
    bounded = source.bounded, single = source.single, projects = source.projects, decodes = source.decodes,
  })
  if not source.fn then return stream_of(job, node) end
  local map = draw(job, "map", source.name .. "_fn", {
    inputs = { { node = node.id, tag = "" } }, fn = source.fn, inherit = true, companion = node,
  })
  return stream_of(job, map)
end

---------------------------------------------------------------- one record at a time

local function need_function(method, fn)
  return options.value("stream:" .. method, "its argument", fn, options.fn)
end

--- One record for each record. Giving nil is an error: use filter or flat_map to drop records.
---
---   stream:map(function(rec) return { user = rec.user, cents = rec.amount * 100 } end)
---@param fn fun(record: any): any
---@return weir.Stream
function methods:map(fn)
  return operator(self, "map", "map", { fn = need_function("map", fn) })
end

--- Lets pass the records for which `fn` gives true.
---@param fn fun(record: any): boolean
---@return weir.Stream
function methods:filter(fn)
  return operator(self, "filter", "filter", { fn = need_function("filter", fn) })
end

--- Any number of records for each record; `emit(record, tag)` with a tag sends to a side output.
---
---   stream:flat_map(function(rec, emit)
---     for word in weir.text.words(rec.line) do emit { word = word:lower() } end
---   end)
---@param fn fun(record: any, emit: fun(record: any, tag?: string))
---@return weir.Stream
function methods:flat_map(fn)
  return operator(self, "flat_map", "flat_map", { fn = need_function("flat_map", fn) })
end

local function check_keyed(what, fn, keyed)
  if keyed then return end
  if fn.state and next(fn.state) then
    fail('%s: the state "%s" is kept per key, and this stream has no key: put :key_by(…) before it', what,
      require("weir.state").sorted(fn.state)[1].name)
  elseif fn.timer then
    fail("%s: timers belong to a key, and this stream has none: put :key_by(…) before it", what)
  end
end

local constructors = {
  process = "weir.process_function", co_process = "weir.co_process_function",
  broadcast_process = "weir.broadcast_function",
}

--- Full access: state and timers of the key, side outputs. See `weir.process_function`.
---@param fn weir.ProcessFunction|fun(ctx: weir.Context, record: any)
---@return weir.Stream
function methods:process(fn)
  if type(fn) == "function" then fn = functions.process_function { element = fn } end
  local kind = functions.kind(fn)
  if kind ~= "process" then
    fail("stream:process takes a function or a weir.process_function { … }, not %s",
      kind and "a " .. constructors[kind] .. " (those are for connected streams)" or options.shown(fn))
  end
  check_keyed("stream:process", fn, self.key)
  return operator(self, "process", "process", { fn = fn, options = { on_end = fn.on_end } })
end

--- A function that may wait, for a web server (`weir.http.get`) or a time (`weir.async.sleep`), while it runs
--- for other records: at most `capacity` at once. What it returns is the result, nil is none, and `emit` gives
--- further ones. No result goes past a watermark.
---
---   stream:async { timeout = "5s", fn = function(rec)
---     local reply = weir.http.get("http://users.local/" .. rec.user)
---     return { user = rec.user, name = reply.body }
---   end }
---@param opts weir.AsyncOptions|fun(record: any, emit: fun(record: any)): any
---@return weir.Stream
function methods:async(opts)
  local fn, o = async.check(opts)
  return operator(self, "async", "async", { fn = fn, options = o })
end

---------------------------------------------------------------- keys

local function key_names(what, ...)
  local n = select("#", ...)
  local given = n == 1 and type((...)) == "table" and (...) or { ... }
  if #given == 0 or #given > 16 then fail("%s takes 1 to 16 field names, or a function", what) end
  local seen = {}
  for i = 1, math.max(n, #given) do
    local name = given[i]
    if type(name) ~= "string" or name == "" then
      fail("%s: a key is the name of a field or a function, not %s", what, options.shown(name))
    end
    if seen[name] then fail('%s names the field "%s" twice', what, name) end
    seen[name] = true
  end
  return given
end

-- Results have each part of the key under its last name.
local function check_called(what, key)
  local called = {}
  for i, as in ipairs(key.as) do
    local other = called[as]
    if other then
      fail('%s: the fields "%s" and "%s" would both be called "%s" in results: name them, key_by(function(r) '
        .. 'return r.%s, r.%s end, "%s", "%s")', what, other, key.names[i], as, other, key.names[i],
        (other:gsub("%.", "_")), (key.names[i]:gsub("%.", "_")))
    end
    called[as] = key.names[i]
  end
end

local function keyed_view(what, stream, first, ...)
  if type(first) ~= "function" then
    local names = key_names(what, first, ...)
    local key = { names = names, as = {} }
    for i, name in ipairs(names) do key.as[i] = name:match "[^.]+$" or name end
    check_called(what, key)
    return view(stream, each_input(stream, function(input)
      input.partition, input.key = "hash", key
      return input
    end), key)
  end
  local as = select("#", ...) > 0 and key_names(what, ...) or { "key" }
  local key = { names = {}, as = as }
  for i = 1, #as do key.names[i] = "\1" .. i end
  local inputs = with_helper(stream, "key_select", "key_by", first, { parts = #as })
  for _, input in ipairs(inputs) do input.partition, input.key = "hash", key end
  return view(stream, inputs, key)
end

--- Groups records by key: all of one key go to one subtask, and state belongs to the key. A key is one or
--- more fields ("user.id" reaches into nested records), or what a function gives; names behind the function
--- say what the parts are called in results. Keys are strings, numbers, integers or booleans.
---
---   stream:key_by "user"
---   stream:key_by("country", "city")
---   stream:key_by(function(rec) return rec.user:lower() end, "user")
---@param key string|string[]|fun(record: any): weir.Scalar, ...
---@param ... string further fields, or the names of the parts that the function gives
---@return weir.KeyedStream
function methods:key_by(key, ...)
  return keyed_view("stream:key_by", self, key, ...)
end

local function need_key(stream, method)
  if not stream.key then
    fail("stream:%s works per key, and this stream has none: put :key_by(…) before it", method)
  end
end

---@class weir.KeyedStream: weir.Stream what key_by gives: also has reduce, count, sum, min, max, min_by, max_by

---@class weir.AggregateOptions
---@field as? string the field that holds the result; default the field's name, or "count"
---@field emit? "update"|"final" a result at every change (default), or one a key when bounded input ends

local emit = options.one_of("update", "final"):default "update"

--- Folds the records of a key into one; emits the running value (the first record unchanged).
---
---   stream:key_by("user"):reduce(function(a, b) return { user = a.user, n = a.n + b.n } end)
---@param fn fun(a: any, b: any): any
---@param opts? { emit?: "update"|"final" }
---@return weir.Stream
function methods:reduce(fn, opts)
  need_key(self, "reduce")
  local o = options.check("stream:reduce", opts, { emit = emit })
  return operator(self, "reduce", "reduce", {
    fn = need_function("reduce", fn), options = o, states = "reducing",
  })
end

local function aggregate(stream, fn, o)
  for _, name in ipairs(stream.key.as) do
    if o.as == name then
      fail('stream:%s: the result would replace the key field "%s": give another name with as = "…"', fn, name)
    end
  end
  o.fn, o.key_as = fn, stream.key.as
  return operator(stream, "aggregate", fn, { options = o, native = true, states = "reducing" })
end

--- How many records each key has: { key…, count = n }.
---
---   stream:key_by("word"):count { emit = "final" }
---@param opts? weir.AggregateOptions
---@return weir.Stream
function methods:count(opts)
  need_key(self, "count")
  return aggregate(self, "count", options.check("stream:count", opts, {
    as = options.string:default "count", emit = emit,
  }, "as"))
end

local function of_field(fn, whole_record)
  return function(self, field, opts)
    need_key(self, fn)
    local what = "stream:" .. fn
    if type(field) == "table" and opts == nil then
      opts = field
    elseif opts == nil then
      opts = { field = field }
    else
      if type(opts) ~= "table" then fail("%s takes a table of options, not %s", what, options.shown(opts)) end
      local copy = { field = field }
      for k, v in pairs(opts) do copy[k] = v end
      opts = copy
    end
    local declared = { field = options.string, emit = emit }
    if not whole_record then declared.as = options.string:optional() end
    local o = options.check(what, opts, declared)
    if not whole_record then o.as = o.as or o.field:match "[^.]+$" end
    return aggregate(self, fn, o)
  end
end

--- The sum of a field for each key: { key…, field = sum }. Integers (int64_t, whole numbers of JSON beyond 2^53)
--- are added exactly, with whole numbers as well; the sum is a number once it meets one that is not whole, or outgrows
--- 64 bits.
---@param field string
---@param opts? weir.AggregateOptions
---@return weir.Stream
methods.sum = of_field("sum", false)

--- The smallest value of a field for each key: { key…, field = min }.
---@param field string
---@param opts? weir.AggregateOptions
---@return weir.Stream
methods.min = of_field("min", false)

--- The largest value of a field for each key: { key…, field = max }.
---@param field string
---@param opts? weir.AggregateOptions
---@return weir.Stream
methods.max = of_field("max", false)

--- The whole record with the smallest value of a field for each key; of equal ones the first.
---@param field string
---@param opts? weir.AggregateOptions
---@return weir.Stream
methods.min_by = of_field("min_by", true)

--- The whole record with the largest value of a field for each key; of equal ones the first.
---@param field string
---@param opts? weir.AggregateOptions
---@return weir.Stream
methods.max_by = of_field("max_by", true)

---------------------------------------------------------------- windows

--- Groups the records of each key into windows; what they give is said by `aggregate`, `count`, `sum` and the
--- like of the windowed stream.
---
---   stream:key_by("user"):window(weir.window.tumbling "1m"):aggregate { n = weir.agg.count() }
---@param assigner weir.WindowAssigner
---@return weir.WindowedStream
function methods:window(assigner)
  if not self.key then
    fail("stream:window works per key, and this stream has none: put :key_by(…) before it, or take window_all")
  end
  return setmetatable(windowed.new("stream:window", self.key, assigner, function(kind, verb, fields)
    return operator(self, kind, verb, fields)
  end), Windowed)
end

--- Windows over all records, whatever their key, in one subtask (W16).
---@param assigner weir.WindowAssigner
---@return weir.WindowedStream
function methods:window_all(assigner)
  return setmetatable(windowed.new("stream:window_all", false, assigner, function(kind, verb, fields)
    fields.single = true
    return operator(view(self, self.inputs), kind, verb, fields)
  end), Windowed)
end

---------------------------------------------------------------- several streams

local function need_stream(method, stream, what)
  if getmetatable(what) ~= Stream then
    fail("stream:%s takes a stream, not %s", method, options.shown(what))
  end
  if what.job ~= stream.job then fail("stream:%s: the streams belong to different jobs", method) end
  return what
end

--- The records of several streams as one, in no particular order.
---@param ... weir.Stream
---@return weir.Stream
function methods:union(...)
  local inputs = {}
  for i, input in ipairs(self.inputs) do inputs[i] = input end
  if select("#", ...) == 0 then fail "stream:union takes one or more streams" end
  for i = 1, select("#", ...) do
    local other = need_stream("union", self, (select(i, ...)))
    for _, input in ipairs(other.inputs) do inputs[#inputs + 1] = input end
  end
  return view(self, inputs)
end

--- Two streams for one operator with two inputs, which may share state: both keyed, or the second broadcast.
---
---   orders:key_by("id"):connect(payments:key_by("order")):process(weir.co_process_function { … })
---@param other weir.Stream
---@return weir.ConnectedStreams
function methods:connect(other)
  need_stream("connect", self, other)
  return setmetatable({ job = self.job, first = self, second = other }, Connected)
end

local SIDE_OUTPUTS_MAX = 32

--- The records sent to a side output, or (tag "dead_letter") those at which the operator failed under
--- on_error "dead_letter": { error =, operator =, origin =, record = }, texts, but for the record, which is what it
--- was: of what could not be decoded its bytes as a string. Those at which a function of key_by or partition before it
--- failed are among them: what happens to these the operators behind say, and of several the strictest.
---
---   local words = stream:process(fn)
---   words:side_output("late"):sink(weir.print())
---@param tag string
---@return weir.Stream
function methods:side_output(tag)
  options.value("stream:side_output", "the tag", tag, options.string)
  local node = self.node
  if not node then
    fail 'stream:side_output belongs to an operator: call it on the stream that the operator gave'
  end
  local emits = tag == node.late or node.emits or node.kind:match "flat_map$"
    or node.emits == nil and node.kind:match "process$"
  if not emits and tag ~= "dead_letter" then
    fail('stream:side_output: operator "%s" has no side output "%s": only process functions and flat_map emit '
      .. "to one", node.name, tag)
  end
  node.tags = node.tags or {}
  node.tags[tag] = true
  local count = 0
  for _ in pairs(node.tags) do count = count + 1 end
  if count > SIDE_OUTPUTS_MAX then
    fail('stream:side_output: operator "%s" has more than %d side outputs; put the kind into the record and filter',
      node.name, SIDE_OUTPUTS_MAX)
  end
  local inputs = { { node = node.id, tag = tag, where = where.caller() } }
  if tag == "dead_letter" and node.companion and node.companion.decodes then
    inputs[2] = { node = node.companion.id, tag = tag, where = where.caller() }
  end
  for _, helper in ipairs(tag == "dead_letter" and helpers_of(self.job, node, {}) or {}) do
    inputs[#inputs + 1] = { node = helper.id, tag = tag, where = where.caller() }
  end
  return view(self, inputs)
end

---------------------------------------------------------------- how records travel

--- Round robin over all subtasks of the next operator; evens out load.
---@return weir.Stream
function methods:rebalance() return repartitioned(self, "rebalance") end

--- Round robin over the subtasks that are near: each upstream subtask feeds its share of them.
---@return weir.Stream
function methods:rescale() return repartitioned(self, "rescale") end

--- Each record to a random subtask.
---@return weir.Stream
function methods:shuffle() return repartitioned(self, "shuffle") end

--- All records to the first subtask.
---@return weir.Stream
function methods:global() return repartitioned(self, "global") end

--- Subtask i to subtask i; the next operator must have the same parallelism.
---@return weir.Stream
function methods:forward() return repartitioned(self, "forward") end

--- Each record to every subtask.
---@return weir.Stream
function methods:broadcast() return repartitioned(self, "broadcast") end

--- Each record to the subtask that `fn` says: a whole number from 0 to n − 1.
---
---   stream:partition(function(rec, n) return rec.shard % n end)
---@param fn fun(record: any, n: integer): integer
---@return weir.Stream
function methods:partition(fn)
  local inputs = with_helper(self, "partition_fn", "partition", need_function("partition", fn))
  for _, input in ipairs(inputs) do input.partition = "custom" end
  return view(self, inputs)
end

-- A helper that gives each record the time of a function; the watermarks behind it take that.
local function stamped(stream, timestamp)
  return view(stream, with_helper(stream, "process", "timestamp", functions.process_function {
    element = function(ctx, rec)
      local time = timestamp(rec)
      if type(time) ~= "number" or not (time > -2 ^ 53 and time < 2 ^ 53) then
        error("the timestamp function returned " .. tostring(time) .. "; it must give a time in milliseconds "
          .. "since 1970", 0)
      end
      ctx:emit(rec, time)
    end,
  }))
end

--- Gives records their event time, and sends watermarks. See `weir.watermark`.
---@param strategy weir.WatermarkStrategy
---@return weir.Stream
function methods:watermarks(strategy)
  options.value("stream:watermarks", "its argument", strategy, watermark.type)
  local o = {}
  for k, v in pairs(strategy) do o[k] = v end
  if o.timestamp then self = stamped(self, o.timestamp) end
  o.timestamp = nil
  local fn = o.fn or o.new and { new = o.new }
  o.fn, o.new = nil, nil
  return operator(self, fn and "watermark_fn" or "watermarks", "watermarks", { fn = fn, options = o, native = not fn })
end

---@class weir.MeasureOptions
---@field checksum? boolean the sum of a hash of each record, in hexadecimal: it does not depend on the order
---@field sum? string the sum of a numeric field
---@field latency_from? string percentiles (p50_us, p99_us, p999_us, p9999_us, max_us) of the time that passed
--- since what the field says, in ns of the steady clock: see `due` of weir.generate
---@field latency_skip? integer records at the start of each subtask whose latency does not count

--- Counts and measures what arrives, and gives one record a subtask when bounded input ends: { rows =, … }.
---
---   stream:measure { checksum = true }:sink(weir.print())
---@param opts? weir.MeasureOptions
---@return weir.Stream
function methods:measure(opts)
  local o = options.check("stream:measure", opts, {
    checksum = options.boolean:optional(), sum = options.string:optional(), latency_from = options.string:optional(),
    latency_skip = options.integer_in(0, 2 ^ 53):optional(),
  })
  return operator(self, "measure", "measure", { options = o, native = true })
end

---@class weir.WordsOptions
---@field field? string the text; default "line"
---@field as? string name of the field in the result; default "word"

--- Cuts a text field into words, one record { word = } each: maximal runs of ASCII letters, digits and bytes
--- from 0x80 up, ASCII letters lower-cased. What a flat_map over weir.text.lower_words gives, several times
--- faster, since no word becomes a Lua string.
---
---   job:source(weir.files "books/*.txt"):words():key_by("word"):count():sink(weir.print())
---@param opts? weir.WordsOptions|string
---@return weir.Stream
function methods:words(opts)
  local o = options.check("stream:words", opts, {
    field = options.string:default "line", as = options.string:default "word",
  }, "field")
  return operator(self, "words", "words", { options = o, native = true })
end

--- Ends the stream: its records go out. A stream may have several sinks.
---@param sink weir.Sink
---@return weir.SinkHandle
function methods:sink(sink)
  if not sinks.is(sink) then
    fail("stream:sink takes a sink such as weir.print(), not %s", options.shown(sink))
  end
  local last = self
  for _, step in ipairs(sink.steps or {}) do
    last = operator(last, step.kind, step.name, {
      options = step.options, native = true, parallelism = step.parallelism,
    })
    last.node.key = nil
  end
  if sink.by then
    last = view(last, with_helper(last, "key_select", sink.name .. "_by", sink.by, {
      parts = sink.by_names and #sink.by_names or 1, names = sink.by_names,
    }))
  end
  local s = operator(last, sink.kind, sink.name, {
    options = sink.options, native = true, role = "sink", parallelism = sink.parallelism,
    guarantee = sink.guarantee, logged = sink.logged, fn = sink.fn,
  })
  s.node.key = nil
  return setmetatable({ job = self.job, node = s.node }, Handle)
end

---------------------------------------------------------------- connected streams

local function co_operator(pair, kind, name, fields)
  local first, second = pair.first, pair.second
  if first.key and second.key and #first.key.names ~= #second.key.names then
    fail("connected streams must have keys of as many parts: %d and %d", #first.key.names, #second.key.names)
  end
  fields.inputs, fields.inputs2 = first.inputs, second.inputs
  fields.key, fields.key2 = first.key or nil, second.key or nil
  return stream_of(pair.job, draw(pair.job, kind, name, fields))
end

local function is_broadcast(stream)
  for _, input in ipairs(stream.inputs) do
    if input.partition ~= "broadcast" then return false end
  end
  return true
end

--- Keys both streams: the first by `key1`, the second by `key2` (by default the same).
---@param key1 string|string[]|fun(record: any): weir.Scalar, ...
---@param key2? string|string[]|fun(record: any): weir.Scalar, ...
---@return weir.ConnectedStreams
function connected:key_by(key1, key2)
  if key2 == nil then key2 = key1 end
  local first = keyed_view("connected:key_by", self.first, key1)
  return first:connect(keyed_view("connected:key_by", self.second, key2))
end

--- A map function for each stream.
---@param fn1 fun(record: any): any
---@param fn2 fun(record: any): any
---@return weir.Stream
function connected:map(fn1, fn2)
  options.value("connected:map", "the first argument", fn1, options.fn)
  options.value("connected:map", "the second argument", fn2, options.fn)
  return co_operator(self, "co_map", "co_map", { fn = { fn1, fn2 } })
end

--- A flat_map function for each stream.
---@param fn1 fun(record: any, emit: fun(record: any, tag?: string))
---@param fn2 fun(record: any, emit: fun(record: any, tag?: string))
---@return weir.Stream
function connected:flat_map(fn1, fn2)
  options.value("connected:flat_map", "the first argument", fn1, options.fn)
  options.value("connected:flat_map", "the second argument", fn2, options.fn)
  return co_operator(self, "co_flat_map", "co_flat_map", { fn = { fn1, fn2 } })
end

--- A function that sees both streams: a `weir.co_process_function`, or a `weir.broadcast_function` if the
--- second stream is broadcast.
---@param fn weir.ProcessFunction
---@return weir.Stream
function connected:process(fn)
  local kind = functions.kind(fn)
  local first, second = self.first, self.second
  if kind == "broadcast_process" then
    if not is_broadcast(second) then
      fail("connected:process: a weir.broadcast_function needs a broadcast second stream: "
        .. "a:connect(b:broadcast())")
    end
    check_keyed("connected:process", fn, first.key)
  elseif kind == "co_process" then
    if (first.key and true) ~= (second.key and true) and (fn.state and next(fn.state) or fn.timer) then
      fail("connected:process: state and timers belong to a key, and only one of the streams has one: "
        .. "key both")
    end
    check_keyed("connected:process", fn, first.key and second.key)
  else
    fail("connected:process takes a weir.co_process_function or a weir.broadcast_function, not %s",
      kind and "a " .. constructors[kind] or options.shown(fn))
  end
  return co_operator(self, kind, kind == "co_process" and "co_process" or "broadcast", {
    fn = fn, options = { on_end = fn.on_end },
  })
end

---@class weir.IntervalOptions
---@field to string the field of the first stream's records that says when their interval ends (ms, included)
---@field from? string … and when it begins (included); without it: the record's own time
---@field aggregates table<string, weir.Aggregate> of the second stream's records: count, sum, avg, min, max, stddev
---@field kind? "inner"|"left" left: intervals without a record give a result, too; default inner
---@field late_to? string side output for records that come too late; default "late"

--- For each record of the first stream an interval of event time, in which the second stream's records of its key
--- are aggregated. When event time has passed the end, the first stream's record goes out with the aggregates as
--- further fields; its time is the end.
---
---   auctions:key_by("id"):connect(bids:key_by("auction"))
---     :interval_aggregate { from = "opens", to = "closes", aggregates = { best = weir.agg.max "price" } }
---
--- Records of the second stream may come first: they wait until event time has passed them. Intervals of one key
--- must not overlap: a record whose interval does is a failed one.
---@param opts weir.IntervalOptions
---@return weir.Stream
function connected:interval_aggregate(opts)
  local what = "connected:interval_aggregate"
  if not (self.first.key and self.second.key) then fail("%s works per key: key both streams", what) end
  local o = options.check(what, opts, {
    from = options.string:optional(), to = options.string, aggregates = options.table,
    kind = options.one_of("inner", "left"):default "inner", late_to = options.string:default "late",
  })
  o.aggregates = windowed.declared(what, o.aggregates)
  o.late, o.late_to = o.late_to, nil
  return co_operator(self, "interval_aggregate", "interval_aggregate", {
    native = true, states = "value", late = o.late, emits = false, options = o,
  })
end

for name, method in pairs(settings) do methods[name] = method end

---------------------------------------------------------------- misuse

-- Called with a dot, a method gets something else as its stream; and none takes more than it knows.
local function guarded(what, known, ...)
  local kinds = { ... }
  for name, uncounted in pairs(known) do
    local method = options.counted(what .. ":" .. name, uncounted, 1)
    known[name] = function(self, ...)
      local meta = type(self) == "table" and getmetatable(self)
      for _, kind in ipairs(kinds) do
        if meta == kind then return method(self, ...) end
      end
      fail('%s is called with a colon: %s:%s(…)', name, what, name)
    end
  end
end
guarded("stream", methods, Stream)
guarded("connected", connected, Connected)
guarded("sink", settings, Handle)
guarded("windowed", windowed.methods, Windowed)

return M
