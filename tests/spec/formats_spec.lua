--- Formats of messages: what their options may be.

local shell = require "support.shell"
local weir = require "weir"

local function message(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return (err:gsub("^.-:%d+: ", ""))
end

describe("weir.avro", function()
  it("takes a schema, from a file, too", function()
    local folder = shell.folder()
    local path = folder .. "/order.avsc"
    local file = assert(io.open(path, "w"))
    file:write '{"type":"record","name":"order","fields":[{"name":"id","type":"long"}]}'
    file:close()
    local format = weir.avro { schema_file = path }
    assert.equal("avro", format.kind)
    assert.equal(weir.avro({ schema = format.schema }).schema, format.schema)
    assert.is_nil(format.schema_file)
    shell.remove(folder)
    assert.matches('weir.avro: option "schema_file": .*No such file', message(weir.avro, { schema_file = path }))
  end)

  it("says what is wrong with a schema, at the script's line", function()
    local ok, err = pcall(function() return weir.avro { schema = '"strng"' } end)
    assert.is_false(ok)
    assert.matches("formats_spec.lua:%d+: weir.avro: option \"schema\": there is no type 'strng'", err)
    assert.equal('weir.avro: option "writer_schema": a union has no type',
      message(weir.avro, { schema = '"int"', writer_schema = "[]" }))
  end)

  it("is told where messages have their schemas from", function()
    assert.equal("http://localhost:8081", weir.avro({ registry = "http://localhost:8081" }).registry)
    assert.equal('weir.avro: give a "schema", a "schema_file" or a "registry"', message(weir.avro, {}))
    assert.equal('weir.avro: option "subject" is of a "registry"', message(weir.avro, { schema = '"int"', subject = "s" }))
    assert.equal('weir.avro: with a "registry" messages say which schema wrote them: no "writer_schema"',
      message(weir.avro, { registry = "http://x", writer_schema = '"int"' }))
    assert.matches('option "registry" must be an address such as', message(weir.avro, { registry = "x:1" }))
    assert.matches('did you mean "schema"', message(weir.avro, { shema = '"int"' }))
  end)

  it("is a format of messages, not of streams of bytes", function()
    assert.matches("weir.avro is of messages", message(weir.files, { path = "x", format = weir.avro { schema = '"int"' } }))
    assert.matches("weir.msgpack is of messages", message(weir.files, { path = "x", format = weir.msgpack() }))
  end)
end)

describe("weir.csv of messages", function()
  local function source(format) return weir.kafka { brokers = "b", topic = "t", format = format } end

  it("has columns, no header, and stays as it is for others", function()
    local format = weir.csv { columns = { "a" }, header = true }
    assert.matches('option "format": no message is a header line: weir.csv with header = true', message(source, format))
    assert.is_true(format.header)
    assert.matches('option "format": no message is a header line: weir.csv needs', message(source, weir.csv()))
    assert.equal("kafka", source(weir.csv { columns = { "a" } }).kind)
  end)
end)

describe("weir.avro of a sink", function()
  it("with a registry needs the subject", function()
    assert.equal('weir.kafka_sink: option "format": weir.avro with a "registry" needs the option "subject": what its schema is under',
      message(weir.kafka_sink, { brokers = "b", topic = "t", format = weir.avro { registry = "http://x" } }))
  end)
end)

describe("a key of a sink, by a function", function()
  it("may be false, which is not none", function()
    local function of(value)
      return weir.kafka_sink({ brokers = "b", topic = "t", key = function() return value end }).by {}
    end
    assert.equal("false", of(false))
    assert.equal(true, of(true))
    assert.equal(7, of(7))
    assert.equal(false, of(nil))
  end)
end)

describe("headers of a sink", function()
  it("are as many as a message may have", function()
    local headers = {}
    for i = 1, 501 do headers["h" .. i] = "" end
    assert.matches("a message has 500 headers at most",
      message(weir.kafka_sink, { brokers = "b", topic = "t", headers = headers }))
    headers.h1 = nil
    assert.equal("kafka_sink", weir.kafka_sink({ brokers = "b", topic = "t", headers = headers }).kind)
  end)
end)

describe("weir.msgpack", function()
  it("has no options", function()
    assert.equal("msgpack", weir.msgpack().kind)
    assert.matches("unknown option", message(weir.msgpack, { x = 1 }))
  end)
end)
