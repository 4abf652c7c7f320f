--- The rows of the semantics about windows, triggers and evictors, on the operator in Lua. Its twin in C is
--- held against a model (tests/unit/window) and against this one (window_twins_spec).

local windows = require "support.windows"

-- { name, window, what is done with it, steps, what comes out [, late records are read] }
local cases = {
  ---- 1 window assignment
  { "W1: windows are aligned by floor division, before 1970 as well", "w.tumbling(7)", "process(ids)",
    "a@-8 b@-7 c@-1 d@6 wmmax", "[-14,-7)a@-8 [-7,0)bc@-1 [0,7)d@6" },
  { "W1: an offset moves all windows", "w.tumbling { size = 7, offset = 3 }", "process(ids)",
    "a@-10 b@2 c@3 wmmax", "[-11,-4)a@-5 [-4,3)b@2 [3,10)c@9" },
  { "W1: so does a negative one", "w.tumbling { size = 7, offset = -2 }", "process(ids)",
    "a@-12 b@-7 c@4 d@12 wmmax", "[-16,-9)a@-10 [-9,-2)b@-3 [-2,5)c@4 [12,19)d@18" },
  { "W2: a window ends before its end", "w.tumbling(10)", "process(ids)", "a@9 b@10 wm9", "[0,10)a@9" },
  { "W4: stagger moves the windows of a subtask once, to where the clock was at its first record",
    'w.tumbling { size = 10, stagger = "natural" }', "process(ids)", "pt1003 a@1 pt1008 b@2 c@3 wmmax",
    "[-7,3)ab@2 [3,13)c@12" },
  { "W6: the newest of a record's sliding windows comes first", "w.sliding { size = 20, slide = 10 }",
    "trigger(t.count(1)):process(ids)", "a@15", "[10,30)a@29 [0,20)a@19" },
  { "W8: a record between two windows is in none, and not late", "w.sliding { size = 5, slide = 10 }",
    "process(ids)", "a@4 b@7 wmmax", "none:b [0,5)a@4" },
  { "W8: but late once its own time is over", "w.sliding { size = 5, slide = 10 }", "process(ids)",
    "wm7 a@7 b@8", "late:a none:b", true },
  { "W9: sessions that touch are one", "w.session(10)", "process(ids)", "a@0 b@10 c@21 wmmax",
    "[0,20)ab@19 [21,31)c@30" },
  { "W11: of a gap that a function gives, the whole milliseconds count", "w.session(function() return 10.9 end)",
    "process(ids)", "a@0 b@10 c@21 wmmax", "[0,20)ab@19 [21,31)c@30" },
  { "W10: one record joins two sessions", "w.session(10)", "process(ids)", "a@0 b@20 c@10 wmmax", "[0,30)abc@29" },
  { "W12: windows of processing time are those of the clock", 'w.tumbling { size = 10, time = "processing" }',
    "process(ids)", "pt105 a@3 b pt109 c@900 pt111", "[100,110)abc@109" },
  { "W13: the global window never fires by itself", "w.global()", "process(ids)", "a@1 b wmmax pt999", "" },
  { "W14: a count window gives nothing that is not full", "w.count(2)", "process(ids)", "a b c wmmax",
    "[-inf,inf)ab@max" },
  { "W14 as decided: partial_at_end gives the rest", "w.count { size = 2, partial_at_end = true }", "process(ids)",
    "a b c wmmax", "[-inf,inf)ab@max [-inf,inf)c@max" },
  { "W15: a sliding count fires before it is full, over the last ones", "w.count { size = 3, slide = 2 }",
    "process(ids)", "a b c d e f", "[-inf,inf)ab@max [-inf,inf)bcd@max [-inf,inf)def@max" },

  ---- 2 life
  { "L1: a window is late when its end and lateness are over", "w.tumbling(10)",
    "allowed_lateness(5):process(ids)", "a@1 wm13 b@2 wm14 c@3", "[0,10)a@9 [0,10)ab@9 late:c", true },
  { "L2: nothing is late in processing time", 'w.tumbling { size = 10, time = "processing" }', "process(ids)",
    "wm900 pt5 a@1 pt10 b@1 pt20", "[0,10)a@9 [10,20)b@19" },
  { "L3: a late record that nobody reads is counted and dropped", "w.tumbling(10)", "process(ids)", "wm9 a@1",
    "dropped:a" },
  { "L4: the newer windows of a record take it although the older ones are over",
    "w.sliding { size = 20, slide = 10 }", "process(ids)", "a@5 wm9 b@5 c@15 wmmax",
    "[-10,10)a@9 [0,20)abc@19 [10,30)c@29" },
  { "L5: each late record within lateness gives another result", "w.tumbling(10)",
    "allowed_lateness(20):process(ids)", "a@1 wm9 b@2 c@3", "[0,10)a@9 [0,10)ab@9 [0,10)abc@9" },
  { "L6: the record is in the contents when the trigger fires, and purging comes after", "w.tumbling(10)",
    "trigger(t.purging(t.count(2))):process(ids)", "a@1 b@2 c@3 d@4", "[0,10)ab@9 [0,10)cd@9" },
  { "L7: purging keeps the trigger's state", "w.tumbling(10)", [[trigger {
      state = { n = weir.state.value() },
      element = function(ctx)
        ctx.n:set((ctx.n:get() or 0) + 1)
        return ctx.n:get() == 2 and "purge" or ctx.n:get() == 3 and "fire" or nil
      end,
    }:process(ids)]], "a@1 b@2 c@3", "[0,10)c@9" },
  { "L8: where firing and cleanup meet, the window fires first", "w.tumbling(10)", "process(ids)", "a@1 wm9 wm20",
    "[0,10)a@9" },
  { "L10: the global window is never cleaned up", "w.global()", "trigger(t.count(2)):process(ids)",
    "a@1 wm999999 b@1", "[-inf,inf)ab@max" },
  { "L12: results have the window's last time, also when they come late or early", "w.tumbling(10)",
    "allowed_lateness(9):trigger(t.any { t.count(1), t.event_time() }):process(ids)", "a@1 wm9 b@2",
    "[0,10)a@9 [0,10)a@9 [0,10)ab@9" },
  { "L13: a window that was purged gives nothing", "w.tumbling(10)", [[trigger {
      element = function(ctx) ctx:event_timer(9) return "purge" end,
      event_time = function() return "fire" end,
    }:process(ids)]], "a@1 wm9", "" },
  { "L15: what an evictor drops is gone for later firings", "w.tumbling(10)",
    [[trigger(t.count(1)):evictor(e.delta { threshold = 3, fn = function(r, last) return math.abs(r.n - last.n) end })
      :process(ids)]], "1@1 5@2 3@3", "[0,10)1@9 [0,10)5@9 [0,10)53@9" },
  { "L15: an evictor after the function", "w.tumbling(10)",
    'trigger(t.count(2)):evictor(e.count { count = 1, when = "after" }):process(ids)', "a@1 b@2 c@3 d@4",
    "[0,10)ab@9 [0,10)bcd@9" },
  { "L16: with an evictor, aggregates are made when the window fires", "w.tumbling(10)",
    'evictor(e.count(2)):aggregate { s = agg.sum "n", n = agg.count() }', "1@1 20@2 300@3 wm9",
    '{"k":"k","n":2,"s":320,"window_end":10,"window_start":0}@9' },

  ---- 3 merging
  { "M1: a record that is late by itself is taken if it joins a live session", "w.session(10)", "process(ids)",
    "a@15 wm20 b@8 c@-3 wmmax", "dropped:c [8,25)ab@24" },
  { "M2: contents of all merged windows, of the first one first", "w.session(10)", "process(ids)",
    "c@20 b@0 a@10 d@11 wmmax", "[0,30)bcad@29" },
  { "M3: the old windows' timers are gone after a merge", "w.session(10)", "process(ids)", "a@0 b@5 wm9 wm14",
    "[0,15)ab@14" },
  { "M4: a record inside of a session merges nothing", "w.session(10)", [[trigger {
      element = function() end, merge = function() error "merged" end, event_time = function() return "fire" end,
      clear = function() end,
    }:process(ids)]], "a@0 b@0 c@0", "" },
  { "M9: merging counts adds them up and does not fire by itself", "w.session(10)",
    "trigger(t.count(4)):process(ids)", "a@0 b@1 c@18 d@9 e@9", "[0,28)abcd@27" },
  { "M10: a merged session whose end is over fires by its record, once", "w.session(10)",
    "allowed_lateness(99):process(ids)", "a@0 wm20 b@6 wm21", "[0,10)a@9 [0,16)ab@15" },
  { "M11: aggregates merge where windows do", "w.session(10)",
    'aggregate { n = agg.count(), l = agg.collect "id", s = agg.sum "n" }', "1@0 20@18 300@9 wmmax",
    '{"k":"k","l":["1","20","300"],"n":3,"s":321,"window_end":28,"window_start":0}@27' },

  ---- 4 triggers and evictors
  { "T1: a count trigger begins anew when it has fired, whether contents were purged or not", "w.tumbling(10)",
    "trigger(t.count(2)):process(ids)", "a@1 b@2 c@3 d@4", "[0,10)ab@9 [0,10)abcd@9" },
  { "T2: a trigger of your own replaces the default", "w.tumbling(10)", "trigger(t.count(9)):process(ids)",
    "a@1 wmmax", "" },
  { "T3: purging leaves a purge as it is", "w.tumbling(10)", [[trigger(t.purging {
      element = function(_, r) return r.id == "p" and "purge" or r.id == "f" and "fire" or nil end,
    }):process(ids)]], "a@1 p@1 b@1 f@1 c@1 f@1", "[0,10)bf@9 [0,10)cf@9" },
  { "T4: the processing time trigger fires at each timer of its window, whoever set it",
    'w.tumbling { size = 10, time = "processing" }', [[trigger(t.any { t.processing_time(),
      { element = function(ctx) ctx:processing_timer(103) end } }):process(ids)]], "pt101 a pt103 pt104 b pt110",
    "[100,110)a@109 [100,110)ab@109 [100,110)ab@109" },
  { "T5: the event time trigger fires at the window's end only", "w.tumbling(10)", [[trigger(t.any { t.event_time(),
      { element = function(ctx) ctx:event_timer(5) end } }):process(ids)]], "a@1 wm5 wm9", "[0,10)a@9" },
  { "T6: continuous event time fires at multiples of the interval and at the end", "w.tumbling(25)",
    'trigger(t.continuous_event_time(10)):process(ids)', "a@3 wm9 wm10 b@11 wm20 wm24",
    "[0,25)a@24 [0,25)ab@24 [0,25)ab@24" },
  { "T6 as decided: multiples before 1970 are those of floor division", "w.tumbling(30)",
    'trigger(t.continuous_event_time(10)):process(ids)', "a@-13 wm-10", "[-30,0)a@-1" },
  { "T6: a record behind the end of its window fires at once", "w.tumbling(25)",
    'allowed_lateness(99):trigger(t.continuous_event_time(10)):process(ids)', "wm30 a@3", "[0,25)a@24" },
  { "T7: continuous processing time fires at multiples of the interval", "w.global()",
    "trigger(t.continuous_processing_time(10)):process(ids)", "pt3 a b pt10 pt11 c pt21",
    "[-inf,inf)ab@max [-inf,inf)abc@max" },
  { "T7: and once more at the end of the window, which is no multiple",
    'w.tumbling { size = 25, time = "processing" }', "trigger(t.continuous_processing_time(10)):process(ids)",
    "pt3 a pt11 b pt21 c pt26", "[0,25)a@24 [0,25)ab@24 [0,25)abc@24" },
  { "T7: a first firing is at the end of the window, too, if no multiple comes before",
    'w.tumbling { size = 25, time = "processing" }', "trigger(t.continuous_processing_time(10)):process(ids)",
    "pt21 a pt26", "[0,25)a@24" },
  { "T8: delta compares with the record of the last firing, strictly", "w.global()",
    "trigger(t.delta { threshold = 5, fn = function(a, b) return b.n - a.n end }):process(ids)",
    "1 6 7 11 13", "[-inf,inf)167@max [-inf,inf)1671113@max" },
  { "T9: a timeout fires what has come so far", "w.global()",
    "trigger(t.timeout(t.purging(t.count(3)), 10)):process(ids)", "pt5 a pt7 b pt16 c d pt27",
    "[-inf,inf)ab@max [-inf,inf)abcd@max" },
  { "T9: the timeout is gone when the other trigger fires", "w.global()",
    "trigger(t.timeout(t.count(2), 10)):process(ids)", "pt5 a b pt99", "[-inf,inf)ab@max" },
  { "T9: with reset each record begins it anew", "w.global()",
    "trigger(t.timeout(t.never(), { timeout = 10, reset = true })):process(ids)", "pt5 a pt9 b pt16 c pt27",
    "[-inf,inf)abc@max" },
  { "T9: without clear the other trigger goes on where it was", "w.global()",
    "trigger(t.timeout(t.count(3), { timeout = 10, clear = false })):process(ids)", "pt5 a b pt16 c d pt27",
    "[-inf,inf)ab@max [-inf,inf)abc@max [-inf,inf)abcd@max" },
  { "T9: a timer of the other trigger fires whatever that says, and purges if it says so", "w.tumbling(10)",
    [[trigger(t.timeout({
      element = function(ctx, r) ctx:event_timer(r.n) end,
      event_time = function(_, time) return time == 5 and "purge" or nil end,
    }, 10)):process(ids)]], "3@1 wm3 5@1 wm5 7@1 wm7", "[0,10)3@9 [0,10)35@9 [0,10)7@9" },
  { "T10: a count evictor keeps the last ones", "w.tumbling(10)", "evictor(e.count(2)):process(ids)",
    "a@1 b@2 c@3 wm9", "[0,10)bc@9" },
  { "T11: a time evictor drops what is as old as its size", "w.tumbling(99)", "evictor(e.time(10)):process(ids)",
    "a@10 b@11 c@20 wmmax", "[0,99)bc@98" },
  { "T11: times stay with their records when sessions merge", "w.session(10)", "evictor(e.time(12)):process(ids)",
    "c@20 b@0 a@10 d@11 wmmax", "[0,30)cad@29" },
  { "T11: without times it drops nothing", "w.global()", "trigger(t.count(2)):evictor(e.time(1)):process(ids)",
    "a b", "[-inf,inf)ab@max" },
  { "T12: a delta evictor compares with the last record, threshold included", "w.tumbling(10)",
    "evictor(e.delta { threshold = 3, fn = function(r, last) return last.n - r.n end }):process(ids)",
    "1@1 4@2 5@3 7@4 wm9", "[0,10)57@9" },
  { "T13: end of stream fires at the last watermark only", "w.global()", "trigger(t.end_of_stream()):process(ids)",
    "a wm999 b wmmax", "[-inf,inf)ab@max" },
  { "early firing gives results so far, and the full one at the end", "w.tumbling(100)",
    "trigger(t.early(10)):process(ids)", "pt5 a@1 pt11 b@2 pt21 wm99", "[0,100)a@99 [0,100)ab@99 [0,100)ab@99" },
  { "all fires when each of them has fired", "w.global()",
    "trigger(t.all { t.count(2), t.count(3) }):process(ids)", "a b c d e f", "[-inf,inf)abc@max [-inf,inf)abcdef@max" },
  { "windows of different keys know nothing of each other", "w.session(10)", "process(ids)",
    "x/a@1 y/b@5 x/c@4 wmmax", "x:[1,14)ac@13 y:[5,15)b@14" },
  { "reduce gives the record with the bounds of its window", "w.tumbling(10)",
    "reduce(function(a, b) return { n = a.n + b.n } end)", "1@1 20@2 wm9", '{"n":21,"window_end":10,"window_start":0}@9' },
  { "max_by gives the whole record", "w.tumbling(10)", 'max_by "n"', "1@1 20@2 3@3 wm9",
    '{"id":"20","k":"k","n":20,"window_end":10,"window_start":0}@9' },
  { "a process function behind an aggregate gets its result", "w.tumbling(10)",
    'aggregate({ n = agg.count() }, function(ctx, r) ctx:emit { n = r.n, key = ctx:key() } end)', "a@1 b@2 wm9",
    '{"key":"k","n":2}@9' },
}

