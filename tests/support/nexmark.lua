--- The Nexmark queries once more, in plain Lua over the events as JSON lines: as short and as slow as they can
--- be, and without anything of the engine, to hold the jobs against.

local M = {}

---------------------------------------------------------------- events

local escapes = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }

--- One flat JSON object of strings and numbers.
local function parse(line)
  local event, at = {}, 2
  while line:sub(at, at) ~= "}" do
    local name, value
    name, at = line:match('^,?"([^"]*)":()', at)
    if line:sub(at, at) == '"' then
      local to = at + 1
      while line:sub(to, to) ~= '"' do to = to + (line:sub(to, to) == "\\" and 2 or 1) end
      value = line:sub(at + 1, to - 1):gsub("\\(.)", function(c) return escapes[c] or c end)
      at = to + 1
    else
      value, at = line:match("^([^,}]*)()", at)
      value = assert(tonumber(value), line)
    end
    event[name] = value
  end
  return event
end

--- Events from JSON lines, sorted by kind and in order: { bids =, auctions =, persons = }.
function M.events(text)
  local e = { bids = {}, auctions = {}, persons = {} }
  for line in text:gmatch "[^\n]+" do
    local event = parse(line)
    table.insert(event.bidder and e.bids or event.seller and e.auctions or e.persons, event)
  end
  return e
end

---------------------------------------------------------------- checksums

local function mul32(a, b)
  return tonumber((a * 1LL * b) % 4294967296LL)
end

local function hash_of_string(s)
  local h = 0
  for i = 1, #s do h = (mul32(h, 31) + s:byte(i)) % 4294967296 end
  return h >= 2147483648 and h - 4294967296 or h
end

local function word(v)
  if type(v) == "string" then v = hash_of_string(v) end
  return v < 0 and 0ULL - (-v + 0ULL) or v + 0ULL
end

local function shift_right(v, n)
  return v / (2ULL ^ n)
end

local function row_hash(query, row)
  local h = query + 0ULL
  for i = 1, #row do
    h = bit.bxor(h, word(row[i]) * 0x9E3779B97F4A7C15ULL)
    h = (h * 134217728ULL + h / 137438953472ULL) * 0xBF58476D1CE4E5B9ULL
  end
  return bit.bxor(h, shift_right(h, 29))
end

