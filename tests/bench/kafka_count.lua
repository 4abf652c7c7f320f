--- kafka_count: JSON from a topic, those of status 200, counted by user in windows of ten seconds, as JSON into a
--- topic; reference: ref_kafka_count.cc.
---   brokers= from= to=  guarantee=none|at_least_once|exactly_once
local weir = require "weir"

local job = weir.job { name = "kafka_count" }
local args = job.args

job:source(weir.kafka { brokers = args.brokers, topic = args.from, stop = "latest" })
  :watermarks(weir.watermark.ascending { field = "ts" })
  :filter(function(view) return view.status == 200 end)
  :key_by("user"):window(weir.window.tumbling "10s"):aggregate { n = weir.agg.count() }
  :sink(weir.kafka_sink {
    brokers = args.brokers, topic = args.to, guarantee = args.guarantee or "none",
    timestamp = false, -- else they are as old as the records say, and the broker removes them
  })

return job
