--- State that is four times as large as the memory it may take: 4 GB in 1 GB with BIG=1 (`make rocksdb BIG=1`), a
--- quarter of both with BIG=0.25. Each key's state is read back from the disk, and compared with what it must be.

local script = require "support.script"

local BIG = tonumber(os.getenv "BIG")
local BYTES_A_KEY, MEMORY, PROGRAM = 367, BIG * 2 ^ 30, 30 * 2 ^ 20 -- of memory; of all keys; of all else
local KEYS = math.floor(4 * MEMORY / BYTES_A_KEY / 1000) * 1000 -- so that a key has the same `v` each time

-- All keys once, and then all of them again.
local job = ([[
  local weir = require "weir"
  local job = weir.job { name = "large" }
  local function text_of(k) return ("%%09d"):format(k):rep(22) end
  job:source(weir.generate { count = 2 * %d, fields = { k = { cycle = %d }, v = { cycle = 1000 } } })
    :key_by "k"
    :process(weir.process_function {
      state = { kept = weir.state.value() },
      element = function(ctx, rec)
        local kept = ctx.kept:get()
        if not kept then
          ctx.kept:set { v = rec.v, text = text_of(rec.k) }
        elseif kept.v ~= rec.v or kept.text ~= text_of(rec.k) then
          error(("key %%d has %%d and %%s"):format(rec.k, kept.v, kept.text))
        else
          ctx.kept:clear()
          ctx:emit { v = kept.v + rec.v }
        end
      end,
    }):uid "kept"
    :measure { sum = "v" }:sink(weir.print())
  return job
]]):format(KEYS, KEYS)

describe("a job with four times as much state as memory", function()
  it("finishes with the right result, within its bound", function()
    local out, code, err = script.try(job, ("--json --state-backend=rocksdb --state-memory=%d"):format(MEMORY))
    assert.equal(0, code, err)
    assert.equal(KEYS, tonumber(out:match '"rows":(%d+)'), out)
    assert.equal(999 * KEYS, tonumber(out:match '"sum":(%d+)'), out)
    local resident = tonumber(err:match '"resident_bytes_max":(%d+)')
    print(("# %d keys, about %.2f GiB: %s s, %.2f GiB resident at most, %.2f were asked for"):format(KEYS,
      KEYS * BYTES_A_KEY / 2 ^ 30, err:match '"seconds":([%d.]+)', resident / 2 ^ 30, MEMORY / 2 ^ 30))
    assert.is_true(resident < 1.1 * MEMORY + PROGRAM, ("%d MiB were resident"):format(resident / 2 ^ 20))
  end)
end)
