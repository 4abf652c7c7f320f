--- A job that fails is run again from its last checkpoint, by the same process.

local place = require "support.place"
local shell = require "support.shell"

local sorted = place.sorted

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

local function write(text) place.write("job.lua", text) end
local function run(options) return place.weir(("run %s job.lua"):format(options)) end

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

--- Sums of 20,000 records, in about a second; fails once at each of the given records, which a file per record
--- remembers.
local function sums(...)
  write(([[
local weir = require "weir"
local job = weir.job { name = "sums", max_parallelism = 128 }
local breaks = {}
for v in ("%s"):gmatch "%%d+" do breaks[tonumber(v)] = true end
job:source(weir.generate { rate = 20000, count = 20000, fn = function(i) return { k = "key " .. i %% 97, v = i } end })
  :map(function(r)
    if breaks[r.v] and not io.open("broke" .. r.v) then
      io.open("broke" .. r.v, "w"):close()
      error("broken at " .. r.v)
    end
    return r
  end)
  :key_by "k":sum("v", { emit = "final" })
  :sink(weir.print())
return job
]]):format(table.concat({ ... }, " ")))
end

--- What the job gives when nothing fails.
local function undisturbed()
  sums()
  local out, code, err = run "-q --unsafe"
  assert.equal(0, code, err)
  return sorted(out)
end

local always = [[
local weir = require "weir"
local job = weir.job "always"
job:source(weir.sequence { to = 10 }):map(function(i) if i == 7 then error "poison" end return i end)
  :sink(weir.discard())
return job
]]

local checkpoints = "--unsafe --dir state --checkpoint-every 50ms --restart-delay 1ms "

describe("a job that fails", function()
  for _, p in ipairs { 1, 3 } do
    it(("F1, F7: goes on by itself with the sums that it had, at parallelism %d"):format(p), function()
      local expected = undisturbed()
      sums(5000, 15000)
      local out, code, err = run(checkpoints .. "--json -p " .. p)
      assert.equal(0, code, err)
      assert.equal(expected, sorted(out))
      assert.equal(1, count(err, "broken at 5000"), err)
      assert.equal(1, count(err, "broken at 15000"), err)
      assert.truthy(err:find "from checkpoint %d+ %(restart 2%)", err)
      assert.truthy(err:find('"restarts":2', 1, true), err)
    end)
  end

  for _, strategy in ipairs { "fixed", "rate" } do
    it(("goes on with --restart=%s, which the summary counts"):format(strategy), function()
      local expected = undisturbed()
      sums(10000)
      local out, code, err = run(checkpoints .. "--restart " .. strategy)
      assert.equal(0, code, err)
      assert.equal(expected, sorted(out))
      assert.truthy(err:find("since the last of 1 restart,", 1, true), err)
    end)
  end

  it("goes on from its own checkpoint with --resume=never, not from one of an earlier run", function()
    local expected = undisturbed()
    assert.equal(0, (select(2, run(checkpoints .. "-q"))))
    sums(100)
    local out, code, err = run(checkpoints .. "--resume=never --checkpoint-every 0")
    assert.equal(0, code, err)
    assert.equal(expected, sorted(out))
    assert.truthy(err:find("from the beginning (restart 1)", 1, true), err)
    os.execute(("rm %s/broke*"):format(folder))
    sums(15000)
    out, code, err = run(checkpoints .. "--resume=never")
    assert.equal(0, code, err)
    assert.equal(expected, sorted(out))
    assert.truthy(err:find "from checkpoint %d+ %(restart 1%)", err)
  end)

  it("F1: is not run again with --restart=none, nor without checkpoints", function()
    for _, options in ipairs { checkpoints .. "--restart=none", "--unsafe" } do
      os.execute(("rm -f %s/broke*"):format(folder))
      sums(5000)
      local _, code, err = run(options)
      assert.equal(1, code, err)
      assert.equal(1, count(err, "broken at 5000"), err)
      assert.falsy(err:find("restart", 1, true), err)
    end
  end)

  it("at the same record each time ends after the attempts that it has", function()
    write(always)
    for _, strategy in ipairs { "fixed", "exponential", "rate" } do
      local _, code, err = run("-q --dir state --restart-attempts 3 --restart-delay 1ms --restart " .. strategy)
      assert.equal(1, code, err)
      assert.equal(3, count(err, "is run again in"), err)
      assert.truthy(err:find("given up after 3 restarts", 1, true), err)
      assert.truthy(err:find("weir: sequence", 1, true), err)
    end
  end)

  for what, line in pairs {
    ["no file matches"] = 'job:source(weir.files "no/such/file"):sink(weir.discard())',
    ["not yet"] = 'job:source(weir.from { 1 }):process(weir.process_function { open = function() error "not yet" end, '
      .. 'element = function(ctx, r) ctx:emit(r) end }):sink(weir.discard())',
  } do
    it("before it began is not run again: " .. what, function()
      write('local weir = require "weir"\nlocal job = weir.job "none"\n' .. line .. '\nreturn job\n')
      local _, code, err = run "-q --dir state --restart-delay 1ms"
      assert.equal(1, code, err)
      assert.truthy(err:find(what, 1, true), err)
      assert.falsy(err:find("is run again", 1, true), err)
    end)
  end

  it("and waits for its restart ends at once when it is interrupted", function()
    write(always)
    local _, code, err = shell.run(([[cd %s && mkfifo log && { %s run --dir state --restart-delay 1h job.lua 2>log & } &&
      pid=$! && exec 3<log && while read -r line <&3; do case $line in *"is run again in"*) kill -INT $pid; break; esac; done;
      wait $pid]]):format(folder, shell.weir))
    assert.equal(130, code, err)
  end)

  it("is recorded as one attempt", function()
    write(always)
    local _, code, err = run "--dir state --record tape --restart fixed"
    assert.equal(2, code)
    assert.truthy(err:find("a run that is recorded or played back is one attempt", 1, true), err)
    _, code, err = run "-q --dir state --record tape"
    assert.equal(1, code)
    assert.falsy(err:find("is run again", 1, true), err)
  end)
end)
