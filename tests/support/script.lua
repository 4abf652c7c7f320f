--- Runs the text of a script as a job of the program under test, for the end-to-end specs.

local shell = require "support.shell"

local M = {}

--- The first line of most scripts: `weir` and `job` are there.
M.head = 'local weir = require "weir" local job = weir.job "test"\n'

--- Flat records as the text of a Lua table.
---@param list table<string, string|number>[]
---@return string
function M.literal(list)
  local out = {}
  for i, r in ipairs(list) do
    local fields = {}
    for k, v in pairs(r) do fields[#fields + 1] = ("%s=%s"):format(k, type(v) == "string" and ("%q"):format(v) or v) end
    out[i] = "{" .. table.concat(fields, ",") .. "}"
  end
  return "{" .. table.concat(out, ",") .. "}"
end

--- Runs a script, alone in a folder that `prepare` may put more into.
---@param text string
---@param options? string of the program; %s stands for the folder
---@param prepare? fun(folder: string)
---@param args? string of the script; %s stands for the folder
---@return string out
---@return integer code
---@return string err without the folder's name
function M.try(text, options, prepare, args)
  local folder = shell.folder()
  local file = assert(io.open(folder .. "/job.lua", "w"))
  file:write(text)
  file:close()
  if prepare then prepare(folder) end
  local given = (options or ""):gsub("%%s", folder)
  local behind = (args or ""):gsub("%%s", folder)
  local out, code, err = shell.run(("%s run %s %s/job.lua %s"):format(shell.weir, given, folder, behind))
  shell.remove(folder)
  return out, code, (err:gsub(folder:gsub("%p", "%%%0") .. "/", ""))
end

--- Runs a script and gives its output as sorted lines; it must end well.
---@param text string
---@param options? string of the program
---@return string
function M.run(text, options)
  local out, code, err = M.try(text, options)
  if code ~= 0 then error("exit code " .. tostring(code) .. ": " .. err, 2) end
  return shell.sorted(out)
end

--- A part of the text of a script: an operator that counts the records of each key.
---@param more string what is done with each record `rec`, of which there are `n` now
---@return string
function M.counting(more)
  return ([[process(weir.process_function {
    state = { n = weir.state.value() },
    element = function(ctx, rec)
      local n = (ctx.n:get() or 0) + 1
      ctx.n:set(n)
      %s
    end,
  }):uid "count"]]):format(more)
end

--- A list of lines as `run` gives them.
---@param list string[]
---@return string
function M.lines(list)
  table.sort(list)
  return table.concat(list, "\n") .. (#list > 0 and "\n" or "")
end

return M
