--- Sinks written in Lua (weir.sink): one that keeps its numbers in an SQLite database, killed at each step of a commit,
--- and what a sink's functions may do and say.

local place = require "support.place"
local shell = require "support.shell"
local luasql = require "luasql.sqlite3"

local write, run = place.write, place.run

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

describe("the job that writes to SQLite", function()
  local COUNT = 4000

  local function stored()
    local driver = luasql.sqlite3()
    local db = assert(driver:connect(folder .. "/orders.db"))
    local found = db:execute "SELECT count(*), count(DISTINCT id), sum(net) FROM orders"
    local all, distinct, sum = found:fetch()
    found:close()
    db:close()
    driver:close()
    return tonumber(all), tonumber(distinct), tonumber(sum)
  end

  local function all_once()
    local all, distinct, sum = stored()
    assert.same({ COUNT, COUNT, COUNT * (COUNT - 1) / 8 }, { all, distinct, sum })
  end

  before_each(function() write("job.lua", shell.read "jobs/to_sqlite.lua") end)

  it("has each order once", function()
    local _, code, err = run("-p 2", "db=orders.db count=" .. COUNT)
    assert.equal(0, code, err)
    all_once()
  end)

  for _, point in ipairs { "log.sealed:2", "checkpoint.complete:1", "commit.begin:1", "commit.begin:2", "commit.done:1", "commit.done:2" } do
    for _, p in ipairs { { 1, 1 }, { 1, 3 }, { 3, 2 } } do
      it(("has each order once when it is killed at %s, from parallelism %d to %d"):format(point, p[1], p[2]), function()
        local args = "db=orders.db count=" .. COUNT
        place.dies(run, ("--dir state --checkpoint-every 20ms -p %d --fault %s=kill"):format(p[1], point), args .. " rate=5000")
        local _, code, err = run("--dir state --checkpoint-every 50ms -p " .. p[2], args)
        assert.equal(0, code, err)
        all_once()
      end)
    end
  end

  it("waits while another process holds the database", function()
    local driver = luasql.sqlite3()
    local db = assert(driver:connect(folder .. "/orders.db"))
    assert(db:execute "CREATE TABLE IF NOT EXISTS orders (id INTEGER, country TEXT, net REAL)")
    assert(db:execute "CREATE TABLE IF NOT EXISTS weir_marks (log TEXT PRIMARY KEY, epoch INTEGER NOT NULL)")
    assert(db:execute "BEGIN IMMEDIATE")
    write("job.lua", (shell.read "jobs/to_sqlite.lua":gsub("WAIT_MS = 5000", "WAIT_MS = 1")))
    local pipe = io.popen(("cd %s && { %s run -q --log-level warn job.lua db=orders.db count=%d 2>&1; echo exit $?; }"):format(
      folder, shell.weir, COUNT))
    local said = ""
    repeat
      local line = assert(pipe:read "*l", said)
      said = said .. line .. "\n"
    until line:find("waiting to commit epoch 1 of orders_db: LuaSQL: database is locked", 1, true)
    assert(db:execute "COMMIT")
    db:close()
    driver:close()
    said = said .. pipe:read "*a"
    pipe:close()
    assert.truthy(said:find "\nexit 0\n$", said)
    all_once()
  end)
end)

