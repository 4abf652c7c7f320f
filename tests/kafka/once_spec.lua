--- weir.kafka_sink, exactly once: killed at each step of its protocol, fenced, restored on purpose elsewhere; what is
--- committed, read by kcat, is each record once.

local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"
local steps = require("crash.process").steps

local cluster = kafka.shared()
local COUNT = 3000

local topic, folder
before_each(function()
  folder = place.make()
  topic = cluster:topic { name = "once", partitions = 2 }
end)
after_each(place.remove)

local function write(options)
  place.write("job.lua", ([[
    local weir = require "weir"
    local job = weir.job { name = "numbers", max_parallelism = 16 }
    job:source(weir.generate { rate = tonumber(job.args.rate), count = tonumber(job.args.count) or %d,
      fn = function(i) return { k = "k" .. i %% 7, v = i } end })
      :key_by "k":map(function(rec) return rec end)
      :sink(weir.kafka_sink { brokers = "%s", topic = "%s", key = "k", format = function(r) return ("%%d"):format(r.v) end,
        guarantee = "exactly_once", transactional_id_prefix = "%s", %s }):uid "out"
    return job]]):format(COUNT, cluster.brokers, topic, topic, options or ""))
end

-- Each number is committed once, of `count` or of as many as there are (0); where one subtask wrote them, those of a
-- key are in order. What has the key "other" is not the job's.
local function all_once(one_subtask, count)
  local seen, last, total = {}, {}, 0
  for _, record in ipairs(cluster:consume(topic)) do
    local v, at = tonumber(record.value), record.partition .. record.key
    if record.key ~= "other" then
      assert.is_nil(seen[v], ("%d is there twice"):format(v))
      seen[v], total = true, total + 1
      if one_subtask then assert.is_true(v > (last[at] or -1), "out of order: " .. record.key) end
      last[at] = v
    end
  end
  if count == 0 then count = total end
  for v = 0, (count or COUNT) - 1 do assert.truthy(seen[v], v .. " is missing") end
  assert.equal(count or COUNT, total)
end

-- A command that succeeds when something is committed.
local function visible()
  return ("kcat -b %s -q -C -e -t %s -X isolation.level=read_committed 2>/dev/null | grep -q ."):format(cluster.brokers, topic)
end

-- It must not get through with its rows before: what it has committed stays in the topic.
local function killed(options, args, point)
  local _, code, err = place.run(options .. " --fault " .. point .. "=kill", args)
  assert.equal(137, code, "was not killed: " .. err)
end

