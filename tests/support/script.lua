--- Runs the text of a script as a job of the program under test, for the end-to-end specs.

local shell = require "support.shell"

local M = {}

--- Runs a script and gives its output as sorted lines; it must end well.
---@param text string
---@param options? string of the program
---@return string
function M.run(text, options)
  local folder = shell.folder()
  local file = assert(io.open(folder .. "/job.lua", "w"))
  file:write(text)
  file:close()
  local out, code, err = shell.run(shell.weir .. " run " .. (options or "") .. " " .. folder .. "/job.lua")
  shell.remove(folder)
  if code ~= 0 then error("exit code " .. tostring(code) .. ": " .. err, 2) end
  return shell.sorted(out)
end

--- A list of lines as `run` gives them.
---@param list string[]
---@return string
function M.lines(list)
  table.sort(list)
  return table.concat(list, "\n") .. (#list > 0 and "\n" or "")
end

return M
