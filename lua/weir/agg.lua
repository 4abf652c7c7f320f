-- SPDX-License-Identifier: Apache-2.0
--- Declared aggregates of windows: what is added up, not how.
---
---   stream:key_by("user"):window(weir.window.tumbling "1m")
---     :aggregate { n = weir.agg.count(), total = weir.agg.sum "amount", top = weir.agg.max "amount" }
---
--- Your own is a table of functions over an accumulator, which may be any value that a record may hold:
---
---   longest = {
---     init = function() return { text = "" } end,
---     add = function(acc, rec) if #rec.text > #acc.text then acc.text = rec.text end return acc end,
---     merge = function(a, b) return #a.text >= #b.text and a or b end,  -- windows that merge need it
---     result = function(acc) return acc.text end,
---   }
---
--- Of a numeric field each record must have a number: one in which it is missing or `weir.null` fails, see `on_error`.

local null = require "weir.null"
local options = require "weir.options"
local suggest = require "weir.suggest"

local floor, sqrt = math.floor, math.sqrt
local M = {}

---@class weir.Aggregate
---@field add fun(acc: any, rec: any): any acc is nil for the first record if there is no init
---@field init? fun(): any
---@field merge? fun(a: any, b: any): any
---@field result? fun(acc: any): any
---@field fn? string its name in C, if windows of it run there
---@field pick? fun(rec: any): any what it needs of a record, nil for nothing; where it is there, add(acc, rec) is
--- fold(acc, pick(rec)), and mistakes in a record show in pick
---@field fold? fun(acc: any, picked: any): any
---@field whole? boolean it needs the record as it is
---@field large? boolean its accumulator grows: windows add many records at a time
local Aggregate = {}

local function aggregate(a)
  local pick, fold = a.pick, a.fold
  if pick then
    a.add = function(acc, rec) return fold(acc, pick(rec)) end
  end
  return setmetatable(a, Aggregate)
end

--- An aggregate from a table of functions, checked; what is one already is given back; else nil.
---@private
function M.of(what, a)
  if getmetatable(a) == Aggregate then return a end
  if type(a) ~= "table" then return nil end
  return aggregate(options.check(what, a, {
    init = options.fn:optional(), add = options.fn, merge = options.fn:optional(), result = options.fn:optional(),
  }))
end

--- Is it an aggregate of this module?
---@private
function M.is(v) return getmetatable(v) == Aggregate end

---------------------------------------------------------------- fields

-- A field of a record, also by a path: "user.id".
local function get(rec, field)
  if type(rec) ~= "table" then return nil end
  local v = rec[field]
  if v ~= nil or not field:find(".", 1, true) then return v end
  for name in field:gmatch "[^.]+" do
    if type(rec) ~= "table" then return nil end
    rec = rec[name]
  end
  return rec
end

local function number(rec, field)
  local v = get(rec, field)
  if type(v) == "number" or type(v) == "cdata" then return v end
  error(("field '%s' is %s"):format(field, v == nil and "missing" or v == null and "null" or "no number"), 0)
end

-- A field that has an order: a number, or a text.
local function ordered(rec, field)
  local v = get(rec, field)
  if type(v) == "string" then return v end
  if v == nil or v == null or v == v then return number(rec, field) end
  error(("field '%s' is NaN, which has no order"):format(field), 0)
end

-- A field that is counted or written, or nil.
local function scalar(rec, field)
  local v = get(rec, field)
  if type(v) ~= "table" or v == null then return v end
  error(("field '%s' is a table, and must be a number, a string or a boolean"):format(field), 0)
end

local function need_field(name, field)
  return options.value("weir.agg." .. name, "the field", field, options.string)
end

---------------------------------------------------------------- numbers

local function rounded(v)
  return type(v) == "number" and not (v == math.floor(v) and v >= -2 ^ 53 and v <= 2 ^ 53)
end

-- As the operators in C add: exactly with an integer, until a number is none or 64 bits are not enough.
local function plus(a, b)
  if type(a) == "number" and type(b) == "number" then return a + b end
  if rounded(a) or rounded(b) then return tonumber(a) + tonumber(b) end
  local sum = a + b
  if (a >= 0) == (b >= 0) and (sum >= 0) ~= (a >= 0) then return tonumber(a) + tonumber(b) end
  return sum
end

--- How many records.
---@return weir.Aggregate
function M.count()
  return aggregate {
    fn = "count", init = function() return 0 end, merge = plus,
    pick = function() end, fold = function(n) return n + 1 end,
  }
