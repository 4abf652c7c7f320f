--- interval_aggregate: aggregates over intervals that the records of another stream open, held against sums that
--- were made from all records at once.

local dice = require "support.dice"
local script = require "support.script"

local head = [[
local weir = require "weir"
local job = weir.job "test"
local function source(list)
  return job:source(weir.from(list)):watermarks(weir.watermark.bounded { field = "ts", delay = %d })
end
]]

local literal, random = script.literal, dice(11)

-- Intervals that do not overlap within a key; each record's own time is somewhere before its end.
local function intervals(keys, each)
  local list = {}
  for k = 1, keys do
    local at = random(50)
    for _ = 1, each do
      local from = at + random(40)
      local to = from + random(60)
      list[#list + 1] = { id = "k" .. k, ts = from + random(to - from + 1), from = from, to = to, text = "t" .. from }
      at = to + 1
    end
  end
  for i = #list, 2, -1 do
    local j = random(i) + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

local function records(n, keys, last)
  local list = {}
  for i = 1, n do list[i] = { k = "k" .. random(keys) + 1, ts = random(last), v = random(1000) - 500 } end
  return list
end

local function model(lefts, rights, kind, counted_from)
  local lines = {}
  for _, l in ipairs(lefts) do
    local n, sum, largest = 0, 0, nil
    for _, r in ipairs(rights) do
      if r.k == l.id and r.ts >= l[counted_from] and r.ts <= l.to then
        n, sum, largest = n + 1, sum + r.v, math.max(largest or r.v, r.v)
      end
    end
    if n > 0 then
      lines[#lines + 1] = ('{"from":%d,"id":"%s","largest":%d,"n":%d,"sum":%d,"text":"%s","time":%d,"to":%d,"ts":%d}')
        :format(l.from, l.id, largest, n, sum, l.text, l.to, l.to, l.ts)
    elseif kind == "left" then
      lines[#lines + 1] = ('{"from":%d,"id":"%s","n":0,"text":"%s","time":%d,"to":%d,"ts":%d}'):format(
        l.from, l.id, l.text, l.to, l.to, l.ts)
    end
  end
  return script.lines(lines)
end

local aggregates = 'aggregates = { n = weir.agg.count(), sum = weir.agg.sum "v", largest = weir.agg.max "v" }'
local stamped = [[:process(function(ctx, r) r.time = ctx:timestamp() ctx:emit(r) end):sink(weir.print())]]

local function run(lefts, rights, options, flags)
  return script.run(head:format(1e6) .. ([[
    source(%s):key_by("id"):connect(source(%s):key_by("k")):interval_aggregate { %s, %s }]]):format(
    literal(lefts), literal(rights), options, aggregates) .. stamped, "-q " .. (flags or ""))
end

describe("an aggregate over intervals", function()
  for case = 1, 4 do
    for _, kind in ipairs { "inner", "left" } do
      for _, p in ipairs { 1, 3 } do
        local lefts, rights = intervals(5, 1 + case * 3), records(200 * case, 6, 200 + 150 * case)
        it(("of kind %s has the records that lie in them: case %d at parallelism %d"):format(kind, case, p), function()
          assert.equal(model(lefts, rights, kind, "from"),
            run(lefts, rights, ('from = "from", to = "to", kind = %q'):format(kind), "-p " .. p))
        end)
      end
    end
  end

  it("begins at the record's own time if no field is named", function()
    local lefts, rights = intervals(3, 8), records(300, 3, 600)
    assert.equal(model(lefts, rights, "inner", "ts"), run(lefts, rights, 'to = "to"'))
  end)

  it("gives a result when the watermark has passed the end, and takes what comes in order a moment before", function()
    local lefts, rights = {}, {}
    for i = 1, 300 do
      lefts[i] = { id = "a", ts = 100 * i, from = 100 * i, to = 100 * i + 59, text = "x" }
      for j = 1, 3 do rights[#rights + 1] = { k = "a", ts = 100 * i + 25 * j, v = j } end
    end
    local out = script.run(head:format(0) .. ([[
      source(%s):key_by("id"):connect(source(%s):key_by("k")):interval_aggregate { from = "from", to = "to", %s }
        :map(function(r) return { from = r.from, n = r.n } end):sink(weir.print())]]):format(
      literal(lefts), literal(rights), aggregates), "-q")
    local lines = {}
    for i = 1, 300 do lines[i] = ('{"from":%d,"n":2}'):format(100 * i) end
    assert.equal(script.lines(lines), out)
  end)

  it("sends what the watermark has passed to the side output of late records", function()
    local out = script.run(head:format(0) .. [[
      local s = job:source(weir.from { { k = "a", ts = 10 }, { k = "a", ts = 1000 }, { k = "a", ts = 20, v = 1 } })
        :watermarks(weir.watermark.punctuated { field = "ts", fn = function(r) return r.ts - 1 end })
      local lefts = s:filter(function(r) return r.v == nil end)
        :map(function(r) return { k = r.k, to = r.ts + 5 } end)
      local rights = s:filter(function(r) return r.v ~= nil end)
      local all = lefts:key_by("k"):connect(rights:key_by("k"))
        :interval_aggregate { to = "to", aggregates = { n = weir.agg.count() }, late_to = "too_late" }
      all:sink(weir.discard())
      all:side_output("too_late"):sink(weir.print())]], "-q")
    assert.equal('{"k":"a","ts":20,"v":1}\n', out)
  end)

  local function fails(lefts, message, options)
    local _, code, err = script.try(head:format(1000) .. ([[
      source(%s):key_by("id"):connect(source { { k = "a", ts = 1, v = 1 } }:key_by("k"))
        :interval_aggregate { from = "from", to = "to", %s }:sink(weir.print())]]):format(lefts,
      options or aggregates), "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find(message, 1, true), err)
  end

  it("refuses what is no interval", function()
    fails('{ { id = "a", ts = 1, from = 1 } }', "field 'to' is missing, and must be a time in milliseconds")
    fails('{ { id = "a", ts = 1, from = "x", to = 5 } }', "field 'from' is no number")
    fails('{ { id = "a", ts = 1, from = 6, to = 5 } }', "the interval ends at 5, before it begins at 6")
    fails('{ { id = "a", ts = 1, from = 1, to = 0/0 } }', "field 'to' is no time")
    fails('{ { id = "a", ts = 1, from = 1, to = 5 }, { id = "a", ts = 5, from = 5, to = 9 } }',
      "the key has an interval from 1 to 5 already, which overlaps with that from 5 to 9")
    fails('{ { id = "a", ts = 1, from = 1, to = 5, n = 1 } }', '"n" is a field of the record and the name of an aggregate')
  end)

  it("refuses at the script's line what it cannot do", function()
    local function mistake(text, message)
      local _, code, err = script.try(head:format(0) .. "local a = source { { k = 1, ts = 1 } } "
        .. "a:key_by('k'):connect(a:key_by('k')):interval_aggregate" .. text .. ":sink(weir.print())", "-q")
      assert.equal(2, code)
      assert.is_truthy(err:find(message, 1, true), err)
    end
    mistake(' { aggregates = { n = weir.agg.count() } }', 'job.lua:6: connected:interval_aggregate')
    mistake(' { to = "t", aggregates = {} }', "no aggregates")
    mistake(' { to = "t", aggregates = { n = weir.agg.median "v" } }', '"n" must be a count, sum, avg, min, max or stddev')
  end)
end)
