--- librdkafka for tests, for what kcat cannot do: topics, offsets of groups, records with times, transactions.
--- Each call waits for its answer; what the broker refuses is an error of Lua.

local ffi = require "ffi"

ffi.cdef [[
typedef struct { char *topic; int32_t partition; int64_t offset; void *metadata; size_t metadata_size; void *opaque;
  int err; void *priv; } rd_test_place;
typedef struct { int count, size; rd_test_place *list; } rd_test_places;
typedef struct { int32_t id; int err; int32_t leader; int replicas; int32_t *replica; int in_sync; int32_t *isrs; }
  rd_test_partition;
typedef struct { char *name; int partitions; rd_test_partition *partition; int err; } rd_test_topic;
typedef struct { int brokers; void *broker; int topics; rd_test_topic *topic; } rd_test_metadata;
typedef struct { int vtype; union { const char *cstr; int i; int32_t i32; int64_t i64;
  struct { const void *ptr; size_t size; } mem; struct { const char *name; const void *val; ssize_t size; } header;
  char pad[64]; } u; } rd_test_argument;
typedef struct { int err; void *topic; int32_t partition; } rd_test_message;

int poll(void *fds, unsigned long count, int timeout_ms);

void *rd_kafka_conf_new(void);
int rd_kafka_conf_set(void *conf, const char *name, const char *value, char *text, size_t size);
void rd_kafka_conf_set_events(void *conf, int events);
void *rd_kafka_new(int type, void *conf, char *text, size_t size);
void rd_kafka_destroy(void *rk);
const char *rd_kafka_err2str(int err);
int rd_kafka_error_code(const void *error);
const char *rd_kafka_error_string(const void *error);
void rd_kafka_error_destroy(void *error);

void *rd_kafka_queue_new(void *rk);
void *rd_kafka_queue_get_main(void *rk);
void rd_kafka_queue_destroy(void *queue);
void *rd_kafka_queue_poll(void *queue, int timeout_ms);
int rd_kafka_event_error(void *event);
const char *rd_kafka_event_error_string(void *event);
const rd_test_message *rd_kafka_event_message_next(void *event);
void rd_kafka_event_destroy(void *event);

rd_test_places *rd_kafka_topic_partition_list_new(int size);
void rd_kafka_topic_partition_list_destroy(rd_test_places *list);
rd_test_place *rd_kafka_topic_partition_list_add(rd_test_places *list, const char *topic, int32_t partition);

void *rd_kafka_NewTopic_new(const char *topic, int partitions, int replicas, char *text, size_t size);
int rd_kafka_NewTopic_set_config(void *topic, const char *name, const char *value);
void rd_kafka_NewTopic_destroy(void *topic);
void rd_kafka_CreateTopics(void *rk, void **topics, size_t n, const void *options, void *queue);
const void **rd_kafka_CreateTopics_result_topics(const void *event, size_t *n);
void *rd_kafka_DeleteTopic_new(const char *topic);
void rd_kafka_DeleteTopic_destroy(void *topic);
void rd_kafka_DeleteTopics(void *rk, void **topics, size_t n, const void *options, void *queue);
const void **rd_kafka_DeleteTopics_result_topics(const void *event, size_t *n);
void *rd_kafka_NewPartitions_new(const char *topic, size_t total, char *text, size_t size);
void rd_kafka_NewPartitions_destroy(void *partitions);
void rd_kafka_CreatePartitions(void *rk, void **partitions, size_t n, const void *options, void *queue);
const void **rd_kafka_CreatePartitions_result_topics(const void *event, size_t *n);
int rd_kafka_topic_result_error(const void *result);
const char *rd_kafka_topic_result_error_string(const void *result);
void *rd_kafka_DeleteRecords_new(const rd_test_places *before);
void rd_kafka_DeleteRecords_destroy(void *records);
void rd_kafka_DeleteRecords(void *rk, void **records, size_t n, const void *options, void *queue);
const rd_test_places *rd_kafka_DeleteRecords_result_offsets(const void *event);
void *rd_kafka_ListConsumerGroupOffsets_new(const char *group, const rd_test_places *places);
void rd_kafka_ListConsumerGroupOffsets_destroy(void *list);
void rd_kafka_ListConsumerGroupOffsets(void *rk, void **lists, size_t n, const void *options, void *queue);
const void **rd_kafka_ListConsumerGroupOffsets_result_groups(const void *event, size_t *n);
void *rd_kafka_AlterConsumerGroupOffsets_new(const char *group, const rd_test_places *places);
void rd_kafka_AlterConsumerGroupOffsets_destroy(void *list);
void rd_kafka_AlterConsumerGroupOffsets(void *rk, void **lists, size_t n, const void *options, void *queue);
const void **rd_kafka_AlterConsumerGroupOffsets_result_groups(const void *event, size_t *n);
void *rd_kafka_AclBinding_new(int kind, const char *name, int pattern, const char *principal, const char *host,
  int operation, int permission, char *text, size_t size);
void rd_kafka_AclBinding_destroy(void *binding);
void rd_kafka_CreateAcls(void *rk, void **bindings, size_t n, const void *options, void *queue);
const void **rd_kafka_CreateAcls_result_acls(const void *event, size_t *n);
const void *rd_kafka_acl_result_error(const void *result);
const void *rd_kafka_group_result_error(const void *group);
const rd_test_places *rd_kafka_group_result_partitions(const void *group);

void *rd_kafka_topic_new(void *rk, const char *topic, void *conf);
void rd_kafka_topic_destroy(void *topic);
int rd_kafka_metadata(void *rk, int all, void *topic, const rd_test_metadata **metadata, int timeout_ms);
void rd_kafka_metadata_destroy(const rd_test_metadata *metadata);
int rd_kafka_query_watermark_offsets(void *rk, const char *topic, int32_t partition, int64_t *low, int64_t *high,
  int timeout_ms);

void *rd_kafka_produceva(void *rk, const rd_test_argument *arguments, size_t count);
int rd_kafka_outq_len(void *rk);
void *rd_kafka_init_transactions(void *rk, int timeout_ms);
void *rd_kafka_begin_transaction(void *rk);
void *rd_kafka_commit_transaction(void *rk, int timeout_ms);
void *rd_kafka_abort_transaction(void *rk, int timeout_ms);
void *rd_kafka_consumer_group_metadata_new(const char *group);
void rd_kafka_consumer_group_metadata_destroy(void *group);
void *rd_kafka_send_offsets_to_transaction(void *rk, const rd_test_places *offsets, void *group, int timeout_ms);
]]
local rd = ffi.load "rdkafka"

