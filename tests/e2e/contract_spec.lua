--- What a changed job may change, and finds again: the contract of state on restore.

local place = require "support.place"
local shell = require "support.shell"

local write, weir, sorted = place.write, place.weir, place.sorted

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local SOURCE = [[
local weir = require "weir"
local job = weir.job { name = "changed", max_parallelism = 128 }
local source = job:source(weir.generate { rate = tonumber(job.args.rate), count = 3000, fn = function(i)
  return { k = i %% 3, v = i, w = -i, big = 1LL + i, ts = i }
end }):uid "%s"
%s
return job
]]

--- A savepoint of a job, taken on its way; `text` is the job behind its source.
local function save(text, uid)
  write("job.lua", SOURCE:format(uid or "numbers", text))
  place.dies(weir, "run -q --dir state --checkpoint-every 10ms job.lua rate=2000 --fault checkpoint.complete:3=kill")
  local _, made, why = weir "savepoint --dir state -o x.weir"
  assert.equal(0, made, why)
end

--- The results of another job that goes on with it.
local function go_on(text, options, uid)
  write("job.lua", SOURCE:format(uid or "numbers", text))
  local out, code, err = weir("run -q --from x.weir job.lua " .. (options or ""))
  assert.equal(0, code, out .. err)
  return sorted(out), err
end

local function refused(what, text, uid)
  write("job.lua", SOURCE:format(uid or "numbers", text))
  local out, code, err = weir "run -q --from x.weir job.lua"
  assert.equal(2, code, out .. err)
  assert.truthy(err:find(what, 1, true), err)
  assert.equal("", out)
  return err
end

--- Sums of 0 to 2999 by n % 3.
local function total(k)
  local sum = 0
  for i = k, 2999, 3 do sum = sum + i end
  return sum
end

local function process(state, element, uid, more)
  return ([[source:key_by "k":process(weir.process_function { state = { %s },
    element = function(ctx, v) %s end, timer = function(ctx, time) %s end }):uid "%s":sink(weir.print())]])
    :format(state, element, more or "", uid or "op")
end

local COUNT = process("n = weir.state.value(), m = weir.state.map()",
  "ctx.n:set((ctx.n:get() or 0) + v.v) ctx.m:put(1, v.v) ctx:event_timer(10)", "op", "ctx:emit { k = ctx:key(), n = ctx.n:get() }")
local EXPECTED = ('{"k":0,"n":%d}\n{"k":1,"n":%d}\n{"k":2,"n":%d}'):format(total(0), total(1), total(2))

describe("state that a changed job has no place for", function()
  it("C33: is listed state by state, with timers and positions, and left behind only when that is allowed", function()
    save(COUNT)
    local moved = COUNT:gsub('uid "op"', 'uid "other"')
    local err = refused('has state that the job has no place for: "op".m, "op".n, "op".(timers); give the operators their former uid, '
      .. "or leave it behind with --allow-dropped-state", moved)
    assert.is_nil(err:find("numbers", 1, true))
    refused('no place for: "numbers.source".(its own: positions and the like);', COUNT, "figures")
    local one = COUNT:gsub(", m = weir.state.map%(%)", ""):gsub("ctx.m:put%(1, v.v%) ", "")
    refused('no place for: "op".m;', one)
    local out, warning = go_on(one, "--allow-dropped-state")
    assert.equal(EXPECTED, out)
    assert.truthy(warning:find('state that the job has no place for is left behind: "op".m', 1, true), warning)
    refused('no place for: "op".m, "op".n, "op".(timers);',
      'source:map(function(v) return nil end):uid "op":sink(weir.print())')
  end)

  it("is that of a broadcast side, too", function()
    save [[local rules = job:source(weir.from { 1, 2 }):uid "rules":broadcast()
      source:connect(rules):process(weir.broadcast_function { broadcast_state = { rules = weir.state.map() },
        broadcast = function(ctx, r) ctx.rules:put(r, r) end, element = function(ctx, v) end }):uid "op":sink(weir.print())]]
    refused('"op".rules', [[source:filter(function() return false end):uid "op":sink(weir.print())]])
  end)

  it("is not what operators without state were", function()
    save [[source:map(function(v) return v.v end):uid "a":filter(function(v) return v < 0 end):uid "b":sink(weir.print()):uid "c"]]
    assert.equal("", (go_on [[source:flat_map(function(v, emit) end):uid "x":sink(weir.print()):uid "y"]]))
  end)
end)

