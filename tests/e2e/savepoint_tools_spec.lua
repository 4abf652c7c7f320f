--- `weir savepoint ls|info|get|query|diff`: what is in a savepoint, as text and as JSON.

local place = require "support.place"
local shell = require "support.shell"

local write, weir, sorted = place.write, place.weir, place.sorted

local folder

--- Standard output of a tool that ends well.
local function tool(arguments, code_expected)
  local out, code, err = weir("savepoint " .. arguments)
  assert.equal(code_expected or 0, code, arguments .. "\n" .. out .. err)
  return out, err
end

local function refused(what, arguments, code_expected)
  local out, code, err = weir("savepoint " .. arguments)
  assert.equal(code_expected or 2, code, out .. err)
  assert.truthy(err:find(what, 1, true), err)
end

local job = [[
local weir = require "weir"
local job = weir.job { name = "visits", max_parallelism = 128 }
local visits = weir.process_function {
  state = {
    last = weir.state.value(), pages = weir.state.map(), seen = weir.state.list { ttl = "1h" },
    most = weir.state.reducing(math.max),
  },
  element = function(ctx, v)
    ctx.last:set { n = v.n, user = v.user }
    ctx.pages:put("p" .. v.n % 2, v.n)
    ctx.seen:add(v.n)
    ctx.most:add(v.n)
    ctx:event_timer(5000 + v.n)
    ctx:emit(v)
  end,
  timer = function() end,
}
job:source(weir.generate { rate = 40, count = 1e6, fn = function(i)
    return { n = i, user = ({ "ann", "bob", "cleo" })[i % 3 + 1] }
  end }):uid "numbers"
  :key_by "user":process(visits):uid "visits"
  :map(function(v) return { k = { v.user, v.n % 2 }, n = v.n, user = v.user, odd = v.n % 2 } end)
  :key_by("user", "odd"):count():uid "counts"
  :sink(weir.print())
return job
]]

-- Goes on with the job of a folder until it has given nine records, and stops it.
local function go_on(p)
  local out = shell.run(([[cd %s && ( %s run -q -p %d --dir state%d --checkpoint-every 5ms --checkpoint-retain 1000 job.lua \
      & echo $! >pid; wait $! ) |
    ( for i in $(seq 9); do read -r line; echo "$line"; done; kill -INT $(cat pid); cat )]]):format(folder, shell.weir, p, p))
  assert.is_true(select(2, out:gsub("\n", "")) >= 9)
end

local function newest()
  return shell.run(("ls -d %s/state1/chk-*/manifest | sort -V | tail -1"):format(folder)):match "(chk%-%d+)/manifest"
end

-- Made once: all specs only look.
local older -- checkpoint of p1.weir's job, nine records before it or more
setup(function()
  folder = place.make()
  write("job.lua", job)
  go_on(1)
  older = "state1/" .. newest()
  for _, p in ipairs { 1, 2 } do
    go_on(p)
    tool(("--dir state%d -o p%d.weir"):format(p, p))
  end
end)
teardown(place.remove)

-- How far the source had come, from what a tool says of a key.
local function largest(file)
  local most = -1
  for n in tool("query " .. file .. " visits most"):gmatch "\t(%d+)" do most = math.max(most, tonumber(n)) end
  return most
end

