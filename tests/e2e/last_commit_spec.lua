--- The last commits of a job: a sink of the script's whose target is away while the job ends, by the end of its input,
--- `weir stop` or an interrupt; what is told, and that the next run commits it, each record once.

local place = require "support.place"
local shell = require "support.shell"

local folder
before_each(function()
  folder = place.make()
  -- The target is a file, to which records are appended, each commit with its number; it is away as long as a file
  -- `away` is there.
  place.write("job.lua", [[
    local weir = require "weir"
    local job = weir.job { name = "last" }

    local function read(name)
      local file = io.open(name)
      local text = file and file:read "*a" or ""
      if file then file:close() end
      return text
    end

    local source = job.args.endless and weir.generate { rate = 1000, fn = function(i) return { n = i } end }
      or weir.generate { count = 100, fn = function(i) return { n = i } end }
    job:source(source):uid "numbers":sink(weir.sink {
      last_committed = function(_, log)
        local last
        for name, epoch in read "out":gmatch "mark (%S+) (%d+)\n" do
          if name == log then last = tonumber(epoch) end
        end
        return last
      end,
      commit = function(_, log, epoch, rows)
        if read "away" ~= "" then return false, "the target is away" end
        local text = {}
        for rec in rows do text[#text + 1] = rec.n .. "\n" end
        local file = io.open("out", "a")
        file:write(table.concat(text), "mark ", log, " ", epoch, "\n")
        file:close()
      end,
    }):uid "target"
    return job]])
end)
after_each(function()
  place.sh "[ ! -s pid ] || kill -9 $(cat pid) 2>/dev/null"
  place.remove()
end)

local function away(is) place.write("away", is and "yes" or "") end

-- Numbers from 0 on, each once; gives how many.
local function each_once()
  local seen, count = {}, 0
  for n in ("\n" .. place.read "out"):gmatch "%f[^\n](%d+)\n" do
    assert.is_nil(seen[n], n .. " is there twice")
    seen[n], count = true, count + 1
  end
  for n = 0, count - 1 do assert.truthy(seen[tostring(n)], n .. " is missing") end
  return count
end

-- The command that the error names, as it is to be run here.
local function named(err)
  local command = err:match "`weir ([^`]*)` commits them"
  assert.truthy(command, err)
  return "$W " .. command
end

-- Begins the job; waits until a command succeeds in its folder.
local function begin(options, condition)
  local out, code, err = place.sh(("touch err; %s; ($W run %s job.lua endless=1 2>err; echo $? >code) & %s")
    :format("rm -f code", options, shell.await(condition, "$!")))
  assert.equal(0, code, out .. err .. place.read "err")
end

describe("a job whose input ends while the target is away", function()
  it("says what it waits for, once, and commits when the target is back", function()
    away(true)
    local out, code, err = place.sh(([[touch err; $W run --dir state job.lua 2>err & pid=$!
      %s; : >away; wait $pid]]):format(shell.await("grep -q 'waiting to commit' err", "$pid")))
    assert.equal(0, code, out .. err)
    local _, times = place.read "err":gsub("waiting to commit epoch 1 of target: the target is away\n", "")
    assert.equal(1, times, place.read "err")
    assert.equal(100, each_once())
  end)

  it("fails when its patience is over, and says what is not visible and which command commits it", function()
    away(true)
    local _, code, err = place.run "--dir state --restart none --commit-patience 100ms"
    assert.equal(1, code, err)
    assert.truthy(err:find('100 rows %(%d+ bytes as logged%) of epoch 1 of sink "target" are not committed'), err)
    assert.truthy(err:find("in the epoch log of the checkpoint state/chk-1, and", 1, true), err)
    assert.truthy(shell.run(("test -d %s/state/chk-1"):format(folder)))
    away(false)
    _, code, err = place.sh(named(err))
    assert.equal(0, code, err)
    assert.equal(100, each_once())
    _, code, err = place.run "--dir state --log-level info"
    assert.equal(0, code, err)
    assert.truthy(err:find("has finished already", 1, true), err)
  end)

  it("is run again before it is given up, as a job that fails is", function()
    away(true)
    local _, code, err = place.run
      "--dir state --restart fixed --restart-attempts 2 --restart-delay 1ms --commit-patience 50ms"
    assert.equal(1, code, err)
    assert.truthy(err:find("restart 2", 1, true), err)
    assert.equal(1, select(2, err:gsub("commits them", "")), err)
    away(false)
    assert.equal(0, select(2, place.sh(named(err))))
    assert.equal(100, each_once())
  end)

  it("ends soon when it is interrupted, and says the same", function()
    away(true)
    local out, code, err = place.sh(([[touch err; $W run --dir state --commit-patience 1h job.lua 2>err & pid=$!
      %s; kill -INT $pid; timeout 15 tail --pid=$pid -f /dev/null || kill -9 $pid; wait $pid]])
      :format(shell.await("grep -q 'waiting to commit' err", "$pid")))
    assert.equal(130, code, out .. err .. place.read "err")
    err = place.read "err"
    assert.truthy(err:find("100 rows", 1, true), err)
    away(false)
    assert.equal(0, select(2, place.sh(named(err))))
    assert.equal(100, each_once())
  end)

  it("that takes no checkpoints says that its rows are lost", function()
    away(true)
    local out, code, err = place.sh(([[touch err; $W run job.lua 2>err & pid=$!
      %s; kill -INT $pid; wait $pid]]):format(shell.await("grep -q 'waiting to commit' err", "$pid")))
    assert.equal(130, code, out .. err)
    assert.truthy(place.read "err":find('100 rows.* are not committed.*they are lost'), place.read "err")
  end)
end)

describe("a job that is stopped while the target is away", function()
  local options = "--dir state --checkpoint-every 20ms "

  for _, how in ipairs { "stop", "stop --drain" } do
    it("by `weir " .. how .. "` commits when the target is back", function()
      begin(options, "[ -s out ]")
      away(true)
      local out, code, err = place.sh(([[$W %s last >told 2>&1 & pid=$!
        %s; : >away; wait $pid; code=$?; cat told; exit $code]]):format(how, shell.await("grep -q 'waiting to commit' err", "$pid")))
      assert.equal(0, code, out .. err)
      code, err = place.ended()
      assert.equal(0, code, err)
      local count = each_once()
      assert.is_true(count > 0)
      assert.equal(0, select(2, err:gsub("not committed", "")), err)
    end)

    it("by `weir " .. how .. "` fails when its patience is over, and so does who stops it", function()
      begin(options .. "--commit-patience 100ms", "[ -s out ]")
      away(true)
      local out, code, err = place.sh("$W " .. how .. " last --savepoint=end.weir")
      assert.equal(1, code, out .. err)
      assert.truthy(err:find('of sink "target" [ai][rs]e? not committed, and so not visible %(the target is away%)'), err)
      assert.truthy(err:find("the savepoint end.weir has them, too", 1, true), err)
      code, err = place.ended()
      assert.equal(1, code, err)
      assert.equal(1, select(2, err:gsub("commits them", "")), err)
      assert.is_nil(err:find("run again", 1, true), err)
      local rows = tonumber(err:match "(%d+) rows?")
      local before = each_once()
      away(false)
      out, code, err = place.sh(([[%s 2>again & pid=$!; %s; kill -INT $pid; wait $pid]])
        :format(named(err), shell.await(("[ $(grep -vc mark out) -ge %d ]"):format(before + rows), "$pid")))
      assert.equal(130, code, out .. err)
      assert.is_true(each_once() >= before + rows)
    end)
  end

  it("by `weir stop` fails when it is interrupted meanwhile, and so does who stops it", function()
    begin(options .. "--commit-patience 1h", "[ -s out ]")
    away(true)
    local out, code, err = place.sh(([[$W stop last >told 2>&1 & pid=$!
      %s; kill -INT $($W list --json | sed 's/.*"pid":\([0-9]*\).*/\1/'); wait $pid; code=$?; cat told; exit $code]])
      :format(shell.await("grep -q 'waiting to commit' err", "$pid")))
    assert.equal(1, code, out .. err)
    assert.truthy(out:find("not committed", 1, true), out .. err)
    code, err = place.ended()
    assert.equal(1, code, err)
    assert.truthy(err:find('of sink "target" [ai][rs]e? not committed'), err)
  end)

  it("by `weir cancel` ends at once, and loses nothing", function()
    begin(options .. "--commit-patience 1h", "[ -s out ]")
    away(true)
    local _, code, err = place.sh("$W cancel last")
    assert.equal(0, code, err)
    code, err = place.ended()
    assert.equal(130, code, err)
    away(false)
    place.sh(([[$W run --dir state --checkpoint-every 20ms job.lua endless=1 2>again & pid=$!
      %s; kill -INT $pid; wait $pid]]):format(shell.await(("[ $(grep -vc mark out) -gt %d ]"):format(each_once()), "$pid")))
    each_once()
  end)
end)
