local kit = require "weir.test"

local function payment(second, amount, card)
  return { card = card or "4929-0001", amount = amount, merchant = "Watches24", ts = second * 1000 }
end

local function alert(second, after, amount, card)
  return {
    card = card or "4929-0001", ts = second * 1000, amount = amount, merchant = "Watches24", tried_at = "Watches24",
    after_s = after,
  }
end

describe("fraud_detection", function()
  it("tells of a large payment within a minute of a small one of the same card", function()
    local t = kit.job "jobs/fraud_detection.lua"
    t:feed { payment(0, 0.5), payment(1, 20), payment(2, 900, "4929-0002"), payment(60, 900) }
    assert.same({ alert(60, 60, 900) }, t:output())
  end)

  it("passes over a small payment alone, one that is not small, and what comes later than a minute", function()
    local t = kit.job "jobs/fraud_detection.lua"
    t:feed { payment(0, 1), payment(1, 900), payment(2, 0.99), payment(3, 500), payment(62.001, 900) }
    assert.same({}, t:output())
  end)

  it("counts from the last small payment, and tells once", function()
    local t = kit.job("jobs/fraud_detection.lua", { within = "10s", small = 2, large = 100 })
    t:feed { payment(0, 1.5), payment(8, 1.5), payment(15, 101), payment(16, 102) }
    assert.same({ alert(15, 7, 101) }, t:output())
  end)

  it("remembers a card over a restart, and forgets it when the minute is over", function()
    local t = kit.job "jobs/fraud_detection.lua"
    t:feed { payment(0, 0.5), payment(30, 0.5, "4929-0002") }
    t:restart()
    assert.same({ ts = 0, merchant = "Watches24" }, t:state("detect", "tried", "4929-0001"))
    t:feed(payment(65.002, 20, "4929-0003")) -- event time is five seconds behind
    assert.is_nil(t:state("detect", "tried", "4929-0001"))
    t:feed(payment(70, 900, "4929-0002"))
    assert.same({ alert(70, 40, 900, "4929-0002") }, t:output())
    assert.same({}, t:states("detect", "tried"))
  end)
end)
