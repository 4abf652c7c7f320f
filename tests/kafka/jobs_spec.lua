--- The examples that read topics, as a user runs them: fed by jobs/data/feed.sh, their output read by kcat and gzip, and
--- held against what is reckoned here from the same records, plainly and in another way.

local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

local cluster = kafka.shared()
local made = {}

before_each(place.make)
after_each(function()
  place.remove()
  for i = #made, 1, -1 do cluster:delete(table.remove(made, i)) end
end)

local function create(topic, partitions)
  cluster:create(topic, { partitions = partitions })
  made[#made + 1] = topic
end

-- Feeds a topic of three partitions; gives the values in it, those of a key in order.
local function fed(topic, count)
  create(topic, 3)
  local _, code, err = shell.run(("BROKERS=%s WEIR=%s jobs/data/feed.sh %s %d"):format(cluster.brokers, shell.weir, topic, count))
  assert.equal(0, code, err)
  local values = {}
  for i, record in ipairs(cluster:consume(topic)) do values[i] = record.value end
  assert.equal(count, #values)
  return values
end

local function run(job, options, args)
  local _, code, err = place.weir(("run -q --dir state -p 2 %s %s/jobs/%s.lua brokers=%s stop=latest %s")
    :format(options or "", shell.here, job, cluster.brokers, args or ""))
  return code, err
end

local function ran(...)
  local code, err = run(...)
  assert.equal(0, code, err)
end

local function text(value, name) return value:match('"' .. name .. '":"([^"]*)"') end
local function number(value, name) return tonumber(value:match('"' .. name .. '":(%-?[%d.]+)')) end

local function sorted(list)
  table.sort(list)
  return list
end

describe("fraud_detection", function()
  -- Each large payment looks back for the small one that was the last of its card and gave no alert yet.
  local function alerts(values)
    local found, of_card = {}, {}
    for _, v in ipairs(values) do
      local card = text(v, "card")
      of_card[card] = of_card[card] or {}
      local payments, this = of_card[card], { ts = number(v, "ts"), amount = number(v, "amount") }
      for i = #payments, this.amount > 500 and 1 or math.huge, -1 do
        if payments[i].told then break end
        if payments[i].amount < 1 then
          this.told = this.ts - payments[i].ts <= 60000
          if this.told then found[#found + 1] = ("%s %d %.2f"):format(card, this.ts, this.amount) end
          break
        end
      end
      payments[#payments + 1] = this
    end
    return found
  end

  it("tells of each suspicious payment once, though it is killed in the middle of a transaction", function()
    local expected = alerts(fed("transactions", 8000))
    assert.is_true(#expected > 20, #expected)
    create("fraud_alerts", 2)
    assert.equal(137, (run("fraud_detection", "--checkpoint-every 100ms --fault kafka.marker=kill")))
    ran("fraud_detection", "--checkpoint-every 100ms")
    local got = {}
    for i, record in ipairs(cluster:consume "fraud_alerts") do
      local v = record.value
      got[i] = ("%s %d %.2f"):format(text(v, "card"), number(v, "ts"), number(v, "amount"))
      assert.equal(text(v, "card"), record.key)
    end
    assert.same(sorted(expected), sorted(got))
  end)
end)

describe("page_views", function()
  it("files clean views by the hour, and sends the others on with what is wrong with them", function()
    local views, broken = {}, { value = 0, timestamp = 0, url = 0, user = 0 }
    for _, v in ipairs(fed("page_views", 2000)) do
      local path, hour = v:match '"url":"https://shop.example([^"?]*)', v:match '"at":"(2026%-11%-20T%d%d)'
      local wrong = not v:find "}$" and "value" or not path and "url" or text(v, "user") == "" and "user"
        or not hour and "timestamp"
      if wrong then
        broken[wrong] = broken[wrong] + 1
      elseif not v:find "Spiderbot" then
        views[#views + 1] = ("%s %s %s"):format(hour:gsub("T", "/"), text(v, "user"):lower(), path)
      end
    end
    create("page_views_failed", 1)
    ran("page_views", "", "out=views")
    local got = {}
    for line in place.sh("for d in views/*/*; do gzip -dc $d/*.gz | sed \"s|^|${d#views/} |\"; done"):gmatch "[^\n]+" do
      got[#got + 1] = ("%s %s %s"):format(line:match "^%S+", text(line, "user"), text(line, "path"))
    end
    assert.same(sorted(views), sorted(got))
    local letters = {}
    for _, record in ipairs(cluster:consume "page_views_failed") do
      local why = record.value:match '"error":"(%a+)'
      letters[why] = (letters[why] or 0) + 1
    end
    assert.same(broken, letters)
  end)
end)

describe("sensor_averages", function()
  it("writes each reading into the line of its five seconds, or puts it aside", function()
    local values, aside = fed("sensors", 4000), {}
    ran("sensor_averages", "", "out=averages")
    for line in place.sh("cat averages/too_late/*.json 2>/dev/null || true"):gmatch "[^\n]+" do
      aside[("%s %d %.1f"):format(text(line, "sensor"), number(line, "ts"), number(line, "temp"))] = true
    end
    local sums, lines = {}, {}
    for _, v in ipairs(values) do
      local sensor, ts, temp = text(v, "sensor"), number(v, "ts"), number(v, "temp")
      if not aside[("%s %d %.1f"):format(sensor, ts, temp)] then
        local at = ("%d %s"):format(ts - ts % 5000, sensor)
        local s = sums[at] or { n = 0, sum = 0, min = math.huge, max = -math.huge }
        s.n, s.sum, s.min, s.max = s.n + 1, s.sum + temp, math.min(s.min, temp), math.max(s.max, temp)
        sums[at] = s
      end
    end
    for line in place.sh("cat averages/2*/*.csv"):gmatch "[^\n]+" do
      local start, sensor, avg, min, max, n = line:match "^(%d+),(%a+),([%d.]+),([%d.]+),([%d.]+),(%d+)$"
      if start then
        local at = start .. " " .. sensor
        if not lines[at] or tonumber(n) > lines[at].n then
          lines[at] = { n = tonumber(n), avg = tonumber(avg), min = tonumber(min), max = tonumber(max) }
        end
      else
        assert.equal("window_start,sensor,avg,min,max,readings", line)
      end
    end
    for at, s in pairs(sums) do
      local line = lines[at]
      assert.is_truthy(line, at)
      assert.same({ s.n, s.min, s.max }, { line.n, line.min, line.max })
      assert.is_true(math.abs(line.avg - s.sum / s.n) < 1e-9, at)
      lines[at] = nil
    end
    assert.is_nil(next(lines))
  end)
end)

describe("trending_hashtags", function()
  it("writes the three most frequent hashtags of each ten minutes, every minute", function()
    local MINUTE, of_minute, first, last = 60000, {}, math.huge, -math.huge
    for _, v in ipairs(fed("posts", 3000)) do
      local minute, seen = math.floor(number(v, "ts") / MINUTE), {}
      for tag in text(v, "text"):gmatch "#%a+" do seen[tag:lower()] = true end
      of_minute[minute] = of_minute[minute] or {}
      for tag in pairs(seen) do of_minute[minute][tag] = (of_minute[minute][tag] or 0) + 1 end
      first, last = math.min(first, minute), math.max(last, minute)
    end
    local expected = {}
    for stop = first + 1, last + 10 do
      local counts, list = {}, {}
      for minute = stop - 10, stop - 1 do
        for tag, n in pairs(of_minute[minute] or {}) do counts[tag] = (counts[tag] or 0) + n end
      end
      for tag, n in pairs(counts) do list[#list + 1] = ("%06d%s"):format(999999 - n, tag) end
      for rank = 1, math.min(3, #sorted(list)) do
        expected[#expected + 1] = ("%s %d %s %d"):format(os.date("!%Y-%m-%dT%H:%M:%SZ", stop * MINUTE / 1000), rank,
          list[rank]:sub(7), 999999 - tonumber(list[rank]:sub(1, 6)))
      end
    end
    create("trending", 1)
    ran "trending_hashtags"
    local got = {}
    for i, record in ipairs(cluster:consume "trending") do
      local v = record.value
      got[i] = ("%s %d %s %d"):format(text(v, "at"), number(v, "rank"), text(v, "tag"), number(v, "posts"))
    end
    assert.is_true(#expected > 90, #expected)
    assert.same(expected, got)
  end)
end)
