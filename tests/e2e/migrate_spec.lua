--- Values that an older declaration of a state wrote become ones of the present: at their first touch, and beside.

local place = require "support.place"
local shell = require "support.shell"

local write, weir, done, sorted = place.write, place.weir, place.done, place.sorted

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function until_lines(count, options) return sorted((place.until_lines(count, options))) end

--- Runs the job on what comes into the folder, until it has printed so many lines, then stops it, which takes a
--- checkpoint. Gives the lines, and what it logged.
local function visits(name, list)
  local lines = {}
  for i, v in ipairs(list) do lines[i] = ('{"user":"%s","n":%d}\n'):format(v[1], v[2]) end
  shell.run("mkdir -p " .. folder .. "/in")
  write("in/" .. name .. ".ndjson", table.concat(lines))
end

local function job(states, element)
  write("job.lua", ([[
local weir = require "weir"
local job = weir.job { name = "visits", max_parallelism = 128 }
job:source(weir.files { path = "in/*.ndjson", format = weir.json(), watch = true }):uid "in"
  :key_by "user":process(weir.process_function { state = { %s }, element = function(ctx, v) %s end }):uid "visits"
  :sink(weir.print())
return job]]):format(states, element))
end

local KINDS = {
  value = {
    declare = "weir.state.value", add = "ctx.s:set(MAKE)", read = "ctx.s:get()",
    first = { ann = '{"n":2}', bob = '{"n":3}' },
  },
  reducing = {
    declare = "weir.state.reducing", fn = "function(a, b) return b end", add = "ctx.s:add(MAKE)", read = "ctx.s:get()",
    first = { ann = '{"n":2}', bob = '{"n":3}' },
  },
  list = {
    declare = "weir.state.list", add = "ctx.s:add(MAKE)", read = "ctx.s:all()",
    first = { ann = '[{"n":1},{"n":2}]', bob = '[{"n":3}]' },
  },
  map = {
    declare = "weir.state.map", add = 'ctx.s:put("e" .. v.n, MAKE)',
    read = '(function() local t = {} for k, x in ctx.s:iter() do t[k] = x end return t end)()',
    first = { ann = '{"e1":{"n":1},"e2":{"n":2}}', bob = '{"e3":{"n":3}}' },
  },
}

local function declared(kind, more)
  local k = KINDS[kind]
  return ("s = %s { %s }"):format(k.declare, (k.fn and "fn = " .. k.fn .. ", " or "") .. more)
end

