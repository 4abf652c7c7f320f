--- The source of topics over time: checkpoints, restarts at another parallelism, partitions and topics that come and go,
--- records that were removed, what is fetched ahead.

local copy = require "support.copy"
local kafka = require "support.kafka"
local place = require "support.place"

local cluster = kafka.shared()

before_each(place.make)
after_each(copy.remove)

local numbers = copy.numbers

describe("a job that reads a topic", function()
  it("goes on where its checkpoint was, at any parallelism, killed or stopped", function()
    local topic = cluster:topic { partitions = 5 }
    copy.write(("topic = %q"):format(topic))
    for i, step in ipairs { { copy.kill_behind, "-p 1" }, { copy.kill_behind, "-p 3" }, { copy.stop_behind, "-p 7" }, { copy.stop_behind, "-p 2" } } do
      cluster:send(topic, numbers(100 * i - 99, 100 * i))
      step[1](100 * i, step[2])
    end
    copy.all_once(400)
  end)

  it("ends where its end was when it began, over a restart", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, numbers(1, 100))
    copy.write(("topic = %q, stop = 'latest'"):format(topic), nil,
      ":map(function(v) local x = 0 for i = 1, job.args.loops or 1 do x = x + i % 7 end return v end)")
    copy.run_to_checkpoint("2 partitions are read", "loops=3e7")
    cluster:send(topic, numbers(101, 200))
    place.ran("--dir state --checkpoint-every 20ms", "")
    copy.all_once(100)
  end)

  it("tells its group of positions when checkpoints hold, unless it is not to", function()
    local topic, group = cluster:topic(), kafka.unique "group"
    cluster:send(topic, numbers(1, 100))
    copy.write(("topic = %q, group = %q"):format(topic, group))
    copy.stop_behind(100)
    kafka.await("the position of the group", function()
      local told = cluster:client():committed(group)[topic]
      return told and told[0].offset == 100
    end)
    copy.write(("topic = %q, group = %q, commit = false"):format(topic, group .. "-silent"))
    cluster:send(topic, numbers(101, 200))
    copy.stop_behind(200)
    assert.is_nil(cluster:client():committed(group .. "-silent")[topic])
  end)

  it("tells its group of the end, where it has one, whoever else waits for a checkpoint", function()
    local topic, group = cluster:topic { partitions = 3 }, kafka.unique "group"
    for partition = 0, 2 do cluster:send(topic, numbers(1 + 10 * partition, 10 + 10 * partition, partition)) end
    place.write("job.lua", ([[
      local weir = require "weir"
      local job = weir.job "ends"
      job:source(weir.kafka { brokers = %q, topic = %q, group = %q, start = "committed", stop = "latest" })
        :sink(weir.file_sink { path = "out", guarantee = job.args.guarantee }):parallelism(1)
      return job]]):format(cluster.brokers, topic, group))
    place.ran("--dir first -p 2", "guarantee=exactly_once")
    copy.all_once(30)
    for partition = 0, 2 do assert.equal(10, cluster:client():committed(group)[topic][partition].offset) end
    cluster:send(topic, numbers(31, 35, 1))
    place.ran("--dir second -p 4", "guarantee=none")
    copy.all_once(35, 31)
    assert.equal(15, cluster:client():committed(group)[topic][1].offset)
  end)

  it("ends without telling its group where no checkpoint comes before its end is read", function()
    local topic, group = cluster:topic(), kafka.unique "group"
    cluster:send(topic, numbers(1, 10))
    place.write("job.lua", ([[
      local weir = require "weir"
      local job = weir.job "rules_first"
      local rules = job:source(weir.kafka { brokers = %q, topic = %q, group = %q, stop = "latest" })
      job:source(weir.from { { n = 1 }, { n = 2 } }):connect(rules:broadcast()):process(weir.broadcast_function {
        complete = true, broadcast_state = { rules = weir.state.map() },
        broadcast = function(ctx, rule) ctx.rules:put(rule.n, true) end,
        element = function(ctx, rec) if ctx.rules:get(rec.n) then ctx:emit(rec) end end,
      }):sink(weir.print())
      return job]]):format(cluster.brokers, topic, group))
    local out, code, err = place.sh "timeout 30 $W run --dir state -p 1 job.lua"
    assert.equal(0, code, err)
    assert.equal('{"n":1}\n{"n":2}\n', out)
    assert.truthy(err:find("the group is not told that all is read", 1, true), err)
  end)

  it("reads partitions and topics that come later from their first record, and tells of those that go", function()
    local name = kafka.unique "come"
    cluster:create(name .. "-1")
    cluster:send(name .. "-1", numbers(1, 10))
    copy.write(("pattern = %q, start = 'latest', discover = '20ms'"):format(name .. "-.*"))
    copy.begin()
    copy.await_word "1 partitions are read"
    cluster:create(name .. "-2", { partitions = 2 })
    cluster:send(name .. "-2", numbers(1, 50))
    copy.await_lines(50)
    cluster:grow(name .. "-1", 2)
    local lines = {}
    for i = 51, 80 do lines[#lines + 1] = ('k:{"n":%d}\n'):format(i) end
    cluster:produce(name .. "-1", table.concat(lines), { partition = 1 })
    copy.await_lines(80)
    cluster:delete(name .. "-2")
    copy.await_word(name .. "-2[1] has vanished")
    copy.stop()
    copy.all_once(80)
  end)
end)