describe("an exactly-once sink of Kafka", function()
  it("sends all in one transaction at the end of its input when there are no checkpoints", function()
    write()
    place.ran "-p 2"
    all_once()
  end)

  -- The library takes many messages at once, of one topic and of one kind, and its queue is shorter than that.
  for kind, format in pairs {
    made = "",
    ["of the record"] = "format = function(r) if r.v % 10 ~= 4 then return r.v .. (r.pad or '') end end, ",
  } do
    it("keeps the order of messages of all kinds, their values " .. kind, function()
      local main, other, found = cluster:topic(), cluster:topic(), { {}, {} }
      place.write("job.lua", ([[
        local weir = require "weir"
        local job = weir.job { name = "kinds" }
        local pad = ("x"):rep(70000)
        job:source(weir.generate { count = 2000, fn = function(i) return { v = i, pad = i %% 500 == 3 and pad or nil } end })
          :sink(weir.kafka_sink { brokers = "%s", guarantee = "exactly_once", transactional_id_prefix = "%s", %s
            topic = function(r) return r.v %% 50 < 5 and "%s" or "%s" end, marker_topic = "%s",
            key = function(r) return r.v %% 3 > 0 and "k" .. r.v or nil end,
            headers = function(r) return r.v %% 100 == 9 and { n = r.v } or nil end,
            timestamp = function(r) return r.v %% 90 < 20 and 1700000000000 + r.v or nil end,
            properties = { ["queue.buffering.max.messages"] = 50 } })
        return job]]):format(cluster.brokers, topic, format, other, main, main))
      place.ran()
      for i, name in ipairs { main, other } do
        for _, record in ipairs(cluster:consume(name)) do
          local v = tonumber(record.value and (record.value:match "^%d+" or record.value:match '"v":(%d+)}$'))
          v = v or assert(found[i][#found[i]]) + 1 -- a tombstone; in a topic none is first
          assert.equal(v % 3 > 0 and "k" .. v or nil, record.key)
          assert.equal(v % 100 == 9 and "n=" .. v or "", record.headers)
          if v % 90 < 20 then assert.equal(1700000000000 + v, record.timestamp) end
          if v % 500 == 3 and record.value then assert.is_true(#record.value > 70000) end
          table.insert(found[i], v)
        end
      end
      local of = { {}, {} }
      for v = 0, 1999 do table.insert(of[v % 50 < 5 and 2 or 1], v) end
      assert.same(of, found)
    end)
  end

  for _, point in ipairs { "kafka.claim:2", "commit.begin:3", "kafka.begin:3", "kafka.send:3", "kafka.marker:3",
    "kafka.commit:3", "commit.done:3", "checkpoint.complete:3", "log.append:3", "log.cut:3", "log.sealed:3",
    "blob.remove:3" } do
    it("has each record once when it is killed at " .. point, function()
      write()
      killed("--dir state --checkpoint-every 30ms -p 2", "rate=400", point)
      place.ran("--dir state --checkpoint-every 200ms -p 2", "")
      all_once()
    end)
  end

  it("shows nothing of a transaction that was not committed, and goes on at another parallelism", function()
    write()
    killed("--dir state --checkpoint-every 30ms -p 3", "rate=400", "kafka.marker:4")
    killed("--dir state --checkpoint-every 30ms -p 1", "rate=400", "kafka.send:2")
    killed("--dir state --checkpoint-every 30ms -p 3", "rate=400", "kafka.commit:2")
    place.ran("--dir state --checkpoint-every 200ms -p 2", "")
    all_once()
  end)

  it("waits for no process that died as it claimed a log which another one's subtask has inherited since", function()
    write()
    killed("--dir state --checkpoint-every 30ms -p 2", "rate=400", "kafka.commit:5")
    local id = topic .. "-out-1"
    local dead = cluster:connect(nil, { ["transactional.id"] = id, ["transaction.timeout.ms"] = 600000 })
    dead:begin()
    dead:put(id, { [topic] = { [0] = 0 } })
    place.ran("--dir state --checkpoint-every 200ms -p 1 --restart none", "")
    dead:close()
    all_once()
  end)

  it("needs no transaction that stays open: its id may be taken from it, and it mends that", function()
    write()
    local steals = ("{ echo k:x | kcat -b %s -q -P -K: -t %s -X transactional.id=%s-out-0; grep -q 'tried again' err; }")
      :format(cluster.brokers, cluster:topic(), topic)
    local out, code, err = place.sh(([[$W run --dir state --checkpoint-every 50ms job.lua rate=400 count=1000000 2>err & pid=$!
      %s; %s; kill -INT $pid; wait $pid; code=$?; cat err >&2; exit $code]]):format(shell.await(visible(), "$pid"),
      shell.await(steals, "$pid")))
    assert.equal(130, code, out .. err)
    assert.truthy(err:find("fenced by a newer instance; it is tried again", 1, true), err)
    all_once(true, 0)
  end)

  it("stops when a newer process of its job has begun, and writes nothing more", function()
    write()
    place.sh "mkdir old new; cp job.lua old; sed 's/v = i }/v = 1000000000 + i }/' job.lua >new/job.lua"
    local _, code, err = place.sh(([[cd old; $W run -q --dir state --checkpoint-every 20ms job.lua rate=500 count=100000000 2>err & pid=$!
      %s; cd ../new
      $W run -q --dir state --checkpoint-every 50ms job.lua count=100 rate=500 >out 2>&1 || { cat out >&2; kill -9 $pid; exit 3; }
      cd ../old; wait $pid; code=$?; cat err >&2; exit $code]]):format(shell.await(
      visible(), "$pid")))
    assert.equal(1, code, err)
    assert.truthy(err:find("another process of this job began after this one", 1, true), err)
    assert.is_nil(err:find("is run again", 1, true), err)
    local newer, count = {}, 0
    for _, record in ipairs(cluster:consume(topic)) do
      local is_newer = tonumber(record.value) >= 1e9
      assert.is_true(is_newer or not newer[record.partition], "written behind the newer process: " .. record.value)
      newer[record.partition], count = is_newer, count + (is_newer and 1 or 0)
    end
    assert.equal(100, count)
  end)

  -- Its first epoch is, or is not, in the topic when it is killed, and the number of it is forgotten.
  local function forgotten(point)
    local markers = cluster:topic()
    write(('marker_topic = "%s", marker_retention = "1ms"'):format(markers))
    killed("--dir state --checkpoint-every 1s", "rate=400", point)
    cluster:delete(markers)
    cluster:create(markers)
    for _, other in ipairs { "", "--skip-committed", "--allow-duplicates" } do -- these answer another question
      local _, code, err = place.run("--dir state " .. other)
      assert.equal(1, code, err)
      assert.truthy(err:find("the target keeps marks for 0 s: it has none, and so nobody knows", 1, true), err)
    end
  end

  it("is refused where what it had committed is forgotten, until it is said that it is there", function()
    forgotten "kafka.commit:1"
    place.ran "--dir state --assume-committed"
    all_once(true)
  end)

  it("is refused where what it had committed is forgotten, until it is said that it is lost", function()
    forgotten "kafka.begin:1"
    place.ran "--dir state --assume-lost"
    all_once(true)
  end)

  -- How often the offset of a marker that was put most often was put, by what brokers keep of all groups.
  local function times_put()
    local counts, most = {}, 0
    for _, record in ipairs(cluster:consume("__consumer_offsets", "read_uncommitted")) do
      if record.key:find(topic .. "-out-0-", 1, true) and record.value then
        local offset = record.value:sub(3, 10)
        counts[offset] = (counts[offset] or 0) + 1
        most = math.max(most, counts[offset])
      end
    end
    return most
  end

  -- job.lua runs while `condition` is waited for, and is sent a signal then; gives its exit code. Its process is in `pid`.
  local function run_while(options, signal, condition)
    os.remove(folder .. "/go")
    local job = assert(io.popen(([[cd %s; export WEIR_RUNTIME_DIR=run
      $W run %s job.lua rate=500 count=100000000 2>err & pid=$!; echo $pid >pid
      %s; kill -%s $pid; kill -CONT $pid 2>/dev/null; wait $pid; echo $?]]):gsub("$W", shell.weir):format(folder, options,
      shell.await(("[ -e %s/go ]"):format(folder), "$pid"), signal)))
    local ok, why = pcall(condition)
    place.write("go", "")
    local code = tonumber(job:read "*l")
    job:close()
    assert(ok, why)
    return code
  end

  -- A job whose first rows alone come to its sink runs until `condition` holds.
  local function without_rows(retention, condition)
    write(('marker_topic = "%s", marker_retention = "%s"'):format(topic, retention))
    place.write("job.lua", (place.read("job.lua"):gsub(":map%(.-end%)", ":filter(function(rec) return rec.v < 20 end)")))
    assert.equal(130, run_while("--dir state --checkpoint-every 20ms", "INT", condition), place.read "err")
  end

  -- Somebody else writes to each partition.
  local function write_beside()
    for partition = 0, 1 do cluster:produce(topic, "other:\n", { partition = partition }) end
  end

  it("holds nobody back who reads its topic between two checkpoints", function()
    write()
    local before
    local code = run_while("--dir state --checkpoint-every 1h", "INT", function()
      kafka.await("the first rows", function()
        place.sh "$W checkpoint numbers"
        return #cluster:consume(topic) > 0
      end)
      kafka.await("rows in the log", function()
        return place.sh("$W info --json numbers"):find '"logged_bytes":[1-9]'
      end)
      before = #cluster:consume(topic)
      write_beside()
      assert.equal(before + 2, #cluster:consume(topic))
    end)
    assert.equal(130, code, place.read "err")
    assert.is_true(#cluster:consume(topic) > before + 2)
    all_once(true, 0)
  end)

  it("sends again what was in a transaction that ran out of time", function()
    write 'properties = { ["transaction.timeout.ms"] = 1000 }'
    run_while("--dir state --checkpoint-every 50ms --fault-steps steps:100000", "KILL", function()
      kafka.await("an open transaction", function()
        local step = steps(folder .. "/steps")["kafka.marker"]
        if not step or step.at == 0 then return false end
        place.sh "kill -STOP $(cat pid)"
        local open = #cluster:consume(topic, "read_uncommitted") > #cluster:consume(topic)
        if not open then place.sh "kill -CONT $(cat pid)" end
        return open
      end)
      local before = #cluster:consume(topic)
      write_beside()
      kafka.await("its end", function() return #cluster:consume(topic) == before + 2 end)
      place.sh "kill -CONT $(cat pid)"
      kafka.await("its rows", function() return #cluster:consume(topic) > before + 2 end)
    end)
    assert.truthy(place.read("err"):find("it is tried again", 1, true), place.read "err")
    local there = #cluster:consume(topic)
    run_while("--dir state --checkpoint-every 50ms", "INT", function()
      kafka.await("more rows", function() return #cluster:consume(topic) > there + 100 end)
    end)
    all_once(true, 0)
  end)

  it("keeps its marker while it has no rows, and needs none where nothing was committed since", function()
    local markers = cluster:topic()
    topic = markers
    without_rows("70ms", function()
      kafka.await("its rows", function() return #cluster:consume(topic) == 20 end)
      kafka.await("a marker that is put again", function() return times_put() > 3 end)
    end)
    assert.equal(20, #cluster:consume(topic))
    cluster:delete(markers)
    cluster:create(markers)
    local before = place.sh "ls state"
    without_rows("70ms", function()
      kafka.await("another checkpoint", function() return place.sh "ls state" ~= before end)
    end)
    assert.equal(0, #cluster:consume(topic))
  end)

  it("drops no row of a job that begins on purpose at an older checkpoint, and says what is there already", function()
    write()
    killed("--dir state --checkpoint-every 30ms --checkpoint-retain 9", "rate=400", "commit.done:4")
    local first = place.sh("cd state && ls -d chk-* | sort -t- -k2 -n | head -1"):gsub("%s", "")
    local _, code, err = place.weir("run --dir other --resume=state/" .. first .. " job.lua")
    assert.equal(0, code, err)
    local at, epoch = err:match
      "the job begins at checkpoint (%d+), and rows up to epoch (%d+) are committed: those in between come again\n"
    assert.equal(first, "chk-" .. tostring(at), err)
    assert.is_true(tonumber(epoch) > tonumber(at), err)
    local seen, twice = {}, 0
    for v in cluster:values(topic):gmatch "%d+" do
      twice = twice + (seen[v] and 1 or 0)
      seen[v] = true
    end
    for v = 0, COUNT - 1 do assert.truthy(seen[tostring(v)], v .. " is missing") end
    assert.is_true(twice > 0)
  end)

  -- A job whose first epoch is logged and not committed by one script, and sent by another.
  local function by_another(first, second)
    local function script(functions)
      place.write("job.lua", ([[
        local weir = require "weir"
        local job = weir.job "numbers"
        job:source(weir.generate { rate = tonumber(job.args.rate), count = 100, fn = function(i) return { v = i } end })
          :sink(weir.kafka_sink { brokers = "%s", topic = "%s", guarantee = "exactly_once", transactional_id_prefix = "%s",
            %s }):uid "out"
        return job]]):format(cluster.brokers, topic, topic, functions))
    end
    place.sh "rm -rf state"
    script(first)
    killed("--dir state --checkpoint-every 50ms", "rate=200", "commit.begin:1")
    script(second)
    local _, code, err = place.run "--dir state --checkpoint-every 50ms --restart none"
    return code, err
  end

  it("takes what a function gave for nothing else when a changed script sends it", function()
    local code, err = by_another("headers = function(r) return { h = r.v } end",
      "timestamp = function(r) return r.at end, headers = function(r) return { h = r.v } end")
    assert.equal(1, code, err)
    assert.truthy(err:find("what the function of timestamp gives is missing: the record was logged by a script without it", 1,
      true), err)
    assert.equal(0, #cluster:consume(topic))
    code, err = by_another("key = function(r) return r.v end, timestamp = function(r) return 5 end",
      "timestamp = function(r) return 5 end")
    assert.equal(0, code, err)
    assert.equal(100, #cluster:consume(topic))
    for _, record in ipairs(cluster:consume(topic)) do assert.equal(5, record.timestamp) end
  end)

  it("sends no tombstones for records that were logged before the script had a function for their values", function()
    local code, err = by_another("", "format = function(r) return 'v' .. r.v end")
    assert.equal(1, code, err)
    assert.truthy(err:find("what the function of format gives is missing", 1, true), err)
    assert.equal(0, #cluster:consume(topic))
  end)

  for _, point in ipairs { "kafka.begin:3", "kafka.commit:3" } do
    it("sends what is left under its former prefix when it was killed at " .. point .. " and has another now", function()
      write()
      killed("--dir state --checkpoint-every 30ms -p 2", "rate=400", point)
      place.write("job.lua", (place.read("job.lua"):gsub('(transactional_id_prefix = ")', "%1other-")))
      place.ran("--dir state --checkpoint-every 200ms -p 3", "")
      all_once()
    end)

    it("does the same at a savepoint, killed at " .. point, function()
      write()
      killed("--dir state --checkpoint-every 30ms", "rate=400", point)
      place.sh "$W savepoint --dir state -o sp.weir"
      place.write("job.lua", (place.read("job.lua"):gsub('(transactional_id_prefix = ")', "%1other-")))
      place.ran("--dir other --from sp.weir --checkpoint-every 200ms", "")
      all_once(true)
    end)
  end

  it("says what topic is missing", function()
    write()
    local name = topic
    place.write("job.lua", (place.read("job.lua"):gsub('topic = "[^"]*"', 'topic = "not-there-' .. name .. '"', 1)))
    local _, code, err = place.run()
    assert.equal(1, code, err)
    assert.truthy(err:find("waiting for at most 10 s for the topic not-there-" .. name, 1, true), err)
    assert.truthy(err:find("there is no topic not-there-" .. name, 1, true), err)
  end)
end)

describe("sinks of Kafka whose broker is killed and comes again", function()
  local own
  setup(function()
    own = kafka.start(1, { "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "allow.everyone.if.no.acl.found=true" })
  end)
  teardown(function()
    own:close()
    cluster = kafka.shared()
  end)

  -- Runs job.lua while the node goes and comes; gives the exit code and standard error.
  local function through_a_kill(options)
    local job = assert(io.popen(("cd %s && WEIR_RUNTIME_DIR=run %s run %s job.lua rate=500 2>err; echo $?")
      :format(folder, shell.weir, options)))
    kafka.await("the first rows", function() return #own:consume(topic) > 0 end)
    own:kill(1)
    own:up(1)
    local code = tonumber(job:read "*l")
    job:close()
    return code, place.read "err"
  end

  before_each(function()
    cluster = own
    topic = own:topic { partitions = 2 }
  end)

  -- Runs job.lua and interrupts it when the node has gone under it, or, where it was away before, when that is told;
  -- gives the exit code, 137 where it did not end soon, and standard error.
  local function interrupted(options)
    local away = not own.running[1]
    place.write("err", "")
    os.remove(folder .. "/go")
    local job = assert(io.popen(([[cd %s; WEIR_RUNTIME_DIR=run %s run %s job.lua rate=500 2>err & pid=$!
      %s; kill -INT $pid; timeout 15 tail --pid=$pid -f /dev/null || kill -9 $pid; wait $pid; echo $?]])
      :format(folder, shell.weir, options, shell.await(("[ -e %s/go ]"):format(folder), "$pid"))))
    if away then
      kafka.await("word of it", function() return place.read("err"):find("Connect to", 1, true) end)
    else
      kafka.await("the first checkpoint", function() return select(2, place.sh "ls state/chk-*/manifest") == 0 end)
      own:kill(1)
    end
    place.write("go", "")
    local code = tonumber(job:read "*l")
    job:close()
    return code, place.read "err"
  end

  it("end soon when they are interrupted while it is away, and have lost nothing", function()
    write()
    local code, err = interrupted "--dir state --checkpoint-every 50ms"
    assert.equal(130, code, err)
    assert.truthy(err:find("they are kept in the epoch log of the checkpoint", 1, true), err)
    code, err = interrupted "--dir state --checkpoint-every 50ms"
    assert.equal(130, code, err)
    assert.truthy(err:find("given up, since it is to end", 1, true), err)
    own:up(1)
    place.ran "--dir state --checkpoint-every 50ms"
    all_once(true)
  end)

  it("lose and double nothing where they are exactly once", function()
    write()
    local code, err = through_a_kill "--dir state --checkpoint-every 50ms"
    assert.equal(0, code, err)
    all_once(true)
  end)

  it("say once that they are not told for how long markers are kept", function()
    own:client():hide_settings()
    write()
    local _, code, err = place.run("--dir state -p 2", "count=10")
    assert.equal(0, code, err)
    local first, last = err:find('do not tell their offsets.retention.minutes: [^\n]*: it is taken for 7 days, [^\n]*"marker_retention"')
    assert.truthy(first, err)
    assert.is_nil(err:find("offsets.retention.minutes", last, true), err)
    write 'marker_retention = "7d"'
    _, code, err = place.run("--dir other", "count=10")
    assert.equal(0, code, err)
    assert.is_nil(err:find("retention", 1, true), err)
  end)

  it("lose nothing where they are at least once", function()
    write()
    place.write("job.lua", (place.read("job.lua"):gsub('guarantee = "exactly_once", transactional_id_prefix = "[^"]*",', "")))
    local code, err = through_a_kill "--dir state --checkpoint-every 50ms"
    assert.equal(0, code, err)
    local seen = {}
    for v in own:values(topic):gmatch "%d+" do seen[tonumber(v)] = true end
    for v = 0, COUNT - 1 do assert.truthy(seen[v], v .. " is missing") end
  end)
end)
