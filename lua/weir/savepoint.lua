-- SPDX-License-Identifier: Apache-2.0
--- `weir savepoint ls|info|get|query|diff|edit`: a savepoint under a user's hands.
---
--- Tools write to standard output as they go, a key group at a time, so that a large savepoint needs no more room
--- than a small one. Each gives the exit status: 0, or 1 when what was asked for is not there or not the same;
--- errors are 2.

local codec = require "weir.internal.codec"
local positions = require "weir.internal.positions"
local saved = require "weir.internal.savepoint"
local duration = require "weir.duration"
local jsontext = require "weir.jsontext"
local suggest = require "weir.suggest"
local words = require "weir.internal.words"

local M = {}

local function fail(...)
  error(select("#", ...) > 1 and (...):format(select(2, ...)) or (...), 0)
end

-- Nobody reads any more: not an error, and nothing more to do.
local CLOSED = {}
local function put(...)
  if not io.stdout:write(...) then error(CLOSED, 0) end
end

local function need(operands, least, most, usage)
  if #operands < least or #operands > most then fail("usage: weir savepoint %s", usage) end
end

---------------------------------------------------------------- text

local function bytes_text(n)
  local units, i = { "B", "KB", "MB", "GB", "TB" }, 1
  while n >= 1024 and i < #units do n, i = n / 1024, i + 1 end
  return (i == 1 and "%d %s" or "%.1f %s"):format(n, units[i])
end

local function width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

-- Rows of texts under a head; columns of numbers stand to the right.
local function put_table(head, lines, right)
  local widths = {}
  table.insert(lines, 1, head)
  for _, line in ipairs(lines) do
    for i, text in ipairs(line) do widths[i] = math.max(widths[i] or 0, width(text)) end
  end
  for _, line in ipairs(lines) do
    local out = {}
    for i, text in ipairs(line) do
      local pad = (" "):rep(widths[i] - width(text))
      out[i] = right[i] and pad .. text or text .. pad
    end
    put((table.concat(out, "  "):gsub("%s+$", "")), "\n")
  end
end

local function time_text(ms)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(ms / 1000))
end

---------------------------------------------------------------- finding

local function names_of(list, field)
  local names = {}
  for i, entry in ipairs(list) do names[i] = entry[field] end
  return names
end

-- By uid, or by a name that only one has.
local function find_operator(sp, uid)
  local named, count = nil, 0
  for _, operator in ipairs(sp.operators) do
    if operator.uid == uid then return operator end
    if operator.name == uid then named, count = operator, count + 1 end
  end
  if count == 1 then return named end
  fail('%s has no operator "%s"%s; `weir savepoint ls %s` lists them', sp.path, uid,
    suggest.hint(uid, names_of(sp.operators, "uid")), sp.path)
end

