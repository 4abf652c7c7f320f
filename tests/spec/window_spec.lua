--- Windows as they are drawn: what is refused, and what the plan says.

local draw = require "support.draw"

local head = 'local s = job:source(weir.from { { k = "a", ts = 1 } }) local w = weir.window local keyed = s:key_by "k" '

local function error_of(text) return (draw.error(head .. text):gsub("^job.lua:%d: ", "")) end

local mistakes = {
  { "stream:window needs a key", 's:window(w.tumbling "1s"):count()',
    "stream:window works per key, and this stream has none: put :key_by(…) before it, or take window_all" },
  { "stream:window takes a window", 'keyed:window "10s"',
    'stream:window: its argument must be a window such as weir.window.tumbling "10s", not "10s"' },
  { "F: a window of size zero", 'w.tumbling "0s"',
    'weir.window.tumbling: option "size" must be a positive duration such as "10s", "1h30m" or 500 (ms), not "0s"' },
  { "a misspelled option", 'w.tumbling { siez = "1s" }',
    'weir.window.tumbling: unknown option "siez"; did you mean "size"?' },
  { "a misspelled window", 'w.tumblin "1s"', 'weir.window has no tumblin; did you mean "tumbling"?' },
  { "W3: a negative offset of the size", 'w.tumbling { size = "10s", offset = "-10s" }',
    "weir.window.tumbling: the offset -10s must be smaller than 10s" },
  { "W3: an offset of the size", 'w.tumbling { size = "10s", offset = "10s" }',
    "weir.window.tumbling: the offset 10s must be smaller than 10s" },
  { "W7: an offset of the slide", 'w.sliding { size = "10s", slide = "2s", offset = "2s" }',
    "weir.window.sliding: the offset 2s must be smaller than 2s" },
  { "W7: a record in more than ten million windows", 'w.sliding { size = "3h", slide = 1 }',
    "weir.window.sliding: a record would be in 10800000 windows, more than 10000000: take a larger slide" },
  { "a cumulative window whose step does not divide it", 'w.cumulative { size = "10s", step = "3s" }',
    "weir.window.cumulative: the size 10s must be a multiple of the step 3s" },
  { "L14: a negative lateness", 'keyed:window(w.tumbling "1s"):allowed_lateness(-1)',
    'windowed:allowed_lateness: the lateness must be a duration such as "10s", "1h30m" or 500 (ms), not -1' },
  { "L17: an aggregate that opens, closes or has state of its own",
    'keyed:window(w.tumbling "1s"):aggregate { s = { open = function() end, add = function() end } }',
    'windowed:aggregate: unknown option "open"; there is add, init, merge, result' },
  { "L17: a reduce that is more than a function",
    'keyed:window(w.tumbling "1s"):reduce { open = function() end, reduce = function() end }',
    "windowed:reduce: its argument must be a function, not a table" },
  { "L14: a lateness that is too large", 'keyed:window(w.tumbling "1s"):allowed_lateness "100000000d"',
    'windowed:allowed_lateness: the lateness must be a duration such as "10s", "1h30m" or 500 (ms), not "100000000d"; '
      .. "it is too large: at most 104249d" },
  { "W11: a gap that is too large", "w.session(1e300)", 'weir.window.session: option "gap" must be a positive duration '
    .. 'such as "30m", or a function that gives milliseconds, not 1e+300; it is too large: at most 104249d' },
  { "M7: windows that merge under a trigger that cannot", [[local t = weir.trigger.delta { threshold = 1, fn = print }
      keyed:window(w.session "1s"):trigger(t):process(print)]],
    "windowed:process: the windows merge, and the trigger has no merge function, so it cannot (M7)" },
  { "M7: windows that merge under a timeout", [[keyed:window(w.session "1s"):trigger(weir.trigger.timeout(
      weir.trigger.count(3), "1s")):count()]],
    "windowed:count: the windows merge, and the trigger has no merge function, so it cannot (M7)" },
  { "M8: state of a window that merges",
    "keyed:window(w.session(10)):process { state = { n = weir.state.value() }, process = print }",
    'windowed:process: the state "n" belongs to a window, and windows that merge have none (M8): declare it as '
      .. "global_state" },
  { "lateness of windows that count", 'keyed:window(w.count(2)):allowed_lateness "1s"',
    "windowed:allowed_lateness: a record is late by event time, and a window that counts, or has no end, has none" },
  { "lateness of the global window", 'keyed:window(w.global()):allowed_lateness "1s"',
    "windowed:allowed_lateness: a record is late by event time, and a window that counts, or has no end, has none" },
  { "a key called like a bound of the window", 's:key_by("k", "window_start"):window(w.tumbling "1s"):count()',
    'windowed:count: a result has the "window_start" of its own window, and cannot have that of the key beside it: name '
      .. 'the key otherwise, key_by(function(r) return r.k, r.window_start end, "k", "of_start"), or take a process '
      .. "function" },
  { "a key of a function called like a bound of the window",
    's:key_by(print, "window_end"):window(w.session "1s"):aggregate { n = weir.agg.count() }',
    'windowed:aggregate: a result has the "window_end" of its own window, and cannot have that of the key beside it: '
      .. 'name the key otherwise, key_by(fn, "of_end"), or take a process function' },
  { "two key fields of one name", 's:key_by("u.id", "v.id")',
    'stream:key_by: the fields "u.id" and "v.id" would both be called "id" in results: name them, key_by(function(r) '
      .. 'return r.u.id, r.v.id end, "u_id", "v_id")' },
  { "an aggregate that is not called", 'keyed:window(w.tumbling "1s"):aggregate { sum = weir.agg.sum }',
    'windowed:aggregate: "sum" must be an aggregate such as weir.agg.sum "amount", not the function itself: call it' },
  { "an aggregate alone", 'keyed:window(w.tumbling "1s"):aggregate(weir.agg.count())',
    "windowed:aggregate takes a table of aggregates, { n = weir.agg.count() }, not one alone" },
  { "no aggregates", 'keyed:window(w.tumbling "1s"):aggregate {}',
    "windowed:aggregate: no aggregates: { n = weir.agg.count() }" },
  { "an aggregate called like the key", 'keyed:window(w.tumbling "1s"):aggregate { k = weir.agg.count() }',
    'windowed:aggregate: "k" is the name of a key field, which each result has: take another' },
  { "an aggregate called window_end", 'keyed:window(w.tumbling "1s"):count "window_end"',
    'windowed:count: "window_end" is the name of a field that each result has' },
  { "a misspelled method", 'keyed:window(w.tumbling "1s"):agregate {}',
    'windowed stream has no method "agregate"; did you mean "aggregate"?' },
  { "a sink behind a window without an aggregate", 'keyed:window(w.tumbling "1s"):sink(weir.print())',
    'windowed stream has no method "sink": make a stream of it first, with count, aggregate, reduce or process' },
  { "a map behind a window without an aggregate", 'keyed:window(w.tumbling "1s"):map(print)',
    'windowed stream has no method "map": make a stream of it first, with count, aggregate, reduce or process' },
  { "settings of a window without an aggregate", 'keyed:window(w.tumbling "1s"):uid "x"',
    'windowed stream has no method "uid": make a stream of it first, with count, aggregate, reduce or process' },
  { "a misspelled aggregate", "weir.agg.cnt()", "weir.agg has no cnt; there is avg, collect, count, distinct, "
    .. "distinct_approx, first, last, max, max_by, median, min, min_by, quantile, stddev, string_agg, sum, top" },
  { "a misspelled trigger", "weir.trigger.when()", "weir.trigger has no when; there is all, any, "
    .. "continuous_event_time, continuous_processing_time, count, delta, early, end_of_stream, event_time, never, "
    .. "processing_time, purging, timeout" },
  { "a misspelled evictor", "weir.evictor.size(3)", "weir.evictor has no size; there is count, delta, time" },
}

