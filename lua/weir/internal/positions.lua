-- SPDX-License-Identifier: Apache-2.0
--- Where the sources of a savepoint are, in words: what each subtask of a source keeps for itself, and what its
--- enumerator has still to give out, as a list of positions, one a split, and how one is set.
---
--- Kinds are told by their form (kafka/part.h, kafka/enumerator.c, connect/files.c, connect/split.h, task/lanes.h).

local codec = require "weir.internal.codec"
local recast = require "weir.internal.recast"
local suggest = require "weir.suggest"

local M = {}

local FOREVER = 0x7fffffffffffffffLL
local BEGINNING, END = -2, -1 -- in place of an offset, and END of a time (kafka/part.h)
local NAMED_MAX = 6 -- splits in an error

-- A kind: `is(value)` tells a subtask's value of it, and `is_enumerator(state)` the state of its enumerator, where it
-- has one; `add(out, value, subtask)` and `to_come(out, state)` append the positions of both;
-- `seek(source, position, next)` sets one, or gives what `next` should be; `missing(source, split)`, where there is
-- more to say than that there is no such position, says why.

local function is_list_of(value, is)
  if type(value) ~= "table" or value == codec.null then return false end
  for k, v in pairs(value) do
    if type(k) ~= "number" or not is(v) then return false end
  end
  return true
end

local function whole(v)
  return type(v) == "number" and v % 1 == 0 and v >= 0 and v <= 2 ^ 53
end

---------------------------------------------------------------- partitions of topics

local function is_part(v)
  return type(v) == "table" and v.topic ~= nil and v.partition ~= nil and v.from ~= nil and v.to ~= nil
end

local function put_part(out, part, subtask, by_time)
  local next = part.from
  if by_time and next ~= END then
    next = { timestamp = next }
  elseif next == BEGINNING or next == END then
    next = next == END and "latest" or "earliest"
  end
  out[#out + 1] = {
    split = ("%s[%d]"):format(part.topic, part.partition), subtask = subtask, topic = part.topic,
    partition = part.partition, next = next, stop = part.to ~= FOREVER and part.to or nil,
  }
end

local kafka = {}

function kafka.is(value) return is_list_of(value, is_part) end

function kafka.is_enumerator(state) return state.known ~= nil and state.begun ~= nil end

function kafka.add(out, value, subtask)
  for _, part in ipairs(value) do put_part(out, part, subtask) end
end

function kafka.to_come(out, state)
  for _, part in ipairs(state.sought or {}) do put_part(out, part, nil, true) end
end

-- Takes a part out of the list that has it.
local function take(lists, split)
  for _, list in ipairs(lists) do
    for i, part in ipairs(list) do
      if ("%s[%d]"):format(part.topic, part.partition) == split then return table.remove(list, i), list end
    end
  end
end

