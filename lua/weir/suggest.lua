-- SPDX-License-Identifier: Apache-2.0
--- "did you mean": the known name nearest to a misspelt one.

local M = {}

-- Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
local function distance(a, b)
  local before, last = nil, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

--- The nearest of `names`, if it is near enough to be a slip of the fingers.
---@param name string
---@param names string[]
---@return string?
function M.nearest(name, names)
  local best, best_distance
  for _, candidate in ipairs(names) do
    local d = distance(name:lower(), candidate:lower())
    if not best or d < best_distance or d == best_distance and candidate < best then
      best, best_distance = candidate, d
    end
  end
  if best and best_distance <= math.max(1, math.floor(#name / 3)) then return best end
end

--- What to append to "unknown option "x"": a guess, or all there is.
---@param name any
---@param names string[]
---@return string
function M.hint(name, names)
  local guess = type(name) == "string" and M.nearest(name, names)
  if guess then return ('; did you mean "%s"?'):format(guess) end
  if #names == 0 then return "" end
  local sorted = {}
  for i, n in ipairs(names) do sorted[i] = n end
  table.sort(sorted)
  return "; there is " .. table.concat(sorted, ", ")
end

--- A module that raises at the script's line for names it does not have: "weir.window has no tumblin".
---@param name string of the module
---@param module table
---@param private? string[] its functions that are not for scripts, and are no answer
---@return table module
function M.strict(name, module, private)
  local hidden = {}
  for _, known in ipairs(private or {}) do hidden[known] = true end
  return setmetatable(module, {
    __index = function(_, key)
      local names = {}
      for known in pairs(module) do
        if not hidden[known] then names[#names + 1] = known end
      end
      require("weir.where").fail("%s has no %s%s", name, tostring(key), M.hint(key, names))
    end,
  })
end

return M
