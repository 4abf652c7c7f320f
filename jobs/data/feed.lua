--- feed: made-up records for the examples that read topics, a line each: key, tab, value. The same for the same seed.
---
---   build/weir lua jobs/data/feed.lua TOPIC [COUNT [SEED [RATE]]]
---
--- TOPIC is transactions, page_views, sensors or posts; RATE is records a second, default: all at once. feed.sh writes
--- them to a topic through kcat.

local BEGIN = 1795161600000 -- 2026-11-20T08:00:00Z
local random = math.random

local function pick(list) return list[random(#list)] end

-- One of the first few more often than one of the last.
local function pick_early(list) return list[math.ceil(#list * random() ^ 3)] or list[1] end

local function line(key, format, ...) return key .. "\t" .. format:format(...) end

local feeds = {}

--- Payments, 20 a second. One in a hundred is so small that a card is tried out with it; most of these are followed by
--- a large one, some of them too late to be suspicious.
function feeds.transactions()
  local shops = { "Cafe Blau", "Grocer & Sons", "Metro tickets", "Bookshop No 7", "City cinema", "Tea house" }
  local online = { "Watches24", "Gift cards", "Phones direct" }
  local now, due = BEGIN, {}
  local function payment(card, ts, merchant, amount)
    return line(card, '{"card":"%s","amount":%.2f,"merchant":"%s","ts":%d}', card, amount, merchant, ts)
  end
  return function()
    now = now + random(0, 100)
    for i, one in ipairs(due) do
      if one.ts <= now then
        table.remove(due, i)
        return payment(one.card, one.ts, pick(online), random(450, 2000) + 0.9)
      end
    end
    local card = ("4929-%04d"):format(random(400))
    if random(100) > 1 then return payment(card, now, pick(shops), 1.5 + 80 * random() ^ 2) end
    if random(5) > 1 then due[#due + 1] = { card = card, ts = now + random(3000, 80000) } end
    return payment(card, now, pick(online), random(10, 95) / 100)
  end
end

--- Views, one in some seven seconds; among them robots, and some that are broken.
function feeds.page_views()
  local users = { "ann", "Bob", "cleo", "dan", "Eve", "finn", "gil", "hana" }
  local pages = { "/", "/sale", "/shoes", "/shoes/7", "/hats/12", "/basket", "/help", "/hats" }
  local countries = { "DE", "FR", "PL", "IT" }
  local now = BEGIN
  local broken = {
    function(user) return '{"user":"' .. user .. '","url":"https://shop.example/sal' end,
    function(user, at) return ('{"user":"%s","url":"sale","at":"%s"}'):format(user, at) end,
    function(_, at) return ('{"user":"","url":"https://shop.example/","at":"%s"}'):format(at) end,
    function(user) return ('{"user":"%s","url":"https://shop.example/","at":"yesterday"}'):format(user) end,
  }
  return function()
    now = now + random(14000)
    local user, at = pick(users), os.date("!%Y-%m-%dT%H:%M:%SZ", (now - random(0, 20000)) / 1000)
    if random(40) == 1 then return line(user, "%s", pick(broken)(user, at)) end
    return line(user, '{"user":"%s","url":"https://shop.example%s%s","at":"%s","agent":"%s"%s}', user,
      pick_early(pages), random(4) == 1 and "?from=mail" or "", at,
      random(12) == 1 and "Spiderbot/2.1" or "Mozilla/5.0",
      random(5) > 1 and (',"country":"%s"'):format(pick_early(countries)) or "")
  end
end

--- Five sensors, four readings a second; they come up to a second out of order, a few of them some seconds late, and
--- very few much later.
function feeds.sensors()
  local means = { cellar = 12, hall = 19, kitchen = 22, kiln = 230, oven = 180 }
  local names = { "cellar", "hall", "kitchen", "kiln", "oven" }
  local now = BEGIN
  return function()
    now = now + 250
    local name, late = pick(names), random(0, 1000)
    if random(50) == 1 then late = random(4000, 9000) end
    if random(200) == 1 then late = random(30000, 60000) end
    return line(name, '{"sensor":"%s","temp":%.1f,"ts":%d}', name, means[name] * (0.95 + random() / 10), now - late)
  end
end

--- Posts, two a second; of the hashtags one is in fashion, another one every five minutes.
function feeds.posts()
  local texts = { "good morning", "who else is up?", "look at this", "no words", "Cannot wait for tonight!", "again …" }
  local users = { "ann", "bob", "cleo", "dan", "eve", "finn", "gil", "hana", "ines", "jon" }
  local tags = { "#snow", "#Coffee", "#football", "#weekend", "#music", "#news", "#cats", "#lunch" }
  local now = BEGIN
  return function()
    now = now + random(0, 1000)
    local user, fashion = pick(users), tags[math.floor((now - BEGIN) / 300000) % #tags + 1]
    local words = { pick(texts), pick_early(tags) }
    if random(3) == 1 then words[#words + 1] = fashion end
    if random(4) == 1 then words[#words + 1] = pick(tags) end
    return line(user, '{"user":"%s","text":"%s","ts":%d}', user, table.concat(words, " "), now - random(0, 5000))
  end
end

local topic, count, seed, rate = unpack(arg)
local feed = feeds[topic or ""]
if not feed then
  io.stderr:write("usage: feed.lua transactions|page_views|sensors|posts [COUNT [SEED [RATE]]]\n")
  os.exit(2)
end
math.randomseed(tonumber(seed or 1))
local next_line, pace = feed(), tonumber(rate)
for i = 1, tonumber(count or 1000) do
  io.write(next_line(), "\n")
  if pace and i % math.ceil(pace / 10) == 0 then
    io.flush()
    os.execute "sleep 0.1"
  end
end