-- A client that is open at the end has threads, which need the library when this Lua state is gone.
local RTLD_NOW, RTLD_NODELETE = 2, 0x1000
ffi.cdef [[void *dlopen(const char *path, int flags);]]
assert(ffi.C.dlopen("librdkafka.so.1", RTLD_NOW + RTLD_NODELETE) ~= nil)

local PATIENCE_MS, PAUSE_MS = 60000, 10
local REQUEST_MS, AGAIN = 10000, 6 -- for a request of the admin protocol, and how often it is made again
local PRODUCER, CONSUMER, EVENT_DELIVERY = 0, 1, 1
local COORDINATOR_LOADS, NO_COORDINATOR, NOT_COORDINATOR = 14, 15, 16
local TOPIC, PARTITION, VALUE, KEY, FLAGS, TIMESTAMP, HEADER = 1, 3, 4, 5, 7, 8, 9 -- of rd_kafka_vtype_t
local FLAG_COPY = 2

local text = ffi.new "char[512]"
local count = ffi.new "size_t[1]"

local Client = {}
Client.__index = Client

local M = {}

-- A handle of librdkafka.
local function handle(kind, properties)
  local conf = rd.rd_kafka_conf_new()
  for name, value in pairs(properties) do
    local err = rd.rd_kafka_conf_set(conf, name, tostring(value), text, ffi.sizeof(text))
    if err ~= 0 then error(ffi.string(text), 2) end
  end
  if kind == PRODUCER then rd.rd_kafka_conf_set_events(conf, EVENT_DELIVERY) end
  local rk = rd.rd_kafka_new(kind, conf, text, ffi.sizeof(text))
  if rk == nil then error(ffi.string(text), 2) end
  return rk
end

local function joined(...)
  local all = {}
  for _, properties in ipairs { ... } do
    for name, value in pairs(properties) do all[name] = value end
  end
  return all
end

