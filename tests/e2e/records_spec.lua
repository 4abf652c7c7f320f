--- Records of all kinds through compiled chains, held against a model in plain Lua, and loops over tables.
---
--- make e2e FILTER=records SEEDS=70 TIMEOUT=0 makes some three thousand random runs; SEED=n plays one seed again in
--- all kinds of jobs. A failure says kind, parallelism and seed.

local jobs = require "support.record_jobs"
local script = require "support.script"
local shell = require "support.shell"

jit.off() -- the model is interpreted

local COUNT = 120
local SEEDS = tonumber(os.getenv "SEEDS" or 1) -- for each kind of job and parallelism
local ONE = tonumber(os.getenv "SEED")

-- The results of a job as sorted lines.
local function results(kind, seed, p)
  local out, code, err = script.try('return require("support.record_jobs").draw()',
    "-q --workers 2 --lua-path 'tests/?.lua'", nil, ("kind=%d seed=%d count=%d p=%d"):format(kind, seed, COUNT, p))
  if code ~= 0 then error(("kind %d, parallelism %d, seed %d: exit code %d: %s"):format(kind, p, seed, code, err)) end
  return shell.sorted(out)
end

for kind, job in ipairs(jobs) do
  describe("random records through " .. job.name, function()
    for p = 1, 4 do
      it("come out as in the model, with parallelism " .. p, function()
        for i = 1, ONE and 1 or SEEDS do
          local seed = ONE or (i - 1) * 4 + p + kind
          local expected, got = script.lines(jobs.expected(kind, seed, COUNT, p)), results(kind, seed, p)
          if expected ~= got then
            error(("kind %d, parallelism %d, seed %d: %d bytes instead of %d"):format(kind, p, seed, #got, #expected))
          end
        end
      end)
    end
  end)
end

describe("a loop over a table", function()
  -- LuaJIT issue 827: after its loop was given up by the compiler, pairs ended early and in silence.
  for name, loop in pairs { pairs = "pairs(tab)", next = "next, tab" } do
    it("by " .. name .. " sees every entry, also where a loop inside of it is compiled first", function()
      local out = script.run(([[
        local weir = require "weir"
        local job = weir.job "loops"
        local t = { 1, 2, 3, 4, 5 }
        local tab = { a = t, b = t, c = t, d = t, e = t }
        local function f(...) for _ = 1, 100 do end end
        job:source(weir.sequence { to = 100000 }):filter(function()
          f()
          local count = 0
          for _, v in %s do
            for _ in pairs(v) do end
            count = count + 1
          end
          return count ~= 5
        end):sink(weir.print())]]):format(loop), "-q")
      assert.equal("", out)
    end)
  end

  it("may change and remove the entry it is at, and next tells an empty table", function()
    local out = script.run([[
      local weir = require "weir"
      local job = weir.job "loops"
      job:source(weir.sequence { to = 3000 }):map(function(n)
        local t = { n, n + 1, a = 1, [0.5] = 2, [true] = 3 }
        local sum, count = 0, 0
        for k, v in pairs(t) do
          sum, count = sum + v, count + 1
          if type(k) == "number" then t[k] = nil else t[k] = 0 end
        end
        return count == 5 and sum == 2 * n + 7 and next({}) == nil and next(t) ~= nil and t.a == 0
      end):filter(function(ok) return not ok end):sink(weir.print())]], "-q")
    assert.equal("", out)
  end)
end)