describe("records that were removed before they were read", function()
  local topic
  before_each(function()
    topic = cluster:topic()
    cluster:send(topic, numbers(1, 10))
    copy.write(("topic = %q"):format(topic))
    copy.stop_behind(10)
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
    copy.write(("topic = %q, out_of_range = 'earliest'"):format(topic))
    local err = copy.stop_behind(20)
    assert.truthy(err:find(topic .. "[0]: offset 10 is not there, goes on with the earliest record", 1, true), err)
    assert.equal('{"n":21}', place.read("out"):match '^.-{"n":10}\n(.-)\n')
  end)

  it("are passed over with all that is there, where that is wanted", function()
    copy.write(("topic = %q, out_of_range = 'latest'"):format(topic))
    copy.begin()
    copy.await_word("goes on with the latest record")
    local at = 30
    kafka.await("a new record", function()
      at = at + 1
      cluster:send(topic, numbers(at, at))
      return copy.lines() > 10
    end)
    copy.stop()
    assert.is_nil(place.read("out"):find('{"n":30}', 1, true))
  end)

  it("are passed over with what was there then, over a restart as well", function()
    copy.write(("topic = %q, out_of_range = 'latest'"):format(topic))
    copy.begin()
    copy.await_word("goes on with the latest record")
    copy.stop()
    cluster:send(topic, numbers(31, 40))
    copy.begin()
    copy.await_lines(20)
    copy.stop()
    assert.equal('{"n":31}', place.read("out"):match '^.-{"n":10}\n(.-)\n')
  end)
end)