describe("a window", function()
  for _, case in ipairs(mistakes) do
    it("refuses " .. case[1], function()
      local message = error_of(case[2])
      if case[3] then assert.equal(case[3], message) end
    end)
  end

  it("takes a key called like a bound where its results have none", function()
    for _, text in ipairs { 's:key_by "window_end":window(w.count(2)):count()',
      's:key_by "window_end":window(w.tumbling "1s"):process(print)',
      'keyed:window(w.tumbling "1s"):count():key_by "window_start":max "count"' } do
      draw.plan(head .. text .. ":sink(weir.print())")
    end
  end)

  it("of declared aggregates is a stage of its own, with the key's names and the tag of late records", function()
    local plan = draw.plan(head .. [[
      local r = keyed:window(w.sliding { size = "10s", slide = "3s", offset = 500 }):allowed_lateness "1s"
        :late_to "old":aggregate { total = weir.agg.sum "x", n = weir.agg.count() }
      r:sink(weir.print()) r:side_output "old":sink(weir.discard())]])
    local stage = plan.vertices[2].stages[1]
    assert.equal("window", stage.kind)
    assert.same({ "k" }, stage.key)
    assert.same({ {
      name = "value", kind = "value",
      layout = "window sliding, time event, size 10000, slide 3000, offset 500, n = count(), total = sum(x)",
    } }, stage.states)
    assert.same({
      window = "sliding", size = 10000, slide = 3000, offset = 500, time = "event", on_end = "fire",
      lateness = 1000, late = "old", key_as = { "k" },
      aggregates = { { as = "n", fn = "count" }, { as = "total", fn = "sum", field = "x" } },
    }, stage.options)
    assert.equal("old", stage.outs[2].tag)
  end)

  it("over all records has one subtask, whatever the job's parallelism (W16)", function()
    local plan = draw.plan(head .. 's:window_all(w.tumbling "1s"):count():sink(weir.print())', { parallelism = 4 })
    local found
    for _, vertex in ipairs(plan.vertices) do
      for _, stage in ipairs(vertex.stages) do
        if stage.kind == "window" then
          found = vertex
          assert.is_nil(stage.key)
        end
      end
    end
    assert.equal(1, found.parallelism)
  end)
end)

describe("weir.triggers", function()
  it("is weir.trigger by another name", function() assert.equal(require("weir").trigger, require("weir").triggers) end)
end)
