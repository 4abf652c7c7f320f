--- Rolling files and savepoints: rows of files that were not finished go along, wherever the job goes on.

local finished = require "support.finished"
local place = require "support.place"
local shell = require "support.shell"

local sh, write, ran, killed = place.sh, place.write, place.ran, place.killed

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function rows_of(names, suffix) return finished.rows(folder, names, suffix) end

--- Shell code that has to succeed; gives both outputs.
local function done(code)
  local out, status, err = sh(code)
  assert.equal(0, status, out .. err)
  return out, err
end

local BEHIND = { none = "", gzip = "gz", zstd = "zst" }

--- A job that was killed, and the rows of all of it, in files as long as `roll` says.
local function killed_job(how)
  write("job.lua", (finished.job:gsub("rows = 500", "rows = " .. (how.rows or 500))))
  ran(nil, "out=expected compression=" .. (how.compression or "none"))
  killed(("--dir state --checkpoint-every 30ms -p %d"):format(how.p or 1),
    "rate=8000 compression=" .. (how.compression or "none"), "checkpoint.complete", how.at or 5)
end

describe("files of a rolling sink that are open at a savepoint", function()
  for _, how in ipairs {
    { compression = "none", rows = 500, p = 1, to = 1 }, { compression = "none", rows = 1e6, p = 1, to = 3 },
    { compression = "gzip", rows = 1e6, p = 3, to = 2 }, { compression = "zstd", rows = 300, p = 2, to = 1 },
  } do
    it(("are in it, %s, of %d rows, from parallelism %d to %d"):format(how.compression, how.rows, how.p, how.to), function()
      killed_job(how)
      done "mkdir away && cp job.lua away && $W savepoint --dir state -o away/s.weir"
      local hidden = finished.hidden(folder, "out")
      if how.rows == 1e6 then done "mv out gone" end
      local _, err = done(("cd away && $W run -q --from s.weir --dir state -p %d job.lua compression=%s")
        :format(how.to, how.compression))
      assert.equal("", err)
      assert.equal(rows_of("expected", BEHIND[how.compression]),
        rows_of(how.rows == 1e6 and "away/out" or "out away/out", BEHIND[how.compression]))
      assert.equal("", finished.hidden(folder, "away"))
      if how.rows ~= 1e6 then assert.equal(hidden, finished.hidden(folder, "out")) end -- is the other job's
    end)
  end

  it("are in one of a job that is running", function()
    write("job.lua", finished.job)
    ran("", "out=expected")
    done(("mkdir away; cp job.lua away; $W run -q --dir state job.lua rate=6000 & job=$!; %s && "
      .. "$W savepoint archive -o away/s.weir; kill -9 $job; cd away && $W run -q --from s.weir job.lua")
      :format(shell.await("ls -d out/.weir-* 2>/dev/null", "$job")))
    local there, all = {}, {}
    for row in rows_of "out away/out":gmatch "[^\n]+" do there[row] = true end
    for row in rows_of "expected":gmatch "[^\n]+" do all[row] = true end
    assert.same(all, there)
    assert.equal(1, select(2, rows_of "away/out":gsub('"v":11999}', "")))
  end)

  it("stay in one that was edited, and in one that was made of another", function()
    killed_job { rows = 1e6 }
    write("fix.lua", 'return function(sp) sp:operator("files"):rename "archive" end')
    write("other.lua", (finished.job:gsub('uid "files"', 'uid "archive"')))
    done "$W savepoint --dir state -o s.weir; mv out gone; mv state away"
    done "$W savepoint edit s.weir fix.lua -o edited.weir; rm s.weir; $W run -q --from edited.weir other.lua"
    assert.equal(rows_of "expected", rows_of "out")
  end)

  it("are finished by the job that goes on beside the one that wrote them, which may go on as well", function()
    killed_job { rows = 500 }
    done "$W savepoint --dir state -o s.weir"
    ran "--from s.weir --dir other"
    assert.equal(rows_of "expected", rows_of "out")
    ran "--dir state"
    local all, doubled = rows_of "expected", {}
    for row in rows_of "out":gmatch "[^\n]+" do doubled[row] = (doubled[row] or 0) + 1 end
    for row in all:gmatch "[^\n]+" do
      assert.is_true(doubled[row] == 1 or doubled[row] == 2, row) -- behind the savepoint each job has its own
    end
    assert.equal("", finished.hidden(folder, "out"))
  end)

  it("are taken from the sink's folder where a job begins at a folder of checkpoints", function()
    killed_job { rows = 500 }
    done "mkdir away && cp job.lua away && cd away && $W run -q --from ../state --dir state job.lua"
    assert.equal(rows_of "expected", rows_of "out away/out")
    done "rm -rf away/out away/state; mv out gone"
    local _, code, err = sh "cd away && $W run -q --from ../state --dir state job.lua"
    assert.equal(1, code, err)
    assert.truthy(err:find("is out of reach, and the checkpoint has rows in it", 1, true), err)
  end)

  it("that are out of reach, or not what they were, are an error, and no savepoint", function()
    killed_job { rows = 1e6 }
    done "mv out gone"
    local function refused(text, change)
      done(change)
      local _, code, err = sh "$W savepoint --dir state -o s.weir"
      assert.equal(1, code, err)
      assert.truthy(err:find(text, 1, true), err)
      assert.is_nil(io.open(folder .. "/s.weir"))
      _, code, err = sh "rm -rf away && mkdir away && cp job.lua away && cd away && $W run -q --from ../state --dir s job.lua"
      assert.equal(1, code, err)
      return err
    end
    refused("bring it back", "true")
    refused("out/k=", "mkdir out")
    refused("cannot look at ", "cp -r gone/. out; d=$(ls -d out/.weir-*); rm -r $d; ln -s ${d#out/} $d")
    local err = refused("has 5 bytes, and had ", "rm -r out; cp -r gone out; truncate -s 5 out/.weir-*/part-*")
    assert.truthy(err:find("has 5 bytes, and had ", 1, true), err)
    done "rm -r out; mkdir out"
    ran "--dir state --allow-duplicates"
  end)

  it("are damaged where a byte of them is, for all who look", function()
    killed_job { rows = 1e6 }
    done "$W savepoint --dir state -o s.weir; mv out gone"
    local text = shell.read(folder .. "/s.weir")
    local carried = shell.read(folder .. "/" .. done "ls gone/.weir-*/part-* | head -1":match "%S+")
    local at = assert(text:find(carried:sub(1, 8), 1, true))
    write("s.weir", text:sub(1, at) .. "Z" .. text:sub(at + 2))
    for _, command in ipairs { "savepoint info s.weir", "savepoint ls s.weir", "run --from s.weir job.lua" } do
      local _, code, err = sh("$W " .. command)
      assert.equal(2, code, command .. err)
      assert.truthy(err:find("s.weir: part/part-", 1, true), err)
    end
  end)

  it("stay whole where others begin in the same folder while their own job finishes them", function()
    write("job.lua", (finished.job:gsub("rows = 500", "rows = 100"):gsub("12000", "40000"):gsub("i %% 5", "i %% 20")))
    done(("$W run -q --dir state --checkpoint-every 20ms job.lua rate=20000 & job=$!; %s; for n in 1 2 3 4; do "
      .. "$W savepoint --dir state -o s$n.weir; timeout -s KILL 0.25 $W run -q --from s$n.weir --dir f$n --control no "
      .. "job.lua rate=100 2>>log; done; wait $job"):format(shell.await("ls -d out/k=*/part-* >/dev/null 2>&1", "$job")))
    local there, count = {}, 0
    for row in rows_of "out":gmatch "[^\n]+" do
      if not there[row] then count = count + 1 end
      there[row] = true
    end
    assert.equal(40000, count)
  end)

  for _, point in ipairs { "rolling.adopted", "rolling.open", "rolling.write", "rolling.rename", "rolling.recovered" } do
    it("are there once when the job that takes them over is killed at " .. point, function()
      killed_job { rows = 1e6 }
      done "$W savepoint --dir state -o s.weir; mv out gone"
      for n = 1, 2 do
        place.dies(sh, ("$W run -q --from s.weir --dir new --checkpoint-every 50ms --fault %s:%d=kill job.lua rate=8000")
          :format(point, point == "rolling.recovered" and 1 or n))
      end
      ran "--from s.weir --dir new"
      assert.equal(rows_of "expected", rows_of "out")
      assert.equal("", finished.hidden(folder, "out"))
    end)
  end
end)
