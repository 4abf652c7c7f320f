--- Savepoints of jobs that read topics: where a source is can be seen, compared and set, by offset and by time; what
--- the job reads then is held against what was computed by hand.

local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

local cluster = kafka.shared()
local done = place.done

local HOUR, MINUTE = 3600000, 60000
local PARTITIONS, COUNT = 4, 30 -- of each partition: a record every ten minutes, the last one five minutes ago

local topic, first_time

before_each(function()
  place.make()
  topic = cluster:topic { partitions = PARTITIONS }
  first_time = os.time() * 1000 - 5 * MINUTE - (COUNT - 1) * 10 * MINUTE
  local records = {}
  for partition = 0, PARTITIONS - 1 do
    for n = 0, COUNT - 1 do
      records[#records + 1] = { partition = partition, value = tostring(n), timestamp = first_time + n * 10 * MINUTE }
    end
  end
  cluster:send(topic, records)
end)
after_each(place.remove)

-- A job that writes "partition:offset" of each record, and has none of them in its checkpoints.
local function write_job(options, chain)
  place.write("job.lua", ([[
    local weir = require "weir"
    local job = weir.job { name = "copy", max_parallelism = 128 }
    job:source(weir.kafka { brokers = "%s", topic = "%s", meta = true, format = weir.text(), %s }):uid "in"%s
      :map(function(r) return ("%%d:%%d"):format(r.partition, r.offset) end):uid "places"
      :sink(weir.file_sink { path = "out", format = weir.lines() }):parallelism(1):uid "out"
    return job]]):format(cluster.brokers, topic, options or "", chain or ""))
end

-- Runs the job until so many lines are there and stops it then.
local function run(options, lines)
  local _, code, err = place.sh(([[
    rm -f out out.*; touch out
    $W run -q %s --checkpoint-every 50ms job.lua 2>err & pid=$!
    %s
    $W stop $pid >stopped 2>&1
    wait $pid
    code=$?
    cat err >&2
    exit $code]]):format(options, shell.await(('[ "$(wc -l <out)" -ge %d ]'):format(lines), "$pid")))
  assert.equal(0, code, err)
  return err
end

-- A savepoint of the job, without the rows that its sink had not committed yet: they would come as well.
local function save()
  done "savepoint --dir state -o whole.weir"
  place.write("drop.lua", 'return function(sp) sp:operator "out":drop() end')
  done "savepoint edit whole.weir drop.lua -o x.weir"
end

-- One of a job that has read all.
local function saved()
  write_job()
  run("--dir state -p 2", PARTITIONS * COUNT)
  save()
end

local function edited(script, from, to)
  place.write("fix.lua", script)
  done(("savepoint edit %s fix.lua -o %s"):format(from or "x.weir", to or "new.weir"))
end

-- What a partition gives from an offset on, as lines of the job.
local function from(partition, offset)
  local lines = {}
  for n = offset, COUNT - 1 do lines[#lines + 1] = ("%d:%d\n"):format(partition, n) end
  return table.concat(lines)
end

local function came(expected)
  assert.equal(place.sorted(expected), place.sorted(place.read "out"))
end

describe("a savepoint of a job that reads a topic", function()
  it("shows where each partition is, in all that looks at savepoints", function()
    saved()
    local out = done "savepoint info x.weir"
    assert.truthy(out:find("\nSOURCE +SPLIT +NEXT +STOP +SUBTASK\n"), out)
    for p = 0, PARTITIONS - 1 do
      assert.truthy(out:find(("in      %s[%d]    30           "):format(topic, p), 1, true), out)
    end
    assert.is_nil(out:find("9223372036854775807", 1, true), out)
    local json = done "savepoint info --json x.weir"
    assert.truthy(json:find(('{"position": {"next":30,"partition":3,"topic":"%s"}, "split": "%s[3]", "subtask": ')
      :format(topic, topic), 1, true), json)
    out = done "savepoint ls x.weir"
    assert.truthy(out:find(("%s[0] at 30, %s[1] at 30, %s[2] at 30, … 1 more"):format(topic, topic, topic), 1, true), out)
    assert.equal(('{"next":30,"partition":3,"topic":"%s"}\n'):format(topic),
      done(("savepoint get x.weir in positions '%s[3]'"):format(topic)))
    assert.equal(('"%s[2]"\t{"next":30,"partition":2,"topic":"%s"}\n'):format(topic, topic),
      done "savepoint query x.weir in positions 'value.partition == 2'")
    local _, code = place.weir(("savepoint get x.weir in positions '%s[4]'"):format(topic))
    assert.equal(1, code)
    local _, no, err = place.weir "savepoint get x.weir places positions x"
    assert.equal(2, no)
    assert.truthy(err:find('operator "places" of x.weir is no source', 1, true), err)
  end)

  it("is set back by offsets, and the job reads from there on, at another parallelism", function()
    saved()
    edited(([[
      return function(sp)
        local source = sp:operator "in"
        for _, position in ipairs(source:positions()) do
          if position.partition < 2 then source:seek(position.split, position.next - 5) end
        end
        source:seek("%s[2]", "earliest")
      end]]):format(topic))
    local out, code = place.weir "savepoint diff x.weir new.weir"
    assert.equal(1, code)
    local change = '~ in.positions\t"%s[%d]"\t{"next":30,"partition":%d,"topic":"%s"} → {"next":%s,"partition":%d,"topic":"%s"}\n'
    local expected = ""
    for p, next in pairs { [0] = "25", "25", '"earliest"' } do
      expected = expected .. change:format(topic, p, p, topic, next, p, topic)
    end
    assert.equal(place.sorted(expected .. "0 added, 0 removed, 3 changed"), place.sorted(out))
    run("--from new.weir --dir other -p 3", 40)
    came(from(0, 25) .. from(1, 25) .. from(2, 0))
  end)

  it("is set back by an hour, which the brokers are asked for when the job begins", function()
    saved()
    edited(([[
      return function(sp)
        sp:operator "in":seek("%s[3]", { timestamp = sp.time - 3600e3 })
      end]]):format(topic))
    assert.truthy(done "savepoint info new.weir":find(("in +%s%%[3%%] +%%d+%%-%%d+%%-%%d+T%%d+:%%d+:%%d+%%.%%d+Z +to come\n")
      :format(topic:gsub("%-", "%%-"))))
    local err = run("--from new.weir --dir other -p 3", 6)
    came(from(3, 24)) -- 5, 15, … 55 minutes ago
    assert.is_nil(err:find("warn", 1, true), err)
    -- A later checkpoint knows the offset only.
    assert.equal(('{"next":30,"partition":3,"topic":"%s"}\n'):format(topic),
      done(("savepoint get other in positions '%s[3]'"):format(topic)))
  end)

  it("is set to a time behind all records: to the end; and from a time to an offset before it ran", function()
    saved()
    edited(([[
      return function(sp)
        local source = sp:operator "in"
        for p = 0, 3 do source:seek("%s[" .. p .. "]", { timestamp = p == 1 and 0 or sp.time + 3600e3 }) end
      end]]):format(topic), "x.weir", "times.weir")
    edited(([[return function(sp) sp:operator "in":seek("%s[0]", 28) end]]):format(topic), "times.weir")
    run("--from new.weir --dir other", 32)
    came(from(0, 28) .. from(1, 0))
  end)

  it("is set to the latest once, and what comes then is read, over a crash as well", function()
    saved()
    edited [[return function(sp)
      local source = sp:operator "in"
      for _, position in ipairs(source:positions()) do source:seek(position.split, "latest") end
    end]]
    assert.truthy(done "savepoint info new.weir":find(("in      %s[0]  latest"):format(topic), 1, true))
    local _, code, err = place.sh(([[
      $W run --from new.weir --dir other job.lua 2>err & pid=$!
      %s
      $W checkpoint $pid && kill -9 $pid]]):format(shell.await(("grep -q '%s.0. is read from offset 30 on' err"):format(topic),
      "$pid")))
    assert.equal(0, code, err)
    local records = {}
    for p = 0, PARTITIONS - 1 do records[#records + 1] = { partition = p, value = "new" } end
    cluster:send(topic, records)
    run("--dir other", PARTITIONS)
    came "0:30\n1:30\n2:30\n3:30\n"
  end)

  it("is set back while others have been read to their end, and ends again where it ended", function()
    -- One record of the last partition is missing, so that the job goes on.
    write_job(("stop = { offsets = { [0] = %d, %d, %d, %d } }"):format(COUNT, COUNT, COUNT, COUNT + 1))
    local _, code, err = place.sh(([[
      touch out; $W run -q --dir state -p 2 job.lua & pid=$!
      %s
      $W checkpoint $pid && kill -9 $pid]]):format(shell.await(('[ "$(wc -l <out)" -ge %d ]'):format(PARTITIONS * COUNT),
      "$pid")))
    assert.equal(0, code, err)
    save()
    local p = 1 -- of the subtask that goes on
    cluster:send(topic, { { partition = p, value = "later" } })
    edited(([[return function(sp)
      for _, position in ipairs(sp:operator "in":positions()) do sp:operator "in":seek(position.split, 1000000) end
      sp:operator "in":seek("%s[%d]", { timestamp = %d })
    end]]):format(topic, p, first_time + 28 * 10 * MINUTE))
    place.sh "rm -f out out.*; touch out"
    place.done "run -q --from new.weir --dir other job.lua"
    came(from(p, 28))
  end)

  it("has its event time begun anew, so that what is read once more is not late", function()
    write_job("", [[:watermarks(weir.watermark.ascending())
      :key_by(function(r) return r.partition end):window(weir.window.tumbling "1h"):aggregate { n = weir.agg.count() }:uid "n"
      :map(function(r) return { partition = r.key, offset = r.n } end):uid "shape"]])
    local counts, last = {}, first_time + (COUNT - 1) * 10 * MINUTE
    for n = 0, COUNT - 1 do
      local hour = math.floor((first_time + n * 10 * MINUTE) / HOUR)
      if (hour + 1) * HOUR <= last then counts[hour] = (counts[hour] or 0) + 1 end
    end
    local expected = {}
    for _, count in pairs(counts) do
      for p = 0, PARTITIONS - 1 do expected[#expected + 1] = ("%d:%d\n"):format(p, count) end
    end
    run("--dir state", #expected)
    came(table.concat(expected))
    save()
    edited [[
      return function(sp)
        local source = sp:operator "in"
        for _, position in ipairs(source:positions()) do source:seek(position.split, "earliest") end
        sp:operator "n":clear "value"
        sp:restart_time()
      end]]
    run("--from new.weir --dir other -p 2", #expected)
    came(table.concat(expected))
  end)

  it("refuses what is no position, in one line", function()
    saved()
    for next, why in pairs {
      ["-1"] = 'not -1', ["1.5"] = "not 1.5", ['"17"'] = 'not "17"', ["{ timestamp = -1 }"] = "not a table",
      ["nil"] = "not nil", ["{ offset = 3 }"] = "not a table",
    } do
      place.write("fix.lua", ([[return function(sp) sp:operator "in":seek("%s[3]", %s) end]]):format(topic, next))
      local _, code, err = place.weir "savepoint edit x.weir fix.lua -o no.weir"
      assert.equal(2, code)
      assert.equal(('weir: fix.lua:1: "in": the position of %s[3] is an offset from 0, "earliest", "latest", or '
        .. "{ timestamp = ms since 1970 }, %s\n"):format(topic, why), err)
    end
    for split, why in pairs {
      [topic .. "[4]"] = ('did you mean "%s[0]"?'):format(topic),
      ["x"] = ("there is %s[0], %s[1], %s[2], %s[3]"):format(topic, topic, topic, topic),
    } do
      place.write("fix.lua", ([[return function(sp) sp:operator "in":seek("%s", 3) end]]):format(split))
      local _, code, err = place.weir "savepoint edit x.weir fix.lua -o no.weir"
      assert.equal(2, code)
      assert.equal(('weir: fix.lua:1: "in": there is no position of %s; %s\n'):format(split, why), err)
    end
    assert.equal("", place.sh "ls no.weir 2>/dev/null")
  end)
end)