--- A client of these brokers.
---@param brokers string
---@param properties? table<string, string>
function M.new(brokers, properties)
  local given = joined(properties or {}, {
    ["bootstrap.servers"] = brokers, log_level = "0", ["socket.timeout.ms"] = tostring(REQUEST_MS),
  })
  local all = joined({ ["linger.ms"] = "0", ["enable.idempotence"] = "true" }, given)
  local rk = handle(PRODUCER, all)
  local client = setmetatable({ rk = rk, properties = given }, Client)
  if all["transactional.id"] then client:transactional(rd.rd_kafka_init_transactions(rk, PATIENCE_MS)) end
  return client
end

function Client:close()
  rd.rd_kafka_destroy(self.rk)
  self.rk = nil
end

local function refused(what, err, why)
  error(("%s: %s"):format(what, why ~= nil and ffi.string(why) or ffi.string(rd.rd_kafka_err2str(err))), 0)
end

-- Sends one request of the admin protocol, `name`, and gives its answer to `read`, whose results it gives.
function Client:ask(name, request, read)
  assert(request ~= nil, name)
  local requests, queue = ffi.new("void *[1]", request), rd.rd_kafka_queue_new(self.rk)
  rd["rd_kafka_" .. name](self.rk, requests, 1, nil, queue)
  local event = rd.rd_kafka_queue_poll(queue, PATIENCE_MS)
  local ok, result = pcall(function()
    if event == nil then error(name .. ": no answer", 0) end
    local err = rd.rd_kafka_event_error(event)
    if err ~= 0 then refused(name, err, rd.rd_kafka_event_error_string(event)) end
    return read(event)
  end)
  if event ~= nil then rd.rd_kafka_event_destroy(event) end
  rd.rd_kafka_queue_destroy(queue)
  if not ok then error(result, 0) end
  return result
end

-- What a request about a topic is refused with when it was done already: it exists, it does not, it has as many
-- partitions.
local DONE = { CreateTopics = 36, DeleteTopics = 3, CreatePartitions = 37 }

-- The answer of a request about one topic. A client waits for the controller, at times in vain, although it is there:
-- another, of its own, finds it then, and the first request may have been obeyed.
function Client:ask_of_topic(name, request)
  local function try(client, again)
    return pcall(client.ask, client, name, request, function(event)
      local result = rd["rd_kafka_" .. name .. "_result_topics"](event, count)[0]
      local err = rd.rd_kafka_topic_result_error(result)
      if err ~= 0 and not (again and err == DONE[name]) then
        refused(name, err, rd.rd_kafka_topic_result_error_string(result))
      end
    end)
  end
  local ok, why = try(self, false)
  local left = AGAIN
  while not ok and left > 0 and why:find "imed out" do
    local other = M.new(self.properties["bootstrap.servers"], self.properties)
    ok, why = try(other, true)
    other:close()
    left = left - 1
  end
  if not ok then error(why, 0) end
end

---@param name string
---@param partitions integer
---@param replicas integer
---@param config table<string, any>
function Client:create(name, partitions, replicas, config)
  local topic = rd.rd_kafka_NewTopic_new(name, partitions, replicas, text, ffi.sizeof(text))
  if topic == nil then error(ffi.string(text), 2) end
  ffi.gc(topic, rd.rd_kafka_NewTopic_destroy)
  for key, value in pairs(config) do rd.rd_kafka_NewTopic_set_config(topic, key, tostring(value)) end
  self:ask_of_topic("CreateTopics", topic)
end

function Client:delete(name)
  self:ask_of_topic("DeleteTopics", ffi.gc(rd.rd_kafka_DeleteTopic_new(name), rd.rd_kafka_DeleteTopic_destroy))
end

--- More partitions, `total` in all.
function Client:grow(name, total)
  local partitions = rd.rd_kafka_NewPartitions_new(name, total, text, ffi.sizeof(text))
  self:ask_of_topic("CreatePartitions", ffi.gc(partitions, rd.rd_kafka_NewPartitions_destroy))
end

-- As librdkafka has them.
local CLUSTER, LITERAL, DENY, ALLOW, ALL, DESCRIBE_CONFIGS = 4, 3, 2, 3, 2, 10