describe("a sink of the script's", function()
  local function job(functions)
    write("job.lua", ([[
local weir = require "weir"
local job = weir.job { name = "own" }
job:source(weir.from { { n = 1 }, { n = 2 }, { n = 3 } }):sink(weir.sink { %s }):uid "own"
return job
]]):format(functions))
  end
  local last = "last_committed = function() end, "

  it("is told who it is, and given records, kinds and a number", function()
    job(last .. [[
      open = function(sink) sink.file = io.open("out", "w") end,
      commit = function(sink, log, epoch, rows)
        sink.file:write(sink.job, " ", sink.uid, " ", sink.subtask, "/", sink.parallelism, " ", tostring(sink.fresh), "\n")
        sink.file:write((log:gsub("%x%x%x%x%x%x%x%x+", "LINEAGE")), " ", epoch, "\n")
        for rec, kind, time in rows do sink.file:write(rec.n, " ", kind, " ", tostring(time), "\n") end
      end,
      close = function(sink) sink.file:write "closed\n"; sink.file:close() end]])
    local _, code, err = run ""
    assert.equal(0, code, err)
    assert.equal("own own 0/1 true\nown/LINEAGE/0 1\n1 insert nil\n2 insert nil\n3 insert nil\nclosed\n",
      shell.read(folder .. "/out"))
  end)

  it("that raises an error fails the job, with the script's line", function()
    job(last .. 'commit = function(sink, log, epoch, rows)\nerror "no such table"\nend')
    local _, code, err = run ""
    assert.equal(1, code)
    assert.truthy(err:find("sink [1/1]: commit of epoch 1: job.lua:4: no such table", 1, true), err)
  end)

  for _, given in ipairs { "false", "nil" } do
    it("that gives " .. given .. " and a reason, as functions of Lua do that fail, is asked again", function()
      job(last .. ([[commit = function(sink, log, epoch, rows)
        sink.tries = (sink.tries or 0) + 1
        if sink.tries == 1 then return %s, "disk full" end
        local out = io.open("out", "w")
        for rec in rows do out:write(rec.n, "\n") end
        out:close()
      end]]):format(given))
      local _, code, err = run ""
      assert.equal(0, code, err)
      assert.equal("1\n2\n3\n", place.read "out")
    end)
  end

  it("that does not open fails the job at once, whatever --restart says", function()
    job(last .. 'open = function() error("no database", 0) end, commit = function() end')
    local _, code, err = run "--dir state"
    assert.equal(1, code)
    assert.truthy(err:find("no database", 1, true), err)
    assert.is_nil(err:find("run again", 1, true), err)
  end)

  it("may use io, os and installed modules there, and not where the graph is drawn", function()
    job(last .. [[commit = function(sink, log, epoch, rows)
      assert(require("luasql.sqlite3") and os.getenv "HOME" and io.open("x", "w"))
    end]])
    local _, code, err = run ""
    assert.equal(0, code, err)
    write("job.lua", 'local sql = require "luasql.sqlite3"\n' .. shell.read(folder .. "/job.lua"))
    _, code, err = run ""
    assert.equal(2, code)
    assert.truthy(err:find("module 'luasql.sqlite3' not found", 1, true), err)
  end)

  it("gives a number or nil as its mark", function()
    job 'last_committed = function() return "many" end, commit = function() end'
    shell.run(("cd %s && %s run -q --dir state --fault commit.begin:1=kill job.lua"):format(folder, shell.weir))
    local _, code, err = run "--dir state"
    assert.equal(1, code)
    assert.truthy(err:find("last_committed gives the number of an epoch, or nil, not many", 1, true), err)
  end)

  it("that cannot tell its mark, and gives nil and a reason, fails the job and writes nothing twice", function()
    job [[last_committed = function() return nil, "database is locked" end,
      commit = function(sink, log, epoch, rows) local out = io.open("out", "a"); out:write "once\n"; out:close() end]]
    shell.run(("cd %s && %s run -q --dir state --fault commit.done:1=kill job.lua"):format(folder, shell.weir))
    local _, code, err = run "--dir state --restart none"
    assert.equal(1, code)
    assert.truthy(err:find("sink: last_committed: database is locked", 1, true), err)
    assert.equal("once\n", place.read "out")
  end)

  it("needs both of its functions", function()
    job "commit = function() end"
    local _, code, err = run ""
    assert.equal(2, code)
    assert.truthy(err:find("job.lua:3: weir.sink: option \"last_committed\" is missing", 1, true), err)
  end)
end)
