--- Async functions: rows J9 to J15, waiting, failing, and HTTP against a local server.

local http = require "support.http"
local script = require "support.script"
local shell = require "support.shell"

local head = [[
local weir = require "weir"
local job = weir.job "test"
local function source(list) return job:source(weir.from(list)) end
local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = { n = i } end
  return source(list)
end
]]

-- Records { tick = i } for 0.4 s, so that the input has not ended while something is tried again.
local ticks = 'union(job:source(weir.generate { count = 20, rate = 50, fn = function(i) return { tick = i } end }))'

-- Output in its order; the job must end well.
local function run(text, options)
  local out, code, err = script.try(head .. text, options or "-q")
  assert.equal(0, code, err)
  return out
end

local function fails(text, options)
  local out, code, err = script.try(head .. text, options)
  assert.equal(1, code, out)
  return err
end

-- Rows in groups, with a watermark behind each group; each is shown with the watermark that is there.
local function between_watermarks(order)
  return run(([[
    local list = {}
    for i = 1, 90 do list[i] = { n = i, ts = i, mark = i %% 3 == 0, wait = (i * 7) %% 5 } end
    source(list):watermarks(weir.watermark.punctuated { field = "ts", fn = function(rec, ts)
        if rec.mark then return ts end
      end })
      :async { order = %q, fn = function(rec)
        weir.async.sleep(rec.wait)
        return { n = rec.n }
      end }
      :process(function(ctx, rec) ctx:emit { n = rec.n, ts = ctx:timestamp(), wm = ctx:watermark() or 0 } end)
      :sink(weir.print())
  ]]):format(order))
end

local function marked(n)
  return ('{"n":%d,"ts":%d,"wm":%d}'):format(n, n, math.floor((n - 1) / 3) * 3)
end

