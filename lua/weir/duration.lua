-- SPDX-License-Identifier: Apache-2.0
--- Durations: "10s", "1h30m", "250ms", "100us", or a number of milliseconds.

local options = require "weir.options"

local floor = math.floor
local M = {}

---@alias weir.Duration string|number "10s", "5m", "1h30m", "250ms"; a number is milliseconds; at most "104249d".
--- Whole milliseconds, but for buffer timeouts and times of checkpoints, which may be microseconds: "100us"

local in_us = { us = 1, ms = 1000, s = 1e6, m = 6e7, h = 3.6e9, d = 8.64e10, w = 6.048e11 }

local US_MAX = 2 ^ 53 -- whole numbers up to here are exact
local TOO_LARGE = ("it is too large: at most %.0fd"):format(floor(US_MAX / in_us.d))

--- A duration in microseconds, or nil if it is none, and why if that is known. Parts follow each other: "1h30m",
--- "1d 12h".
---@param value weir.Duration
---@return number? microseconds whole
---@return string? why
function M.parse_us(value)
  if type(value) == "number" then
    if value ~= value then return nil end
    if math.abs(value) > US_MAX / 1000 then return nil, TOO_LARGE end
    return floor(value * 1000 + 0.5)
  end
  if type(value) ~= "string" then return nil end
  local sign, rest = value:match "^%s*(%-?)%s*(.-)%s*$"
  if rest:match "^%d+%.?%d*$" then
    rest = rest .. "ms"
  end
  local total, at = 0, 1
  repeat
    local digits, unit, after = rest:match("^(%d+%.?%d*)%s*(%a+)%s*()", at)
    if not digits or not in_us[unit] then return nil end
    total, at = total + tonumber(digits) * in_us[unit], after
  until at > #rest
  if total > US_MAX then return nil, TOO_LARGE end
  return floor(total + 0.5) * (sign == "-" and -1 or 1)
end

--- A duration in milliseconds, or nil if it is none or no whole number of them, and why if that is known.
---@param value weir.Duration
---@return number? milliseconds
---@return string? why
function M.parse(value)
  local us, why = M.parse_us(value)
  if us and us % 1000 == 0 then return us / 1000 end
  return nil, why
end

--- A duration in milliseconds, for scripts: `weir.duration(job.args.gap or "30m")`. An error at the caller's
--- line if it is none.
---@param value weir.Duration
---@return number milliseconds
function M.ms(value)
  return options.value("weir.duration", "its argument", value, M.any)
end

--- Milliseconds as people write them: 5400000 → "1h30m".
---@param ms number
---@return string
function M.text(ms)
  if ms == 0 then return "0" end
  if ms < 0 then return "-" .. M.text(-ms) end
  local us = floor(ms * 1000 + 0.5)
  local out = {}
  for _, unit in ipairs { "d", "h", "m", "s", "ms", "us" } do
    local n = floor(us / in_us[unit])
    if n > 0 then
      out[#out + 1] = ("%.0f%s"):format(n, unit)
      us = us - n * in_us[unit]
    end
  end
  return table.concat(out)
end

local function type_of(expect, parse, good)
  return options.type(expect .. ' such as "10s", "1h30m" or 500 (ms)', function(v)
    local n, why = parse(v)
    return n ~= nil and good(n), n, why
  end)
end

--- Types of options, kept as milliseconds.
M.positive = type_of("a positive duration", M.parse, function(n) return n > 0 end)
M.not_negative = type_of("a duration", M.parse, function(n) return n >= 0 end)
M.any = type_of("a duration", M.parse, function() return true end)

--- Buffer timeouts, kept as microseconds: 0 = at every record, -1 = only when a buffer is full.
local timeouts = 'a duration such as "10ms" or "100us", 0 (every record) or -1 (only full buffers)'
M.timeout = options.type(timeouts, function(v)
  if v == -1 then return true, -1 end
  local n, why = M.parse_us(v)
  return n ~= nil and n >= 0, n, why
end)

return M
