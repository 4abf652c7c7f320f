--- One record from which far more comes than the buffers hold: what it emits is held back like everything else, in
--- the middle of the record, and nothing of it is lost.

local script = require "support.script"

local EMITS = 600000 -- a record; all of them together are some 70 MB of rows
local HELD_MAX = 40e6 -- bytes of the whole process

-- `draw` makes stream `s` out of three records { k =, n = }, which emit { i = 1 … EMITS }.
local function flood(draw, options)
  local out, code, err = script.try(([[
local weir = require "weir"
local job = weir.job "flood"
local EMITS = %d
local s = job:source(weir.from { { k = 1, n = 1 }, { k = 2, n = 2 }, { k = 1, n = 3 } })
local function emit_all(emit) for i = 1, EMITS do emit { i = i } end end
%s
s:rebalance():map(function(rec) return rec end):parallelism(2):measure { sum = "i" }:sink(weir.print())
]]):format(EMITS, draw), "--json " .. (options or ""))
  return out, code, err, tonumber(err:match '"resident_bytes_max":(%d+)')
end

local function counted(rows, sum)
  return ('{"rows":%.0f,"sum":%.0f}\n'):format(rows, sum)
end

local all = EMITS * (EMITS + 1) / 2

local held = {
  ["flat_map"] = [[s = s:flat_map(function(_, emit) emit_all(emit) end)]],
  ["flat_map behind pcall"] = [[s = s:flat_map(function(_, emit)
    local ok, why = pcall(function() emit_all(emit) error "done" end)
    if ok or not why:find "done" then emit { i = 1 } end
  end)]],
  ["flat_map that fails then, and is skipped"] = [[s = s:flat_map(function(_, emit) emit_all(emit) error "done" end)
    :on_error "skip"]],
  ["process function in the middle of its state"] = [[s = s:key_by "k":process(weir.process_function {
    state = { seen = weir.state.list() },
    element = function(ctx, rec)
      ctx.seen:add(rec.n)
      emit_all(function(v) ctx:emit(v) end)
      local last
      for n in ctx.seen:iter() do last = n end
      if last ~= rec.n or ctx:key() ~= rec.k or ctx.seen:count() ~= (rec.n == 3 and 2 or 1) then ctx:emit { i = 1 } end
    end })]],
  ["timer of event time"] = [[s = s:key_by "k":process(weir.process_function {
    element = function(ctx, rec) ctx:event_timer(rec.n) end,
    timer = function(ctx) emit_all(function(v) ctx:emit(v) end) end })]],
}

describe("a record that emits without end in sight", function()
  for name, draw in pairs(held) do
    it("is held back in a " .. name, function()
      local out, code, err, bytes = flood(draw)
      assert.equal(0, code, err)
      assert.equal(counted(3 * EMITS, 3 * all), out)
      assert.is_true(bytes < HELD_MAX, bytes .. " bytes")
    end)
  end

  it("is held back while the next stage is in the same task", function()
    local out, code, err, bytes = flood([[s = s:flat_map(function(_, emit) emit_all(emit) end):words { field = "i" }
      :on_error "skip":measure():map(function(m) return { i = m.rows } end)]], "--log-level=off")
    assert.equal(0, code, err)
    assert.equal(counted(1, 0), out)
    assert.is_true(bytes < HELD_MAX, bytes .. " bytes")
  end)

  it("loses nothing where it cannot rest: in a coroutine of its own, below a C function, in a processing timer", function()
    for _, draw in ipairs {
      "s = s:flat_map(function(_, emit) coroutine.wrap(function() emit_all(emit) end)() end)",
      "s = s:flat_map(function(_, emit) local text = ('x'):gsub('x', function() emit_all(emit) end) return text end)",
      [[s = s:key_by "k":process(weir.process_function {
        element = function(ctx, rec) ctx:processing_timer(rec.n) end,
        timer = function(ctx) emit_all(function(v) ctx:emit(v) end) end })]],
    } do
      local out, code, err = flood(draw)
      assert.equal(0, code, err)
      assert.equal(counted(3 * EMITS, 3 * all), out)
    end
  end)

  it("fails with record and line, also long after it rested", function()
    local _, code, err = flood "s = s:flat_map(function(_, emit)\nemit_all(emit)\nerror 'done'\nend)"
    assert.equal(1, code)
    assert.matches("operator 'flat_map' .- failed in subtask 0: .-:8: done.*record: {\"k\":1,\"n\":1}", err)
  end)

  it("may not yield by itself", function()
    local _, code, err = flood "s = s:flat_map(function(_, emit) emit_all(emit) coroutine.yield(1) end)"
    assert.equal(1, code)
    assert.matches("coroutine.yield outside of a coroutine", err)
  end)
end)