describe("weir savepoint", function()
  it("ls lists operators, states, keys, values, shapes and timers, whatever the parallelism", function()
    for p = 1, 2 do
      local n = largest(("p%d.weir"):format(p)) + 1
      assert.is_true(n >= 9)
      local out = tool(("ls p%d.weir"):format(p))
      assert.truthy(out:match "^OPERATOR +STATE +KIND +KEYS +VALUES +BYTES +SHAPES\n", out)
      assert.truthy(out:match "\nvisits +last +value +3 +3 +[%d.]+ %a+ +{n: number, user: string}\n", out)
      assert.truthy(out:match "\n +most +reducing +3 +3 +[%d.]+ %a+ +number\n", out)
      assert.truthy(out:match "\n +pages +map +3 +6 +[%d.]+ %a+ +number\n", out)
      assert.truthy(out:match(("\n +seen +list, ttl 1h +3 +%d +[%%d.]+ %%a+ +number\n"):format(n)), out)
      assert.truthy(out:match(("\n +%%(timers%%) +event time +3 +%d\n"):format(n)), out)
      assert.truthy(out:match "\ncounts +%S+ +%S+ +6 +6 ", out)
      assert.truthy(out:match "\nnumbers.source +%(positions%) +of %d subtasks? +%d +lane 0 at %d+[^\n]*\n", out)
      local json = tool(("ls --json p%d.weir"):format(p))
      assert.truthy(json:find(('"keys": 3, "kind": "list", "name": "seen", "shapes": ["number"], "ttl_ms": 3600000, "values": %d, "version": 1'):format(n),
        1, true), json)
      assert.truthy(json:find(('"timers": {"event": %d, "keys": 3, "processing": 0}, "uid": "visits"'):format(n), 1, true), json)
    end
  end)

  it("info tells where it comes from and how far its sources were", function()
    local out = tool "info p2.weir"
    assert.truthy(out:match "^job +visits\ncheckpoint +%d+ of lineage %x+, taken %d+%-%d+%-%d+T%d+:%d+:%d+Z\nscript +%x+\n", out)
    assert.truthy(out:match "\nprocess → map[^\n]* +2 +128 ", out)
    local next = out:match "\nSOURCE +SPLIT +NEXT +STOP +SUBTASK\nnumbers.source +lane 0 +(%d+) +0\n"
    local json = tool "info --json p2.weir"
    assert.truthy(json:find(('{"subtask": 0, "uid": "numbers.source", "value": [[%s,'):format(next), 1, true), json)
    assert.truthy(json:find(('{"position": {"next":%s,"step":2}, "split": "lane 0", "subtask": 0, "uid": "numbers.source"}')
      :format(next), 1, true), json)
    assert.truthy(json:find('"job": "visits"', 1, true), json)
  end)

  it("takes a folder of checkpoints, or one of them, in place of a file", function()
    local expected = tool "ls p1.weir"
    assert.equal(expected, (tool "ls state1"))
    assert.equal(expected, (tool("ls state1/" .. newest())))
  end)

  it("get shows what is known of a key, of every kind of state", function()
    local n = tonumber((tool "get p1.weir visits most bob"))
    assert.equal(1, n % 3)
    assert.equal(('{"n":%d,"user":"bob"}\n'):format(n), (tool "get p1.weir visits last bob"))
    assert.equal(('{"n":%d,"user":"bob"}\n'):format(n), (tool [[get p1.weir visits last '"bob"']]))
    local pages = { [n % 2] = n, [(n - 3) % 2] = n - 3 }
    assert.equal(('"p0"\t%d\n"p1"\t%d\n'):format(pages[0], pages[1]), (tool "get p1.weir visits pages bob"))
    assert.equal('{"key": "bob", "position": 1, "value": 1}\n{"key": "bob", "position": 2, "value": 4}\n',
      (tool "get --json p1.weir visits seen bob":match "^[^\n]*\n[^\n]*\n"))
    assert.equal('"bob"\tevent time 5001\n', (tool "get p1.weir visits timers bob":match "^[^\n]*\n"))
    assert.truthy(tool [[get p1.weir counts value '["bob", 1]']]:match "^%d")
    local _, err = tool("get p1.weir visits last dora", 1)
    assert.equal('weir: key dora has nothing in "visits.last"\n', err)
  end)

  it("get finds a key in whichever subtask had it", function()
    for i, user in ipairs { "ann", "bob", "cleo" } do
      assert.equal(i - 1, tonumber((tool("get p2.weir visits most " .. user))) % 3)
    end
  end)

  it("query filters by a Lua expression", function()
    assert.equal('"bob"', (tool "query p1.weir visits last 'value.n % 3 == 1 and key:match \"^b\"'"):match "^[^\t]+")
    assert.equal("", (tool "query p1.weir visits last 'value.n < 0'"))
    assert.equal('"ann"\t#1\t0\n"ann"\t#2\t3\n"bob"\t#1\t1\n"bob"\t#2\t4\n"cleo"\t#1\t2\n"cleo"\t#2\t5',
      (sorted(tool "query p1.weir visits seen 'position <= 2'"):gsub("(\"\t#[12]\t%d)[^\n]*", "%1")))
    assert.equal('{"key": "ann", "time": 5003, "timer": "event"}\n',
      (tool "query --json p2.weir visits timers 'time == 5003 and timer == \"event\"'"))
    assert.equal(3, select(2, tool("query p1.weir visits pages 'entry == \"p1\"'"):gsub("\n", "")))
    assert.equal(2, select(2, tool("query --limit 2 p1.weir visits seen"):gsub("\n", "")))
    assert.equal(2, select(2, tool "query p1.weir counts value 'key[1] == \"ann\"'":gsub("\n", "")))
  end)

  it("query runs its expression in the sandbox of scripts, and tells where it fails", function()
    refused("io.open is closed to job scripts", "query p1.weir visits last 'io.open \"/etc/passwd\"'")
    refused("os.execute is closed to job scripts", "query p1.weir visits last 'os.execute \"true\"'")
    refused('the expression fails at "', "query p1.weir visits last 'value.x.y'")
    refused("attempt to index field 'x' (a nil value)", "query p1.weir visits last 'value.x.y'")
    refused("the expression cannot be read: ", "query p1.weir visits last 'value +'")
  end)

  it("diff tells what was added, removed and changed, by key", function()
    assert.equal("no difference\n", (tool "diff p1.weir p1.weir"))
    assert.equal("", (tool "diff --json p1.weir p1.weir"))
    tool "--dir state1 -o other.weir"
    assert.equal("no difference\n", (tool "diff p1.weir other.weir"))
    local out = tool(("diff %s p1.weir visits"):format(older), 1)
    assert.truthy(out:match '\n?~ visits.last\t"%a+"\t{"n":%d+,"user":"%a+"} → {"n":%d+,"user":"%a+"}\n', out)
    assert.truthy(out:match '\n?%+ visits.timers\t"%a+"\tevent time 50%d+\n', out)
    assert.truthy(out:match "\n%d+ added, 0 removed, %d+ changed\n$", out)
    out = tool(("diff --json p1.weir %s visits seen"):format(older), 1)
    assert.truthy(out:match '^{"change": "removed", "uid": "visits", "state": "seen", "key": "%a+", "place": "#%d+", "before": %d+, "after": null}\n', out)
    assert.equal(1, select(2, tool(("diff --json --limit 1 p1.weir %s visits seen"):format(older), 1):gsub("\n", "")))
  end)

  it("shows one entry of a map", function()
    local all = tool "get p1.weir visits pages ann"
    assert.equal(all:match '"p1"\t(%d+\n)', tool "get p1.weir visits pages ann p1")
    assert.equal(all:match '"p0"\t(%d+\n)', tool [[get p1.weir visits pages ann '"p0"']])
    local _, err = tool("get p1.weir visits pages ann p2", 1)
    assert.equal('weir: key ann, entry p2 has nothing in "visits.pages"\n', err)
  end)

  it("tells apart what is not there from what cannot be, with what there is instead", function()
    refused('p1.weir has no operator "visist"; did you mean "visits"?', "get p1.weir visist last ann")
    refused('operator "visits" of p1.weir has no state "lsat"; did you mean "last"?',
      "query p1.weir visits lsat")
    refused("usage: weir savepoint get FILE UID STATE KEY [ENTRY]", "get p1.weir visits last")
    refused('"last" is no map: it has no entry p0', "get p1.weir visits last ann p0")
    refused('operator "numbers" of p1.weir is no source whose positions are known; did you mean "numbers.source"?',
      "query p1.weir numbers positions")
    refused("none.weir: cannot be read: No such file or directory", "ls none.weir")
    refused('job.lua: this is no savepoint: it does not begin with "WEIRSAVE"', "info job.lua")
    refused("weir savepoint get has no option --limit", "get --limit 3 p1.weir visits last ann")
    for _, command in ipairs { "ls", "info", "get", "query", "diff" } do
      assert.truthy(tool(command .. " --help"):find("\nexamples:\n  weir savepoint " .. command, 1, true))
    end
    assert.truthy(weir("help savepoint get"):find("usage: weir savepoint get FILE UID STATE KEY", 1, true))
  end)

  it("ls, get, query and diff notice a damaged byte, and name the place", function()
    shell.run(("cd %s && cp p1.weir bad.weir && printf X | dd of=bad.weir bs=1 seek=600 conv=notrunc"):format(folder))
    for _, arguments in ipairs { "ls bad.weir", "get bad.weir visits last ann", "query bad.weir visits last", "diff p1.weir bad.weir" } do
      refused("bad.weir: chk-", arguments)
    end
  end)

  it("stops in order when nobody reads on", function()
    assert.equal("0\n", (shell.run(("cd %s && { %s savepoint query p1.weir visits seen; echo $? >code; } | true; cat code")
      :format(folder, shell.weir))))
  end)
end)
