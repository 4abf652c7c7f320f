--- The library on the public API (stdlib/): joins, what one does with the records of a key, patterns. Each
--- result is held against one that was made from all records at once.

local dice = require "support.dice"
local script = require "support.script"

local head = [[
local weir = require "weir"
local joins, keyed, patterns = require "weir.joins", require "weir.keyed", require "weir.patterns"
local job = weir.job "test"
local function source(list, delay)
  return job:source(weir.from(list)):watermarks(weir.watermark.bounded { field = "ts", delay = delay or "1h" })
end
]]

local literal, random = script.literal, dice(7)

local function records(n, name)
  local list = {}
  for i = 1, n do list[i] = { k = "k" .. random(4), ts = random(2000), [name] = i } end
  return list
end

local left, right = records(60, "l"), records(60, "r")
local pair = "join = function(l, r) return { l = l and l.l, r = r and r.r } end"

local function line(l, r)
  local parts = {}
  if l then parts[1] = ('"l":%d'):format(l.l) end
  if r then parts[#parts + 1] = ('"r":%d'):format(r.r) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Lines of a join, from a test of pairs.
local function joined(kind, meets)
  local lines, met = {}, {}
  for _, l in ipairs(left) do
    for _, r in ipairs(right) do
      if l.k == r.k and meets(l, r) then
        lines[#lines + 1] = line(l, r)
        met[l], met[r] = true, true
      end
    end
  end
  for _, l in ipairs((kind == "left" or kind == "full") and left or {}) do
    if not met[l] then lines[#lines + 1] = line(l) end
  end
  for _, r in ipairs((kind == "right" or kind == "full") and right or {}) do
    if not met[r] then lines[#lines + 1] = line(nil, r) end
  end
  return script.lines(lines)
end

local function run_join(call, options)
  return script.run(head .. ("source(%s):connect(source(%s)):key_by 'k':process(%s):sink(weir.print())"):format(
    literal(left), literal(right), call), "-q " .. (options or ""))
end

for _, kind in ipairs { "inner", "left", "right", "full" } do
  describe("a join of kind " .. kind, function()
    for _, p in ipairs { 1, 3 } do
      it("by interval gives the pairs whose times are near, at parallelism " .. p, function()
        assert.equal(joined(kind, function(l, r) return r.ts >= l.ts - 50 and r.ts <= l.ts + 120 end),
          run_join(("joins.interval { lower = -50, upper = 120, kind = %q, %s }"):format(kind, pair), "-p " .. p))
      end)
    end

    it("J3: by interval has exclusive bounds when asked", function()
      assert.equal(joined(kind, function(l, r) return r.ts > l.ts - 50 and r.ts < l.ts + 120 end),
        run_join(("joins.interval { lower = -50, upper = 120, lower_exclusive = true, upper_exclusive = true, "
          .. "kind = %q, %s }"):format(kind, pair)))
    end)

    it("by window gives the pairs of a window", function()
      assert.equal(joined(kind, function(l, r) return math.floor(l.ts / 100) == math.floor(r.ts / 100) end),
        run_join(("joins.window { size = 100, kind = %q, %s }"):format(kind, pair)))
    end)
  end)
end

describe("an interval join", function()
  it("J4: gives the later of the two times to a result", function()
    local out = script.run(head .. [[
      source { { k = "a", ts = 500, l = 1 } }:connect(source { { k = "a", ts = 300, r = 1 }, { k = "a", ts = 700, r = 2 } })
        :key_by "k":process(joins.interval { lower = -1000, upper = 1000, join = function(l, r) return { r = r.r } end })
        :process(function(ctx, rec) ctx:emit { r = rec.r, ts = ctx:timestamp() } end):sink(weir.print())
    ]], "-q")
    assert.equal('{"r":1,"ts":500}\n{"r":2,"ts":700}\n', out)
  end)

  it("J1, J2: counts records behind the watermark, and gives them to a side output", function()
    -- paced, so that watermarks pass between; however slow the machine is, the last record is late or joined
    local out, code, err = script.try(head .. [[
      local function times() return job:source(weir.generate { count = 12, rate = 20,
        fn = function(i) return { k = "a", ts = i == 11 and 10 or i * 1000 } end })
        :watermarks(weir.watermark.ascending { field = "ts" }) end
      local j = times():connect(times()):key_by "k":process(joins.interval {
        lower = 0, upper = 0, late_to = "late", join = function(l) return { joined = l.ts } end })
      j:sink(weir.print())
      j:side_output "late":sink(weir.print())
    ]])
    assert.equal(0, code)
    local _, joined_count = out:gsub('"joined"', "")
    local _, late_count = out:gsub('"k":"a","ts":10', "")
    assert.is_true(joined_count == 12 and late_count == 0 or joined_count == 11 and late_count == 2
      or joined_count == 11 and late_count == 1, out)
    assert.equal(late_count > 0, err:find(late_count .. " late, 0 dropped", 1, true) ~= nil, err)
  end)

  it("J5: fails where a record has no time", function()
    local _, code, err = script.try(head .. [[
      local a, b = job:source(weir.from { { k = 1 } }), job:source(weir.from { { k = 1 } })
      a:connect(b):key_by "k":process(joins.interval { lower = 0, upper = 0 }):sink(weir.print())
    ]], "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("a join needs event time", 1, true), err)
  end)

  it("refuses windows of which each record is in too many, at the script's line", function()
    for _, name in ipairs { "window", "cogroup" } do
      local fn = name == "cogroup" and ", fn = print" or ""
      local _, code, err = script.try(head .. ('\njoins.%s { size = "1d", slide = "1ms"%s }'):format(name, fn), "-q")
      assert.equal(2, code)
      assert.is_truthy(err:find(("job.lua:8: joins.%s: a record would be in 86400000 windows, more than 100000: take a "
        .. "larger slide"):format(name), 1, true), err)
    end
  end)
  it("refuses bounds that cross, at the script's line", function()
    local _, code, err = script.try(head .. "\njoins.interval { lower = 5, upper = 1 }", "-q")
    assert.equal(2, code)
    assert.is_truthy(err:find("job.lua:8: joins.interval: lower is above upper", 1, true), err)
  end)
  it("J3: takes equal bounds although exclusive ones leave nothing between them", function()
    for _, exclusive in ipairs { "lower_exclusive", "upper_exclusive" } do
      assert.equal(joined("full", function() return false end),
        run_join(("joins.interval { lower = 0, upper = 0, %s = true, kind = 'full', %s }"):format(exclusive, pair)))
    end
  end)
end)

describe("sliding windows of a cogroup", function()
  it("J8: give both sides, an empty one too", function()
    local lines = {}
    for k = 0, 3 do
      for from = -200, 2000, 100 do
        local l, r = 0, 0
        for _, rec in ipairs(left) do
          if rec.k == "k" .. k and rec.ts >= from and rec.ts < from + 300 then l = l + 1 end
        end
        for _, rec in ipairs(right) do
          if rec.k == "k" .. k and rec.ts >= from and rec.ts < from + 300 then r = r + 1 end
        end
        if l + r > 0 then lines[#lines + 1] = ('{"from":%d,"l":%d,"r":%d}'):format(from, l, r) end
      end
    end
    assert.equal(script.lines(lines), run_join(
      "joins.cogroup { size = 300, slide = 100, fn = function(l, r, emit, w) emit { l = #l, r = #r, from = w.from } end }"))
  end)
end)

describe("a temporal join", function()
  for _, kind in ipairs { "inner", "left" } do
    it("gives each record the version of its time: " .. kind, function()
      local lines = {}
      for _, l in ipairs(left) do
        local best
        for _, r in ipairs(right) do -- of equal times the last one counts
          if r.k == l.k and r.ts <= l.ts and (not best or r.ts >= best.ts) then best = r end
        end
        if best or kind == "left" then lines[#lines + 1] = line(l, best) end
      end
      assert.equal(script.lines(lines), run_join(("joins.temporal { kind = %q, %s }"):format(kind, pair)))
    end)
  end
end)

describe("a lookup join", function()
  local shell = require "support.shell"

  local function lookup(options, script_options, stream, table_text)
    local out, code, err = script.try(head .. ([[
      local users = job:source(weir.files { path = job.args.path, format = weir.json() })
      %s:connect(users:broadcast()):process(joins.lookup { by = "user", key = "id", %s
        join = function(l, r) return { n = l.n, name = r and r.name } end }):sink(weir.print())
    ]]):format(stream or 'job:source(weir.from { { n = 1, user = 7 }, { n = 2, user = 8 }, { n = 3, user = 7 }, { n = 4 } })',
      options), "-q " .. (script_options or ""), function(folder)
        local file = io.open(folder .. "/users.json", "w")
        file:write(table_text or '{"id":7,"name":"old"}\n{"id":9,"name":"bob"}\n{"id":7,"name":"ann"}\n')
        file:close()
      end, "path=%s/users.json")
    return shell.sorted(out), code, err
  end

  it("gives each record its partner, the last of its key", function()
    assert.equal('{"n":1,"name":"ann"}\n{"n":3,"name":"ann"}\n', (lookup("")))
  end)

  it("keeps, drops or refuses what has none", function()
    assert.equal('{"n":1,"name":"ann"}\n{"n":2}\n{"n":3,"name":"ann"}\n{"n":4}\n', (lookup 'missing = "keep",'))
    local _, code, err = lookup 'missing = "fail",'
    assert.equal(1, code)
    assert.matches("joins.lookup: nothing in the table has id = 8\n  record: ", err)
    _, code, err = lookup("", "", nil, '{"name":"nobody"}\n')
    assert.equal(1, code)
    assert.matches('joins.lookup: a record of the table has no field "id"', err)
  end)

  it("takes null for no key, and says so in the table", function()
    local stream = 'job:source(weir.from { { n = 1, user = weir.null }, { n = 2, user = 7 } })'
    assert.equal('{"n":1}\n{"n":2,"name":"ann"}\n', (lookup('missing = "keep",', "", stream)))
    local _, code, err = lookup("", "", nil, '{"id":null,"name":"nobody"}\n')
    assert.equal(1, code)
    assert.matches('joins.lookup: a record of the table has no field "id"', err)
  end)

  it("says that the table has the same key as text", function()
    local _, code, err = lookup('missing = "fail",', "", nil, '{"id":"7","name":"ann"}\n')
    assert.equal(1, code)
    assert.matches("nothing in the table has id = 7, but the text 7: records and table must agree in the field's type", err)
  end)

  it("has an empty table, too", function()
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n', (lookup('missing = "keep",', "", nil, "")))
  end)

  for _, p in ipairs { 1, 2, 3 } do
    it("has read the whole table before the first record, at parallelism " .. p, function()
      local rows, expected = {}, {}
      for i = 1, 20000 do rows[i] = ('{"id":%d,"name":"u%d"}\n'):format(i, i) end
      for i = 1, 20000 do expected[i] = ('{"n":%d,"name":"u%d"}'):format(i, i) end
      local out, code, err = lookup('missing = "fail",', "--buffer-size 4k -p " .. p,
        'job:source(weir.sequence { from = 1, to = 20000 }):map(function(n) return { n = n, user = n } end)',
        table.concat(rows))
      assert.equal(0, code, err)
      assert.equal(script.lines(expected), out)
    end)
  end

  it("says when its table has no end, or comes from the stream that waits for it", function()
    local _, code, err = script.try(head .. [[
      local table = job:source(weir.generate { rate = 1, fn = function(i) return { id = i } end })
      job:source(weir.from { { user = 1 } }):connect(table:broadcast())
        :process(joins.lookup { by = "user", key = "id" }):sink(weir.print())
    ]])
    assert.equal(2, code)
    assert.matches('job.lua:%d+: operator "broadcast" reads its broadcast stream to the end first', err)
    assert.matches("has no end", err)
    _, code, err = script.try(head .. [[
      local one = job:source(weir.from { { user = 1, id = 1 } })
      one:connect(one:broadcast()):process(joins.lookup { by = "user", key = "id" }):sink(weir.print())
    ]])
    assert.equal(2, code)
    assert.matches('both its streams come from "from"', err)
  end)
end)

describe("a regular join", function()
  it("gives all pairs of a key", function()
    assert.equal(joined("inner", function() return true end), run_join("joins.regular { " .. pair .. " }", "-p 2"))
  end)

  -- Random records that come, come twice, and are taken back: { k, v, op }.
  local function changes(n, name)
    local list, there = {}, {}
    for i = 1, n do
      if #there > 0 and random(5) < 2 then
        local gone = table.remove(there, random(#there) + 1)
        list[i] = { k = gone.k, [name] = gone[name], op = random(2) == 0 and "delete" or "update_before" }
      else
        local rec = { k = "k" .. random(4), [name] = random(6) }
        there[#there + 1] = rec
        list[i] = { k = rec.k, [name] = rec[name], op = random(2) == 0 and "insert" or "update_after" }
      end
    end
    return list, there
  end

  -- All of a key with all, of what is there in the end; line → how often.
  local function model(kind, ls, rs)
    local out = {}
    local function one(l, r) out[line(l, r)] = (out[line(l, r)] or 0) + 1 end
    for _, l in ipairs(ls) do
      local met = false
      for _, r in ipairs(rs) do
        if l.k == r.k then met = true one(l, r) end
      end
      if not met and (kind == "left" or kind == "full") then one(l, nil) end
    end
    for _, r in ipairs(rs) do
      local met = false
      for _, l in ipairs(ls) do met = met or l.k == r.k end
      if not met and (kind == "right" or kind == "full") then one(nil, r) end
    end
    return out
  end

  for _, kind in ipairs { "inner", "left", "right", "full" } do
    it("of kind " .. kind .. " gives changes that lead to what the last records give", function()
      for round = 1, 6 do
        local left_changes, ls = changes(60, "l")
        local right_changes, rs = changes(40 + round * 5, "r")
        local out = script.try(head .. ([[
          local function side(list)
            return job:source(weir.from(list)):key_by "k":process(function(ctx, rec)
              local op = rec.op
              rec.op = nil
              ctx:emit(rec, nil, op)
            end)
          end
          side(%s):connect(side(%s)):key_by "k":process(joins.regular { kind = %q, %s })
            :sink(weir.print())
        ]]):format(literal(left_changes), literal(right_changes), kind, pair), "-q -p " .. round % 3 + 1)
        local there = {}
        for change in out:gmatch "[^\n]+" do
          local what, taken_back = change:gsub('"op":"%-D",?', "")
          local n = (there[what] or 0) + (taken_back == 0 and 1 or -1)
          assert.is_true(n >= 0, "taken back before it was given: " .. what)
          there[what] = n > 0 and n or nil
        end
        assert.same(model(kind, ls, rs), there)
      end
    end)
  end

  it("passes over what is taken back and is not there", function()
    assert.equal("", (script.try(head .. [[
      local function gone() return job:source(weir.from { { k = 1 } })
        :process(function(ctx, rec) ctx:emit(rec, nil, "delete") end) end
      gone():connect(gone()):key_by "k":process(joins.regular { kind = "full" }):sink(weir.print())
    ]], "-q")))
  end)

  it("has kinds that ctx:emit names", function()
    local _, code, err = script.try(head .. [[
      job:source(weir.from { 1 }):process(function(ctx, rec) ctx:emit(rec, nil, "upsert") end):sink(weir.print())
    ]])
    assert.equal(1, code)
    assert.matches('a record\'s kind is "insert", "update_before", "update_after" or "delete", not "upsert"', err)
  end)
end)

---------------------------------------------------------------- keyed

local function run_keyed(list, call)
  return script.run(head .. ("source(%s):key_by 'k':process(%s):sink(weir.print())"):format(literal(list), call), "-q")
end

describe("weir.keyed", function()
  it("deduplicate keeps the first record of a key", function()
    assert.equal('{"k":"a","ts":1,"v":1}\n{"k":"b","ts":2,"v":2}\n', run_keyed(
      { { k = "a", ts = 1, v = 1 }, { k = "b", ts = 2, v = 2 }, { k = "a", ts = 3, v = 3 } }, "keyed.deduplicate()"))
  end)

  it("deduplicate keeps the last record of each stretch of time", function()
    assert.equal('{"k":"a","ts":3,"v":3}\n{"k":"a","ts":70,"v":5}\n', run_keyed(
      { { k = "a", ts = 1, v = 1 }, { k = "a", ts = 70, v = 5 }, { k = "a", ts = 3, v = 3 }, { k = "a", ts = 2, v = 2 } },
      "keyed.deduplicate { keep = 'last', within = 60 }"))
  end)

  it("top keeps the n best, the earlier first of equals", function()
    assert.equal(table.concat({
      '{"top":[{"k":"a","ts":1,"v":5}]}',
      '{"top":[{"k":"a","ts":3,"v":9},{"k":"a","ts":1,"v":5}]}',
      '{"top":[{"k":"a","ts":3,"v":9},{"k":"a","ts":5,"v":6}]}',
    }, "\n") .. "\n", run_keyed({ { k = "a", ts = 1, v = 5 }, { k = "a", ts = 3, v = 9 }, { k = "a", ts = 4, v = 5 },
      { k = "a", ts = 5, v = 6 } }, "keyed.top { n = 2, by = 'v' }"))
  end)

  it("last gives the last n records with each", function()
    assert.equal('[1,2]\n[1]\n[2,3]\n', script.run(head .. ("source(%s):key_by 'k':process(keyed.last(2))"
      .. ":map(function(r) local v = {} for i, x in ipairs(r.last) do v[i] = x.v end return v end)"
      .. ":sink(weir.print())"):format(
        literal { { k = "a", ts = 1, v = 1 }, { k = "a", ts = 2, v = 2 }, { k = "a", ts = 3, v = 3 } }), "-q"))
  end)

  it("sessionize marks records with the start of their session", function()
    assert.equal('{"session":10,"v":1}\n{"session":10,"v":2}\n{"session":41,"v":3}\n', script.run(head
      .. ("source(%s):key_by 'k':process(keyed.sessionize { gap = 10 })"):format(
        literal { { k = "a", ts = 10, v = 1 }, { k = "a", ts = 20, v = 2 }, { k = "a", ts = 41, v = 3 } })
      .. ":map(function(r) return { v = r.v, session = r.session } end):sink(weir.print())", "-q"))
  end)

  it("fill repeats the last record up to the next one", function()
    assert.equal('{"filled":true,"k":"a","ts":0,"v":1}\n{"filled":true,"k":"a","ts":0,"v":1}\n{"k":"a","ts":0,"v":1}\n'
      .. '{"k":"a","ts":30,"v":2}\n', run_keyed({ { k = "a", ts = 0, v = 1 }, { k = "a", ts = 30, v = 2 } },
        "keyed.fill { every = 10 }"))
  end)

  it("rate divides the change by the time", function()
    assert.equal('{"k":"a","rate":5,"ts":2000,"v":20}\n', run_keyed(
      { { k = "a", ts = 0, v = 10 }, { k = "a", ts = 2000, v = 20 } }, "keyed.rate 'v'"))
  end)

  it("names the function and the line of a wrong option", function()
    local _, code, err = script.try(head .. "\nkeyed.top { n = 0, by = 'v' }", "-q")
    assert.equal(2, code)
    assert.is_truthy(err:find('job.lua:8: keyed.top: option "n" must be a whole number from 1 to 10000, not 0', 1, true), err)
  end)
end)

---------------------------------------------------------------- keyed, against models

describe("weir.keyed on random records gives what a walk over each key's records gives:", function()
  -- Records of a few keys with rising times, and for `shuffled` not in their order.
  local function sample(shuffled)
    local list, time = {}, 0
    for i = 1, 80 do
      time = time + random(4) * 7
      list[i] = { k = "k" .. random(3), ts = time, v = random(20) }
    end
    for i = shuffled and #list or 0, 2, -1 do
      local j = math.max(1, i - random(6))
      list[i], list[j] = list[j], list[i]
    end
    return list
  end

  local function number(v) return ("%.14g"):format(v) end

  -- `walk(records of a key, give)` gives lines; they are held against the part's output, key by key.
  local function check(call, show, walk, shuffled, delay)
    for _ = 1, 5 do
      local list, expected, by_key = sample(shuffled), {}, {}
      for _, r in ipairs(list) do
        by_key[r.k] = by_key[r.k] or {}
        table.insert(by_key[r.k], r)
      end
      for _, of_key in pairs(by_key) do
        walk(of_key, function(fmt, ...) expected[#expected + 1] = fmt:format(...) end)
      end
      assert.equal(script.lines(expected), script.run(head .. ([[
        source(%s, %q):parallelism(1):key_by "k":process(%s):process(function(ctx, rec)
          ctx:emit((%s)(rec, ctx:timestamp(), ctx:kind()), nil, "insert")
        end):sink(weir.print { format = "raw" })
      ]]):format(literal(list), delay or "1h", call, show), "-q -p 2"))
    end
  end

  local plain = 'function(r) return ("%s %d %g"):format(r.k, r.ts, r.v) end'
  local with_kind = 'function(r, t, kind) return ("%s %s %d %g"):format(kind, r.k, r.ts, r.v) end'

  it("deduplicate, first", function()
    check("keyed.deduplicate()", plain, function(list, give)
      give("%s %d %g", list[1].k, list[1].ts, list[1].v)
    end, true)
  end)

  for keep, better in pairs {
    earliest = function(a, b) return a.ts < b.ts end, latest = function(a, b) return a.ts >= b.ts end,
  } do
    it("deduplicate, " .. keep, function()
      check(("keyed.deduplicate { keep = %q }"):format(keep), with_kind, function(list, give)
        local kept
        for _, r in ipairs(list) do
          if not kept or better(r, kept) then
            if kept then give("update_before %s %d %g", kept.k, kept.ts, kept.v) end
            give("%s %s %d %g", kept and "update_after" or "insert", r.k, r.ts, r.v)
            kept = r
          end
        end
      end, true)
    end)
  end

  it("deduplicate, last of each stretch", function()
    check("keyed.deduplicate { keep = 'last', within = 50 }", plain, function(list, give)
      local last = {}
      for _, r in ipairs(list) do
        local at = math.floor(r.ts / 50)
        if not last[at] or r.ts >= last[at].ts then last[at] = r end
      end
      for _, r in pairs(last) do give("%s %d %g", r.k, r.ts, r.v) end
    end, true)
  end)

  it("top, as changes", function()
    check("keyed.top { n = 3, by = 'v', order = 'least', changes = true }", with_kind, function(list, give)
      local best = {}
      for _, r in ipairs(list) do
        local at = #best + 1
        while at > 1 and best[at - 1].v > r.v do at = at - 1 end
        table.insert(best, at, r)
        local out = table.remove(best, 4)
        if out ~= r then
          if out then give("delete %s %d %g", out.k, out.ts, out.v) end
          give("insert %s %d %g", r.k, r.ts, r.v)
        end
      end
    end, true)
  end)

  -- Random records that come and are taken back, some that are not there; the list after each change of one key.
  local function changing_tops(n, count)
    local changes, there, tops, lists = {}, {}, {}, {}
    for i = 1, count do
      local gone = #there > 0 and random(5) < 2 and random(#there) + 1
      local rec = gone and there[gone] or { v = random(9), id = random(3) }
      local op = gone and (random(2) == 0 and "delete" or "update_before") or random(2) == 0 and "insert" or "update_after"
      if not gone and random(8) == 0 then rec, op = { v = 5, id = 77 }, "delete" end -- is not there
      changes[i] = { k = "a", ts = i, v = rec.v, id = rec.id, op = op }
      if gone then
        for at, each in ipairs(there) do
          if each.v == rec.v and each.id == rec.id then
            table.remove(there, at)
            break
          end
        end
      elseif op ~= "delete" then
        there[#there + 1] = { v = rec.v, id = rec.id, at = i }
      end
      local sorted = { unpack(there) }
      table.sort(sorted, function(a, b)
        if a.v ~= b.v then return a.v > b.v end
        return a.at < b.at
      end)
      local at, text = {}, {}
      for j = 1, math.min(n, #sorted) do at[j], text[j] = sorted[j].at, sorted[j].v .. "/" .. sorted[j].id end
      local now = table.concat(at, " ")
      if now ~= (tops[#tops] or "") then
        tops[#tops + 1] = now
        lists[#lists + 1] = ("%06d %s"):format(i, table.concat(text, " "))
      end
    end
    return changes, lists
  end

  it("top with retract, as a list and as changes, over random changes", function()
    local job = [[
      source(%s):process(function(ctx, r)
        ctx:emit({ k = r.k, v = r.v, id = r.id }, nil, r.op)
      end):key_by "k":process(keyed.top { n = 3, by = "v", retract = true, changes = %s }):process(function(ctx, r)
        if not r.top then return ctx:emit(ctx:kind() .. " " .. r.v .. "/" .. r.id, nil, "insert") end
        local text = {}
        for i, each in ipairs(r.top) do text[i] = each.v .. "/" .. each.id end
        ctx:emit(("%%06d %%s"):format(ctx:timestamp(), table.concat(text, " ")))
      end):sink(weir.print { format = "raw" })
    ]]
    for _ = 1, 5 do
      local changes, lists = changing_tops(3, 300)
      local out = script.run(head .. job:format(literal(changes), "false"), "-q")
      assert.equal(table.concat(lists, "\n") .. "\n", out)
      local there = {}
      for kind, rec in script.run(head .. job:format(literal(changes), "true"), "-q"):gmatch "(%l+) ([^\n]+)" do
        there[rec] = (there[rec] or 0) + (kind == "insert" and 1 or -1)
      end
      for rec in lists[#lists]:gmatch "%d+/%d+" do there[rec] = (there[rec] or 0) - 1 end
      for rec, rest in pairs(there) do assert.equal(0, rest, rec) end
    end
  end)

  it("top says what to do when a record is taken back", function()
    local _, code, err = script.try(head .. [[
      source { { k = "a", ts = 1, v = 1 } }:process(function(ctx, r) ctx:emit(r, nil, "delete") end)
        :key_by "k":process(keyed.top { n = 2, by = "v" }):sink(weir.print())
    ]], "-q")
    assert.equal(1, code)
    assert.matches("keyed.top: a record is taken back %(delete%); with retract = true", err)
  end)
  it("refuses NaN, which has no rank", function()
    local out, code, err = script.try(head .. [[

      job:source(weir.from { { k = "a", v = 0 }, { k = "a", v = 2 }, { k = "a", v = 1 } })
        :map(function(r) return { k = r.k, v = r.v == 0 and 0 / 0 or r.v } end)
        :key_by "k":process(keyed.top { n = 1, by = "v" }):on_error "skip":sink(weir.print())]], "-q")
    assert.equal(0, code, err)
    assert.equal('{"top":[{"k":"a","v":2}]}\n', out)
    assert.matches('keyed.top: field "v" is no number', err)
  end)

  it("last", function()
    check("keyed.last(4)", 'function(r) local s = 0 for _, x in ipairs(r.last) do s = s * 31 + x.v end '
      .. 'return ("%s %d %.14g"):format(r.k, #r.last, s) end', function(list, give)
        for i, r in ipairs(list) do
          local s, n = 0, 0
          for j = math.max(1, i - 3), i do s, n = s * 31 + list[j].v, n + 1 end
          give("%s %d %s", r.k, n, number(s))
        end
      end, true)
  end)

  local fold = {
    count = function(l) return #l end,
    sum = function(l) local s = 0 for _, r in ipairs(l) do s = s + r.v end return s end,
    min = function(l) local s = math.huge for _, r in ipairs(l) do s = math.min(s, r.v) end return s end,
    max = function(l) local s = -1 for _, r in ipairs(l) do s = math.max(s, r.v) end return s end,
  }
  fold.avg = function(l) return fold.sum(l) / #l end
  for _, fn in ipairs { "count", "sum", "avg", "min", "max" } do
    for over, counts in pairs {
      [""] = function() return true end, ["rows = 3,"] = function(_, i, j) return i - j < 3 end,
      ["within = 40,"] = function(list, i, j) return list[j].ts > list[i].ts - 40 end,
    } do
      it(("running %s %s"):format(fn, over), function()
        check(("keyed.running { fn = %q, field = 'v', %s }"):format(fn, over),
          'function(r) return ("%s %d %.14g"):format(r.k, r.ts, r.running) end', function(list, give)
            for i, r in ipairs(list) do
              local part = {}
              for j = 1, i do
                if counts(list, i, j) then part[#part + 1] = list[j] end
              end
              give("%s %d %s", r.k, r.ts, number(fold[fn](part)))
            end
          end)
      end)
    end
  end

  it("sessionize", function()
    check("keyed.sessionize { gap = 20 }", 'function(r) return ("%s %d %d"):format(r.k, r.ts, r.session) end',
      function(list, give)
        local from
        for i, r in ipairs(list) do
          if i == 1 or r.ts > list[i - 1].ts + 20 then from = r.ts end
          give("%s %d %d", r.k, r.ts, from)
        end
      end)
  end)

  it("fill", function()
    check("keyed.fill { every = 10, max = 3 }",
      'function(r, t) return ("%s %d %g %s"):format(r.k, t, r.v, tostring(r.filled or false)) end',
      function(list, give)
        local before
        for _, r in ipairs(list) do
          local missing = before and math.ceil((r.ts - before.ts) / 10) - 1 or 0
          for i = 1, missing <= 3 and missing or 0 do give("%s %d %g true", r.k, before.ts + i * 10, before.v) end
          give("%s %d %g false", r.k, r.ts, r.v)
          if not before or r.ts > before.ts then before = r end
        end
      end)
  end)

  it("rate", function()
    check("keyed.rate { field = 'v', per = 10 }", 'function(r) return ("%s %d %.10g"):format(r.k, r.ts, r.rate) end',
      function(list, give)
        local before
        for _, r in ipairs(list) do
          if not before or r.ts > before.ts then
            if before then give("%s %d %.10g", r.k, r.ts, (r.v - before.v) / (r.ts - before.ts) * 10) end
            before = r
          end
        end
      end)
  end)

  it("followed_by of three", function()
    check("patterns.followed_by { within = 60, steps = { function(r) return r.v < 8 end, "
      .. "function(r, a) return r.v > a.v end, function(r, a, b) return r.v < b.v end } }",
      'function(r) local m = r.matched return ("%s %d %d %d"):format(m[1].k, m[1].ts, m[2].ts, m[3].ts) end',
      function(list, give)
        local a, b
        for _, r in ipairs(list) do
          if a and r.ts > a.ts + 60 then a, b = nil, nil end
          if not a then
            if r.v < 8 then a = r end
          elseif not b then
            if r.v > a.v then b = r end
          elseif r.v < b.v then
            give("%s %d %d %d", r.k, a.ts, b.ts, r.ts)
            a, b = nil, nil
          end
        end
      end)
  end)

  it("running says what it needs", function()
    local function says(call, text)
      local _, code, err = script.try(head .. call, "-q")
      assert.equal(2, code)
      assert.matches("job.lua:%d+: keyed.running: " .. text, err)
    end
    says("keyed.running { fn = 'sum' }", "sum needs field")
    says("keyed.running { fn = 'count', rows = 2, within = 2 }", "rows and within exclude each other")
  end)
end)

---------------------------------------------------------------- patterns

describe("patterns.followed_by", function()
  local steps = "steps = { function(r) return r.v == 1 end, function(r, a) return r.v == 2 and r.ts > a.ts end }"

  it("matches steps in order, others in between, and the next attempt behind it", function()
    assert.equal('{"a":10,"b":30}\n{"a":40,"b":50}\n', run_keyed({
      { k = "a", ts = 5, v = 2 }, { k = "a", ts = 10, v = 1 }, { k = "a", ts = 20, v = 3 }, { k = "a", ts = 30, v = 2 },
      { k = "a", ts = 35, v = 2 }, { k = "a", ts = 40, v = 1 }, { k = "a", ts = 50, v = 2 },
    }, "patterns.followed_by { " .. steps .. ", within = 100, match = function(a, b) return { a = a.ts, b = b.ts } end }"))
  end)

  it("gives what was not completed in time to a side output", function()
    assert.equal('{"begun":10}\n', script.run(head .. ("local s = source(%s):key_by 'k'"
      .. ":process(patterns.followed_by { %s, within = 15, timeout_to = 'timeout' }) s:sink(weir.print()) "
      .. "s:side_output 'timeout':map(function(r) return { begun = r.matched[1].ts } end):sink(weir.print())"):format(
        literal { { k = "a", ts = 10, v = 1 }, { k = "a", ts = 26, v = 2 } }, steps), "-q"))
  end)
end)