function kafka.seek(source, position, next)
  local time = type(next) == "table" and next.timestamp
  if not (next == "earliest" or next == "latest" or whole(next) or whole(time)) then
    return 'an offset from 0, "earliest", "latest", or { timestamp = ms since 1970 }'
  end
  time = next == "latest" and END or time
  local state = source.to_come
  local sought, lists = state.sought or {}, {}
  for _, list in ipairs(source.values) do lists[#lists + 1] = list ~= codec.null and list or {} end
  lists[#lists + 1] = sought
  local part, from = take(lists, position.split)
  part.from = time or next == "earliest" and BEGINNING or next
  local to = time and sought or from ~= sought and from or source.values[source.first]
  table.insert(to, part)
  state.sought = #sought > 0 and sought or nil
end

-- What is said of a partition that has no position.
function kafka.missing(source, split)
  for _, known in ipairs(source.to_come and source.to_come.known or {}) do
    if ("%s[%d]"):format(known[1], known[2]) == split then return "it was read up to where it ends" end
  end
end

---------------------------------------------------------------- files

local function is_file(v)
  return type(v) == "table" and type(v.split) == "table" and v.split.path ~= nil
end

local function put_file(out, split, at, subtask)
  out[#out + 1] = {
    split = split.from == 0 and not split.to and split.path or ("%s:%.0f"):format(split.path, split.from),
    subtask = subtask, path = split.path, next = at and at.offset or split.from, stop = split.to,
  }
end

local files = {}

function files.is(value) return is_list_of(value, is_file) end

function files.is_enumerator(state) return state.splits ~= nil and state.taken ~= nil end

function files.add(out, value, subtask)
  for _, file in ipairs(value) do put_file(out, file.split, file.at, subtask) end
end

function files.to_come(out, state)
  for _, split in ipairs(state.splits) do put_file(out, split) end
end

-- Behind its beginning a file has no byte that would be known to begin a record.
function files.seek(source, position, next)
  if next ~= "earliest" then
    return '"earliest": a file, or a part of one, can be read once more from where it begins'
  end
  for _, list in ipairs(source.values) do
    for _, file in ipairs(list ~= codec.null and list or {}) do
      local out = {}
      put_file(out, file.split)
      if out[1].split == position.split then file.at = nil end
    end
  end
end

---------------------------------------------------------------- numbers

local function is_lane(v)
  return type(v) == "table" and #v == 2 and type(v[1]) == "number" and type(v[2]) == "number" and v[2] > 0
end

local lanes = {}

function lanes.is(value) return is_list_of(value, is_lane) end

function lanes.add(out, value, subtask)
  for _, lane in ipairs(value) do
    out[#out + 1] = { split = ("lane %d"):format(#out), subtask = subtask, next = lane[1], step = lane[2] }
  end
end

function lanes.seek(source, position, next)
  if not whole(next) then return "a whole number from 0" end
  local n = 0
  for _, list in ipairs(source.values) do
    for _, lane in ipairs(list ~= codec.null and list or {}) do
      if ("lane %d"):format(n) == position.split then lane[1] = next end
      n = n + 1
    end
  end
end

---------------------------------------------------------------- a source

local KINDS = { kafka, files, lanes }

local function kind_of(values, to_come)
  for _, kind in ipairs(KINDS) do
    if to_come then
      if kind.is_enumerator and kind.is_enumerator(to_come) then return kind end
    elseif not kind.is_enumerator then
      local some = false
      for _, value in ipairs(values) do
        if value ~= codec.null then
          if not kind.is(value) then return nil end
          some = some or #value > 0
        end
      end
      if some then return kind end
    end
  end
end

---@class weir.internal.SavedSource
---@field kind table
---@field values any[] what subtasks keep, null where one had ended
---@field to_come? table what the enumerator keeps
---@field first integer the first subtask, from 1, that has not ended

--- What a source keeps, as tables that may be changed; nil: this operator is none of a kind that is known.
---@param values any[] by subtask
---@param to_come? any of the enumerator
---@return weir.internal.SavedSource?
function M.source(values, to_come)
  if to_come ~= nil and type(to_come) ~= "table" then return nil end
  local kind = kind_of(values, to_come)
  if not kind then return nil end
  local first
  for i, value in ipairs(values) do
    if value ~= codec.null then
      if not kind.is(value) then return nil end
      first = first or i
    end
  end
  return { kind = kind, values = values, to_come = to_come, first = first }
end

--- The same of an operator of a savepoint.
---@param sp weir.internal.Savepoint
---@param operator weir.internal.SavedOperator
---@return weir.internal.SavedSource?
function M.source_of(sp, operator)
  local values, to_come = {}, sp:enumerator(operator.uid)
  for subtask = 0, operator.parallelism - 1 do
    local bytes = sp:own(operator, subtask)
    values[subtask + 1] = bytes ~= "" and recast.numbers(codec.decode_value(bytes)) or codec.null
  end
  return M.source(values, to_come and recast.numbers(codec.decode_value(to_come)) or nil)
end

--- Its positions, in the order of their splits.
---@param source weir.internal.SavedSource
---@return weir.Position[]
function M.list(source)
  local out = {}
  for i, value in ipairs(source.values) do
    if value ~= codec.null then source.kind.add(out, value, i - 1) end
  end
  if source.to_come then source.kind.to_come(out, source.to_come) end
  table.sort(out, function(a, b)
    if a.partition and a.topic == b.topic then return a.partition < b.partition end
    if a.split == b.split then return (a.subtask or math.huge) < (b.subtask or math.huge) end
    return a.split < b.split
  end)
  return out
end

--- Sets what is read next of a split; gives what is wrong, or nil.
---@param source weir.internal.SavedSource
---@param split string
---@param next any
---@return string? reason
function M.seek(source, split, next)
  local names = {}
  for _, position in ipairs(M.list(source)) do
    if position.split == split then
      local wanted = source.kind.seek(source, position, next)
      return wanted and ("the position of %s is %s, not %s"):format(split, wanted,
        require("weir.options").shown(next))
    end
    names[#names + 1] = position.split
  end
  local why = source.kind.missing and source.kind.missing(source, split)
  local guess = suggest.nearest(tostring(split), names)
  why = why or guess and ('did you mean "%s"?'):format(guess) or #names == 0 and "it has none"
    or "there is " .. table.concat(names, ", ", 1, math.min(#names, NAMED_MAX))
      .. (#names > NAMED_MAX and (" and %d more"):format(#names - NAMED_MAX) or "")
  return ("there is no position of %s; %s"):format(tostring(split), why)
end

---------------------------------------------------------------- text

local function time_text(ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ms / 1000)) .. (".%03dZ"):format(ms % 1000)
end

local function number_text(v)
  return type(v) == "cdata" and tostring(v):gsub("U?LL$", "") or ("%.0f"):format(v)
end

--- What is read next, for people.
---@param position weir.Position
function M.next_text(position)
  local next = position.next
  if type(next) == "table" then return time_text(next.timestamp) end
  return type(next) == "string" and next or (number_text(next))
end

--- Where it ends; "" if it does not.
---@param position weir.Position
function M.stop_text(position)
  return position.stop and (number_text(position.stop)) or ""
end

--- The position without its name and subtask, as JSON.
---@param sp weir.internal.Savepoint
---@param position weir.Position
---@return string
function M.json(sp, position)
  local value = {}
  for name, v in pairs(position) do
    if name ~= "split" and name ~= "subtask" then value[name] = v end
  end
  return sp:tagged_json(codec.encode_value(recast.integers(value)))
end

return M
