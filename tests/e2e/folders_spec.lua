--- What lies under a job's folder: file systems that are full, read-only or poor, folders that are not ours, and
--- bytes that have become others.

local ffi = require "ffi"
local finished = require "support.finished"
local place = require "support.place"
local shell = require "support.shell"

local write, run, sh = place.write, place.run, place.sh

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

--- Each of `count` keys comes once with its number; slowly with rate=.
local function keys(count)
  return ([[
local weir = require "weir"
local job = weir.job { name = "keys", max_parallelism = 16 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = %d, fn = function(i) return { k = "key " .. i, v = i } end })
  :key_by "k":sum("v", { emit = "final" })
  :sink(weir.print())
return job
]]):format(count)
end

--- Where state is, and how a job is told; both have all of this to deal with.
local WAYS = {
  { "in memory", "" },
  { "on a disk", "--state-backend=rocksdb --state-memory=200k --checkpoint-incremental=always " },
}
local function each_way(name, test)
  for _, way in ipairs(WAYS) do
    it(("%s, with state %s"):format(name, way[1]), function() test(way[2]) end)
  end
end

--- Runs the lines in namespaces of their own, in which it may mount; nil where this machine lets nobody do that.
local function with_mounts(lines)
  if os.execute "unshare -r -m true 2>/dev/null" ~= 0 then return nil end
  write("mounts.sh", table.concat(lines, "\n"))
  return sh "unshare -r -m sh mounts.sh"
end

describe("checkpoints on a disk that becomes full", function()
  each_way("fail the job, which goes on with all of its state when there is room", function(options)
    write("job.lua", keys(60000))
    local expected = shell.sorted((run ""))
    local often = "$W run -q --dir state --restart none --checkpoint-every 20ms --log-level error " .. options
    local out, _, err = with_mounts {
      "mkdir state && mount -t tmpfs -o size=300k none state || exit 9",
      often .. "job.lua rate=8000 >first; echo exit $?",
      "mount -o remount,size=64m state; ls state/chk-*/manifest | wc -l",
      ("$W run -q --dir state --checkpoint-every 1h %s job.lua >second; echo exit $?"):format(options),
    }
    if not out then return end
    assert.truthy(out:find "^exit 1\n[1-9]%d*\nexit 0\n$", out .. err)
    assert.truthy(err:find("No space left on device", 1, true), err)
    assert.equal(expected, shell.sorted(shell.read(folder .. "/second")))
  end)
end)

describe("a folder for checkpoints into which nothing can be written", function()
  each_way("is one error before anything runs, on a file system that is read-only", function(options)
    write("job.lua", keys(10))
    local out, _, err = with_mounts {
      "mkdir state && mount -t tmpfs -o ro none state || exit 9",
      ("$W run -q --dir state %s job.lua; echo exit $?"):format(options),
    }
    if not out then return end
    assert.equal("exit 2\n", out)
    assert.truthy(err:find "^weir: cannot keep checkpoints in state: Read%-only file system\n$", err)
  end)

  each_way("is one error before anything runs, where we may not", function(options)
    write("job.lua", keys(10))
    local as = tonumber((shell.run "id -u")) == 0 and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
    local out, _, err = sh(("chmod 755 . && mkdir state && chmod 555 state && cp $W $(dirname $W)/*.so . && "
      .. "{ %s./weir run -q --dir state %s job.lua; echo exit $?; }"):format(as, options))
    assert.equal("exit 2\n", out)
    assert.truthy(err:find "^weir: cannot keep checkpoints in state: Permission denied\n$", err)
  end)

  each_way("from some moment on fails the job, or checkpoints that may fail", function(options)
    write("job.lua", keys(60000))
    local expected = shell.sorted((run ""))
    local refused = options .. "--checkpoint-every 20ms --log-level warn --fault blob.open:3=13 "
    local _, code, err = run(refused .. "--dir state --restart none", "rate=20000")
    assert.equal(1, code, err)
    assert.truthy(err:find "cannot write state/chk%-%d+/.-: Permission denied", err)
    local out, code2, err2 = run(refused .. "--dir more --checkpoint-failures 3", "rate=20000")
    assert.equal(0, code2, err2)
    assert.truthy(err2:find("Permission denied", 1, true), err2)
    assert.equal(expected, shell.sorted(out))
  end)
end)

