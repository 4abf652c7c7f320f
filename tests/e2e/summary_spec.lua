--- The numbers of the summary are those of what happened.

local script = require "support.script"

-- { name = { in, out, skipped } } of a job's operators.
local function operators(text, options)
  local _, code, err = script.try(script.head .. text,
    "--json " .. (options or ""))
  assert.equal(0, code, err)
  local list = {}
  for name, entered, left, skipped in err:gmatch '"name":"([^"]+)","in":(%d+),"out":(%d+),"skipped":(%d+)' do
    list[name] = ("%s in, %s out, %s skipped"):format(entered, left, skipped)
  end
  return list
end

describe("the summary", function()
  it("tells how many records an async function was with at once", function()
    local _, _, err = script.try([[local weir = require "weir" local job = weir.job "test"
      job:source(weir.sequence { to = 50 }):async { capacity = 7, fn = function(n)
        weir.async.sleep "1ms"
        return { n = n }
      end }:name "wait":sink(weir.discard()):name "sink"]], "--json")
    assert.matches('"name":"wait","in":50,"out":50,[^}]*"in_flight":0,"in_flight_max":7}', err)
    assert.not_matches('"name":"sink"[^}]*in_flight', err)
  end)

  it("counts what leaves operators that are fused, however many read it", function()
    local found = operators [[
      local s = job:source(weir.sequence { to = 100 }):map(function(i) return { i = i } end):name "first"
      local f = s:flat_map(function(r, emit) emit(r) emit(r) emit(r, "side") end):name "split"
      f:filter(function(r) return r.i % 2 == 0 end):name "even":sink(weir.discard()):name "sink1"
      f:map(function(r) return r end):name "same":sink(weir.discard()):name "sink2"
      f:side_output "side":process(function(ctx, r) ctx:emit(r) end):name "aside":sink(weir.discard()):name "sink3"
      f:filter(function() return false end):name "none":sink(weir.discard()):name "sink4"]]
    assert.same({
      sequence = "0 in, 100 out, 0 skipped", first = "100 in, 100 out, 0 skipped",
      split = "100 in, 300 out, 0 skipped", even = "200 in, 100 out, 0 skipped", same = "200 in, 200 out, 0 skipped",
      aside = "100 in, 100 out, 0 skipped", none = "200 in, 0 out, 0 skipped",
      sink1 = "100 in, 0 out, 0 skipped", sink2 = "200 in, 0 out, 0 skipped",
      sink3 = "100 in, 0 out, 0 skipped", sink4 = "0 in, 0 out, 0 skipped",
    }, found)
  end)

  it("counts an output once that goes to fused operators and to other tasks", function()
    local found = operators([[
      local f = job:source(weir.sequence { to = 50 }):map(function(i) return { i = i } end):name "first"
        :map(function(r) if r.i > 40 then error "late" end return r end):name "middle":on_error "skip"
      f:map(function(r) return r end):name "fused":sink(weir.discard()):name "sink1"
      f:key_by "i":count():name "keyed":sink(weir.discard()):name "sink2"
      f:rebalance():map(function(r) return r end):name "far":sink(weir.discard()):name "sink3"]], "-p 2 --log-level=error")
    assert.same({
      sequence = "0 in, 50 out, 0 skipped", first = "50 in, 50 out, 0 skipped",
      middle = "50 in, 40 out, 10 skipped", fused = "40 in, 40 out, 0 skipped", keyed = "40 in, 40 out, 0 skipped",
      far = "40 in, 40 out, 0 skipped", sink1 = "40 in, 0 out, 0 skipped", sink2 = "40 in, 0 out, 0 skipped",
      sink3 = "40 in, 0 out, 0 skipped",
    }, found)
  end)
end)
