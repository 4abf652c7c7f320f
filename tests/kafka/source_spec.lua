--- The source of topics: what is read, from where to where, and as what.

local copy = require "support.copy"
local kafka = require "support.kafka"
local script = require "support.script"
local shell = require "support.shell"

local cluster = kafka.shared()
local numbers = copy.numbers

--- Runs a job that prints what `weir.kafka` with these options, a part of a Lua table, gives.
local function try(options, flags, chain)
  return script.try(("%sjob:source(weir.kafka { brokers = %q, %s })%s:sink(weir.print()) return job")
    :format(script.head, cluster.brokers, options, chain or ""), "-q " .. (flags or ""))
end

--- The same of what ends well: its lines, sorted.
local function read(options, flags, chain)
  local out, code, err = try(options, flags, chain)
  assert.equal(0, code, err)
  return shell.sorted(out), err
end

local function lines(from, to) return shell.sorted(shell.lines(from, to, '{"n":%d}')) end

describe("a topic", function()
  it("is read from its first to its last record, each once, at any parallelism", function()
    local topic = cluster:topic { partitions = 4 }
    cluster:send(topic, numbers(1, 500))
    for _, p in ipairs { 1, 3, 6 } do
      assert.equal(lines(1, 500), read(('topic = %q, stop = "latest"'):format(topic), "-p " .. p))
    end
  end)

  it("that is empty ends the job at once", function()
    assert.equal("", read(('topic = %q, stop = "latest"'):format(cluster:topic { partitions = 2 })))
  end)

  it("gives each record of a partition in its order", function()
    local topic = cluster:topic()
    cluster:send(topic, numbers(1, 300))
    local out = try(('topic = %q, stop = "latest"'):format(topic))
    local at = 0
    for n in out:gmatch "%d+" do
      at = at + 1
      assert.equal(at, tonumber(n))
    end
    assert.equal(300, at)
  end)

  it("may be one of several, or of those that a pattern names", function()
    local name = kafka.unique "of"
    for i = 1, 3 do
      cluster:create(name .. "-" .. i, { partitions = 2 })
      cluster:send(name .. "-" .. i, numbers(10 * i, 10 * i + 3))
    end
    assert.equal(script.lines { '{"n":10}', '{"n":11}', '{"n":12}', '{"n":13}', '{"n":30}', '{"n":31}', '{"n":32}',
      '{"n":33}' }, read(('topics = { "%s-1", "%s-3" }, stop = "latest"'):format(name, name)))
    assert.equal(lines(20, 23) .. lines(30, 33), read(('pattern = "%s-[2-9]", stop = "latest"'):format(name), "-p 2"))
  end)
end)

