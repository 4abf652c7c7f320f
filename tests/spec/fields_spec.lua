--- Records keep all of their fields, and fields their values, where what a function may make is read from its
--- bytecode (lua/weir/internal/analysis.lua).

local kit = require "weir.test"
local weir = require "weir"

local function made_by(build, records)
  local t = kit.harness(build)
  t:feed(records)
  t:finish()
  return t
end

describe("a record keeps all of its fields", function()
  it("when ctx:late gives it to a side output, and others have other fields", function()
    local fn = weir.process_function {
      element = function(ctx, r)
        if r.n > 2 then ctx:late({ b = r.n, c = "more" }, "late")
        elseif r.n > 1 then ctx:late({ b = r.n }, "late")
        else ctx:emit { a = r.n } end
      end,
    }
    local t = made_by(function(stream)
      return stream:process(fn):side_output "late"
    end, { { n = 1 }, { n = 2 }, { n = 3 }, { n = 4 } })
    assert.same({ { b = 2 }, { b = 3, c = "more" }, { b = 4, c = "more" } }, t:output "late")
  end)

  it("when the function that makes it is a filter, too", function()
    local function fn(r)
      if r.n > 2 then return { a = r.n, b = "more" } end
      return { a = r.n }
    end
    local t = made_by(function(stream) return stream:filter(fn):map(fn) end, { { n = 1 }, { n = 2 }, { n = 3 } })
    assert.same({ { a = 1 }, { a = 2 }, { a = 3, b = "more" } }, t:output())
  end)
end)

describe("what is kept in a state keeps all of its fields", function()
  -- What comes out of a function with the state `kept`, for five records of one key.
  local function kept_by(state, element)
    local fn = weir.process_function { state = { kept = state }, element = element }
    return made_by(function(stream) return stream:key_by("k"):process(fn):uid "p" end,
      { { k = 1 }, { k = 1 }, { k = 1 }, { k = 1 }, { k = 1 } }):output()
  end

  it("when another function makes it for update", function()
    local function counted(old) return { a = old.a, n = (old.n or 0) + 1 } end
    local out = kept_by(weir.state.value(), function(ctx)
      local kept = ctx.kept:get()
      ctx:emit { n = kept and kept.n or "none" }
      if kept then ctx.kept:update(counted) else ctx.kept:set { a = 1 } end
    end)
    assert.same({ { n = "none" }, { n = "none" }, { n = 1 }, { n = 2 }, { n = 3 } }, out)
  end)

  it("when a list is added as a whole", function()
    local more = { { a = 1, n = 1 } }
    local out = kept_by(weir.state.list(), function(ctx)
      ctx.kept:add { a = 1 }
      ctx.kept:add_all(more)
      local sum = 0
      for _, v in ipairs(ctx.kept:get()) do sum = sum + (v.n or 0) end
      ctx:emit { sum = sum }
    end)
    assert.same({ { sum = 1 }, { sum = 2 }, { sum = 3 }, { sum = 4 }, { sum = 5 } }, out)
  end)
end)

describe("a field keeps its value", function()
  it("in a record that is kept by a state whose handle others are given", function()
    local function shown(handle) return handle end
    local fn = weir.process_function {
      state = { last = weir.state.value() },
      element = function(ctx, r)
        local last = ctx.last:get()
        ctx.last:set { text = r.text }
        shown(ctx.last)
        ctx:emit { text = r.text, before = last and last.text }
      end,
    }
    local t = made_by(function(stream) return stream:key_by("user"):process(fn):uid "p" end,
      { { user = "ann", text = "one" }, { user = "ann", text = "two" }, { user = "ann", text = "three" } })
    assert.same({ { text = "one" }, { text = "two", before = "one" }, { text = "three", before = "two" } }, t:output())
  end)
end)
