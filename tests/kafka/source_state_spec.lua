--- The source of topics over time: checkpoints, restarts at another parallelism, partitions and topics that come and go,
--- records that were removed, brokers that die.

local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

local cluster = kafka.shared()

before_each(place.make)
after_each(place.remove)

local function numbers(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = { key = "k" .. i, value = ('{"n":%d}'):format(i), timestamp = 1000 * i } end
  return list
end

--- A job without end that writes what it reads, each row once.
local function write_job(options, brokers, chain)
  place.write("job.lua", ([[
    local weir = require "weir"
    local job = weir.job { name = "copy", max_parallelism = 128 }
    job:source(weir.kafka { brokers = %q, %s }):uid "in"%s
      :sink(weir.file_sink { path = "out", format = weir.json(), guarantee = "exactly_once" }):parallelism(1):uid "out"
    return job]]):format(brokers or cluster.brokers, options, chain or ""))
end

--- Runs the job until so many lines are there, and then `behind`; fails when it ends before.
local function run_until(lines, options, behind)
  local out, code, err = place.sh(([[
    touch out
    $W run -q --dir state --checkpoint-every 50ms %s job.lua 2>err & pid=$!
    %s
    %s
    wait $pid
    code=$?
    cat err >&2
    exit $code]]):format(options, shell.await(('[ "$(wc -l <out)" -ge %d ]'):format(lines), "$pid"), behind))
  return out, code, err
end

local function kill_behind(lines, options)
  local _, code, err = run_until(lines, options or "", "kill -9 $pid")
  assert.equal(137, code, err)
  return err
end

local function stop_behind(lines, options)
  local _, code, err = run_until(lines, options or "", "$W stop $pid >stopped 2>&1")
  assert.equal(0, code, err)
  return err
end

--- Runs the job until its partitions are known and a checkpoint behind that holds; then it is killed.
local function run_to_checkpoint()
  local _, code, err = place.sh(([[
    $W run --dir state job.lua 2>err & pid=$!
    %s
    $W checkpoint $pid && kill -9 $pid]]):format(shell.await('grep -q "2 partitions are read" err', "$pid")))
  assert.equal(0, code, err)
end

--- Each number up to `count` is there once.
local function all_once(count)
  local seen, lines = {}, 0
  for n in place.read("out"):gmatch '{"n":(%d+)}\n' do
    assert.is_nil(seen[n], n .. " stands there twice")
    seen[n], lines = true, lines + 1
  end
  assert.equal(count, lines)
  for i = 1, count do assert.truthy(seen[tostring(i)], i .. " is missing") end
end

describe("a job that reads a topic", function()
  it("goes on where its checkpoint was, at any parallelism, killed or stopped", function()
    local topic = cluster:topic { partitions = 5 }
    write_job(("topic = %q"):format(topic))
    for i, step in ipairs { { kill_behind, "-p 1" }, { kill_behind, "-p 3" }, { stop_behind, "-p 7" }, { stop_behind, "-p 2" } } do
      cluster:send(topic, numbers(100 * i - 99, 100 * i))
      step[1](100 * i, step[2])
    end
    all_once(400)
  end)

  it("ends where its end was when it began, over a restart", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, numbers(1, 100))
    write_job(("topic = %q, stop = 'latest'"):format(topic), nil,
      ":map(function(v) local x = 0 for i = 1, 1e7 do x = x + i % 7 end return v end)")
    run_to_checkpoint()
    cluster:send(topic, numbers(101, 200))
    place.ran("--dir state --checkpoint-every 20ms", "")
    all_once(100)
  end)

  it("reads the latest from where that was when it first began, over a restart", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, numbers(901, 910))
    write_job(("topic = %q, start = 'latest'"):format(topic))
    run_to_checkpoint()
    cluster:send(topic, numbers(1, 50))
    stop_behind(50)
    all_once(50)
  end)

  it("tells its group of positions when checkpoints hold, unless it is not to", function()
    local topic, group = cluster:topic(), kafka.unique "group"
    cluster:send(topic, numbers(1, 100))
    write_job(("topic = %q, group = %q"):format(topic, group))
    stop_behind(100)
    kafka.await("the position of the group", function()
      local told = cluster:client():committed(group)[topic]
      return told and told[0].offset == 100
    end)
    write_job(("topic = %q, group = %q, commit = false"):format(topic, group .. "-silent"))
    cluster:send(topic, numbers(101, 200))
    stop_behind(200)
    assert.is_nil(cluster:client():committed(group .. "-silent")[topic])
  end)

  it("reads partitions and topics that come later from their first record, and tells of those that go", function()
    local name = kafka.unique "come"
    cluster:create(name .. "-1")
    cluster:send(name .. "-1", numbers(1, 10))
    write_job(("pattern = %q, start = 'latest', discover = '20ms'"):format(name .. "-.*"))
    place.sh [[touch out err; $W run --dir state --checkpoint-every 50ms job.lua 2>err & echo $! >pid]]
    kafka.await("the first look", function() return place.read("err"):find "1 partitions are read" end)
    cluster:create(name .. "-2", { partitions = 2 })
    cluster:send(name .. "-2", numbers(1, 50))
    kafka.await("the new topic", function() return select(2, place.read("out"):gsub("\n", "")) == 50 end)
    cluster:grow(name .. "-1", 2)
    local lines = {}
    for i = 51, 80 do lines[#lines + 1] = ('k:{"n":%d}\n'):format(i) end
    cluster:produce(name .. "-1", table.concat(lines), { partition = 1 })
    kafka.await("the new partition", function() return select(2, place.read("out"):gsub("\n", "")) == 80 end)
    cluster:delete(name .. "-2")
    kafka.await("word of the vanished topic", function() return place.read("err"):find(name .. "-2[1] has vanished", 1, true) end)
    local _, code, err = place.sh "$W stop $(cat pid)"
    assert.equal(0, code, err)
    all_once(80)
  end)
end)

