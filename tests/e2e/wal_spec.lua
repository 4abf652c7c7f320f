--- Sources that cannot be read again, with a write-ahead log: each line that is in it is taken once.

local finished = require "support.finished"
local place = require "support.place"
local shell = require "support.shell"

local write = place.write

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function lines(first, last) return shell.lines(first, last, "line %06d") end

--- The whole lines in the log of the job's only source, in order.
local function logged()
  local out = {}
  for path in shell.run(("ls %s/state/wal-*/*.wal 2>/dev/null"):format(folder)):gmatch "[^\n]+" do
    local text, at, session = shell.read(path), 1, {}
    while at + 24 <= #text + 1 do
      local a, b, c, d = text:byte(at + 4, at + 7)
      local len = a + b * 256 + c * 65536 + d * 16777216
      if at + 24 + len > #text + 1 then break end
      session[#session + 1] = text:sub(at + 24, at + 23 + len)
      at = at + 24 + len
    end
    out[#out + 1] = table.concat(session):match "^.*\n"
  end
  return table.concat(out)
end

local job = [[
local weir = require "weir"
local job = weir.job { name = "logged", max_parallelism = 128 }
job:source(weir.stdin { wal = true }):uid "in"
  :rebalance():map(function(r) return r.line end)
  :sink(weir.rolling_files { path = "out", format = weir.lines(), roll = { rows = 500 } }):uid "files"
return job
]]

--- Runs the job with these lines on a pipe that comes slowly enough for checkpoints.
local function run(options, text)
  write("in", text)
  return shell.run(([[cd %s && { split -b 9000 --filter='cat; sleep 0.02' in; } 2>/dev/null |
    %s run -q --dir state %s job.lua]]):format(folder, shell.weir, options))
end

local function killed(options, text, point, n)
  local _, code, err = run(("%s --fault %s:%d=kill"):format(options, point, n), text)
  assert.equal(137, code, ("the job was not killed at %s:%d\n%s"):format(point, n, err))
end

local function ran(options, text)
  local _, code, err = run(options, text)
  assert.equal(0, code, err)
end

describe("a pipe with a write-ahead log, killed", function()
  for _, point in ipairs {
    "wal.folder", "wal.open", "wal.received", "wal.write", "wal.sync", "wal.sync_folder", "wal.logged",
    "checkpoint.ack", "checkpoint.published", "checkpoint.complete", "rolling.rename",
  } do
    it("gives each line that is in the log once, then those that come: " .. point, function()
      local n = ({ ["wal.folder"] = 1, ["wal.open"] = 1, ["wal.sync_folder"] = 1, ["wal.write"] = 8 })[point] or 3
      write("job.lua", job)
      for _, p in ipairs { { 1, 1 }, { 2, 3 } } do
        shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
        killed("--checkpoint-every 10ms -p " .. p[1], lines(1, 20000), point, n)
        local first = logged()
        ran("--checkpoint-every 10ms -p " .. p[2], lines(50001, 51000))
        assert.equal(shell.sorted(first .. lines(50001, 51000)), finished.rows(folder, "out"))
      end
    end)
  end

  it("several times gives each line of all logs once, and removes what no checkpoint needs", function()
    write("job.lua", job)
    local all = {}
    for i = 1, 4 do
      killed("--checkpoint-every 10ms --checkpoint-retain 1000", lines(i * 100000, i * 100000 + 9999),
        "wal.logged", i + 1)
      all[i] = logged()
    end
    assert.truthy(#all[4] > #all[1])
    ran("--checkpoint-every 10ms --checkpoint-retain 1", lines(1, 20000))
    assert.equal(shell.sorted(all[4] .. lines(1, 20000)), finished.rows(folder, "out"))
    assert.equal(1, #finished.files(folder, "state/wal-*"))
  end)

  it("as a log is removed gives each line of both logs once: wal.remove", function()
    write("job.lua", job)
    killed("--checkpoint-every 10ms --checkpoint-retain 1", lines(1, 20000), "wal.logged", 5)
    killed("--checkpoint-every 10ms --checkpoint-retain 1", lines(30001, 50000), "wal.remove", 1)
    local both = logged()
    assert.truthy(both:find("line 000001", 1, true) and both:find("line 030001", 1, true))
    ran("--checkpoint-every 10ms --checkpoint-retain 1", lines(60001, 61000))
    assert.equal(shell.sorted(both .. lines(60001, 61000)), finished.rows(folder, "out"))
  end)

  it("behind its end says that what comes is not read", function()
    write("job.lua", job)
    killed("--checkpoint-every 1h", lines(1, 1000), "rolling.marked", 1)
    local _, code, err = run("--log-level warn", lines(2001, 3000))
    assert.equal(0, code, err)
    assert.truthy(err:find("standard input had ended at the checkpoint: what it brings now is not read", 1, true), err)
    assert.equal(lines(1, 1000), finished.rows(folder, "out"))
  end)

  it("before its first checkpoint gives each line that is in the log once", function()
    write("job.lua", job)
    killed("--checkpoint-every 1h", lines(1, 20000), "wal.logged", 5)
    local first = logged()
    assert.truthy(#first > 0)
    ran("--checkpoint-every 1h", lines(30001, 31000))
    assert.equal(shell.sorted(first .. lines(30001, 31000)), finished.rows(folder, "out"))
  end)
end)

describe("a write-ahead log", function()
  local function refused(code, text, options, input)
    local _, is, err = run(options or "", input or lines(1, 2000))
    assert.equal(code, is, err)
    assert.truthy(err:find(text, 1, true), err)
  end

  it("without --dir is an error at the script's line, but not where the job is only looked at", function()
    write("job.lua", job)
    local _, code, err = shell.run(("cd %s && %s run -q job.lua </dev/null"):format(folder, shell.weir))
    assert.equal(2, code)
    assert.equal('weir: job.lua:3: operator "stdin": wal = true keeps its log beside the checkpoints: '
      .. "run the job with --dir DIR\n", err)
    assert.equal(0, select(2, shell.run(("cd %s && %s check job.lua"):format(folder, shell.weir))))
  end)

  for _, point in ipairs { "wal.open", "wal.write", "wal.sync", "wal.sync_folder" } do
    it("on a full disk is one error, and a job that is run again in the process loses no line: " .. point, function()
      write("job.lua", job)
      local n = ({ ["wal.write"] = 4, ["wal.sync"] = 3 })[point] or 1
      local full = ("--checkpoint-every 10ms --log-level warn --fault %s:%d=28"):format(point, n)
      refused(1, "No space left on device", full .. " --restart none", lines(1, 20000))
      shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
      local _, code, err = run(full .. " --restart fixed --restart-delay 1ms", lines(1, 20000))
      assert.equal(0, code, err)
      assert.truthy(err:find("No space left on device", 1, true), err)
      assert.equal(lines(1, 20000), finished.rows(folder, "out"))
    end)
  end

  it("of CSV has the header of each run", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job { name = "csv" }
      job:source(weir.stdin { wal = true, format = weir.csv() }):uid "in"
        :map(function(r) return r.a .. " " .. r.b end)
        :sink(weir.rolling_files { path = "out", format = weir.lines() }):uid "files"
      return job
    ]])
    local first = {}
    for i = 1, 20000 do first[i] = ("%d,one"):format(i) end
    killed("--checkpoint-every 10ms", "a,b\n" .. table.concat(first, "\n") .. "\n", "wal.logged", 3)
    local had = logged():gsub("^a,b\n", ""):gsub(",", " ")
    ran("--checkpoint-every 10ms", "b,a\ntwo,7\n")
    assert.equal(shell.sorted(had .. "7 two\n"), finished.rows(folder, "out"))
  end)

  it("that is damaged is an error that says where", function()
    write("job.lua", job)
    killed("--checkpoint-every 1h", lines(1, 20000), "wal.logged", 5)
    shell.run(("cd %s/state/wal-* && printf X | dd of=$(ls) bs=1 seek=40 conv=notrunc"):format(folder))
    refused(1, "is damaged at byte 0")
  end)

  it("that a job no longer keeps is an error, since it has lines that were not taken", function()
    write("job.lua", job)
    killed("--checkpoint-every 10ms", lines(1, 20000), "checkpoint.complete", 3)
    write("job.lua", (job:gsub("wal = true", "")))
    refused(1, "standard input had a write-ahead log at the checkpoint")
  end)

  it("of a connection has each of its lines once, and then those of the next", function()
    write("server.py", [[
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 0))
s.listen(1)
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
try:
    for i in range(int(sys.argv[1]), int(sys.argv[2])):
        c.sendall(b"line %06d\n" % i)
except OSError:
    pass
c.close()
]])
    write("job.lua", (job:gsub("weir.stdin { wal = true }",
      'weir.tcp_lines { host = "127.0.0.1", port = tonumber(job.args.port), wal = true }')))
    local function connected(options, first, last)
      return shell.run(([[cd %s && mkfifo port$$ && { python3 server.py %d %d >port$$ & } && read port <port$$ &&
        %s run -q --dir state %s job.lua port=$port]]):format(folder, first, last, shell.weir, options))
    end
    local _, code = connected("--checkpoint-every 5ms --fault wal.logged:20=kill", 1, 200000)
    assert.equal(137, code)
    local first = logged()
    local _, again, err = connected("--checkpoint-every 5ms", 500000, 500100)
    assert.equal(0, again, err)
    assert.equal(shell.sorted(first .. lines(500000, 500099)), finished.rows(folder, "out"))
  end)
end)

