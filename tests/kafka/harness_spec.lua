--- The harness of these specs itself: topics, records both ways, nodes that go and come again.

local kafka = require "support.kafka"

describe("a broker of the tests", function()
  local cluster = kafka.shared()

  it("gives back through kcat what kcat wrote", function()
    local topic = cluster:topic()
    cluster:produce(topic, "a:1\nb:two words\n", { headers = { "h=v" } })
    local records = cluster:consume(topic)
    assert.equal(2, #records)
    assert.equal("a", records[1].key)
    assert.equal("1", records[1].value)
    assert.equal("h=v", records[1].headers)
    assert.equal("two words", records[2].value)
    assert.equal(1, records[2].offset)
    assert.equal("1\ntwo words\n", cluster:values(topic))
  end)
end)
