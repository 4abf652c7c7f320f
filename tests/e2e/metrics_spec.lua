--- What a whole job tells of itself: --json, latency markers, the catalogue.

local script = require "support.script"
local shell = require "support.shell"

local function run(text, options) return script.try(script.head .. text, options) end

local keyed = "job:source(weir.generate { count = 20000, fields = { n = { cycle = 100 } } })"
  .. ":key_by 'n':count { emit = 'final' }:sink(weir.discard())"

--- Sum of all numbers that follow a name.
local function sum(text, name)
  local total = 0
  for v in text:gmatch('"' .. name .. '":(%-?%d+)') do total = total + tonumber(v) end
  return total
end

describe("metrics", function()
  it("are told for each subtask, operator, output and input channel", function()
    local _, code, err = run(keyed, "--json -p 2")
    local tasks = err:match '"tasks":(.*)'
    assert.equal(0, code)
    for _, name in ipairs { "steps", "busy_ns", "idle_ns", "waiting_ns", "back_pressured_ns", "queued_buffers",
      "operators", "outputs", "inputs", "pool_buffers_in_use" } do
      assert.is_truthy(tasks:find('"' .. name .. '":', 1, true), name)
    end
    assert.equal(20000, sum(tasks, "rows"))
    local _, subtasks = tasks:gsub('"subtask":', "")
    assert.equal(4, subtasks)
  end)

  it("a source stops between two rows rather than to take buffers beyond its pool", function()
    local _, _, err = run("job:source(weir.generate { count = 200000, fields = { n = { cycle = 100 } } })"
      .. ":key_by 'n':count { emit = 'final' }:sink(weir.discard())", "--json --buffer-size=1k --workers=1")
    assert.equal(0, sum(err, "pool_overdrafts"))
  end)

  it("latency markers are off unless asked for", function()
    local _, _, err = run(keyed, "--json")
    assert.is_truthy(err:find('"latencies":[]', 1, true))
  end)

  it("latency markers are measured from each source to each sink", function()
    local text = "local a = job:source(weir.generate { count = 200, rate = 2000, fields = { n = { cycle = 9 } } })"
      .. ":name 'left'\nlocal b = job:source(weir.generate { count = 200, rate = 2000, "
      .. "fields = { n = { cycle = 9 } } }):name 'right'\n"
      .. "local both = a:union(b):key_by('n'):count { emit = 'final' }\n"
      .. "both:sink(weir.discard()):name 'one'\nboth:sink(weir.discard()):name 'two'"
    local _, code, err = run(text, "--json -p 2 --latency-interval=1ms")
    assert.equal(0, code, err)
    for _, source in ipairs { "left", "right" } do
      for _, sink in ipairs { "one", "two" } do
        local count = err:match(('{"source":"%s","sink":"%s","latency_ns":{"count":(%%d+)'):format(source, sink))
        assert.is_truthy(count and tonumber(count) > 0, source .. " to " .. sink .. ": " .. err)
      end
    end
    _, _, err = run(text, "--latency-interval=1ms")
    assert.is_truthy(err:match "latency left → one: p50 [%d.]+ p90 .* p99.9 [%d.]+ p99.99 [%d.]+ µs %(%d+ markers%)")
  end)

  it("are listed by `weir help metrics`, each with a unit and a sentence", function()
    local out, code = shell.run(shell.weir .. " help metrics")
    local json = shell.run(shell.weir .. " help metrics --json")
    local lines = 0
    assert.equal(0, code)
    for line in out:gmatch "  [^\n]+" do
      assert.is_truthy(line:match "^  [%w_]+ +%a+ +.*%.$" or line:match "%)%.$", line)
      lines = lines + 1
    end
    local _, entries = json:gsub('"help":', "")
    assert.equal(lines, entries)
    assert.is_truthy(lines > 20)
  end)
end)