--- From now on nobody is told of the brokers' settings; all else may be done with the cluster, if its authorizer allows
--- it where nothing is said (allow.everyone.if.no.acl.found).
function Client:hide_settings()
  for _, rule in ipairs { { ALL, ALLOW }, { DESCRIBE_CONFIGS, DENY } } do
    local binding = rd.rd_kafka_AclBinding_new(CLUSTER, "kafka-cluster", LITERAL, "User:ANONYMOUS", "*", rule[1],
      rule[2], text, ffi.sizeof(text))
    if binding == nil then error(ffi.string(text), 2) end
    self:ask("CreateAcls", ffi.gc(binding, rd.rd_kafka_AclBinding_destroy), function(event)
      local failure = rd.rd_kafka_acl_result_error(rd.rd_kafka_CreateAcls_result_acls(event, count)[0])
      if failure ~= nil then refused("CreateAcls", 0, rd.rd_kafka_error_string(failure)) end
    end)
  end
end

-- A list from { [topic] = { [partition] = offset } }.
local function places_of(offsets)
  local list = ffi.gc(rd.rd_kafka_topic_partition_list_new(1), rd.rd_kafka_topic_partition_list_destroy)
  for topic, partitions in pairs(offsets) do
    for partition, offset in pairs(partitions) do
      rd.rd_kafka_topic_partition_list_add(list, topic, partition).offset = offset
    end
  end
  return list
end

--- Takes away what is before these offsets, as the end of their retention would.
---@param offsets table<string, table<integer, integer>> by topic and partition
function Client:truncate(offsets)
  local request = rd.rd_kafka_DeleteRecords_new(places_of(offsets))
  self:ask("DeleteRecords", ffi.gc(request, rd.rd_kafka_DeleteRecords_destroy), function(event)
    local places = rd.rd_kafka_DeleteRecords_result_offsets(event)
    for i = 0, places.count - 1 do
      if places.list[i].err ~= 0 then refused("DeleteRecords", places.list[i].err) end
    end
  end)
end

-- Asks for one group; gives its places: { [topic] = { [partition] = { offset =, metadata = } } }. A handle of its own
-- asks, of a consumer of the group: with any other librdkafka 2.0.2 reaches through a null pointer when a broker says
-- that it does not coordinate the group (rd_kafka_handle_OffsetFetch), as one that has just begun does.
function Client:ask_of_group(group, name, request)
  local consumer = setmetatable({
    rk = handle(CONSUMER, joined(self.properties, { ["group.id"] = group })),
  }, Client)
  local function answer(event)
    local result = rd["rd_kafka_" .. name .. "_result_groups"](event, count)[0]
    local failure = rd.rd_kafka_group_result_error(result)
    local err = failure ~= nil and rd.rd_kafka_error_code(failure) or 0
    local places, out = rd.rd_kafka_group_result_partitions(result), {}
    for i = 0, (err == 0 and places.count or 0) - 1 do
      local place = places.list[i]
      if place.err ~= 0 then err = place.err end
      local topic = ffi.string(place.topic)
      out[topic] = out[topic] or {}
      out[topic][place.partition] = { offset = tonumber(place.offset),
        metadata = place.metadata ~= nil and ffi.string(place.metadata, place.metadata_size) or "" }
    end
    return { err = err, out = out }
  end
  local ok, result
  for _ = 1, PATIENCE_MS / PAUSE_MS do
    ok, result = pcall(consumer.ask, consumer, name, request, answer)
    local err = ok and result.err
    if err ~= COORDINATOR_LOADS and err ~= NO_COORDINATOR and err ~= NOT_COORDINATOR then break end
    ffi.C.poll(nil, 0, PAUSE_MS)
  end
  consumer:close()
  if not ok then error(result, 0) end
  if result.err ~= 0 then refused(name, result.err) end
  return result.out
end

--- What a group has committed.
---@param group string
---@return table<string, table<integer, { offset: integer, metadata: string }>> by topic and partition
function Client:committed(group)
  local request = rd.rd_kafka_ListConsumerGroupOffsets_new(group, nil)
  return self:ask_of_group(group, "ListConsumerGroupOffsets",
    ffi.gc(request, rd.rd_kafka_ListConsumerGroupOffsets_destroy))
end

--- Commits for a group.
---@param group string
---@param offsets table<string, table<integer, integer>> by topic and partition
function Client:commit(group, offsets)
  local request = rd.rd_kafka_AlterConsumerGroupOffsets_new(group, places_of(offsets))
  self:ask_of_group(group, "AlterConsumerGroupOffsets",
    ffi.gc(request, rd.rd_kafka_AlterConsumerGroupOffsets_destroy))
end