describe("a window in Lua:", function()
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(case[5], windows.run(case[2], case[3], case[4], case[6]))
    end)
  end
end)

-- { name, window, what is done with it, steps, part of the error }
local failures = {
  { "W5: a record without a time", "w.tumbling(10)", "process(ids)", "a", "the record has no timestamp" },
  { "W11: a gap of zero", "w.session(function() return 0 end)", "process(ids)", "a@1",
    "the gap function of a session returned 0; it must give a positive number" },
  { "W11, F: a gap function that returns too much", "w.session(function() return 1e300 end)", "process(ids)", "a@1",
    "returned 1e+300; it must give a positive number of milliseconds, and this is too large" },
  { "W11, F: a gap function that returns nil", "w.session(function() end)", "process(ids)", "a@1",
    "the gap function of a session returned nil" },
  { "M5, F: a merge that shrinks the window", [[w.new { assign = function(_, ts, add) add(ts, ts + 10) end,
      merge = function(s) return s, s + 1 end }]], "process(ids)", "a@1 wm5 b@2",
    "merging windows gave a window that ends at 2, which is over already (watermark 5)" },
  { "F: a trigger that returns an unknown word", "w.tumbling(10)",
    'trigger { element = function() return "fier" end }:process(ids)', "a@1",
    'a trigger returns "continue", "fire", "purge" or "fire_and_purge", not "fier"' },
  { "an evictor that returns something else", "w.tumbling(10)",
    "evictor { before = function() return 5 end }:process(ids)", "a@1 wm9",
    "returned a number: it gives the list of elements to keep, { record =, time = } each as it was given them" },
  { "an evictor that returns a list of something else, with its line", "w.tumbling(10)",
    "evictor { before = function() return { 1, 2 } end }:process(ids)", "a@1 wm9",
    "the evictor (job.lua:10) returned a list with a number at 1" },
  { "an evictor that returns the records", "w.tumbling(10)",
    "evictor { after = function(_, list) return { list[1].record } end }:process(ids)", "a@1 wm9",
    "returned a list with a table without record at 1" },
  { "an evictor that leaves a hole", "w.tumbling(10)",
    "evictor { before = function(_, list) list[2] = nil end }:count()", "a@1 b@2 c@3 wm9",
    "left a table with holes or names" },
  { "a trigger that nobody calls at its event timer", "w.tumbling(10)",
    "trigger { element = function(ctx) ctx:event_timer(5) end, processing_time = function() end }:process(ids)", "a@1",
    "the trigger has no event_time function: :trigger { event_time = function(ctx, time) … end, … }" },
  { "a trigger that nobody calls at its processing timer", "w.tumbling(10)",
    "trigger(t.purging { element = function(ctx) ctx:processing_timer(5) end }):process(ids)", "a@1",
    "the trigger has no processing_time function" },
  { "emit called with a dot", "w.tumbling(10)", "process(function(ctx) ctx.emit { n = 1 } end)", "a@1 wm9",
    "emit is called with a colon: ctx:emit(record)" },
  { "F: an assigner that gives a million windows", [[{ assign = function(_, _, add)
      for i = 1, 1e6 do add(i, i + 1) end end }]], "process(ids)", "a@1",
    "the assigner gives more than 100000 windows for one record" },
  { "F: an assigner that gives a window that ends before it starts",
    "{ assign = function(_, ts, add) add(ts, ts - 1) end }", "process(ids)", "a@1",
    "an assigner gives windows with a start before their end, not 1 to 0" },
  { "F: an assigner that gives a window that ends between two milliseconds",
    "{ assign = function(_, ts, add) add(ts, ts + 7.5) end }", "process(ids)", "a@1",
    "an assigner gives windows of whole milliseconds, not 1 to 8.5" },
  { "W11: a gap of less than a millisecond", "w.session(function() return 0.5 end)", "process(ids)", "a@1",
    "the gap function of a session returned 0.5" },
  { "F: a time in no calendar", "w.tumbling(10)", "process(ids)", "a@9007199254740992", "is no time" },
  { "an aggregate of a field that is missing", "w.session(function() return 10 end)", 'sum "x"', "a@1", "field 'x' is missing" },
}

