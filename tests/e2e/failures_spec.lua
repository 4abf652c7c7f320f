--- Records that fail at each place of a batch and of a chain: what was before and behind arrives once.

local script = require "support.script"

local head = script.head
local COUNT = 300

-- A chain of three operators, the one at `place` fails for record `at`. Emits what each got through.
local function chain(kind, place, at)
  return head .. ([[
    local KIND, PLACE, AT = %q, %d, %d
    local s = job:source(weir.sequence { from = 1, to = %d }):map(function(i) return { i = i } end)
    for k = 1, 3 do
      local bad = k == PLACE
      local function check(r) if bad and r.i == AT then error "planted" end end
      if KIND == "map" then s = s:map(function(r) check(r) return { i = r.i } end)
      elseif KIND == "filter" then s = s:filter(function(r) check(r) return true end)
      elseif KIND == "process" then s = s:process(function(ctx, r) check(r) ctx:emit(r) end)
      else
        s = s:flat_map(function(r, emit)
          if bad and r.i == AT then emit { i = -1 } emit { i = -2 } end
          check(r)
          emit { i = r.i }
        end)
      end
      s = s:name("op" .. k):uid("op" .. k)
      if bad then failing = s end
    end
    s:sink(weir.print())
  ]]):format(kind, place, at, COUNT)
end