describe("a savepoint of a job with a write-ahead log", function()
  local count = [[
local weir = require "weir"
local job = weir.job { name = "count", max_parallelism = 128 }
job:source(weir.stdin { wal = true }):uid "in"
  :map(function(r) return { k = "lines", v = 1LL } end)
  :key_by "k":sum("v", { emit = "final" }):uid "sum"
  :sink(weir.print())
return job
]]

  local function weir(arguments)
    local out, code, err = shell.run(("cd %s && %s %s"):format(folder, shell.weir, arguments))
    assert.equal(0, code, arguments .. "\n" .. out .. err)
    return out
  end

  local function count_of(text) return select(2, text:gsub("\n", "")) end

  --- Leaves x.weir of a job that was killed with lines in its log; gives their number.
  local function save()
    write("job.lua", count)
    killed("--checkpoint-every 10ms", lines(1, 20000), "wal.logged", 5)
    weir "savepoint --dir state -o x.weir"
    local had = count_of(logged())
    shell.run(("mv %s/state %s/former"):format(folder, folder))
    return had
  end

  local function goes_on(options, text, dir)
    write("in", text)
    return shell.run(("cd %s && cat in | %s run -q --dir %s %s job.lua"):format(folder, shell.weir, dir or "state", options))
  end

  local function total(out) return tonumber(out:match '"v":(%d+)') end

  it("has the lines that were logged and not taken, wherever it is gone on with", function()
    local had = save()
    local out, code, err = goes_on("--from x.weir", lines(1, 10))
    assert.equal(0, code, err)
    assert.equal(had + 10, total(out))
    out, code, err = goes_on("--resume=former", lines(1, 7), "third")
    assert.equal(0, code, err)
    assert.equal(had + 7, total(out))
  end)

  for _, point in ipairs { "wal.imported:1", "wal.import:2", "wal.logged:1", "checkpoint.complete:1" } do
    it("is gone on with once where that is killed: " .. point, function()
      local had = save()
      killed("--from x.weir --checkpoint-every 10ms", lines(1, 20000), point:match "(.*):(%d)")
      local all = point:find "import" and had or count_of(logged())
      local out, code, err = goes_on("--from x.weir", lines(1, 5))
      assert.equal(0, code, err)
      assert.equal(all + 5, total(out))
    end)
  end

  it("keeps them when it is edited, and its source renamed", function()
    local had = save()
    write("fix.lua", [[return function(sp) sp:operator "in":rename "input" end]])
    weir "savepoint edit x.weir fix.lua -o y.weir"
    write("job.lua", (count:gsub('uid "in"', 'uid "input"')))
    local out, code, err = goes_on("--from y.weir", lines(1, 3))
    assert.equal(0, code, err)
    assert.equal(had + 3, total(out))
  end)

  it("does not mix them with the log of another run", function()
    save()
    shell.run(("mv %s/former %s/state"):format(folder, folder))
    local _, code, err = goes_on("--from x.weir --resume=never", lines(1, 3))
    assert.equal(1, code, err)
    assert.truthy(err:find("has a log of another run", 1, true), err)
  end)

  it("notices a byte of them that is another", function()
    save()
    local text = shell.read(folder .. "/x.weir")
    local at = assert(text:find("line 000", 1, true) or text:find("WLWB", 1, true) or 200)
    shell.run(("printf '\\377' | dd of=%s/x.weir bs=1 seek=%d conv=notrunc 2>/dev/null"):format(folder, at + 2))
    local _, code, err = goes_on("--from x.weir", lines(1, 3))
    assert.not_equal(0, code)
    assert.truthy(err:find("damaged", 1, true), err)
  end)
end)
