--- weir.kafka_sink: what it writes with none and at least once, read by kcat; and which options and rows it refuses.

local kafka = require "support.kafka"
local place = require "support.place"

local cluster = kafka.shared()
local head = 'local weir = require "weir" local job = weir.job "test"\n'

before_each(place.make)
after_each(place.remove)

-- Runs a job whose source is an expression; `options` of the sink, brokers are added.
local function run(source, options, flags)
  place.write("job.lua", ('%sjob:source(%s):sink(weir.kafka_sink { brokers = "%s", %s })\nreturn job\n')
    :format(head, source, cluster.brokers, options))
  return place.run(flags)
end

local function ran(source, options, flags)
  local _, code, err = run(source, options, flags)
  assert.equal(0, code, err)
  return err
end

local function refused(options, why)
  local _, code, err = run("weir.sequence { to = 1 }", options)
  assert.equal(2, code, err)
  assert.truthy(err:find(why, 1, true), err)
end

describe("a sink of Kafka", function()
  it("writes records as JSON, with their keys, in order, each once", function()
    local topic = cluster:topic { partitions = 3 }
    ran("weir.generate { count = 3000, fn = function(i) return { k = i % 7, v = i } end }",
      ('topic = "%s", key = "k"'):format(topic))
    local last, count = {}, 0
    for _, record in ipairs(cluster:consume(topic)) do
      local k, v = record.value:match '^{"k":(%d+),"v":(%d+)}$'
      assert.equal(k, record.key)
      assert.is_true(tonumber(v) > (last[k] or -1))
      last[k], count = tonumber(v), count + 1
    end
    assert.equal(3000, count)
  end)

  it("chooses the partitions that librdkafka chooses for the same keys", function()
    for _, how in ipairs { { "murmur2", "murmur2_random", "at_least_once" }, { "crc32", "consistent_random", "at_least_once" },
      { "murmur2", "murmur2_random", "exactly_once" } } do
      local ours, theirs, guarantee = unpack(how)
      local topic, other = cluster:topic { partitions = 5 }, cluster:topic { partitions = 5 }
      ran("weir.generate { count = 200, fn = function(i) return { k = 'key ' .. i } end }",
        ('topic = "%s", key = "k", partitioner = "%s", guarantee = "%s"'):format(topic, ours, guarantee))
      local lines, partition = {}, {}
      for i = 0, 199 do lines[#lines + 1] = ("key %d:x\n"):format(i) end
      cluster:kcat(("-P -K: -t %s -X topic.partitioner=%s"):format(other, theirs), table.concat(lines))
      for _, record in ipairs(cluster:consume(other)) do partition[record.key] = record.partition end
      for _, record in ipairs(cluster:consume(topic)) do
        assert.equal(partition[record.key], record.partition, record.key)
        partition[record.key] = nil
      end
      assert.is_nil(next(partition))
    end
  end)

  for guarantee, more in pairs { at_least_once = "", exactly_once = ', guarantee = "exactly_once", marker_topic = "%s"' } do
    it("takes topic, key, partition, headers, time and value from functions, " .. guarantee, function()
      local a, b = cluster:topic { partitions = 4 }, cluster:topic { partitions = 4 }
      ran([[weir.from { { n = 1 }, { n = 2 }, { n = 7 } }]], ([[
        topic = function(r) return r.n == 2 and "%s" or "%s" end,
        key = function(r) if r.n < 7 then return "k" .. r.n end end,
        partitioner = function(r) return r.n end,
        headers = function(r) if r.n > 1 then return { n = r.n, a = "x" } end end,
        timestamp = function(r) return 1700000000000 + r.n end,
        format = function(r) if r.n ~= 1 then return "v" .. r.n end end]] .. more):format(b, a, a))
      assert.same({
        { partition = 1, offset = 0, timestamp = 1700000000001, headers = "", key = "k1" },
        { partition = 3, offset = 0, timestamp = 1700000000007, headers = "a=x,n=7", value = "v7" },
      }, cluster:consume(a))
      assert.same({
        { partition = 2, offset = 0, timestamp = 1700000000002, headers = "a=x,n=2", key = "k2", value = "v2" },
      }, cluster:consume(b))
    end)

    it("writes each record to the partition that a function says, " .. guarantee, function()
      local topic = cluster:topic { partitions = 4 }
      ran("weir.generate { count = 400, fn = function(i) return { v = i } end }",
        (('topic = "%s", partitioner = function(r) return r.v / 2 - r.v / 2 %% 1 end' .. more):format(topic, topic)))
      local last, count = {}, 0
      for _, record in ipairs(cluster:consume(topic)) do
        local v = tonumber(record.value:match '^{"v":(%d+)}$')
        assert.equal(math.floor(v / 2) % 4, record.partition)
        assert.is_true(v > (last[record.partition] or -1))
        last[record.partition], count = v, count + 1
      end
      assert.equal(400, count)
    end)
  end

  it("writes tombstones, headers that are always the same, lines, and the time of the record", function()
    local topic = cluster:topic()
    ran([[weir.from { { k = "a", v = "1", at = 1700000000001 }, { k = "b", at = 1700000000002 } }]],
      ('topic = "%s", key = "k", value = "v", format = weir.lines(), timestamp = "at", headers = { by = "weir" }')
      :format(topic))
    assert.same({
      { partition = 0, offset = 0, timestamp = 1700000000001, headers = "by=weir", key = "a", value = "1" },
      { partition = 0, offset = 1, timestamp = 1700000000002, headers = "by=weir", key = "b" },
    }, cluster:consume(topic))
  end)

  it("writes CSV lines of named columns, which a source of the same columns reads", function()
    local topic = cluster:topic()
    local format = 'weir.csv { columns = { "id", "note", "net" }, separator = ";", types = { id = "integer", net = "number" } }'
    ran('weir.from { { id = 1, net = 1.5, note = "a;\\"b\\"" }, { id = 2 } }', ('topic = "%s", format = %s'):format(topic, format))
    assert.equal('1;"a;""b""";1.5\n2;;\n', cluster:values(topic))
    place.write("job.lua", ('%sjob:source(weir.kafka { brokers = "%s", topic = "%s", stop = "latest", format = %s })'
      .. ":sink(weir.print()) return job"):format(head, cluster.brokers, topic, format))
    assert.equal('{"id":1,"net":1.5,"note":"a;\\"b\\""}\n{"id":2,"note":""}\n', (place.run()))
  end)

  it("writes CSV with the quote that it is read with", function()
    local topic = cluster:topic()
    ran([[weir.from { { a = "it's", b = '"' } }]], ('topic = "%s", format = weir.csv { columns = { "a", "b" }, quote = "\'" }')
      :format(topic))
    assert.equal("'it''s',\"\n", cluster:values(topic))
  end)

  it("writes strings as they are, by weir.text and weir.bytes", function()
    local topic = cluster:topic()
    ran('weir.from { "a b", "\\255" }', ('topic = "%s", format = weir.bytes()'):format(topic))
    ran('weir.from { { k = 1, v = "c" } }', ('topic = "%s", value = "v", format = weir.text()'):format(topic))
    assert.equal("a b\nc\n\255\n", cluster:values(topic))
    local _, code, err = run('weir.from { { v = "c" } }', ('topic = "%s", format = weir.text()'):format(topic))
    assert.equal(1, code, err)
    assert.truthy(err:find('option "value" names one of its fields', 1, true), err)
  end)

  it("writes keys in formats of their own, of a table, too", function()
    local topic = cluster:topic()
    local fn = "key = function(r) if r.n < 3 then return { n = r.n, of = r.of } end end, "
    local source = 'weir.from { { n = 1, of = "a" }, { n = 2 }, { n = 3 } }'
    ran(source, fn .. ('topic = "%s", key_format = weir.json()'):format(topic))
    ran('weir.from { { k = { n = 1, of = "a" } } }', ('topic = "%s", key = "k", key_format = weir.csv { columns = { "of", "n" } }')
      :format(topic))
    ran(source, fn .. ('topic = "%s", key_format = weir.msgpack()'):format(topic))
    ran('weir.from { { n = 1, of = "a" } }', ('topic = "%s", key = "of", key_format = weir.json()'):format(topic))
    ran('weir.from { { n = 1, of = "a" } }', ('topic = "%s", key = "of", key_format = weir.avro { schema = %q }')
      :format(topic, '"string"'))
    local keys = {}
    for i, record in ipairs(cluster:consume(topic)) do keys[i] = record.key or "none" end
    assert.same({ '{"n":1,"of":"a"}', '{"n":2}', "none", "a,1", "\130\161n\1\162of\161a", "\129\161n\2",
      "none", '"a"', "\2a" }, keys)
    local _, code, err = run(source, fn .. ('topic = "%s"'):format(topic))
    assert.equal(1, code, err)
    assert.truthy(err:find('the function of option "key" must give a string, a number or a boolean', 1, true), err)
  end)

  it("takes what failed elsewhere, in a line", function()
    local topic = cluster:topic()
    place.write("job.lua", head .. ([[
      local parsed = job:source(weir.from { "1", "x", "3" }):map(function(s) return { n = s + 0 } end):on_error "dead_letter"
      parsed:sink(weir.discard())
      parsed:side_output("dead_letter"):sink(weir.kafka_sink { brokers = "%s", topic = "%s" })
      return job]]):format(cluster.brokers, topic))
    local _, code, err = place.run()
    assert.equal(0, code, err)
    local records = cluster:consume(topic)
    assert.equal(1, #records)
    assert.truthy(records[1].value:find('"operator":"map","origin":"","record":"x"', 1, true), records[1].value)
  end)

  it("holds the job back when its queue is full, and loses nothing", function()
    local topic = cluster:topic { partitions = 2 }
    ran("weir.generate { count = 20000, fn = function(i) return { v = i } end }",
      ('topic = "%s", properties = { ["queue.buffering.max.messages"] = 50 }'):format(topic), "-p 2")
    assert.equal(20000, select(2, cluster:values(topic):gsub("\n", "")))
  end)

  it("leaves what is too large to the policy for failed records", function()
    local topic = cluster:topic()
    local source = 'weir.from { { v = ("x"):rep(9000) }, { v = "y" } }'
    local options = ('topic = "%s", properties = { ["message.max.bytes"] = 5000 }'):format(topic)
    local _, code, err = run(source, options)
    assert.equal(1, code, err)
    assert.truthy(err:find('larger than the property "message.max.bytes" allows', 1, true), err)
    ran(source, options, "--on-error skip")
    assert.equal('{"v":"y"}\n', cluster:values(topic))
  end)

  it("leaves what does not fit into its queue to the policy for failed records, and waits for nothing", function()
    for _, guarantee in ipairs { "none", "at_least_once", "exactly_once" } do
      local topic = cluster:topic()
      local source = 'weir.from { { v = ("x"):rep(5000) }, { v = "y" } }'
      local options = ('topic = "%s", guarantee = "%s", properties = { ["queue.buffering.max.kbytes"] = 2 }')
        :format(topic, guarantee)
      local _, code, err = run(source, options)
      assert.equal(1, code, err)
      assert.truthy(err:find('does not fit into the queue, which the property "queue.buffering.max.kbytes" limits', 1, true), err)
      ran(source, options, "--on-error skip")
      assert.equal('{"v":"y"}\n', cluster:values(topic))
    end
  end)

  it("writes numbers in keys and headers with all of their digits", function()
    local topic = cluster:topic()
    ran("weir.from { { id = 1795300000123450 } }", ([[topic = "%s", key = "id", headers = function(r)
      return { id = r.id, more = 9007199254740993LL, part = 0.1, third = 1 / 3 }
    end]]):format(topic))
    local record = cluster:consume(topic)[1]
    assert.equal("1795300000123450", record.key)
    assert.equal('{"id":1795300000123450}', record.value)
    assert.equal("id=1795300000123450,more=9007199254740993,part=0.1,third=0.3333333333333333", record.headers)
  end)

  it("gives results of the end of time the time at which they are sent, and no record one of its own that is none", function()
    local topic = cluster:topic()
    ran([[weir.from { { k = 1 } }):key_by("k"):count({ emit = "final" }]], ('topic = "%s"'):format(topic))
    ran([[weir.from { { k = 1, ts = 0 } }):watermarks(weir.watermark.ascending "ts"]], ('topic = "%s"'):format(topic))
    local records = cluster:consume(topic)
    assert.is_true(math.abs(records[1].timestamp - os.time() * 1000) < 3600000, records[1].timestamp)
    assert.equal(1, records[2].timestamp)
  end)

  it("fails, or goes on where nothing is guaranteed, when a message is not delivered", function()
    local options = 'topic = "t", properties = { ["message.timeout.ms"] = 300 }'
    local brokers = cluster.brokers
    cluster.brokers = "127.0.0.1:1"
    local _, code, err = run("weir.sequence { to = 10 }", options)
    local _, code_none, err_none = run("weir.sequence { to = 10 }", options .. ', guarantee = "none"')
    cluster.brokers = brokers
    assert.equal(1, code, err)
    assert.truthy(err:find("a message for topic t was not delivered: Local: Message timed out", 1, true), err)
    assert.equal(0, code_none, err_none)
    assert.truthy(err_none:find("messages are given up and counted as skipped, the last for topic t: ", 1, true), err_none)
  end)

  it("has everything acknowledged before a checkpoint is complete", function()
    local topic, count = cluster:topic(), 3000
    local source = ("weir.generate { count = %d, rate = 3000, fn = function(i) return { v = i } end }"):format(count)
    local options = ('topic = "%s", properties = { ["linger.ms"] = 50 }'):format(topic)
    local _, code, err = run(source, options, "--dir state --checkpoint-every 20ms --fault checkpoint.complete:3=kill")
    assert.equal(137, code, err)
    ran(source, options, "--dir state --checkpoint-every 20ms")
    local seen = {}
    for v in cluster:values(topic):gmatch "(%d+)" do seen[tonumber(v)] = true end
    for i = 0, count - 1 do assert.truthy(seen[i], i .. " is missing") end
  end)

  it("says of each function what it must give, and what it gave", function()
    local function fails(options, why)
      local _, code, err = run("weir.from { { a = 1 } }", options)
      assert.equal(1, code, err)
      assert.truthy(err:find('(job.lua:2) failed in subtask 0: the function of option "' .. why, 1, true), err)
      assert.truthy(err:find('record: {"a":1}', 1, true), err)
    end
    fails('topic = function() end', 'topic" must give the name of a topic; not nil')
    fails('topic = "t", key = function() return 0 / 0 end', 'key" must give a string, a number or a boolean')
    fails('topic = "t", partitioner = function() return "x" end', 'partitioner" must give a number; not "x"')
    fails('topic = "t", headers = function() return "x" end', 'headers" must give a table of strings by name, or nil; not "x"')
    fails('topic = "t", timestamp = function() return "x" end', 'timestamp" must give milliseconds since 1970, or nil; not "x"')
    fails('topic = "t", format = function() return {} end', 'format" must give the bytes of the value, a string, or nil; not a table')
  end)

  it("says at the script's line what is wrong with its options", function()
    refused('topic = "a b"', "job.lua:2: weir.kafka_sink: option \"topic\"")
    refused('topic = "t", format = weir.csv()', 'weir.csv needs the option "columns"')
    refused('topic = "t", key = "k", key_format = weir.csv()', 'option "key_format": no message is a header line')
    refused('topic = "t", key_format = weir.json()', 'option "key_format" needs "key"')
    refused('topic = "t", key = "k", key_format = weir.lines()', "weir.lines is of streams")
    refused('topic = "t", value = "v", format = weir.csv { columns = { "a" } }', 'has no meaning with weir.csv')
    refused('topic = "t", upsert = true', 'option "upsert" needs "key"')
    refused('topic = "t", marker_topic = "m"', 'option "marker_topic" is of guarantee = "exactly_once"')
    refused('topic = function() return "t" end, guarantee = "exactly_once"', 'needs option "marker_topic"')
    refused('topic = "t", marker_topic = "a b", guarantee = "exactly_once"', 'option "marker_topic" must be the name of a topic')
    refused('topic = "t", properties = { acks = 1 }', 'the property "acks" is "all" with guarantee = "at_least_once"')
    refused('topic = "t", properties = { partitioner = "consistent" }', 'the option "partitioner" says it')
    refused('topic = "t", properties = { ["delivery.report.only.error"] = true }', "the sink sets it")
    refused('topic = "t", partitioner = "murmur"', 'did you mean "murmur2"?')
    refused('topic = "t", headers = { a = {} }', "headers are names and strings")
    refused('topic = "t", properties = { ["linger.m"] = 1 }', 'did you mean "linger.ms"?')
  end)
end)
