-- SPDX-License-Identifier: Apache-2.0
--- What the windows of an operator in Lua hold: records in a list, with their times where an evictor looks at
--- them, or an accumulator, with records that wait to be added to it where it is costly to load and store.

local border = require "weir.internal.border"
local codec = require "weir.internal.codec"

local C = border.C

local M = {}

local TRIM_MIN = 64 -- records
local WAITING_MIN = 256 -- records, and WAITING_BYTES of the accumulator for each
local WAITING_BYTES = 32

-- What is wrong with what an evictor gave, or left of the list that it was given; nil: nothing.
local function not_elements(kept)
  if type(kept) ~= "table" then return "a " .. type(kept) end
  if next(kept) == nil then return nil end
  local count = codec.list_length(kept)
  if not count then return "a table with holes or names" end
  for i = 1, count do
    local element = kept[i]
    if type(element) ~= "table" then return ("a list with a %s at %d"):format(type(element), i) end
    if element.record == nil then return ("a list with a table without record at %d"):format(i) end
  end
end

local function evict(ctx, elements, evictor_fn)
  local given = evictor_fn(ctx, elements)
  local kept = given == nil and elements or given
  local wrong = not_elements(kept)
  if wrong then
    local at = debug.getinfo(evictor_fn, "S")
    local did = given == nil and "left" or "returned"
    error(("the evictor (%s:%d) %s %s: it gives the list of elements to keep, { record =, time = } each as it was "
      .. "given them, or nothing"):format(at.short_src, at.linedefined, did, wrong), 0)
  end
  return kept
end

local function records_of(elements)
  local list = {}
  for i = 1, #elements do list[i] = elements[i].record end
  return list
end

-- Number of a state of the stage among those of its plan, for C; nil: there is none.
local function number_of(stage, name)
  for i, state in ipairs(stage.plan.states) do
    if state.name == name then return i - 1 end
  end
end

---@class weir.internal.WindowContents
---@field add fun(rec: any, ts: number?) Adds a record to the window at hand.
---@field fire fun() Hands what is in it to `deliver`; nothing in it, nothing handed.
---@field clear fun()
---@field merge fun(s: number, e: number) What is under (s, e) joins the state window at hand.
---@field settle fun() Makes the window's entry the store's current one, so that it goes if it is empty.

--- `deliver(value)` takes the list of records or the accumulator of a window that fires; `ctx` is the evictor's.
---@param at weir.internal.WindowCursor
---@return weir.internal.WindowContents
function M.new(at, handles, spec, ctx, deliver)
  local contents, times, waiting, evictor = handles.contents, handles.times, handles.pending, spec.evictor
  local init, add, unite = spec.init, spec.add, spec.merge
  local contents_state, times_state = number_of(at.stage, "contents"), number_of(at.stage, "times")

  local function elements_of(records)
    local elements, of = {}, times:all()
    for i = 1, #records do elements[i] = { record = records[i], time = of[i] or nil } end
    return elements
  end

  -- What is left of the list is all that later firings see (L15).
  local function keep(elements)
    local records, of = {}, {}
    for i, element in ipairs(elements) do records[i], of[i] = element.record, element.time or false end
    at.enter_contents()
    contents:set(records)
    times:set(of)
  end

  ---------------------------------------------------------------- a list

  local list = {}

  -- What no firing will see goes when it is as much as what may be seen: a key has bounded memory.
  local keeps = evictor and evictor.last
  local function trim() keep(evictor.before(ctx, elements_of(contents:all()))) end

  -- Beside the records of an evictor's list lie their times.
  function list.add(rec, ts)
    at.enter_contents()
    contents:add(rec)
    if evictor then times:add(ts or false) end
    if keeps and contents:count() >= 2 * keeps + TRIM_MIN then trim() end
  end

  local function folded(records)
    local acc = init and init()
    for i = 1, #records do acc = add(acc, records[i]) end
    return acc
  end

  function list.fire()
    at.enter_contents()
    local records = contents:all()
    if #records == 0 then return end
    if not evictor then return deliver(records) end
    local elements = elements_of(records)
    if evictor.before then elements = evict(ctx, elements, evictor.before) end
    records = records_of(elements)
    if add then records = folded(records) end
    deliver(records)
    if evictor.after then elements = evict(ctx, elements, evictor.after) end
    keep(elements)
  end

  function list.merge(s, e)
    at.enter_contents()
    at.take_list(contents_state, s, e)
    if times_state then at.take_list(times_state, s, e) end
  end

  ---------------------------------------------------------------- an accumulator

  local accumulator = {}

  -- The accumulator at hand with what waits for it; nil: there is neither.
  local function accumulated()
    local acc, records = contents:get(), waiting and waiting:all()
    if not records or #records == 0 then return acc end
    return spec.fold(acc or init(), records)
  end

  -- Adds what waits to the accumulator, unless that is so large that more is to wait.
  local function absorb()
    local held = C.wr_state_get(at.S, contents_state)
    if held ~= nil and waiting:count() * WAITING_BYTES < held.len then return end
    contents:set(accumulated())
    waiting:clear()
  end

  function accumulator.add(rec)
    at.enter_contents()
    if waiting then
      waiting:add(spec.pick(rec))
      if waiting:count() % WAITING_MIN == 0 then absorb() end
      return
    end
    local acc = contents:get()
    if acc == nil then acc = init and init() end
    contents:set(add(acc, rec))
  end

  function accumulator.fire()
    at.enter_contents()
    local acc = accumulated()
    if acc ~= nil then deliver(acc) end -- L13
  end

  function accumulator.merge(s, e)
    at.enter(s, e)
    local theirs = accumulated()
    contents:clear()
    if waiting then waiting:clear() end
    if theirs == nil then return end
    at.enter_contents()
    local ours = accumulated()
    if waiting then waiting:clear() end
    if ours == nil then contents:set(theirs) else contents:set(unite(ours, theirs)) end
  end

  ---------------------------------------------------------------- either

  local held = contents.all and list or accumulator

  function held.clear()
    at.enter_contents()
    contents:clear()
    if evictor then times:clear() end
    if waiting then waiting:clear() end
  end

  function held.settle()
    at.enter_window()
    C.wr_state_get(at.S, contents_state)
  end

  return held
end

return M
