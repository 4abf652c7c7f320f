-- SPDX-License-Identifier: Apache-2.0
--- Settings of an operator: name, uid, parallelism, chaining, what happens at errors. They are called on the
--- stream that the operator gave, or on what stream:sink gives, and give it back.

local options = require "weir.options"
local duration = require "weir.duration"
local where = require "weir.where"

local fail = where.fail

---@class weir.SinkHandle the end of a stream; takes only the settings of an operator: name, uid, parallelism …
local settings = {}

local function node_of(self, method)
  local node = self.node
  if not node then
    fail("stream:%s is a setting of an operator: call it on the stream that the operator gave, before key_by, "
      .. "union, side_output and the like", method)
  end
  return node
end

-- An operator that was drawn for another one (a generator's function) shares its place.
local function set_both(node, field, value)
  node[field] = value
  if node.companion then node.companion[field] = value end
end

local function check_parallelism(node, method)
  if node.parallelism and node.max_parallelism and node.parallelism > node.max_parallelism then
    fail("stream:%s: parallelism %d is more than max_parallelism %d", method, node.parallelism,
      node.max_parallelism)
  end
end

local parallelism_type = options.integer_in(1, 32768)
local uid_type = options.type("a string of letters, digits and - _ . : /", function(v)
  return type(v) == "string" and v:match "^[%w%-_.:/]+$" ~= nil, v
end)
local policy_type = options.one_of("fail", "skip", "dead_letter")

--- What the operator is called in messages, graphs and metrics.
---@param name string
---@return self
function settings:name(name)
  node_of(self, "name").name = options.value("stream:name", "the name", name, options.string)
  return self
end

--- Pins the operator's state to a name of its own, so that it is found again when the job has changed.
--- Without one a name is derived from kind, name and inputs, and `weir check` warns.
---@param uid string unique in the job
---@return self
function settings:uid(uid)
  local node = node_of(self, "uid")
  node.uid, node.uid_derived = options.value("stream:uid", "the uid", uid, uid_type), false
  if node.companion then node.companion.uid, node.companion.uid_derived = uid .. ".source", false end
  return self
end

--- How many subtasks the operator has.
---@param n integer 1 to 32768
---@return self
function settings:parallelism(n)
  local node = node_of(self, "parallelism")
  options.value("stream:parallelism", "the parallelism", n, parallelism_type)
  if (node.single or node.companion and node.companion.single) and n ~= 1 then
    fail('stream:parallelism: source "%s" is read by one subtask; its parallelism is always 1', node.name)
  end
  set_both(node, "parallelism", n)
  check_parallelism(node, "parallelism")
  return self
end

--- How many key groups the operator's state has: the bound of its parallelism for all time.
---@param n integer 1 to 32768; default: 1.5 times the parallelism, rounded up to a power of two, at least 128
---@return self
function settings:max_parallelism(n)
  local node = node_of(self, "max_parallelism")
  options.value("stream:max_parallelism", "the max parallelism", n, parallelism_type)
  set_both(node, "max_parallelism", n)
  check_parallelism(node, "max_parallelism")
  return self
end

--- Begins a new chain here: the operator is not fused with the one before it.
---@return self
function settings:start_chain()
  node_of(self, "start_chain").chain = "start"
  return self
end

--- The operator is fused neither with the one before nor with the ones behind it.
---@return self
function settings:disable_chaining()
  node_of(self, "disable_chaining").chain = "never"
  return self
end

--- Operators of different groups never share a slot, and are not chained.
---@param name string default: the group of the inputs if they agree, else "default"
---@return self
function settings:slot_group(name)
  set_both(node_of(self, "slot_group"), "slot_group",
    options.value("stream:slot_group", "the name", name, options.string))
  return self
end

--- How long the operator's output may wait for its buffer to fill: less is latency, more is throughput.
---@param timeout weir.Duration 0 sends every record at once, -1 only full buffers
---@return self
function settings:buffer_timeout(timeout)
  node_of(self, "buffer_timeout").buffer_timeout =
    options.value("stream:buffer_timeout", "the timeout", timeout, duration.timeout)
  return self
end

--- What happens when the operator fails at a record: the job fails, the record is skipped (counted, and
--- sampled in the log), or it goes to the side output "dead_letter". What the function had emitted and
--- written before it failed stays. What is said here holds for a function of key_by or partition before it, too.
---@param policy "fail"|"skip"|"dead_letter" default: the job's
---@return self
function settings:on_error(policy)
  local node = node_of(self, "on_error")
  node.on_error = options.value("stream:on_error", "the policy", policy, policy_type)
  if node.companion and node.companion.decodes then node.companion.on_error = node.on_error end
  return self
end

return settings
