--- crash: the job that tests/crash/kafka.lua kills: records of a topic, sums in windows by key, another topic.
--- With loops= each record costs so many turns of a loop (slowly.lua). Little is fetched of a partition at a time, so
--- that all move on together, and windows close. Records that come too late, of which there are none, are printed.
local slowly = require "slowly"
local weir = require "weir"

local job = weir.job { name = "crash-kafka", max_parallelism = 64 }

local sums = job:source(weir.kafka {
  brokers = job.args.brokers, topic = job.args.from,
  properties = { ["max.partition.fetch.bytes"] = 8192, ["fetch.wait.max.ms"] = 20 },
})
  :uid "input"
  :watermarks(weir.watermark.bounded { field = "ts", delay = 40, every = "5ms" }):uid "watermarks"
  :map(slowly(tonumber(job.args.loops or 0)))
  :key_by "k":window(weir.window.tumbling "200ms")
  :aggregate { n = weir.agg.count(), sum = weir.agg.sum "v" }:uid "sums"

sums:side_output("late"):sink(weir.print()):uid "late"
sums:sink(weir.kafka_sink {
  brokers = job.args.brokers, topic = job.args.to, key = "k", guarantee = "exactly_once",
  format = function(rec)
    return ("%d,%d,%d,%d,%d"):format(rec.k, rec.n, rec.sum, rec.window_start, rec.window_end)
  end,
}):uid "output"

return job
