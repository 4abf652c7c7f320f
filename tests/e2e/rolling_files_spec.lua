--- Files in buckets: no row twice, none in part and none missing, wherever the job is killed.

local finished = require "support.finished"
local place = require "support.place"
local shell = require "support.shell"

local write, run, ran, killed = place.write, place.run, place.ran, place.killed

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function rows_of(name, suffix) return finished.rows(folder, name, suffix) end
local function hidden(name) return finished.hidden(folder, name) end

describe("a job that writes rolling files and is killed", function()
  local function expected()
    ran("", "out=expected")
    return rows_of "expected"
  end

  for _, point in ipairs {
    "rolling.folder", "rolling.open", "rolling.write", "rolling.sync", "rolling.sync_folder", "rolling.barrier",
    "rolling.marked", "rolling.rename", "rolling.finished", "checkpoint.ack", "checkpoint.published",
    "checkpoint.complete",
  } do
    it("has each row once in the end: " .. point, function()
      write("job.lua", finished.job)
      local rows = expected()
      for _, p in ipairs { { 1, 1 }, { 1, 3 }, { 3, 2 } } do
        shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
        killed("--dir state --checkpoint-every 20ms -p " .. p[1], "rate=8000", point, point == "rolling.marked" and 1 or 3)
        ran("--dir state --checkpoint-every 50ms -p " .. p[2])
        assert.equal(rows, rows_of "out")
        assert.equal("", hidden "out")
      end
    end)
  end

  --- Killed as it runs, and at `point` as it begins anew. On a busy machine the files may be no longer than in the last
  --- checkpoint that holds, so that there is nothing to do at that point: then both begin again, further on.
  local function killed_twice(point, p)
    local _, code
    for attempt = 0, 3 do
      shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
      if point == "rolling.remove" then
        killed("--dir state --checkpoint-every 1h -p " .. p[1], "rate=8000", "rolling.write", 12)
      else
        killed("--dir state --checkpoint-every 30ms -p " .. p[1], "rate=8000", "rolling.barrier", 5 + 3 * attempt)
      end
      _, code = run(("--dir state --checkpoint-every 20ms -p %d --fault %s:1=kill"):format(p[2], point),
        "rate=" .. 8000 / 2 ^ attempt)
      if code == 137 then return end
    end
    assert.equal(137, code)
  end

  for _, point in ipairs {
    "rolling.recovered", "rolling.truncate", "rolling.remove", "rolling.rename", "rolling.sync_folder",
  } do
    it("and killed again as it begins anew has each row once: " .. point, function()
      write("job.lua", finished.job)
      local rows = expected()
      for _, p in ipairs { { 1, 1, 1 }, { 3, 2, 1 } } do
        killed_twice(point, p)
        ran("--dir state --checkpoint-every 20ms -p " .. p[3])
        assert.equal(rows, rows_of "out")
        assert.equal("", hidden "out")
      end
    end)
  end

  it("before its first checkpoint leaves nothing behind that stays", function()
    write("job.lua", finished.job)
    local rows = expected()
    killed("--dir state --checkpoint-every 1h -p 3", "rate=8000", "rolling.write", 12)
    assert.not_equal("", hidden "out")
    ran "--dir state -p 2"
    assert.equal(rows, rows_of "out")
    assert.equal("", hidden "out")
  end)

  it("and begins at a checkpoint behind which files were finished says so, and goes on if it may", function()
    write("job.lua", finished.job)
    local rows = expected()
    killed("--dir state --checkpoint-every 30ms", "rate=8000", "rolling.rename", 8)
    shell.run(([[cd %s/state && last=$(ls -d chk-*/manifest | sort -t- -k2 -n | tail -1) &&
      printf X | dd of=$last bs=1 seek=40 conv=notrunc 2>/dev/null]]):format(folder))
    local _, code, err = run "--dir state"
    assert.equal(1, code, err)
    assert.truthy(err:find("their rows would come twice", 1, true) or err:find("would be written again", 1, true), err)
    ran "--dir state --allow-duplicates"
    local seen = {}
    for line in rows_of("out"):gmatch "[^\n]+" do seen[line] = (seen[line] or 0) + 1 end
    local twice = 0
    for line in rows:gmatch "[^\n]+" do
      assert.truthy(seen[line], line)
      twice = twice + (seen[line] > 1 and 1 or 0)
    end
    assert.truthy(twice > 0)
  end)

  it("and finds its folder gone, which had finished files, does not go on as if there were none", function()
    write("job.lua", finished.job)
    local rows = expected()
    killed("--dir state --checkpoint-every 30ms", "rate=8000", "rolling.rename", 8)
    shell.run(("rm -r %s/out"):format(folder))
    for _ = 1, 2 do
      local _, code, err = run "--dir state"
      assert.equal(1, code, err)
      assert.truthy(err:find("the folder out is gone, in which files of this job were finished", 1, true), err)
    end
    ran "--dir state --resume=never"
    assert.equal(rows, rows_of "out")
  end)

  it("or stopped, has all of its rows in finished files at once", function()
    write("job.lua", (finished.job:gsub("count = 12000, ", "")))
    local _, code, err = place.sh(([[
      $W run -q --dir state --checkpoint-every 20ms job.lua rate=8000 & job=$!
      %s; kill -INT $job; wait $job]]):format(shell.await("ls state/chk-*/manifest >/dev/null 2>&1", "$job")))
    assert.equal(130, code, err)
    assert.equal("", hidden "out")
    local count = 0
    local seen = {}
    for v in rows_of("out"):gmatch '"v":(%d+)' do
      assert.falsy(seen[v], v)
      seen[v], count = true, count + 1
    end
    assert.truthy(count > 0 and seen[tostring(count - 1)])
  end)

  it("five times at any place has each row once", function()
    write("job.lua", finished.job)
    local rows = expected()
    for i = 1, 5 do
      killed("--dir state --checkpoint-every 20ms -p " .. i % 3 + 1, "rate=8000", "rolling.write", 8 + i)
    end
    ran "--dir state"
    assert.equal(rows, rows_of "out")
  end)

  for suffix, compression in pairs { gz = "gzip", zst = "zstd" } do
    it("has files that can be unpacked whole: " .. compression, function()
      write("job.lua", finished.job)
      local rows = expected()
      for _, point in ipairs { "rolling.write", "rolling.rename" } do
        shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
        killed("--dir state --checkpoint-every 20ms -p 2", "rate=8000 compression=" .. compression, point, 15)
        ran("--dir state --checkpoint-every 20ms -p 3", "compression=" .. compression)
        assert.equal(rows, rows_of("out", suffix))
      end
    end)
  end
end)

