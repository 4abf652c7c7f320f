-- SPDX-License-Identifier: Apache-2.0
--- Where in the user's script we were called from, and errors that say it.
---
--- Every mistake that is found while a graph is drawn is reported at the script's line, however
--- deep in our own modules it was noticed: the innermost frame that is not ours is the caller.

local getinfo = debug.getinfo

local M = {}

--- Is this the source of a module of ours? Those have their name for it, and no line numbers; a file of the script's
--- has "@" and its path.
function M.is_ours(source)
  return source == "weir" or source:find "^weir%." ~= nil
end

--- The place in the script that called us, "jobs/x.lua:12"; nil if there is none.
---@return string? place
function M.caller()
  local level = 2
  while true do
    local info = getinfo(level, "Sl")
    if not info then return nil end
    if info.what ~= "C" and not M.is_ours(info.source) then
      return info.short_src .. ":" .. info.currentline
    end
    level = level + 1
  end
end

--- Raises an error at a place found earlier; without a place the text stands alone.
---@param place string? as given by `caller`
---@param text string
function M.fail_at(place, text, ...)
  if select("#", ...) > 0 then text = text:format(...) end
  error(place and place .. ": " .. text or text, 0)
end

--- Raises an error at the caller's line of the script.
---@param text string a format if more arguments follow
function M.fail(text, ...)
  M.fail_at(M.caller(), text, ...)
end

return M
