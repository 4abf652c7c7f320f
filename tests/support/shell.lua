--- Runs programs for the end-to-end specs.

local M = {}

local function line_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "*l"
  pipe:close()
  return line
end

--- The project's folder, in which tests run.
M.here = line_of "pwd"

--- The program under test, from any folder.
M.weir = os.getenv "WEIR" or "build/weir"
if M.weir:sub(1, 1) ~= "/" then M.weir = M.here .. "/" .. M.weir end

--- A temporary folder that `M.remove` removes.
function M.folder() return line_of "mktemp -d" end

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

--- Shell code that waits until a command succeeds. When the process that is to bring that about has died without, or
--- a minute is over, standard error says what was waited for, the process is killed, and the shell exits with 1.
---@param condition string a command of the shell
---@param pid string that process, as the shell has it: "$pid"
---@return string code
function M.await(condition, pid)
  return ([[waits=0; until %s; do
      if ! kill -0 %s 2>/dev/null; then %s && break; waits=6000; fi
      if [ $((waits += 1)) -gt 6000 ]; then
        kill -9 %s 2>/dev/null; echo 'waited in vain for: %s' >&2; exit 1
      fi
      sleep 0.01; done]]):format(condition, pid, condition, pid, (condition:gsub("'", "'\\''")))
end

--- Lines of a format that takes a number, for each number from `from` to `to`.
---@param from integer
---@param to integer
---@param format string
---@return string
function M.lines(from, to, format)
  local lines = {}
  for i = from, to do lines[#lines + 1] = format:format(i) .. "\n" end
  return table.concat(lines)
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
