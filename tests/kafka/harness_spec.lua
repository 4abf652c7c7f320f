--- The harness of these specs itself: topics, records both ways, clusters that end. Nodes that go and come again:
--- brokers_spec.lua.

local kafka = require "support.kafka"
local shell = require "support.shell"

describe("one broker", function()
  local cluster = kafka.shared()

  it("gives back through kcat what kcat wrote", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:produce(topic, "a:1\nb:two words\n", { partition = 1, headers = { "h=it's", "i=" } })
    local records = cluster:consume(topic)
    assert.equal(2, #records)
    assert.same({ "a", "1", "h=it's,i=", 1, 0 }, { records[1].key, records[1].value, records[1].headers,
      records[1].partition, records[1].offset })
    assert.equal(1, records[2].offset)
    assert.equal("1\ntwo words\n", cluster:values(topic))
  end)

  it("gives back through kcat what librdkafka wrote: times, bytes of any kind, tombstones", function()
    local topic = cluster:topic()
    cluster:send(topic, {
      { key = "k\0\n", value = "v\n\255", timestamp = 1700000000123, headers = { { "a", "1" }, { "b" } } },
      { key = "k" }, { value = "" },
    })
    local records = cluster:consume(topic)
    assert.same({ partition = 0, offset = 0, timestamp = 1700000000123, headers = "a=1,b=NULL", key = "k\0\n",
      value = "v\n\255" }, records[1])
    assert.same({ "k", nil }, { records[2].key, records[2].value })
    assert.same({ nil, "" }, { records[3].key, records[3].value })
  end)

  it("shows to those that read what is committed no rows of a transaction that is aborted or open", function()
    local topic = cluster:topic()
    local client = cluster:connect(nil, { ["transactional.id"] = topic })
    cluster:produce(topic, "k:plain\n")
    cluster:produce(topic, "k:by kcat\n", { id = topic .. "-kcat" })
    cluster:send(topic, { { value = "no" } }, topic .. "-2", "abort")
    cluster:send(topic, { { value = "yes" } }, topic .. "-2")
    client:begin()
    client:send(topic, { { value = "open" } })
    assert.equal("by kcat\nplain\nyes\n", cluster:values(topic))
    assert.equal("by kcat\nno\nopen\nplain\nyes\n", cluster:values(topic, "read_uncommitted"))
    client:commit_transaction()
    client:close()
    assert.equal("by kcat\nopen\nplain\nyes\n", cluster:values(topic))
  end)

  it("makes topics of any number of partitions, more of them later, cuts them and takes them away", function()
    local topic, client = cluster:topic { partitions = 3, config = { ["cleanup.policy"] = "compact" } }, cluster:client()
    assert.equal(2, #client:partitions(topic))
    cluster:grow(topic, 5)
    assert.equal(4, #client:partitions(topic))
    cluster:delete(topic)
    topic = cluster:topic()
    cluster:produce(topic, shell.lines(1, 5, "k:%d"))
    client:truncate { [topic] = { [0] = 3 } }
    assert.same({ 3, 5 }, { client:range(topic, 0) })
    assert.equal("4\n5\n", cluster:values(topic))
    assert.has_error(function() cluster:create(topic) end)
    assert.has_error(function() client:delete "nothing" end)
  end)

  it("keeps records of long ago, but where a topic says for how long", function()
    local function old(config)
      local topic = cluster:topic { config = config }
      cluster:send(topic, { { value = "old", timestamp = 5 } })
      return topic
    end
    local kept, removed = old(), old { ["retention.ms"] = 60000 }
    kafka.await("the end of an old record", function() return cluster:client():range(removed, 0) == 1 end)
    assert.same({ 0, 1 }, { cluster:client():range(kept, 0) })
  end)

  it("keeps the offsets of a group", function()
    local topic, client = cluster:topic(), cluster:client()
    cluster:produce(topic, shell.lines(1, 5, "k:%d"))
    assert.same({}, client:committed(topic))
    client:commit(topic, { [topic] = { [0] = 3 } })
    assert.same({ [topic] = { [0] = { offset = 3, metadata = "" } } }, client:committed(topic))
    assert.equal("4\n5\n", cluster:kcat(("-G %s -e %s"):format(topic, topic)))
    assert.equal(5, client:committed(topic)[topic][0].offset)
  end)
end)

describe("a cluster", function()
  local folder
  before_each(function() folder = shell.folder() end)
  after_each(function() shell.remove(folder) end)
  local broker = shell.here .. "/tests/support/broker/broker.py"

  it("ends with its caller, killed or not", function()
    local alive = "kill -0 $(cat nodes) 2>/dev/null"
    local _, code, err = shell.run(([[cd %s
      sh -c 'python3 %s with 1 sh -c "cat /proc/\$PPID/task/\$PPID/children >all; mv all nodes; sleep 1000"; :' &
      caller=$!; %s; set -- $(cat nodes); echo $1 >nodes; %s || exit 3
      kill -9 $caller; until ! %s; do sleep 0.01; done]])
      :format(folder, broker, shell.await("[ -s nodes ]", "$caller"), alive, alive))
    assert.equal(0, code, err)
    local out
    out, code, err = shell.run(("python3 %s with 1 sh -c 'cat /proc/$PPID/task/$PPID/children; exit 7'"):format(broker))
    assert.equal(7, code, err)
    assert.is_not_equal(0, select(2, shell.run("kill -0 " .. out:match "%d+")))
    _, code, err = shell.run(([[cd %s; rm nodes
      python3 %s with 1 sh -c "cat /proc/\$PPID/task/\$PPID/children >all; mv all nodes; sleep 1000" & broker=$!
      %s; set -- $(cat nodes); kill -INT $broker; wait $broker; s=$?; kill -0 $1 2>/dev/null && exit 3; exit $s]])
      :format(folder, broker, shell.await("[ -s nodes ]", "$broker")))
    assert.equal(130, code, err)
  end)

  it("says what its nodes said where they do not start, and what is missing on the machine", function()
    local _, code, err = shell.run(("mkfifo %s/fifo; cat %s/fifo & python3 %s serve 1 %s/fifo log.dirs="):format(folder,
      folder, broker, folder))
    assert.equal(1, code)
    assert.truthy(err:find("^broker: node 1 does not start:\n.*log%.dirs"), err)
    _, code, err = shell.run(("P=$(python3 -c 'import sys; print(sys.executable)'); PATH=%s $P %s with 1 true")
      :format(folder, broker))
    assert.equal(1, code)
    assert.equal("broker: there is no kcat, which tests with a Kafka broker need: apt-get install kcat\n", err)
  end)
end)
