-- SPDX-License-Identifier: Apache-2.0
--- Evictors: what is dropped from a window's contents before or after its function sees them.
---
---   stream:key_by("user"):window(weir.window.tumbling "1h"):evictor(weir.evictor.count(100)):sum "amount"
---
--- A window with an evictor keeps every record, also under `aggregate` and `reduce` (L16). Your own is a table
--- of functions over the list of elements, { record =, time = } each in the order of arrival; they give the
--- list to keep, or nothing if it was changed in place:
---
---   :evictor { before = function(ctx, elements) … return kept end, after = … }

local options = require "weir.options"
local duration = require "weir.duration"
local suggest = require "weir.suggest"
local where = require "weir.where"

local M = {}

---@class weir.Evictor
---@field before? fun(ctx: weir.WindowContext, elements: table[]): table[]?
---@field after? fun(ctx: weir.WindowContext, elements: table[]): table[]?
---@field last? integer no firing ever sees more than the last so many: the others need not be kept
local Evictor = {}

local evict_when = options.one_of("before", "after"):default "before"

local function evictor(when, fn) return setmetatable({ [when] = fn }, Evictor) end

--- An evictor from a table of functions, checked.
---@private
function M.of(what, e)
  if getmetatable(e) == Evictor then return e end
  if type(e) ~= "table" then
    where.fail("%s takes an evictor such as weir.evictor.count(100), or a table of functions, not %s", what,
      options.shown(e))
  end
  local o = options.check(what, e, { before = options.fn:optional(), after = options.fn:optional() })
  if not o.before and not o.after then where.fail("%s: the evictor has neither before nor after", what) end
  return setmetatable(o, Evictor)
end

local function behind(elements, first)
  if first <= 1 then return nil end
  local kept = {}
  for i = first, #elements do kept[#kept + 1] = elements[i] end
  return kept
end

--- Keeps the last `count` records (T10).
---@param opts integer|{ count: integer, when?: "before"|"after" }
---@return weir.Evictor
function M.count(opts)
  local o = options.check("weir.evictor.count", opts, {
    count = options.integer_in(1, 2 ^ 53), when = evict_when,
  }, "count")
  local e = evictor(o.when, function(_, elements) return behind(elements, #elements - o.count + 1) end)
  if o.when == "before" then e.last = o.count end
  return e
end

--- Keeps the records that are younger than `size` before the youngest one (T11).
---@param opts weir.Duration|{ size: weir.Duration, when?: "before"|"after" }
---@return weir.Evictor
function M.time(opts)
  local o = options.check("weir.evictor.time", opts, { size = duration.positive, when = evict_when }, "size")
  return evictor(o.when, function(_, elements)
    if #elements == 0 or not elements[1].time then return nil end
    local youngest = elements[1].time
    for i = 2, #elements do youngest = math.max(youngest, elements[i].time or youngest) end
    local kept = {}
    for i = 1, #elements do
      if (elements[i].time or youngest) > youngest - o.size then kept[#kept + 1] = elements[i] end
    end
    return kept
  end)
end

--- Keeps the records that are nearer than `threshold` to the last one (T12).
---@param opts { threshold: number, fn: (fun(record: any, last: any): number), when?: "before"|"after" }
---@return weir.Evictor
function M.delta(opts)
  local o = options.check("weir.evictor.delta", opts, {
    threshold = options.number, fn = options.fn, when = evict_when,
  })
  return evictor(o.when, function(_, elements)
    if #elements == 0 then return nil end
    local kept, last = {}, elements[#elements].record
    for i = 1, #elements do
      if o.fn(elements[i].record, last) < o.threshold then kept[#kept + 1] = elements[i] end
    end
    return kept
  end)
end

return suggest.strict("weir.evictor", M, { "of" })
