--- Avro and MessagePack in topics, both ways, and a registry of schemas (support/http_server.py).

local http = require "support.http"
local kafka = require "support.kafka"
local script = require "support.script"

local cluster = kafka.shared()

local ORDER = '{"type":"record","name":"order","fields":[{"name":"id","type":"long"},'
  .. '{"name":"note","type":["null","string"]},{"name":"price","type":{"type":"bytes","logicalType":"decimal",'
  .. '"precision":9,"scale":2}}]}'
local NEWER = '{"type":"record","name":"order","fields":[{"name":"id","type":"double"},'
  .. '{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},'
  .. '{"name":"shop","type":"string","default":"old town"}]}'

local RECORDS = '{ { id = 9007199254740993LL, price = "12.30" }, { id = 2, note = "x", price = 0.5 } }'
local LINES = '{"id":2,"note":"x","price":"0.50"}\n{"id":9007199254740993,"price":"12.30"}\n'

local function write(topic, format, records)
  local _, code, err = script.try(('%sjob:source(weir.from(%s)):sink(weir.kafka_sink { brokers = %q, topic = %q, '
    .. 'format = %s }) return job'):format(script.head, records, cluster.brokers, topic, format), "-q")
  return code, err
end

local function read(topic, format, more)
  local out, code, err = script.try(('%sjob:source(weir.kafka { brokers = %q, topic = %q, stop = "latest", '
    .. 'format = %s })%s:sink(weir.print()) return job'):format(script.head, cluster.brokers, topic, format, more or ""),
    "-q")
  return require("support.shell").sorted(out), code, err
end

local function wrote(...)
  local code, err = write(...)
  assert.equal(0, code, err)
end

local function says(text, _, code, err)
  assert.not_equal(0, code)
  assert.truthy(err:find(text, 1, true), err)
end

describe("a topic of MessagePack", function()
  it("is written and read", function()
    local topic = cluster:topic()
    wrote(topic, "weir.msgpack()", '{ { id = 9007199254740993LL, l = { 1, "a", { b = true } } }, { id = 2, f = 0.1 } }')
    assert.equal('{"f":0.1,"id":2}\n{"id":9007199254740993,"l":[1,"a",{"b":true}]}\n', (read(topic, "weir.msgpack()")))
  end)

  it("with what is none follows on_error, which is told partition and offset", function()
    local topic = cluster:topic()
    cluster:send(topic, { { value = "\1" }, { value = "\193" } })
    says("MessagePack: at byte 2: the byte 0xc1 begins no value", read(topic, "weir.msgpack()"))
    assert.equal("1\n", (read(topic, "weir.msgpack()", ':on_error("skip")')))
  end)
end)

describe("a topic of Avro", function()
  it("is written and read by a schema, and by a newer one", function()
    local topic = cluster:topic()
    wrote(topic, ("weir.avro { schema = %q }"):format(ORDER), RECORDS)
    assert.equal(LINES, (read(topic, ("weir.avro { schema = %q }"):format(ORDER))))
    assert.equal('{"id":2,"price":"0.50","shop":"old town"}\n{"id":9007199254740992,"price":"12.30","shop":"old town"}\n',
      (read(topic, ("weir.avro { schema = %q, writer_schema = %q }"):format(NEWER, ORDER))))
  end)

  it("takes no record that is none of its schema", function()
    says("Avro: field 'price': it is missing", nil, write(cluster:topic(), ("weir.avro { schema = %q }"):format(ORDER),
      "{ { id = 1 } }"))
  end)
end)

