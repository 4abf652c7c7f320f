-- SPDX-License-Identifier: Apache-2.0
--- Declarations of keyed state, by name in a process function:
---
---   weir.process_function {
---     state = { last = weir.state.value { ttl = "1h" }, seen = weir.state.map() },
---     element = function(ctx, rec) … ctx.last:get() … end,
---   }
---
--- The name is the contract: state is found again by operator uid and name. The handles that
--- `ctx` offers read and write the state of the current key; it lives outside of Lua.

local options = require "weir.options"
local duration = require "weir.duration"

local M = {}

---@class weir.StateDescriptor
---@field kind "value"|"list"|"map"|"reducing"|"aggregating"
---@field ttl? integer milliseconds
---@field ttl_update? "write"|"read"
---@field ttl_return_expired? boolean
---@field version? integer
---@field migrate? fun(old: any, version: integer): any
local Descriptor = {}
Descriptor.__index = Descriptor

---@class weir.StateOptions
---@field ttl? weir.Duration a value expires when it was not written for so long (S6: at exactly this age)
---@field ttl_update? "write"|"read" what keeps a value alive: writing it (default), or reading it as well
---@field ttl_return_expired? boolean give an expired value once more if it was not yet cleaned up; default false
---@field version? integer of the declaration, from 1; values of an older one go through migrate
---@field migrate? fun(old: any, version: integer): any the value of an older version as one of this; nil drops it

---@class weir.ValueState
---@field get fun(self): any the value, nil if there is none
---@field set fun(self, value: any) nil clears
---@field update fun(self, fn: fun(old: any): any) set to what fn makes of the old value
---@field clear fun(self)

---@class weir.ListState
---@field add fun(self, value: any)
---@field iter fun(self): fun(): any in the order of adding
---@field all fun(self): any[] an empty list if there is none
---@field set fun(self, values: any[]) an empty list clears
---@field count fun(self): integer
---@field clear fun(self)

---@class weir.MapState
---@field get fun(self, key: weir.Scalar): any
---@field put fun(self, key: weir.Scalar, value: any)
---@field remove fun(self, key: weir.Scalar): boolean tells if it was there
---@field contains fun(self, key: weir.Scalar): boolean
---@field iter fun(self): fun(): weir.Scalar, any in an order that is not specified
---@field keys fun(self): weir.Scalar[]
---@field count fun(self): integer live entries: expired ones do not count
---@field is_empty fun(self): boolean
---@field clear fun(self)

---@class weir.ReducingState
---@field add fun(self, value: any)
---@field get fun(self): any the values added so far, reduced; nil if there are none
---@field clear fun(self)

---@alias weir.Scalar string|number|boolean

local common_options = {
  ttl = duration.positive:optional(),
  ttl_update = options.one_of("write", "read"):optional(),
  ttl_return_expired = options.boolean:optional(),
  version = options.integer_in(1, 256):optional(), migrate = options.fn:optional(),
}

local function declare(kind, given, more)
  local declared = {}
  for name, t in pairs(common_options) do declared[name] = t end
  for name, t in pairs(more or {}) do declared[name] = t end
  local o = options.check("weir.state." .. kind, given, declared)
  if o.ttl == nil and (o.ttl_update ~= nil or o.ttl_return_expired ~= nil) then
    require("weir.where").fail('weir.state.%s: option "ttl" is missing: the other ttl options need it', kind)
  end
  if (o.version or 1) > 1 ~= (o.migrate ~= nil) then
    require("weir.where").fail(o.migrate and 'weir.state.%s: "migrate" is for a "version" above 1'
      or 'weir.state.%s: a version above 1 needs "migrate", which makes values of it from older ones', kind)
  end
  o.kind = kind
  return setmetatable(o, Descriptor)
end

--- One value a key: `get() set(v) update(fn) clear()`.
---@param opts? weir.StateOptions
---@return weir.StateDescriptor
function M.value(opts) return declare("value", opts) end

--- A list a key: `add(v) iter() all() set(list) count() clear()`.
---@param opts? weir.StateOptions
---@return weir.StateDescriptor
function M.list(opts) return declare("list", opts) end

--- A map a key: `get(k) put(k, v) remove(k) contains(k) iter() keys() count() is_empty() clear()`.
---@param opts? weir.StateOptions
---@return weir.StateDescriptor
function M.map(opts) return declare("map", opts) end

--- One value a key that each added value is folded into: `add(v) get() clear()`.
---
---   weir.state.reducing(math.max)
---@param fn fun(a: any, b: any): any
---@param opts? weir.StateOptions
---@return weir.StateDescriptor
function M.reducing(fn, opts)
  if type(fn) == "table" and opts == nil then
    return declare("reducing", fn, { fn = options.fn })
  end
  local d = declare("reducing", opts)
  d.fn = options.value("weir.state.reducing", "the first argument", fn, options.fn)
  return d
end

---@class weir.AggregatingOptions: weir.StateOptions
---@field init fun(): any a new accumulator
---@field add fun(acc: any, value: any): any the accumulator with the value in it
---@field result? fun(acc: any): any what get() gives; the accumulator itself if left out
---@field merge? fun(a: any, b: any): any joins two accumulators (merging windows)

--- An accumulator a key: `add(v) get() clear()`.
---
---   weir.state.aggregating {
---     init = function() return { n = 0, sum = 0 } end,
---     add = function(acc, v) acc.n, acc.sum = acc.n + 1, acc.sum + v return acc end,
---     result = function(acc) return acc.sum / acc.n end,
---   }
---@param opts weir.AggregatingOptions
---@return weir.StateDescriptor
function M.aggregating(opts)
  local d = declare("aggregating", opts, {
    init = options.fn, add = options.fn, result = options.fn:optional(), merge = options.fn:optional(),
  })
  d.result = d.result or function(acc) return acc end
  return d
end

local function is_name(name)
  return type(name) == "string" and name:match "^[%a_][%w_]*$" ~= nil
end

local taken = {}
for _, name in ipairs {
  "emit", "side", "late", "timestamp", "now", "watermark", "key", "kind", "event_timer", "delete_event_timer",
  "processing_timer", "delete_processing_timer", "subtask", "parallelism", "random",
} do taken[name] = true end

--- The type of the option `state`: names → descriptors.
M.declarations = options.type("a table of states, { name = weir.state.value() }", function(v)
  if type(v) ~= "table" then return false end
  for name, descriptor in pairs(v) do
    if not is_name(name) then return false, nil, options.shown(name) .. " is no name" end
    if taken[name] then return false, nil, ('ctx has a method "%s": call the state otherwise'):format(name) end
    if getmetatable(descriptor) ~= Descriptor then
      return false, nil, ('"%s" is %s'):format(name, options.shown(descriptor))
    end
  end
  return true, v
end)

--- Declared states in the order of their names, as the plan has them.
---@private
---@param declared table<string, weir.StateDescriptor>?
---@return table[]
function M.sorted(declared)
  local names = {}
  for name in pairs(declared or {}) do names[#names + 1] = name end
  table.sort(names)
  local out = {}
  for i, name in ipairs(names) do
    local d = declared[name]
    out[i] = {
      name = name, kind = d.kind,
      ttl = d.ttl, ttl_update = d.ttl_update, ttl_return_expired = d.ttl_return_expired,
      version = (d.version or 1) > 1 and d.version or nil,
    }
  end
  return out
end

return M
