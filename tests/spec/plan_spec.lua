local draw = require "support.draw"
local planner = require "weir.plan"

local source = 'local s = job:source(weir.from { { a = 1 } }) '
local sequence = 'local s = job:source(weir.sequence { to = 9 }) '

-- The chains of a plan: each vertex as its name, with what its stages are made of.
local function chains(plan)
  local out = {}
  for i, vertex in ipairs(plan.vertices) do
    local stages = {}
    for j, stage in ipairs(vertex.stages) do stages[j] = stage.name end
    out[i] = table.concat(stages, " | ")
  end
  return out
end

local function partitions(plan)
  local out = {}
  for i, edge in ipairs(plan.edges) do out[i] = ("%d-%s-%d.%d"):format(edge.from, edge.partition, edge.to, edge.input) end
  return out
end

-- The plan without what depends on lines and bytecode.
local function unsigned(plan)
  for _, vertex in ipairs(plan.vertices) do
    for _, stage in ipairs(vertex.stages) do
      for _, op in ipairs(stage.operators) do op.sign, op.code, op.where = nil, nil, nil end
    end
  end
  return plan
end

describe("a plan", function()
  it("of word count is two tasks with a hash exchange between them", function()
    local plan = draw.plan([[
      job:source(weir.files { path = "books/*.txt" })
        :flat_map(function(rec, emit) emit(rec) end)
        :key_by "word"
        :count { emit = "final" }:uid "counts"
        :sink(weir.print())]], { parallelism = 2, seed = 7 })
    assert.same({
      version = 1,
      job = { name = "test", bounded = true, seed = 7 },
      vertices = {
        {
          name = "files → flat_map", uid = "files", parallelism = 2, max_parallelism = 128, max_derived = true, slot_group = "default",
          inputs = 0,
          stages = {
            {
              kind = "files", name = "files", operators = { { id = 1, name = "files", uid = "files", on_error = "fail" } },
              on_error = "fail",
              options = {
                path = { "books/*.txt" }, format = "lines", watch = false, compression = "auto",
                split_size = 16777216, max_line = 16777216,
              },
              outs = { { tag = "", targets = { { stage = 1 } } } },
            },
            {
              kind = "lua", name = "flat_map", operators = { { id = 2, name = "flat_map", uid = "flat_map<files>", on_error = "fail" } },
              on_error = "fail",
              options = { roots = { 2 }, links = { { from = 2, tag = "", port = 0 } } },
              outs = { { tag = "", targets = { { edge = 0 } } } },
            },
          },
        },
        {
          name = "count → print", uid = "counts", parallelism = 2, max_parallelism = 128, max_derived = true, slot_group = "default",
          inputs = 1,
          stages = {
            {
              kind = "aggregate", name = "count", operators = { { id = 3, name = "count", uid = "counts", on_error = "fail" } },
              key = { "word" }, states = { { name = "value", kind = "reducing", layout = "count" } }, on_error = "fail",
              options = { fn = "count", as = "count", key_as = { "word" }, emit = "final" },
              outs = { { tag = "", targets = { { stage = 1 } } } },
            },
            {
              kind = "print", name = "print", operators = { { id = 4, name = "print", uid = "print<count>", on_error = "fail" } },
              on_error = "fail", options = {}, outs = {},
            },
          },
        },
      },
      edges = {
        { name = "flat_map → count", from = 0, to = 1, input = 0, partition = "hash", key = { "word" } },
      },
    }, unsigned(plan))
  end)

  it("says which rows of an edge may become one: those that a window only adds up", function()
    local function merge(window, aggregates, late)
      local plan = draw.plan(([[
        local s = job:source(weir.sequence { to = 9 }):map(print):watermarks(weir.watermark.none()):key_by "k"
          :window(%s):aggregate { %s }
        s:sink(weir.discard())
        %s]]):format(window, aggregates, late or ""), { parallelism = 2 })
      assert.same({ "0-hash-1.0" }, partitions(plan))
      return plan.edges[1].merge
    end
    local all = [[n = weir.agg.count(), s = weir.agg.sum "x", mean = weir.agg.avg "x", lo = weir.agg.min "y"]]
    assert.same({
      fields = { { field = "y", fn = "min" }, { field = "x", fn = "sum" } }, weighs = true, grain = 700, offset = 33,
    }, merge("weir.window.tumbling { size = 700, offset = 33 }", all))
    assert.same({ fields = { { field = "x", fn = "max" } }, weighs = false, grain = 1, offset = 0 },
      merge("weir.window.session(60)", [[m = weir.agg.max "x"]]))
    assert.equal(100, merge("weir.window.sliding { size = 700, slide = 300 }", all).grain)
    assert.equal(0, merge("weir.window.tumbling { size = 700, time = 'processing' }", all).grain)
    for _, apart in ipairs {
      [[s = weir.agg.stddev "x"]], [[s = weir.agg.sum "x", m = weir.agg.max "x"]], [[s = weir.agg.sum "k"]],
      [[f = weir.agg.first "x"]],
    } do
      assert.is_nil(merge("weir.window.tumbling(700)", apart), apart)
    end
    assert.is_nil(merge("weir.window.tumbling { size = 700, stagger = 'random' }", all))
    assert.is_nil(merge("weir.window.count(7)", all))
    assert.is_nil(merge("weir.window.tumbling(700)", all, "s:side_output('late'):sink(weir.discard())"))
  end)

  it("says a format as its kind, and what else there is to it beside", function()
    local plan = draw.plan([[
      job:source(weir.files { path = "x", format = weir.csv { columns = { "a", "b" }, separator = ";" } })
        :sink(weir.stdout { format = weir.lines() })]])
    local read, write = plan.vertices[1].stages[1].options, plan.vertices[1].stages[2].options
    assert.equal("csv", read.format)
    assert.same({ header = false, columns = { "a", "b" }, separator = ";", quote = '"' }, read.csv)
    assert.same({ format = "lines" }, write)
  end)

  it("prints in the format of the program where the script names none", function()
    local plan = draw.plan([[
      local s = job:source(weir.from { 1 })
      s:sink(weir.print())
      s:sink(weir.print "raw")
      s:sink(weir.stdout())]], { format = "table" })
    local formats = {}
    for i = 2, 4 do formats[i - 1] = plan.vertices[1].stages[i].options.format end
    assert.same({ "table", "raw", "json" }, formats)
  end)

  it("is the same each time", function()
    local text = source .. [[
      local a = s:flat_map(print)
      a:side_output "x":key_by(print):reduce(print):sink(weir.discard())
      a:union(s):key_by("k"):process(weir.process_function {
        state = { z = weir.state.value(), a = weir.state.map(), m = weir.state.list() }, element = print,
      }):sink(weir.discard())]]
    assert.same(draw.plan(text), draw.plan(text))
  end)

  it("fuses neighbours that are written in Lua into one stage", function()
    local plan = draw.plan(source .. 's:map(print):filter(print):flat_map(print):sink(weir.discard())')
    assert.same({ "from | map → filter → flat_map | discard" }, chains(plan))
    local stage = plan.vertices[1].stages[2]
    assert.same({
      roots = { 2 },
      links = { { from = 4, tag = "", port = 0 }, { from = 2, tag = "", to = 3 }, { from = 3, tag = "", to = 4 } },
    }, stage.options)
    assert.same({ { tag = "", targets = { { stage = 2 } } } }, stage.outs)
  end)

  it("runs several branches in Lua behind an operator in C in one stage", function()
    local plan = draw.plan(source .. [[
      s:filter(print):map(print):sink(weir.discard())
      s:sink(weir.discard())
      s:map(print):key_by "k":count():sink(weir.discard())]])
    assert.same({ "from | filter → map, map | discard | discard", "count | discard" }, chains(plan))
    local stages = plan.vertices[1].stages
    assert.same({ { tag = "", targets = { { stage = 1 }, { stage = 3 } } } }, stages[1].outs)
    assert.same({
      roots = { 2, 6 },
      links = { { from = 3, tag = "", port = 0 }, { from = 6, tag = "", port = 1 }, { from = 2, tag = "", to = 3 } },
    }, stages[2].options)
    assert.same({ { tag = "", targets = { { stage = 2 } } }, { tag = "", targets = { { edge = 0 } } } }, stages[2].outs)
  end)

  it("keeps branches apart that differ in what becomes of failed records", function()
    local plan = draw.plan(source .. [[
      s:map(print):sink(weir.discard())
      s:map(print):on_error "skip":sink(weir.discard())
      for _ = 1, 2 do
        local m = s:map(print):on_error "dead_letter"
        m:sink(weir.discard())
        m:side_output "dead_letter":sink(weir.discard())
      end]])
    local counts = {}
    for _, stage in ipairs(plan.vertices[1].stages) do
      if stage.kind == "lua" then counts[#counts + 1] = #stage.operators end
    end
    assert.same({ 1, 1, 1, 1 }, counts)
  end)

  it("tells a source that can leave fields out which ones are read", function()
    local function reads(readers)
      return draw.plan("local s = job:source(weir.nexmark { count = 9 }) " .. readers).vertices[1].stages[1].options.reads
    end
    local bids = "s:filter(function(e) return e.bidder ~= nil end)"
    local prices = ":map(function(e) return { price = e.price, note = 'x' } end)"
    assert.same({ "bidder", "price" }, reads(bids .. prices .. ":sink(weir.discard())"))
    assert.same({ "bidder", "price", "seller" }, reads(bids .. prices .. ":sink(weir.discard()) "
      .. "s:flat_map(function(e, emit) if e.seller then emit { s = e.seller } end end):sink(weir.discard())"))
    assert.is_nil(reads(bids .. ":sink(weir.discard())"))
    assert.is_nil(reads(bids .. prices .. ":sink(weir.discard()) s:sink(weir.discard())"))
    assert.is_nil(reads("s:map(tostring):sink(weir.discard())"))
    assert.is_nil(reads(bids .. prices .. ":sink(weir.discard()) s:key_by('id'):count():sink(weir.discard())"))
    assert.is_nil(reads("local m = " .. bids .. ":on_error 'dead_letter' m" .. prices .. ":sink(weir.discard()) "
      .. "m:side_output 'dead_letter':sink(weir.discard())"))
  end)

  it("cuts very long chains, since a Lua function has a limit of locals", function()
    local plan = draw.plan(source .. 'for i = 1, 60 do s = s:map(print) end s:sink(weir.discard())')
    local counts = {}
    for i, stage in ipairs(plan.vertices[1].stages) do counts[i] = #stage.operators end
    assert.same({ 1, 20, 20, 20, 1 }, counts)
  end)

  it("lets one output feed several operators, chained and not", function()
    local plan = draw.plan(source .. [[
      local m = s:map(print)
      m:sink(weir.discard())
      m:filter(print):sink(weir.discard())
      m:rebalance():map(print):parallelism(2):sink(weir.discard())]])
    assert.equal("from → map → (discard, filter → discard)", plan.vertices[1].name)
    assert.same({ { tag = "", targets = { { stage = 2 }, { edge = 0 } } }, { tag = "", targets = { { stage = 3 } } } },
      plan.vertices[1].stages[2].outs)
  end)

  it("has port 0 for the main output even if only a side output is read", function()
    local plan = draw.plan(source .. 's:process(print):side_output "late":sink(weir.discard())')
    assert.same({ { tag = "", targets = {} }, { tag = "late", targets = { { stage = 2 } } } },
      plan.vertices[1].stages[2].outs)
    assert.same({ { from = 2, tag = "late", port = 1 } }, plan.vertices[1].stages[2].options.links)
  end)

  it("P12: never chains what has several inputs", function()
    local plan = draw.plan(source .. 's:union(s:map(print)):filter(print):sink(weir.discard())')
    assert.same({ "from | map", "filter | discard" }, chains(plan))
    assert.same({ "0-forward-1.0", "0-forward-1.0" }, partitions(plan))
    assert.equal(2, #draw.plan(source .. 's:connect(s):map(print, print):sink(weir.discard())').vertices)
  end)

  it("P13: chains over different max parallelism", function()
    local plan = draw.plan(source .. 's:map(print):max_parallelism(7):sink(weir.discard())')
    assert.equal(1, #plan.vertices)
  end)

  it("ends chains where the script, the parallelism or the slot group says so", function()
    local function cut(setting)
      return chains(draw.plan(sequence .. 's:map(print):filter(print)' .. setting .. ':sink(weir.discard())'))
    end
    assert.same({ "sequence | map → filter | discard" }, cut "")
    assert.same({ "sequence | map", "filter | discard" }, cut ":start_chain()")
    assert.same({ "sequence | map", "filter", "discard" }, cut ":disable_chaining()")
    assert.same({ "sequence | map", "filter", "discard" }, cut ":parallelism(3)")
    assert.same({ "sequence | map", "filter | discard" }, cut ':slot_group "other"')
  end)

  it("gives the slot group of the inputs on, and default where they differ", function()
    local plan = draw.plan(source .. [[
      local a = s:map(print):slot_group "a"
      a:filter(print):sink(weir.discard())
      a:union(s):map(print):sink(weir.discard())]])
    assert.equal("a", plan.vertices[2].slot_group)
    assert.equal("map → filter → discard", plan.vertices[2].name)
    assert.equal("default", plan.vertices[3].slot_group)
  end)

  it("rebalances where the parallelism changes and nothing else is said", function()
    local plan = draw.plan(sequence .. 's:map(print):parallelism(3):map(print):sink(weir.discard())', { parallelism = 2 })
    assert.same({ "0-rebalance-1.0", "1-rebalance-2.0" }, partitions(plan))
  end)

  it("keeps every way of travelling that the script names", function()
    for _, how in ipairs { "rebalance", "rescale", "shuffle", "global", "broadcast", "forward" } do
      local plan = draw.plan(sequence .. "s:" .. how .. "():map(print):start_chain():sink(weir.discard())")
      assert.same({ "0-" .. how .. "-1.0" }, partitions(plan))
    end
  end)

  it("computes the channel of a custom partition at the end of the chain before it", function()
    local plan = draw.plan(sequence .. 's:map(print):partition(print):map(print):parallelism(5):sink(weir.discard())')
    assert.same({ "sequence | map → partition", "map", "discard" }, chains(plan))
    assert.equal("custom", plan.edges[1].partition)
    assert.equal(5, plan.vertices[1].stages[2].operators[2].channels)
  end)

  it("refuses a custom partition that leads to different numbers of subtasks", function()
    assert.matches("parallelism 5 and 6", draw.error(sequence .. [[
      local p = s:partition(print)
      p:map(print):parallelism(5):sink(weir.discard())
      p:map(print):parallelism(6):sink(weir.discard())]]))
  end)

  it("computes the key of a function at the end of the chain before it", function()
    local plan = draw.plan(sequence .. 's:map(print):key_by(print):count():sink(weir.discard())', { parallelism = 2 })
    assert.same({ "sequence | map → key_by", "count | discard" }, chains(plan))
    assert.same({ "\0011" }, plan.edges[1].key)
    assert.same({ "\0011" }, plan.vertices[2].stages[1].key)
    assert.same({ "key" }, plan.vertices[2].stages[1].options.key_as)
  end)

  it("takes parallelism from operator, job, program, in this order; one-reader sources have 1", function()
    local plan = draw.plan(source .. 's:map(print):sink(weir.discard())', { parallelism = 4 })
    assert.same({ 1, 4 }, { plan.vertices[1].parallelism, plan.vertices[2].parallelism })
    plan = draw.plan(sequence .. 'job.options.parallelism = 3 s:map(print):parallelism(2):sink(weir.discard())',
      { parallelism = 4 })
    assert.same({ 3, 2, 3 }, { plan.vertices[1].parallelism, plan.vertices[2].parallelism, plan.vertices[3].parallelism })
    assert.equal(1, draw.plan(sequence .. 's:sink(weir.discard())').vertices[1].parallelism)
  end)

  it("P4: has default max parallelism by the parallelism", function()
    for p, max in pairs { [1] = 128, [85] = 128, [86] = 256, [170] = 256, [200] = 512, [1000] = 2048, [30000] = 32768 } do
      assert.equal(max, planner.default_max_parallelism(p), p)
    end
  end)

  it("knows keyed inputs, both keys, and states sorted by name", function()
    local plan = draw.plan(source .. [[
      s:key_by("a"):connect(s:key_by("b")):process(weir.co_process_function {
        state = { z = weir.state.value { ttl = "1m", ttl_update = "read" }, b = weir.state.list() },
        element1 = print, element2 = print, on_end = "drop",
      }):sink(weir.discard())]])
    local stage = plan.vertices[2].stages[1]
    assert.same({ "a" }, stage.key)
    assert.same({ "b" }, stage.key2)
    assert.is_nil(stage.keyed_inputs)
    assert.same({ { name = "b", kind = "list" }, { name = "z", kind = "value", ttl = 60000, ttl_update = "read" } },
      stage.states)
    assert.equal("drop", stage.options.on_end)
    assert.equal(2, plan.vertices[2].inputs)
    assert.same({ "0-hash-1.0", "0-hash-1.1" }, partitions(plan))
  end)

  it("keys only the first input where the second is broadcast", function()
    local plan = draw.plan(source .. [[
      s:key_by("a"):connect(s:broadcast()):process(weir.broadcast_function {
        state = { n = weir.state.value() }, broadcast_state = { rules = weir.state.map() },
        element = print, broadcast = print,
      }):sink(weir.discard())]])
    local stage = plan.vertices[2].stages[1]
    assert.same({ { name = "n", kind = "value" } }, stage.states)
    assert.same({ { name = "rules", kind = "map" } }, stage.broadcast)
    assert.equal(1, stage.keyed_inputs)
    assert.same({ "0-hash-1.0", "0-broadcast-1.1" }, partitions(plan))
  end)

  it("cuts stages where the error policy changes", function()
    local plan = draw.plan(source .. 's:map(print):filter(print):on_error "skip":map(print):sink(weir.discard())')
    assert.same({ "from | map | filter | map | discard" }, chains(plan))
    local policies = {}
    for i, stage in ipairs(plan.vertices[1].stages) do policies[i] = stage.on_error end
    assert.same({ "fail", "fail", "skip", "fail", "fail" }, policies)
  end)

  it("gives an operator whose dead letters are read a stage alone", function()
    local plan = draw.plan('job.options.on_error = "dead_letter" ' .. source .. [[
      local m = s:map(print):map(print)
      m:filter(print):sink(weir.discard())
      m:side_output "dead_letter":sink(weir.discard())]])
    assert.same({ "from | map | map | filter | discard | discard" }, chains(plan))
    assert.same({ { tag = "", targets = { { stage = 3 } } }, { tag = "dead_letter", targets = { { stage = 5 } } } },
      plan.vertices[1].stages[3].outs)
  end)

  it("takes the error policy from operator, job, program, in this order", function()
    local function policy(job_policy, text, program)
      local plan = draw.plan(job_policy .. source .. 's:map(print)' .. text .. ':sink(weir.discard())',
        { on_error = program })
      return plan.vertices[1].stages[2].on_error
    end
    assert.equal("fail", policy("", ""))
    assert.equal("skip", policy("", "", "skip"))
    assert.equal("fail", policy('job.options.on_error = "fail" ', "", "skip"))
    assert.equal("skip", policy('job.options.on_error = "fail" ', ':on_error "skip"'))
  end)

  it("has the buffer timeout of the stream in microseconds, else the job's", function()
    local plan = draw.plan(sequence .. [[
      s:map(print):buffer_timeout "100us":key_by("a"):count():rebalance():map(print):sink(weir.discard())]])
    assert.equal(100, plan.edges[1].timeout)
    assert.is_nil(plan.edges[2].timeout)
    local job_timeout = draw.plan('job.options.buffer_timeout = -1 ' .. sequence .. 's:rebalance():sink(weir.discard())')
    assert.equal(-1, job_timeout.edges[1].timeout)
  end)

  it("is bounded if all its sources are", function()
    assert.is_true(draw.plan(source .. 's:sink(weir.discard())').job.bounded)
    assert.is_false(draw.plan(source .. 's:union(job:source(weir.generate {})):sink(weir.discard())').job.bounded)
    assert.is_false(draw.plan('job:source(weir.files { path = "x", watch = true }):sink(weir.discard())').job.bounded)
  end)
end)

describe("the second drawing of a script", function()
  local text = source .. 's:map(print):name "one":sink(weir.discard())'

  it("agrees with the first if it draws the same", function()
    local plan, _, job = draw.plan(text)
    assert.is_nil(planner.difference(planner.fingerprint(job), planner.fingerprint(draw.job(text))))
    for _, stage in ipairs(plan.vertices[1].stages) do
      assert.is_nil(planner.verify(stage.operators, draw.job(text)))
    end
  end)

  it("is refused if an operator differs, by its name", function()
    local plan, _, job = draw.plan(text)
    local other = draw.job(source .. 's:filter(print):name "two":sink(weir.discard())')
    local message = 'the script draws another graph when it runs again: operator 2 was map "one" at job.lua:1 from 1, '
      .. 'and is now filter "two" at job.lua:1 from 1. It must draw the same graph each time; what it draws may '
      .. "depend on job.args only"
    assert.equal(message, planner.difference(planner.fingerprint(job), planner.fingerprint(other)))
    assert.equal(message, planner.verify(plan.vertices[1].stages[2].operators, other))
  end)

  it("is refused if an operator is missing or more", function()
    local _, _, job = draw.plan(text)
    local less = draw.job(source)
    assert.matches('operator 2 was map "one" .* is now missing',
      planner.difference(planner.fingerprint(job), planner.fingerprint(less)))
    assert.matches('operator 2 was not there, and is now map "one"',
      planner.difference(planner.fingerprint(less), planner.fingerprint(job)))
  end)

  it("is refused if a state changed its kind", function()
    local function drawn(kind)
      return planner.fingerprint(draw.job(source .. 's:key_by("a"):process(weir.process_function { state = { n = '
        .. 'weir.state.' .. kind .. '() }, element = print })'))
    end
    assert.matches("state n value.* is now .*state n list", planner.difference(drawn "value", drawn "list"))
  end)
end)

describe("the functions of a sink of the script's", function()
  it("are part of what its stage is, so that a running job is not told others", function()
    local function options_of(commit)
      local plan = draw.plan(source .. 's:sink(weir.sink { last_committed = function() end, commit = ' .. commit .. ' })')
      local last = plan.vertices[#plan.vertices]
      return last.stages[#last.stages].options
    end
    assert.same(options_of "function() return 1 end", options_of "function() return 1 end")
    assert.not_same(options_of "function() return 1 end", options_of "function() return 2 end")
  end)
end)
