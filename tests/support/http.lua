--- A web server for specs (http_server.py): started on a port of its own, and ended with the spec.

local shell = require "support.shell"

local M = {}

---@return { url: string, stop: fun() } server `url` has no slash at its end
function M.start()
  local folder = shell.folder()
  shell.run("mkfifo " .. folder .. "/port")
  local input = assert(io.popen(("python3 tests/support/http_server.py %s/port"):format(folder), "w"))
  local file = assert(io.open(folder .. "/port")) -- waits for the server
  local port = assert(file:read "*l", "the web server does not start")
  file:close()
  return {
    url = "http://127.0.0.1:" .. port,
    stop = function()
      input:close()
      shell.remove(folder)
    end,
  }
end

return M