describe("a topic that is deleted and made anew", function()
  local topic
  before_each(function()
    topic = cluster:topic()
    cluster:send(topic, numbers(1, 30))
  end)

  local function again()
    copy.await_lines(30)
    cluster:delete(topic)
    cluster:create(topic)
    local lines = {} -- by kcat: a client that knows the topic thinks for a while that it is gone
    for i = 31, 40 do lines[#lines + 1] = ('k:{"n":%d}\n'):format(i) end
    cluster:produce(topic, table.concat(lines))
  end

  it("ends a job that was behind what is there now", function()
    copy.write(("topic = %q"):format(topic))
    copy.begin "--restart none"
    again()
    copy.await_word(topic .. "[0]: offset 30 is not there")
    assert.truthy(place.read("err"):find("or the topic was made anew", 1, true))
  end)

  it("is read from its first record on where that is wanted", function()
    copy.write(("topic = %q, out_of_range = 'earliest'"):format(topic))
    copy.begin()
    again()
    copy.await_lines(40)
    copy.stop()
    copy.all_once(40)
  end)
end)

describe("what is fetched and not taken yet", function()
  it("is bounded by --kafka-queue-memory", function()
    local topic = cluster:topic()
    cluster:kcat(("-P -t %s -D '|'"):format(topic), (("x"):rep(100000) .. "|"):rep(300))
    place.write("slow.lua", ([[
      local weir = require "weir"
      local job = weir.job "slow"
      job:source(weir.kafka { brokers = %q, topic = %q, stop = "latest", format = weir.text() })
        :map(function(s) local x = 0 for i = 1, 1e6 do x = x + i %% 7 end return #s end)
        :sink(weir.print())
      return job]]):format(cluster.brokers, topic))
    local function megabytes(bound)
      local out, code, err = place.sh(([[
        python3 -c 'import resource, subprocess, sys
subprocess.check_call(sys.argv[1:], stdout=open("slow.out", "w"))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' $W run -q --kafka-queue-memory %s slow.lua]]):format(bound))
      assert.equal(0, code, err)
      assert.equal(("100000\n"):rep(300), place.read "slow.out")
      return tonumber(out) / 1024
    end
    local narrow, wide = megabytes "2MiB", megabytes "400MiB"
    assert.is_true(narrow < 40, narrow)
    assert.is_true(wide > narrow + 15, ("the job keeps up, or both are bounded: %g, %g"):format(narrow, wide))
  end)

  it("may be next to nothing, and is still as large as a record", function()
    local topic = cluster:topic { config = { ["max.message.bytes"] = 5000000 } }
    cluster:kcat(("-P -t %s -X message.max.bytes=5000000 -D '|'"):format(topic), ("x"):rep(3000000) .. "|" .. ("y"):rep(1200000) .. "|z")
    copy.write(("topic = %q, stop = 'latest', format = weir.text()"):format(topic), nil, ":map(function(s) return #s end)")
    place.ran "--kafka-queue-memory 64KiB"
    assert.equal("3000000\n1200000\n1\n", place.read "out")
  end)
end)

describe("partitions of a topic", function()
  it("that have no records hold nobody back, when they are idle for long enough", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, numbers(1, 3000, 0))
    copy.write(("topic = %q"):format(topic), nil, [[
      :watermarks(weir.watermark.ascending { idle_after = "50ms", align = { drift = "10s" } })
      :key_by(function() return 1 end):window(weir.window.tumbling "100s"):aggregate { n = weir.agg.count() }]])
    copy.begin()
    copy.await_lines(30)
    copy.stop()
    local total = 0
    for n in place.read("out"):gmatch '"n":(%d+)' do total = total + n end
    assert.equal(2999, total)
  end)

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

  for _, to in ipairs { 1, 2, 7 } do
    it("K24: have them also behind a restart, from parallelism 4 to " .. to .. ": none is late then", function()
      local topic = cluster:topic { partitions = 4 }
      for partition = 0, 3 do
        local list = numbers(1, 2000 + 1000 * partition)
        for _, record in ipairs(list) do record.partition = partition end
        cluster:send(topic, list)
      end
      place.write("job.lua", ([[
        local weir = require "weir"
        local job = weir.job { name = "windows", max_parallelism = 128 }
        local loops = tonumber(job.args.loops or 0)
        local counts = job:source(weir.kafka { brokers = %q, topic = %q, stop = "latest" })
          :watermarks(weir.watermark.ascending { every = 1 })
          :map(function(rec)
            local x = 0
            for i = 1, loops do x = (x + i) %% 7 end
            return { k = rec.n %% 10, x = x }
          end)
          :key_by "k":window(weir.window.tumbling "1s"):late_to "late":aggregate { n = weir.agg.count() }
        local late = counts:side_output "late":map(function() return { what = "late", n = 1 } end)
        counts:map(function(rec) return { what = "counted", n = rec.n } end):union(late)
          :key_by "what":sum("n", { emit = "final" }):sink(weir.print())
        return job]]):format(cluster.brokers, topic))
      place.killed("--dir state --checkpoint-every 20ms -p 4", "loops=20000", "checkpoint.complete", 3)
      local out, code, err = place.run("--dir state --checkpoint-every 1h -p " .. to)
      assert.equal(0, code, err)
      assert.equal('{"n":14000,"what":"counted"}\n', out)
    end)
  end
end)