end

--- The sum of a numeric field; of integers, and of whole numbers with them, exact.
---@param field string
---@return weir.Aggregate
function M.sum(field)
  need_field("sum", field)
  return aggregate {
    fn = "sum", field = field, merge = plus,
    pick = function(rec) return number(rec, field) end,
    fold = function(acc, v)
      if acc == nil then return v end
      return plus(acc, v)
    end,
  }
end

--- The mean of a numeric field.
---@param field string
---@return weir.Aggregate
function M.avg(field)
  need_field("avg", field)
  return aggregate {
    fn = "avg", field = field,
    init = function() return { n = 0, sum = 0 } end,
    pick = function(rec) return tonumber(number(rec, field)) end,
    fold = function(acc, v)
      acc.n, acc.sum = acc.n + 1, acc.sum + v
      return acc
    end,
    merge = function(a, b) return { n = a.n + b.n, sum = a.sum + b.sum } end,
    result = function(acc) return acc.sum / acc.n end,
  }
end

local function extreme(name, better)
  return function(field)
    need_field(name, field)
    return aggregate {
      fn = name, field = field,
      pick = function(rec) return number(rec, field) end,
      fold = function(acc, v)
        if acc == nil or acc ~= acc or better(v, acc) then return v end -- NaN gives way, as in C
        return acc
      end,
      merge = function(a, b) return (a ~= a or better(b, a)) and b or a end,
    }
  end
end

-- An integer of 64 bits and a number as numbers, as in C: Lua would cut off what is behind the number's point.
local function less(a, b)
  if type(a) ~= type(b) then return tonumber(a) < tonumber(b) end
  return a < b
end
local function more(a, b) return less(b, a) end

-- Texts are above numbers, so that any two values of a field have an order.
local function above(a, b)
  local text_a, text_b = type(a) == "string", type(b) == "string"
  if text_a ~= text_b then return text_a end
  return more(a, b)
end
local function below(a, b) return above(b, a) end

--- The smallest value of a numeric field.
---@param field string
---@return weir.Aggregate
M.min = extreme("min", less)

--- The largest value of a numeric field.
---@param field string
---@return weir.Aggregate
M.max = extreme("max", more)

--- The standard deviation of a numeric field, of all records (not a sample): 0 for one record.
---@param field string
---@return weir.Aggregate
function M.stddev(field)
  need_field("stddev", field)
  return aggregate {
    fn = "stddev", field = field,
    init = function() return { n = 0, mean = 0, m2 = 0 } end,
    pick = function(rec) return tonumber(number(rec, field)) end,
    fold = function(acc, v)
      local distance = v - acc.mean
      acc.n = acc.n + 1
      acc.mean = acc.mean + distance / acc.n
      acc.m2 = acc.m2 + distance * (v - acc.mean)
      return acc
    end,
    merge = function(a, b)
      local n, distance = a.n + b.n, b.mean - a.mean
      return {
        n = n, mean = a.mean + distance * b.n / n, m2 = a.m2 + b.m2 + distance * distance * a.n * b.n / n,
      }
    end,
    result = function(acc) return sqrt(acc.m2 / acc.n) end,
  }
end

---------------------------------------------------------------- records and values

-- A field of the record, or all of it. A missing field is nothing to remember.
local function picked(rec, field)
  if not field then return rec end
  return get(rec, field)
end

local function optional_field(name, field)
  if field ~= nil then need_field(name, field) end
end

--- The first record that arrived, or its value of a field.
---@param field? string
---@return weir.Aggregate
function M.first(field)
  optional_field("first", field)
  return aggregate {
    pick = function(rec) return picked(rec, field) end,
    fold = function(acc, v)
      if acc ~= nil then return acc end
      return v
    end,
    merge = function(a) return a end,
  }
end

--- The last record that arrived, or its value of a field.
---@param field? string
---@return weir.Aggregate
function M.last(field)
  optional_field("last", field)
  return aggregate {
    pick = function(rec) return picked(rec, field) end,
    fold = function(acc, v)
      if v == nil then return acc end
      return v
    end,
    merge = function(_, b) return b end,
  }
end

local function extreme_by(name, better)
  return function(field)
    need_field(name, field)
    return aggregate {
      add = function(acc, rec)
        local v = ordered(rec, field)
        if acc == nil or better(v, get(acc, field)) then return rec end
        return acc
      end,
      merge = function(a, b) return better(get(b, field), get(a, field)) and b or a end,
    }
  end
