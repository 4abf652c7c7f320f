--- State beyond a bound of memory (--state-backend=rocksdb): the same results, within the bound, and from
--- checkpoints of either backend.

local place = require "support.place"
local shell = require "support.shell"
local script = require "support.script"

local MIB = 2 ^ 20

-- A value of 200 bytes for each key, some written twice: 330 MB in memory.
local large = [[
  local weir = require "weir"
  local job = weir.job { name = "large" }
  local KEYS = 900000
  job:source(weir.generate { count = 1.2 * KEYS, fields = { k = { cycle = KEYS }, v = { cycle = 1000 } } })
    :key_by "k"
    :process(weir.process_function {
      state = { text = weir.state.value() },
      element = function(ctx, rec)
        local before = ctx.text:get()
        if before then
          ctx:emit { k = rec.k, v = rec.v, sum = before.v + rec.v, len = #before.text }
        end
        ctx.text:set { v = rec.v, text = ("%09d"):format(rec.k):rep(22) }
      end,
    }):uid "texts"
    :measure { checksum = true }:sink(weir.print())
  return job
]]

describe("state larger than --state-memory", function()
  it("gives the results that state in memory gives, within the bound", function()
    local expected = script.run(large, "--quiet")
    assert.truthy(expected:find('"rows":180000', 1, true), expected)
    local out, code, err = script.try(large, "--json --state-backend=rocksdb --state-memory=64M")
    assert.equal(0, code, err)
    assert.equal(expected, out:match "^[^\n]*\n")
    local resident = tonumber(err:match '"resident_bytes_max":(%d+)')
    assert.is_true(resident < (64 + 40) * MIB, ("%d MiB were resident"):format(resident / MIB)) -- and the program
  end)
end)

describe("a job with its state on a disk", function()
  local folder
  local weir = place.weir

  -- Sums of 2000 keys, and for each third record a timer.
  local sums = [[
    local weir = require "weir"
    local job = weir.job { name = "sums", max_parallelism = 64 }
    job:source(weir.generate { rate = tonumber(job.args.rate), count = 24000, fn = function(i)
        return { k = i % 1997, v = i, ts = i }
      end })
      :watermarks(weir.watermark.ascending "ts"):key_by "k"
      :process(weir.process_function {
        state = { sum = weir.state.value(), last = weir.state.list() },
        element = function(ctx, rec)
          ctx.sum:set((ctx.sum:get() or 0) + rec.v)
          if rec.v % 3 == 0 then
            ctx.last:add(rec.v)
            ctx:event_timer(rec.ts + 8000)
          end
        end,
        timer = function(ctx, at)
          ctx:emit { k = ctx:key(), at = at, sum = ctx.sum:get() > 0, last = #ctx.last:get() > 0 }
        end,
      }):uid "sums"
      :sink(weir.file_sink { path = "out", guarantee = "exactly_once" }):uid "out"
    return job
  ]]
  local DISK = "--state-backend=rocksdb --state-memory=200k"

  before_each(function()
    folder = place.make()
    place.write("job.lua", sums)
  end)
  after_each(place.remove)

  -- The rows of all subtasks, which are gone then.
  local function taken()
    return shell.sorted((shell.run(("cd %s && cat $(ls out* | grep -v commit) && rm out*"):format(folder))))
  end

  local function scratch()
    return (shell.run(("find %s -name 'weir-spill-*'"):format(folder)))
  end

  for _, backends in ipairs { { DISK, "" }, { "", DISK } } do
    it(("goes on from a checkpoint, from %s to %s"):format(backends[1] == "" and "memory" or "disk",
      backends[2] == "" and "memory" or "disk"), function()
      local _, code, err = weir("run -q --dir whole job.lua")
      assert.equal(0, code, err)
      local expected = taken()
      assert.is_true(#expected > 50000)
      place.dies(weir, "run -q --dir state --checkpoint-every 50ms " .. backends[1]
        .. " --fault checkpoint.complete:4=kill job.lua rate=20000")
      assert.equal(backends[1] == DISK, scratch() ~= "")
      local _, code2, err2 = weir("run -q -p 2 --dir state " .. backends[2] .. " job.lua")
      assert.equal(0, code2, err2)
      assert.is_true(expected == taken(), "the results are others")
      assert.equal("", scratch()) -- the next one cleans up, whatever its backend
    end)
  end

  it("says what is missing where the program has no module for it", function()
    local _, code, err = shell.run(("cp %s %s/weir && cd %s && ./weir run -q %s job.lua"):format(
      shell.weir, folder, folder, DISK))
    assert.equal(1, code)
    assert.truthy(err:find("the module weir-rocksdb.so is missing", 1, true), err)
  end)
end)