--- "rows=N sum=HEX" of a list of rows. A row may have a weight; with `last_of`, only the last row with the same
--- first column counts in the sum.
function M.checksum(query, rows, last_of)
  local sum, last = 0ULL, {}
  for _, row in ipairs(rows) do
    local h = row_hash(query, row) * (row.weight or 1)
    sum = sum + h - (last_of and last[row[1]] or 0ULL)
    last[row[1]] = h
  end
  return ("rows=%d sum=%s"):format(#rows, bit.tohex(sum))
end

---------------------------------------------------------------- parts of queries

local function filter(list, test)
  local out = {}
  for _, v in ipairs(list) do
    if test(v) then out[#out + 1] = v end
  end
  return out
end

local function map(list, fn)
  local out = {}
  for i, v in ipairs(list) do out[i] = fn(v) end
  return out
end

local function group(list, key_of)
  local groups, keys = {}, {}
  for _, v in ipairs(list) do
    local key = key_of(v)
    if key ~= nil then
      if not groups[key] then
        groups[key] = {}
        keys[#keys + 1] = key
      end
      table.insert(groups[key], v)
    end
  end
  return groups, keys
end

local function by(name)
  return function(v) return v[name] end
end

local function floor_to(v, size) return v - v % size end

-- { auction, bid } of each auction that was sold, in the order of expiry and id.
local function sales(e)
  local bids = group(e.bids, by "auction")
  local sold = {}
  for _, a in ipairs(e.auctions) do
    local best
    for _, b in ipairs(bids[a.id] or {}) do
      if b.dateTime >= a.dateTime and b.dateTime <= a.expires and (not best or b.price > best.price) then best = b end
    end
    if best then sold[#sold + 1] = { auction = a, bid = best } end
  end
  table.sort(sold, function(x, y)
    if x.auction.expires ~= y.auction.expires then return x.auction.expires < y.auction.expires end
    return x.auction.id < y.auction.id
  end)
  return sold
end

local DAY = 86400000

-- bids, distinct bidders, distinct auctions; each of all, below 1e4, below 1e6, from 1e6.
local function distinct_counts(bids)
  local function count(key_of)
    local out = {}
    for _, limits in ipairs { { 0, math.huge }, { 0, 1e4 }, { 1e4, 1e6 }, { 1e6, math.huge } } do
      local n, seen = 0, {}
      for _, b in ipairs(bids) do
        local key = key_of(b)
        if b.price >= limits[1] and b.price < limits[2] and not seen[key] then
          seen[key] = true
          n = n + 1
        end
      end
      out[#out + 1] = n
    end
    return out
  end
  local row = {}
  for _, key_of in ipairs { function(b) return b end, by "bidder", by "auction" } do
    for _, n in ipairs(count(key_of)) do row[#row + 1] = n end
  end
  return row
end

---------------------------------------------------------------- the queries

--- By number: a function from events to rows, each the columns of the checksum in order.
M.queries = {}
local q = M.queries

q[0] = function(e)
  return map(e.bids, function(b) return { b.auction, b.bidder, b.price, b.dateTime, #b.extra } end)
end

q[1] = function(e)
  return map(e.bids, function(b) return { b.auction, b.bidder, b.price * 908, b.dateTime, #b.extra } end)
end

q[2] = function(e)
  return map(filter(e.bids, function(b) return b.auction % 123 == 0 end), function(b) return { b.auction, b.price } end)
end

q[3] = function(e)
  local rows = {}
  for _, a in ipairs(e.auctions) do
    for _, p in ipairs(e.persons) do
      if a.category == 10 and a.seller == p.id and (p.state == "OR" or p.state == "ID" or p.state == "CA") then
        rows[#rows + 1] = { p.name, p.city, p.state, a.id }
      end
    end
  end
  return rows
end

q[4] = function(e)
  local count, sum = {}, {}
  return map(sales(e), function(sale)
    local c = sale.auction.category
    count[c], sum[c] = (count[c] or 0) + 1, (sum[c] or 0) + sale.bid.price
    return { c, count[c], sum[c] }
  end), "last"
end

q[5] = function(e)
  local rows = {}
  local ends = {}
  for _, b in ipairs(e.bids) do
    for stop = floor_to(b.dateTime, 2000) + 2000, floor_to(b.dateTime, 2000) + 10000, 2000 do
      ends[stop] = ends[stop] or {}
      ends[stop][b.auction] = (ends[stop][b.auction] or 0) + 1
    end
  end
  for stop, counts in pairs(ends) do
    local most = 0
    for _, n in pairs(counts) do most = math.max(most, n) end
    for auction, n in pairs(counts) do
      if n == most then rows[#rows + 1] = { stop, auction, n } end
    end
  end
  return rows
end

q[6] = function(e)
  local rings = {}
  return map(sales(e), function(sale)
    local ring = rings[sale.auction.seller] or {}
    rings[sale.auction.seller] = ring
    ring[#ring + 1] = sale.bid.price
    local sum, n = 0, 0
    for i = math.max(1, #ring - 9), #ring do sum, n = sum + ring[i], n + 1 end
    return { sale.auction.seller, math.floor(sum / n) }
  end)
end

q[7] = function(e)
  local rows = {}
  for start, bids in pairs((group(e.bids, function(b) return floor_to(b.dateTime, 10000) end))) do
    local most = 0
    for _, b in ipairs(bids) do most = math.max(most, b.price) end
    for _, b in ipairs(bids) do
      if b.price == most then rows[#rows + 1] = { start + 10000, b.auction, b.price, b.bidder, b.dateTime } end
    end
  end
  return rows
end

q[8] = function(e)
  local rows = {}
  for _, p in ipairs(e.persons) do
    local start, found = floor_to(p.dateTime, 10000), false
    for _, a in ipairs(e.auctions) do
      found = found or a.seller == p.id and floor_to(a.dateTime, 10000) == start
    end
    if found then rows[#rows + 1] = { p.id, p.name, start } end
  end
  return rows
end

q[9] = function(e)
  return map(sales(e), function(sale)
    local a, b = sale.auction, sale.bid
    return { a.id, a.expires, a.seller, a.category, b.bidder, b.price, b.dateTime, #b.extra }
  end)
end

q[11] = function(e)
  local rows = {}
  for bidder, bids in pairs((group(e.bids, by "bidder"))) do
    local n, start, last = 0, bids[1].dateTime, bids[1].dateTime
    for _, b in ipairs(bids) do
      if b.dateTime >= last + 10000 then
        rows[#rows + 1] = { bidder, n, start, last + 10000 }
        n, start = 0, b.dateTime
      end
      n, last = n + 1, b.dateTime
    end
    rows[#rows + 1] = { bidder, n, start, last + 10000 }
  end
  return rows
end

q[12] = function(e)
  return map(e.bids, function(b) return { b.bidder } end), "any number of rows"
end

q[13] = function(e)
  return map(e.bids, function(b)
    return { b.auction, b.bidder, b.price, b.dateTime, ("side-%d"):format(b.auction % 10000) }
  end)
end

q[14] = function(e)
  local in_range = filter(e.bids, function(b) return b.price * 908 > 1e9 and b.price * 908 < 5e10 end)
  return map(in_range, function(b)
    local hour = tonumber(os.date("!%H", b.dateTime / 1000))
    local time = hour >= 8 and hour <= 18 and "dayTime" or (hour <= 6 or hour >= 20) and "nightTime" or "otherTime"
    local _, c = b.extra:gsub("c", "")
    return { b.auction, b.bidder, b.price * 908, time, b.dateTime, #b.extra, c }
  end)
end

q[15] = function(e)
  local rows = {}
  for day, bids in pairs((group(e.bids, function(b) return floor_to(b.dateTime, DAY) / DAY end))) do
    rows[#rows + 1] = { day, unpack(distinct_counts(bids)) }
  end
  return rows
end

q[16] = function(e)
  local rows = {}
  for _, of_channel in pairs((group(e.bids, by "channel"))) do
    for day, bids in pairs((group(of_channel, function(b) return floor_to(b.dateTime, DAY) / DAY end))) do
      local minute = os.date("!%H:%M", bids[#bids].dateTime / 1000)
      rows[#rows + 1] = { bids[1].channel, day, minute, unpack(distinct_counts(bids)) }
    end
  end
  return rows
end

q[17] = function(e)
  local rows = {}
  for _, of_auction in pairs((group(e.bids, by "auction"))) do
    for day, bids in pairs((group(of_auction, function(b) return floor_to(b.dateTime, DAY) / DAY end))) do
      local below, between, above, min, max, sum = 0, 0, 0, math.huge, 0, 0
      for _, b in ipairs(bids) do
        below = below + (b.price < 1e4 and 1 or 0)
        between = between + (b.price >= 1e4 and b.price < 1e6 and 1 or 0)
        above = above + (b.price >= 1e6 and 1 or 0)
        min, max, sum = math.min(min, b.price), math.max(max, b.price), sum + b.price
      end
      rows[#rows + 1] = { bids[1].auction, day, #bids, below, between, above, min, max, sum }
    end
  end
  return rows
end

q[18] = function(e)
  local rows = {}
  for _, bids in pairs((group(e.bids, function(b) return b.bidder .. "/" .. b.auction end))) do
    table.sort(bids, function(x, y)
      if x.dateTime ~= y.dateTime then return x.dateTime > y.dateTime end
      return x.price > y.price
    end)
    local b = bids[1]
    rows[#rows + 1] = { b.auction, b.bidder, b.price, b.channel, b.url, b.dateTime, #b.extra }
  end
  return rows
end

q[19] = function(e)
  local rows = {}
  for _, bids in pairs((group(e.bids, by "auction"))) do
    table.sort(bids, function(x, y)
      if x.price ~= y.price then return x.price > y.price end
      return x.dateTime < y.dateTime
    end)
    for rank = 1, math.min(10, #bids) do
      local b = bids[rank]
      rows[#rows + 1] = { b.auction, rank, b.bidder, b.price, b.dateTime }
    end
  end
  return rows
end

q[20] = function(e)
  local rows = {}
  local bids = group(e.bids, by "auction")
  for _, a in ipairs(e.auctions) do
    for _, b in ipairs(a.category == 10 and bids[a.id] or {}) do
      rows[#rows + 1] = {
        b.auction, b.bidder, b.price, b.channel, b.url, b.dateTime, #b.extra, a.expires, a.seller, a.category,
      }
    end
  end
  return rows
end

q[21] = function(e)
  local ids = { apple = "0", google = "1", facebook = "2", baidu = "3" }
  local rows = {}
  for _, b in ipairs(e.bids) do
    local id = ids[b.channel:lower()] or b.url:match "[&^]channel_id=([^&]*)"
    if id then rows[#rows + 1] = { b.auction, b.bidder, b.price, b.channel, id } end
  end
  return rows
end

q[22] = function(e)
  return map(e.bids, function(b)
    local parts = {}
    for part in b.url:gmatch "[^/]+" do parts[#parts + 1] = part end -- "https:", host, three folders, the rest
    return { b.auction, b.bidder, b.price, b.channel, parts[3], parts[4], parts[5] }
  end)
end

return M