local function find_state(sp, operator, name)
  for _, state in ipairs(operator.states) do
    if state.name == name then return state end
  end
  local names = names_of(operator.states, "name")
  fail('operator "%s" of %s has no state "%s"%s', operator.uid, sp.path, name,
    #names > 0 and suggest.hint(name, names) or "; it has none")
end

local function timer_kind(item)
  return item.timer == 0 and "event" or "processing"
end

local TIMERS = { name = "timers", kind = "timers", broadcast = false }
local POSITIONS = { name = "positions", kind = "positions" }
local SPECIAL = { timers = TIMERS, positions = POSITIONS }

-- A state, timers, or where a source is.
local function find_kept(sp, operator, name)
  for _, state in ipairs(operator.states) do
    if state.name == name then return state end
  end
  return SPECIAL[name] or find_state(sp, operator, name)
end

-- Where a source is; an error for an operator that is none.
local function source_of(sp, operator)
  local source = positions.source_of(sp, operator)
  if source then return positions.list(source) end
  local hint = "`weir savepoint info` shows all it keeps"
  for _, other in ipairs(sp.operators) do -- the operators of one step of the script have its uid in front
    if other.uid:sub(1, #operator.uid + 1) == operator.uid .. "." and positions.source_of(sp, other) then
      hint = ('did you mean "%s"?'):format(other.uid)
    end
  end
  fail('operator "%s" of %s is no source whose positions are known; %s', operator.uid, sp.path, hint)
end

---------------------------------------------------------------- counting

local SHAPES_SHOWN = 3

local function count_shape(counts, item)
  if counts.shapes[item.shape] then return end
  counts.shapes[item.shape] = true
  counts.shape_list[#counts.shape_list + 1] = item.shape
end

-- keys, values, bytes and shapes of each state of an operator, and its timers.
local function count_operator(sp, operator)
  local by_state, timers = {}, { keys = 0, values = 0, event = 0, processing = 0 }
  for _, state in ipairs(operator.states) do
    by_state[state] = { keys = 0, values = 0, bytes = 0, shapes = {}, shape_list = {} }
  end
  for _, broadcast in ipairs { false, true } do
    local list = {}
    for _, state in ipairs(operator.states) do
      if state.broadcast == broadcast then list[state.index] = by_state[state] end
    end
    sp:each(operator, broadcast, function(item)
      local counts = item.timer >= 0 and timers or list[item.state]
      if not counts then return end
      if counts.last ~= item.hash then -- those of a key stand together
        counts.last = item.hash
        counts.keys = counts.keys + 1
      end
      counts.values = counts.values + 1
      if item.timer >= 0 then
        local kind = timer_kind(item)
        timers[kind] = timers[kind] + 1
      else
        counts.bytes = counts.bytes + item.body_len
        count_shape(counts, item)
      end
    end)
  end
  return by_state, timers
end

-- What its subtasks keep for themselves, as it is.
local function own_of(sp, operator)
  local out = {}
  for subtask = 0, operator.parallelism - 1 do
    local bytes = sp:own(operator, subtask)
    if bytes ~= "" then out[#out + 1] = { subtask = subtask, json = sp:tagged_json(bytes) } end
  end
  return out
end

local function shapes_text(sp, counts)
  local texts = {}
  for i = 1, math.min(#counts.shape_list, SHAPES_SHOWN) do texts[i] = sp:shape_text(counts.shape_list[i]) end
  if #counts.shape_list > SHAPES_SHOWN then
    texts[#texts + 1] = ("… %d more"):format(#counts.shape_list - SHAPES_SHOWN)
  end
  return table.concat(texts, " | ")
end

---------------------------------------------------------------- ls

local function ls_json(sp)
  local operators = jsontext.list()
  for i, operator in ipairs(sp.operators) do
    local by_state, timers = count_operator(sp, operator)
    local states = jsontext.list()
    for k, state in ipairs(operator.states) do
      local counts, shapes = by_state[state], jsontext.list()
      for n, shape in ipairs(counts.shape_list) do shapes[n] = sp:shape_text(shape) end
      states[k] = {
        name = state.name, kind = state.kind, broadcast = state.broadcast, version = state.version,
        ttl_ms = state.ttl_ms, keys = counts.keys, values = counts.values, bytes = counts.bytes, shapes = shapes,
      }
    end
    operators[i] = {
      uid = operator.uid, name = operator.name, states = states,
      timers = { event = timers.event, processing = timers.processing, keys = timers.keys },
      own = #own_of(sp, operator) > 0, packed = sp:packed(operator, false) + sp:packed(operator, true),
    }
  end
  put(jsontext.encode { job = sp.job, checkpoint = sp.checkpoint, operators = operators }, "\n")
end

local function places_text(list)
  local texts = {}
  for i = 1, math.min(#list, SHAPES_SHOWN) do
    texts[i] = ("%s at %s"):format(list[i].split, positions.next_text(list[i]))
  end
  if #list > SHAPES_SHOWN then texts[#texts + 1] = ("… %d more"):format(#list - SHAPES_SHOWN) end
  return table.concat(texts, ", ")
end

local function ls_lines(sp, operator, lines)
  local by_state, timers = count_operator(sp, operator)
  local title = operator.uid
  local function line(...)
    lines[#lines + 1] = { title, ... }
    title = ""
  end
  for _, state in ipairs(operator.states) do
    local c = by_state[state]
    local kind = state.kind .. (state.broadcast and ", broadcast" or "")
      .. (state.version > 1 and ", version " .. state.version or "")
      .. (state.ttl_ms and ", ttl " .. duration.text(state.ttl_ms) or "")
    line(state.name, kind, ("%d"):format(c.keys), ("%d"):format(c.values), bytes_text(c.bytes),
      shapes_text(sp, c) .. (state.layout and (" (%s)"):format(state.layout) or ""))
  end
  for _, kind in ipairs { "event", "processing" } do
    if timers[kind] > 0 then
      line("(timers)", kind .. " time", kind == "event" and ("%d"):format(timers.keys) or "",
        ("%d"):format(timers[kind]), "", "")
    end
  end
  local own, source = own_of(sp, operator), positions.source_of(sp, operator)
  local of = ("of %d subtask%s"):format(#own, #own == 1 and "" or "s")
  if source then
    local list = positions.list(source)
    line("(positions)", of, "", ("%d"):format(#list), "", places_text(list))
  elseif #own > 0 then
    line("(its own)", of, "", "", "", #own[1].json <= 60 and own[1].json .. (#own > 1 and " …" or "") or "")
  end
end

function M.ls(o, operands)
  need(operands, 1, 1, "ls FILE")
  local sp = saved.open(operands[1])
  if o.json then return ls_json(sp) end
  local lines = {}
  for _, operator in ipairs(sp.operators) do ls_lines(sp, operator, lines) end
  if #lines == 0 then
    put(('job "%s", checkpoint %d: no operator has state\n'):format(sp.job, sp.checkpoint))
    return
  end
  put_table({ "OPERATOR", "STATE", "KIND", "KEYS", "VALUES", "BYTES", "SHAPES" }, lines,
    { [4] = true, [5] = true, [6] = true })
end

---------------------------------------------------------------- info

local LOWEST = -0x8000000000000000LL

-- The lowest watermark that the subtasks of an operator had said; nil: none.
local function watermark_of(sp, operator)
  local low
  for subtask = 0, operator.parallelism - 1 do
    local task = sp:task(operator, subtask)
    local at = task and task.passed[operator.stage + 1]
    if at and (not low or at < low) then low = at end
  end
  return low and low ~= LOWEST and tonumber(low) or nil
end

-- Bytes of the rows on their way to a vertex when barriers overtook them; nil: none did.
local function in_flight_of(vertex)
  local sum
  for _, task in ipairs(vertex.tasks) do
    if task.in_flight then sum = (sum or 0) + tonumber(task.in_flight) end
  end
  return sum
end

-- Of each task; of what operators keep for themselves, as it is; of where sources are.
local function info_of(sp)
  local tasks, own, places = jsontext.list(), {}, {}
  for _, operator in ipairs(sp.operators) do
    if operator.stage == 0 then
      tasks[#tasks + 1] = {
        task = sp.manifest.vertices[operator.vertex + 1].name, parallelism = operator.parallelism,
        max_parallelism = operator.max_parallelism, watermark = watermark_of(sp, operator),
        in_flight_bytes = in_flight_of(sp.manifest.vertices[operator.vertex + 1]),
      }
    end
    local source = positions.source_of(sp, operator)
    for _, position in ipairs(source and positions.list(source) or {}) do
      places[#places + 1] = { uid = operator.uid, at = position }
    end
    for _, part in ipairs(own_of(sp, operator)) do
      own[#own + 1] = { uid = operator.uid, subtask = part.subtask, json = part.json, shown = source ~= nil }
    end
    local enumerator = sp:enumerator(operator.uid)
    if enumerator then
      own[#own + 1] = { uid = operator.uid, json = sp:tagged_json(enumerator), shown = source ~= nil }
    end
  end
  return tasks, own, places
end

local function info_json(sp, tasks, kept, places)
  local own, at, own_bytes, older_bytes = {}, {}, sp:written()
  for i, p in ipairs(kept) do
    own[i] = ('{"subtask": %s, "uid": %s, "value": %s}'):format(p.subtask or "null", jsontext.encode(p.uid), p.json)
  end
  for i, p in ipairs(places) do
    at[i] = ('{"position": %s, "split": %s, "subtask": %s, "uid": %s}'):format(positions.json(sp, p.at),
      jsontext.encode(p.at.split), p.at.subtask or "null", jsontext.encode(p.uid))
  end
  local text = jsontext.encode {
    job = sp.job, checkpoint = sp.checkpoint, lineage = sp.lineage, time = sp.time, script = sp.script,
    origin = sp.origin, finished = sp.finished, operators = #sp.operators, tasks = tasks,
    bytes = own_bytes, bytes_gone_on_from = older_bytes,
  }
  put(text:sub(1, -2), ', "own": [', table.concat(own, ", "), '], "positions": [', table.concat(at, ", "), "]}\n")
end

local function put_places(places)
  local lines = {}
  for i, p in ipairs(places) do
    lines[i] = {
      p.uid, p.at.split, positions.next_text(p.at), positions.stop_text(p.at),
      p.at.subtask and ("%d"):format(p.at.subtask) or "to come",
    }
  end
  if #lines == 0 then return end
  put "\n"
  put_table({ "SOURCE", "SPLIT", "NEXT", "STOP", "SUBTASK" }, lines, { [3] = true, [4] = true, [5] = true })
end

local function put_own(kept)
  local lines = {}
  for _, p in ipairs(kept) do
    if not p.shown then lines[#lines + 1] = { p.uid, p.subtask and ("%d"):format(p.subtask) or "to come", p.json } end
  end
  if #lines == 0 then return end
  put "\n"
  put_table({ "OPERATOR", "SUBTASK", "KEEPS FOR ITSELF" }, lines, {})
end

function M.info(o, operands)
  need(operands, 1, 1, "info FILE")
  local sp = saved.open(operands[1])
  local tasks, kept, places = info_of(sp)
  if o.json then return info_json(sp, tasks, kept, places) end
  local states = 0
  for _, operator in ipairs(sp.operators) do states = states + #operator.states end
  local lines = {
    { "job", sp.job },
    { "checkpoint", ("%d of lineage %s, taken %s"):format(sp.checkpoint, sp.lineage, time_text(sp.time)) },
    { "script", sp.script ~= "" and sp.script or "unknown" },
    { "began from", sp.origin ~= nil and sp.origin ~= "" and sp.origin or "nothing" },
    { "holds", ("%d operators, %d states; every checksum is right"):format(#sp.operators, states) },
  }
  local bytes, older = sp:written()
  lines[#lines + 1] = { "bytes", bytes_text(bytes)
    .. (older > 0 and (", and %s of earlier checkpoints that it goes on from"):format(bytes_text(older)) or "") }
  local in_flight
  for _, task in ipairs(tasks) do
    if task.in_flight_bytes then in_flight = (in_flight or 0) + task.in_flight_bytes end
  end
  if in_flight then lines[#lines + 1] = { "under way", bytes_text(in_flight) .. " of rows, which come first" } end
  if sp.finished then lines[#lines + 1] = { "finished", "the job had ended, there is nothing to go on with" } end
  for _, line in ipairs(lines) do put(("%-12s%s\n"):format(line[1], line[2])) end
  put "\n"
  local rows = {}
  for i, t in ipairs(tasks) do
    rows[i] = {
      t.task, ("%d"):format(t.parallelism), ("%d"):format(t.max_parallelism),
      t.watermark and ("%.0f"):format(t.watermark) or "none",
    }
  end
  put_table({ "TASK", "PARALLELISM", "KEY GROUPS", "WATERMARK" }, rows, { [2] = true, [3] = true, [4] = true })
  put_places(places)
  put_own(kept)
end

---------------------------------------------------------------- values of a key

-- What else tells an item from others of its key, as text behind the key.
local function place_text(sp, state, item, position)
  local parts = {}
  local window = saved.window(item)
  if window then
    parts[#parts + 1] = ("[%.0f, %.0f)"):format(window.start, window.stop)
  elseif item.ns_len > 0 then
    parts[#parts + 1] = ("(%d bytes)"):format(item.ns_len)
  end
  if state.kind == "map" then parts[#parts + 1] = sp:map_key_json(item) end
  if state.kind == "list" then parts[#parts + 1] = "#" .. position end
  return table.concat(parts, " ")
end

local function item_json(sp, state, item, position)
  local out = { '"key": ' .. sp:key_json(item) }
  local window = saved.window(item)
  if window then out[#out + 1] = ('"window": {"start": %.0f, "stop": %.0f}'):format(window.start, window.stop) end
  if state.kind == "map" then out[#out + 1] = '"entry": ' .. sp:map_key_json(item) end
  if state.kind == "list" then out[#out + 1] = ('"position": %d'):format(position) end
  if state.kind == "timers" then
    out[#out + 1] = ('"time": %.0f, "timer": "%s"'):format(tonumber(item.time), timer_kind(item))
  else
    out[#out + 1] = '"value": ' .. sp:value_json(item)
  end
  return "{" .. table.concat(out, ", ") .. "}"
end

local function item_text(sp, state, item, position)
  local place = place_text(sp, state, item, position)
  local value = state.kind == "timers"
    and ("%s time %.0f"):format(timer_kind(item), tonumber(item.time)) or sp:value_json(item)
  return sp:key_json(item) .. (place ~= "" and "\t" .. place or "") .. "\t" .. value
end

-- fn(item, position) for what is in a state; position counts the elements of a key's list.
local function counted(state, fn)
  local hash, position = nil, 0
  return function(item)
    if (item.timer >= 0) ~= (state.kind == "timers") then return end
    if state.kind ~= "timers" and item.state ~= state.index then return end
    if hash ~= item.hash then hash, position = item.hash, 0 end
    position = position + 1
    return fn(item, position)
  end
end

---------------------------------------------------------------- get

local function place_json(sp, position)
  return ('{"key": %s, "value": %s}'):format(jsontext.encode(position.split), positions.json(sp, position))
end

-- Shows where a source is in a split; gives whether it has that.
local function get_position(o, sp, operator, split)
  local found = false
  for _, position in ipairs(source_of(sp, operator)) do
    if position.split == split then
      put(o.json and place_json(sp, position) or positions.json(sp, position), "\n")
      found = true
    end
  end
  return found
end

-- Is it the entry that the word means? Without a word any is.
local function is_entry(state, word)
  if not word then return function() return true end end
  if state.kind ~= "map" then fail('"%s" is no map: it has no entry %s', state.name, word) end
  local meant = {}
  for _, key in ipairs(words.meanings(word)) do meant[saved.canonical(key)] = true end
  return function(item) return meant[saved.map_key_bytes(item)] end
end

function M.get(o, operands)
  need(operands, 4, 5, "get FILE UID STATE KEY [ENTRY]")
  local sp = saved.open(operands[1])
  local operator = find_operator(sp, operands[2])
  local state = find_kept(sp, operator, operands[3])
  local is_meant = is_entry(state, operands[5])
  local found = state == POSITIONS and get_position(o, sp, operator, operands[4])
  local function show(item, position)
    if not is_meant(item) then return end
    found = true
    if o.json then
      put(item_json(sp, state, item, position), "\n")
    elseif state.kind == "timers" then
      put(item_text(sp, state, item, position), "\n")
    else
      local place = operands[5] and "" or place_text(sp, state, item, position)
      put(place ~= "" and place .. "\t" or "", sp:value_json(item), "\n")
    end
  end
  for _, key in ipairs(state == POSITIONS and {} or words.meanings(operands[4])) do
    if not found then
      sp:each_of_key(operator, state.broadcast, saved.canonical(key), counted(state, show))
    end
  end
  if found then return end
  local entry = operands[5] and ", entry " .. operands[5] or ""
  io.stderr:write(('weir: key %s%s has nothing in "%s.%s"\n'):format(operands[4], entry, operator.uid, state.name))
  return 1
end

---------------------------------------------------------------- query

-- An expression, which sees the script's sandbox and what is looked at, as two functions: of an item of a state or of
-- timers, and of a position.
local function expression(text)
  local environment = require("weir.internal.sandbox").environment "query"
  local fn, err = loadstring("return (" .. text .. "\n)", "=expression")
  if not fn then fail("the expression cannot be read: %s", (err:gsub("^expression:%d+: ", ""))) end
  setfenv(fn, environment)
  local function told(shown)
    local ok, result = pcall(fn)
    if ok then return result end
    fail("the expression fails at %s: %s", shown():gsub("\t", " "), (tostring(result):gsub("^expression:%d+: ", "")))
  end
  local function of_item(sp, state, item, position)
    environment.key = saved.key(item)
    environment.window = saved.window(item)
    environment.entry = saved.map_key(item)
    environment.position = state.kind == "list" and position or nil
    environment.value, environment.time, environment.timer = nil, nil, nil
    if state.kind == "timers" then
      environment.time, environment.timer = tonumber(item.time), timer_kind(item)
    else
      environment.value = saved.value(item)
    end
    return told(function() return item_text(sp, state, item, position) end)
  end
  local function of_position(position)
    environment.key, environment.value = position.split, position
    return told(function() return position.split end)
  end
  return of_item, of_position
end

local function query_positions(o, sp, operator, matches)
  local left = o.limit or math.huge
  for _, position in ipairs(source_of(sp, operator)) do
    if left > 0 and (not matches or matches(position)) then
      put(o.json and place_json(sp, position)
        or jsontext.encode(position.split) .. "\t" .. positions.json(sp, position), "\n")
      left = left - 1
    end
  end
end

function M.query(o, operands)
  need(operands, 3, 4, "query FILE UID STATE [EXPRESSION]")
  local sp = saved.open(operands[1])
  local operator = find_operator(sp, operands[2])
  local state = find_kept(sp, operator, operands[3])
  local matches, matches_position
  if operands[4] then matches, matches_position = expression(operands[4]) end
  if state == POSITIONS then return query_positions(o, sp, operator, matches_position) end
  local left = o.limit or math.huge
  local ENOUGH = {}
  local ok, err = pcall(sp.each, sp, operator, state.broadcast, counted(state, function(item, position)
    if matches and not matches(sp, state, item, position) then return end
    put((o.json and item_json or item_text)(sp, state, item, position), "\n")
    left = left - 1
    if left <= 0 then error(ENOUGH, 0) end
  end))
  if not ok and err ~= ENOUGH then error(err, 0) end
end

---------------------------------------------------------------- diff

-- What an item is called, whatever its value: equal in two savepoints. Elements of a list by their place.
local function address(item, state, position)
  if item.timer >= 0 then return item.timer .. " " .. tostring(item.time) end
  return state.name .. "\0" .. (state.kind == "map" and saved.map_key_bytes(item) or "")
    .. (state.kind == "list" and position or "")
end

-- The items of a key group by key and address. Texts are made of those only that differ.
local function group_of(sp, operator, broadcast, group, wanted)
  local out, order = {}, {}
  if not operator then return out, order end
  local by_index = {}
  for _, state in ipairs(operator.states) do
    if state.broadcast == broadcast then by_index[state.index] = state end
  end
  local items, count = sp:group(operator, broadcast, group)
  local at_place, last = {}, nil
  for i = 0, count - 1 do
    local item = items[i]
    local state = item.timer >= 0 and TIMERS or by_index[item.state]
    if state and (not wanted or wanted == state.name) then
      if last ~= item.hash then last, at_place = item.hash, {} end
      local at = item.timer >= 0 and 0 or item.state
      local position = (at_place[at] or 0) + 1
      at_place[at] = position
      local name = saved.key_bytes(item) .. "\0" .. saved.namespace_bytes(item) .. "\0"
        .. address(item, state, position)
      order[#order + 1] = name
      out[name] = { sp = sp, item = item, state = state, position = position }
    end
  end
  return out, order
end

local function same(a, b)
  if a.state == TIMERS then return true end -- its time is in its address
  local x, y = a.item, b.item
  return x.shape == y.shape and saved.body_bytes(x) == saved.body_bytes(y) or a.sp:value_json(x) == b.sp:value_json(y)
end

-- What is said of an item.
local function told(it)
  if not it then return nil end
  if not it.item then return it end
  local is_timer = it.state == TIMERS
  return {
    state = it.state.name, key = it.sp:key_json(it.item), is_timer = is_timer,
    place = place_text(it.sp, it.state, it.item, it.position),
    value = is_timer and ("%s time %.0f"):format(timer_kind(it.item), tonumber(it.item.time))
      or it.sp:value_json(it.item),
  }
end

local SIGNS = { added = "+", removed = "-", changed = "~" }

local function change_json(uid, what, before, after)
  local it = after or before
  local function value(v)
    if not v then return "null" end
    return v.is_timer and jsontext.encode(v.value) or v.value
  end
  return ('{"change": "%s", "uid": %s, "state": %s, "key": %s%s, "before": %s, "after": %s}'):format(what,
    jsontext.encode(uid), jsontext.encode(it.state), it.key,
    it.place ~= "" and ', "place": ' .. jsontext.encode(it.place) or "", value(before), value(after))
end

local function change_text(uid, what, before, after)
  local it = after or before
  return ("%s %s.%s\t%s%s\t%s"):format(SIGNS[what], uid, it.state, it.key, it.place ~= "" and "\t" .. it.place or "",
    what == "changed" and before.value .. " → " .. after.value or it.value)
end

-- The operators of both, by uid, in the order of the first and then the second.
local function pairs_of(a, b, uid)
  local list, by_uid = {}, {}
  for side, sp in ipairs { a, b } do
    for _, operator in ipairs(sp.operators) do
      local entry = by_uid[operator.uid]
      if not entry then
        entry = { uid = operator.uid }
        by_uid[operator.uid] = entry
        list[#list + 1] = entry
      end
      entry[side] = operator
    end
  end
  if not uid then return list end
  return { by_uid[uid] or by_uid[find_operator(a, uid).uid] }
end

local function diff_operator(a, b, pair, wanted, say)
  local max = math.max(pair[1] and pair[1].max_parallelism or 1, pair[2] and pair[2].max_parallelism or 1)
  if pair[1] and pair[2] and pair[1].max_parallelism ~= pair[2].max_parallelism then
    fail('operator "%s" has %d key groups in %s and %d in %s: they cannot be compared key by key', pair.uid,
      pair[1].max_parallelism, a.path, pair[2].max_parallelism, b.path)
  end
  for _, broadcast in ipairs { false, true } do
    for group = 0, broadcast and 0 or max - 1 do
      local before, before_order = group_of(a, pair[1], broadcast, group, wanted)
      local after, after_order = group_of(b, pair[2], broadcast, group, wanted)
      for _, name in ipairs(before_order) do
        local was, is = before[name], after[name]
        if not is then say(pair.uid, "removed", was, nil) end
        if is and not same(was, is) then say(pair.uid, "changed", was, is) end
      end
      for _, name in ipairs(after_order) do
        if not before[name] then say(pair.uid, "added", nil, after[name]) end
      end
    end
  end
end

-- Positions of a source, by split, as JSON; nil: it is no source, or there is none.
local function places_of(sp, operator)
  local source = operator and positions.source_of(sp, operator)
  if not source then return nil end
  local out, order = {}, {}
  for i, position in ipairs(positions.list(source)) do
    order[i] = position.split
    out[position.split] = {
      state = "positions", key = jsontext.encode(position.split), place = "", value = positions.json(sp, position),
    }
  end
  return out, order
end

local function diff_places(uid, before, before_order, after, after_order, say)
  for _, split in ipairs(before_order) do
    local was, is = before[split], after[split]
    if not is then say(uid, "removed", was, nil) end
    if is and was.value ~= is.value then say(uid, "changed", was, is) end
  end
  for _, split in ipairs(after_order) do
    if not before[split] then say(uid, "added", nil, after[split]) end
  end
end

local function diff_own(a, b, pair, say)
  local before, before_order = places_of(a, pair[1])
  local after, after_order = places_of(b, pair[2])
  if before or after then
    return diff_places(pair.uid, before or {}, before_order or {}, after or {}, after_order or {}, say)
  end
  local function text(sp, operator)
    if not operator then return "" end
    local parts = {}
    for i, part in ipairs(own_of(sp, operator)) do parts[i] = part.json end
    local enumerator = sp:enumerator(operator.uid)
    if enumerator then parts[#parts + 1] = sp:tagged_json(enumerator) end
    return #parts > 0 and "[" .. table.concat(parts, ", ") .. "]" or ""
  end
  local was, is = text(a, pair[1]), text(b, pair[2])
  if was == is then return end
  local function side(value)
    return value ~= "" and { state = "(its own)", key = "null", place = "", value = value } or nil
  end
  say(pair.uid, was == "" and "added" or is == "" and "removed" or "changed", side(was), side(is))
end

function M.diff(o, operands)
  need(operands, 2, 4, "diff FILE1 FILE2 [UID [STATE]]")
  local a, b = saved.open(operands[1]), saved.open(operands[2])
  local counts, left = { added = 0, removed = 0, changed = 0 }, o.limit or math.huge
  local ENOUGH = {}
  local function say(uid, what, before, after)
    counts[what] = counts[what] + 1
    put((o.json and change_json or change_text)(uid, what, told(before), told(after)), "\n")
    left = left - 1
    if left <= 0 then error(ENOUGH, 0) end
  end
  local ok, err = pcall(function()
    for _, pair in ipairs(pairs_of(a, b, operands[3])) do
      diff_operator(a, b, pair, operands[4], say)
      if not operands[4] or operands[4] == "positions" then diff_own(a, b, pair, say) end
    end
  end)
  if not ok and err ~= ENOUGH then error(err, 0) end
  local differences = counts.added + counts.removed + counts.changed
  if not o.json then
    put(differences == 0 and "no difference\n"
      or ("%d added, %d removed, %d changed\n"):format(counts.added, counts.removed, counts.changed))
  end
  return differences > 0 and 1 or 0
end

---------------------------------------------------------------- edit

function M.edit(o, operands)
  if #operands < 2 then fail "usage: weir savepoint edit FILE SCRIPT -o NEW [key=value …]" end
  if not o.output then fail "where does the changed savepoint go? -o FILE" end
  local counts = require("weir.savepoint_edit").edit(operands, o.output)
  if o.json then
    counts.file = o.output
    put(jsontext.encode(counts), "\n")
  else
    put(("%s: values: %d changed, %d added, %d left behind\n"):format(o.output, counts.changed, counts.added,
      counts.removed))
  end
end

---------------------------------------------------------------- all

--- What C calls.
---@param tool string
---@param options string tagged options of the program
---@param operands string[]
---@return integer status
function M.run(tool, options, operands)
  local ok, status = pcall(M[tool], codec.decode_value(options), operands)
  if not ok and status ~= CLOSED then error(status, 0) end
  return ok and status or 0
end

return M
