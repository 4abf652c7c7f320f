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