describe("an async function", function()
  it("J9: gives results in the order of the records", function()
    local expected = {}
    for n = 1, 90 do expected[n] = marked(n) end
    assert.equal(table.concat(expected, "\n") .. "\n", between_watermarks "ordered")
  end)

  it("J9: unordered, lets no result and no watermark pass each other", function()
    local expected = {}
    for n = 1, 90 do expected[n] = marked(n) end
    assert.equal(script.lines(expected), shell.sorted(between_watermarks "unordered"))
  end)

  it("J9: unordered, gives what is ready first", function()
    assert.equal('{"n":2}\n{"n":3}\n{"n":1}\n', run [[
      source { { n = 1, wait = 60 }, { n = 2, wait = 0 }, { n = 3, wait = 20 } }
        :async { order = "unordered", fn = function(rec) weir.async.sleep(rec.wait) return { n = rec.n } end }
        :sink(weir.print())
    ]])
  end)

  it("J10: has as many records at once as its capacity, and takes answers while it is full", function()
    local out = run [[
      local now, most = 0, 0
      numbers(50):async { capacity = 3, fn = function(rec)
        now = now + 1
        most = math.max(most, now)
        weir.async.sleep "1ms"
        now = now - 1
        return { n = rec.n, most = most }
      end }:sink(weir.print())
    ]]
    assert.matches('{"most":3,"n":50}\n$', out)
    assert.is_nil(out:find '"most":4')
  end)

  it("J12: fails the job with script, line, operator and record", function()
    local err = fails [[
      numbers(5):async(function(rec)
        weir.async.sleep "0ms"
        if rec.n == 3 then error "boom" end
        return rec
      end):name "ask":sink(weir.print())
    ]]
    assert.matches("operator 'ask' %(job.lua:%d+%) failed in subtask 0: job.lua:%d+: boom", err)
    assert.matches('record: {"n":3}', err)
    assert.matches('traceback:\n%s+job.lua:%d+: in function', err)
  end)

  it("J12: skips a record that fails, or hands it to the dead letters, with none of its results", function()
    assert.equal('{"error":"job.lua:11: boom","n":2}\n{"n":1}\n{"n":3}\n', shell.sorted(run [[
      local s = numbers(3):async(function(rec, emit)
        weir.async.sleep "0ms"
        if rec.n == 2 then emit { n = 200 } error "boom" end
        return rec
      end):on_error "dead_letter"
      s:sink(weir.print())
      s:side_output "dead_letter":map(function(d) return { n = d.record.n, error = d.error:match "job.lua.*" } end):sink(weir.print())
    ]]))
    assert.equal('{"n":1}\n{"n":3}\n', run [[
      numbers(3):async(function(rec, emit)
        emit(rec)
        weir.async.sleep "0ms"
        if rec.n == 2 then error {} end
      end):on_error "skip":sink(weir.print())
    ]])
  end)

  it("J13: gives what on_timeout says once the timeout is over, and fails without it", function()
    assert.equal('{"n":1}\n{"late":2}\n{"also":2}\n{"n":3}\n', (run [[
      numbers(3):async { timeout = 20, fn = function(rec)
        weir.async.sleep(rec.n == 2 and "1h" or 0)
        return rec
      end, on_timeout = function(rec, emit)
        emit { late = rec.n }
        return { also = rec.n }
      end }:sink(weir.print())
    ]]))
    assert.matches("failed in subtask 0: no result after 0.02 s %(timeout%)", fails [[
      numbers(1):async { timeout = 20, fn = function() weir.async.sleep "1h" end }:sink(weir.print())
    ]])
  end)

  it("J13: has one timeout for all attempts", function()
    assert.equal('{"enough":true}\n', run([[
      numbers(1):]] .. ticks .. [[:async { timeout = 50, retry = { attempts = 1000, delay = 3 }, fn = function(rec)
        if not rec.tick then error "never" end
      end, on_timeout = function() return { enough = true } end }:sink(weir.print())
    ]]))
  end)

  it("J14: makes one last attempt at once when the input has ended", function()
    assert.equal('{"attempt":2,"n":1}\n{"attempt":2,"n":2}\n', run [[
      local attempts = {}
      numbers(2):async { timeout = "2h", retry = { attempts = 5, delay = "1h" }, fn = function(rec)
        attempts[rec.n] = (attempts[rec.n] or 0) + 1
        weir.async.sleep "1ms"
        if attempts[rec.n] == 1 then error "not yet" end
        return { n = rec.n, attempt = attempts[rec.n] }
      end }:sink(weir.print())
    ]])
    local err = fails [[
      local attempts = 0
      numbers(1):async { timeout = "2h", retry = { attempts = 5, delay = "1h" }, fn = function()
        attempts = attempts + 1
        error("attempt " .. attempts)
      end }:sink(weir.print())
    ]]
    assert.matches("attempt 2", err)
  end)

  it("J15: has a capacity of 100, and needs a timeout for retry", function()
    assert.matches('{"most":100}\n$', run [[
      local now, most = 0, 0
      numbers(250):async(function()
        now = now + 1
        most = math.max(most, now)
        weir.async.sleep "300ms" -- a busy machine may take long to give it the records
        now = now - 1
        return { most = most }
      end):sink(weir.print())
    ]])
    local _, code, err = script.try(head .. [[
      numbers(1):async { retry = { attempts = 3 }, fn = function() end }:sink(weir.print())
    ]])
    assert.equal(2, code)
    assert.matches("job.lua:%d+: stream:async: retry needs a timeout", err)
  end)

  it("tries a result again that is not good enough, with a growing delay", function()
    assert.equal('{"n":1,"tries":3}\n', run([[
      local tries = 0
      numbers(1):]] .. ticks .. [[:async {
        timeout = "1m", retry = { attempts = 5, delay = 1, factor = 2, delay_max = 3,
          if_result = function(result) return result ~= nil and result.tries < 3 end },
        fn = function(rec)
          if rec.tick then return nil end
          tries = tries + 1
          return { n = rec.n, tries = tries }
        end }:sink(weir.print())
    ]]))
  end)

  it("keeps time and kind of a record, emits any number, and nothing for nil", function()
    assert.equal('{"n":1,"ts":1}\n{"n":10,"ts":1}\n{"n":3,"ts":3}\n{"n":30,"ts":3}\n', run [[
      source { { n = 1, ts = 1 }, { n = 2, ts = 2 }, { n = 3, ts = 3 } }
        :watermarks(weir.watermark.ascending { field = "ts" })
        :async(function(rec, emit)
          if rec.n == 2 then return nil end
          emit { n = rec.n }
          emit { n = rec.n * 10 }
        end)
        :process(function(ctx, rec) ctx:emit { n = rec.n, ts = ctx:timestamp() } end):sink(weir.print())
    ]])
  end)

  it("takes records of any form, and as many as come", function()
    assert.equal(shell.lines(1, 5000, '{"line":"%d","list":[1,{"a":true}],"more":1}'), run [[
      numbers(5000):map(function(rec) return { n = rec.n, list = { 1, { a = true } } } end)
        :async { order = "ordered", capacity = 7, fn = function(rec)
          if rec.n % 3 == 0 then weir.async.sleep "0ms" end
          return { line = tostring(rec.n), list = rec.list, more = 1 }
        end }:sink(weir.print())
    ]])
    assert.equal("3\n4\n5\n", run [[
      job:source(weir.sequence { from = 1, to = 3 }):async(function(n) return n + 2 end):sink(weir.print())
    ]])
  end)

  it("holds back its source, and is held back by its sink", function()
    assert.equal('{"count":200000,"k":1}\n', run([[
      job:source(weir.sequence { from = 1, to = 200000 })
        :async { order = "unordered", fn = function(n) return { k = 1, text = ("x"):rep(100) } end }
        :rebalance():key_by "k":count { emit = "final" }:sink(weir.print())
    ]], "-q -p 2 --workers 2 --buffer-size 4k"))
  end)

  it("says what may not wait, and where", function()
    local function says(text, code)
      assert.matches(text, fails(code), nil)
    end
    says("job.lua:%d+: weir.async.sleep waits, and may be called only in the function of stream:async", [[
      numbers(1):map(function(rec) weir.async.sleep "1ms" return rec end):sink(weir.print())]])
    says("job.lua:%d+: weir.http.get waits, which on_timeout may not", [[
      numbers(1):async { timeout = 1, fn = function() weir.async.sleep "1h" end,
        on_timeout = function() weir.http.get "http://localhost/" end }:sink(weir.print())]])
    says("job.lua:%d+: weir.async.sleep waits, and may not be called in a coroutine of the script's own", [[
      numbers(1):async(function() coroutine.wrap(function() weir.async.sleep "1ms" end)() end):sink(weir.print())]])
    says('the async function yielded "what": only weir.http.get, weir.async.sleep', [[
      numbers(1):async(function() coroutine.yield "what" end):sink(weir.print())]])
    says("attempt to yield across C%-call boundary", [[
      numbers(1):async(function()
        table.sort({ 2, 1, 3 }, function(a, b) weir.async.sleep "1ms" return a < b end)
      end):sink(weir.print())]])
    says("emit belongs to a record that is done", [[
      local kept
      numbers(2):async(function(rec, emit)
        if kept then kept(rec) end
        kept = emit
        weir.async.sleep "1ms"
      end):sink(weir.print())]])
    says("a record cannot hold a function", [[
      numbers(1):async(function() return { f = print } end):sink(weir.print())]])
    says('weir.http.get: the address must be an address such as http://host/path, not "ftp://x"', [[
      numbers(1):async(function() weir.http.get "ftp://x" end):sink(weir.print())]])
    says("retry%.if_error is tried", [[
      numbers(1):async { timeout = "1m", retry = { attempts = 2, if_error = function() error "retry.if_error is tried" end },
        fn = function() error "x" end }:sink(weir.print())]])
  end)
end)

