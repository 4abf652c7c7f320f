--- Checkpoints that have only what has changed go on from earlier ones: small, and as good as whole ones.

local place = require "support.place"
local shell = require "support.shell"

local sh = place.sh

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

-- All keys are there by the first checkpoint; from then on one in a hundred changes. By 97, 1 of 6: all records of a key
-- come from one subtask of the source, and so in order, at any parallelism up to 3, wherever the job is gone on with.
local job = [[
local weir = require "weir"
local job = weir.job { name = "counts", max_parallelism = 128 }
local KEYS = tonumber(job.args.keys or 60000)
local FEW, LAST = KEYS / 100, KEYS * 10
job:source(weir.generate { count = LAST, rate = tonumber(job.args.rate), fn = function(i)
  return { k = i < KEYS and i or i % FEW * 97, last = i >= LAST - FEW }
end }):key_by "k":process(weir.process_function {
  state = { n = weir.state.value(), first = weir.state.list(), seen = weir.state.map() },
  element = function(ctx, rec)
    local n = (ctx.n:get() or 0) + 1
    ctx.n:set(n)
    if n == 1 then ctx.first:add(("%d %.14f"):format(rec.k, math.sin(rec.k))) end
    ctx.seen:put(n % 3, n)
    if rec.last then ctx:emit { k = rec.k, n = n, first = ctx.first:all()[1], seen = ctx.seen:get(n % 3) } end
  end,
}):uid "counts":sink(weir.print())
return job
]]

local function write_job() place.write("job.lua", job) end

local function sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines, "\n"), #lines
end

--- Runs until checkpoint `n` holds, and kills the job there.
local function kill_at(n, options, arguments)
  place.dies(sh, ("%s run -q --dir state --checkpoint-every 100ms %s --fault checkpoint.complete:%d=kill job.lua %s")
    :format(shell.weir, options, n, arguments or "rate=120000"))
end

local function info()
  local text = sh(shell.weir .. " savepoint info --json state")
  return tonumber(text:match '"bytes": *(%d+)'), tonumber(text:match '"bytes_gone_on_from": *(%d+)'), text
end

--- The same at a checkpoint that goes on from others, and has less than that share of them. While keys come in, which
--- takes longer on a busy machine, now and then one is whole: a later one is taken then.
---@return integer bytes
---@return integer older of those that it goes on from
---@return string text
local function kill_on_a_chain(share, options, arguments)
  local bytes, older, text
  for n = 20, 80, 20 do
    sh "rm -rf state"
    kill_at(n, options, arguments)
    bytes, older, text = info()
    if bytes < older * share then break end
  end
  assert.is_true(bytes < older * share, text)
  return bytes, older, text
end