describe("the number of key groups", function()
  local derived = SOURCE:gsub(", max_parallelism = 128", "")

  local function go_on_at(p, groups)
    write("job.lua", (derived:gsub('name = "changed"', "%0" .. (groups and ", max_parallelism = " .. groups or ""))
      :format("numbers", COUNT)))
    return weir("run -q --from x.weir job.lua -p " .. p)
  end

  it("P7: is that of the state where it was not asked for, an error where it is another or too small", function()
    save(COUNT)
    local _
    local out, code, err = go_on_at(90) -- which alone would be 256
    assert.equal(0, code, err)
    assert.equal(EXPECTED, sorted(out))
    _, code, err = go_on_at(1, 256)
    assert.equal(2, code)
    assert.truthy(err:find('operator "op" has 256 key groups, its state has 128: say max_parallelism(128)', 1, true), err)
    _, code, err = go_on_at(129)
    assert.equal(2, code)
    assert.truthy(err:find('operator "op" has 129 subtasks, and its state 128 key groups: its parallelism can be 128 at most', 1,
      true), err)
  end)
end)

describe("state that is declared otherwise", function()
  it("as another kind is an error that says both", function()
    save(COUNT)
    for _, kind in ipairs { "list()", "map()", "reducing(math.max)" } do
      refused(("state 'n' of operator \"op\" is declared as %s, and was saved as value"):format(kind:match "%a+"),
        (COUNT:gsub("n = weir.state.value%(%)", "n = weir.state." .. kind)))
    end
  end)

  it("S11: with another time to live is fine, which the snapshot tells", function()
    save(COUNT)
    local timed = COUNT:gsub("n = weir.state.value%(%)", 'n = weir.state.value { ttl = "1h" }')
    assert.equal(EXPECTED, (go_on(timed)))
    assert.truthy(place.done("savepoint ls x.weir"):find "n +value +%d")
    shell.run("rm -rf " .. folder .. "/state")
    save(timed)
    write("fix.lua", "return function(sp) sp:operator('op'):map('n', function(v) return v end) end")
    place.done "savepoint edit x.weir fix.lua -o y.weir"
    for _, file in ipairs { "x.weir", "y.weir" } do
      assert.truthy(place.done("savepoint ls " .. file):find "n +value, ttl 1h +%d")
      assert.truthy(place.done("savepoint ls --json " .. file):find '"ttl_ms": ?3600000')
    end
  end)

  it("with more states begins those empty", function()
    save(COUNT)
    assert.equal(EXPECTED, (go_on((COUNT:gsub("n = weir.state.value%(%)", "n = weir.state.value(), z = weir.state.list()")))))
  end)

  it("for other aggregates or windows in C is an error that says both", function()
    local window = [[source:watermarks(weir.watermark.ascending { field = "ts" }):uid "marks"
      :key_by "k":window(weir.window.tumbling "%s"):aggregate { %s }:uid "op":sink(weir.print())]]
    save(window:format("1h", "n = weir.agg.count()"))
    assert.truthy((go_on(window:format("1h", "n = weir.agg.count()"))):find('"n":1000', 1, true))
    refused('what operator "op" has kept is for (window tumbling, time event, size 3600000, slide 3600000, offset 0, n = count()), '
      .. "and is of no use for (window tumbling, time event, size 3600000, slide 3600000, offset 0, a = sum(v), n = count()): "
      .. "give the new one another uid", window:format("1h", 'n = weir.agg.count(), a = weir.agg.sum "v"'))
    refused("size 60000", window:format("1m", "n = weir.agg.count()"))
  end)

  it("for a sum of another field, or another function, is an error", function()
    save [[source:key_by "k":sum("v", { emit = "final" }):uid "op":sink(weir.print())]]
    refused('what operator "op" has kept is for (sum, field v), and is of no use for (sum, field w)',
      [[source:key_by "k":sum("w"):uid "op":sink(weir.print())]])
    refused("is of no use for (max, field v)", [[source:key_by "k":max("v"):uid "op":sink(weir.print())]])
  end)
end)

