--- `weir savepoint edit`: a changed savepoint gives, once a job goes on with it, what one reckons by hand.

local place = require "support.place"
local shell = require "support.shell"

local write, weir, done, until_lines, sorted = place.write, place.weir, place.done, place.until_lines, place.sorted

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function refused(what, script, arguments)
  write("fix.lua", script)
  local out, code, err = weir("savepoint edit x.weir fix.lua -o new.weir " .. (arguments or ""))
  assert.equal(2, code, out .. err)
  assert.truthy(err:find(what, 1, true), err)
  assert.equal("", (shell.run(("ls %s/new.weir* 2>/dev/null"):format(folder))))
end

--- The numbers of a user, its sum so far, the last even and odd one, and how many there were.
local job = [[
local weir = require "weir"
local job = weir.job { name = "visits", max_parallelism = 128 }
job:source(weir.files { path = "in/*.ndjson", format = weir.json(), watch = true }):uid "in"
  :key_by "user":process(weir.process_function {
    state = { sum = weir.state.value(), pages = weir.state.map(), seen = weir.state.list() },
    element = function(ctx, v)
      ctx.sum:set((ctx.sum:get() or 0) + v.n)
      ctx.pages:put(v.n % 2 == 0 and "even" or "odd", v.n)
      ctx.seen:add(v.n)
      ctx:event_timer(1000 + v.n)
      ctx:emit { user = v.user, sum = ctx.sum:get(), even = ctx.pages:get "even", odd = ctx.pages:get "odd",
        seen = ctx.seen:all() }
    end,
    timer = function() end,
  }):uid "UID"
  :sink(weir.print())
return job
]]

local function visits(name, list)
  local lines = {}
  for i, v in ipairs(list) do lines[i] = ('{"user":"%s","n":%d}\n'):format(v[1], v[2]) end
  write("in/" .. name .. ".ndjson", table.concat(lines))
end

--- A savepoint x.weir: ann has had 1 and 4, bob 2, cleo 3.
local function begin(p)
  shell.run("mkdir " .. folder .. "/in")
  write("job.lua", (job:gsub("UID", "visits")))
  visits("a", { { "ann", 1 }, { "bob", 2 }, { "cleo", 3 }, { "ann", 4 } })
  until_lines(4, "-p " .. (p or 1))
  done "savepoint --dir state -o x.weir"
  shell.run("rm -r " .. folder .. "/state")
end

--- Edits x.weir, and goes on with ann 10, bob 20, dora 30.
local function go_on(script, options)
  write("fix.lua", script)
  local told = done("savepoint edit x.weir fix.lua -o new.weir " .. (options and options.args or ""))
  if options and options.uid then write("job.lua", (job:gsub("UID", options.uid))) end
  visits("b", { { "ann", 10 }, { "bob", 20 }, { "dora", 30 } })
  return sorted((until_lines(options and options.lines or 3, "--from new.weir " .. (options and options.run or "")))), told
end

