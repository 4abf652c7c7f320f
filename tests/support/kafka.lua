--- Kafka clusters for specs (support/broker/broker.py), and clients that are not ours to hold ours against.
---
---   local cluster = kafka.shared()              -- one node, which other specs use at the same time
---   local cluster = kafka.start(3)              -- of one's own, to kill nodes of; to be closed
---   local topic = cluster:topic { partitions = 4 }
---   cluster:produce(topic, "a:1\nb:2\n")        -- by kcat
---   cluster:send(topic, { { key = "a", value = "1", timestamp = 5 } })   -- by librdkafka
---   cluster:consume(topic)                      -- { { partition =, offset =, key =, value =, … }, … }

local ffi = require "ffi"
local rdkafka = require "support.rdkafka"
local shell = require "support.shell"

ffi.cdef [[int getpid(void);]]

local M = {}

local Cluster = {}
Cluster.__index = Cluster

local names = 0

--- A name that nobody else has.
---@param base string
---@return string
function M.unique(base)
  names = names + 1
  return ("%s-%d-%d"):format(base, ffi.C.getpid(), names)
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function cluster_of(brokers, fields)
  fields.brokers, fields.nodes, fields.running = brokers, {}, {}
  for node in brokers:gmatch "[^,]+" do
    table.insert(fields.nodes, node)
    fields.running[#fields.nodes] = true
  end
  return setmetatable(fields, Cluster)
end

--- A cluster of one's own.
---@param count integer of nodes
---@param properties? string[] lines of their server.properties
---@param clients? table<string, string> properties that each client needs
function M.start(count, properties, clients)
  local folder, lines = shell.folder(), {}
  for i, line in ipairs(properties or {}) do lines[i] = quoted(line) end
  shell.run("mkfifo " .. folder .. "/answers")
  local commands = assert(io.popen(("exec python3 tests/support/broker/broker.py serve %d %s/answers %s")
    :format(count, folder, table.concat(lines, " ")), "w"))
  local answers = assert(io.open(folder .. "/answers"))
  local brokers = answers:read "*l"
  shell.remove(folder)
  if not brokers then error("the cluster does not start", 0) end
  return cluster_of(brokers, { commands = commands, answers = answers, clients = clients })
end

local shared

--- One node for all specs of a run (`make kafka`); of this process where it runs alone. Nodes of it may not be killed.
function M.shared()
  if not shared then
    local brokers = os.getenv "KAFKA_BROKERS"
    shared = brokers and cluster_of(brokers, {}) or M.start(1)
  end
  return shared
end

--- Ends a cluster of one's own.
function Cluster:close()
  if self.own then self.own:close() end
  self.commands:close()
  self.answers:close()
end

---------------------------------------------------------------- nodes

-- Nodes by their numbers, from 1.
function Cluster:tell(verb, ...)
  assert(self.commands, "this cluster belongs to others, too")
  local line = verb .. " " .. table.concat({ ... }, " ")
  self.commands:write(line, "\n")
  self.commands:flush()
  local answer = self.answers:read "*l"
  if answer ~= "ok" then error(("%s: %s"):format(line, answer or "the cluster is gone"), 3) end
  for _, i in ipairs { ... } do self.running[i] = verb == "start" end
end

--- Ends nodes as kill -9 does.
---@param ... integer from 1
function Cluster:kill(...) self:tell("kill", ...) end

--- Ends nodes in good order.
function Cluster:stop(...) self:tell("stop", ...) end

--- Starts nodes again with their data, and waits until they are members: with a majority of the nodes.
function Cluster:up(...) self:tell("start", ...) end

---------------------------------------------------------------- topics

--- A client by librdkafka, to be closed.
---@param brokers? string all unless told
---@param properties? table<string, string>
function Cluster:connect(brokers, properties)
  local all = {}
  for name, value in pairs(self.clients or {}) do all[name] = value end
  for name, value in pairs(properties or {}) do all[name] = value end
  return rdkafka.new(brokers or self.brokers, all)
end

--- The cluster's own, for what kcat cannot do (support/rdkafka.lua).
function Cluster:client()
  self.own = self.own or self:connect()
  return self.own
end

--- Waits until a condition holds; an error when it does not within a minute.
---@param what string
---@param condition fun(): any
function M.await(what, condition)
  for _ = 1, 6000 do
    local value = condition()
    if value then return value end
    ffi.C.poll(nil, 0, 10)
  end
  error("waited in vain for: " .. what, 2)
end

--- Waits until each node that runs knows `partitions` of a topic with a leader each; with `in_sync`, until all
--- replicas have all.
---@param topic string
---@param partitions integer
---@param in_sync? boolean
function Cluster:ready(topic, partitions, in_sync)
  for i, node in ipairs(self.nodes) do
    if self.running[i] then
      M.await(("topic %s at node %d"):format(topic, i), function()
        local client = self:connect(node)
        local list = client:partitions(topic)
        client:close()
        for p = 0, partitions - 1 do
          local it = list and list[p]
          if not it or it.leader < 0 or in_sync and it.in_sync < it.replicas then return false end
        end
        return true
      end)
    end
  end
end

--- Makes a topic and waits until it is there.
---@param name string
---@param options? { partitions?: integer, replicas?: integer, config?: table<string, any> } 1, and all nodes
function Cluster:create(name, options)
  options = options or {}
  local partitions = options.partitions or 1
  self:client():create(name, partitions, options.replicas or math.min(#self.nodes, 3), options.config or {})
  self:ready(name, partitions)
end

--- A new topic with a name of its own.
---@param options? table as in `create`; `name` is what its name begins with
---@return string name
function Cluster:topic(options)
  local name = M.unique(options and options.name or "topic")
  self:create(name, options)
  return name
end

--- Deletes a topic and waits until it is gone.
function Cluster:delete(name)
  self:client():delete(name)
  M.await("the end of topic " .. name, function() return not self:client():partitions(name) end)
end

--- More partitions of a topic, `total` in all.
function Cluster:grow(name, total)
  self:client():grow(name, total)
  self:ready(name, total)
end

---------------------------------------------------------------- records

--- Runs kcat, which must end well; gives what it writes.
---@param arguments string
---@param input? string
---@return string out
function Cluster:kcat(arguments, input)
  local folder = shell.folder()
  local file = assert(io.open(folder .. "/input", "wb"))
  file:write(input or "")
  file:close()
  local words = { "timeout 120 kcat -q -m 60 -b " .. self.brokers }
  for name, value in pairs(self.clients or {}) do words[#words + 1] = "-X " .. quoted(name .. "=" .. value) end
  local out, code, err = shell.run(("%s %s <%s/input"):format(table.concat(words, " "), arguments, folder))
  shell.remove(folder)
  if code ~= 0 then error(("kcat %s: exit code %d\n%s"):format(arguments, code, err), 0) end
  return out
end

--- Writes lines "key:value" by kcat.
---@param topic string
---@param lines string
---@param options? { partition?: integer, headers?: string[], id?: string } headers: "name=value"; id: of a transaction
function Cluster:produce(topic, lines, options)
  options = options or {}
  local words = { "-P -K: -X linger.ms=0 -X enable.idempotence=true -t " .. topic }
  if options.partition then table.insert(words, "-p " .. options.partition) end
  for _, header in ipairs(options.headers or {}) do table.insert(words, "-H " .. quoted(header)) end
  if options.id then table.insert(words, "-X transactional.id=" .. options.id) end
  self:kcat(table.concat(words, " "), lines)
end

--- Writes records by librdkafka (support/rdkafka.lua, `send`). With `id` in a transaction of this id, with "abort" one
--- that is aborted in the end.
---@param topic string
---@param records table[]
---@param id? string
---@param fate? "commit"|"abort"
function Cluster:send(topic, records, id, fate)
  if not id then
    self:client():send(topic, records)
    return
  end
  local client = self:connect(nil, { ["transactional.id"] = id })
  client:begin()
  client:send(topic, records)
  if fate == "abort" then client:abort() else client:commit_transaction() end
  client:close()
end

local RECORD = "^(%d+) (%d+) (%-?%d+) (%-?%d+) (%-?%d+) ([^\n]*)\n()"

--- All that is in a topic now, read by kcat, sorted by partition and offset. `headers`: "name=value,…". A leader that
--- has just become one may know for a moment of fewer records than there are: after a kill `await` their number.
---@param topic string
---@param level? "read_committed"|"read_uncommitted" the first unless told
---@return { partition: integer, offset: integer, timestamp: integer, headers: string, key?: string, value?: string }[]
function Cluster:consume(topic, level)
  local text = self:kcat(("-C -e -t %s -o beginning -X fetch.wait.max.ms=10 -X isolation.level=%s -f %s")
    :format(topic, level or "read_committed", [['%p %o %T %K %S %h\n%k%s\n']]))
  local records, at = {}, 1
  while at <= #text do
    local partition, offset, timestamp, key, value, headers, from = text:match(RECORD, at)
    assert(partition, "kcat's output is not understood")
    local record = { partition = tonumber(partition), offset = tonumber(offset), timestamp = tonumber(timestamp),
      headers = headers }
    local function take(length)
      if tonumber(length) < 0 then return nil end
      from = from + tonumber(length)
      return text:sub(from - tonumber(length), from - 1)
    end
    record.key, record.value = take(key), take(value)
    records[#records + 1] = record
    at = from + 1
  end
  table.sort(records, function(a, b)
    if a.partition ~= b.partition then return a.partition < b.partition end
    return a.offset < b.offset
  end)
  return records
end

--- The values in a topic as sorted lines.
---@param topic string
---@param level? "read_committed"|"read_uncommitted"
---@return string
function Cluster:values(topic, level)
  local lines = {}
  for _, record in ipairs(self:consume(topic, level)) do lines[#lines + 1] = (record.value or "nil") .. "\n" end
  table.sort(lines)
  return table.concat(lines)
end

return M
