-- SPDX-License-Identifier: Apache-2.0
--- What the functions of an operator are made of, as a few letters: two versions of a script agree in them where
--- they agree in the text of the functions, of those that these call, and in the values that they close over.
--- Where a function stands in its file makes no difference.

local host = weir_host -- luacheck: ignore
local util = require "jit.util"
local where = require "weir.where"

local M = {}

local ITEMS_MAX = 10000 -- values that are looked at; what lies behind makes no difference

-- The lines of a source, by where each begins.
local texts = {}
local function source_of(source)
  local known = texts[source]
  if known ~= nil then return known end
  local text
  if source:sub(1, 1) ~= "@" then
    text = source:sub(1, 1) ~= "=" and source or nil
  elseif source == "@" .. (host.file "script:name" or "") then
    text = host.file "script:text"
  else
    for _, name in ipairs(host.names()) do
      local module = name:match "^path:(.*)$"
      if module and "@" .. host.file(name) == source then text = host.file("module:" .. module) end
    end
  end
  local lines = text and { 1 }
  while text do
    local at = text:find("\n", lines[#lines], true)
    if not at then break end
    lines[#lines + 1] = at + 1
  end
  known = text and { text = text, lines = lines } or false
  texts[source] = known
  return known
end

local function text_of(fn)
  local info = debug.getinfo(fn, "S")
  local source = source_of(info.source)
  if not source then return string.dump(fn, true) end
  local from, to = source.lines[info.linedefined], source.lines[info.lastlinedefined + 1]
  return source.text:sub(from or 1, to and to - 1 or -1)
end

local Walk = {}
Walk.__index = Walk

function Walk:put(text)
  self[#self + 1] = text
end

function Walk:table(t)
  local names = {}
  for k in next, t do
    if type(k) == "string" or type(k) == "number" then names[#names + 1] = k end
  end
  table.sort(names, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  for _, k in ipairs(names) do
    self:put(tostring(k))
    self:value(t[k])
  end
end

-- The globals that a function, or one that is made in it, may name: strings among its constants.
function Walk:globals(proto, env)
  for i = -1, -util.funcinfo(proto).gcconsts, -1 do
    local constant = util.funck(proto, i)
    if type(constant) == "proto" then
      self:globals(constant, env)
    elseif type(constant) == "string" and rawget(env, constant) ~= nil then
      self:put(constant)
      self:value(env[constant])
    end
  end
end

function Walk:closure(fn)
  local info = debug.getinfo(fn, "S")
  if info.what == "C" or where.is_ours(info.source) then return end
  self:put(text_of(fn))
  for i = 1, ITEMS_MAX do
    local name, value = debug.getupvalue(fn, i)
    if not name then break end
    self:put(name)
    self:value(value)
  end
  self:globals(fn, debug.getfenv(fn))
end

function Walk:value(v)
  local ty = type(v)
  self.left = self.left - 1
  if self.left < 0 or self.seen[v] then return end
  if ty == "function" then
    self.seen[v] = true
    self:closure(v)
  elseif ty == "table" then
    self.seen[v] = true
    self:table(v)
  elseif ty == "string" or ty == "number" or ty == "boolean" then
    self:put(tostring(v))
  end
end

--- Of an operator as it was drawn.
---@param node weir.Node
---@return string
function M.of(node)
  local walk = setmetatable({ seen = {}, left = ITEMS_MAX }, Walk)
  for _, module in pairs(package.loaded) do walk.seen[module] = true end
  walk.seen[_G] = true
  walk:value(node.fn)
  walk:value(node.options)
  return host.digest(table.concat(walk, "\0"))
end

return M
