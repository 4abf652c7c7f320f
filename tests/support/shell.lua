--- Runs programs for the end-to-end specs.

local M = {}

--- The program under test.
M.weir = os.getenv "WEIR" or "build/weir"

--- A temporary folder that `M.clean` removes.
function M.folder()
  local pipe = assert(io.popen "mktemp -d")
  local path = pipe:read "*l"
  pipe:close()
  return path
end

function M.remove(path)
  os.execute("rm -rf '" .. path .. "'")
end

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

--- Runs a shell command; gives its standard output, exit code and standard error.
---@param command string
---@return string out
---@return integer code
---@return string err
function M.run(command)
  local folder = M.folder()
  os.execute(("( %s ) >%s/out 2>%s/err; echo $? >%s/code"):format(command, folder, folder, folder))
  local out, err, code = M.read(folder .. "/out"), M.read(folder .. "/err"), tonumber(M.read(folder .. "/code"))
  M.remove(folder)
  return out, code, err
end

--- The lines of a text, sorted bytewise: for outputs whose order is not fixed.
---@param text string
---@return string
function M.sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]*\n?" do
    if line ~= "" then lines[#lines + 1] = line end
  end
  table.sort(lines)
  return table.concat(lines)
end

return M
