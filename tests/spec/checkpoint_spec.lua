local checkpoint = require "weir.checkpoint"
local weir = require "weir"

local function message(opts)
  local ok, err = pcall(weir.checkpoint, opts)
  assert.is_false(ok)
  return (err:gsub("^.-:%d+: ", ""))
end

describe("weir.checkpoint", function()
  it("gives the program's options, each of which exists", function()
    local set = checkpoint.flags(weir.checkpoint {
      every = "1m", mode = "at_least_once", dir = "state", min_pause = 0, timeout = 250, failures = 3, retain = 5,
      incremental = "always", pack_logs = true,
    })
    assert.same({
      ["checkpoint-every"] = "60000000us", ["checkpoint-mode"] = "at_least_once", dir = "state",
      ["checkpoint-min-pause"] = "0us", ["checkpoint-timeout"] = "250000us", ["checkpoint-failures"] = "3",
      ["checkpoint-retain"] = "5", ["checkpoint-incremental"] = "always",
      ["checkpoint-pack-logs"] = "true",
    }, set)
    assert.same({}, checkpoint.flags(weir.checkpoint {}))
  end)

  it("says at the script's line what is wrong, with the bounds of the flags", function()
    assert.truthy(message({ evry = 1 }):find('unknown option "evry"; did you mean "every"?', 1, true))
    assert.truthy(message({ every = "25h" }):find('option "every" must be a duration up to a day', 1, true), message { every = "25h" })
    assert.truthy(message({ every = -1 }):find('option "every" must be a duration', 1, true))
    assert.truthy(message({ timeout = "10us" }):find('option "timeout" must be a duration from a millisecond', 1, true))
    assert.truthy(message({ pack_logs = "yes" }):find('option "pack_logs" must be true or false', 1, true))
    assert.truthy(message({ mode = "twice" }):find("exactly_once", 1, true))
    assert.truthy(message({ incremental = false }):find('option "incremental" must be one of "on", "off", "always", not false', 1, true),
      message { incremental = false })
    assert.truthy(message({ retain = 0 }):find('option "retain" must be a whole number from 1 to 1000', 1, true))
    assert.truthy(message({ failures = 1.5 }):find('option "failures" must be a whole number', 1, true))
  end)

  it("is what the option of a job takes", function()
    local ok, err = pcall(weir.job, { checkpoint = { every = "1s" } })
    assert.is_false(ok)
    assert.truthy(err:find('option "checkpoint" must be weir.checkpoint { … }', 1, true), err)
  end)
end)
