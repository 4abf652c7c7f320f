-- SPDX-License-Identifier: Apache-2.0
--- A sink of the script's: what C calls on the sink's own thread (runtime/script/sink_stage.c), and the records
--- of an epoch as an iterator.

local ffi = require "ffi"
local border = require "weir.internal.border"
local rows = require "weir.internal.rows"

local M = {}

local KINDS = { [0] = "insert", "update_before", "update_after", "delete" }
local SHAPE = 0xffffff

local function nothing() end

-- The records of `next_batch`, which gives where a batch begins and ends: record, kind, time. And what ends that:
-- batches are there during a commit only, and the script may keep the iterator.
local function records(next_batch)
  local p, stop
  return function()
    while p == nil or p >= stop do
      local first, last = next_batch()
      if first == nil then return nil end
      p, stop = ffi.cast(border.u8p, first), ffi.cast(border.u8p, last)
    end
    local elem = ffi.cast(border.elemp, p)
    local rec = rows.decoder(bit.band(elem.tag, SHAPE))(p + rows.HEAD)
    p = p + elem.len
    if elem.ts == border.TS_NONE then return rec, KINDS[bit.rshift(elem.tag, 24)], nil end
    return rec, KINDS[bit.rshift(elem.tag, 24)], tonumber(elem.ts)
  end, function() next_batch, p = nothing, nil end
end

-- Numbers of epochs are those of checkpoints: whole, and far below 2^53.
local function checked(name, given, why)
  if given == nil and why ~= nil then error(("%s: last_committed: %s"):format(name, tostring(why)), 0) end
  local epoch = given == nil and 0 or tonumber(given)
  if not epoch or epoch < 0 or epoch ~= math.floor(epoch) then
    error(("%s: last_committed gives the number of an epoch, or nil, not %s"):format(name, tostring(given)), 0)
  end
  return epoch
end

--- The functions of a sink as C calls them.
---@param node weir.Node as the script drew it
---@param about table what the sink may know: subtask, parallelism, uid, job
function M.new(node, about)
  local fn, sink, forget = node.fn, about, nothing
  return {
    open = function(fresh)
      sink.fresh = fresh
      if fn.open then fn.open(sink) end
    end,
    last = function(log)
      forget() -- of a commit that failed
      return checked(node.name, fn.last_committed(sink, log))
    end,
    commit = function(log, epoch, next_batch)
      local each
      forget()
      each, forget = records(next_batch)
      local good, why = fn.commit(sink, log, epoch, each)
      forget()
      if good == false or (good == nil and why ~= nil) then return tostring(why or "commit gave false") end
    end,
    close = function()
      forget()
      if fn.close then fn.close(sink) end
    end,
  }
end

return M
