-- SPDX-License-Identifier: Apache-2.0
--- Arguments of a script (key=value) that it does not know: a slip of the fingers would else be passed over in
--- silence. What a script knows is seen in its text: `args.NAME` and `args["NAME"]`. Where it does anything else
--- with its arguments (hands them on, walks over them), it may know any, and nothing is said.

local suggest = require "weir.suggest"

local M = {}

-- Adds the names that `text` asks for; false when it does something else with them.
local function names_in(text, names)
  local rest = text:gsub("%-%-[^\n]*", ""):gsub("local%s+args%s*=%s*[%w_]+%.args%f[^%w_]", "")
  local at = 1
  while true do
    local _, stop = rest:find("%f[%w_]args%f[^%w_]", at)
    if not stop then return true end
    local name = rest:match("^%s*%.%s*([%a_][%w_]*)", stop + 1)
      or rest:match("^%s*%[%s*[\"']([^\"'\n]*)[\"']%s*%]", stop + 1)
    if not name then return false end
    names[name] = true
    at = stop + 1
  end
end

--- An error for the first argument that none of the texts asks for.
---@param args table<string, string>
---@param texts string[] of the script and of what it requires
---@return string? error
function M.unknown(args, texts)
  local names, list = {}, {}
  for _, text in ipairs(texts) do
    if not names_in(text, names) then return nil end
  end
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  for name in require("weir.pairs").pairs(args) do
    if not names[name] then
      local near = suggest.nearest(name, list)
      return ("the script knows no argument '%s'%s"):format(name,
        near and ("; did you mean '%s'?"):format(near)
        or #list > 0 and "; it knows " .. table.concat(list, ", ") or ": it asks for none")
    end
  end
end

return M