describe("the end of the input", function()
  local final = [[
local weir = require "weir"
local job = weir.job { name = "final", max_parallelism = 128 }
local sums = job:source(weir.generate { count = 3000, fn = function(i) return { k = i % 5, v = i } end })
  :key_by "k":sum("v", { emit = "final" })
sums:sink(weir.rolling_files { path = job.args.out or "out" }):uid "files"
sums:map(function(r) return { k = r.k + 10, v = r.v } end)
  :sink(weir.rolling_files { path = job.args.out or "out", format = weir.csv() }):uid "more"
return job
]]
  local together = final:gsub(':key_by "k":sum%("v", { emit = "final" }%)', "")

  -- Their number is that of the files.
  local function without_headers(name) return (rows_of(name):gsub("k,v\n", "")) end

  for name, text in pairs { ["behind a shuffle"] = final, ["with the source"] = together } do
    for _, point in ipairs {
      "checkpoint.trigger", "rolling.sync", "rolling.barrier", "checkpoint.ack", "checkpoint.published",
      "checkpoint.complete", "rolling.rename", "rolling.finished",
    } do
      it(("C28: is in a last checkpoint, and what it emits comes once, %s: %s"):format(name, point), function()
        write("job.lua", text)
        ran("", "out=expected")
        for _, p in ipairs { { 1, 1 }, { 2, 2 }, { 2, 3 } } do
          shell.run(("rm -rf %s/out %s/state"):format(folder, folder))
          killed("--dir state --checkpoint-every 1h -p " .. p[1], "", point, 1)
          ran("--dir state --checkpoint-every 1h -p " .. p[2])
          assert.equal(without_headers "expected", without_headers "out")
          assert.equal("", hidden "out")
        end
      end)
    end
  end
end)
