--- kafka_copy: the messages of a topic into another, byte by byte; reference: ref_kafka.c, copy and relay.
---   brokers= from= to=  guarantee=none|at_least_once|exactly_once  follow=yes: does not end  hand_over=yes: between
---   source and sink there is a buffer  linger= of the sink, in ms
local weir = require "weir"

local job = weir.job { name = "kafka_copy" }
local args = job.args

local messages = job:source(weir.kafka {
  brokers = args.brokers, topic = args.from, stop = args.follow ~= "yes" and "latest" or nil, format = weir.bytes(),
})
if args.hand_over == "yes" then messages = messages:rebalance() end
messages:sink(weir.kafka_sink {
  brokers = args.brokers, topic = args.to, format = weir.lines(), guarantee = args.guarantee, timestamp = false,
  transactional_id_prefix = args.guarantee == "exactly_once" and args.to or nil,
  properties = args.linger and { ["linger.ms"] = tonumber(args.linger) } or nil,
})

return job