describe("a checkpoint of state of which one percent has changed", function()
  it("is a few percent of a whole one", function()
    write_job()
    local _, older, text = kill_on_a_chain(1 / 20, "")
    assert.is_true(older > 1e6, text)
    kill_at(3, "--resume=never --checkpoint-incremental off")
    assert.equal(0, select(2, info()))
  end)

  for _, p in ipairs { { 1, 1 }, { 2, 3 }, { 3, 2 } } do
    it(("is gone on from as from a whole one, from parallelism %d to %d"):format(p[1], p[2]), function()
      write_job()
      local out, code, err = sh(shell.weir .. " run -q job.lua")
      assert.equal(0, code, err)
      local expected, lines = sorted(out)
      assert.is_true(lines >= 600)
      kill_on_a_chain(1, "-p " .. p[1])
      out, code, err = sh(("%s run -q --dir state -p %d job.lua"):format(shell.weir, p[2]))
      assert.equal(0, code, err)
      assert.equal(expected, (sorted(out)))
    end)
  end

  -- A tenth of the keys, of which next to none are in memory.
  local DISK = "--state-backend=rocksdb --state-memory=300k --checkpoint-incremental=always"
  for _, p in ipairs { { 1, 1, "" }, { 1, 3, DISK }, { 3, 2, "" } } do
    it(("is gone on from where state is on a disk, from parallelism %d to %d on %s"):format(p[1], p[2],
      p[3] == "" and "memory" or "disk"), function()
      write_job()
      local out, code, err = sh(shell.weir .. " run -q job.lua keys=6000")
      assert.equal(0, code, err)
      local expected = sorted(out)
      local _, older, text = kill_on_a_chain(1 / 2, DISK .. " -p " .. p[1], "keys=6000 rate=12000")
      assert.is_true(older > 1e5, text)
      out, code, err = sh(("%s run -q --dir state -p %d %s job.lua keys=6000"):format(shell.weir, p[2], p[3]))
      assert.equal(0, code, err)
      assert.equal(expected, (sorted(out)))
    end)
  end

  -- Steps of tasks and files come several times a checkpoint; by then most keys are there, of which 18 change.
  for i, point in ipairs(place.CHECKPOINT_STEPS) do
    local n = (point:find "^blob" or point == "checkpoint.ack") and 40 or 10
    local to = i % 2 == 0 and DISK or ""
    it(("is gone on from where state is on a disk, killed at %s:%d, on %s"):format(point, n, to == "" and "memory" or "disk"),
      function()
        write_job()
        local out, code, err = sh(shell.weir .. " run -q job.lua keys=1800")
        assert.equal(0, code, err)
        local expected = sorted(out)
        local older, text = 0, nil
        for times = 1, 4 do -- as often as it takes until the keys are there
          place.dies(sh, ("rm -rf state; %s run -q --dir state --checkpoint-every 20ms %s -p %d --fault %s:%d=kill job.lua keys=1800 rate=%d")
            :format(shell.weir, DISK, 1 + i % 2, point, n * times, 36000 / times))
          older, text = select(2, info())
          if older > 1e4 then break end
        end
        assert.is_true(older > 1e4, text)
        out, code, err = sh(("%s run -q --dir state -p %d %s job.lua keys=1800"):format(shell.weir, 1 + i % 3, to))
        assert.equal(0, code, err)
        assert.equal(expected, (sorted(out)))
      end)
  end

  it("is looked into, made a savepoint of and edited like a whole one", function()
    write_job()
    kill_on_a_chain(1, "")
    local listed = sh(shell.weir .. " savepoint ls state")
    assert.truthy(listed:find("n +value +60000 +60000"), listed)
    assert.truthy(listed:find("first +list +60000 +60000"), listed)
    assert.equal(0, select(2, sh(shell.weir .. " savepoint --dir state -o one.weir")))
    assert.equal(listed, (sh(shell.weir .. " savepoint ls one.weir")))
    local f = assert(io.open(folder .. "/fix.lua", "w"))
    f:write "return function(sp) sp:operator('counts'):map('n', function(n) return n + 1000 end) end"
    f:close()
    assert.equal(0, select(2, sh(shell.weir .. " savepoint edit one.weir fix.lua -o fixed.weir")))
    local was = tonumber((sh(shell.weir .. " savepoint get one.weir counts n 500")))
    assert.equal(was + 1000, tonumber((sh(shell.weir .. " savepoint get fixed.weir counts n 500"))))
    sh "rm -r state"
    local _, code, err = sh(shell.weir .. " run -q --from one.weir --dir fresh -p 2 job.lua")
    assert.equal(0, code, err)
  end)

  it("does not hold when what it goes on from is damaged, and says so", function()
    write_job()
    kill_on_a_chain(1, "")
    local base = sh "ls -d state/chk-*/1-0.state | sort -t- -k2n | head -1":match "%S+"
    local f = assert(io.open(folder .. "/" .. base, "r+b"))
    f:seek("set", 5000)
    local byte = f:read(1)
    f:seek("set", 5000)
    f:write(string.char((byte:byte() + 1) % 256))
    f:close()
    local _, code, err = sh(shell.weir .. " run --dir state job.lua")
    assert.equal(2, code, err)
    assert.truthy(err:find("none of the checkpoints holds any more", 1, true), err)
    assert.equal(#sh "ls state/chk-*/manifest":gsub("[^\n]", "") - 1, select(2, err:gsub("the one before is taken", "")), err)
    assert.truthy(err:find(base:match "chk.*", 1, true), err)
  end)
end)
