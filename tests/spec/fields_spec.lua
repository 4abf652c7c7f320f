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
