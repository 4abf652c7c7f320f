--- The source of topics at a checkpoint, under a script that is not the one it was taken by: another end, other
--- topics. And what a checkpoint has before the first record.

local copy = require "support.copy"
local kafka = require "support.kafka"
local place = require "support.place"

local cluster = kafka.shared()
local numbers = copy.numbers

before_each(place.make)
after_each(copy.remove)

local function ends(lines)
  place.ran("--dir state", "")
  assert.equal(lines, copy.lines())
end

describe("a job that begins at a checkpoint of one without an end", function()
  local topic
  before_each(function()
    topic = cluster:topic { partitions = 3 }
    cluster:send(topic, numbers(1, 100))
    copy.write(("topic = %q"):format(topic))
    copy.kill_behind(100, "-p 2")
  end)

  it("reads up to an end that its script has, which is looked up then", function()
    cluster:send(topic, numbers(101, 200))
    copy.write(("topic = %q, stop = 'latest'"):format(topic))
    ends(200)
    copy.all_once(200)
  end)

  it("ends at once where all was read, also when the topic ends in an aborted transaction", function()
    cluster:send(topic, numbers(101, 200), topic, "abort")
    copy.write(("topic = %q, stop = 'latest'"):format(topic))
    ends(100)
  end)

  it("ends at once at a time that it is behind", function()
    copy.write(("topic = %q, stop = { timestamp = 5000 }"):format(topic))
    ends(100)
  end)

  it("ends at once at offsets that it is behind", function()
    copy.write(("topic = %q, stop = { offsets = { [0] = 1, [1] = 1, [2] = 1 } }"):format(topic))
    ends(100)
  end)
end)

describe("a job that begins at a checkpoint of one with an end", function()
  local topic
  before_each(function() -- of two partitions that are read, one to its end
    topic = cluster:topic { partitions = 2 }
    cluster:send(topic, numbers(1, 10, 0))
    cluster:send(topic, numbers(11, 510, 1))
    copy.write(("topic = %q, stop = 'latest'"):format(topic), nil,
      ":map(function(v) if v.n > 10 then local x = 0 for i = 1, 2e6 do x = x + i % 7 end end return v end)")
    copy.kill_behind(15)
    cluster:send(topic, numbers(511, 600, 0))
  end)

  it("reads up to the same end, which is what it was", function()
    copy.write(("topic = %q, stop = 'latest'"):format(topic))
    ends(510)
    copy.all_once(510)
  end)

  it("reads up to another, also in partitions that were at their end", function()
    copy.write(("topic = %q, stop = { offsets = { [0] = 60, [1] = 500 } }"):format(topic))
    ends(560)
    copy.all_once(560)
  end)

  it("goes on without one where its script has none any more", function()
    copy.write(("topic = %q"):format(topic))
    copy.stop_behind(600)
    copy.all_once(600)
  end)
end)

describe("a job that begins at a checkpoint of one that had subtasks at their end", function()
  local topic
  before_each(function() -- only the last partition has not all that is to be read
    topic = cluster:topic { partitions = 4 }
    for p = 0, 3 do cluster:send(topic, numbers(10 * p + 1, 10 * p + 10, p)) end
    copy.write(("topic = %q, stop = { offsets = { [0] = 10, 10, 10, 11 } }"):format(topic))
    copy.kill_behind(40, "-p 4")
    for p = 0, 3 do cluster:send(topic, numbers(10 * p + 41, 10 * p + 50, p)) end
  end)

  it("reads on all that has another end", function()
    copy.write(("topic = %q, stop = 'latest'"):format(topic))
    place.ran("--dir state -p 2", "")
    copy.all_once(80)
  end)

  it("reads on all without an end", function()
    copy.write(("topic = %q"):format(topic))
    copy.stop_behind(80, "-p 3")
    copy.all_once(80)
  end)
end)

describe("a job that begins at a checkpoint", function()
  it("drops a topic that its script does not name any more, and says so; another begins where `start` says", function()
    local old, kept, new = cluster:topic(), cluster:topic(), cluster:topic()
    cluster:send(old, numbers(1, 10))
    cluster:send(kept, numbers(11, 20))
    copy.write(("topics = { %q, %q }"):format(old, kept))
    copy.stop_behind(20)
    cluster:send(old, numbers(901, 910))
    cluster:send(new, numbers(911, 920))
    copy.write(("topics = { %q, %q }, start = 'latest'"):format(kept, new))
    copy.begin()
    copy.await_word(("a new partition is read: %s[0]"):format(new))
    copy.await_word(('partition 0 of topic "%s", which the checkpoint has, is dropped'):format(old))
    assert.equal(1, select(2, place.read("err"):gsub("is dropped", "")), place.read "err")
    cluster:send(kept, numbers(21, 30))
    cluster:send(new, numbers(31, 40))
    copy.await_lines(40)
    copy.stop()
    copy.all_once(40)
  end)

  it("reads all of a topic that came since, and matches its pattern as before", function()
    local name = kafka.unique "came"
    cluster:create(name .. "-1")
    cluster:send(name .. "-1", numbers(1, 10))
    copy.write(("pattern = '%s-.*'"):format(name))
    copy.kill_behind(10)
    cluster:create(name .. "-2")
    cluster:send(name .. "-2", numbers(11, 20))
    copy.write(("pattern = '%s-.*', start = 'latest'"):format(name))
    copy.stop_behind(20)
    copy.all_once(20)
  end)

  it("fails when its script names in addition what does not exist", function()
    local topic = cluster:topic()
    cluster:send(topic, numbers(1, 10))
    copy.write(("topic = %q"):format(topic))
    copy.stop_behind(10)
    copy.write(("topics = { %q, 'nowhere' }, timeout = '10ms'"):format(topic))
    local _, code, err = place.run "--dir state"
    assert.equal(1, code, err)
    assert.truthy(err:find('the topic "nowhere" does not exist', 1, true), err)
  end)
end)

describe("the latest", function()
  -- Records come before the job begins, and others when it is gone: `once` begins it in between, and kills it.
  local function reads_what_came_later(once)
    local topic = cluster:topic { partitions = 2 }
    cluster:send(topic, numbers(901, 910))
    copy.write(("topic = %q, start = 'latest'"):format(topic))
    once()
    cluster:send(topic, numbers(1, 50))
    copy.stop_behind(50)
    copy.all_once(50)
  end

  it("is where that was when the job first began, over a restart", function()
    reads_what_came_later(function() copy.run_to_checkpoint "2 partitions are read" end)
  end)

  it("is in a checkpoint as soon as it is looked up: a crash before the first record skips none", function()
    reads_what_came_later(function()
      copy.begin "--checkpoint-every 1h"
      copy.await_checkpoint()
      copy.kill()
    end)
  end)

  it("is looked up when topics are there: what was checkpointed before has none", function()
    local here, later = cluster:topic(), kafka.unique "later"
    cluster:send(here, numbers(901, 910))
    copy.write(("topics = { %q, %q }, start = 'latest', wait = true"):format(here, later))
    copy.begin()
    copy.await_word(('the topic "%s" does not exist; it is waited for, and read from its beginning'):format(later))
    copy.await_checkpoint()
    copy.kill()
    cluster:send(here, numbers(1, 20))
    cluster:create(later)
    cluster:send(later, numbers(21, 40))
    copy.stop_behind(40)
    copy.all_once(40)
  end)
end)