describe("weir.http.get", function()
  local server
  setup(function() server = http.start() end)
  teardown(function() server.stop() end)

  -- `url` is the server's.
  local function ask(text, options)
    return run(("local url = %q\n"):format(server.url) .. text, options)
  end

  local function replies(paths, opts)
    local list = {}
    for i, path in ipairs(paths) do list[i] = ("{ path = %q }"):format(path) end
    return ask(([[
      source { %s }:async(function(rec)
        local ok, reply = pcall(weir.http.get, url .. rec.path, %s)
        if not ok then return { error = reply:gsub("http://[%%d.:]+", "") } end
        return { status = reply.status, body = reply.body }
      end):sink(weir.print())
    ]]):format(table.concat(list, ", "), opts or "nil"))
  end

  it("gives status, body and headers", function()
    assert.equal('{"body":"ann","status":200}\n{"body":"404","status":404}\n{"body":"500","status":500}\n',
      replies { "/say/ann", "/status/404", "/status/500" })
    assert.equal('{"length":"3","twice":"a, b"}\n', ask [[
      numbers(1):async(function()
        local h = weir.http.get(url .. "/status/200").headers
        return { twice = h["x-twice"], length = h["content-length"] }
      end):sink(weir.print())
    ]])
    assert.matches("X%-Key: secret\\n", replies({ "/echo" }, '{ headers = { ["X-Key"] = "secret" } }'))
  end)

  it("follows redirects, up to a bound", function()
    assert.equal('{"body":"arrived","status":200}\n', replies { "/redirect/3" })
    assert.equal('{"body":"","status":302}\n', replies({ "/redirect/1" }, "{ redirects = 0 }"))
    assert.matches("GET /loop: .*redirects", replies { "/loop" })
  end)

  it("raises an error when there is no answer: time over, connection closed or refused, body too long", function()
    assert.matches("GET /hang: .*timed out", replies({ "/hang" }, '{ timeout = "50ms" }'))
    assert.matches("GET /close: ", replies { "/close" })
    assert.matches("GET /big/2000: the body is longer than 1024 bytes", replies({ "/big/2000" }, '{ body_max = "1k" }'))
    assert.matches("failed in subtask 0: GET http://127.0.0.1:1/: .*\n  record: ", fails [[
      numbers(1):async(function() return weir.http.get "http://127.0.0.1:1/" end):sink(weir.print())
    ]])
  end)

  it("lets other records go on while an answer is awaited", function()
    -- the first answer comes only when the second request was made
    assert.equal('{"body":"after a"}\n{"body":"release a"}\n', shell.sorted(ask [[
      source { { path = "/after/a" }, { path = "/release/a" } }
        :async { order = "unordered", fn = function(rec) return { body = weir.http.get(url .. rec.path).body } end }
        :sink(weir.print())
    ]]))
    assert.equal('{"body":"after b"}\n{"body":"release b"}\n', ask [[
      source { { path = "/after/b" }, { path = "/release/b" } }
        :async(function(rec) return { body = weir.http.get(url .. rec.path).body } end)
        :sink(weir.print())
    ]])
  end)

  it("J12: passes over an answer that comes after the timeout", function()
    assert.equal('{"late":1}\n{"body":"release c"}\n', ask [[
      source { { n = 1, path = "/after/c" }, { n = 2, path = "/release/c" } }
        :async { capacity = 1, timeout = "200ms", fn = function(rec)
          return { body = weir.http.get(url .. rec.path).body }
        end, on_timeout = function(rec) return { late = rec.n } end }:sink(weir.print())
    ]])
  end)

  it("J13: is tried again by retry", function()
    assert.equal('{"body":"2"}\n', ask([[
      numbers(1):]] .. ticks .. [[:async { timeout = "1m", retry = { attempts = 5, delay = 1 }, fn = function(rec)
        if rec.tick then return nil end
        return { body = weir.http.get(url .. "/flaky/2/d").body }
      end }:sink(weir.print())
    ]]))
  end)

  it("gives the example job what it needs", function()
    local out, code, err = shell.run(("printf '%%s\\n' %s/say/hello %s/status/404 %s/status/503 | %s run -q jobs/status_of.lua")
      :format(server.url, server.url, server.url, shell.weir))
    assert.equal(0, code, err)
    assert.equal('{"bytes":5,"status":200,"type":"","url":"/say/hello"}\n{"bytes":3,"status":404,"type":"","url":"/status/404"}\n'
      .. '{"bytes":3,"status":503,"type":"","url":"/status/503"}\n', (out:gsub("http://[%d.:]+", "")))
  end)

  it("asks many times at once, in several subtasks", function()
    local expected = {}
    for i = 1, 300 do expected[i] = ('{"body":"%d"}'):format(i) end
    assert.equal(script.lines(expected), shell.sorted(ask([[
      numbers(300):rebalance():async { order = "unordered", fn = function(rec)
        return { body = weir.http.get(url .. "/say/" .. rec.n).body }
      end }:sink(weir.print())
    ]], "-q -p 3")))
  end)

  it("ends at once when the job does, whatever is under way", function()
    assert.matches("boom", fails(("local url = %q\n"):format(server.url) .. [[
      numbers(2):async { order = "unordered", fn = function(rec)
        if rec.n == 1 then weir.http.get(url .. "/hang") end
        error "boom"
      end }:sink(weir.print())
    ]]))
  end)

  it("says what is missing when its module is not there", function()
    local folder = shell.folder()
    shell.run(("cp %s %s/weir"):format(shell.weir, folder))
    local file = io.open(folder .. "/job.lua", "w")
    file:write(head .. [[
      numbers(1):async(function() return weir.http.get "http://127.0.0.1:1/" end):on_error "skip":sink(weir.print())
    ]])
    file:close()
    local _, code, err = shell.run(("%s/weir run %s/job.lua"):format(folder, folder))
    assert.equal(1, code)
    assert.matches("the module weir%-http.so is missing: it is neither beside the program %(.-%) nor in ../lib/weir", err)
    shell.run(("mkdir -p %s/bin %s/lib/weir && mv %s/weir %s/bin && echo junk >%s/lib/weir/weir-http.so"):format(
      folder, folder, folder, folder, folder))
    _, code, err = shell.run(("%s/bin/weir run %s/job.lua"):format(folder, folder))
    assert.equal(1, code)
    assert.matches("the module weir%-http.so does not load: ", err)
    shell.run(("cp %s/weir-http.so %s/lib/weir"):format(shell.weir:match "^(.*)/", folder))
    _, code = shell.run(("%s/bin/weir run %s/job.lua"):format(folder, folder))
    assert.equal(0, code)
    shell.remove(folder)
  end)

  it("is played back from a recording, also when the server is not there any more", function()
    local one = http.start()
    local folder = shell.folder()
    local text = head .. ([[
      numbers(5):async { order = "unordered", fn = function(rec)
        local ok, reply = pcall(weir.http.get, %q .. rec.n)
        return { n = rec.n, body = ok and reply.body }
      end }:sink(weir.print())
    ]]):format(one.url .. "/say/")
    local file = io.open(folder .. "/job.lua", "w")
    file:write(text)
    file:close()
    local first, code, err = shell.run(("%s run -q --record %s/rec %s/job.lua"):format(shell.weir, folder, folder))
    assert.equal(0, code, err)
    one.stop()
    local second, again, why = shell.run(("%s run -q --replay %s/rec %s/job.lua"):format(shell.weir, folder, folder))
    assert.equal(0, again, why)
    assert.equal(first, second)
    assert.matches('"body":"5"', second)
    shell.remove(folder)
  end)
end)