describe("a file system without hard links, on which names cannot be taken only if they are free", function()
  local function often(options) return ("$W run -q --dir state --checkpoint-every 20ms %s job.lua"):format(options) end

  local function poor(command)
    return sh(("cc -shared -fPIC -o poor.so %s/tests/support/poor_folder.c && export LD_PRELOAD=./poor.so && %s")
      :format(shell.here, command))
  end

  local function poorly(command)
    local out, code, err = poor(command)
    assert.equal(0, code, err)
    return out
  end

  for _, way in ipairs {
    { "keeps checkpoints, and a job that is killed goes on from them", often },
    { "keeps savepoints", function(options)
      return ("$W savepoint --dir state -o it.weir >/dev/null && $W run -q %s --from it.weir job.lua"):format(options)
    end },
  } do
    each_way(way[1], function(options)
      write("job.lua", keys(30000))
      local expected = shell.sorted((run ""))
      place.dies(poor, often(options) .. " rate=6000 --fault checkpoint.complete:4=kill")
      assert.equal(expected, shell.sorted(poorly(way[2](options))))
    end)
  end

  it("has each row of rolling files once", function()
    write("job.lua", finished.job)
    assert.equal(0, select(2, run("", "out=expected")))
    place.dies(poor, often "" .. " rate=4000 --fault rolling.rename:8=kill")
    poorly(often "")
    assert.equal(finished.rows(folder, "expected"), finished.rows(folder, "out"))
  end)
end)

describe("the last checkpoint of a job", function()
  --- Where blocks begin in a file (runtime/checkpoint/FORMAT.md): { at =, len = of the payload }.
  local function blocks(text)
    local list, at = {}, 0
    while text:sub(at + 1, at + 4) == "WLBK" do
      local len = ffi.cast("const uint32_t *", ffi.cast("const char *", text) + at)[5]
      list[#list + 1] = { at = at, len = len }
      at = at + 32 + math.floor((len + 7) / 8) * 8
    end
    assert.equal(#text, at)
    return list
  end

  local function flipped(text, at) -- counts from 0
    return text:sub(1, at) .. string.char(bit.bxor(text:byte(at + 1), 0x10)) .. text:sub(at + 2)
  end

  each_way("is passed over when a byte of any block is another, in its header or behind it, and the user is told", function(options)
    write("job.lua", keys(3000))
    local expected = shell.sorted((run ""))
    place.killed(options .. "-p 2 --dir state --checkpoint-every 20ms", "rate=1500", "checkpoint.complete", 4)
    local last = (sh "ls -d state/chk-*/manifest | sort -t- -k2 -n | tail -1"):match "state/(chk%-%d+)/"
    local tried = 0
    for name in (sh("ls state/" .. last)):gmatch "%S+" do
      local path = ("state/%s/%s"):format(last, name)
      local text = shell.read(folder .. "/" .. path)
      for _, block in ipairs(blocks(text)) do
        for _, at in ipairs { block.at + 8, block.at + 32 + math.floor(block.len / 2) } do
          write(path, flipped(text, at))
          sh "rm -rf tried && cp -r state tried"
          local out, code2, err2 = run(options .. "--dir tried --checkpoint-every 1h --log-level warn")
          assert.equal(0, code2, err2)
          assert.truthy(err2:find(("checkpoint %s is damaged, the one before is taken"):format(last:match "%d+"), 1, true), err2)
          assert.equal(expected, shell.sorted(out))
          tried = tried + 1
        end
      end
      write(path, text)
    end
    assert.truthy(tried > 40, tried)
    assert.equal("", select(3, run(options .. "--dir state --checkpoint-every 1h --log-level warn")))
  end)

  it("is passed over by a savepoint of the folder, which says what that means to who begins there", function()
    write("job.lua", keys(3000))
    place.killed("--dir state --checkpoint-every 20ms", "rate=1500", "checkpoint.complete", 4)
    local last = (sh "ls -d state/chk-*/manifest | sort -t- -k2 -n | tail -1"):match "state/chk%-(%d+)/"
    local state = sh("ls state/chk-" .. last .. "/*.state | head -1"):match "%S+"
    write(state, flipped(shell.read(folder .. "/" .. state), 40))
    local _, code, err = place.weir "savepoint --dir state -o sp.weir"
    assert.equal(0, code, err)
    assert.truthy(err:find(("checkpoint %d is not the last of state: what sinks were given behind it"):format(last - 1), 1, true), err)
    sh("rm -r state/chk-" .. last)
    _, code, err = place.weir "savepoint --dir state -o sp2.weir"
    assert.equal(0, code, err)
    assert.is_nil(err:find("sinks", 1, true), err)
  end)
end)