describe("values in state", function()
  it("keep the fields that they were saved with: those that a job adds are nil in them", function()
    save(process("n = weir.state.value()", "local s = ctx.n:get() or { sum = 0 } s.sum = s.sum + v.v ctx.n:set(s) ctx:event_timer(10)"))
    local out = go_on(process("n = weir.state.value()",
      "local s = ctx.n:get() s.sum, s.since = s.sum + v.v, s.since == nil and 'restart' or s.since ctx.n:set(s) ctx:event_timer(10)",
      "op", "ctx:emit(ctx.n:get())"))
    assert.equal(('{"since":"restart","sum":%d}\n{"since":"restart","sum":%d}\n{"since":"restart","sum":%d}')
      :format(total(0), total(1), total(2)), out)
  end)

  it("keep fields that a job has dropped until they are written anew", function()
    save(process("n = weir.state.value()", "ctx.n:set { old = v.k, sum = ((ctx.n:get() or { sum = 0 }).sum) + v.v } ctx:event_timer(10)"))
    local out = go_on(process("n = weir.state.value()",
      "local s = ctx.n:get() assert(s.old == nil or s.old == v.k) ctx.n:set { sum = s.sum + v.v } ctx:event_timer(10)",
      "op", "ctx:emit(ctx.n:get())"))
    assert.equal(('{"sum":%d}\n{"sum":%d}\n{"sum":%d}'):format(total(0), total(1), total(2)), out)
  end)

  it("keep their type: a number stays one beside integers, and an integer beside numbers", function()
    save(process("n = weir.state.value()", "ctx.n:set((ctx.n:get() or 0) + v.v) ctx:event_timer(10)"))
    assert.equal(sorted(("%d\n%d\n%d"):format(total(0), total(1), total(2))),
      (go_on(process("n = weir.state.value()", "ctx.n:set(0LL + ctx.n:get() + v.v) ctx:event_timer(10)", "op", "ctx:emit(ctx.n:get())"))))
    shell.run(("rm -r %s/state"):format(folder))
    save(process("n = weir.state.value()", "ctx.n:set((ctx.n:get() or 0LL) + v.v) ctx:event_timer(10)"))
    assert.equal(sorted(("%d\n%d\n%d"):format(total(0), total(1), total(2))),
      (go_on(process("n = weir.state.value()", "ctx.n:set(ctx.n:get() + 0LL + v.v) ctx:event_timer(10)", "op", "ctx:emit(ctx.n:get())"))))
  end)

  it("of a sum in C are widened: numbers go on with integers, and integers with numbers", function()
    local sum = [[source:map(function(r) return { k = r.k, v = %s } end):uid "cast"
      :key_by "k":sum("v", { emit = "final" }):uid "op":sink(weir.print())]]
    local expected = sorted(('{"k":0,"v":%d}\n{"k":1,"v":%d}\n{"k":2,"v":%d}'):format(total(0), total(1), total(2)))
    for _, types in ipairs { { "r.v", "0LL + r.v" }, { "0LL + r.v", "r.v" }, { "0LL + r.v", "0LL + r.v" } } do
      save(sum:format(types[1]))
      local out = go_on(sum:format(types[2]))
      assert.equal(expected, (out:gsub('"sum"', '"v"')))
      shell.run(("rm -r %s/state"):format(folder))
    end
  end)
end)
