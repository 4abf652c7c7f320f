local draw = require "support.draw"
local cli = require "weir.cli"
local jsontext = require "weir.jsontext"

local text = [[

local words = job:source(weir.files "books/*.txt"):flat_map(print):uid "split"
words:key_by("lang", "word"):count():sink(weir.print())
words:side_output("odd"):connect(job:source(weir.from { { a = 1 } }):broadcast())
  :map(print, print):name "check":sink(weir.discard())]]

local function graph(opts)
  local plan, _, job = draw.plan(text, { parallelism = 2 })
  return cli.graph(job, plan, opts)
end

describe("a graph", function()
  it("as text is a tree from the sources down", function()
    assert.equal([[
test (logical)
files                         source  job.lua:2
└─ flat_map                   uid split  job.lua:2
  ├─hash(lang, word)─▶ count  job.lua:3
  │ └─ print                  sink  guarantee: none  job.lua:3
  └─side output odd─▶ check   co_map  job.lua:5
    └─ discard                sink  guarantee: none  job.lua:5
from                          source  job.lua:4
└─broadcast, input 2─▶ check (drawn above)
]], graph { view = "logical" })
  end)

  it("of tasks shows chains, subtasks and exchanges", function()
    assert.equal([[
test (physical, bounded)
files → flat_map ×2                              [files]  [lua: flat_map]
├─hash(lang, word)─▶ count → print ×2            [aggregate: count]  [print]
└─forward, side output odd─▶ check → discard ×2  [lua: check]  [discard]
from ×1                                          [values: from]
└─broadcast, input 2─▶ check → discard ×2 (drawn above)
]], graph { view = "physical" })
  end)

  it("is logical and physical unless one is asked for", function()
    assert.equal(graph { view = "logical" } .. "\n" .. graph { view = "physical" }, graph())
  end)

  it("says what a sink promises with checkpoints of its mode", function()
    local rolling = 'job:source(weir.from { { a = 1 } }):sink(weir.rolling_files "out")'
    local function promised(opts)
      local plan, _, job = draw.plan(rolling, {})
      opts.view = "logical"
      return cli.graph(job, plan, opts)
    end
    assert.truthy(promised({}):find("guarantee: exactly once", 1, true))
    assert.truthy(promised({ mode = "exactly_once" }):find("guarantee: exactly once", 1, true))
    assert.truthy(promised({ mode = "at_least_once" }):find("guarantee: at least once", 1, true))
    assert.truthy(promised({ mode = "at_least_once", json = true }):find('"guarantee": "at_least_once"', 1, true))
    assert.truthy(promised({ mode = "none" }):find("guarantee: none", 1, true))
    assert.truthy(graph({ mode = "at_least_once" }):find("guarantee: none", 1, true))
  end)

  it("as Graphviz has a node for each operator and an edge for each input", function()
    assert.equal([[
digraph "test (logical)" {
  rankdir=LR; node [fontname=sans]; edge [fontname=sans];
  n1 [shape=cds, label="files\nsource"];
  n2 [shape=box, label="flat_map\nuid split"];
  n3 [shape=box, label="count"];
  n4 [shape=note, label="print\nsink\nguarantee: none"];
  n5 [shape=cds, label="from\nsource"];
  n6 [shape=box, label="check\nco_map"];
  n7 [shape=note, label="discard\nsink\nguarantee: none"];
  n1 -> n2;
  n2 -> n3 [label="hash(lang, word)"];
  n3 -> n4;
  n2 -> n6 [label="side output odd"];
  n5 -> n6 [label="broadcast, input 2"];
  n6 -> n7;
}
]], graph { format = "dot", view = "logical" })
  end)

  it("as Mermaid is a flowchart", function()
    assert.equal([[
flowchart LR
  n1["files → flat_map ×2<br>[files]<br>[lua: flat_map]"]
  n2["count → print ×2<br>[aggregate: count]<br>[print]"]
  n3["from ×1<br>[values: from]"]
  n4["check → discard ×2<br>[lua: check]<br>[discard]"]
  n1 -->|"hash(lang, word)"| n2
  n1 -->|"forward, side output odd"| n4
  n3 -->|"broadcast, input 2"| n4
]], graph { format = "mermaid", view = "physical" })
  end)

  it("as JSON has operators from 1 and vertices from 0", function()
    local line = graph { json = true }
    assert.equal(graph { format = "json" }, line)
    assert.matches('^{"job": "test", "logical": {', line)
    assert.matches('{"id": 3, "inputs": %[{"input": 0, "key": %["lang", "word"%], "node": 2, "partition": "hash", '
      .. '"tag": ""}%], "kind": "aggregate", "name": "count"', line)
    assert.matches('"edges": %[{"from": 0, "input": 0, "key": "lang, word", "name": "flat_map → count", '
      .. '"partition": "hash", "to": 1}', line)
    assert.matches("\n$", line)
  end)

  it("refuses a notation that it does not know", function()
    assert.has_error(function() graph { format = "svg" } end, "unknown notation of graphs: svg")
  end)
end)

describe("check", function()
  it("says what was built, and lists files and warnings", function()
    local plan, warnings, job = draw.plan(text, { parallelism = 2 })
    assert.equal([[
test: 7 operators in 4 tasks, 7 subtasks; ends with its input
bundle 00ff:
  job.lua (120 bytes)
  lib/x.lua
warning: job.lua:3: operator "count" keeps state under the derived uid "count<flat_map>": ]]
      .. [[renaming it or its inputs would lose the state; pin it with :uid "…"
]], cli.check(job, plan, {
        warnings = warnings, hash = "00ff", files = { { name = "job.lua", bytes = 120 }, { name = "lib/x.lua" } },
      }))
  end)

  it("says that there is nothing to warn of", function()
    local plan, warnings, job = draw.plan 'job:source(weir.from { 1 }):sink(weir.discard())'
    assert.equal("test: 2 operators in 1 task, 1 subtask; ends with its input\nno warnings\n",
      cli.check(job, plan, { warnings = warnings }))
  end)

  it("says the same as JSON", function()
    local plan, warnings, job = draw.plan 'job:source(weir.generate { rate = 1 }):sink(weir.discard())'
    assert.equal('{"bounded": false, "files": [], "job": "test", "operators": 2, "subtasks": 1, "tasks": 1, '
      .. '"warnings": []}\n', cli.check(job, plan, { warnings = warnings, json = true }))
  end)
end)

describe("JSON text", function()
  it("escapes strings and sorts keys", function()
    assert.equal('{"a": "q\\"\\\\\\n\\u0001é", "b": [1, 2.5, true], "c": [], "d": {}}', jsontext.encode {
      b = { 1, 2.5, true }, a = 'q"\\\n\1é', c = jsontext.list(), d = {},
    })
    assert.equal("[null, null, 9007199254740992]", jsontext.encode { 0 / 0, 1 / 0, 2 ^ 53 })
  end)
end)