local function expected(kind, at)
  local list = {}
  for i = 1, COUNT do
    if i ~= at then list[#list + 1] = ('{"i":%d}'):format(i) end
  end
  if kind == "flat_map" then list[#list + 1], list[#list + 2] = '{"i":-1}', '{"i":-2}' end
  return script.lines(list)
end

for _, kind in ipairs { "map", "filter", "process", "flat_map" } do
  describe("a " .. kind .. " that fails for one record", function()
    for _, at in ipairs { 1, COUNT / 2, COUNT } do
      for place = 1, 3 do
        local where = ("record %d in operator %d of three"):format(at, place)

        it("loses and doubles no other under skip: " .. where, function()
          assert.equal(expected(kind, at), script.run(chain(kind, place, at), "-q --on-error=skip"))
        end)

        it("sends that one to the dead letters, whole: " .. where, function()
          local letters = "failing:on_error 'dead_letter':side_output 'dead_letter':map(function(d) return "
            .. "{ dead = d.record.i, op = d.operator, why = d.error:match 'planted' } end):sink(weir.print())"
          local lines = {}
          for line in expected(kind, at):gmatch "[^\n]+" do lines[#lines + 1] = line end
          lines[#lines + 1] = ('{"dead":%d,"op":"op%d","why":"planted"}'):format(at, place)
          assert.equal(script.lines(lines), script.run(chain(kind, place, at) .. letters, "-q"))
        end)

        it("fails the job with place and record: " .. where, function()
          local _, code, err = script.try(chain(kind, place, at), "-q")
          assert.equal(1, code)
          for _, part in ipairs { "operator 'op" .. place .. "' (job.lua:", "in subtask 0: job.lua:6: planted",
            ('record: {"i":%d}'):format(at), "traceback:\n    job.lua:6: in function 'check'" } do
            assert.is_truthy(err:find(part, 1, true), part .. " is missing in: " .. err)
          end
          assert.is_nil(err:find("lua/weir", 1, true), err)
        end)
      end
    end
  end)
end

describe("an error object that is no text", function()
  local raised = {
    { "nil", "nil", "nil" },
    { "a list", "{ 5, 6 }", "[5,6]" },
    { "a function", "print", "function" },
    { "a table with a text", "setmetatable({}, { __tostring = function() return 'my own' end })", "my own" },
    { "a table whose text fails", "setmetatable({ a = 1 }, { __tostring = error })", '{"a":1}' },
    { "a table whose text is none", "setmetatable({ a = 1 }, { __tostring = function() return 5 end })", '{"a":1}' },
    { "a table that lets nobody look", "setmetatable({ a = 1 }, { __index = error, __metatable = 1 })", '{"a":1}' },
  }
  for _, case in ipairs(raised) do
    local text = head .. ([[
      local s = job:source(weir.from { 1, 2 }):map(function(n) if n == 1 then error(%s) end return n end)
      s:sink(weir.print())
    ]]):format(case[2])

    it("is shown when the job fails: " .. case[1], function()
      local _, code, err = script.try(text, "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find("failed in subtask 0: " .. case[3] .. "\n  record: 1\n", 1, true), err)
    end)

    it("is shown by the dead letter: " .. case[1], function()
      local letters = "s:on_error 'dead_letter':side_output 'dead_letter':map(function(d) return d.error end)"
        .. ":sink(weir.print 'raw')"
      assert.equal(script.lines { "2", case[3] }, script.run(text .. letters, "-q"))
    end)
  end

  it("comes out of a coroutine without the place of generated code", function()
    local _, code, err = script.try(head .. [[
      job:source(weir.from { 1 }):map(function() return coroutine.wrap(function() error "inside" end)() end)
        :sink(weir.print())]], "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("failed in subtask 0: job.lua:2: inside\n", 1, true), err)
  end)
end)

describe("a method of a state that is called with a dot", function()
  for call, method in pairs {
    ["v.set(5)"] = "set", ["v.set { a = 1 }"] = "set", ["v.update(print)"] = "update", ["r.add(1)"] = "add",
    ["a.add(1)"] = "add", ["l.add(r)"] = "add", ["l.add_all { 1 }"] = "add_all", ["l.set { 1 }"] = "set",
    ["m.get 'k'"] = "get", ["m.put('k', 1)"] = "put", ["m.remove 'k'"] = "remove", ["m.contains 'k'"] = "contains",
  } do
    it("says so: " .. call, function()
      local _, code, err = script.try(head .. [[local s = weir.state
        job:source(weir.from { { k = "a" } }):key_by "k":process(weir.process_function {
          state = { v = s.value(), r = s.reducing(math.max), l = s.list(), m = s.map(),
            a = s.aggregating { init = function() return 0 end, add = function(n, v) return n + v end } },
          element = function(ctx, r) ctx.]] .. call .. " end }):sink(weir.print())", "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find("failed in subtask 0: job.lua:6: a method of a state is called with a colon: "
        .. "ctx.state:" .. method .. "(…)\n", 1, true), err)
    end)
  end

  it("or emits so, as none is given to emit", function()
    local _, code, err = script.try(head .. [[job:source(weir.from { { k = "a" } })
      :process(function(ctx, r) ctx.emit(r) end):sink(weir.print())]], "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("job.lua:3: emit is called with a colon: ctx:emit(record)\n", 1, true), err)
  end)
end)

describe("a timer that fails", function()
  local text = head .. [[
    job:source(weir.from { { k = "a", ts = 1 }, { k = "b", ts = 2 }, { k = "c", ts = 3 } })
      :watermarks(weir.watermark.ascending { field = "ts" }):key_by "k":process(weir.process_function {
        element = function(ctx, r) ctx:event_timer(r.ts * 10) end,
        timer = function(ctx, time)
          ctx:emit { before = time }
          if ctx:key() == "b" then error "planted" end
          ctx:emit { after = time }
        end,
      }):name "alarm":sink(weir.print())]]

  it("keeps what it emitted before, and the other timers fire, under skip", function()
    assert.equal(script.lines { '{"before":10}', '{"after":10}', '{"before":20}', '{"before":30}', '{"after":30}' },
      script.run(text, "-q --on-error=skip"))
  end)

  it("fails the job with operator, key and time", function()
    local _, code, err = script.try(text, "-q")
    assert.equal(1, code)
    assert.matches("operator 'alarm' %(job.lua:%d+%) failed in subtask 0: job.lua:7: planted\n  key: \"b\"\n"
      .. "  timer: event time 20\n", err)
    _, code, err = script.try(text:gsub("event_timer", "processing_timer"), "-q")
    assert.equal(1, code)
    assert.matches("planted\n  key: \"b\"\n  timer: processing time 20\n", err)
  end)

  it("fails the job with the key and the window that it is of", function()
    local source = head .. [[local s = job:source(weir.from { { k = "a", ts = 1 }, { k = "b", ts = 21 } })
      :watermarks(weir.watermark.ascending { field = "ts" }):key_by "k" ]]
    for operator, window in pairs {
      ["window(weir.window.tumbling(10)):process(function(ctx) if ctx:key() == 'b' then error 'planted' end end)"]
        = "20 to 30",
      ["window(weir.window.session(7)):trigger { element = function(ctx) ctx:event_timer(25) end, merge = print, "
        .. "event_time = function(ctx) if ctx:key() == 'b' then error 'planted' end end }:count()"] = "21 to 28",
    } do
      local _, code, err = script.try(source .. "s:" .. operator .. ":sink(weir.print())", "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find('planted\n  key: "b"\n  window: ' .. window .. "\n", 1, true), err)
    end
  end)

  it("is not what a record fails at behind it", function()
    local failing = text:gsub("r.ts %* 10%)", "r.ts) if r.ts == 3 then error 'element' end")
    local _, code, err = script.try(failing:gsub('error "planted"', ""), "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("element\n  record:", 1, true), err)
    assert.is_falsy(err:find("  timer:", 1, true), err)
  end)
end)

describe("an open that fails", function()
  it("fails the job whatever the policy", function()
    for _, policy in ipairs { "fail", "skip", "dead_letter" } do
      local out, code, err = script.try(head .. "job:source(weir.from { { i = 1 } }):process(weir.process_function {\n"
        .. "open = function() error 'planted' end, element = function(ctx, r) ctx:emit(r) end }):name 'op':sink(weir.print())",
        "-q --on-error=" .. policy)
      assert.equal(1, code, err)
      assert.equal("", out)
      assert.matches("operator 'op' %(job.lua:%d+%) failed in subtask 0: job.lua:3: planted", err)
    end
  end)
end)

describe("a record that cannot go out", function()
  local function refused(operator, why, shown)
    local text = head .. "job:source(weir.from { { s = 'a', n = 1 } }):" .. operator .. ":sink(weir.print())"
    local _, code, err = script.try(text, "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("failed in subtask 0: " .. why .. "\n  record: " .. shown, 1, true), err)
  end

  it("is shown with the strings that were only moved: for its key", function()
    for made, why in pairs { ["nil"] = "nil", ["0/0"] = "NaN", ["{}"] = "a table; a key is a string, number, integer or boolean" } do
      refused("key_by(function(r) return " .. made .. " end):count()", "key_by function returned " .. why,
        '{"n":1,"s":"a"}')
    end
  end)

  it("is shown with the strings that were only moved: for a field", function()
    refused("map(function(r) r.x = print return r end)", "a record cannot hold a function (field x)",
      '{"n":1,"s":"a","x":function}')
  end)
end)

describe("a key that is none", function()
  local function by_function(made)
    return head .. "job:source(weir.from { { i = 1 }, { i = 2 }, { i = 3 } }):key_by(function(r) if r.i == 2 then return "
      .. made .. " end return r.i end):count { emit = 'final' }:sink(weir.print())"
  end

  for made, why in pairs { ["nil"] = "returned nil", ["0/0"] = "returned NaN", ["{}"] = "returned a table",
    ["print"] = "returned a function", ["1, 2"] = "returned more than 1 value" } do
    it("made by a function fails with the record: " .. made, function()
      local _, code, err = script.try(by_function(made), "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find(why, 1, true), err)
      assert.is_truthy(err:find('record: {"i":2}', 1, true), err)
      assert.equal(script.lines { '{"count":1,"key":1}', '{"count":1,"key":3}' }, script.run(by_function(made), "-q --on-error=skip"))
    end)
  end

  local letters = ":side_output 'dead_letter':map(function(d) return { op = d.operator, record = d.record.i, "
    .. "why = d.error } end):sink(weir.print())"
  local letter = '{"op":"key_by","record":2,"why":"key_by function returned nil"}'

  it("made by a function is among the dead letters of the operator that was drawn on it", function()
    local s = "local s = job:source(weir.from { { i = 1 }, { i = 2 }, { i = 3 } }) local function key(r) if r.i ~= 2 "
      .. "then return r.i end end "
    for operator, good in pairs {
      ["s:key_by(key):count { emit = 'final' }"] = '{"count":1,"key":%d}',
      ["s:key_by(key):window_all(weir.window.global()):trigger(weir.trigger.count(1)):process(function(ctx, list) "
        .. "ctx:emit(list[#list]) end)"] = '{"i":%d}',
      ["s:key_by(key):connect(s:filter(function() return false end):key_by(key)):map(function(r) return r end, "
        .. "function() end)"] = '{"i":%d}',
      ["s:partition(function(r) return key(r) and 0 end):map(function(r) return r end)"] = '{"i":%d}',
    } do
      local want = { good:format(1), good:format(3),
        operator:find "partition" and '{"op":"partition","record":2,"why":"partition function returned nil; it must '
          .. 'return a whole number from 0 to 0"}' or letter }
      assert.equal(script.lines(want), script.run(head .. s .. "local c = " .. operator
        .. ":on_error 'dead_letter' c:sink(weir.print()) c" .. letters, "-q"), operator)
      assert.equal(script.lines(want), script.run(head .. s .. "local c = " .. operator
        .. " c:sink(weir.print()) c" .. letters, "-q --on-error=dead_letter"), operator)
    end
  end)

  it("made by a function fails the job if one of those that were drawn on it does", function()
    local text = by_function "nil":gsub(":count.*", "") .. " "
    text = text:gsub("job:source", "local k = job:source") .. "k:count():on_error 'skip':sink(weir.discard()) "
    assert.equal("", script.run(text, "-q"))
    text = text .. "local c = k:sum 'i':on_error 'dead_letter' c:sink(weir.discard()) c" .. letters
    assert.equal(letter .. "\n", script.run(text, "-q"))
    local _, code, err = script.try(text .. " k:max 'i':sink(weir.discard())", "-q")
    assert.equal(1, code)
    assert.is_truthy(err:find("key_by function returned nil", 1, true), err)
  end)

  for value, why in pairs { ["i = 0/0"] = "is NaN", ["i = { 1 }"] = "is a table", ["x = 1"] = "is missing", ["i = weir.null"] = "is null" } do
    it("in a field fails with the record: " .. value, function()
      local text = head .. "job:source(weir.from { { i = 1 }, { " .. value .. " }, { i = 3 } }):key_by 'i'"
        .. ":count { emit = 'final' }:sink(weir.print())"
      local _, code, err = script.try(text, "-q")
      assert.equal(1, code)
      assert.is_truthy(err:find("operator \"count\" (job.lua:2): key field 'i' " .. why .. "\n  record: {", 1, true), err)
      assert.equal(script.lines { '{"count":1,"i":1}', '{"count":1,"i":3}' }, script.run(text, "-q --on-error=skip"))
    end)
  end
end)

describe("a reduce that returns nil", function()
  local text = head .. [[job:source(weir.from { { k = 1 }, { k = 1 } }):key_by "k":reduce(function() end):name "sums":sink(weir.print())]]

  it("is an error of that operator", function()
    local _, code, err = script.try(text, "-q")
    assert.equal(1, code)
    assert.matches("operator 'sums' %(job.lua:2%) failed in subtask 0: the function of reduce returned nil", err)
  end)

  it("keeps the value it had, under skip", function()
    assert.equal('{"k":1}\n', script.run(text, "-q --on-error=skip"))
  end)
end)
