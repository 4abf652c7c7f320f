--- Early results of tumbling windows: the operator in C and its twin in Lua give the same at each step, whatever
--- comes, in event time and by the clock, over restarts. SEEDS=n tries more.

local kit = require "weir.test"
local weir = require "weir"

local SEEDS = tonumber(os.getenv "SEEDS" or 20)
local window, agg = weir.window, weir.agg

local function aggregates() return { n = agg.count(), sum = agg.sum "n", most = agg.max "n" } end

-- The twin is what a process function behind the aggregates needs.
local function twins(trigger, lateness)
  return function(s)
    return s:key_by("k"):window(window.tumbling(60)):trigger(trigger()):allowed_lateness(lateness)
      :aggregate(aggregates()):uid "w"
  end, function(s)
    return s:key_by("k"):window(window.tumbling(60)):trigger(trigger()):allowed_lateness(lateness)
      :aggregate(aggregates(), function(ctx, r)
        r.k, r.window_start, r.window_end = ctx:key(), ctx:window()
        ctx:emit(r)
      end):uid "w"
  end
end

local function lines(t)
  local out = {}
  for i, r in ipairs(t:output()) do
    out[i] = ("%s [%d,%d) n=%d sum=%d most=%d"):format(r.k, r.window_start, r.window_end, r.n, r.sum, r.most)
  end
  table.sort(out)
  return table.concat(out, "; ")
end

-- Both for the same steps, drawn from a seed; the clock begins at `clock`. Gives how many results there were.
local function run(seed, clock, trigger, lateness)
  local both, time, watermark, given = {}, -100, nil, 0
  for i, make in ipairs { twins(trigger, lateness) } do both[i] = kit.harness(make, { time = "ts" }) end
  math.randomseed(seed)
  for _, t in ipairs(both) do t:processing_time(clock) end
  for step = 1, 80 do
    local roll, by, back, key, n = math.random(8), math.random(40), math.random(70), math.random(3), math.random(50)
    time = time + math.random(12)
    local said = roll == 2 and time - 20 > (watermark or -1000)
    if said then watermark = time - 20 end
    for _, t in ipairs(both) do
      if roll == 1 then t:advance(by) elseif said then t:watermark(watermark)
      elseif roll == 3 and step % 5 == 0 then t:restart()
      else t:feed { k = "k" .. key, n = n, ts = time - back } end
    end
    local native, lua = lines(both[1]), lines(both[2])
    assert.equal(lua, native, ("seed %d, step %d"):format(seed, step))
    given = given + select(2, native:gsub("%[", ""))
  end
  for _, t in ipairs(both) do t:finish() end
  local native, lua = lines(both[1]), lines(both[2])
  assert.equal(lua, native, ("seed %d, at the end"):format(seed))
  assert.equal(both[2]:late "w", both[1]:late "w")
  return given
end

describe("early results", function()
  for name, trigger in weir.pairs {
    ["T6: by event time"] = function() return weir.trigger.early { every = 7, time = "event" } end,
    ["T7: by the clock"] = function() return weir.trigger.early(9) end,
  } do
    for _, lateness in ipairs { 0, 50 } do
      it(("%s are the same in C and in Lua, with lateness %d"):format(name, lateness), function()
        local given = 0
        for seed = 1, SEEDS do
          given = given + run(seed, -100, trigger, lateness) + run(seed, 1e12, trigger, lateness)
        end
        assert.is_true(given > 40 * SEEDS)
      end)
    end
  end

  it("leave no timers behind when their window is over", function()
    local t = kit.harness((twins(function() return weir.trigger.early(1000) end, 0)), { time = "ts" })
    t:processing_time(-5000)
    t:feed { { k = "a", n = 1, ts = 5 }, { k = "a", n = 1, ts = 65 }, { k = "b", n = 1, ts = 5 } }
    assert.is_true(#t:timers("w", "b") == 2)
    t:watermark(59)
    assert.equal(0, #t:timers("w", "b"))
    assert.equal(2, #t:timers("w", "a"))
    t:watermark(119)
    assert.equal(0, #t:timers("w", "a"))
  end)

  it("of declared aggregates are made in C", function()
    local t = kit.harness((twins(function() return weir.trigger.early(9) end, 0)), { time = "ts" })
    assert.has_error(function() t:states("w", "contents") end) -- a state of the operator in Lua
  end)
end)
