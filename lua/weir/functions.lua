-- SPDX-License-Identifier: Apache-2.0
--- Process functions: full access to state, timers and side outputs.

local options = require "weir.options"
local state = require "weir.state"

local M = {}

---@class weir.Context What a process function sees beside the record; declared states are fields of it
---@field emit fun(self, record: any, time?: number, kind?: string) sends a record on; `time` (ms) replaces its
--- event time, `kind` ("insert", "update_before", "update_after", "delete") its kind
---@field side fun(self, tag: string, record: any) sends a record to a side output
---@field late fun(self, record: any, tag?: string) counts a late record, says the first one in the log, and sends
--- it to the side output `tag` if that is read
---@field timestamp fun(self): number? event time of the record or timer in ms; nil if it has none
---@field now fun(self): number processing time in ms
---@field watermark fun(self): number? the operator's event time in ms; nil before the first watermark
---@field key fun(self): weir.Scalar ... the current key, all its parts
---@field kind fun(self): string "insert", "update_before", "update_after" or "delete"
---@field event_timer fun(self, time: number) calls `timer` when event time passes `time` (ms)
---@field delete_event_timer fun(self, time: number)
---@field processing_timer fun(self, time: number) calls `timer` when processing time passes `time` (ms)
---@field delete_processing_timer fun(self, time: number)
---@field subtask fun(self): integer from 0
---@field parallelism fun(self): integer
---@field random fun(self): number in [0, 1), from the subtask's seed

---@class weir.ProcessFunction
local ProcessFunction = {}
ProcessFunction.__index = ProcessFunction
local CoProcessFunction = {}
CoProcessFunction.__index = CoProcessFunction
local BroadcastFunction = {}
BroadcastFunction.__index = BroadcastFunction

local common = {
  state = state.declarations:optional(),
  open = options.fn:optional(),
  timer = options.fn:optional(),
  close = options.fn:optional(),
  on_end = options.one_of("fire", "drop"):optional(),
}

local function declared(more)
  local out = {}
  for name, t in pairs(common) do out[name] = t end
  for name, t in pairs(more) do out[name] = t end
  return out
end

---@class weir.ProcessOptions
---@field state? table<string, weir.StateDescriptor> needs a keyed stream
---@field open? fun(ctx: weir.Context) once a subtask, before the first record; no key, no state
---@field element fun(ctx: weir.Context, record: any) each record
---@field timer? fun(ctx: weir.Context, time: number) each timer that is due; needs a keyed stream
---@field close? fun(ctx: weir.Context) once a subtask, at the end
---@field on_end? "fire"|"drop" processing-time timers left at the end of the input: fire (default), with those that
--- they set for before the last of them, or drop

--- A function with state and timers for `stream:process`.
---
---   local dedup = weir.process_function {
---     state = { seen = weir.state.value { ttl = "1h" } },
---     element = function(ctx, rec)
---       if not ctx.seen:get() then ctx.seen:set(true) ctx:emit(rec) end
---     end,
---   }
---   stream:key_by("id"):process(dedup)
---@param opts weir.ProcessOptions
---@return weir.ProcessFunction
function M.process_function(opts)
  local fn = options.check("weir.process_function", opts, declared { element = options.fn })
  return setmetatable(fn, ProcessFunction)
end

---@class weir.CoProcessOptions
---@field state? table<string, weir.StateDescriptor> shared by both inputs; needs two keyed streams
---@field open? fun(ctx: weir.Context)
---@field element1 fun(ctx: weir.Context, record: any) each record of the first stream
---@field element2 fun(ctx: weir.Context, record: any) each record of the connected stream
---@field timer? fun(ctx: weir.Context, time: number)
---@field close? fun(ctx: weir.Context)
---@field on_end? "fire"|"drop"

--- A function of two inputs for `a:connect(b):process`. On keyed streams both inputs see the same state.
---@param opts weir.CoProcessOptions
---@return weir.ProcessFunction
function M.co_process_function(opts)
  return setmetatable(options.check("weir.co_process_function", opts,
    declared { element1 = options.fn, element2 = options.fn }), CoProcessFunction)
end

---@class weir.BroadcastOptions
---@field broadcast_state table<string, weir.StateDescriptor> map states; read-only in `element`
---@field state? table<string, weir.StateDescriptor> keyed state of the first input
---@field open? fun(ctx: weir.Context)
---@field element fun(ctx: weir.Context, record: any) each record of the first stream
---@field broadcast fun(ctx: weir.Context, record: any) each broadcast record; may change the broadcast state
---@field complete? boolean the broadcast stream, which must have an end, is read to it before the first record of
--- the other stream, which is held back meanwhile; checkpoints begin behind that
---@field timer? fun(ctx: weir.Context, time: number)
---@field close? fun(ctx: weir.Context)
---@field on_end? "fire"|"drop"

local BROADCAST_STATES_MAX = 32

local broadcast_state = options.type("a table of map states, { name = weir.state.map() }", function(v)
  local ok, _, why = state.declarations.test(v)
  if not ok then return false, nil, why end
  local count = 0
  for name, descriptor in pairs(v) do
    count = count + 1
    if count > BROADCAST_STATES_MAX then return false, nil, ("more than %d states"):format(BROADCAST_STATES_MAX) end
    if descriptor.kind ~= "map" then return false, nil, ('"%s" is a %s state'):format(name, descriptor.kind) end
    if descriptor.ttl then return false, nil, ('"%s" has a ttl, which only keyed state can have'):format(name) end
  end
  return next(v) ~= nil, v
end)

--- A function for `stream:connect(rules:broadcast()):process`: every subtask gets all broadcast records,
--- perhaps in another order (S16).
---@param opts weir.BroadcastOptions
---@return weir.ProcessFunction
function M.broadcast_function(opts)
  local fn = options.check("weir.broadcast_function", opts,
    declared { element = options.fn, broadcast = options.fn, broadcast_state = broadcast_state,
      complete = options.boolean:optional() })
  for name in pairs(fn.state or {}) do
    if fn.broadcast_state[name] then
      require("weir.where").fail('weir.broadcast_function: "%s" is both keyed and broadcast state', name)
    end
  end
  return setmetatable(fn, BroadcastFunction)
end

local kinds = {
  [ProcessFunction] = "process", [CoProcessFunction] = "co_process", [BroadcastFunction] = "broadcast_process",
}

--- What kind of process function `fn` is: "process", "co_process", "broadcast_process", or nil.
---@return string?
function M.kind(fn)
  return type(fn) == "table" and kinds[getmetatable(fn)] or nil
end

return M