describe("a topic that is compacted", function()
  it("is read over the gaps, and also from within one", function()
    local topic = cluster:topic { config = { ["cleanup.policy"] = "compact", ["segment.ms"] = 1,
      ["min.cleanable.dirty.ratio"] = 0.01 } }
    for i = 1, 5 do cluster:send(topic, { { key = "k", value = ("{\"n\":%d}"):format(i), timestamp = 1000 * i } }) end
    kafka.await("a gap", function() return #cluster:consume(topic) < 4 end)
    local left = cluster:values(topic)
    assert.truthy(left:find '"n":5')
    assert.equal(left, read(('topic = %q, stop = "latest"'):format(topic)))
    assert.equal(left, read(('topic = %q, start = { offsets = { [0] = 1 } }, stop = "latest"'):format(topic)))
    assert.equal("", read(('topic = %q, stop = { offsets = { [0] = 1 } }'):format(topic)))
  end)
end)

describe("a topic is read", function()
  local topic, middle
  setup(function()
    topic = cluster:topic { partitions = 1 }
    cluster:send(topic, numbers(1, 20))
    middle = cluster:topic { partitions = 2 }
    cluster:produce(middle, 'k:{"n":1}\nk:{"n":2}\nk:{"n":3}\n', { partition = 0 })
    cluster:produce(middle, 'k:{"n":11}\nk:{"n":12}\nk:{"n":13}\n', { partition = 1 })
  end)

  it("from a time on, up to a time", function()
    assert.equal(lines(15, 20), read(('topic = %q, start = { timestamp = 14500 }, stop = "latest"'):format(topic)))
    assert.equal(lines(1, 4), read(('topic = %q, stop = { timestamp = 5000 }'):format(topic)))
    assert.equal(lines(1, 20), read(('topic = %q, stop = { timestamp = 99999 }'):format(topic)))
    assert.equal("", read(('topic = %q, start = { timestamp = 99999 }, stop = "latest"'):format(topic)))
  end)

  it("from offsets on, in front of which it ends", function()
    assert.equal(lines(6, 8), read(('topic = %q, start = { offsets = { [0] = 5 } }, stop = { offsets = { [0] = 8 } }')
      :format(topic)))
    assert.equal('{"n":11}\n{"n":12}\n{"n":2}\n', read((
      'topics = { %q }, start = { offsets = { [%q] = { [0] = 1, [1] = 0 } } }, stop = { offsets = { [0] = 2, [1] = 2 } }')
      :format(middle, middle)))
  end)

  it("from the end: nothing of what is there", function()
    assert.equal("", read(('topic = %q, start = "latest", stop = "latest"'):format(topic)))
  end)

  it("from where a group is, and from the beginning where it is nowhere", function()
    local group = kafka.unique "group"
    local options = ('topic = %q, group = %q, start = "committed", stop = "latest"'):format(topic, group)
    local out, err = read(options)
    assert.equal(lines(1, 20), out)
    assert.truthy(err:find("the group has no position in 1 of 1 partitions", 1, true), err)
    cluster:client():commit(group, { [topic] = { [0] = 17 } })
    assert.equal(lines(18, 20), read(options))
  end)

  it("from offsets that do not name each partition: an error", function()
    local _, code, err = try(('topic = %q, start = { offsets = { [0] = 1 } }, stop = "latest"'):format(middle))
    assert.equal(1, code)
    assert.truthy(err:find('the option "start" has no offset for partition 1 of topic "' .. middle, 1, true), err)
    _, code, err = try(('topic = %q, stop = { offsets = { [0] = 1, [1] = 1, [2] = 1 } }'):format(middle))
    assert.equal(1, code)
    assert.truthy(err:find(('the option "stop" has an offset for partition 2 of topic "%s", which is not there'):format(middle),
      1, true), err)
  end)

  it("from an offset that is behind its end: nothing, and a word of it", function()
    local out, err = read(('topic = %q, start = { offsets = { [0] = 50 } }, stop = "latest"'):format(topic))
    assert.equal("", out)
    assert.truthy(err:find("is to begin at offset 50 and to end at 20: nothing of it is read", 1, true), err)
    local _, code, said = try(('topic = %q, start = { offsets = { [0] = 50 } }'):format(topic), "--restart none")
    assert.equal(1, code)
    assert.truthy(said:find(topic .. "[0]: offset 50 is not there", 1, true), said)
  end)
end)

describe("records of transactions", function()
  it("that are open lie behind the end of those that read what is committed", function()
    local topic = cluster:topic()
    local client = cluster:connect(nil, { ["transactional.id"] = topic })
    cluster:send(topic, numbers(1, 2))
    client:begin()
    client:send(topic, numbers(3, 4))
    assert.equal(lines(1, 2), read(('topic = %q, stop = "latest"'):format(topic)))
    assert.equal(lines(1, 4), read(('topic = %q, isolation = "read_uncommitted", stop = "latest"'):format(topic)))
    client:commit_transaction()
    client:close()
  end)

  it("are read when they are committed, and those that were aborted never", function()
    local topic = cluster:topic()
    cluster:send(topic, numbers(1, 3))
    cluster:send(topic, numbers(4, 6), topic, "abort")
    cluster:send(topic, numbers(7, 9), topic)
    cluster:send(topic, numbers(10, 12), topic, "abort")
    assert.equal(script.lines { '{"n":1}', '{"n":2}', '{"n":3}', '{"n":7}', '{"n":8}', '{"n":9}' },
      read(('topic = %q, stop = "latest"'):format(topic)))
    assert.equal(lines(1, 12), read(('topic = %q, isolation = "read_uncommitted", stop = "latest"'):format(topic)))
  end)
end)

describe("a record of a topic", function()
  it("has key, topic, partition, offset, time and headers with meta, and its time as event time", function()
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, { { key = "k", value = '{"n":1}', partition = 1, timestamp = 1700000000123,
      headers = { { "b", "2" }, { "a", "1" }, { "b", "3" }, { "c" } } } })
    assert.equal(('{"headers":{"a":"1","b":"3","c":null},"key":"k","offset":0,"partition":1,"timestamp":1700000000123,'
      .. '"topic":"%s","value":{"n":1}}\n'):format(topic), read(('topic = %q, meta = true, stop = "latest"'):format(topic)))
    local process = ':process(weir.process_function { element = function(ctx, v) ctx:emit(ctx:timestamp()) end })'
    assert.equal("1700000000123\n", read(('topic = %q, stop = "latest"'):format(topic), "", process))
  end)

  it("has the broker's time as event time where the topic says that", function()
    local topic = cluster:topic { config = { ["message.timestamp.type"] = "LogAppendTime" } }
    cluster:send(topic, { { value = "{}", timestamp = 5 } })
    local time = cluster:consume(topic)[1].timestamp
    assert.is_true(time > 1.7e12)
    local process = ':process(weir.process_function { element = function(ctx, v) ctx:emit(ctx:timestamp()) end })'
    assert.equal(("%d\n"):format(time), read(('topic = %q, stop = "latest"'):format(topic), "", process))
  end)

  it("of no bytes is none of JSON, and an empty one of text", function()
    local topic = cluster:topic()
    cluster:send(topic, { { value = "" } })
    assert.equal('""\n', read(('topic = %q, format = weir.text(), stop = "latest"'):format(topic)))
    local _, code, err = try(('topic = %q, stop = "latest"'):format(topic))
    assert.equal(1, code)
    assert.truthy(err:find("offset 0: value: Empty", 1, true), err)
  end)

  it("without a value is null, without a key has none", function()
    local topic = cluster:topic()
    cluster:send(topic, { { key = "gone", timestamp = 5 }, { value = "{}", timestamp = 6 } })
    assert.equal("null\n{}\n", read(('topic = %q, stop = "latest"'):format(topic)))
    assert.equal(('{"key":"gone","offset":0,"partition":0,"timestamp":5,"topic":"%s","value":null}\n'
      .. '{"offset":1,"partition":0,"timestamp":6,"topic":"%s","value":{}}\n'):format(topic, topic),
      read(('topic = %q, meta = true, stop = "latest"'):format(topic)))
  end)

  it("is decoded as JSON over several lines, CSV, text, bytes, or by a function", function()
    local topic = cluster:topic()
    cluster:send(topic, { { key = "[1]", value = '{"a":\n [1,\n9007199254740993]}' } })
    assert.equal('{"a":[1,9007199254740993]}\n', read(('topic = %q, stop = "latest"'):format(topic)))
    assert.equal('"{\\"a\\":\\n [1,\\n9007199254740993]}"\n',
      read(('topic = %q, format = weir.text(), stop = "latest"'):format(topic)))
    assert.equal("29\n", read(('topic = %q, format = weir.bytes(), stop = "latest"'):format(topic), "",
      ":map(function(bytes) return #bytes end)"))
    assert.equal('{"at":0,"len":29}\n', read((
      'topic = %q, format = function(bytes, m) return { len = #bytes, at = m.offset } end, stop = "latest"'):format(topic)))
    assert.equal('{"key":[1],"value":29}\n', read((
      'topic = %q, meta = true, format = function(bytes) return #bytes end, key_format = weir.json(), stop = "latest"')
      :format(topic), "", ":map(function(m) return { key = m.key, value = m.value } end)"))
    local csv = cluster:topic()
    cluster:send(csv, { { value = 'ann,"1,5",7' }, { value = "bob,,8\n" } })
    assert.equal('{"a":"ann","b":"1,5","n":7}\n{"a":"bob","b":"","n":8}\n', read((
      'topic = %q, format = weir.csv { columns = { "a", "b", "n" }, types = { n = "number" } }, stop = "latest"'):format(csv)))
  end)

  it("that cannot be decoded ends the job, which says where it is", function()
    local topic = cluster:topic()
    cluster:send(topic, { { value = "{}" }, { key = "k", value = '{"n":' } })
    local _, code, err = try(('topic = %q, stop = "latest"'):format(topic))
    assert.equal(1, code)
    assert.truthy(err:find(('operator "kafka" (job.lua:2): topic %s, partition 0, offset 1: value: '):format(topic), 1, true), err)
  end)

  it("that cannot be decoded goes to the dead letters as it is", function()
    local topic = cluster:topic()
    cluster:send(topic, { { key = "k", value = "\255", timestamp = 7 }, { value = "good", timestamp = 8 } })
    local out, code, err = script.try(([[%s
      local source = job:source(weir.kafka { brokers = %q, topic = %q, format = weir.text(), stop = "latest" })
        :on_error "dead_letter"
      source:sink(weir.discard())
      source:side_output "dead_letter":map(function(d)
        local r = d.record
        return { error = d.error, origin = d.origin, key = r.key, offset = r.offset, partition = r.partition,
          topic = r.topic, time = r.timestamp, byte = r.value:byte() }
      end):sink(weir.print())
      return job]]):format(script.head, cluster.brokers, topic), "-q")
    assert.equal(0, code, err)
    assert.equal(('{"byte":255,"error":"value: byte 1 is not UTF-8","key":"k","offset":0,'
      .. '"origin":"topic %s, partition 0, offset 0","partition":0,"time":7,"topic":"%s"}\n'):format(topic, topic), out)
  end)

  it("that cannot be decoded goes to another topic as it came, with the reason beside it", function()
    local topic, failed = cluster:topic(), cluster:topic()
    local raw = "\255\0{\n\"a"
    cluster:send(topic, { { key = "k\254", value = raw, timestamp = 7 }, { key = "k", value = "{}", timestamp = 8 } })
    local _, code, err = script.try(([[%s
      local source = job:source(weir.kafka { brokers = %q, topic = %q, stop = "latest" }):on_error "dead_letter"
      source:sink(weir.discard())
      source:side_output "dead_letter":sink(weir.kafka_sink { brokers = %q, topic = %q,
        key = function(d) return d.record.key end, format = function(d) return d.record.value end,
        headers = function(d) return { error = d.error, origin = d.origin } end })
      return job]]):format(script.head, cluster.brokers, topic, cluster.brokers, failed), "-q")
    assert.equal(0, code, err)
    local records = cluster:consume(failed)
    assert.equal(1, #records)
    assert.same({ "k\254", raw, 7 }, { records[1].key, records[1].value, records[1].timestamp })
    assert.matches("^error=value: .+,origin=topic " .. topic:gsub("%-", "%%-") .. ", partition 0, offset 0$", records[1].headers)
  end)

  it("has a key of any bytes for a function that decodes it", function()
    local topic = cluster:topic()
    cluster:send(topic, { { key = "\255\254", value = "v" }, { key = "gone" } })
    assert.equal('{"gone":false,"key":2}\n{"gone":true,"key":4}\n', read((
      'topic = %q, format = function(bytes, m) return { key = #m.key, gone = bytes == weir.null } end, stop = "latest"')
      :format(topic)))
  end)

  it("follows on_error where the function that decodes it fails, and where its key cannot be decoded", function()
    local topic = cluster:topic()
    cluster:send(topic, { { key = "\255", value = "first" }, { key = "1", value = "\255" }, { key = "2", value = "last" } })
    local options = ([[topic = %q, stop = "latest", key_format = weir.json(),
      format = function(bytes, m) return assert(bytes:match "^%%w+$", "no word") .. m.key end]]):format(topic)
    assert.equal('"last2"\n', read(options, "", ':on_error "skip"'))
    local _, code, err = try(options)
    assert.equal(1, code)
    assert.truthy(err:find("offset 0: key: ", 1, true), err)
    local out
    out, code, err = script.try(([[%s
      local source = job:source(weir.kafka { brokers = %q, %s }):on_error "dead_letter"
      source:sink(weir.print())
      source:side_output "dead_letter":map(function(d)
        local r = d.record
        return { error = d.error:match "no word" or d.error:match "^%%w+", topic = r.topic, partition = r.partition, offset = r.offset,
          key = r.key == 1 or r.key:byte(), value = r.value:byte() }
      end):sink(weir.print())
      return job]]):format(script.head, cluster.brokers, options), "-q")
    assert.equal(0, code, err)
    assert.equal(('"last2"\n{"error":"key","key":255,"offset":0,"partition":0,"topic":"%s","value":102}\n'
      .. '{"error":"no word","key":true,"offset":1,"partition":0,"topic":"%s","value":255}\n'):format(topic, topic),
      shell.sorted(out))
  end)
end)

describe("what cannot be read", function()
  local function fails(options, ...)
    local _, code, err = try(options)
    assert.is_true(code == 1 or code == 2, err)
    for _, part in ipairs { ... } do assert.truthy(err:find(part, 1, true), err) end
  end

  it("is an error: a topic that does not exist", function()
    fails('topic = "nowhere", timeout = "100ms"', 'waiting for at most 0.1 s: the topic "nowhere" does not exist',
      cluster.brokers, "wait = true")
  end)

  it("is an error: brokers that are not there", function()
    fails('brokers = "127.0.0.1:1", topic = "nowhere", timeout = "100ms"', "127.0.0.1:1", "wait = true")
  end)

  it("is an error at the script's line: options that make no sense", function()
    fails('topic = "a", properties = { ["fetch.wait.max.m"] = 1 }', "job.lua:2:", 'did you mean "fetch.wait.max.ms"')
    fails('topic = "a", pattern = "b"', "job.lua:2: weir.kafka takes one of topic, topics and pattern")
    fails('pattern = "a("', "job.lua:2:", '"a(" is no pattern of topics')
    fails('topic = "a", start = "now"', 'job.lua:2: weir.kafka: option "start" is "earliest"')
    fails('topic = "a", stop = { offsets = { [-1] = 1 } }', 'job.lua:2: weir.kafka: option "stop" is "latest"')
    fails('topic = "a", start = "committed"', 'needs the option "group"')
    fails('topics = { "a", "b c" }', 'job.lua:2: weir.kafka: "b c" is no topic: a topic has 1 to 249 letters')
    fails('topics = { "a", "a" }', 'job.lua:2: weir.kafka: option "topics" names "a" twice')
    fails('topic = "a", stop = { offsets = { b = { [0] = 1 } } }', 'option "stop" has offsets of "b", which is not read')
    fails('topic = "a", start = { timestamp = 5 }, stop = { timestamp = 4 }', "the time of `stop` is before the one of `start`")
    fails('topic = "a", start = { offsets = { [0] = 5 } }, stop = { offsets = { [0] = 4 } }',
      'partition 0 of topic "a" is to end at offset 4, in front of 5')
    fails('topic = "a", key_format = weir.json()', 'option "key_format" needs meta = true')
    fails('topic = "a", format = weir.csv()', 'weir.csv needs the option "columns"')
    fails('topic = "a", format = weir.lines()', "weir.lines is of streams")
  end)
end)