describe("a window in Lua refuses", function()
  for _, case in ipairs(failures) do
    it(case[1], function()
      local ok, err = pcall(windows.run, case[2], case[3], case[4])
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[5], 1, true), tostring(err))
    end)
  end
end)

describe("a window in Lua", function()
  local function left(text, steps)
    local b = windows.new("keyed:" .. text)
    b:steps(steps)
    local n = b:left()
    b:free()
    return n
  end

  it("L9: leaves nothing behind: contents, trigger state, merging set and timers go", function()
    for _, window in ipairs { "w.tumbling(10)", "w.sliding { size = 20, slide = 5 }", "w.session(10)" } do
      for _, trigger in ipairs { "t.event_time()", "t.count(3)", "t.continuous_event_time(3)", "t.purging(t.count(2))",
        "t.any { t.count(2), t.event_time() }", "t.early(10)", "t.all { t.count(2), t.event_time() }" } do
        local text = ("window(%s):trigger(%s):allowed_lateness(7):process(ids)"):format(window, trigger)
        assert.equal(0, left(text, "pt5 a@1 b@4 c@9 wm11 d@5 x/e@30 f@42 pt20 g@50 wmmax pt9000"), text)
      end
    end
  end)

  it("L9: calls clear of the process function and of the trigger when it goes", function()
    local b = windows.new [[keyed:window(w.tumbling(10)):trigger {
        element = function() end, clear = function(ctx) cleared = (cleared or 0) + 1 end,
      }:process { process = ids, clear = function(ctx) gone = (gone or 0) + select(2, ctx:window()) end,
        state = { n = weir.state.value() } }]]
    b:steps "a@1 b@15 wm9"
    assert.equal(1, cleared) -- luacheck: ignore
    assert.equal(10, gone) -- luacheck: ignore
    b:free()
    cleared, gone = nil, nil -- luacheck: ignore
  end)

  it("keeps state of the window apart from state of the key", function()
    local b = windows.new [[keyed:window(w.tumbling(10)):trigger(t.count(1)):process {
        state = { mine = weir.state.value() }, global_state = { all = weir.state.list() },
        process = function(ctx, records)
          ctx.mine:set((ctx.mine:get() or 0) + 1)
          ctx.all:add(records[#records].id)
          ctx:emit(ctx.mine:get() .. table.concat(ctx.all:all()))
        end }]]
    assert.equal("1a@9 2ab@9 1abc@19 3abcd@9", b:steps "a@1 b@2 c@11 d@3")
    b:free()
  end)

  it("L11: a timer for a window that was merged away does nothing", function()
    local b = windows.new [[keyed:window(w.session(10)):trigger {
        element = function(ctx) local _, stop = ctx:window() ctx:event_timer(stop - 1) end,
        event_time = function() return "fire" end, merge = function() end,
      }:process(ids)]] -- no clear: the timer of the first window stays
    assert.equal("[0,15)ab@14", b:steps "a@0 b@5 wm9 wm14")
    b:free()
  end)

  it("M6: the merging set is written when it has changed, and only then", function()
    local b = windows.new "keyed:window(w.session(10)):process(ids)"
    local function writes(steps)
      local before = b.merging_writes
      b:steps(steps)
      return b.merging_writes - before
    end
    assert.equal(1, writes "a@0") -- a session begins
    assert.equal(0, writes "b@0 c@0") -- inside of it
    assert.equal(1, writes "d@5") -- it grows
    assert.equal(0, writes "e@3 f@2")
    assert.equal(1, writes "wm14") -- it goes
    b:free()
  end)

  it("F: a count evictor keeps no more than it can ever show, however many records come", function()
    local b = windows.new [[keyed:window(w.tumbling(1000)):evictor(e.count(3)):process(ids)]]
    local most = 0
    for i = 1, 500 do
      b:steps(("%d@%d"):format(i, i))
      most = math.max(most, b:held())
    end
    assert.is_true(most > 3 and most < 100, most)
    assert.equal("[0,1000)498499500@999", b:steps "wmmax")
    b:free()
  end)

  it("logs the first late record that is dropped, once", function()
    local b = windows.new "keyed:window(w.tumbling(10)):process(ids)"
    b:steps "wm50 a@1 b@2"
    assert.equal(1, #b.notes)
    assert.truthy(b.notes[1]:find("drops late records, this is the first: time 1, watermark 50", 1, true))
    b:free()
  end)
end)

describe("an aggregate", function()
  local function of(aggregate, steps)
    local out = windows.run("w.session(1000)", ("aggregate { v = %s }"):format(aggregate), steps .. " wmmax")
    return (out:gsub(',"window_end.*$', "}"):gsub('"k":"k",', ""))
  end

  it("first and last", function()
    assert.equal('{"v":"b"}', of('agg.first "id"', "b@5 a@1 c@9"))
    assert.equal('{"v":"c"}', of('agg.last "id"', "b@5 a@1 c@9"))
  end)
  it("min_by, max_by and top keep records, the first of equals", function()
    assert.equal('{"v":{"id":"1","n":1}}', of('agg.min_by "n"', "5@1 1@2 9@3"))
    assert.equal('{"v":{"id":"9","n":9}}', of('agg.max_by "n"', "5@1 9@2 b9@3"))
    assert.equal('{"v":[{"id":"9","n":9},{"id":"5","n":5}]}', of('agg.top(2, "n")', "5@1 1@2 9@3"))
  end)
  it("sum is exact with integers, and a number once one is not whole", function()
    local sum = require("weir.agg").sum "n"
    local function of_all(...)
      local acc
      for i = 1, select("#", ...) do acc = sum.fold(acc, (select(i, ...))) end
      return acc
    end
    assert.equal(9007199254740995LL, of_all(1, 9007199254740993LL, 1))
    assert.equal(5.5, of_all(3LL, 0.5, 2LL))
    assert.equal(9223372036854775808, of_all(9223372036854775807LL, 1))
    assert.equal(9007199254740995LL, sum.merge(2, 9007199254740993LL))
  end)
  it("min, max and their kin compare integers with fractions as numbers", function()
    local agg = require "weir.agg"
    for _, pair in ipairs { { 5LL, 5.7 }, { -0.5, 0LL }, { 5LL, 1e300 }, { -1e300, -5LL }, { 3LL, 4LL }, { 1, 2 } } do
      local small, large = pair[1], pair[2]
      for _, order in ipairs { { small, large }, { large, small } } do
        local function of_both(a)
          return a.add(a.add(a.init and a.init(), { n = order[1] }), { n = order[2] })
        end
        assert.equal(small, of_both(agg.min "n"))
        assert.equal(large, of_both(agg.max "n"))
        assert.equal(small, of_both(agg.min_by "n").n)
        assert.equal(large, of_both(agg.max_by "n").n)
        assert.equal(large, of_both(agg.top(1, "n"))[1].n)
      end
    end
  end)
  it("min and max pass over NaN, whenever it comes, in C as in Lua", function()
    local agg, nan = require "weir.agg", 0 / 0
    for _, order in ipairs { { nan, 1, 2 }, { 1, nan, 2 }, { 2, 1, nan }, { nan, nan, 2, nan, 1 } } do
      for name, wanted in pairs { min = 1, max = 2 } do
        local a, acc, merged = agg[name] "n", nil, nil
        for _, n in ipairs(order) do
          acc = a.add(acc, { n = n })
          if merged == nil then merged = n else merged = a.merge(merged, n) end
        end
        assert.equal(wanted, acc)
        assert.equal(wanted, merged)
      end
    end
  end)
  it("refuses a value that it cannot deal with at its record, not when the window fires", function()
    local agg, null = require "weir.agg", require "weir.null"
    local bad = {
      [agg.top(2, "n")] = { null, true, { 1 }, 0 / 0 }, [agg.min_by "n"] = { null, true, { 1 }, 0 / 0 },
      [agg.quantile("n", 0.5)] = { null, true, { 1 }, 0 / 0, "x" }, [agg.distinct "n"] = { { 1 } },
      [agg.distinct_approx "n"] = { { 1 } }, [agg.string_agg "n"] = { { 1 } },
    }
    for a, values in pairs(bad) do
      for _, v in ipairs(values) do
        local ok, why = pcall(a.pick or function(rec) return a.add(nil, rec) end, { n = v })
        assert.is_false(ok)
        assert.truthy(why:find("^field 'n' is "), why)
      end
    end
  end)
  it("distinct takes each scalar for what it is", function()
    local a = require("weir.agg").distinct "n"
    local values = { "\1null", "\1\1null", require "weir.null", 0 / 0, "nan", math.huge, -math.huge, "-inf", true, false, 5LL }
    local acc = a.init()
    for _ = 1, 2 do
      for _, v in ipairs(values) do acc = a.add(acc, { n = v }) end
    end
    assert.equal(#values, a.result(acc))
    for key in pairs(acc.seen) do assert.truthy(({ string = true, number = true, boolean = true })[type(key)]) end
  end)
  it("string_agg joins texts", function()
    assert.equal('{"v":"a-b-c"}', of('agg.string_agg("id", "-")', "a@1 b@2 c@3"))
  end)
  it("distinct counts different values, of strings and numbers", function()
    assert.equal('{"v":3}', of('agg.distinct "id"', "a@1 b@2 a@3 c@4 b@5"))
    assert.equal('{"v":2}', of('agg.distinct "n"', "1@1 2@2 1@3"))
  end)
  it("distinct_approx is near, also when its sketch is merged", function()
    local steps = {}
    for i = 1, 3000 do steps[i] = ("%d@%d"):format(i % 1500, i * 2 % 5000) end
    local n = tonumber(of('agg.distinct_approx "n"', table.concat(steps, " ")):match "%d+")
    assert.is_true(math.abs(n - 1500) < 150, "estimate " .. n)
  end)
  it("quantile and median are within one per cent", function()
    local steps = {}
    for i = 1, 1000 do steps[i] = ("%d@%d"):format(i, 1000 - i) end
    local text = table.concat(steps, " ")
    local median, p99 = tonumber(of('agg.median "n"', text):match "[%d.]+"), tonumber(
      of('agg.quantile("n", 0.99)', text):match "[%d.]+")
    assert.is_true(math.abs(median - 500) <= 10, "median " .. median)
    assert.is_true(math.abs(p99 - 990) <= 15, "p99 " .. p99)
  end)
  it("that is large sees the same records as a function that gets all of them, in the same order", function()
    local steps, compared = {}, 0
    math.randomseed(7)
    for i = 1, 1500 do
      steps[i] = ("%d@%d"):format(i, i * 3 + math.random(0, 400))
      if i % 40 == 0 then steps[i] = steps[i] .. (" wm%d"):format(i * 3 - 60) end
    end
    local text = table.concat(steps, " ") .. " wmmax"
    for _, window in ipairs { "w.session(2)", "w.session(30)", "w.tumbling(2500)", "w.sliding { size = 900, slide = 400 }" } do
      for _, rest in ipairs { "", ":trigger(t.any { t.count(70), t.event_time() })", ":trigger(t.purging(t.count(300)))",
        ":allowed_lateness(50)" } do
        local function run(last)
          local b = windows.new(("keyed:window(%s)%s:%s"):format(window, rest, last))
          local out = b:steps(text)
          assert.equal(0, b:left())
          b:free()
          return out:gsub("dropped:%d+ ?", "")
        end
        local whole = run "process(ids)"
        local joined = run [[aggregate({ l = agg.string_agg("id", ""), n = agg.count() }, function(ctx, r)
          local from, to = ctx:window()
          ctx:emit("[" .. from .. "," .. to .. ")" .. r.l)
        end)]]
        assert.equal(whole, joined, window .. rest)
        compared = compared + #whole
      end
    end
    assert.is_true(compared > 100000, compared)
  end)
  it("of your own", function()
    assert.equal('{"v":6}', of([[{ init = function() return { n = 0 } end,
      add = function(acc, r) acc.n = acc.n + r.n return acc end,
      merge = function(a, b) return { n = a.n + b.n } end, result = function(acc) return acc.n end }]], "1@1 2@500 3@9"))
  end)
end)
