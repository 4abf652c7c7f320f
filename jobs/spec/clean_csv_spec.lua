local kit = require "weir.test"

describe("clean_csv", function()
  it("converts good rows and puts bad ones aside, with the reason", function()
    local t = kit.job "jobs/clean_csv.lua"
    t:feed {
      { id = "1", account = "ann", amount = "12.5", currency = "EUR" },
      { id = "2", account = "bob", amount = "many", currency = "EUR" },
      { id = "3", account = "eve", amount = "1", currency = "XXX" },
    }
    assert.same({ { id = 1, account = "ann", amount = 12.5, currency = "EUR" } }, t:output "print")
    local bad = t:output "file_sink"
    assert.equal(2, #bad)
    assert.same({ "amount is no number: many", "unknown currency: XXX" }, { bad[1].error, bad[2].error })
    assert.equal("bob", bad[1].record.account)
  end)
end)
