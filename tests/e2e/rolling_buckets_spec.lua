--- Files in buckets: their names, bounds and contents, and what is said when they cannot be written.

local finished = require "support.finished"
local place = require "support.place"
local shell = require "support.shell"

local write, run, ran, killed = place.write, place.run, place.ran, place.killed

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function rows_of(name, suffix) return finished.rows(folder, name, suffix) end
local function hidden(name) return finished.hidden(folder, name) end

describe("rolling files", function()
  --- A job that writes these records, with further options of the sink.
  local function job_of(records, options, before)
    write("job.lua", ([[
local weir = require "weir"
local job = weir.job { name = "files" }
job:source(weir.from { %s })%s
  :sink(weir.rolling_files { path = "out", %s }):uid "files"
return job
]]):format(records, before or "", options))
  end

  --- Folder, content of each file.
  local function found()
    local list = {}
    for _, file in ipairs(finished.files(folder, "out")) do
      list[#list + 1] = file:gsub("^out/", ""):gsub("part%-%x+%-%d+%-%d+%-", "part-") .. ": "
        .. shell.read(folder .. "/" .. file):gsub("\n", ";")
    end
    return list
  end

  it("have rows of one bucket each, by time, by field, or by a function", function()
    local records = '{ k = "a", ts = 0 }, { k = "b/c", ts = 3600000 }, { ts = 7199999 }, { k = ".d", ts = -1 }'
    local stamped = ':watermarks(weir.watermark.ascending { field = "ts" })'
    job_of(records, 'bucket = "day=%Y-%m-%d/%H"', stamped)
    ran()
    assert.same({
      'day=1969-12-31/23/part-2.json: {"k":".d","ts":-1};',
      'day=1970-01-01/00/part-0.json: {"k":"a","ts":0};',
      'day=1970-01-01/01/part-1.json: {"k":"b/c","ts":3600000};{"ts":7199999};',
    }, found())
    shell.run(("rm -rf %s/out"):format(folder))
    job_of(records, 'bucket = "100%%/k={k}"')
    ran()
    assert.same({
      '100%/k=%2Ed/part-3.json: {"k":".d","ts":-1};',
      '100%/k=__missing__/part-2.json: {"ts":7199999};',
      '100%/k=a/part-0.json: {"k":"a","ts":0};',
      '100%/k=b%2Fc/part-1.json: {"k":"b/c","ts":3600000};',
    }, found())
    shell.run(("rm -rf %s/out"):format(folder))
    job_of(records, 'bucket = function(r) return r.ts > 0 and "late/" .. r.ts or "early" end, format = weir.csv()')
    ran()
    assert.same({
      "early/part-0.csv: k,ts;a,0;.d,-1;",
      "late/3600000/part-1.csv: k,ts;b/c,3600000;",
      "late/7199999/part-2.csv: ts;7199999;",
    }, found())
  end)

  it("are ended by their rows and by their size, and have a header each", function()
    job_of("1, 2, 3, 4, 5", "roll = { rows = 2 }, format = weir.csv()")
    ran()
    assert.same({ "part-0.csv: value;1;2;", "part-1.csv: value;3;4;", "part-2.csv: value;5;" }, found())
    shell.run(("rm -rf %s/out"):format(folder))
    job_of('"aaaaaaa", "b", "ccc", "dddd"', "roll = { size = 8 }, format = weir.lines()")
    ran()
    assert.same({ "part-0.txt: aaaaaaa;", "part-1.txt: b;ccc;dddd;" }, (function()
      local list = found()
      return { list[1], list[2] }
    end)())
  end)

  it("are ended when they have been open, or idle, for long enough, also where no row comes", function()
    for _, bound in ipairs { "open_for", "idle_for" } do
      write("job.lua", ([[
local weir = require "weir"
local job = weir.job { name = "files" }
job:source(weir.generate { rate = 10, fn = function(i) return i end }):filter(function(i) return i == 0 end)
  :sink(weir.rolling_files { path = "out", roll = { %s = "10ms" } })
return job
]]):format(bound))
      local out, _, err = place.sh(("$W run -q job.lua & job=$!; %s; kill -9 $job; rm -r out")
        :format(shell.await("cat out/part-* 2>/dev/null", "$job")))
      assert.equal("0\n", out, err)
    end
  end)

  it("are open in as many buckets as are allowed", function()
    job_of('{ k = 1 }, { k = 2 }, { k = 1 }, { k = 3 }, { k = 2 }', 'bucket = "{k}", open_max = 2')
    ran()
    assert.equal(4, #found())
    assert.equal('{"k":1}\n{"k":1}\n{"k":2}\n{"k":2}\n{"k":3}\n', rows_of "out")
  end)

  local function refused(code, text, options)
    local _, is, err = run(options or "")
    assert.equal(code, is, err)
    assert.truthy(err:find(text, 1, true), err)
  end

  it("that cannot be named by a record make it a failed one", function()
    job_of("{ k = 1 }", 'bucket = "%H"')
    refused(1, "it has no event time, and its bucket is named after it")
    job_of("{ k = 1 }, { k = 2 }", 'bucket = function(r) return r.k == 1 and "../up" or "good" end')
    refused(1, '"../up" is no path of names such as a/b')
    job_of("{ k = 1 }, { k = 2 }", 'bucket = function(r) return r.k == 1 and "a//b" or "good" end')
    ran "--on-error skip"
    assert.equal('{"k":2}\n', rows_of "out")
  end)

  it("have options whose mistakes are errors of building", function()
    local function wrong(options, text)
      job_of("1", options)
      refused(2, text)
    end
    wrong('bucket = "%Q"', "it has %Q, and there are %Y %m %d %H %M %S %j and %%")
    wrong('bucket = "{k"', "a field is written {name}")
    wrong('bucket = "/abs"', "it must be a path of names, below the sink's")
    wrong('bucket = "a/../b"', "it must be a path of names, below the sink's")
    wrong("roll = { row = 1 }", 'did you mean "rows"?')
    wrong("level = 3", 'option "level" needs compression')
    wrong('compression = "gzip", level = 12', "gzip has levels 1 to 9")
    wrong('compression = "lz4"', 'must be one of "none", "gzip", "zstd"')
    wrong('suffix = "/x"', 'option "suffix" is part of a name')
  end)

  it("in a folder that cannot be written to are one error, and the job is not tried again", function()
    write("file", "")
    write("job.lua", finished.job)
    for path, text in pairs {
      file = "rolling_files: cannot write to the folder file: Not a directory",
      ["not/there"] = "rolling_files: cannot make not/there: No such file or directory",
    } do
      local _, code, err = run("--dir state", "out=" .. path)
      assert.equal(1, code)
      assert.truthy(err:find(text, 1, true), err)
      assert.falsy(err:find("run again", 1, true), err)
    end
  end)

  for _, point in ipairs {
    "rolling.folder", "rolling.open", "rolling.write", "rolling.sync", "rolling.sync_folder", "rolling.rename",
  } do
    it("on a full disk are one error, or are written when there is room again: " .. point, function()
      write("job.lua", finished.job)
      ran("", "out=expected")
      local n = point == "rolling.folder" and 2 or 3
      local full = ("--dir state --checkpoint-every 20ms --log-level warn --fault %s:%d=28"):format(point, n)
      local _, code, err = run(full .. " --restart none", "rate=8000")
      assert.equal(1, code, err)
      assert.truthy(err:find("No space left on device", 1, true), err)
      shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
      local _, again, why = run(full .. " --restart fixed --restart-delay 1ms", "rate=8000")
      assert.equal(0, again, why)
      assert.truthy(why:find("No space left on device", 1, true), why)
      assert.equal(rows_of "expected", rows_of "out")
    end)
  end

  it("are cut by copying where files cannot be cut", function()
    write("job.lua", finished.job)
    ran("", "out=expected")
    killed("--dir state --checkpoint-every 50ms", "rate=8000", "rolling.write", 28)
    ran "--dir state --fault rolling.truncate=95"
    assert.equal(rows_of "expected", rows_of "out")
    assert.equal("", hidden "out")
  end)

  it("that have more than the checkpoint says, or less, or are gone, are an error that says so", function()
    write("job.lua", finished.job)
    local function finished_behind(change, text)
      shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
      killed("--dir state --checkpoint-every 50ms", "rate=8000", "rolling.rename", 3)
      shell.run(("cd %s && %s"):format(folder, change))
      local _, code, err = run "--dir state"
      assert.equal(1, code, err)
      assert.truthy(err:find(text, 1, true), err)
    end
    local all = "for f in out/.weir-*/part-*; do %s; done"
    finished_behind(all:format("b=$(grep -o 'k\":[0-9]' $f | head -1 | tr -dc 0-9) && "
      .. "mkdir -p out/k=$b && echo x >>$f && mv $f out/k=$b/"), "it was finished behind a later one")
    finished_behind(all:format "truncate -s 5 $f", "has 5 bytes, and had ")
    finished_behind(all:format "rm $f", "is not there, and the checkpoint names it")
  end)
end)
