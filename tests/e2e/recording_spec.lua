--- A run that was recorded is played back bit for bit by another process.

local shell = require "support.shell"

-- Two inputs at parallelism 2: what comes out depends on which input came first, on the clock, on timers and
-- on chance.
local script = [[
local weir = require "weir"
local job = weir.job { name = "two" }
local function numbers(field)
  return job:source(weir.sequence { from = 1, to = 30000 })
    :map(function(n) return { k = n % 7, [field] = n } end):name("make_" .. field)
end
local meet = weir.co_process_function {
  state = { last = weir.state.value() },
  element1 = function(ctx, r)
    ctx.last:set(r.a)
    if r.a % 100 == 0 then ctx:processing_timer(ctx:now() + 1) end
  end,
  element2 = function(ctx, r)
    if r.b % 50 == 0 then
      ctx:emit { k = r.k, b = r.b, last = ctx.last:get() or -1, at = ctx:now(), x = ctx:random() }
    end
  end,
  timer = function(ctx, time) ctx:emit { k = ctx:key(), timer = time, last = ctx.last:get() } end,
}
numbers "a":key_by "k":connect(numbers "b":key_by "k"):process(meet):uid "meet"
  :global():sink(weir.print())
return job
]]

describe("a recorded run", function()
  local folder, path

  setup(function()
    folder = shell.folder()
    path = folder .. "/job.lua"
    local f = assert(io.open(path, "w"))
    f:write(script)
    f:close()
  end)
  teardown(function() shell.remove(folder) end)

  local function run(options)
    local out, code, err = shell.run(("%s run -q %s %s"):format(shell.weir, options, path))
    assert.equal(0, code, err)
    return out
  end

  it("is played back bit for bit in another process, on more threads or fewer", function()
    local first = run("-p 2 --record=" .. folder .. "/rec")
    assert.is_true(#first > 1000)
    assert.equal(first, run("-p 2 --replay=" .. folder .. "/rec"))
    assert.equal(first, run("-p 2 --workers 1 --replay=" .. folder .. "/rec"))
    assert.are_not.equal(first, run "-p 2")
  end)

  it("is refused for another parallelism or a folder that holds none", function()
    run("-p 2 --record=" .. folder .. "/rec2")
    local _, code, err = shell.run(("%s run -q -p 3 --replay=%s/rec2 %s"):format(shell.weir, folder, path))
    assert.equal(2, code)
    assert.is_truthy(err:find("%.rec: No such file"), err)
    _, code = shell.run(("%s run -q --replay=%s/none %s"):format(shell.weir, folder, path))
    assert.equal(2, code)
    _, code, err = shell.run(("%s run -q --record=%s/none/there %s"):format(shell.weir, folder, path))
    assert.equal(2, code, err)
  end)

  it("is there after a failure, too, and fails in the same way when it is played back", function()
    local failing = folder .. "/failing.lua"
    local f = assert(io.open(failing, "w"))
    f:write [[
local weir = require "weir"
local job = weir.job { name = "failing" }
job:source(weir.sequence { from = 1, to = 30000 }):rebalance():map(function(n)
  if n == 12345 then error("no " .. n) end
  return n
end):sink(weir.print())
return job
]]
    f:close()
    local try = function(option)
      return shell.run(("%s run -q -p 2 %s=%s/failed %s"):format(shell.weir, option, folder, failing))
    end
    local _, code, first = try "--record"
    assert.equal(1, code)
    assert.is_truthy(first:find("no 12345", 1, true), first)
    local _, again, err = try "--replay"
    assert.equal(1, again)
    assert.equal(first, err)
  end)
end)