end

--- The record with the smallest value of a field, a number or a string; of equal ones the first. Strings are
--- above numbers.
---@param field string
---@return weir.Aggregate
M.min_by = extreme_by("min_by", below)

--- The record with the largest value of a field; of equal ones the first.
---@param field string
---@return weir.Aggregate
M.max_by = extreme_by("max_by", above)

local function appended(a, b)
  for i = 1, #b do a[#a + 1] = b[i] end
  return a
end

--- All records in a list, or their values of a field.
---@param field? string
---@return weir.Aggregate
function M.collect(field)
  optional_field("collect", field)
  return aggregate {
    large = true, whole = not field, init = function() return {} end,
    pick = function(rec) return picked(rec, field) end,
    fold = function(acc, v)
      acc[#acc + 1] = v
      return acc
    end,
    merge = appended,
  }
end

--- The values of a field as one text.
---@param field string
---@param separator? string default ","
---@return weir.Aggregate
function M.string_agg(field, separator)
  need_field("string_agg", field)
  separator = options.value("weir.agg.string_agg", "the separator", separator or ",", options.text)
  local collect = M.collect(field)
  return aggregate {
    large = true, init = collect.init, fold = collect.fold, merge = appended,
    pick = function(rec) return scalar(rec, field) end,
    result = function(acc)
      local texts = {}
      for i = 1, #acc do texts[i] = tostring(acc[i]):gsub(type(acc[i]) == "cdata" and "U?LL$" or "^$", "") end
      return table.concat(texts, separator)
    end,
  }
end

--- The n records with the largest values of a field, largest first; of equal ones the first.
---@param n integer
---@param field string
---@return weir.Aggregate
function M.top(n, field)
  options.value("weir.agg.top", "the count", n, options.integer_in(1, 10000))
  need_field("top", field)
  local function insert(acc, rec)
    local v, at = get(rec, field), #acc + 1
    while at > 1 and above(v, get(acc[at - 1], field)) do at = at - 1 end
    if at <= n then
      table.insert(acc, at, rec)
      acc[n + 1] = nil
    end
    return acc
  end
  return aggregate {
    large = true, whole = true, init = function() return {} end, fold = insert,
    pick = function(rec)
      ordered(rec, field)
      return rec
    end,
    merge = function(a, b)
      for i = 1, #b do insert(a, b[i]) end
      return a
    end,
  }
end

-- A table with string keys alone would be a record, and field names that are data cost a shape each.
local FORCE_MAP = -math.huge

-- Under what a value is kept: what no key of a table can be, or is FORCE_MAP, is a text that begins with the byte 1,
-- as no other does.
local function key_of(v)
  if type(v) == "cdata" then return tostring(v) end
  if type(v) == "string" then return v:byte() == 1 and "\1" .. v or v end
  if v == null or v == FORCE_MAP or v ~= v then return "\1" .. (v ~= v and "nan" or tostring(v)) end
  return v
end

--- How many different values a field has, exactly: keeps each of them. A field that is missing does not count;
--- `weir.null` does, as one value: leave such records out with a filter where it should not.
---@param field string
---@return weir.Aggregate
function M.distinct(field)
  need_field("distinct", field)
  return aggregate {
    large = true, init = function() return { n = 0, seen = { [FORCE_MAP] = true } } end,
    pick = function(rec) return key_of(scalar(rec, field)) end,
    fold = function(acc, v)
      if v == nil or acc.seen[v] then return acc end
      acc.seen[v] = true
      acc.n = acc.n + 1
      return acc
    end,
    merge = function(a, b)
      for v in pairs(b.seen) do
        if not a.seen[v] then
          a.seen[v] = true
          a.n = a.n + 1
        end
      end
      return a
    end,
    result = function(acc) return acc.n end,
  }
end

---------------------------------------------------------------- sketches

-- Buckets whose bounds grow by GAMMA: a quantile is within 1 % of the true value.
local GAMMA = 1.02
local LOG_GAMMA = math.log(GAMMA)
local OFFSET = 1e6 -- keeps numbers of buckets above zero; the buckets of negative values are below it

local function bucket_of(v)
  if v == 0 then return 0 end
  local i = math.ceil(math.log(math.abs(v)) / LOG_GAMMA)
  return v > 0 and i + OFFSET or -(i + OFFSET)
end

local function value_of(bucket)
  if bucket == 0 then return 0 end
  local v = 2 * GAMMA ^ (math.abs(bucket) - OFFSET) / (GAMMA + 1)
  return bucket > 0 and v or -v
end

--- A quantile of a numeric field, to within 1 % of its value, from a sketch of a few hundred counters.
---@param field string
---@param q number 0 to 1: 0.5 is the median
---@return weir.Aggregate
function M.quantile(field, q)
  need_field("quantile", field)
  options.value("weir.agg.quantile", "the quantile", q,
    options.type("a number from 0 to 1", function(v) return type(v) == "number" and v >= 0 and v <= 1, v end))
  return aggregate {
    large = true, init = function() return { n = 0, buckets = {} } end,
    pick = function(rec)
      local v = number(rec, field)
      if v ~= v then error(("field '%s' is NaN, which has no order"):format(field), 0) end
      return bucket_of(tonumber(v))
    end,
    fold = function(acc, bucket)
      acc.n = acc.n + 1
      acc.buckets[bucket] = (acc.buckets[bucket] or 0) + 1
      return acc
    end,
    merge = function(a, b)
      for bucket, n in pairs(b.buckets) do a.buckets[bucket] = (a.buckets[bucket] or 0) + n end
      a.n = a.n + b.n
      return a
    end,
    result = function(acc)
      local values = {}
      for bucket, n in pairs(acc.buckets) do values[#values + 1] = { value_of(bucket), n } end
      table.sort(values, function(x, y) return x[1] < y[1] end)
      local rank, seen = floor(q * (acc.n - 1)), 0
      for _, each in ipairs(values) do
        seen = seen + each[2]
        if seen > rank then return each[1] end
      end
    end,
  }
end

--- The median of a numeric field: weir.agg.quantile(field, 0.5).
---@param field string
---@return weir.Aggregate
function M.median(field)
  return M.quantile(need_field("median", field), 0.5)
end

local REGISTERS = 1024 -- of a HyperLogLog: an error of 1.04 / sqrt(REGISTERS), about 3 %

-- 32 bits of a hash of a scalar, in plain arithmetic: FNV-1a over its text, then a finisher.
local function hash_of(v)
  local text = type(v) .. tostring(v)
  local h = 2166136261
  for i = 1, #text do
    h = bit.bxor(h, text:byte(i))
    h = bit.tobit(bit.lshift(h, 24) + h * 403)
  end
  h = bit.bxor(h, bit.rshift(h, 16))
  h = bit.tobit(bit.band(h, 0xffff) * 0x85eb + bit.lshift(bit.band(bit.rshift(h, 16) * 0x85eb, 0xffff), 16))
  h = bit.bxor(h, bit.rshift(h, 13))
  h = bit.tobit(bit.band(h, 0xffff) * 0xc2b3 + bit.lshift(bit.band(bit.rshift(h, 16) * 0xc2b3, 0xffff), 16))
  return bit.bxor(h, bit.rshift(h, 16)) % 2 ^ 32
end

--- About how many different values a field has: within some 3 %, from a sketch of 1,024 registers. What counts is
--- what counts for `distinct`.
---@param field string
---@return weir.Aggregate
function M.distinct_approx(field)
  need_field("distinct_approx", field)
  return aggregate {
    large = true, init = function() return {} end,
    pick = function(rec)
      local v = scalar(rec, field)
      if v ~= nil then return hash_of(v) end
    end,
    fold = function(acc, h)
      if h == nil then return acc end
      local register, rest, rank = h % REGISTERS, floor(h / REGISTERS), 1
      while rank <= 22 and rest % 2 == 0 do rest, rank = floor(rest / 2), rank + 1 end
      if rank > (acc[register] or 0) then acc[register] = rank end
      return acc
    end,
    merge = function(a, b)
      for register, rank in pairs(b) do
        if rank > (a[register] or 0) then a[register] = rank end
      end
      return a
    end,
    result = function(acc)
      local sum, used = 0, 0
      for _, rank in pairs(acc) do sum, used = sum + 2 ^ -rank, used + 1 end
      local estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / (sum + REGISTERS - used)
      if estimate <= 2.5 * REGISTERS and used < REGISTERS then
        estimate = REGISTERS * math.log(REGISTERS / (REGISTERS - used))
      end
      return floor(estimate + 0.5)
    end,
  }
end

return suggest.strict("weir.agg", M, { "is", "of" })
