--- Jobs over random records, each beside a model in plain Lua that says what comes out, in any order.
---
--- Each entry has `draw(stream, p)`: the stream of records to the stream of results, with p subtasks; and
--- `model(records, emit)`. Both call the same functions, which do what users do: change the record they are
--- given, keep parts of it, emit it twice.

local weir = require "weir"
local random = require "support.random_records"

local text, copy = random.text, random.copy

local M = {}

-- One key of each type that keys have, by the record's number.
local function odd_key(rec)
  local n = rec.n % 9
  if n == 0 then return true end
  if n == 1 then return -0.0 end
  if n == 2 then return 2 ^ 53 end
  if n == 3 then return 0.5 end
  if n == 4 then return "" end
  if n == 5 then return 9007199254740993LL end
  if n == 6 then return 18446744073709551615ULL end
  if n == 7 then return 1 / 0 end
  return "a\0b"
end

local function changed(rec)
  rec.flag = nil
  rec.added = { rec.amount or weir.null, rec.n }
  if type(rec.user) == "table" then rec.user = { inner = rec.user } end
  return rec
end

local function rebuilt(rec)
  local out = {}
  for name, v in pairs(rec) do
    if type(name) == "string" then out[name .. "_"] = v else out[name] = v end
  end
  out.n = rec.n
  return out
end

local function kept(rec)
  return rec.n % 3 ~= 0 and rec.flag ~= false
end

local function flattened(rec, emit)
  local count = 0
  for name, v in pairs(rec) do
    count = count + 1
    emit { name = name, value = v }
  end
  emit(rec)
  rec.again = count
  emit(rec)
  if type(rec.items) == "table" then emit(rec.items) end
  emit(rec.amount or false)
end

M[1] = {
  name = "map, filter and map",
  draw = function(s, p) return s:rebalance():map(changed):parallelism(p):filter(kept):map(rebuilt) end,
  model = function(records, emit)
    for _, rec in ipairs(records) do
      rec = changed(rec)
      if kept(rec) then emit(rebuilt(rec)) end
    end
  end,
}

M[2] = {
  name = "flat_map and another shuffle",
  draw = function(s, p)
    return s:rebalance():flat_map(flattened):parallelism(p):shuffle():filter(function() return true end)
  end,
  model = function(records, emit)
    for _, rec in ipairs(records) do flattened(rec, emit) end
  end,
}

