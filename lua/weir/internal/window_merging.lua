-- SPDX-License-Identifier: Apache-2.0
--- The merging set of a key: which windows there are, and under which state window the contents of each lie
--- (rows M1 to M11 of the semantics). A list of { start, end, state window's start, its end } in keyed state.

local M = {}

--- Where (s, e) is in the set.
---@return integer?
function M.find(set, s, e)
  for i = 1, #set do
    if set[i][1] == s and set[i][2] == e then return i end
  end
end

local function by_start(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  return a[2] < b[2]
end

--- The windows of the set that become one with (s, e), and the window they become (M9, M10). `join` says of two
--- windows, the first of which starts no later, what they become, or nothing.
---@return table[] group, number s, number e
function M.group(set, s, e, join)
  local mine = { s, e }
  local sorted = { mine }
  for i = 1, #set do sorted[i + 1] = set[i] end
  table.sort(sorted, by_start)
  local group, bs, be
  for _, w in ipairs(sorted) do
    local js, je
    if group then js, je = join(bs, be, w[1], w[2]) end
    if js then
      bs, be = js, je
    else
      if group and group.mine then break end
      group, bs, be = {}, w[1], w[2]
    end
    if w == mine then group.mine = true else group[#group + 1] = w end
  end
  return group, bs, be
end

--- The set in which `merged` stands for those of `group`.
---@return table[]
function M.replaced(set, group, merged)
  local left, gone = { merged }, {}
  for _, w in ipairs(group) do gone[w] = true end
  for _, w in ipairs(set) do
    if not gone[w] then left[#left + 1] = w end
  end
  return left
end

return M
