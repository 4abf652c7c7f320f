-- SPDX-License-Identifier: Apache-2.0
--- Options of constructors: one declared table, one check.
---
--- A declaration names every option with its type; the check gives a new table with defaults
--- filled in, and raises at the script's line what is unknown, missing or of a wrong type:
---
---   local o = options.check("weir.tcp_lines", given, {
---     host = options.string:default "localhost",
---     port = options.integer_in(1, 65535),
---     max_line = options.bytes:optional(),
---   })

local where = require "weir.where"
local suggest = require "weir.suggest"

local floor = math.floor
local M = {}

---@class weir.OptionType
---@field expect string what a right value is: "a string"
---@field test fun(value: any): boolean, any, string? is it right, what to keep of it, and else why not
---@field fallback any
---@field missing "error"|"fallback"
local Type = {}
Type.__index = Type

--- A type of option. `test` gives true and the value to keep; or false, nil and a reason if it knows one.
---@param expect string
---@param test fun(value: any): boolean, any, string?
---@return weir.OptionType
function M.type(expect, test)
  return setmetatable({ expect = expect, test = test, missing = "error" }, Type)
end

--- The same type, not required; missing means `value`.
function Type:default(value)
  return setmetatable({ expect = self.expect, test = self.test, missing = "fallback", fallback = value }, Type)
end

--- The same type, not required; missing stays missing.
function Type:optional()
  return self:default(nil)
end

local function of(kind, expect)
  return M.type(expect, function(v) return type(v) == kind, v end)
end

M.string = M.type("a string that is not empty", function(v) return type(v) == "string" and v ~= "", v end)
M.text = of("string", "a string")
M.number = M.type("a number", function(v) return type(v) == "number" and v == v, v end)
M.boolean = of("boolean", "true or false")
M.fn = of("function", "a function")
M.table = of("table", "a table")
M.any = M.type("a value", function(v) return v ~= nil, v end)

--- A whole number in [min, max].
function M.integer_in(min, max)
  local expect = max == math.huge and ("a whole number from %.0f up"):format(min)
    or ("a whole number from %.0f to %.0f"):format(min, max)
  return M.type(expect, function(v)
    return type(v) == "number" and v == floor(v) and v >= min and v <= max, v
  end)
end
M.integer = M.type("a whole number", function(v)
  return type(v) == "number" and v == floor(v) and math.abs(v) <= 2 ^ 53, v
end)

--- One of several strings.
function M.one_of(...)
  local names, known = { ... }, {}
  for _, name in ipairs(names) do known[name] = true end
  return M.type('one of "' .. table.concat(names, '", "') .. '"', function(v)
    if known[v] then return true, v end
    local guess = type(v) == "string" and suggest.nearest(v, names)
    return false, nil, guess and ('did you mean "%s"?'):format(guess) or nil
  end)
end

--- A list of values of one type, not empty; a single value is a list of one.
function M.list_of(item, expect)
  return M.type(expect or "a list: each " .. item.expect, function(v)
    if type(v) ~= "table" then v = { v } end
    local kept = {}
    for i, each in ipairs(v) do
      local ok, value = item.test(each)
      if not ok then return false end
      kept[i] = value
    end
    for k in pairs(v) do
      if kept[k] == nil then return false end
    end
    return #kept > 0, kept
  end)
end

local units = { [""] = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30, t = 2 ^ 40 }

--- A number of bytes: 65536, "64k", "16MiB".
M.bytes = M.type('a size such as 65536 or "64k" or "16MiB"', function(v)
  if type(v) == "string" then
    local digits, unit = v:match "^%s*(%d+%.?%d*)%s*([kKmMgGtT]?)[iI]?[bB]?%s*$"
    v = digits and tonumber(digits) * units[unit:lower()]
  end
  return type(v) == "number" and v >= 1 and v <= 2 ^ 53, type(v) == "number" and floor(v) or nil
end)

-- A value for messages, which are of one line.
local function shown(v)
  if type(v) == "string" then
    local text = ("%q"):format(v:sub(1, 40)):gsub("\\\n", "\\n")
    return #v > 40 and text .. "…" or text
  end
  if type(v) == "number" or type(v) == "boolean" or v == nil then return tostring(v) end
  return "a " .. type(v)
end
M.shown = shown

--- Checks one value; `what` and `name` are for the message: 'weir.files: option "path" …'.
function M.value(what, name, value, kind)
  local ok, kept, why = kind.test(value)
  if ok then return kept end
  where.fail("%s: %s must be %s, not %s%s", what, name, kind.expect, shown(value), why and "; " .. why or "")
end

local function names_of(declared)
  local names = {}
  for name in pairs(declared) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Checks the options given to `what` against what is declared. `main` names the option that may be given
--- alone in place of a table: `weir.files "books/*.txt"`, `weir.stdout(weir.csv())`.
---@param what string constructor, as the script calls it
---@param given any
---@param declared table<string, weir.OptionType>
---@param main? string
---@return table
function M.check(what, given, declared, main)
  if given == nil then
    given = {}
  elseif main and (type(given) ~= "table" or (declared[main].test(given))) then
    given = { [main] = given }
  elseif type(given) ~= "table" then
    where.fail("%s takes a table of options, not %s", what, shown(given))
  end
  local names = names_of(declared)
  local unknown = {}
  for name in pairs(given) do
    if declared[name] == nil then unknown[#unknown + 1] = name end
  end
  if unknown[1] ~= nil then
    table.sort(unknown, function(a, b) return tostring(a) < tostring(b) end)
    local name = unknown[1]
    where.fail("%s: unknown option %s%s", what, shown(name), suggest.hint(name, names))
  end
  local checked = {}
  for _, name in ipairs(names) do
    local kind, value = declared[name], given[name]
    if value ~= nil then
      checked[name] = M.value(what, ('option "%s"'):format(name), value, kind)
    elseif kind.missing == "error" then
      where.fail('%s: option "%s" is missing: give %s', what, name, kind.expect)
    else
      checked[name] = kind.fallback
    end
  end
  return checked
end

--- The same function, but an argument more than it takes is an error: what would be ignored was meant to say
--- something.
---@param what string the function, as the script calls it
---@param fn function
---@param own integer arguments that the caller does not count: 1 for a method
---@return function
function M.counted(what, fn, own)
  local info = debug.getinfo(fn, "u")
  local takes = info.nparams - own
  if info.isvararg then return fn end
  return function(...)
    if select(takes + own + 1, ...) ~= nil then
      where.fail("%s takes %s", what, takes == 0 and "no argument" or takes == 1 and "one argument only"
        or takes .. " arguments at most")
    end
    return fn(...)
  end
end

return M
