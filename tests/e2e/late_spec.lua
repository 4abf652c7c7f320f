--- Event time of files goes on where it was: behind a restore no record is late that was not late without it.

local dice = require "support.dice"
local place = require "support.place"
local shell = require "support.shell"

local write, run, killed, sorted = place.write, place.run, place.killed, place.sorted

local folder
before_each(function()
  folder = place.make()
  shell.run(("mkdir %s/in"):format(folder))
end)
after_each(place.remove)

--- Counts the records of windows, and those that are late; says so at its end, however often it was killed.
local job = [[
local weir = require "weir"
local job = weir.job { name = "restored", max_parallelism = 128 }
local loops = tonumber(job.args.loops or 0)
local counts = job:source(%s)
  :watermarks(weir.watermark.ascending { field = "ts", every = 1, %s })
  :map(function(rec)
    local x = 0
    for i = 1, loops do x = (x + i) %% 7 end
    return { k = rec.k, x = x }
  end)
  :key_by "k":window(weir.window.tumbling "1s"):late_to "late"
  :aggregate({ n = weir.agg.count() }, function(ctx, result)
    ctx:emit { w = ("%%d from %%d"):format(ctx:key(), (ctx:window())), n = result.n }
  end)
local late = counts:side_output "late":map(function(rec) return { w = "late", n = 1 } end)
counts:union(late):key_by "w":sum("n", { emit = "final" }):sink(weir.print())
return job
]]

local function files(options)
  return ('weir.files { path = "in", format = weir.json(), %s }'):format(options)
end

--- What a run without late records prints.
local windows

local function expect(k, ts)
  local w = ("%d from %d"):format(k, math.floor(ts / 1000) * 1000)
  windows[w] = (windows[w] or 0) + 1
end

--- Writes a file of records from a time on, each `step` at most behind the one before; gives the last one's time.
local function records(name, below, count, from, step)
  local lines, ts = {}, from
  for i = 1, count do
    local k = below(5)
    ts = ts + below(step)
    lines[i] = ('{"k":%d,"ts":%d}\n'):format(k, ts)
    expect(k, ts)
  end
  write("in/" .. name, table.concat(lines))
  return ts
end

--- `input`: what the job is given besides.
local function no_record_is_late(from, to, input)
  killed("--restart none --dir state --checkpoint-every 5ms -p " .. from, "loops=3000" .. (input or ""), "checkpoint.complete", 3)
  local out, code, err = run("--restart none --dir state --checkpoint-every 1h -p " .. to, input)
  local expected = {}
  for w, n in pairs(windows) do expected[#expected + 1] = ('{"n":%d,"w":"%s"}'):format(n, w) end
  assert.equal(0, code, err)
  assert.equal(sorted(table.concat(expected, "\n")), sorted(out))
end

describe("K24: a restored source of files", function()
  before_each(function() windows = {} end)

  -- parallelism and files that a subtask reads side by side, before and behind
  for seed, p in ipairs { { 4, 1, 1 }, { 4, 1, 2 }, { 4, 1, 4 }, { 4, 1, 7 }, { 2, 2, 1 }, { 1, 4, 3 }, { 1, 4, 1 } } do
    for _, align in ipairs { "", 'align = { drift = "2s" }' } do
      it(("has no late record of files side by side, from parallelism %d with %d to %d, %s")
        :format(p[1], p[2], p[3], align), function()
        local below = dice(seed)
        for n = 1, 4 do records("f" .. n, below, 3000, below(9000), 2 + below(60)) end
        write("job.lua", job:format(files("interleave = " .. p[2]), align))
        no_record_is_late(p[1], p[3])
      end)
    end
  end

  for seed, p in ipairs { { 2, 1, 1 }, { 2, 1, 3 }, { 3, 2, 1 }, { 1, 1, 2 }, { 3, 1, 3 } } do
    it(("has no late record of files one after the other, from parallelism %d with %d to %d"):format(unpack(p)), function()
      local below, ts = dice(seed), 0
      for n = 1, 80 do ts = records(("f%02d"):format(n), below, 50 + below(200), ts, 2 + below(60)) end
      write("job.lua", job:format(files("interleave = " .. p[2]), ""))
      no_record_is_late(p[1], p[3])
    end)
  end

  it("has no late record of a file that is cut", function()
    records("f", dice(9), 20000, 0, 20)
    write("job.lua", job:format(files "split_size = 9000", ""))
    no_record_is_late(3, 1)
  end)
end)

describe("K24: a restored source", function()
  before_each(function() windows = {} end)

  local list = {}
  for i = 1, 20000 do list[i] = ("{k=%d,ts=%d}"):format(i % 5, 7 * i) end
  local sources = {
    generate = 'weir.generate { count = 20000, fn = function(i) return { k = (i + 1) % 5, ts = 7 * (i + 1) } end }',
    from = "weir.from {" .. table.concat(list, ",") .. "}",
    stdin = "weir.stdin(weir.json())",
  }
  for name, source in pairs(sources) do
    for _, p in ipairs { { 4, 1 }, { 4, 3 }, { 1, 4 } } do
      it(("has no late record: %s, from parallelism %d to %d"):format(name, p[1], p[2]), function()
        local lines = {}
        for i = 1, 20000 do
          expect(i % 5, 7 * i)
          lines[i] = ('{"k":%d,"ts":%d}\n'):format(i % 5, 7 * i)
        end
        write("in/f", table.concat(lines))
        write("job.lua", (job:gsub("%%s", (source:gsub("%%", "%%%%")), 1):gsub("%%s", ""):gsub("%%%%", "%%")))
        no_record_is_late(p[1], p[2], " <in/f")
      end)
    end
  end
end)