--- The partitions of a topic as the broker that answers knows them, from 0, or nil where it does not know it.
---@param name string
---@return table<integer, { leader: integer, replicas: integer, in_sync: integer }>?
function Client:partitions(name)
  local topic = rd.rd_kafka_topic_new(self.rk, name, nil)
  local answer = ffi.new "const rd_test_metadata *[1]"
  local err = rd.rd_kafka_metadata(self.rk, 0, topic, answer, PATIENCE_MS)
  rd.rd_kafka_topic_destroy(topic)
  if err ~= 0 then refused("metadata", err) end
  local found = answer[0].topic[0]
  local out = found.err == 0 and {} or nil
  for i = 0, out and found.partitions - 1 or -1 do
    local p = found.partition[i]
    out[p.id] = { leader = p.leader, replicas = p.replicas, in_sync = p.in_sync }
  end
  rd.rd_kafka_metadata_destroy(answer[0])
  return out
end

--- The first offset of a partition and the one behind the last.
---@return integer low
---@return integer high
function Client:range(topic, partition)
  local low, high = ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  local err = rd.rd_kafka_query_watermark_offsets(self.rk, topic, partition, low, high, PATIENCE_MS)
  if err ~= 0 then refused("offsets", err) end
  return tonumber(low[0]), tonumber(high[0])
end

function Client:transactional(failure)
  if failure == nil then return end
  local why = ffi.string(rd.rd_kafka_error_string(failure))
  rd.rd_kafka_error_destroy(failure)
  error(why, 0)
end

--- Offsets of a group that are committed with the transaction.
---@param group string
---@param offsets table<string, table<integer, integer>> by topic and partition
function Client:put(group, offsets)
  local metadata = ffi.gc(rd.rd_kafka_consumer_group_metadata_new(group), rd.rd_kafka_consumer_group_metadata_destroy)
  local failure = rd.rd_kafka_send_offsets_to_transaction(self.rk, places_of(offsets), metadata, PATIENCE_MS)
  self:transactional(failure)
end

function Client:begin() self:transactional(rd.rd_kafka_begin_transaction(self.rk)) end

function Client:commit_transaction() self:transactional(rd.rd_kafka_commit_transaction(self.rk, PATIENCE_MS)) end

function Client:abort() self:transactional(rd.rd_kafka_abort_transaction(self.rk, PATIENCE_MS)) end

local arguments = ffi.new "rd_test_argument[64]"

local function bytes(argument, value)
  argument.u.mem.ptr, argument.u.mem.size = ffi.cast("const void *", value), value and #value or 0
end

function Client:enqueue(topic, record)
  local n = 0
  local function add(vtype)
    arguments[n].vtype = vtype
    n = n + 1
    return arguments[n - 1]
  end
  add(TOPIC).u.cstr = topic
  add(FLAGS).u.i = FLAG_COPY
  if record.partition then add(PARTITION).u.i32 = record.partition end
  if record.timestamp then add(TIMESTAMP).u.i64 = record.timestamp end
  bytes(add(KEY), record.key)
  bytes(add(VALUE), record.value)
  for _, header in ipairs(record.headers or {}) do
    local h = add(HEADER).u.header
    h.name, h.val, h.size = header[1], ffi.cast("const void *", header[2]), header[2] and #header[2] or 0
  end
  self:transactional(rd.rd_kafka_produceva(self.rk, arguments, n))
end

--- Waits until the brokers have all that was sent; an error where they do not take a record.
function Client:flush()
  local queue, failed = rd.rd_kafka_queue_get_main(self.rk), 0
  while rd.rd_kafka_outq_len(self.rk) > 0 do
    local event = rd.rd_kafka_queue_poll(queue, 100)
    while event ~= nil do
      local message = rd.rd_kafka_event_message_next(event)
      if message == nil then break end
      if message.err ~= 0 then failed = message.err end
    end
    if event ~= nil then rd.rd_kafka_event_destroy(event) end
  end
  rd.rd_kafka_queue_destroy(queue)
  if failed ~= 0 then refused("a record was not taken", failed) end
end

--- Sends records: { key =, value =, partition =, timestamp = in ms, headers = { { name, value }, … } }, of which each
--- may be missing; `value` nil is a tombstone.
---@param topic string
---@param records table[]
function Client:send(topic, records)
  for _, record in ipairs(records) do self:enqueue(topic, record) end
  self:flush()
end

return M