describe("a state with versions", function()
  for _, kind in ipairs { "value", "reducing", "list", "map" } do
    local k = KINDS[kind]

    local function begin()
      job(declared(kind, ""), k.add:gsub("MAKE", "{ n = v.n }") .. " ctx:emit(" .. k.read .. ")")
      visits("a", { { "ann", 1 }, { "ann", 2 }, { "bob", 3 } })
      until_lines(3)
    end

    -- The second version counts in thousands and says what it came from; a value is never migrated twice.
    local SECOND = [[version = 2, migrate = function(old, version)
      assert(version == 1 and old.since == nil) return { n = old.n * 1000, since = version } end]]
    local THIRD = [[version = 3, migrate = function(old, version)
      assert(version == 2 and old.third == nil) old.third = true return old end]]

    it(("of kind %s gives the migrated values at their first touch, and never twice"):format(kind), function()
      begin()
      job(declared(kind, SECOND), ("ctx:emit { user = v.user, s = %s }"):format(k.read))
      visits("b", { { "ann", 9 }, { "bob", 9 } })
      local expected = sorted(('{"s":%s,"user":"ann"}\n{"s":%s,"user":"bob"}'):format(
        k.first.ann:gsub('"n":(%d)', '"n":%1000,"since":1'), k.first.bob:gsub('"n":(%d)', '"n":%1000,"since":1')))
      assert.equal(expected, (until_lines(2)))
      for i = 1, 2 do -- restored again and again, at another parallelism
        visits("c" .. i, { { "ann", 9 }, { "bob", 9 } })
        assert.equal(expected, (until_lines(2, "-p " .. i)))
      end
      job(declared(kind, THIRD), ("ctx:emit { user = v.user, s = %s }"):format(k.read))
      visits("d", { { "ann", 9 }, { "bob", 9 } })
      assert.equal((expected:gsub('"since":1', '"since":1,"third":true')), (until_lines(2)))
    end)

    it(("of kind %s is brought up beside, for keys that nobody touches"):format(kind), function()
      begin()
      job(declared(kind, SECOND), "if v.user == 'cleo' then ctx:emit(v) end")
      -- none of theirs is touched: only cleo comes, until all are done
      local function old_ones()
        return select(2, done("savepoint query --json state visits s"):gsub('"since"', "")) < (kind == "list" and 3 or kind == "map" and 3 or 2)
      end
      local rounds = 0
      repeat
        rounds = rounds + 1
        visits("cleo" .. rounds, { { "cleo", rounds } })
        until_lines(1)
      until not old_ones() or rounds > 20
      assert.is_false(old_ones())
      assert.truthy(done("savepoint ls state"):find("version 2", 1, true))
    end)
  end

  it("drops a value for which migrate gives nil", function()
    job("s = weir.state.value()", "ctx.s:set(v.n) ctx:emit(v.n)")
    visits("a", { { "ann", 1 }, { "bob", 2 } })
    until_lines(2)
    job("s = weir.state.value { version = 2, migrate = function(old) if old > 1 then return old * 10 end end }",
      "ctx:emit { user = v.user, s = ctx.s:get() }")
    visits("b", { { "ann", 0 }, { "bob", 0 } })
    assert.equal('{"s":20,"user":"bob"}\n{"user":"ann"}', (until_lines(2)))
  end)

  --- The error of a job whose `migrate` meets the value {"n": 1} of version 1.
  local function failure(migrate)
    job("s = weir.state.value()", "ctx.s:set { n = v.n } ctx:emit(v.n)")
    visits("a", { { "ann", 1 } })
    until_lines(1)
    job(("s = weir.state.value { version = 2, migrate = function(old) %s end }"):format(migrate), "ctx:emit(ctx.s:get())")
    visits("b", { { "ann", 0 } })
    local _, code, err = weir "run -q --dir state --restart=none job.lua"
    assert.equal(1, code)
    return assert(err:match 'migrate of state \'s\' from version 1 to 2 failed at key "ann", value {"n": 1}: (.*)', err)
  end

  it("whose migrate fails is one clear error, with key and value", function()
    local said = failure "return { n = old.m + 1 }"
    assert.truthy(said:find("^job.lua:%d+: attempt to perform arithmetic on field 'm' %(a nil value%)"), said)
  end)

  it("whose migrate returns what no record can hold is the same error", function()
    local said = failure "return print"
    assert.truthy(said:find("^a record cannot hold a function"), said)
  end)

  it("that is newer than the job is refused", function()
    job("s = weir.state.value { version = 3, migrate = function(old) return old end }", "ctx.s:set(v.n) ctx:emit(v.n)")
    visits("a", { { "ann", 1 } })
    until_lines(1)
    job("s = weir.state.value { version = 2, migrate = function(old) return old end }", "ctx:emit(ctx.s:get())")
    local _, code, err = weir "run -q --dir state job.lua"
    assert.equal(2, code, err)
    assert.truthy(err:find("state 's' of operator \"visits\" is declared as version 2, and was saved as version 3: "
      .. "the job is older than its state", 1, true), err)
  end)

  it("needs migrate, and migrate a version", function()
    job("s = weir.state.value { version = 2 }", "")
    local _, code, err = weir "check job.lua"
    assert.equal(2, code)
    assert.truthy(err:find('job.lua:4: weir.state.value: a version above 1 needs "migrate"', 1, true), err)
    job("s = weir.state.value { migrate = function(v) return v end }", "")
    _, code, err = weir "check job.lua"
    assert.equal(2, code)
    assert.truthy(err:find('weir.state.value: "migrate" is for a "version" above 1', 1, true), err)
  end)

  it("is migrated in a running job that is given the newer script, and there is no way back", function()
    job("s = weir.state.value { version = 2, migrate = function(old) return { n = old.n * 1000 } end }",
      "ctx:emit { user = v.user, s = ctx.s:get() }")
    shell.run(("mv %s/job.lua %s/job2.lua"):format(folder, folder))
    job("s = weir.state.value()", "ctx.s:set { n = v.n } ctx:emit { n = v.n }")
    visits("a", { { "ann", 1 }, { "bob", 2 } })
    write("later", '{"user":"ann","n":0}\n{"user":"bob","n":0}\n{"user":"ann","n":0}\n')
    local function printed(count) return shell.await(("[ $(wc -l <out) = %d ]"):format(count), "$job") end
    local out, code, err = place.sh(([[
      $W run -q --dir state --checkpoint-every 50ms job.lua >out & job=$!
      %s
      $W reload --yes visits job2.lua >said 2>&1 || echo failed >>said
      mv later in/b.ndjson
      %s
      $W reload --yes visits job.lua >>said 2>&1 || echo refused >>said
      kill -INT $job; wait $job; cat out]]):format(printed(2), printed(5)))
    local said = shell.read(folder .. "/said")
    assert.equal(0, code, out .. err .. said)
    assert.equal('{"n":1}\n{"n":2}\n{"s":{"n":1000},"user":"ann"}\n{"s":{"n":1000},"user":"ann"}\n{"s":{"n":2000},"user":"bob"}',
      sorted(out))
    assert.is_nil(said:find("failed", 1, true), said)
    assert.truthy(said:find("was declared as version 2, and is now declared as version 1: there is no way back from a migration",
      1, true), said)
    assert.truthy(said:find "refused\n$", said)
  end)
end)
