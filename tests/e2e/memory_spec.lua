--- Where the memory is: the sum of the holders, and what a subtask takes.

local script = require "support.script"

local function summary(parallelism)
  local _, code, err = script.try([[
local weir = require "weir"
local job = weir.job { name = "crowd" }
job:source(weir.generate { count = 5000, fn = function(n) return { key = n } end })
  :key_by "key"
  :map(function(rec) return { key = rec.key } end)
  :sink(weir.discard())
return job]], ("--json --memory -p %d"):format(parallelism))
  assert.equal(0, code, err)
  local memory = assert(err:match '"memory":(%b{})', err)
  local holders, sum = {}, 0
  for name, bytes, most in memory:gmatch '"name":"([^"]+)","bytes":(%-?%d+),"bytes_max":(%-?%d+)' do
    holders[name] = tonumber(most)
    sum = sum + tonumber(bytes)
  end
  return holders, sum, tonumber(memory:match '"resident_bytes":(%d+)')
end

describe("the memory summary", function()
  it("names holders whose sum is what is resident", function()
    local holders, sum, resident = summary(100)
    assert.is_truthy(holders["script.lua"] and holders["exchange.buffers"] and holders["program and libraries"])
    assert.equal(resident, sum)
    local rest = math.abs(holders["others, less what is untouched"])
    assert.is_true(rest < resident * 0.15, ("%d of %d are nobody's"):format(rest, resident))
  end)

  it("shows that a Lua state keeps what it needs, not what it needed to start", function()
    local few, many = summary(50)["script.lua"], summary(150)["script.lua"]
    assert.is_true((many - few) / 200 < 400e3, (many - few) / 200)
  end)
end)

describe("what is kept for checkpoints that are being written", function()
  local shell = require "support.shell"

  -- 100,000 keys in chunks of 64 KB: 13 MB that are all touched within a few milliseconds. At the bound the job waits
  -- for each checkpoint; in the pauses between them it goes on, also on a busy machine.
  local function most_frozen(options)
    local folder = shell.folder()
    local f = assert(io.open(folder .. "/job.lua", "w"))
    f:write [[
      local weir = require "weir"
      local job = weir.job { name = "touched" }
      job:source(weir.generate { count = 1500000, fields = { k = { random = 100000 } } })
        :key_by "k":count { emit = "final" }
        :map(function(rec) return { all = 0, n = rec.count } end)
        :key_by "all":sum("n", { emit = "final" }):sink(weir.print())
      return job
    ]]
    f:close()
    local out, code, err = shell.run(("cd %s && %s run --json --memory --restart none --dir state --checkpoint-every 1ms --buffer-size 1024 "
      .. "--checkpoint-incremental off %s job.lua"):format(folder, shell.weir, options))
    shell.remove(folder)
    assert.equal(0, code, err)
    return tonumber(err:match '"name":"state.frozen","bytes":%-?%d+,"bytes_max":(%d+)'), out
  end

  it("is within its bound and what one buffer of records changes, and the result is the same", function()
    local free, result
    for _ = 1, 10 do -- how much is kept without a bound is the scheduler's to say
      free, result = most_frozen ""
      if free > 5e6 then break end
    end
    local bound, same = most_frozen "--frozen-memory 1MiB --checkpoint-min-pause 5ms"
    assert.equal(result, same)
    assert.is_true(free > 5e6, free)
    assert.is_true(bound < free / 2 and bound < 5e6, bound)
  end)
end)
