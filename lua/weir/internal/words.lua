-- SPDX-License-Identifier: Apache-2.0
--- Words of the command line that stand for keys of state.

local saved = require "weir.internal.savepoint"

local M = {}

local function unquoted(text)
  local ok, value = pcall(function() return assert(loadstring("return " .. text))() end)
  if ok and type(value) == "string" then return value end
end

local function scalar(text)
  if text == "true" or text == "false" then return text == "true" end
  if text:match '^".*"$' then return unquoted(text) end
  local n = tonumber(text)
  if n and math.abs(n) > 2 ^ 53 and saved.integer(text) then return saved.integer(text) end
  return n
end

--- The keys that a word may mean: as JSON, and as it stands.
---@param text string
---@return any[]
function M.meanings(text)
  local inside = text:match "^%s*%[(.*)%]%s*$"
  if inside then
    local parts, at = {}, 1
    while at <= #inside do
      local quoted, stop = inside:match('^%s*("[^"\\]*")%s*,?()', at)
      if not quoted then quoted, stop = inside:match("^%s*([^,]-)%s*,()", at) end
      if not quoted then quoted, stop = inside:match("^%s*(.-)%s*$", at), #inside + 1 end
      local v = scalar(quoted)
      if v == nil then
        error(("the key %s is no list of strings, numbers and booleans as in JSON"):format(text), 0)
      end
      parts[#parts + 1] = v
      at = stop
    end
    return { parts }
  end
  local value = scalar(text)
  if value == nil then return { text } end
  return { value, text }
end

return M