describe("a registry of schemas", function()
  local server
  setup(function() server = http.start() end)
  teardown(function() server.stop() end)

  it("gives messages the number of their schema, and readers the schema of a number", function()
    local topic = cluster:topic()
    wrote(topic, ('weir.avro { registry = %q, subject = "order value", schema = %q }'):format(server.url, ORDER), RECORDS)
    assert.equal(LINES, (read(topic, ("weir.avro { registry = %q }"):format(server.url))))
    assert.matches('"shop":"old town"', (read(topic, ("weir.avro { registry = %q, schema = %q }"):format(server.url, NEWER))))
    wrote(topic, ('weir.avro { registry = %q, subject = "order value" }'):format(server.url), '{ { id = 3, price = 1 } }')
    assert.equal(LINES:gsub("\n", '\n{"id":3,"price":"1.00"}\n', 1),
      (read(topic, ("weir.avro { registry = %q }"):format(server.url))))
  end)

  it("is asked for a schema once, however many messages are of it", function()
    local topic = cluster:topic()
    for _ = 1, 3 do
      wrote(topic, ('weir.avro { registry = %q, subject = "order value", schema = %q }'):format(server.url, ORDER), RECORDS)
    end
    local out, code, err = read(topic, ('weir.avro { registry = "%s/counted/order" }'):format(server.url))
    assert.equal(0, code, err)
    assert.equal(6, select(2, out:gsub("\n", "")))
    out, code, err = script.try(('%sjob:source(weir.from { 1 }):async(function() return weir.http.get(%q).body end)'
      .. ":sink(weir.print()) return job"):format(script.head, server.url .. "/count/order"), "-q")
    assert.equal(0, code, err)
    assert.equal('"1"\n', out)
  end)

  it("that has no such schema, or does not answer, is told with address and status", function()
    local topic = cluster:topic()
    cluster:send(topic, { { value = "\0\0\0\3\232x" } })
    local registry = ("weir.avro { registry = %q, timeout = '2s' }"):format(server.url)
    says(server.url .. "/schemas/ids/1000: status 404", read(topic, registry))
    assert.equal("", (read(topic, registry, ':on_error("skip")')))
    says("schema registry: http://127.0.0.1:1/schemas/ids/1000: ", read(topic,
      "weir.avro { registry = 'http://user:secret@127.0.0.1:1' }", ':on_error("skip")'))
    says(server.url .. "/subjects/nowhere/versions/latest: status 404",
      nil, write(topic, ('weir.avro { registry = %q, subject = "nowhere" }'):format(server.url), "{ 1 }"))
  end)

  it("that answers with anything but a schema ends the job, whatever on_error says, and nothing is passed over", function()
    local topic = cluster:topic()
    cluster:send(topic, { { value = "\0\0\0\0\1x" } })
    for how, what in pairs {
      ["500"] = "status 500: 500", ["401"] = "status 401: 401", ["429"] = "status 429: 429",
      html = "status 200: the answer is no JSON", none = 'status 200: the answer has no "schema"',
      loop = "Maximum .* redirects followed", hang = "timed out",
    } do
      local out, code, err = read(topic, ('weir.avro { registry = "%s/rude/%s", timeout = "500ms" }')
        :format(server.url, how), ':on_error("skip")')
      assert.equal("", out)
      assert.not_equal(0, code, how)
      assert.matches("schema registry: http://127.0.0.1:%d+/rude/" .. how .. "/schemas/ids/1: .*" .. what, err)
    end
    says("schema 1 of the registry: there is no type 'nonsense'",
      read(topic, ("weir.avro { registry = '%s/rude/nonsense' }"):format(server.url)))
  end)

  it("that takes its time is waited for by the source alone", function()
    local topics = { cluster:topic(), cluster:topic() }
    wrote(topics[1], ('weir.avro { registry = %q, subject = "slow", schema = %q }'):format(server.url, ORDER), RECORDS)
    wrote(topics[2], "weir.json()", "{ { id = 5 } }")
    -- one thread: what releases the answer runs on it, while the source waits for the answer
    local out, code, err = script.try(([[%s local url, topics = %q, { %q, %q }
      local function read(n, format)
        return job:source(weir.kafka { brokers = %q, topic = topics[n], stop = "latest", format = format })
      end
      read(1, weir.avro { registry = url .. "/asked/slow", timeout = "60s" })
        :map(function(rec) return { id = tostring(rec.id) } end):sink(weir.print())
      read(2, weir.json()):async { timeout = "60s", fn = function(rec)
        weir.http.get(url .. "/after/slow-asked", { timeout = "60s" })
        weir.http.get(url .. "/release/slow")
        return { id = tostring(rec.id) }
      end }:sink(weir.print())
      return job]]):format(script.head, server.url, topics[1], topics[2], cluster.brokers), "-q --workers 1 -p 1")
    assert.equal(0, code, err)
    assert.equal('{"id":"2"}\n{"id":"5"}\n{"id":"9007199254740993"}\n', (require("support.shell").sorted(out):gsub("LL", "")))
  end)

  it("is of messages that say their number", function()
    local topic = cluster:topic()
    cluster:send(topic, { { value = "{}" } })
    says("does not begin with a byte 0", read(topic, ("weir.avro { registry = %q }"):format(server.url)))
  end)
end)
