-- SPDX-License-Identifier: Apache-2.0
--- HTTP requests, for the function of stream:async: others are handled while an answer is awaited.
---
---   local reply = weir.http.get("http://users.local/ann", { timeout = "2s" })
---   if reply.status == 200 then … reply.body … reply.headers["content-type"] … end

local options = require "weir.options"
local duration = require "weir.duration"

local M = {}

local headers = options.type("a table of header names and values", function(v)
  if type(v) ~= "table" then return false end
  local lines = {}
  for name, value in pairs(v) do
    if type(name) ~= "string" or not name:match "^[%w!#$%%&'*+%-.^_`|~]+$" then return false end
    if type(value) ~= "string" or value:find "[%c]" then return false end
    lines[#lines + 1] = name .. ": " .. value
  end
  table.sort(lines)
  return true, table.concat(lines, "\n")
end)

local get_options = {
  headers = headers:default "",
  timeout = duration.positive:default(30000),
  redirects = options.integer_in(0, 50):default(5),
  body_max = options.bytes:default(1048576),
}

---@class weir.HttpOptions
---@field headers? table<string, string>
---@field timeout? weir.Duration of this request, redirects included; default "30s"
---@field redirects? integer how many are followed; default 5
---@field body_max? weir.Bytes a longer body is an error; default "1m"

---@class weir.HttpReply
---@field status integer 200, 404 …
---@field body string
---@field headers table<string, string> names in small letters; values of one that comes twice are joined by ", "

local url_type = options.type("an address such as http://host/path", function(v)
  return type(v) == "string" and v:match "^[hH][tT][tT][pP][sS]?://." ~= nil and not v:find "[%c ]", v
end)

--- Asks a web server, and gives its answer, whatever its status. No answer (no connection, time over, body too
--- long) raises an error, which pcall catches and `retry` of stream:async tries again.
---@param url string
---@param opts? weir.HttpOptions
---@return weir.HttpReply
function M.get(url, opts)
  options.value("weir.http.get", "the address", url, url_type)
  local o = options.check("weir.http.get", opts, get_options)
  local answer, why = require("weir.internal.async").get(url, o)
  if not answer then error(("GET %s: %s"):format(url, why), 2) end
  local reply = { status = answer[2], body = answer[3], headers = {} }
  for i = 4, #answer, 2 do
    local name, value = answer[i], answer[i + 1]
    local before = reply.headers[name]
    reply.headers[name] = before and before .. ", " .. value or value
  end
  return reply
end

return M
