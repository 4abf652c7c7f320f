--- status_of: asks a web server for each address, several at a time.
---
---   weir run jobs/status_of.lua <addresses.txt
---   printf '%s\n' http://localhost:8000/ | weir run jobs/status_of.lua order=unordered
---
--- Reads an address a line, and prints {"url":, "status":, "bytes":, "type":}, in the order of the lines unless
--- order=unordered. A request that gets no answer, or one of 500 and above, is tried three times; what has no
--- answer then, or after ten seconds, is {"url":, "error":}.
--- Shows: an async function, HTTP, retry, timeout.
local weir = require "weir"

local job = weir.job { name = "status_of" }

local function status(line)
  local url = line.line
  local answered, reply = pcall(weir.http.get, url)
  if not answered then return { url = url, error = reply } end
  return { url = url, status = reply.status, bytes = #reply.body, type = reply.headers["content-type"] or "" }
end

local function is_worth_asking_again(result) return result.error ~= nil or result.status >= 500 end

job:source(weir.stdin())
  :async {
    fn = status, order = job.args.order or "ordered", capacity = 50,
    timeout = "10s", on_timeout = function(line) return { url = line.line, error = "no answer" } end,
    retry = { attempts = 3, delay = "200ms", factor = 2, if_result = is_worth_asking_again },
  }:uid "ask"
  :sink(weir.print())

return job