-- Calls fn(state of the record's key, rec) for each record; the model of a keyed operator.
local function by_key(records, key, fn)
  local states = {}
  for _, rec in ipairs(records) do
    local id = text(key(rec))
    states[id] = states[id] or {}
    fn(states[id], rec)
  end
end

local function field_k(rec) return rec.k end

M[3] = {
  name = "value state that holds the last record of a key",
  draw = function(s, p)
    return s:key_by "k":process(weir.process_function {
      state = { last = weir.state.value(), seen = weir.state.value() },
      element = function(ctx, rec)
        local last = ctx.last:get()
        ctx.seen:set((ctx.seen:get() or 0) + 1)
        ctx.last:set(rec)
        rec.changed_later = true
        ctx:emit { last = last, now = rec.n, seen = ctx.seen:get() }
      end,
    }):parallelism(p)
  end,
  model = function(records, emit)
    by_key(records, field_k, function(state, rec)
      state.seen = (state.seen or 0) + 1
      emit { last = state.last, now = rec.n, seen = state.seen }
      state.last = rec
    end)
  end,
}

M[4] = {
  name = "list state under keys made by a function",
  draw = function(s, p)
    return s:key_by(odd_key):process(weir.process_function {
      state = { list = weir.state.list() },
      element = function(ctx, rec)
        ctx.list:add(rec)
        if rec.amount ~= nil then ctx.list:add(rec.amount) end
        if rec.n % 5 == 0 then
          for item in ctx.list:iter() do ctx:emit { item = item, n = rec.n } end
          ctx:emit { key = ctx:key(), all = ctx.list:all() }
          if rec.n % 2 == 0 then ctx.list:clear() else ctx.list:set { rec, weir.null, "x" } end
        end
      end,
    }):parallelism(p)
  end,
  model = function(records, emit)
    by_key(records, odd_key, function(list, rec)
      list[#list + 1] = rec
      if rec.amount ~= nil then list[#list + 1] = rec.amount end
      if rec.n % 5 == 0 then
        for _, item in ipairs(list) do emit { item = item, n = rec.n } end
        local key = odd_key(rec)
        if key == 0 then key = 0 end
        emit { key = key == 0 and 0 or key, all = copy(list) }
        for i = #list, 1, -1 do list[i] = nil end
        if rec.n % 2 ~= 0 then list[1], list[2], list[3] = rec, weir.null, "x" end
      end
    end)
  end,
}

local function map_key(rec)
  if rec.n % 4 == 0 then return rec.n % 7 end
  if rec.n % 4 == 1 then return "m" .. rec.n % 5 end
  if rec.n % 4 == 2 then return rec.n % 2 == 0 end
  return rec.n % 5 + 0.5
end

M[5] = {
  name = "map state with keys of all types",
  draw = function(s, p)
    return s:key_by("k"):process(weir.process_function {
      state = { map = weir.state.map() },
      element = function(ctx, rec)
        local key = map_key(rec)
        local old = ctx.map:get(key)
        if rec.n % 6 == 0 then ctx.map:remove(key) else ctx.map:put(key, rec) end
        local keys = ctx.map:keys()
        local all = {}
        if rec.n % 10 == 0 then
          for k, v in ctx.map:iter() do all[k] = v end
        end
        local names = {}
        for i, k in ipairs(keys) do names[i] = text(k) end
        table.sort(names)
        ctx:emit { n = rec.n, old = old, count = ctx.map:count(), keys = names, all = all }
      end,
    }):parallelism(p)
  end,
  model = function(records, emit)
    by_key(records, field_k, function(map, rec)
      local key = map_key(rec)
      local old = map[key]
      if rec.n % 6 == 0 then map[key] = nil else map[key] = rec end
      local names, all = {}, {}
      for k, v in pairs(map) do
        names[#names + 1] = text(k)
        if rec.n % 10 == 0 then all[k] = v end
      end
      table.sort(names)
      emit { n = rec.n, old = old, count = #names, keys = names, all = copy(all) }
    end)
  end,
}

M[6] = {
  name = "a key of two fields and side outputs",
  draw = function(s, p)
    local main = s:key_by("k", "n"):process(function(ctx, rec)
      if rec.n % 2 == 0 then ctx:side("even", rec) else ctx:emit(rec) end
      if rec.n % 3 == 0 then ctx:side("third", { third = rec }) end
    end):parallelism(p)
    return main:union(main:side_output "even", main:side_output "third")
  end,
  model = function(records, emit)
    for _, rec in ipairs(records) do
      emit(rec)
      if rec.n % 3 == 0 then emit { third = rec } end
    end
  end,
}

M[7] = {
  name = "broadcast",
  draw = function(s, p)
    local rules = s:filter(function(rec) return rec.n % 20 == 0 end)
    return s:connect(rules:broadcast()):process(weir.broadcast_function {
      broadcast_state = { rules = weir.state.map() },
      element = function(ctx, rec) ctx:emit(rec) end,
      broadcast = function(ctx, rule)
        ctx.rules:put(rule.n, rule)
        ctx:emit { rule = ctx.rules:get(rule.n), count = ctx.rules:count() }
      end,
    }):parallelism(p)
  end,
  model = function(records, emit, p)
    local count = 0
    for _, rec in ipairs(records) do
      emit(rec)
      if rec.n % 20 == 0 then
        count = count + 1
        for _ = 1, p do emit { rule = rec, count = count } end
      end
    end
  end,
}

M[8] = {
  name = "a co-process function with keys made by functions",
  draw = function(s, p)
    local even = s:filter(function(rec) return rec.n % 2 == 0 end):key_by(function(rec) return rec.n % 10 end)
    local odd = s:filter(function(rec) return rec.n % 2 == 1 end):key_by(function(rec) return (rec.n - 1) % 10 end)
    return even:connect(odd):process(weir.co_process_function {
      state = { left = weir.state.value(), right = weir.state.list(), both = weir.state.map() },
      element1 = function(ctx, rec)
        ctx:emit { last = ctx.left:get(), n = rec.n }
        ctx.left:set(rec)
        ctx.both:put(rec.n, rec)
      end,
      element2 = function(ctx, rec)
        ctx.right:add(rec)
        ctx.both:put(rec.n, rec)
        ctx:emit { n = rec.n, all = ctx.right:all(), own = ctx.both:get(rec.n) }
        if ctx.right:count() > 6 then ctx.right:clear() end
      end,
    }):parallelism(p)
  end,
  model = function(records, emit)
    by_key(records, function(rec) return math.floor(rec.n / 2) % 5 end, function(state, rec)
      if rec.n % 2 == 0 then
        emit { last = state.left, n = rec.n }
        state.left = rec
      else
        state.right = state.right or {}
        table.insert(state.right, rec)
        emit { n = rec.n, all = copy(state.right), own = rec }
        if #state.right > 6 then state.right = nil end
      end
    end)
  end,
}

M[9] = {
  name = "a partition of its own, then a map",
  draw = function(s, p)
    return s:partition(function(rec, n) return rec.n % n end):map(changed):parallelism(p)
      :partition(function(rec, n) return (rec.n * 7) % n end):map(rebuilt):parallelism(p)
  end,
  model = function(records, emit)
    for _, rec in ipairs(records) do emit(rebuilt(changed(rec))) end
  end,
}

local function added(a, b)
  b.total = (a.total or 0) + 1
  b.earlier = a.n
  return b
end

M[10] = {
  name = "reduce under keys made by a function",
  draw = function(s, p) return s:key_by(odd_key):reduce(added):parallelism(p) end,
  model = function(records, emit)
    by_key(records, odd_key, function(state, rec)
      state.value = state.value and added(state.value, rec) or rec
      emit(copy(state.value))
    end)
  end,
}

M[11] = {
  name = "records that are lists, maps and scalars",
  draw = function(s, p)
    local function value(rec)
      local v = random.value(random.generator(7, rec.n), 3)
      return { n = rec.n, v = v }
    end
    return s:map(value):map(function(rec) return rec.v end):rebalance():map(function(v) return v end):parallelism(p)
      :key_by(function(v) return #text(v) % 7 end):process(function(ctx, v) ctx:emit(v) end):parallelism(p)
  end,
  model = function(records, emit)
    for _, rec in ipairs(records) do emit(random.value(random.generator(7, rec.n), 3)) end
  end,
}

--- The results of kind `kind` as sorted lines, by the model.
---@param kind integer
---@param seed integer
---@param count integer of records
---@param p integer
---@return string[]
function M.expected(kind, seed, count, p)
  local records, lines = {}, {}
  for n = 1, count do records[n] = random.record(seed, n) end
  M[kind].model(records, function(v) lines[#lines + 1] = text(v) end, p)
  table.sort(lines)
  return lines
end

--- Draws the job of `args` (kind, seed, count, p), which prints each result as a line.
function M.draw()
  local job = weir.job "records"
  local kind, seed = tonumber(job.args.kind), tonumber(job.args.seed)
  local count, p = tonumber(job.args.count), tonumber(job.args.p)
  local s = job:source(weir.sequence { to = count }):parallelism(1)
    :map(function(n) return random.record(seed, n) end):parallelism(1)
  M[kind].draw(s, p):map(text):sink(weir.print { format = "raw" })
  return job
end

return M
