--- The last commits of an exactly-once sink of Kafka whose broker is gone when the job ends: they are waited for, or
--- told and left to the next run; and what a consumer group hears at the end.

local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

local COUNT = 3000
local own, topic

setup(function() own = kafka.start(1) end)
teardown(function() own:close() end)
before_each(function()
  place.make()
  topic = own:topic { name = "last", partitions = 2 }
  place.write("job.lua", ([[
    local weir = require "weir"
    local job = weir.job { name = "numbers" }
    job:source(weir.generate { rate = tonumber(job.args.rate), count = %d, fn = function(i) return { v = i } end })
      :sink(weir.kafka_sink { brokers = "%s", topic = "%s", format = function(r) return ("%%d"):format(r.v) end,
        guarantee = "exactly_once", transactional_id_prefix = "%s" }):uid "out"
    return job]]):format(COUNT, own.brokers, topic, topic))
end)
after_each(place.remove)

-- Each number is committed once.
local function all_once()
  local seen, total = {}, 0
  for v in own:values(topic):gmatch "%d+" do
    assert.is_nil(seen[v], v .. " is there twice")
    seen[v], total = true, total + 1
  end
  assert.equal(COUNT, total)
end

-- Begins job.lua; its node goes away before the input ends. Standard error is in `err`, the exit code will be in `code`.
local function bereft(options)
  place.write("err", "")
  place.sh(("{ $W run -q --dir state --checkpoint-every 50ms %s job.lua rate=500 2>err; echo $? >code; } >out 2>&1 &"):format(options))
  kafka.await("the first checkpoint", function() return select(2, place.sh "ls state/chk-*/manifest") == 0 end)
  own:kill(1)
end

-- The error says what is left, and the command that it names commits it when the node is back.
local function made_good(err)
  assert.truthy(err:find('%d+ rows? %(%d+ bytes as logged%) of epochs? [%d to]+ of sink "out" [ai][rs]e? not committed'), err)
  local command = err:match "in the epoch log of the checkpoint state/chk%-%d+, and `weir ([^`]*)` commits them"
  assert.truthy(command, err)
  own:up(1)
  local _, code, said = place.sh("$W " .. command)
  assert.equal(0, code, said)
  all_once()
end

describe("a job whose broker is gone when its input ends", function()
  it("says that it waits, and why, and commits when the broker is back", function()
    bereft ""
    kafka.await("word of it", function() return place.read("err"):find "waiting to commit epoch %d+ of out: [^\n]*refused" end)
    own:up(1)
    local code, err = place.ended()
    assert.equal(0, code, err)
    assert.equal(1, select(2, err:gsub("waiting to commit", "")), err)
    all_once()
  end)

  it("fails when its patience is over, and says what is left", function()
    bereft "--restart none --commit-patience 1s"
    local code, err = place.ended()
    assert.equal(1, code, err)
    made_good(err)
  end)

  it("ends soon when it is interrupted, and says the same", function()
    bereft "--commit-patience 1h"
    kafka.await("word of it", function() return place.read("err"):find("waiting to commit", 1, true) end)
    local out, code, err = place.sh([[pid=$($W info --json numbers | grep -o '"pid":[0-9]*' | grep -o '[0-9]*')
      kill -INT $pid; timeout 15 tail --pid=$pid -f /dev/null || kill -9 $pid]])
    assert.equal(0, code, out .. err)
    code, err = place.ended()
    assert.equal(130, code, err)
    made_good(err)
  end)
end)

describe("a job that is stopped when its broker is gone", function()
  for _, how in ipairs { "stop", "stop --drain" } do
    it("by `weir " .. how .. "` fails when its patience is over, as does who stops it", function()
      bereft "--commit-patience 1s"
      local _, code, said = place.sh("$W " .. how .. " numbers")
      assert.equal(1, code, said)
      assert.truthy(said:find("not committed, and so not visible", 1, true), said)
      local err
      code, err = place.ended()
      assert.equal(1, code, err)
      made_good(err)
    end)
  end
end)

describe("a job that tells a group of its positions", function()
  it("has told it of the last ones when it has been stopped", function()
    local from, group = own:topic {}, kafka.unique "group"
    own:produce(from, "1\n2\n3\n")
    place.write("job.lua", ([[
      local weir = require "weir"
      local job = weir.job { name = "reader" }
      job:source(weir.kafka { brokers = "%s", topic = "%s", group = "%s", format = weir.text() })
        :sink(weir.file_sink { path = "read", format = weir.lines() })
      return job]]):format(own.brokers, from, group))
    local out, code, err = place.sh(([[$W run -q --dir state --checkpoint-every 1h job.lua 2>err & pid=$!
      %s; $W stop reader; wait $pid; code=$?; cat err >&2; exit $code]])
      :format(shell.await("[ $(cat read 2>/dev/null | wc -l) = 3 ]", "$pid")))
    assert.equal(0, code, out .. err)
    assert.equal(3, own:client():committed(group)[from][0].offset)
  end)
end)
