--- What a job tells of its brokers while it runs: how far it is behind, what is held, that no broker is reached and
--- since when; in `weir info`, `top`, the live line and the log.

local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

local cluster = kafka.shared()

before_each(place.make)
after_each(function()
  place.sh "[ ! -s pid ] || { kill -9 $(cat pid) 2>/dev/null; while [ -e /proc/$(cat pid)/exe ]; do sleep 0.01; done; }"
  place.remove()
end)

local function records(partition, count)
  local list = {}
  for n = 1, count do list[n] = { partition = partition, key = "k", value = tostring(n), timestamp = n } end
  return list
end

local function write_job(brokers, options, chain, sink)
  place.write("job.lua", ([[
    local weir = require "weir"
    local job = weir.job { name = "trouble" }
    job:source(weir.kafka { brokers = "%s", format = weir.text(), %s }):uid "in"%s
      :sink(%s):uid "out"
    return job]]):format(brokers, options, chain or "", sink or 'weir.file_sink { path = "out", format = weir.lines() }'))
end

-- Begins the job, on a terminal where its live line is looked at.
local function begin(options, terminal)
  local run = "$W run " .. options .. " job.lua"
  place.sh(terminal and ([[
      script -qc "%s" /dev/null >live 2>&1 </dev/null & terminal=$!
      %s
      $W info --json trouble | grep -o '"pid":[0-9]*' | grep -o '[0-9]*' >pid]]):format(run, shell.await("$W info trouble >/dev/null 2>&1", "$terminal"))
    or ("touch err; %s 2>err & echo $! >pid"):format(run))
end

-- A number that a job tells of an operator's brokers; nil: it does not tell any.
local function told(name, operator)
  local out = place.sh "$W info --json trouble 2>/dev/null"
  local remote = out:match(('"name":"%s"[^{]*"remote":(%%b{})'):format(operator or "kafka"))
  if not remote then return nil end
  return tonumber(remote:match(('"%s":(%%d+)'):format(name))) or remote:match(('"%s":"([^"]*)"'):format(name))
end

local function seconds() return tonumber((place.sh "date +%s.%N")) end

describe("a job that failed", function()
  it("ends although its sink would wait a minute for the same brokers, of which there are none", function()
    write_job("127.0.0.1:1", 'topic = "in", timeout = "100ms"', "",
      'weir.kafka_sink { brokers = "127.0.0.1:1", topic = "out", guarantee = "exactly_once" }')
    local _, code, err = place.sh "timeout 40 $W run --dir state --restart none job.lua"
    assert.equal(1, code, err)
    assert.truthy(err:find("weir: kafka → kafka_sink: no list of topics", 1, true), err)
  end)
end)

describe("a job that reads a topic", function()
  it("tells how many offsets it is behind, in all and where most, until it is behind no more", function()
    local topic = cluster:topic { partitions = 4 }
    cluster:send(topic, records(1, 2000))
    cluster:send(topic, records(2, 8000))
    place.write("held", "")
    write_job(cluster.brokers, ("topic = '%s'"):format(topic), [[:map(function(r)
      local held, x = io.open "held", 0
      if held then held:close() end
      for i = 1, held and 1e5 or 0 do x = x + i % 7 end
      return r
    end)]])
    begin("--parallelism 1 --unsafe", true)
    kafka.await("word of the longer", function() return told "lag_of" == topic .. "[2]" end)
    assert.equal(4, told "splits")
    local lag, most = told "lag", told "lag_max"
    assert.is_true(lag <= 10000 and most <= 8000, lag .. " " .. most)
    local words = ("kafka: %%d+ behind, %%d+ of them in %s%%[2%%]"):format(topic:gsub("%-", "%%-"))
    assert.truthy(place.sh "$W info trouble":find("\n" .. words .. "\n"))
    assert.truthy(place.sh "$W top --once trouble":find("\n" .. words .. "\n"))
    kafka.await("the live line", function() return place.read("live"):find(" · " .. words) end)
    place.sh "rm held"
    kafka.await("all", function() return told "lag" == 0 end)
    assert.equal("", told "lag_of")
    assert.is_nil(place.sh "$W info trouble":find "behind")
  end)

  it("names the topic and partition that holds event time back", function()
    for held = 0, 1 do -- the one without a record
      local topic = cluster:topic { partitions = 2 }
      cluster:send(topic, records(1 - held, 1500))
      write_job(cluster.brokers, ("topic = '%s'"):format(topic),
        ":watermarks(weir.watermark.ascending { every = '1ms' })") -- looked at as often
      local begun = seconds()
      begin "--explain-time --parallelism 1 -q"
      kafka.await("all", function() return place.sh("$W info --json trouble 2>/dev/null"):find '"rows_in":1500' end)
      place.sh(("sleep %f"):format(0.5 + 2 * (seconds() - begun))) -- before that, the other one may be the lowest
      place.sh "kill -INT $(cat pid); while [ -e /proc/$(cat pid)/exe ]; do sleep 0.01; done"
      local err = place.read "err"
      assert.truthy(err:find(("lowest for [%%d.]+ s: split %s%%[%d%%]"):format(topic:gsub("%-", "%%-"), held)), err)
    end
  end)

  it("tells which partitions wait for others of their alignment group", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, records(0, 5000))
    cluster:send(topic, { { partition = 1, value = "first", timestamp = 1 } })
    write_job(cluster.brokers, ("topic = '%s'"):format(topic),
      ":watermarks(weir.watermark.ascending { align = { drift = '1s' } })")
    begin "--parallelism 1 -q"
    kafka.await("word of it", function() return told "splits_held" == 1 end)
    assert.truthy(place.sh "$W top --once trouble":find "1 of 2 splits held")
  end)
end)

describe("a broker that is killed", function()
  local own, topic
  setup(function()
    own = kafka.start(1)
    topic = own:topic { partitions = 2 }
  end)
  teardown(function() own:close() end)
  before_each(function() own:send(topic, records(0, 10)) end)

  local function lines(text)
    return select(2, place.read("err"):gsub(text, ""))
  end

  it("is told with its address and for how long, until it is back, and logged once each", function()
    local copies = own:topic()
    write_job(own.brokers, ("topic = '%s'"):format(topic), nil,
      ("weir.kafka_sink { brokers = '%s', topic = '%s', format = weir.lines() }"):format(own.brokers, copies))
    begin "--parallelism 1 -q --dir state --checkpoint-every 50ms"
    kafka.await("the first records", function() return #own:consume(copies) == 10 end)
    assert.equal(0, told "unreachable_ms")
    own:kill(1)
    for _, operator in ipairs { "kafka", "kafka_sink" } do
      kafka.await("word of it", function() return (told("unreachable_ms", operator) or 0) > 0 end)
      assert.truthy(told("last_error", operator):find(own.brokers, 1, true), told("last_error", operator))
      assert.is_true(told("connection_errors", operator) > 0)
    end
    local out = place.sh "$W info trouble"
    assert.truthy(out:find("\nkafka: no broker for [%d.]+ s %([^\n]*" .. own.brokers:gsub("%.", "%%.")), out)
    own:up(1)
    for _, operator in ipairs { "kafka", "kafka_sink" } do
      kafka.await("its return", function() return told("unreachable_ms", operator) == 0 end)
      assert.equal(1, lines(operator .. "%[0%]: no broker can be reached; trying again\n"))
      assert.equal(1, lines(operator .. "%[0%]: a broker is reached again, after [%d.]+ s\n"))
    end
    local _, code, err = place.sh "$W stop trouble"
    assert.equal(0, code, err)
  end)
end)
