--- to_sqlite: orders into a table of an SQLite database, each exactly once: whatever crashes in between, the table has
--- each order that was read, and none twice. Needs lua-sql-sqlite3.
---
---   weir run --dir state --checkpoint-every 1s jobs/to_sqlite.lua input='orders/*.ndjson' db=orders.db
local weir = require "weir"

local job = weir.job { name = "to_sqlite" }

-- What went wrong may pass, when another process holds the database: false lets the engine try again.
local function run(sink, sql)
  local done, why = sink.db:execute(sql)
  if not done then error(why, 0) end
  return done
end

local function quoted(sink, value)
  if value == nil or value == weir.null then return "NULL" end
  if type(value) == "number" then return ("%.17g"):format(value) end
  return "'" .. sink.db:escape(tostring(value)) .. "'"
end

local orders = weir.sink {
  name = "orders_db",
  open = function(sink)
    local WAIT_MS = 5000
    sink.driver = require("luasql.sqlite3").sqlite3()
    sink.db = assert(sink.driver:connect(job.args.db or "orders.db", WAIT_MS))
    run(sink, "CREATE TABLE IF NOT EXISTS orders (id INTEGER, country TEXT, net REAL)")
    run(sink, "CREATE TABLE IF NOT EXISTS weir_marks (log TEXT PRIMARY KEY, epoch INTEGER NOT NULL)")
  end,
  last_committed = function(sink, log)
    local found = run(sink, "SELECT epoch FROM weir_marks WHERE log = " .. quoted(sink, log))
    local epoch = found:fetch()
    found:close()
    return epoch
  end,
  -- One transaction: the rows, and the number that says that they are there.
  commit = function(sink, log, epoch, rows)
    local good, why = pcall(function()
      run(sink, "BEGIN IMMEDIATE")
      for order in rows do
        run(sink, ("INSERT INTO orders VALUES (%s, %s, %s)"):format(quoted(sink, order.id),
          quoted(sink, order.country), quoted(sink, order.net)))
      end
      run(sink, ("INSERT OR REPLACE INTO weir_marks VALUES (%s, %d)"):format(quoted(sink, log), epoch))
      run(sink, "COMMIT")
    end)
    if good then return end
    sink.db:execute "ROLLBACK"
    if tostring(why):find "locked" then return false, why end
    error(why, 0)
  end,
  close = function(sink)
    if sink.db then sink.db:close() end
    if sink.driver then sink.driver:close() end
  end,
}

local source = job.args.count
  and weir.generate {
    rate = tonumber(job.args.rate), count = tonumber(job.args.count),
    fn = function(i) return { id = i, country = i % 3 == 0 and "DE" or "FR", net = i / 4 } end,
  }
  or weir.files { path = job.args.input or "jobs/data/orders.ndjson", format = weir.json() }

job:source(source):sink(orders):uid "orders_db"

return job
