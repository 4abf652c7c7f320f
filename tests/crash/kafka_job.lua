--- crash: the job that tests/crash/kafka.lua kills: records of a topic, sums in windows by key, another topic.
--- With loops= each record costs so many turns of a loop.
local weir = require "weir"

local job = weir.job { name = "crash-kafka", max_parallelism = 64 }
local loops = tonumber(job.args.loops or 0)

local function slowly(rec)
  local x = rec.v
  for i = 1, loops do x = (x * 16807 + i) % 2147483647 end
  rec.unused = x
  return rec
end

job:source(weir.kafka { brokers = job.args.brokers, topic = job.args.from })
  :uid "input"
  :watermarks(weir.watermark.bounded { field = "ts", delay = 40, every = "5ms" }):uid "watermarks"
  :map(slowly)
  :key_by "k":window(weir.window.tumbling "200ms")
  :aggregate { n = weir.agg.count(), sum = weir.agg.sum "v" }:uid "sums"
  :sink(weir.kafka_sink {
    brokers = job.args.brokers, topic = job.args.to, key = "k", guarantee = "exactly_once",
    format = function(rec)
      return ("%d,%d,%d,%d,%d"):format(rec.k, rec.n, rec.sum, rec.window_start, rec.window_end)
    end,
  }):uid "output"

return job
