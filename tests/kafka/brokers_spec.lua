--- Clusters whose nodes go and come again, and one with TLS and passwords: the harness, and jobs that read them.

local copy = require "support.copy"
local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

before_each(place.make)
after_each(copy.remove)

describe("three brokers", function()
  local cluster
  setup(function() cluster = kafka.start(3) end)
  teardown(function() cluster:close() end)

  it("lose nothing while the leader of a partition is killed, and it comes back in sync", function()
    local topic = cluster:topic()
    cluster:produce(topic, shell.lines(1, 100, "k:%d"))
    local leader = cluster:client():partitions(topic)[0].leader
    cluster:kill(leader)
    cluster:produce(topic, shell.lines(101, 200, "k:%d"))
    assert.equal(shell.sorted(shell.lines(1, 200, "%d")), cluster:values(topic))
    cluster:up(leader)
    cluster:ready(topic, 1, true)
    assert.equal(3, cluster:client():partitions(topic)[0].in_sync)
    assert.has_error(function() cluster:up(leader) end, ("start %d: node %d runs"):format(leader, leader))
  end)

  it("give a job each record once while one of them is killed, and when it is back", function()
    local topic = cluster:topic { partitions = 6 }
    cluster:send(topic, copy.numbers(1, 100))
    copy.write(("topic = %q"):format(topic), cluster.brokers)
    copy.begin "-p 2"
    copy.await_lines(100)
    local leader = cluster:client():partitions(topic)[0].leader
    cluster:kill(leader)
    cluster:send(topic, copy.numbers(101, 200))
    copy.await_lines(200)
    cluster:up(leader)
    cluster:ready(topic, 6, true)
    cluster:send(topic, copy.numbers(201, 300))
    copy.await_lines(300)
    copy.stop()
    copy.all_once(300)
  end)

  it("that are all gone are waited for by who reads and who is to wait, and have all when they are back", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, copy.numbers(1, 100))
    local before = cluster:consume(topic)
    copy.write(("topic = %q"):format(topic), cluster.brokers)
    copy.begin()
    copy.await_lines(100)
    cluster:kill(1, 2, 3)
    copy.await_word "no broker can be reached"
    local function other(name, options)
      place.write(name, ([[
        local weir = require "weir"
        local job = weir.job %q
        job:source(weir.kafka { brokers = %q, topic = %q, %s }):sink(weir.print())
        return job]]):format(name, cluster.brokers, topic, options))
    end
    other("impatient.lua", 'timeout = "100ms"')
    local _, code, err = place.weir "run -q impatient.lua"
    assert.equal(1, code)
    assert.truthy(err:find(cluster.brokers, 1, true), err)
    assert.truthy(err:find("0.1 s; `wait = true` waits on and on", 1, true), err)
    other("patient.lua", 'wait = true, stop = "latest"')
    place.sh "touch patient.err; ($W run -q patient.lua >patient.out 2>patient.err; echo $? >patient.code) &"
    kafka.await("word of waiting", function() return place.read("patient.err"):find("waiting for topics", 1, true) end)
    cluster:up(1, 2, 3)
    kafka.await("all records", function() return #cluster:consume(topic) == #before end)
    assert.same(before, cluster:consume(topic))
    kafka.await("the end of who waited", function() return select(2, place.sh "[ -s patient.code ]") == 0 end)
    assert.equal("0\n", place.read "patient.code")
    assert.equal(100, select(2, place.read("patient.out"):gsub("\n", "")))
    cluster:send(topic, copy.numbers(101, 200))
    copy.await_lines(200)
    copy.stop()
    copy.all_once(200)
    assert.truthy(place.read("err"):find("a broker is reached again", 1, true))
  end)
end)

describe("a broker with TLS and passwords", function()
  local folder, cluster
  local clients = {
    ["security.protocol"] = "SASL_SSL", ["ssl.endpoint.identification.algorithm"] = "none",
    ["sasl.mechanisms"] = "PLAIN", ["sasl.username"] = "u", ["sasl.password"] = "p w",
  }
  setup(function()
    folder = shell.folder()
    local function login(of)
      return ('%s=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p w" user_u="p w";')
        :format(of)
    end
    local _, code, err = shell.run(("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 "
      .. "-keyout key.pem -out cert.pem && cat key.pem cert.pem >both.pem"):format(folder))
    assert.equal(0, code, err)
    clients["ssl.ca.location"] = folder .. "/cert.pem"
    cluster = kafka.start(1, {
      "listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT", "sasl.enabled.mechanisms=PLAIN",
      "sasl.mechanism.inter.broker.protocol=PLAIN", login "listener.name.plaintext.plain.sasl.jaas.config",
      "ssl.keystore.type=PEM", "ssl.keystore.location=" .. folder .. "/both.pem", "ssl.truststore.type=PEM",
      "ssl.truststore.location=" .. folder .. "/cert.pem", "ssl.endpoint.identification.algorithm=",
    }, clients)
  end)
  teardown(function()
    cluster:close()
    shell.remove(folder)
  end)

  it("is read and written by clients that have them, and by no others", function()
    local topic = cluster:topic()
    cluster:produce(topic, "k:v\n")
    assert.equal("v\n", cluster:values(topic))
    clients["sasl.password"] = "wrong"
    assert.has_error(function() cluster:kcat("-L -m 5") end)
    clients["sasl.password"] = "p w"
  end)

  it("is read and written by jobs, exactly once; those with a wrong password, or without, say so", function()
    local from, to = cluster:topic { partitions = 2 }, cluster:topic()
    cluster:send(from, copy.numbers(1, 100))
    local function run(properties, options)
      local list = {}
      for name, value in pairs(properties) do list[#list + 1] = ("[%q] = %q"):format(name, value) end
      place.write("job.lua", ([[
        local weir = require "weir"
        local job = weir.job "copy"
        local properties = { %s }
        job:source(weir.kafka { brokers = %q, topic = %q, stop = "latest", properties = properties, %s })
          :sink(weir.kafka_sink { brokers = %q, topic = %q, guarantee = "exactly_once", properties = properties }):uid "out"
        return job]]):format(table.concat(list, ", "), cluster.brokers, from, options or "", cluster.brokers, to))
      return place.run "-p 2 --dir state --checkpoint-every 50ms --restart none"
    end
    local function with(name, value)
      local copied = {}
      for k, v in pairs(clients) do copied[k] = v end
      copied[name] = value
      return copied
    end
    local _, code, err = run(with("sasl.password", "wrong"), 'timeout = "500ms"')
    assert.equal(1, code)
    assert.truthy(err:find("uthentication", 1, true), err)
    _, code, err = run({}, 'timeout = "500ms"')
    assert.equal(1, code)
    assert.truthy(err:find(cluster.brokers, 1, true), err)
    _, code, err = run(clients)
    assert.equal(0, code, err)
    assert.equal(shell.sorted(shell.lines(1, 100, '{"n":%d}')), cluster:values(to))
  end)
end)
