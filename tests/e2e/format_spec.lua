--- The format of checkpoints is written down so that other programs can read them: one that knows nothing else does.

local place = require "support.place"
local shell = require "support.shell"

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

-- Every kind of state and of values; records of several shapes; keys that go, and keys of two parts. Of a thousand
-- keys twenty change in the end, however slow the machine is.
local visits = [[
local weir = require "weir"
local job = weir.job { name = "visits", max_parallelism = 16 }
job:source(weir.generate { rate = tonumber(job.args.rate), count = 40000, fn = function(i)
    return { i = i, k = "key " .. (i < 1000 and i or i %% 20), even = i %% 2 == 0 }
  end })
  :key_by(%s):process(weir.process_function {
    state = {
      last = weir.state.value(), pages = weir.state.map(), seen = weir.state.list%s, most = weir.state.reducing(math.max),
    },
    element = function(ctx, rec)
      local i = rec.i
      ctx.last:set { i = i, odd = i %% 2 == 1 or nil, tags = { "a", i, { deep = i < 9 } }, at = { x = i / 4, no = weir.null } }
      if i %% 5 == 0 then ctx.last:clear() end
      ctx.pages:put(i %% 3, "page " .. i)
      ctx.seen:add(i)
      ctx.most:add(i)
      ctx:event_timer(1e15 + i %% 7)
      ctx:processing_timer(4e12 + i)
    end,
    timer = function() end, on_end = "drop",
  }):uid "visits"
  :sink(weir.print())
return job
]]

describe("a program that knows nothing but FORMAT.md reads of a checkpoint what weir savepoint does", function()
  for name, case in pairs {
    ["a whole one"] = { "off", '"k"', "()" },
    ["with what has changed since others"] = { "always", '"k"', "()" },
    ["with a time to live"] = { "on", '"k", "even"', '{ ttl = "1h" }' },
  } do
    it(name, function()
      place.write("job.lua", visits:format(case[2], case[3]))
      local options = "-p 2 --dir state --checkpoint-every 20ms --checkpoint-retain 4 --checkpoint-incremental " .. case[1]
      place.killed(options, "rate=10000", "checkpoint.complete", 15)
      local goes_on = 0
      for _ = 1, case[1] == "always" and 2 or 1 do -- a chain of blobs may have begun anew with either of them
        for _, state in ipairs { "last", "pages", "seen", "most", "timers" } do
          local read, code, err = shell.run(("python3 tests/support/read_checkpoint.py %s/state visits %s"):format(folder, state))
          assert.equal(0, code, err)
          assert.truthy(#read > 1000)
          assert.equal(shell.sorted(place.done(("savepoint query state visits %s true"):format(state))), shell.sorted(read))
        end
        local newest = place.sh("ls -d state/chk-* | sort -t- -k2n | tail -1"):match "%S+"
        goes_on = goes_on + #place.sh(("grep -al 'chk-[0-9]*/1-[01].state' %s/1-*.state"):format(newest))
        place.sh("rm -r " .. newest)
      end
      assert.equal(case[1] == "always", goes_on > 0)
    end)
  end
end)
