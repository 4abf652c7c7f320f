local kafka_options = require "weir.kafka_options"
local options = require "weir.options"

local function message(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return (err:gsub("^.-:%d+: ", ""))
end

local function checked(properties)
  return kafka_options.checked("weir.kafka", kafka_options.CONSUMER, properties)
end

describe("properties of Kafka's client", function()
  it("are kept as text", function()
    assert.same({ ["fetch.wait.max.ms"] = "100", ["check.crcs"] = "true", ["client.rack"] = "r" },
      checked { ["fetch.wait.max.ms"] = 100, ["check.crcs"] = true, ["client.rack"] = "r" })
    assert.same({}, checked(nil))
  end)

  it("that are misspelt are errors that guess", function()
    assert.equal('weir.kafka: librdkafka has no property "fetch.wait.max.m"; did you mean "fetch.wait.max.ms"?',
      message(checked, { ["fetch.wait.max.m"] = 1 }))
  end)

  it("that have no such value are errors", function()
    assert.equal('weir.kafka: the property "fetch.wait.max.ms" is a number from 0 to 300000, not "1.5"',
      message(checked, { ["fetch.wait.max.ms"] = 1.5 }))
    assert.equal('weir.kafka: the property "check.crcs" is a string, a number or a boolean, not a table',
      message(checked, { ["check.crcs"] = {} }))
  end)

  it("that are the other role's, or have an option, are errors", function()
    assert.equal('weir.kafka: the property "linger.ms" is one of producers (sinks) only',
      message(checked, { ["linger.ms"] = 1 }))
    assert.equal('weir.kafka: the property "group.id" cannot be set: the option "group" says it',
      message(checked, { ["group.id"] = "g" }))
  end)
end)

describe("brokers of Kafka", function()
  local function brokers(v) return options.check("weir.kafka", { brokers = v }, { brokers = kafka_options.brokers }).brokers end

  it("are one or several", function()
    assert.equal("a:9092", brokers "a:9092")
    assert.equal("a:9092,b:9093", brokers { "a:9092", "b:9093" })
    assert.equal("a,[::1]:9093", brokers "a,[::1]:9093")
    assert.equal("SASL_SSL://a:1", brokers "SASL_SSL://a:1")
  end)

  it("that are none are errors", function()
    for _, v in ipairs { "", "a:", "a:99999", "a:x", "a:1,", {}, { 1 }, 9092 } do
      assert.matches("a list of brokers", message(brokers, v))
    end
  end)
end)