describe("weir savepoint edit", function()
  it("changes nothing that the script does not name, at any parallelism", function()
    for _, p in ipairs { { 1, 1 }, { 2, 3 } } do
      begin(p[1])
      assert.equal(table.concat({
        '{"even":10,"odd":1,"seen":[1,4,10],"sum":15,"user":"ann"}',
        '{"even":20,"seen":[2,20],"sum":22,"user":"bob"}',
        '{"even":30,"seen":[30],"sum":30,"user":"dora"}',
      }, "\n"), (go_on("return function() end", { run = "-p " .. p[2] })))
      assert.equal("no difference\n", done "savepoint diff x.weir new.weir")
      shell.run(("rm -r %s/*"):format(folder))
    end
  end)

  it("maps, drops, adds, renames and puts, as reckoned by hand", function()
    begin(2)
    local out, told = go_on([[
      return function(sp)
        local visits = sp:operator "visits"
        visits:map("sum", function(value, key, at)
          if key == "bob" then return nil end
          return value + 100 * at.version
        end)
        visits:map("pages", function(value, key, at) return at.entry == "odd" and -value or value end)
        visits:map("seen", function(value, key, at) return at.position > 1 and value or nil end)
        visits:rename "users"
        visits:put("pages", "bob", 77, "even")
        visits:put("pages", "bob", 78, "odd")
        visits:put("sum", "dora", tonumber(sp.args.dora))
        visits:put("seen", "bob", 5)
        visits:add("note", "value")
      end]], { uid = "users", args = "dora=1000", run = "--allow-dropped-state -p 3" })
    assert.equal(table.concat({
      '{"even":10,"odd":-1,"seen":[4,10],"sum":115,"user":"ann"}',
      '{"even":20,"odd":78,"seen":[5,20],"sum":20,"user":"bob"}',
      '{"even":30,"seen":[30],"sum":1030,"user":"dora"}',
    }, "\n"), out)
    -- changed: two sums, two odd pages; left behind: bob's sum and page, three first visits; added: four
    assert.equal("new.weir: values: 4 changed, 4 added, 5 left behind\n", told)
  end)

  it("drops states and operators, which then begin anew, and so does their source", function()
    begin()
    local out = go_on([[
      return function(sp)
        sp:operator "visits":drop_state "sum"
        sp:operator "visits":clear "seen"
      end]])
    assert.equal(table.concat({
      '{"even":10,"odd":1,"seen":[10],"sum":10,"user":"ann"}',
      '{"even":20,"seen":[20],"sum":20,"user":"bob"}',
      '{"even":30,"seen":[30],"sum":30,"user":"dora"}',
    }, "\n"), out)
    shell.run("rm -r " .. folder .. "/state")
    out = go_on([[return function(sp) for _, operator in ipairs(sp:operators()) do operator:drop() end end]], { lines = 7 })
    assert.truthy(out:find('{"even":10,"odd":1,"seen":[1,4,10],"sum":15,"user":"ann"}', 1, true), out)
  end)

  it("loads a state from a file of lines of JSON or CSV", function()
    begin(2)
    write("sums.csv", '\239\187\191user,sum,comment\nann,500,"a, b ""c"""\ndora,600,\nnobody,,\n')
    write("pages.ndjson", '{"user":"bob","page":"odd","n":41}\n{"user":"bob","page":"even","n":42}\n')
    local out = go_on([[
      return function(sp)
        local visits = sp:operator "visits"
        visits:clear "sum"
        visits:load("sum", "sums.csv", function(record)
          assert(record.user ~= "ann" or record.comment == 'a, b "c"')
          return record.user, tonumber(record.sum)
        end)
        visits:clear "pages"
        visits:load("pages", "pages.ndjson", function(record) return record.user, record.n, record.page end)
      end]], { run = "-p 2" })
    assert.equal(table.concat({
      '{"even":10,"seen":[1,4,10],"sum":510,"user":"ann"}',
      '{"even":20,"odd":41,"seen":[2,20],"sum":20,"user":"bob"}',
      '{"even":30,"seen":[30],"sum":630,"user":"dora"}',
    }, "\n"), out)
  end)

  it("keeps the last of several values of a key, whether put or loaded", function()
    begin(3)
    write("first.ndjson", '{"k":"ann","n":1}\n{"k":"bob","n":2}\n{"k":"ann","n":3}\n{"k":"dora","n":4}\n{"n":5}\n{"k":"bob"}\n')
    write("second.csv", "k,n\ndora,50\nevan,60\n")
    write("fix.lua", [[
      return function(sp)
        local visits, seen = sp:operator "visits", 0
        local function load(path)
          visits:load("sum", path, function(r)
            seen = seen + 1
            return r.k, r.n and { n = tonumber(r.n), record = seen }
          end)
        end
        visits:put("sum", "gone", 7)
        visits:clear "sum"
        visits:put("sum", "bob", "put before")
        visits:put("sum", "fay", "put once")
        visits:put("sum", "fay", "put twice")
        load "first.ndjson"
        visits:put("sum", "ann", "put behind")
        load "second.csv"
        assert(seen == 8)
        visits:clear "pages"
        visits:load("pages", "first.ndjson", function(r) return r.k, r.n, r.n and r.n % 2 == 0 end)
        visits:put("pages", "dora", "put", true)
        visits:clear "seen"
        visits:put("seen", "ann", 0)
        visits:load("seen", "first.ndjson", function(r) return r.k, r.n end)
        visits:put("seen", "ann", 3)
      end]])
    local told = done "savepoint edit x.weir fix.lua -o new.weir"
    -- five sums, three pages, six numbers that were seen; left behind: three sums, four pages, four numbers
    assert.equal("new.weir: values: 0 changed, 14 added, 11 left behind\n", told)
    assert.equal(table.concat({
      '"ann"\t"put behind"', '"bob"\t{"n":2,"record":2}', '"dora"\t{"n":50,"record":7}', '"evan"\t{"n":60,"record":8}',
      '"fay"\t"put twice"',
    }, "\n"), sorted(done "savepoint query new.weir visits sum"))
    assert.equal('"ann"\tfalse\t3\n"bob"\ttrue\t2\n"dora"\ttrue\t"put"', sorted(done "savepoint query new.weir visits pages"))
    assert.equal("#1\t0\n#2\t1\n#3\t3\n#4\t3\n", done "savepoint get new.weir visits seen ann")
    write("fix.lua", [[
      return function(sp)
        sp:operator "visits":map("sum", function(value, key) if key ~= "bob" and key ~= "ann" then return value end end)
      end]])
    assert.equal("last.weir: values: 0 changed, 0 added, 2 left behind\n",
      (done "savepoint edit new.weir fix.lua -o last.weir"))
    assert.equal("dora evan fay", (sorted(done "savepoint query last.weir visits sum"):gsub('"(%a+)"[^\n]*\n?', "%1 "):gsub(" $", "")))
  end)

  it("goes on with what was loaded last, at another parallelism", function()
    begin(3)
    write("sums.ndjson", '{"user":"ann","n":1}\n{"user":"dora","n":2}\n{"user":"ann","n":100}\n')
    local out = go_on([[
      return function(sp)
        local visits = sp:operator "visits"
        visits:clear "sum"
        visits:load("sum", "sums.ndjson", function(r) return r.user, r.n end)
        visits:put("sum", "dora", 200)
      end]], { run = "-p 2" })
    assert.equal(table.concat({
      '{"even":10,"odd":1,"seen":[1,4,10],"sum":110,"user":"ann"}',
      '{"even":20,"seen":[2,20],"sum":20,"user":"bob"}',
      '{"even":30,"seen":[30],"sum":230,"user":"dora"}',
    }, "\n"), out)
  end)

  it("loads more than is held in memory, each key once, and leaves no file beside the new one", function()
    begin(3)
    local rows = {}
    for i = 1, 120000 do rows[i] = ('{"user":"user-%d","i":%d}\n'):format(i % 40000, i) end
    write("sums.ndjson", table.concat(rows))
    write("fix.lua", [[
      return function(sp)
        local visits, text = sp:operator "visits", ("x"):rep(1000)
        visits:clear "sum"
        visits:load("sum", "sums.ndjson", function(r) return r.user, text .. r.i end)
        visits:clear "seen"
        visits:load("seen", "sums.ndjson", function(r)
          assert(r.i ~= tonumber(sp.args.fails_at))
          return "one", r.i
        end)
      end]])
    assert.equal("new.weir: values: 0 changed, 160000 added, 7 left behind\n",
      (done "savepoint edit x.weir fix.lua -o new.weir"))
    local count, sum = 0, 0
    for key, i in done "savepoint query new.weir visits sum":gmatch '"user%-(%d+)"\t"x+(%d+)"\n' do
      count, sum = count + 1, sum + i
      assert.equal(0, (i - key) % 40000)
    end
    assert.equal(40000, count)
    assert.equal((80001 + 120000) * 20000, sum) -- of each key the last
    local at = 0
    for i in done "savepoint get new.weir visits seen one":gmatch "\t(%d+)\n" do
      at = at + 1
      assert.equal(at, tonumber(i))
    end
    assert.equal(120000, at)
    assert.equal("new.weir\n", (shell.run(("cd %s && ls -d new.weir*"):format(folder))))
    local _, code, err = weir "savepoint edit x.weir fix.lua -o other.weir fails_at=120000"
    assert.equal(2, code)
    assert.truthy(err:find("sums.ndjson:120000: fix.lua:7: assertion failed!", 1, true), err)
    _, code, err = place.sh "ulimit -f 2000; $W savepoint edit x.weir fix.lua -o other.weir"
    assert.equal(2, code)
    assert.truthy(err:find("other.weir.load.part: File too large", 1, true), err)
    assert.equal("", (shell.run(("cd %s && ls -d other.weir* 2>/dev/null"):format(folder))))
  end)

  it("loads broadcast state, which has one key, and counts it once, though it is in every subtask", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "rules", max_parallelism = 128 }
      local n = job:source(weir.generate { count = 1000, rate = tonumber(job.args.rate), fn = function(i) return { i = i } end })
      n:connect(n:filter(function(r) return r.i <= 2 end):broadcast()):process(weir.broadcast_function {
        broadcast_state = { rules = weir.state.map() },
        element = function(ctx, r) if r.i >= 998 then ctx:emit(ctx.rules:get(1)) end end,
        broadcast = function(ctx, r) ctx.rules:put(r.i, "old") end,
      }):uid "rules":sink(weir.print())
      return job]])
    place.dies(weir, "run -q -p 3 --dir state --checkpoint-every 20ms job.lua rate=1000 --fault checkpoint.complete:4=kill")
    done "savepoint --dir state -o x.weir"
    write("rules.ndjson", '{"i":1,"n":1}\n{"i":1,"n":2}\n')
    write("fix.lua", [[
      return function(sp)
        local rules = sp:operator "rules"
        rules:clear "rules"
        rules:load("rules", "rules.ndjson", function(r) return true, r.n, r.i end)
      end]])
    assert.equal("new.weir: values: 0 changed, 1 added, 3 left behind\n", (done "savepoint edit x.weir fix.lua -o new.weir"))
    assert.equal("2\n2\n", (done "run -q -p 2 --from new.weir job.lua"))
    shell.run(("rm %s/new.weir"):format(folder))
    local message = 'fix.lua:1: state "rules" of operator "rules" is broadcast: its only key is true'
    refused(message, 'return function(sp) sp:operator "rules":put("rules", "all", 1, 2) end')
    refused("rules.ndjson:1: " .. message, [[return function(sp) sp:operator "rules":clear "rules" sp:operator "rules":load(
      "rules", "rules.ndjson", function(r) return r.i, r.n, r.i end) end]])
  end)

  it("puts and loads as if the job wrote: what has a time to live begins it", function()
    local timed = job:gsub("sum = weir.state.value%(%)", 'sum = weir.state.value { ttl = "1h" }')
    shell.run("mkdir " .. folder .. "/in")
    write("job.lua", (timed:gsub("UID", "visits")))
    visits("a", { { "ann", 1 }, { "bob", 2 } })
    until_lines(2)
    done "savepoint --dir state -o x.weir"
    shell.run("rm -r " .. folder .. "/state")
    write("fix.lua", [[return function(sp)
      sp:operator "visits":put("sum", "ann", 100)
      sp:operator "visits":put("sum", "dora", 200)
    end]])
    done "savepoint edit x.weir fix.lua -o new.weir"
    visits("b", { { "ann", 10 }, { "bob", 20 }, { "dora", 30 } })
    local out = sorted((until_lines(3, "--from new.weir")))
    assert.same({ "110", "22", "230" }, { out:match '"sum":(%d+).-"sum":(%d+).-"sum":(%d+)' })
  end)

  it("puts state into an operator that was not there", function()
    begin()
    write("job.lua", (job:gsub("UID", "others")))
    local out = go_on([[
      return function(sp)
        sp.job = "visits"
        sp:operator "visits":drop()
        local others = sp:add_operator "others"
        others:add("sum", "value")
        others:put("sum", "ann", 7)
      end]])
    assert.truthy(out:find('{"even":10,"seen":[10],"sum":17,"user":"ann"}', 1, true), out)
  end)

  it("moves timers, and sets where sources are", function()
    begin()
    write("fix.lua", [[
      return function(sp)
        sp:operator "visits":map_timers(function(time, key, at)
          assert(at.kind == "event")
          if key == "ann" then return time + 5000 end
          if key == "bob" then return nil end
          return time
        end)
        local source
        for _, operator in ipairs(sp:operators()) do
          if operator:to_come() then source = operator end
        end
        local all = source:to_come()
        assert(type(all) == "table")
        source:set_to_come(all)
      end]])
    done "savepoint edit x.weir fix.lua -o new.weir"
    assert.equal('"ann"\tevent time 6001\n"ann"\tevent time 6004\n"cleo"\tevent time 1003',
      sorted(done "savepoint query new.weir visits timers"))
  end)

  it("sets the position of a source that counts", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "numbers"
      job:source(weir.generate { count = 1000, rate = tonumber(job.args.rate), fn = function(i) return i end }):uid "numbers"
        :sink(weir.print())
      return job]])
    place.dies(weir, "run -q --dir state --checkpoint-every 20ms job.lua rate=500 --fault checkpoint.complete:4=kill")
    done "savepoint --dir state -o x.weir"
    write("fix.lua", [[
      return function(sp)
        local numbers = sp:operator "numbers.source"
        local positions = numbers:positions()
        assert(#positions == 1 and positions[1].step == 1 and positions[1].subtask == 0)
        numbers:seek("lane 0", 997)
      end]])
    done "savepoint edit x.weir fix.lua -o first.weir"
    assert.equal('{"next":997,"step":1}\n', done "savepoint get first.weir numbers.source positions 'lane 0'")
    assert.equal("997\n998\n999\n", done "run -q --from first.weir job.lua")
    write("raw.lua", [[
      return function(sp)
        local own = sp:operator "numbers.source":own()
        assert(#own == 1 and own[1][1][1] == 997)
        own[1][1][1] = 998
        sp:operator "numbers.source":set_own(own)
      end]])
    done "savepoint edit first.weir raw.lua -o raw.weir"
    assert.equal("998\n999\n", done "run -q --from raw.weir job.lua")
    refused('"numbers.source": the position of lane 0 is a whole number from 0, not "x"',
      'return function(sp) sp:operator "numbers.source":seek("lane 0", "x") end')
    refused('"numbers.source": there is no position of lane 7; did you mean "lane 0"?',
      'return function(sp) sp:operator "numbers.source":seek("lane 7", 1) end')
    refused('operator "numbers" is no source whose positions are known',
      'return function(sp) sp:operator "numbers":positions() end')
  end)

  it("sets a file, begun or not, back to its beginning", function()
    local lines = {}
    for i = 1, 20000 do lines[i] = ("line %d\n"):format(i) end
    local expected = table.concat(lines):gsub("line %d+", '"%0"')
    write("in.txt", table.concat(lines))
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "copy"
      job:source(weir.files { path = "in.txt", format = weir.lines() }):uid "in"
        :map(function(line) if job.args.slow then local x = 0 for i = 1, 3e5 do x = x + i % 7 end end return line.line end)
        :sink(weir.print())
      return job]])
    place.dies(weir, "run -q --dir state --checkpoint-every 5ms job.lua slow=yes --fault checkpoint.complete:4=kill")
    done "savepoint --dir state -o x.weir"
    local value = done "savepoint query x.weir in positions"
    assert.truthy(value:match '^"[^"]*in.txt"\t{"next":%d+,"path":"[^"]*in.txt"}\n$', value)
    write("fix.lua", [[return function(sp)
      local source = sp:operator "in"
      source:seek(source:positions()[1].split, "earliest")
    end]])
    done "savepoint edit x.weir fix.lua -o first.weir"
    assert.truthy(done "savepoint query first.weir in positions":find('"next":0,', 1, true))
    assert.equal(expected, done "run -q --from first.weir job.lua")
    refused('is "earliest": a file, or a part of one, can be read once more from where it begins, not 5',
      'return function(sp) local s = sp:operator "in" s:seek(s:positions()[1].split, 5) end')
  end)

  it("maps the sums that C keeps, but not its windows, which can be dropped", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "kept", max_parallelism = 128 }
      local source = job:source(weir.generate { count = 1000, rate = tonumber(job.args.rate), fn = function(i)
        return { k = i % 2, v = 1, ts = i } end }):uid "numbers"
      source:key_by "k":sum("v", { emit = "final" }):uid "sum":sink(weir.print())
      source:watermarks(weir.watermark.ascending { field = "ts" }):key_by "k":window(weir.window.tumbling "1h")
        :aggregate { n = weir.agg.count() }:uid "window":sink(weir.print())
      return job]])
    place.dies(weir, "run -q --dir state --checkpoint-every 20ms job.lua rate=2000 --fault checkpoint.complete:4=kill")
    done "savepoint --dir state -o x.weir"
    write("fix.lua", [[return function(sp)
      sp:operator "sum":map("value", function(value, key) return value + 10000 * (key + 1) end) end]])
    done "savepoint edit x.weir fix.lua -o edited.weir"
    local out = done "run -q --from edited.weir job.lua"
    assert.truthy(out:find('{"k":0,"v":10500}', 1, true) and out:find('{"k":1,"v":20500}', 1, true), out)
    for _, change in ipairs { 'map("value", function(v) return v end)', 'put("value", 1, "x")' } do
      refused('fix.lua:1: state "value" of operator "window" is in a form of its own (window tumbling, ',
        ('return function(sp) sp:operator "window":%s end'):format(change))
    end
    write("fix.lua", 'return function(sp) sp:operator "window":drop() end')
    done "savepoint edit x.weir fix.lua -o edited.weir"
    out = done "run -q --from edited.weir job.lua"
    assert.truthy(out:find('{"k":0,"v":500}', 1, true) and out:find('"window_start":0', 1, true), out)
    assert.is_nil(out:find('"n":500', 1, true), out)
  end)

  it("is one clear error where the script is wrong, and then nothing is written", function()
    begin()
    refused('fix.lua:1: x.weir has no operator "visist"; did you mean "visits"?', 'return function(sp) sp:operator "visist" end')
    refused('fix.lua:1: operator "visits" has no state "smu"; did you mean "sum"?',
      'return function(sp) sp:operator "visits":drop_state "smu" end')
    refused('"visits.sum" at key "', 'return function(sp) sp:operator "visits":map("sum", function(v) return v.x.y end) end')
    refused("fix.lua:1: attempt to index", 'return function(sp) sp:operator "visits":map("sum", function(v) return v.x.y end) end')
    for _, bad in ipairs { "print", "{ f = print }", "coroutine.create(print)" } do
      local change = ('return function(sp) sp:operator "visits":map("sum", function() return %s end) end'):format(bad)
      refused('"visits.sum" at key "', change)
      refused(bad:find "co" and "fix.lua:1: a record cannot hold a thread" or "fix.lua:1: a record cannot hold a function", change)
    end
    for bad, text in pairs { ["0/0"] = "nan", ["1e300"] = "1e+300", ['"x"'] = "x", ["1.5"] = "1.5", ["t.x"] = "index" } do
      local change = ('return function(sp) sp:operator "visits":map_timers(function(t) return %s end) end'):format(bad)
      refused('a timer of "visits" at key "', change)
      refused("fix.lua:1: ", change)
      refused(text, change)
    end
    refused('fix.lua:1: there is an operator "in', 'return function(sp) sp:operator "visits":rename(sp:operators()[1].uid) end')
    refused('fix.lua:1: state "sum" has values: clear it first',
      'return function(sp) sp:operator "visits":load("sum", "x.csv", print) end')
    for wrong, why in pairs {
      ['ann,"1'] = "a quoted field is not closed in its line", ['"ann"x,1'] = "text follows a closing quote",
      ["ann"] = "1 fields, where there are 2 columns", ["ann,1,2"] = "3 fields, where there are 2 columns",
    } do
      write("bad.csv", "user,sum\nbob,1\n" .. wrong .. "\n")
      refused("bad.csv:3: " .. why, [[return function(sp)
        sp:operator "visits":clear "sum"
        sp:operator "visits":load("sum", "bad.csv", function(r) return r.user, r.sum end)
      end]])
    end
    refused("fix.lua:1: no.csv: No such file or directory",
      'return function(sp) sp:operator "visits":clear "sum" sp:operator "visits":load("sum", "no.csv", print) end')
    write("bad.ndjson", '{"user":"a"}\n{"user":\n')
    refused("bad.ndjson:2: this is no JSON at byte 9", [[return function(sp) sp:operator "visits":clear "sum"
      sp:operator "visits":load("sum", "bad.ndjson", function(r) return r.user, 1 end) end]])
    refused("io.open is closed to job scripts", 'return function() io.open "x" end')
    refused("fix.lua returns a table; it should return function(savepoint) … end", "return {}")
    refused("fix.lua:1:", "return function( end")
    refused("'x': arguments of a script are written key=value", "return function() end", "x")
    local _, code, err = weir "savepoint edit x.weir fix.lua"
    assert.equal(2, code)
    assert.truthy(err:find("where does the changed savepoint go? -o FILE", 1, true), err)
  end)
end)
