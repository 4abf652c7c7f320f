--- A job between two topics that is changed, saved, stopped and moved while records keep coming, written by kcat. What
--- is committed in the end, read by kcat, is each record once, in the order of its key, and counted without a gap.

local kafka = require "support.kafka"
local place = require "support.place"
local script = require "support.script"
local shell = require "support.shell"

local cluster = kafka.shared()
local KEYS, RATE = 7, 4000

local input, output

before_each(function()
  place.make()
  input = cluster:topic { name = "live-in", partitions = 4 }
  output = cluster:topic { name = "live-out", partitions = 3 }
end)
after_each(place.remove)

-- A job that counts the records of each key, in its version `v`; `more` is done with each of them.
local function job(v, more)
  return ([[
    local weir = require "weir"
    local job = weir.job { name = "live", max_parallelism = 16 }
    job:source(weir.kafka { brokers = "%s", topic = "%s" }):uid "in"
      :key_by "k"
      :%s
      :sink(weir.kafka_sink { brokers = "%s", topic = "%s", key = "k", guarantee = "exactly_once",
        transactional_id_prefix = "%s" }):uid "out"
    return job]]):format(cluster.brokers, input,
    script.counting(("%s ctx:emit { k = rec.k, i = rec.i, n = n, v = %d }"):format(more or "", v)), cluster.brokers,
    output, output)
end

-- Does the steps of the shell while records come, however long that takes, and gives what they and the jobs said, and
-- the number of records. `$log` is where a job that is begun writes to; the last one runs until all is committed.
local function under_load(steps)
  place.write("feed.lua", ([[
    local weir = require "weir"
    local job = weir.job "feed"
    job:source(weir.generate { rate = %d, fn = function(i)
      return ('k%%d\t{"k":"k%%d","i":%%d}'):format(i %% %d, i %% %d, i) end }):parallelism(1)
      :sink(weir.stdout { format = weir.lines() })
    return job]]):format(RATE, KEYS, KEYS))
  local _, code, err = place.sh(([[
    log="$(pwd)/log"; touch log said
    { $W run -q -p 1 feed.lua | kcat -b %s -P -X enable.idempotence=true -K '	' -t %s; } 2>feed.err & feed=$!
    fails() { echo "$1" >&2; cat log said >&2; kill -9 $pid $feed 2>/dev/null; exit 1; }
    begin() { $W run -q --checkpoint-every 50ms "$@" job.lua 2>>log & pid=$!; %s; }
    does() { "$@" >>said 2>&1 || fails "$*"; }
    moves() { does $W checkpoint live; does $W checkpoint live; }
    shows() { %s; }
    ends() { wait $pid || fails "it ended with $?"; }
    %s
    does $W stop --drain feed
    wait $feed || { cat feed.err >&2; fails "the feed"; }
    echo $pid >pid]]):format(cluster.brokers, input, shell.await("$W info live >/dev/null 2>&1", "$pid"),
    shell.await(([[kcat -b %s -C -e -t %s -X isolation.level=read_committed 2>/dev/null | grep -q "\"v\":$1"]])
      :format(cluster.brokers, output), "$pid"), steps))
  assert.equal(0, code, err)
  local count = #cluster:consume(input)
  local ok, why = pcall(kafka.await, "all that was sent", function() return #cluster:consume(output) >= count end)
  place.sh "$W stop live || kill -9 $(cat pid); while [ -e /proc/$(cat pid)/exe ]; do sleep 0.01; done"
  assert.is_true(ok, tostring(why) .. "\n" .. place.read "log" .. place.read "said")
  return count, place.read "said", place.read "log"
end

-- Each of `count` records is committed once; gives how many were of each version.
local function check(count)
  local last, versions, records = {}, {}, cluster:consume(output)
  local seen = {}
  for at, record in ipairs(records) do
    local i = record.value:match '"i":(%d+)'
    assert.is_nil(seen[i], ("record %s is there twice, as number %d and %d"):format(i, seen[i] or 0, at))
    seen[i] = at
  end
  for i = 0, count - 1 do assert.truthy(seen[tostring(i)], ("record %d is missing"):format(i)) end
  for _, record in ipairs(records) do
    local i, k, n, v = record.value:match '^{"i":(%d+),"k":"k(%d)","n":(%d+),"v":(%d+)}$'
    assert.truthy(i, record.value)
    local was = last[k] or 0
    assert.equal(was + 1, tonumber(n), "counts of key " .. k .. " at offset " .. record.partition .. ":" .. record.offset)
    assert.equal(was * KEYS + tonumber(k), tonumber(i), "records of key " .. k)
    last[k] = tonumber(n)
    versions[tonumber(v)] = (versions[tonumber(v)] or 0) + 1
  end
  assert.equal(count, #records)
  return versions
end

describe("a job between topics, under load,", function()
  it("has functions changed and taken back, and its graph built anew at other parallelisms", function()
    place.write("job.lua", job(1))
    place.write("two.lua", job(2))
    place.write("three.lua", job(3))
    local count, said = under_load [[
      begin --dir state -p 2; shows 1
      cp two.lua job.lua; does $W reload --yes live job.lua; shows 2
      does $W rollback --yes live; moves
      cp three.lua job.lua; does $W reload --yes -p 3 live job.lua; shows 3
      does $W reload --yes -p 1 live job.lua; moves]]
    assert.truthy(said:find("functions change places while the job runs", 1, true), said)
    assert.truthy(said:find("built anew", 1, true), said)
    local versions = check(count)
    for v = 1, 3 do assert.is_true((versions[v] or 0) > 0, "nothing of version " .. v) end
  end)

  it("shows nothing of a version that fails, and goes on with the one before", function()
    place.write("job.lua", job(1))
    place.write("bad.lua", job(9, "if rec.i % 100 == 99 then error 'too bad' end"))
    local count, _, log = under_load([[
      begin --dir state -p 2; shows 1
      cp job.lua good.lua; cp bad.lua job.lua
      does $W reload --yes --probation 1h live job.lua
      ]] .. shell.await("grep -q 'too bad' log", "$pid") .. [[

      cp good.lua job.lua]])
    assert.truthy(log:find("too bad", 1, true), log)
    assert.same({ [1] = count }, check(count))
  end)

  it("is stopped and goes on at other parallelisms, at last from a savepoint elsewhere", function()
    place.write("job.lua", job(1))
    check((under_load [[
      begin --dir state -p 1; shows 1; moves
      does $W stop live; ends; begin --dir state -p 3; moves
      does $W savepoint live -o aside.weir; moves
      does $W stop live; ends; begin --dir state -p 2; moves
      does $W stop --savepoint=moved.weir live; ends; begin --from moved.weir --dir elsewhere -p 3; moves]]))
  end)

  it("is drained and goes on, killed and goes on", function()
    place.write("job.lua", job(1))
    check((under_load [[
      begin --dir state -p 2; shows 1; moves
      does $W stop --drain live; ends; begin --dir state -p 3; moves
      kill -9 $pid; wait $pid; begin --dir state -p 2; moves
      does $W stop --drain live; ends; begin --dir state -p 1]]))
  end)
end)
