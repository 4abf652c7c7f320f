local draw = require "support.draw"

local source = 'local s = job:source(weir.from { { a = 1 } }) '

describe("drawing a job", function()
  it("gives each operator its place in the graph and in the script", function()
    local job = draw.job [[

      job:source(weir.files "x")
        :map(function(r) return r end)
        :sink(weir.print())]]
    assert.equal(3, #job.nodes)
    assert.equal("job.lua:2", job.nodes[1].where)
    assert.equal("job.lua:3", job.nodes[2].where)
    assert.equal("job.lua:4", job.nodes[3].where)
    assert.same({ { node = 1, tag = "" } }, job.nodes[2].inputs)
  end)

  it("takes the arguments of the command line", function()
    local job = draw.job('job.name = job.args.who', { who = "ann" })
    assert.equal("ann", job.name)
  end)

  it("gives generators a source and a function", function()
    local job = draw.job 'job:source(weir.generate { count = 3, fn = function(n) return n end }):uid "g"'
    assert.equal("sequence", job.nodes[1].kind)
    assert.equal("map", job.nodes[2].kind)
    assert.equal("g.source", job.nodes[1].uid)
    assert.equal("g", job.nodes[2].uid)
  end)

  it("has a source and the function that decodes for it follow one policy, and put aside in one place", function()
    local job = draw.job [[
      local s = job:source(weir.kafka { brokers = "a:1", topic = "t", format = function(bytes) return bytes end })
      s:on_error "dead_letter":sink(weir.print())
      s:side_output "dead_letter":sink(weir.print())]]
    assert.equal("dead_letter", job.nodes[1].on_error)
    assert.equal("dead_letter", job.nodes[2].on_error)
    local from = {}
    for i, input in ipairs(job.nodes[4].inputs) do from[i] = { input.node, input.tag } end
    assert.same({ { 2, "dead_letter" }, { 1, "dead_letter" } }, from)
  end)

  it("computes keys made by functions in a helper operator before the exchange", function()
    local job = draw.job(source .. 's:key_by(function(r) return r.a, r.b end, "x", "y"):count()')
    assert.equal("key_select", job.nodes[2].kind)
    assert.same({ parts = 2 }, job.nodes[2].options)
    assert.same({ names = { "\0011", "\0012" }, as = { "x", "y" } }, job.nodes[3].inputs[1].key)
  end)

  it("calls the parts of nested keys by their last name", function()
    local job = draw.job(source .. 's:key_by("user.id", "day"):count()')
    assert.same({ "user.id", "day" }, job.nodes[2].key.names)
    assert.same({ "id", "day" }, job.nodes[2].options.key_as)
  end)

  it("lets the last partitioning win", function()
    local job = draw.job(source .. 's:rebalance():broadcast():map(function(r) return r end)')
    assert.equal("broadcast", job.nodes[2].inputs[1].partition)
  end)

  it("unites streams as several inputs of one operator", function()
    local job = draw.job(source .. 's:union(s, s:rebalance()):map(function(r) return r end)')
    assert.equal(3, #job.nodes[2].inputs)
    assert.equal("rebalance", job.nodes[2].inputs[3].partition)
  end)
end)

describe("a mistake in a script is an error at its line:", function()
  local cases = {
    { "an unknown option", 'job:source(weir.files {\npth = 1 })',
      'job.lua:1: weir.files: unknown option "pth"; did you mean "path"?' },
    { "an option of a wrong type", '\njob:source(weir.files { path = 5 })',
      'job.lua:2: weir.files: option "path" must be a path, a glob or a list of them, not 5' },
    { "a missing option", '\n\nweir.sequence {}',
      'job.lua:3: weir.sequence: option "to" is missing: give a whole number' },
    { "a misspelt method", source .. '\ns:fliter(function() end)',
      'job.lua:2: stream has no method "fliter"; did you mean "filter"?' },
    { "a misspelt method of the job", '\njob:sorce()', 'job.lua:2: job has no method "sorce"; did you mean "source"?' },
    { "a misspelt constructor", '\nweir.flies "x"', 'job.lua:2: weir has no flies; did you mean "files"?' },
    { "a dot for a colon", source .. '\ns.map(function() end)', 'job.lua:2: map is called with a colon: stream:map(…)' },
    { "an argument too many", source .. '\ns:map(print, { parallelism = 4 })',
      'job.lua:2: stream:map takes one argument only' },
    { "an argument for a method without any", source .. '\ns:rebalance(4)', 'job.lua:2: stream:rebalance takes no argument' },
    { "options behind the main one", '\nweir.files("x", { format = weir.json() })',
      'job.lua:2: weir.files takes one argument only' },
    { "no table where pairs walks", '\nweir.pairs(nil)', 'job.lua:2: weir.pairs takes a table, not a nil' },
    { "no function where one is needed", source .. '\ns:map "x"',
      'job.lua:2: stream:map: its argument must be a function, not "x"' },
    { "something else as a source", '\njob:source "x"',
      'job.lua:2: job:source takes a source such as weir.files { path = … }, not "x"' },
    { "something else as a sink", source .. '\ns:sink {}',
      'job.lua:2: stream:sink takes a sink such as weir.print(), not a table' },
    { "a source without a sink", '\njob:source(weir.stdin())',
      'job.lua:2: source "stdin" leads nowhere: end the stream with :sink(…), weir.discard() drops its records' },
    { "an operator without a sink", source .. 's:sink(weir.discard())\ns:filter(function() end):name "odd"',
      'job.lua:2: operator "odd" leads nowhere: end the stream with :sink(…), weir.discard() drops its records' },
    { "two readers of standard input", '\nlocal a = job:source(weir.stdin())\nlocal b = job:source(weir.stdin { wal = true })\n'
      .. 'a:union(b):sink(weir.discard())',
      'job.lua:3: standard input is read by another source already (job.lua:2), and each of its lines comes once: draw '
      .. 'both streams from one source' },
    { "two writers of one file", source .. '\ns:sink(weir.file_sink "out")\ns:sink(weir.file_sink { path = "out", append = true })',
      'job.lua:3: sink "file_sink" writes the file "out", and so does another one (job.lua:2): give each its own, or one '
      .. 'sink the union of their streams' },
    { "two writers of one file, exactly once", source .. '\ns:sink(weir.file_sink { path = "out", append = true })\n'
      .. 's:sink(weir.file_sink { path = "out", append = true, guarantee = "exactly_once" })',
      'job.lua:3: sink "file_sink" writes the file "out", and so does another one (job.lua:2): give each its own, or one '
      .. 'sink the union of their streams' },
    { "a job without a source", "", 'job.lua:1: job "test" has no source: begin with job:source(weir.files { path = … })' },
    { "two jobs", '\nweir.job {}', 'job.lua:2: a script draws one job, and weir.job was called before (job.lua:1)' },
    { "P14: a uid twice", source .. 's:map(print):uid "u":sink(weir.discard())\ns:filter(print):uid "u":sink(weir.discard())',
      'job.lua:2: uid "u" is taken by operator "map" (job.lua:1); each operator needs its own' },
    { "a malformed uid", source .. '\ns:map(print):uid "a b"',
      'job.lua:2: stream:uid: the uid must be a string of letters, digits and - _ . : /, not "a b"' },
    { "keyed state without a key",
      source .. '\ns:process(weir.process_function { state = { n = weir.state.value() }, element = print })',
      'job.lua:2: stream:process: the state "n" is kept per key, and this stream has no key: put :key_by(…) before it' },
    { "timers without a key", source .. '\ns:process(weir.process_function { element = print, timer = print })',
      'job.lua:2: stream:process: timers belong to a key, and this stream has none: put :key_by(…) before it' },
    { "an aggregate without a key", source .. '\ns:count()',
      'job.lua:2: stream:count works per key, and this stream has none: put :key_by(…) before it' },
    { "an aggregate behind a lost key", source .. '\ns:key_by("a"):map(print):sum "x"',
      'job.lua:2: stream:sum works per key, and this stream has none: put :key_by(…) before it' },
    { "a result in place of the key", source .. '\ns:key_by("a"):sum "a"',
      'job.lua:2: stream:sum: the result would replace the key field "a": give another name with as = "…"' },
    { "negative parallelism", source .. '\ns:map(print):parallelism(-1)',
      'job.lua:2: stream:parallelism: the parallelism must be a whole number from 1 to 32768, not -1' },
    { "parallelism above max parallelism", source .. '\ns:map(print):max_parallelism(4):parallelism(5)',
      'job.lua:2: stream:parallelism: parallelism 5 is more than max_parallelism 4' },
    { "parallelism of a source that has one reader", '\njob:source(weir.stdin()):parallelism(2)',
      'job.lua:2: stream:parallelism: source "stdin" is read by one subtask; its parallelism is always 1' },
    { "a setting of a view", source .. '\ns:key_by("a"):uid "x"',
      'job.lua:2: stream:uid is a setting of an operator: call it on the stream that the operator gave, before key_by, '
      .. 'union, side_output and the like' },
    { "a key of a wrong type", source .. '\ns:key_by(5)',
      'job.lua:2: stream:key_by: a key is the name of a field or a function, not 5' },
    { "a key field twice", source .. '\ns:key_by("a", "a")', 'job.lua:2: stream:key_by names the field "a" twice' },
    { "a key without fields", source .. '\ns:key_by()', 'job.lua:2: stream:key_by takes 1 to 16 field names, or a function' },
    { "a side output of a map", source .. '\ns:map(print):side_output "late"',
      'job.lua:2: stream:side_output: operator "map" has no side output "late": only process functions and flat_map '
      .. 'emit to one' },
    { "dead letters that nobody reads", source .. '\ns:map(print):on_error "dead_letter":sink(weir.discard())',
      'job.lua:2: nobody reads the dead letters of operator "map": add stream:side_output("dead_letter"), or take '
      .. 'on_error "skip"' },
    { "dead letters of an operator that has none",
      source .. 'local m = s:map(print) m:sink(weir.discard())\nm:side_output "dead_letter":sink(weir.discard())',
      'job.lua:2: operator "map" has no dead letters: its errors fail the job; add :on_error "dead_letter" to it' },
    { "more side outputs than there may be", source .. 'local f = s:flat_map(print)\nfor i = 1, 33 do f:side_output("t" .. i) end',
      'job.lua:2: stream:side_output: operator "flat_map" has more than 32 side outputs; put the kind into the record '
      .. 'and filter' },
    { "more broadcast states than there may be", 'local b = {} for i = 1, 33 do b["s" .. i] = weir.state.map() end\n'
      .. 'weir.broadcast_function { broadcast_state = b, element = print, broadcast = print }',
      'job.lua:2: weir.broadcast_function: option "broadcast_state" must be a table of map states, '
      .. '{ name = weir.state.map() }, not a table; more than 32 states' },
    { "a policy that does not exist", source .. '\ns:map(print):on_error "ignore"',
      'job.lua:2: stream:on_error: the policy must be one of "fail", "skip", "dead_letter", not "ignore"' },
    { "a state descriptor that is none", '\nweir.process_function { element = print, state = { n = 5 } }',
      'job.lua:2: weir.process_function: option "state" must be a table of states, { name = weir.state.value() }, '
      .. 'not a table; "n" is 5' },
    { "a state with the name of a method",
      '\nweir.process_function { element = print, state = { emit = weir.state.value() } }',
      'job.lua:2: weir.process_function: option "state" must be a table of states, { name = weir.state.value() }, '
      .. 'not a table; ctx has a method "emit": call the state otherwise' },
    { "S10: a ttl of nothing", '\nweir.state.value { ttl = 0 }',
      'job.lua:2: weir.state.value: option "ttl" must be a positive duration such as "10s", "1h30m" or 500 (ms), not 0' },
    { "ttl options without a ttl", '\nweir.state.value { ttl_update = "read" }',
      'job.lua:2: weir.state.value: option "ttl" is missing: the other ttl options need it' },
    { "a process function of the wrong kind", source .. '\ns:process(weir.co_process_function { element1 = print, element2 = print })',
      'job.lua:2: stream:process takes a function or a weir.process_function { … }, not a weir.co_process_function '
      .. '(those are for connected streams)' },
    { "a broadcast function on a stream that is not broadcast",
      source .. '\ns:connect(s):process(weir.broadcast_function { broadcast_state = { r = weir.state.map() }, '
      .. 'element = print, broadcast = print })',
      'job.lua:2: connected:process: a weir.broadcast_function needs a broadcast second stream: a:connect(b:broadcast())' },
    { "keys of different lengths", source .. '\ns:key_by("a"):connect(s:key_by("a", "b")):map(print, print)',
      'job.lua:2: connected streams must have keys of as many parts: 1 and 2' },
    { "shared state with one key", source .. '\ns:key_by("a"):connect(s):process(weir.co_process_function { '
      .. 'state = { n = weir.state.value() }, element1 = print, element2 = print })',
      'job.lua:2: connected:process: state and timers belong to a key, and only one of the streams has one: key both' },
    { "no list in weir.from", '\nweir.from { a = 1 }',
      'job.lua:2: weir.from takes a list of records; it has the key "a" (a single record is written { { … } })' },
    { "a line larger than a row", '\nweir.stdin { max_line = "1g" }',
      'job.lua:2: weir.stdin: option "max_line" must be a size up to "512MiB", not "1g"' },
    { "csv whose separator is the quote", '\nweir.csv { separator = "|", quote = "|" }',
      'job.lua:2: weir.csv: options "separator" and "quote" are the same' },
    { "csv whose separator ends lines", '\nweir.csv { separator = "\\n" }',
      'job.lua:2: weir.csv: option "separator" must be one character, and no line end, not "\\n"' },
    { "csv with a type of no column", '\nweir.csv { columns = { "amount" }, types = { amout = "number" } }',
      'job.lua:2: weir.csv: option "types" names "amout", which is none of the columns; did you mean "amount"?' },
    { "csv without names", '\nweir.csv { header = false }',
      'job.lua:2: weir.csv: without a header line the option "columns" must name the columns' },
    { "a timeout that is none", source .. '\ns:map(print):buffer_timeout "soon"',
      'job.lua:2: stream:buffer_timeout: the timeout must be a duration such as "10ms" or "100us", 0 (every record) '
      .. 'or -1 (only full buffers), not "soon"' },
    { "forward to another parallelism",
      source .. '\ns:forward():map(print):parallelism(3):sink(weir.discard())',
      'job.lua:2: operator "map": forward needs the same parallelism on both sides, here 1 and 3; use rebalance or rescale' },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(case[3], draw.error(case[2]))
    end)
  end

  it("parallelism from the program above max parallelism", function()
    assert.equal('job.lua:1: operator "map": parallelism 9 is more than max parallelism 8',
      draw.error(source .. 's:map(print):max_parallelism(8):sink(weir.discard())', { parallelism = 9 }))
  end)

  it("a script that draws nothing", function()
    require("weir.job").prepare()
    local ok, err = pcall(require("weir.plan").make, nil, {})
    assert.is_false(ok)
    assert.equal("the script drew no job: it begins with weir.job { … } and ends with return job", err)
  end)
end)