describe("records that were removed before they were read", function()
  local topic
  before_each(function()
    topic = cluster:topic()
    cluster:send(topic, numbers(1, 10))
    write_job(("topic = %q"):format(topic))
    stop_behind(10)
    cluster:send(topic, numbers(11, 30))
    cluster:client():truncate { [topic] = { [0] = 20 } }
  end)

  it("end the job, which says what can be done", function()
    local out, code, err = place.run "--dir state --restart none"
    assert.equal(1, code, out)
    assert.truthy(err:find(topic .. "[0]: offset 10 is not there", 1, true), err)
    assert.truthy(err:find('out_of_range = "earliest"', 1, true), err)
  end)

  it("are passed over where that is wanted, which is told", function()
    write_job(("topic = %q, out_of_range = 'earliest'"):format(topic))
    local err = stop_behind(20)
    assert.truthy(err:find(topic .. "[0]: offset 10 is not there, goes on with the earliest record", 1, true), err)
    assert.equal('{"n":21}', place.read("out"):match '^.-{"n":10}\n(.-)\n')
  end)

  it("are passed over with all that is there, where that is wanted", function()
    write_job(("topic = %q, out_of_range = 'latest'"):format(topic))
    place.sh [[$W run --dir state --checkpoint-every 50ms job.lua 2>err & echo $! >pid]]
    kafka.await("word of it", function() return place.read("err"):find("goes on with the latest record", 1, true) end)
    local at = 30
    kafka.await("a new record", function()
      at = at + 1
      cluster:send(topic, numbers(at, at))
      return select(2, place.read("out"):gsub("\n", "")) > 10
    end)
    place.sh "$W stop $(cat pid)"
    assert.is_nil(place.read("out"):find('{"n":30}', 1, true))
  end)
end)

describe("partitions of a topic", function()
  it("have watermarks of their own: none is late where each is in order", function()
    local topic = cluster:topic { partitions = 2 }
    for partition = 0, 1 do
      local list = numbers(1, 3000)
      for _, record in ipairs(list) do record.partition = partition end
      cluster:send(topic, list)
    end
    place.write("windows.lua", ([[
      local weir = require "weir"
      local job = weir.job "windows"
      local s = job:source(weir.kafka { brokers = %q, topic = %q, stop = "latest" })
        :watermarks(weir.watermark.ascending { align = { drift = "100s" } })
        :key_by(function() return 1 end):window(weir.window.tumbling "1000s")
        :aggregate { n = weir.agg.count() }
      s:sink(weir.print())
      return job]]):format(cluster.brokers, topic))
    local out, code, err = place.weir "run -q windows.lua"
    assert.equal(0, code, err)
    local counts = {}
    for n in out:gmatch '"n":(%d+)' do counts[#counts + 1] = tonumber(n) end
    assert.same({ 1998, 2000, 2000, 2 }, counts)
  end)
end)

describe("a broker that is killed", function()
  it("costs no record and doubles none when it is back", function()
    local own = kafka.start(1)
    finally(function() own:close() end)
    local topic = own:topic { partitions = 2 }
    own:send(topic, numbers(1, 100))
    write_job(("topic = %q"):format(topic), own.brokers)
    place.sh [[touch out err; $W run --dir state --checkpoint-every 50ms job.lua 2>err & echo $! >pid]]
    kafka.await("the first records", function() return select(2, place.read("out"):gsub("\n", "")) == 100 end)
    own:kill(1)
    kafka.await("word of it", function() return place.read("err"):find("no broker can be reached", 1, true) end)
    own:up(1)
    own:send(topic, numbers(101, 200))
    kafka.await("the others", function() return select(2, place.read("out"):gsub("\n", "")) == 200 end)
    local _, code, err = place.sh "$W stop $(cat pid)"
    assert.equal(0, code, err)
    all_once(200)
    assert.truthy(place.read("err"):find("a broker is reached again", 1, true))
  end)
end)
